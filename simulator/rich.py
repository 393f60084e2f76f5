"""Rich messages: blocks within blocks, checked by type and field, within the limits Telegram documents.

The limits are documented; the words of these refusals are from memory, as no public source has them.
"""

from collections.abc import Iterator
from typing import Any

from simulator.errors import bad
from simulator.markup import inline_button
from simulator.text import units

LEVELS = 16
BLOCK_LIMIT = 500
TEXT_UNITS = 32_768
MEDIA_LIMIT = 50
COLUMNS = 20

Rich = dict[str, Any]

# type -> fields: what is in them, `?` at the end when they may be missing
BLOCKS: dict[str, dict[str, str]] = {
    "paragraph": {"text": "text"},
    "heading": {"text": "text", "size": "int"},
    "pre": {"text": "text", "language": "str?"},
    "footer": {"text": "text"},
    "divider": {},
    "mathematical_expression": {"expression": "str"},
    "anchor": {"name": "str"},
    "list": {"items": "items"},
    "blockquote": {"blocks": "blocks", "credit": "text?"},
    "expandable_blockquote": {"text": "text", "credit": "text?"},
    "pullquote": {"text": "text", "credit": "text?"},
    "collage": {"blocks": "blocks", "caption": "caption?"},
    "slideshow": {"blocks": "blocks", "caption": "caption?"},
    "table": {
        "cells": "cells",
        "is_bordered": "bool?",
        "is_striped": "bool?",
        "is_compact": "bool?",
        "caption": "text?",
    },
    "details": {"summary": "text", "blocks": "blocks", "is_open": "bool?"},
    "map": {"location": "object", "zoom": "int?", "width": "int?", "height": "int?", "caption": "caption?"},
    "buttons": {"buttons": "buttons", "align": "str?"},
    "animation": {"animation": "media", "has_spoiler": "bool?", "caption": "caption?"},
    "audio": {"audio": "media", "caption": "caption?"},
    "document": {"document": "media", "caption": "caption?"},
    "photo": {"photo": "media", "has_spoiler": "bool?", "caption": "caption?"},
    "video": {"video": "media", "has_spoiler": "bool?", "caption": "caption?"},
    "voice_note": {"voice_note": "media", "caption": "caption?"},
    "thinking": {"text": "text"},
}
TEXTS: dict[str, dict[str, str]] = {
    "bold": {"text": "text"},
    "italic": {"text": "text"},
    "underline": {"text": "text"},
    "strikethrough": {"text": "text"},
    "spoiler": {"text": "text"},
    "subscript": {"text": "text"},
    "superscript": {"text": "text"},
    "marked": {"text": "text"},
    "code": {"text": "text"},
    "date_time": {"text": "text", "unix_time": "int", "date_time_format": "str"},
    "text_mention": {"text": "text", "user": "object"},
    "custom_emoji": {"custom_emoji_id": "str", "alternative_text": "str"},
    "mathematical_expression": {"expression": "str"},
    "url": {"text": "text", "url": "str"},
    "email_address": {"text": "text", "email_address": "str"},
    "phone_number": {"text": "text", "phone_number": "str"},
    "bank_card_number": {"text": "text", "bank_card_number": "str"},
    "mention": {"text": "text", "username": "str"},
    "hashtag": {"text": "text", "hashtag": "str"},
    "cashtag": {"text": "text", "cashtag": "str"},
    "bot_command": {"text": "text", "bot_command": "str"},
    "button": {"button": "button"},
    "anchor": {"name": "str"},
    "anchor_link": {"text": "text", "anchor_name": "str"},
    "reference": {"text": "text", "name": "str"},
    "reference_link": {"text": "text", "reference_name": "str"},
}
ITEM = {"label": "str?", "blocks": "blocks", "has_checkbox": "bool?", "is_checked": "bool?"}
ITEM |= {"value": "int?", "type": "str?"}
CELL = {"text": "text?", "is_header": "bool?", "colspan": "int?", "rowspan": "int?", "align": "str?", "valign": "str?"}
CAPTION = {"text": "text", "credit": "text?"}
_SIMPLE = {"str": (str, "String"), "int": (int, "Number"), "bool": (bool, "Boolean"), "object": (dict, "Object")}


def sent_rich(given: Any, *, private: bool, http_apps: bool = False) -> Rich:
    """The rich message a bot sends, as it is kept. Raises ApiError 400."""
    if not isinstance(given, dict):
        raise bad("object expected as rich message")
    ways = [name for name in ("html", "markdown", "blocks") if given.get(name)]
    if len(ways) != 1:
        raise bad("rich message must be non-empty" if not ways else "exactly one of html, markdown or blocks expected")
    if ways != ["blocks"]:
        raise bad(f"the simulator does not read rich {ways[0]}; use blocks")
    return _Check(private=private, http_apps=http_apps, received=False).message(given)


def received_rich(given: Any) -> Rich:
    """A rich message somebody forwards: media may be in it, as the Bot API shows them. Raises ApiError 400."""
    return _Check(private=True, http_apps=True, received=True).message(given)


