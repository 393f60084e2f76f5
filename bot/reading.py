"""From the bytes of an update to the little of it that handlers use.

The library's models are unions within unions: of a rich message five levels deep it tries every kind at every level,
and needs a quarter of a minute for 400 bytes. So nothing that comes from outside reaches a model but the
fields named here, which hold no lists and no unions, each of a type that was checked. A field that is not
named is not looked at, whatever stands in it; a named one that is not what it must be makes the update unreadable.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiogram import Bot
from aiogram.types import Update
from pydantic import ValidationError

from domain.chat.updates import MAX_ID, Unreadable, Unused, kind_of, load, number_of

MAX_TEXT = 100_000
MAX_WORD = 1024

# messages that only say what happened to the chat: nothing is to be answered
SERVICE = (
    "new_chat_members",
    "left_chat_member",
    "pinned_message",
    "message_auto_delete_timer_changed",
    "write_access_allowed",
)
# what a standing in a chat comes to, for a bot that needs no rights but to write
STANDINGS = {
    "creator": "member",
    "administrator": "member",
    "member": "member",
    "restricted": "member",
    "left": "left",
    "kicked": "kicked",
}


Check = Callable[[Any, str], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `check` gives its value or raises; `default` stands for a missing one that a model asks for.

    Without `check` the field is never read: only the model asks for it.
    """

    check: Check | None
    needed: bool = False
    default: Any = None


def _wrong(path: str, what: str) -> Unreadable:
    return Unreadable(f"{path}: {what}")


def _number(value: Any, path: str) -> int:
    if type(value) is not int or abs(value) >= MAX_ID:
        raise _wrong(path, "not a whole number that can be used")
    return value


def _person_number(value: Any, path: str) -> int:
    if _number(value, path) <= 0:
        raise _wrong(path, "not the number of a person")
    return int(value)


def _flag(value: Any, path: str) -> bool:
    if type(value) is not bool:
        raise _wrong(path, "neither true nor false")
    return value


def _text(limit: int) -> Check:
    def check(value: Any, path: str) -> str:
        if type(value) is not str:
            raise _wrong(path, "not text")
        if len(value) > limit:
            raise _wrong(path, f"longer than {limit} characters")
        # no store keeps it
        return value.replace("\0", "\ufffd")

    return check


def _object(fields: Mapping[str, Field]) -> Check:
    def check(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong(path, "not an object")
        found: dict[str, Any] = {}
        for name, field in fields.items():
            # null is how some servers say that a field is missing
            given = value.get(name)
            if given is not None and field.check is not None:
                found[name] = field.check(given, f"{path}.{name}")
            elif field.needed:
                raise _wrong(f"{path}.{name}", "missing")
            elif field.default is not None:
                found[name] = field.default
        return found

    return check


def _standing(value: Any, path: str) -> dict[str, Any]:
    found: dict[str, Any] = _object({"status": Field(_text(MAX_WORD), needed=True)})(value, path)
    if found["status"] not in STANDINGS:
        raise _wrong(f"{path}.status", "not one that is known")
    nobody = {"id": 0, "is_bot": True, "first_name": ""}
    return {"status": STANDINGS[found["status"]], "user": nobody, "until_date": 0}


_word = _text(MAX_WORD)
_when = Field(None, default=0)
_person = _object(
    {
        "id": Field(_person_number, needed=True),
        "is_bot": Field(_flag, needed=True),
        "first_name": Field(_word, default=""),
        "last_name": Field(_word),
        "username": Field(_word),
        "language_code": Field(_word),
    }
)
_chat = _object({"id": Field(_number, needed=True), "type": Field(_word, needed=True)})
_place = {"message_id": Field(_number, needed=True), "date": _when, "chat": Field(_chat, needed=True)}
_words = {"text": Field(_text(MAX_TEXT)), "caption": Field(_text(MAX_TEXT))}

SHAPES: Mapping[str, Check] = {
    "message": _object(
        {
            **_place,
            **_words,
            "from": Field(_person),
            "reply_to_message": Field(_object({**_place, **_words})),
        }
    ),
    "callback_query": _object(
        {
            "id": Field(_word, needed=True),
            "from": Field(_person, needed=True),
            "message": Field(_object(_place)),
            "inline_message_id": Field(_word),
            "chat_instance": Field(None, default=""),
            "data": Field(_word),
        }
    ),
    "my_chat_member": _object(
        {
            "chat": Field(_chat, needed=True),
            "from": Field(_person, needed=True),
            "date": _when,
            "old_chat_member": Field(_standing, needed=True),
            "new_chat_member": Field(_standing, needed=True),
        }
    ),
}


def reduce(update: Any) -> dict[str, Any]:
    """The update with nothing in it but what handlers use; Unreadable, Unused."""
    kind = kind_of(update)
    if kind is None:
        raise Unused
    number = number_of(update)
    if number is None:
        raise _wrong("update_id", "missing, or not a number that can be used")
    body = SHAPES[kind](update[kind], kind)
    if kind == "message":
        silent = not (body.get("text") or body.get("caption")) and any(name in update[kind] for name in SERVICE)
        if silent or "from" not in body:
            raise Unused
    if body["from"]["is_bot"]:
        raise Unused
    return {"update_id": number, kind: body}


def read(body: bytes, bot: Bot) -> Update:
    """The update as handlers are given it; Unreadable, Unused. Takes as long as its size allows and no longer."""
    reduced = reduce(load(body))
    try:
        return Update.model_validate(reduced, context={"bot": bot})
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise _wrong(where[:200], "refused by the library") from None
