"""Methods that send files, and tell where to get them."""

import struct
from typing import Any

from simulator.access import target
from simulator.errors import ApiError, bad
from simulator.files import DOWNLOAD_LIMIT, FILE_LIMIT, keep_file
from simulator.methods.content import captioned, send
from simulator.methods.table import Methods
from simulator.params import Params, Upload
from simulator.state import Bot
from simulator.telegram import Telegram

METHODS = Methods()


@METHODS.named("sendDocument")
def _send_document(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"))
    content = captioned(params)
    document, _ = _given_file(telegram, bot, params, "document", "documents")
    return send(telegram, bot, chat, params, {"document": document, **content})


@METHODS.named("sendPhoto")
def _send_photo(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"))
    content = captioned(params)
    photo, data = _given_file(telegram, bot, params, "photo", "photos")
    width, height = image_size(data)
    size = {k: photo[k] for k in ("file_id", "file_unique_id", "file_size")} | {"width": width, "height": height}
    return send(telegram, bot, chat, params, {"photo": [size], **content})


def _given_file(telegram: Telegram, bot: Bot, params: Params, name: str, kind: str) -> tuple[dict[str, Any], bytes]:
    given = params.file(name)
    if given is None:
        raise bad(f"there is no {name} in the request")
    if isinstance(given, str):
        stored = telegram.files.get(given)
        if stored is None or stored.bot_id != bot.id:
            raise bad("wrong file identifier/HTTP URL specified")
        data = stored.data
        known = {"file_id": given, "file_unique_id": f"AQ{given[2:14]}", "file_name": stored.name}
        return {**known, "file_size": len(data)}, data
    _sized(given)
    return keep_file(telegram, bot.id, given.name, given.data, kind=kind), given.data


def _sized(given: Upload) -> None:
    if not given.data:
        raise bad("file must be non-empty")
    if len(given.data) > FILE_LIMIT:
        raise ApiError(413, "Request Entity Too Large")


def image_size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG or JPEG. Raises ApiError for anything else."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 < len(data) and data[at] == 0xFF:
        if 0xC0 <= data[at + 1] <= 0xCF and data[at + 1] not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise bad("IMAGE_PROCESS_FAILED")


@METHODS.named("getFile")
def _get_file(telegram: Telegram, bot: Bot, params: Params) -> Any:
    file_id = params.text("file_id")
    stored = telegram.files.get(file_id)
    if stored is None or stored.bot_id != bot.id:
        raise bad("invalid file_id")
    if len(stored.data) > DOWNLOAD_LIMIT:
        raise bad("file is too big")
    return {
        "file_id": file_id,
        "file_unique_id": f"AQ{file_id[2:14]}",
        "file_size": len(stored.data),
        "file_path": stored.path,
    }