class _Check:
    """One pass over a message: counts what has a limit, gives it back as the Bot API shows it."""

    def __init__(self, *, private: bool, http_apps: bool, received: bool) -> None:
        self._private = private
        self._http_apps = http_apps
        self._received = received
        self._blocks = self._units = self._media = 0

    def message(self, given: Rich) -> Rich:
        blocks = self._value(given.get("blocks"), "blocks", "blocks", 0)
        if not blocks:
            raise bad("rich message must be non-empty")
        return {"blocks": blocks} | ({"is_rtl": True} if given.get("is_rtl") else {})

    def _value(self, value: Any, kind: str, name: str, level: int) -> Any:
        if kind == "blocks" and level > LEVELS:
            raise bad("rich message is nested too deep")
        if kind in _SIMPLE:
            of, words = _SIMPLE[kind]
            if not isinstance(value, of) or (of is int and isinstance(value, bool)):
                raise bad(f'can\'t parse rich message: Field "{name}" must be of type {words}')
            return value
        read: dict[str, Any] = {
            "text": self._text,
            "blocks": self._list_of(self._block),
            "items": self._list_of(self._item),
            "cells": self._list_of(self._list_of(self._cell)),
            "buttons": self._list_of(self._button),
            "button": self._button,
            "caption": lambda one, deep: self._fields(one, CAPTION, deep),
            "media": self._one_media,
        }
        return read[kind](value, level)

    def _list_of(self, read: Any) -> Any:
        def every(value: Any, level: int) -> list[Any]:
            if not isinstance(value, list):
                raise bad("can't parse rich message: Array expected")
            return [read(one, level) for one in value]

        return every

    def _fields(self, given: Any, fields: dict[str, str], level: int) -> Rich:
        if not isinstance(given, dict):
            raise bad("can't parse rich message: Object expected")
        kept: Rich = {}
        for name, kind in fields.items():
            if given.get(name) is not None:
                kept[name] = self._value(given[name], kind.rstrip("?"), name, level)
            elif not kind.endswith("?"):
                raise bad(f"can't parse rich message: Can't find field \"{name}\"")
        return kept

    def _count(self) -> None:
        self._blocks += 1
        if self._blocks > BLOCK_LIMIT:
            raise bad("rich message has too many blocks")

    def _block(self, given: Any, level: int) -> Rich:
        self._count()
        kind = given.get("type") if isinstance(given, dict) else None
        if not isinstance(kind, str) or kind not in BLOCKS:
            raise bad("can't parse rich message: Unsupported block type specified")
        kept: Rich = {"type": kind} | self._fields(given, BLOCKS[kind], level + 1)
        if kind == "map":
            shown: Rich = {"zoom": 15, "width": 600, "height": 400}
            kept = shown | kept
        if kind == "table" and any(len(row) > COLUMNS for row in kept["cells"]):
            raise bad("rich message table has too many columns")
        return kept

    def _item(self, given: Any, level: int) -> Rich:
        self._count()
        kept = self._fields(given, ITEM, level)
        return {"label": f"{kept['value']}." if "value" in kept else "•"} | kept

    def _cell(self, given: Any, level: int) -> Rich:
        return {"align": "left", "valign": "top"} | self._fields(given, CELL, level)

    def _button(self, given: Any, level: int) -> Rich:
        self._fields(given, {"text": "text"}, level)
        what = "rich message button"
        return inline_button(given, private=self._private, http_apps=self._http_apps, text=False, what=what)

    def _one_media(self, given: Any, _level: int) -> Any:
        if not self._received:
            raise bad("the simulator takes no media in rich messages")
        self._media += 1
        if self._media > MEDIA_LIMIT:
            raise bad("rich message has too many media")
        return given

    def _text(self, given: Any, level: int, inside: int = 0) -> Any:
        if inside > LEVELS:
            raise bad("rich message is nested too deep")
        if isinstance(given, str):
            self._units += units(given)
            if self._units > TEXT_UNITS:
                raise bad("rich message is too long")
            return given
        if isinstance(given, list):
            return [self._text(one, level, inside + 1) for one in given]
        kind = given.get("type") if isinstance(given, dict) else None
        if not isinstance(kind, str) or kind not in TEXTS:
            raise bad("can't parse rich message: Unsupported text type specified")
        fields = {name: of for name, of in TEXTS[kind].items() if of != "text"}
        kept = {"type": kind} | self._fields(given, fields, level)
        if "text" in TEXTS[kind]:
            if given.get("text") is None:
                raise bad("can't parse rich message: Can't find field \"text\"")
            kept["text"] = self._text(given["text"], level, inside + 1)
        return kept


def buttons_of(rich: Rich) -> Iterator[dict[str, Any]]:
    """Every button of a rich message, in the order it is read."""
    left: list[Any] = [rich.get("blocks")]
    while left:
        one = left.pop()
        if isinstance(one, list):
            left.extend(reversed(one))
        elif isinstance(one, dict):
            if one.get("type") == "button":
                yield one["button"]
            elif one.get("type") == "buttons":
                yield from one["buttons"]
            else:
                left.extend(reversed(list(one.values())))


def plain(text: Any) -> str:
    """A rich text, or a whole message, as its words alone."""
    if isinstance(text, str):
        return text
    if isinstance(text, list):
        return "".join(map(plain, text))
    if not isinstance(text, dict):
        return ""
    if "type" not in text and "blocks" in text and "label" not in text:
        return "\n".join(filter(None, map(plain, text["blocks"])))
    names = ("label", "summary", "text", "blocks", "items", "cells", "credit", "caption", "expression", "buttons")
    return " ".join(filter(None, (plain(text[name]) for name in names if name in text)))
