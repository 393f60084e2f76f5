"""Texts as Telegram takes them: length in UTF-16 units, HTML with its entities, entities found by themselves."""

import re
from dataclasses import dataclass
from typing import Any

from simulator.errors import bad

TEXT_LIMIT = 4096
CAPTION_LIMIT = 1024
ENTITY_LIMIT = 100

Entity = dict[str, Any]

_TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "code": "code",
    "pre": "pre",
    "a": "text_link",
    "blockquote": "blockquote",
    "span": "spoiler",
    "tg-spoiler": "spoiler",
    "tg-emoji": "custom_emoji",
    "tg-time": "date_time",
}
_CHARACTERS = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_CHARACTER = re.compile(r"&(?:#x([0-9a-fA-F]{1,8})|#([0-9]{1,8})|(lt|gt|amp|quot));?")
_ATTRIBUTE = re.compile(r"""\s*([^\s=>/"']+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9.\-]+)))?""")
_LINK = re.compile(r"(?:https?|tg|mailto|tel)[:]", re.IGNORECASE)
_TYPES = frozenset(_TAGS.values()) | {
    "mention",
    "hashtag",
    "cashtag",
    "bot_command",
    "url",
    "email",
    "phone_number",
    "expandable_blockquote",
    "text_mention",
}
_FOUND = (
    ("bot_command", re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/<>])")),
    ("mention", re.compile(r"(?<![\w@])@[A-Za-z0-9_]{3,32}(?!\w)")),
    ("url", re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)\]]")),
    ("hashtag", re.compile(r"(?<![\w#])#\w*[^\W\d]\w*")),
)
_SOLID = frozenset({"code", "pre"})


