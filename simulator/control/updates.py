"""Updates put in by hand, as objects or as bytes, and whole answers of getUpdates."""

import base64
import json
from typing import Any

from aiohttp import web

from simulator.botapi import TELEGRAM
from simulator.control.request import given_object
from simulator.errors import WrongRequest
from simulator.state import RawBody
from simulator.updates import answer_raw, push, push_raw


async def _update(request: web.Request) -> web.Response:
    """An update as the simulator makes them: `{update, bot?, copies?}`; a number of its own is kept.

    It is held back when the bot did not ask for its kind; `/sim/raw-updates` delivers anything, byte for byte.
    """
    given = await given_object(request)
    telegram = request.app[TELEGRAM]
    if not isinstance(given.get("update"), dict):
        raise WrongRequest("update must be an object")
    pushed = push(telegram, telegram.which_bot(given.get("bot")), given["update"], copies=int(given.get("copies", 1)))
    telegram.changed()
    return web.json_response(pushed)


async def _raw_updates(request: web.Request) -> web.Response:
    """Updates as bytes, whatever they are: `{updates, bot?, ids?, copies?}` -> `{numbers}`.

    Each of `updates` is `{"text": ...}` (the bytes to deliver, as text), `{"base64": ...}` (bytes that are no UTF-8)
    or `{"json": ...}` (a value, written by the simulator). All of them are queued in one go, so that one getUpdates
    hands them out together; a webhook gets them one by one. They are not checked, and not held back by
    `allowed_updates` or faults. `ids`: `keep` (default; the bytes are delivered as they are, also with a number that
    is missing, used before or no number) or `fresh` (each object gets the next `update_id`: in place of the whole
    number it has, otherwise in front; nothing else changes).
    `copies`: deliver each so many times. `numbers`: the places in the queue, which an offset confirms.
    """
    given = await given_object(request)
    telegram = request.app[TELEGRAM]
    ids = str(given.get("ids", "keep"))
    if ids not in ("keep", "fresh"):
        raise WrongRequest("ids must be keep or fresh")
    if not isinstance(given.get("updates"), list) or not given["updates"]:
        raise WrongRequest("updates must be an array with at least one update")
    numbers = push_raw(
        telegram,
        telegram.which_bot(given.get("bot")),
        [_bytes(one) for one in given["updates"]],
        fresh=ids == "fresh",
        copies=int(given.get("copies", 1)),
    )
    return web.json_response({"numbers": numbers})


async def _raw_answer(request: web.Request) -> web.Response:
    """The whole body of the next getUpdates: `{text | base64 | json, bot?, status?, contentType?}`.

    It is given once, to the request that waits or to the next one; updates in the queue stay there. Called several
    times, the bodies are given one after the other.
    """
    given = await given_object(request)
    telegram = request.app[TELEGRAM]
    body = {name: given[name] for name in ("text", "base64", "json") if name in given}
    answer = RawBody(_bytes(body), int(given.get("status", 200)), str(given.get("contentType", "application/json")))
    answer_raw(telegram, telegram.which_bot(given.get("bot")), answer)
    return web.json_response({"ok": True})


def _bytes(given: Any) -> bytes:
    """`{text}` (sent as UTF-8), `{base64}` (any bytes) or `{json}` (written by this program)."""
    if not isinstance(given, dict) or len(given.keys() & {"text", "base64", "json"}) != 1:
        raise WrongRequest("give one of text, base64 and json")
    if "json" in given:
        return json.dumps(given["json"]).encode()
    if "base64" in given:
        return base64.b64decode(str(given["base64"]), validate=True)
    return str(given["text"]).encode("utf-8", "surrogatepass")


ROUTES = (
    ("POST", "/sim/updates", _update),
    ("POST", "/sim/raw-updates", _raw_updates),
    ("POST", "/sim/raw-answer", _raw_answer),
)
