"""Keyboards under messages, checked as Telegram checks them.

Most words are those of Telegram's own Bot API server; REPLY_MARKUP limits, BUTTON_DATA_INVALID, BUTTON_TYPE_INVALID
and BUTTON_COPY_TEXT_INVALID come from the servers behind it and are given from memory.
"""

from typing import Any

from simulator.errors import bad
from simulator.links import why_wrong
from simulator.text import units

CALLBACK_BYTES = 64
COPY_LIMIT = 256
ROW_LIMIT = 8
BUTTON_LIMIT = 100
STYLES = frozenset({"danger", "success", "primary", "default"})
# the first of them that is there says what a button does
ACTIONS = (
    "url",
    "callback_data",
    "callback_game",
    "pay",
    "switch_inline_query",
    "switch_inline_query_chosen_chat",
    "switch_inline_query_current_chat",
    "login_url",
    "web_app",
    "copy_text",
    "disabled",
)
# empty ones count as missing
_MAY_BE_EMPTY = frozenset({"url", "callback_data", "pay"})

Markup = dict[str, Any]


def checked_markup(markup: Any, *, private: bool, only_inline: bool = False, http_apps: bool = False) -> Markup | None:
    """The keyboard, or None for none. `http_apps`: Mini Apps may be at http addresses. Raises ApiError 400."""
    if not markup:
        return None
    if not isinstance(markup, dict):
        raise bad("object expected as reply markup")
    if "inline_keyboard" in markup:
        what = 'field "inline_keyboard" of the InlineKeyboardMarkup'
        rows = [
            [inline_button(button, private=private, http_apps=http_apps) for button in row]
            for row in _rows(markup["inline_keyboard"], what)
        ]
        rows = [row for row in rows if row]
        return {**markup, "inline_keyboard": rows} if rows else None
    if only_inline:
        raise bad("inline keyboard expected")
    if "keyboard" in markup:
        for row in _rows(markup["keyboard"], 'field "keyboard"'):
            for button in row:
                _reply(button, private=private, http_apps=http_apps)
        return markup
    if markup.get("remove_keyboard") or markup.get("force_reply"):
        return markup
    raise bad("can't parse reply keyboard markup JSON object")


def _rows(rows: Any, what: str) -> list[list[Any]]:
    if not isinstance(rows, list) or any(not isinstance(row, list) for row in rows):
        raise bad(f"{what} must be an Array of Arrays")
    if any(len(row) > ROW_LIMIT for row in rows) or sum(map(len, rows)) > BUTTON_LIMIT:
        raise bad("reply markup is too long")
    return rows


def _text(button: Any, what: str, kind: str) -> str:
    if not isinstance(button, dict):
        raise bad(f"can't parse {what}: {kind}")
    text = button.get("text")
    if text is None:
        raise bad(f"can't parse {what}: Can't find field \"text\"")
    if not isinstance(text, str):
        raise bad(f'can\'t parse {what}: Field "text" must be of type String')
    if not text.strip():
        raise bad(f"{what} text must be non-empty")
    return text


def inline_button(
    button: Any, *, private: bool, http_apps: bool = False, text: bool = True, what: str = "inline keyboard button"
) -> dict[str, Any]:
    """An inline button as it is kept. `text`: its text is plain and checked here. Raises ApiError 400."""
    if text:
        _text(button, what, "InlineKeyboardButton must be an Object")
    present = [one for one in ACTIONS if button.get(one) is not None and not (one in _MAY_BE_EMPTY and not button[one])]
    if not present:
        raise bad(f"can't parse {what}: Text buttons are unallowed in the inline keyboard")
    _style(button, what)
    action = present[0]
    value = button[action]
    if action in ("url", "callback_data") and not isinstance(value, str):
        raise bad(f'can\'t parse {what}: Field "{action}" must be of type String')
    if action == "url":
        _address(value, what)
    elif action == "callback_data":
        if len(value.encode("utf-8", "surrogatepass")) > CALLBACK_BYTES:
            raise bad("BUTTON_DATA_INVALID")
    elif action == "login_url":
        _app(value, f"{what} login", "login_url", what, http_apps=http_apps)
    elif action == "web_app":
        _app(value, f"{what} Web App", "web_app", what, http_apps=http_apps)
        if not private:
            raise bad("BUTTON_TYPE_INVALID")
    elif action == "copy_text" and not (
        isinstance(value, dict) and isinstance(value.get("text"), str) and 1 <= units(value["text"]) <= COPY_LIMIT
    ):
        raise bad("BUTTON_COPY_TEXT_INVALID")
    kept: dict[str, Any] = button
    return kept


def _reply(button: Any, *, private: bool, http_apps: bool) -> None:
    if isinstance(button, str):
        return
    what = "keyboard button"
    _text(button, what, "KeyboardButton must be a String or an Object")
    if button.get("web_app"):
        if not private:
            raise bad("web App buttons can be used in private chats only")
        _app(button["web_app"], f"{what} Web App", "web_app", what, http_apps=http_apps)
    _style(button, what)


def _style(button: dict[str, Any], what: str) -> None:
    style = button.get("style")
    if style and (not isinstance(style, str) or style.lower() not in STYLES):
        raise bad(f"can't parse {what}: invalid button style specified")


def _address(url: str, what: str) -> None:
    reason = why_wrong(url)
    if reason:
        raise bad(f"{what} URL '{url}' is invalid: {reason}")


def _app(info: Any, name: str, field: str, what: str, *, http_apps: bool) -> None:
    """An address that must be https; in Telegram's test environment http does as well."""
    if not isinstance(info, dict):
        raise bad(f'can\'t parse {what}: Field "{field}" must be of type Object')
    url = info.get("url")
    if url is None:
        raise bad(f"can't parse {what}: Can't find field \"url\"")
    if not isinstance(url, str):
        raise bad(f'can\'t parse {what}: Field "url" must be of type String')
    reason = why_wrong(url, https_only=not http_apps)
    # a place in the test environment is often this machine, by its name
    if http_apps and reason == "Wrong HTTP URL":
        reason = ""
    if reason:
        raise bad(f"{name} URL '{url}' is invalid: {reason}")


def checked_menu_button(button: Any, *, http_apps: bool = False) -> dict[str, Any]:
    """A menu button: commands, default, or a Mini App with its text. Raises ApiError 400."""
    if not button:
        return {"type": "default"}
    if not isinstance(button, dict):
        raise bad("can't parse menu button: MenuButton must be an Object")
    if button.get("type") not in ("commands", "default", "web_app"):
        raise bad("can't parse menu button: MenuButton has unsupported type")
    if button["type"] == "web_app":
        _text(button, "menu button", "MenuButton must be an Object")
        _app(button.get("web_app"), "menu button Web App", "web_app", "menu button", http_apps=http_apps)
    return button