def units(text: str) -> int:
    """The length as Telegram counts it: UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, entity: Entity) -> str:
    """The part of a text an entity covers."""
    raw = text.encode("utf-16-le", "surrogatepass")
    start = entity["offset"] * 2
    return raw[start : start + entity["length"] * 2].decode("utf-16-le", "surrogatepass")


@dataclass
class _Open:
    """A tag that waits for its end."""

    tag: str
    entity: Entity
    visible: bool


class _Html:
    """One pass over the text; refuses with Telegram's words and the byte where it happened."""

    def __init__(self, text: str) -> None:
        self.source = text
        self.at = 0
        self.out: list[str] = []
        self.length = 0
        self.open: list[_Open] = []
        self.entities: list[Entity] = []

    def refuse(self, what: str, at: int, after: str = "") -> Exception:
        return bad(f"can't parse entities: {what} at byte offset {len(self.source[:at].encode())}{after}")

    def put(self, text: str) -> None:
        self.out.append(text)
        self.length += units(text)

    def parse(self) -> tuple[str, list[Entity]]:
        source = self.source
        while self.at < len(source):
            char = source[self.at]
            if char == "&":
                self._character()
            elif char != "<":
                stop = min((p for p in (source.find("<", self.at), source.find("&", self.at)) if p >= 0), default=-1)
                stop = len(source) if stop < 0 else stop
                self.put(source[self.at : stop])
                self.at = stop
            elif source.startswith("</", self.at):
                self._end()
            else:
                self._start()
        if self.open:
            raise bad(f"can't parse entities: Can't find end tag corresponding to start tag \"{self.open[-1].tag}\"")
        return "".join(self.out), self.entities

    def _character(self) -> None:
        found = _CHARACTER.match(self.source, self.at)
        code = None
        if found is not None:
            sixteen, ten, name = found.groups()
            code = ord(_CHARACTERS[name]) if name else int(sixteen, 16) if sixteen else int(ten)
        if found is None or code is None or not 0 < code <= 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            self.put("&")
            self.at += 1
        else:
            self.put(chr(code))
            self.at = found.end()

    def _start(self) -> None:
        begin = self.at
        stop = begin + 1
        while stop < len(self.source) and not self.source[stop].isspace() and self.source[stop] != ">":
            stop += 1
        if stop == len(self.source):
            raise self.refuse("Unclosed start tag", begin)
        tag = self.source[begin + 1 : stop].lower()
        if tag not in _TAGS:
            raise self.refuse(f'Unsupported start tag "{tag}"', begin)
        attributes: dict[str, str] = {}
        while True:
            while stop < len(self.source) and self.source[stop].isspace():
                stop += 1
            if stop == len(self.source):
                raise self.refuse("Unclosed start tag", begin)
            if self.source[stop] == ">":
                break
            found = _ATTRIBUTE.match(self.source, stop)
            if found is None:
                raise self.refuse(f'Empty attribute name in the tag "{tag}"', begin)
            stop = found.end()
            if stop < len(self.source) and self.source[stop] not in "> \t\n\r":
                raise self.refuse("Unexpected end of name token", stop)
            attributes[found[1].lower()] = found[2] or found[3] or found[4] or ""
        self.at = stop + 1
        self.open.append(self._opened(tag, attributes, begin))

    def _opened(self, tag: str, attributes: dict[str, str], begin: int) -> _Open:
        entity: Entity = {"type": _TAGS[tag], "offset": self.length, "length": 0}
        visible = not any(o.entity["type"] in _SOLID for o in self.open)
        if tag == "span" and attributes.get("class") != "tg-spoiler":
            raise self.refuse('Tag "span" must have class "tg-spoiler"', begin)
        if tag == "a":
            entity["url"] = _unescaped(attributes.get("href", ""))
            visible = visible and bool(entity["url"])
        elif tag == "tg-emoji":
            entity["custom_emoji_id"] = attributes.get("emoji-id", "")
            if not entity["custom_emoji_id"].isdigit():
                raise self.refuse("Invalid custom emoji identifier specified", begin)
        elif tag == "tg-time":
            if not attributes.get("unix", "").isdigit():
                raise self.refuse('Tag "tg-time" must have attribute "unix"', begin)
            entity["unix_time"] = int(attributes["unix"])
            if attributes.get("format"):
                entity["date_time_format"] = attributes["format"]
        elif tag == "blockquote" and "expandable" in attributes:
            entity["type"] = "expandable_blockquote"
        elif tag == "code" and self.open and self.open[-1].tag == "pre":
            language = attributes.get("class", "").removeprefix("language-")
            if language:
                self.open[-1].entity["language"] = language
        return _Open(tag, entity, visible)

    def _end(self) -> None:
        begin = self.at
        stop = self.source.find(">", begin)
        if stop < 0:
            raise self.refuse("Unclosed end tag", begin)
        name = self.source[begin + 2 : stop].strip().lower()
        if not self.open:
            raise self.refuse("Unexpected end tag", begin)
        last = self.open.pop()
        if name and name != last.tag:
            raise self.refuse("Unmatched end tag", begin, f', expected "</{last.tag}>", found "</{name}>"')
        last.entity["length"] = self.length - last.entity["offset"]
        if last.entity["length"] and last.visible:
            self.entities.append(last.entity)
        self.at = stop + 1


def _unescaped(value: str) -> str:
    return _CHARACTER.sub(lambda m: _CHARACTERS[m[3]] if m[3] else chr(int(m[1], 16) if m[1] else int(m[2])), value)


def parse_html(text: str) -> tuple[str, list[Entity]]:
    """Text and entities of HTML; refuses what Telegram refuses."""
    return _Html(text).parse()


