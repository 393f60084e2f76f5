"""Updates as bytes: what was given is what is delivered, also what no Bot API would send."""

import json
import re
from typing import Any

_ID = b'"update_id"'
_VALUE = re.compile(rb"\s*:\s*(-?\d+(?![\d.eE]))")
_STOPS = re.compile(rb'["{}\[\]]')
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def update_number(raw: bytes) -> int | None:
    """The `update_id` of an update; None for bytes that have no whole number there."""
    found = _number_at(raw)
    return int(raw[found[0] : found[1]]) if found else None


def numbered(raw: bytes, number: int) -> bytes:
    """The update under this number: its own is replaced, or one is put in front; what is no object stays as it is."""
    found = _number_at(raw)
    if found:
        return raw[: found[0]] + str(number).encode() + raw[found[1] :]
    start = len(raw) - len(raw.lstrip())
    if raw[start : start + 1] != b"{":
        return raw
    rest = raw[start + 1 :]
    comma = b"" if rest.lstrip().startswith(b"}") else b","
    return raw[: start + 1] + _ID + b":" + str(number).encode() + comma + rest


def _number_at(raw: bytes) -> tuple[int, int] | None:
    """Where the number of the top-level `update_id` stands. No parser: depth and damage must not matter here."""
    depth, at = 0, 0
    while stop := _STOPS.search(raw, at):
        at = stop.end()
        if stop[0] == b'"':
            string = _STRING.match(raw, stop.start())
            if string is None:
                return None
            at = string.end()
            value = _VALUE.match(raw, at) if depth == 1 and string[0] == _ID else None
            if value is not None and len(value[1]) <= 20:
                return value.span(1)
        else:
            depth += 1 if stop[0] in b"{[" else -1
    return None


def parsed(raw: bytes) -> Any:
    """The JSON of an update, None for bytes that are none or too deep."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


# by whom or where an update of a kind waits for the one before it, as Telegram's own server has it
BY_CHAT = {
    "message": "message",
    "edited_message": "message",
    "channel_post": "message",
    "edited_channel_post": "message",
    "my_chat_member": "my_chat_member",
    "message_reaction": "message_reaction",
    "message_reaction_count": "message_reaction_count",
    "chat_boost": "chat_boost",
    "removed_chat_boost": "chat_boost",
}
BY_PERSON = {
    "inline_query": "inline_query",
    "chosen_inline_result": "chosen_inline_result",
    "callback_query": "callback_query",
    "shipping_query": "payment",
    "pre_checkout_query": "payment",
    "chat_member": "chat_member",
    "chat_join_request": "chat_member",
}


def lane_of(update: Any) -> str:
    """What an update has to wait for: those of one lane reach a webhook in order, others when they will.

    Presses of a person and messages of a chat are two lanes: a webhook may hear of the later one first.
    """
    if not isinstance(update, dict):
        return ""
    for kind, value in update.items():
        names = ("chat",) if kind in BY_CHAT else ("from", "user") if kind in BY_PERSON else ()
        for name in names:
            about = value.get(name) if isinstance(value, dict) else None
            if isinstance(about, dict) and isinstance(about.get("id"), int):
                return f"{(BY_CHAT | BY_PERSON)[kind]}:{about['id']}"
    return ""
