"""Texts as Telegram takes them: length in UTF-16 units, HTML with its entities, entities found by themselves."""

import re
from dataclasses import dataclass
from typing import Any

from simulator.errors import bad
from simulator.links import why_wrong

TEXT_LIMIT = 4096
GIVEN_LIMIT = 1 << 15
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
# Telegram finds these itself: entities of a bot that name them are left out
FOUND_BY_TELEGRAM = frozenset(
    {"mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bank_card_number"}
)
TYPES = frozenset(_TAGS.values()) | {"expandable_blockquote", "text_mention"}
# what an entity of a type must say more: field and its type
_MORE: dict[str, tuple[str, type, str]] = {
    "text_link": ("url", str, "String"),
    "text_mention": ("user", dict, "Object"),
    "custom_emoji": ("custom_emoji_id", str, "String"),
    "date_time": ("unix_time", int, "Number"),
}
_DATE_FORMAT = re.compile(r"[rR]|[tTdDwW]*")
_USER = re.compile(r"tg://user\?id=\d+", re.IGNORECASE)
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
        # an address that is none costs the link, not the message
        link = last.entity.get("url", "")
        if last.entity["length"] and last.visible and (not link or _USER.match(link) or not why_wrong(link)):
            self.entities.append(last.entity)
        self.at = stop + 1


def _unescaped(value: str) -> str:
    return _CHARACTER.sub(lambda m: _CHARACTERS[m[3]] if m[3] else chr(int(m[1], 16) if m[1] else int(m[2])), value)


def parse_html(text: str) -> tuple[str, list[Entity]]:
    """Text and entities of HTML; refuses what Telegram refuses."""
    return _Html(text).parse()


def _checked(text: str, entities: list[Entity]) -> list[Entity]:
    """Entities a bot gave itself: of types Telegram takes, within the text, on borders of characters."""
    total = units(text)
    borders = _borders(text)
    kept = []
    for entity in entities:
        start, length = _of_type(entity)
        if entity["type"] in FOUND_BY_TELEGRAM or length == 0:
            continue
        stop = start + length
        if start >= total:
            raise bad(f"entity begins after the end of the text at UTF-16 offset {start}")
        if start not in borders:
            raise bad(f"entity begins in a middle of a UTF-16 symbol at byte offset {_byte(borders, start)}")
        if stop > total:
            raise bad(
                f"entity beginning at UTF-16 offset {start} ends after the end of the text at UTF-16 offset {stop}"
            )
        if stop not in borders:
            raise bad(
                f"entity beginning at UTF-16 offset {start} ends in a middle of a UTF-16 symbol "
                f"at byte offset {_byte(borders, stop)}"
            )
        kept.append(dict(entity))
    return kept


def _borders(text: str) -> dict[int, int]:
    """Where characters begin and end: UTF-16 offset -> byte offset."""
    borders = {0: 0}
    at = byte = 0
    for char in text:
        at += 2 if ord(char) > 0xFFFF else 1
        byte += len(char.encode("utf-8", "surrogatepass"))
        borders[at] = byte
    return borders


def _byte(borders: dict[int, int], offset: int) -> int:
    """The byte a wrong offset is told at: of the character after it."""
    return borders[offset + 1]


def _of_type(entity: Any) -> tuple[int, int]:
    """Offset and length of an entity whose fields are of their types. Raises ApiError."""
    if not isinstance(entity, dict):
        raise bad("can't parse MessageEntity: expected an Object")
    for name in ("offset", "length"):
        if name not in entity:
            raise bad(f"can't parse MessageEntity: Can't find field \"{name}\"")
        if type(entity[name]) is not int or not -(2**31) <= entity[name] < 2**31:
            raise bad(f'can\'t parse MessageEntity: Field "{name}" must be a valid Number')
    kind = entity.get("type")
    if not isinstance(kind, str):
        raise bad("can't parse MessageEntity: Can't find field \"type\"")
    if kind not in TYPES | FOUND_BY_TELEGRAM:
        raise bad(f"can't parse MessageEntity: {'Unsupported type' if kind else 'Type is not'} specified")
    if kind in _MORE:
        name, of, words = _MORE[kind]
        if entity.get(name) is None:
            raise bad(f"can't parse MessageEntity: Can't find field \"{name}\"")
        if not isinstance(entity[name], of) or isinstance(entity[name], bool):
            raise bad(f'can\'t parse MessageEntity: Field "{name}" must be of type {words}')
    if kind == "custom_emoji" and not entity["custom_emoji_id"].isdigit():
        raise bad('can\'t parse MessageEntity: Field "custom_emoji_id" must be a valid Number')
    if kind == "date_time" and not _DATE_FORMAT.fullmatch(str(entity.get("date_time_format") or "")):
        raise bad("can't parse MessageEntity: Invalid date-time format specified")
    if kind == "text_link" and not _USER.match(entity["url"]) and (reason := why_wrong(entity["url"])):
        raise bad(f"entity URL '{entity['url']}' is invalid: {reason}")
    start, length = entity["offset"], entity["length"]
    if not 0 <= start <= 1_000_000:
        raise bad(f"receive an entity with incorrect offset {start}")
    if not 0 <= length <= 1_000_000:
        raise bad(f"receive an entity with incorrect length {length}")
    return start, length


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
    if len(text.encode("utf-8", "surrogatepass")) > GIVEN_LIMIT:
        raise bad("text is too long")
    if parse_mode.lower() == "html":
        text, marked = parse_html(text)
    elif parse_mode.lower() in ("markdown", "markdownv2"):
        raise bad(f"the simulator does not read parse_mode {parse_mode}; use HTML or entities")
    elif parse_mode:
        raise bad("unsupported parse_mode")
    else:
        marked = _checked(text, entities or [])
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


def has_link(entities: list[Entity]) -> bool:
    """Whether a text has a link Telegram could show a preview of."""
    return any(
        e["type"] == "url" or (e["type"] == "text_link" and not e["url"].lower().startswith(("tg:", "ton")))
        for e in entities
    )