def _checked(text: str, entities: list[Entity]) -> list[Entity]:
    """Entities a bot gave itself: within the text, on borders of characters."""
    total = units(text)
    borders = {0}
    at = 0
    for char in text:
        at += 2 if ord(char) > 0xFFFF else 1
        borders.add(at)
    for entity in entities:
        if not isinstance(entity, dict) or entity.get("type") not in _TYPES:
            raise bad("can't parse MessageEntity: Unsupported type specified")
        start, length = entity.get("offset"), entity.get("length")
        if not isinstance(start, int) or not isinstance(length, int) or start < 0 or length < 0:
            raise bad('can\'t parse MessageEntity: Field "offset" must be a non-negative Number')
        if start > total:
            raise bad(f"entity begins after the end of the text at UTF-16 offset {start}")
        if start + length > total:
            raise bad(
                f"entity beginning at UTF-16 offset {start} ends after the end of the text at UTF-16 offset {total}"
            )
        if start not in borders:
            raise bad(f"entity begins in a middle of a UTF-16 symbol at UTF-16 offset {start}")
        if start + length not in borders:
            raise bad(
                f"entity beginning at UTF-16 offset {start} ends in a middle of a UTF-16 symbol "
                f"at UTF-16 offset {start + length}"
            )
    return [dict(entity) for entity in entities if entity["length"]]


def _trimmed(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Without space at both ends; entities move with the text."""
    head = units(text) - units(text.lstrip())
    clean = text.strip()
    total = units(clean)
    kept = []
    for entity in entities:
        start = max(0, entity["offset"] - head)
        stop = min(total, entity["offset"] - head + entity["length"])
        if stop > start:
            kept.append({**entity, "offset": start, "length": stop - start})
    return clean, kept


def found_in(text: str, taken: list[Entity]) -> list[Entity]:
    """Commands, mentions, links and hashtags Telegram marks by itself, outside of what is marked already."""
    busy = [(e["offset"], e["offset"] + e["length"]) for e in taken if e["type"] in _SOLID or e["type"] == "text_link"]
    found: list[Entity] = []
    for kind, pattern in _FOUND:
        for match in pattern.finditer(text):
            start = units(text[: match.start()])
            stop = start + units(match[0])
            if all(stop <= a or start >= b for a, b in busy):
                found.append({"type": kind, "offset": start, "length": stop - start})
                busy.append((start, stop))
    return found


def formatted(text: str, *, parse_mode: str = "", entities: list[Entity] | None = None) -> tuple[str, list[Entity]]:
    """Text and entities of a message as everybody will see them. Raises ApiError 400."""
    if parse_mode.lower() == "html":
        text, marked = parse_html(text)
    elif parse_mode.lower() in ("markdown", "markdownv2"):
        raise bad(f"the simulator does not read parse_mode {parse_mode}; use HTML or entities")
    elif parse_mode:
        raise bad("unsupported parse_mode")
    else:
        marked = _checked(text, entities or [])
    for entity in marked:
        if entity["type"] == "text_link" and not _LINK.match(str(entity.get("url", ""))):
            raise bad(f"entity URL '{entity.get('url', '')}' is invalid: Wrong HTTP URL")
    clean, marked = _trimmed(text, marked)
    everything = marked + found_in(clean, marked)
    order = sorted(everything, key=lambda e: (e["offset"], -e["length"]))
    return clean, order[:ENTITY_LIMIT]


def message_text(text: str, *, parse_mode: str = "", entities: list[Entity] | None = None) -> tuple[str, list[Entity]]:
    """The text of a message: 1 to 4096 UTF-16 units after its entities were read."""
    if not text:
        raise bad("message text is empty")
    clean, marked = formatted(text, parse_mode=parse_mode, entities=entities)
    if not clean:
        raise bad("text must be non-empty")
    if units(clean) > TEXT_LIMIT:
        raise bad("message is too long")
    return clean, marked


def caption_text(text: str, *, parse_mode: str = "", entities: list[Entity] | None = None) -> tuple[str, list[Entity]]:
    """The caption of a file: at most 1024 UTF-16 units."""
    clean, marked = formatted(text, parse_mode=parse_mode, entities=entities)
    if units(clean) > CAPTION_LIMIT:
        raise bad("message caption is too long")
    return clean, marked
