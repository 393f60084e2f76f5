"""Telegram's rules, with Telegram's words: texts, entities, markup, keyboards."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

TEXT_LIMIT = 4096
CAPTION_LIMIT = 1024
CALLBACK_BYTES = 64
ANSWER_LIMIT = 200
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
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "tg-emoji": "custom_emoji",
}
_COMMAND = re.compile(r"/[A-Za-z0-9_]{1,64}(@[A-Za-z0-9_]+)?")


class ApiError(Exception):
    """An answer of the Bot API that is not ok."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


def bad(description: str) -> ApiError:
    """A 400."""
    return ApiError(400, f"Bad Request: {description}")


def units(text: str) -> int:
    """The length as Telegram counts it: UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class _Html(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.text = ""
        self.entities: list[dict[str, Any]] = []
        self.open: list[tuple[str, dict[str, Any]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS:
            raise bad(f'can\'t parse entities: Unsupported start tag "{tag}" at byte offset {len(self.text.encode())}')
        given = dict(attrs)
        entity: dict[str, Any] = {"type": _TAGS[tag], "offset": units(self.text)}
        if tag == "a":
            entity["url"] = given.get("href") or ""
        if tag == "code" and self.open and self.open[-1][0] == "pre" and given.get("class", ""):
            self.open[-1][1]["language"] = str(given["class"]).removeprefix("language-")
        self.open.append((tag, entity))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1][0] != tag:
            raise bad(f"can't parse entities: Unexpected end tag at byte offset {len(self.text.encode())}")
        _, entity = self.open.pop()
        entity["length"] = units(self.text) - entity["offset"]
        if entity["length"] > 0:
            self.entities.append(entity)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_entityref(self, name: str) -> None:
        if name not in ("lt", "gt", "amp", "quot"):
            raise bad(f"can't parse entities: Unsupported entity &{name};")
        self.text += unescape(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.text += unescape(f"&#{name};")


def parsed(text: str, params: dict[str, Any], *, entities_key: str = "entities") -> tuple[str, list[dict[str, Any]]]:
    """Text and entities of a message as it will be shown."""
    mode = params.get("parse_mode")
    if mode == "HTML":
        parser = _Html()
        parser.feed(text)
        parser.close()
        if parser.open:
            raise bad(f"can't parse entities: Can't find end tag corresponding to start tag \"{parser.open[-1][0]}\"")
        return parser.text.strip(), sorted(parser.entities, key=lambda e: (e["offset"], -e["length"]))
    if mode:
        raise bad(f"unsupported parse_mode {mode}")
    entities = load(params.get(entities_key)) or []
    for entity in entities:
        start, length = entity.get("offset", -1), entity.get("length", 0)
        if start < 0 or length <= 0 or start + length > units(text):
            raise bad("can't parse entities: entity bounds are outside of the text")
    return text, entities


def checked_text(params: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """The text of sendMessage and editMessageText."""
    text, entities = parsed(str(params.get("text", "")), params)
    if not text.strip():
        raise bad("message text is empty")
    if units(text) > TEXT_LIMIT:
        raise bad("message is too long")
    return text, entities


def checked_markup(params: dict[str, Any], *, private: bool) -> dict[str, Any] | None:
    """The keyboard, checked."""
    markup: dict[str, Any] | None = load(params.get("reply_markup"))
    if not markup:
        return None
    for row in markup.get("inline_keyboard", []):
        for button in row:
            if not str(button.get("text", "")).strip():
                raise bad("inline keyboard button text is empty")
            data = button.get("callback_data")
            if data is not None and not 1 <= len(str(data).encode()) <= CALLBACK_BYTES:
                raise bad("BUTTON_DATA_INVALID")
            if "web_app" in button and not private:
                raise bad("BUTTON_TYPE_INVALID")
            if "url" in button and not str(button["url"]).startswith(("http://", "https://", "tg://")):
                raise bad("BUTTON_URL_INVALID")
            if not {"callback_data", "url", "web_app", "login_url", "copy_text", "pay", "switch_inline_query"} & set(
                button
            ):
                raise bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    return markup


def load(value: Any) -> Any:
    """A parameter that may come as JSON text (form) or as JSON already."""
    return json.loads(value) if isinstance(value, str) and value else value


def commands_in(text: str) -> list[dict[str, Any]]:
    """bot_command entities of what a person typed."""
    return [
        {"type": "bot_command", "offset": units(text[: m.start()]), "length": len(m.group())}
        for m in _COMMAND.finditer(text)
        if m.start() == 0 or text[m.start() - 1].isspace()
    ]
