"""Keyboards under messages, checked as Telegram checks them."""

from typing import Any
from urllib.parse import urlsplit

from simulator.errors import bad
from simulator.text import units

CALLBACK_BYTES = 64
COPY_LIMIT = 256
ROW_LIMIT = 8
BUTTON_LIMIT = 100
STYLES = frozenset({"danger", "success", "primary"})
_ACTIONS = (
    "callback_data",
    "url",
    "web_app",
    "login_url",
    "copy_text",
    "pay",
    "callback_game",
    "switch_inline_query",
    "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat",
    "disabled",
)

Markup = dict[str, Any]


def checked_markup(markup: Any, *, private: bool, only_inline: bool = False) -> Markup | None:
    """The keyboard, or None for none. Raises ApiError 400."""
    if not markup:
        return None
    if not isinstance(markup, dict):
        raise bad("object expected as reply markup")
    if "inline_keyboard" in markup:
        rows = [[_inline(button, private=private) for button in row] for row in _rows(markup["inline_keyboard"])]
        rows = [row for row in rows if row]
        return {**markup, "inline_keyboard": rows} if rows else None
    if only_inline:
        raise bad("inline keyboard expected")
    if "keyboard" in markup:
        for row in _rows(markup["keyboard"]):
            for button in row:
                _reply(button, private=private)
        return markup
    if markup.get("remove_keyboard") or markup.get("force_reply"):
        return markup
    raise bad("can't parse reply keyboard markup JSON object")


def _rows(rows: Any) -> list[list[Any]]:
    if not isinstance(rows, list) or any(not isinstance(row, list) for row in rows):
        raise bad('field "inline_keyboard" must be of type Array of Arrays')
    if any(len(row) > ROW_LIMIT for row in rows) or sum(map(len, rows)) > BUTTON_LIMIT:
        raise bad("REPLY_MARKUP_TOO_LONG")
    return rows


def _text(button: Any, kind: str) -> str:
    if not isinstance(button, dict):
        raise bad(f"can't parse {kind}: {kind} must be an Object")
    text = button.get("text")
    if text is None:
        raise bad(f"can't parse {kind}: Can't find field \"text\"")
    if not isinstance(text, str) or not text.strip():
        raise bad(f'can\'t parse {kind}: Field "text" must be a non-empty String')
    return text


def _inline(button: Any, *, private: bool) -> dict[str, Any]:
    _text(button, "inline keyboard button")
    present = [action for action in _ACTIONS if button.get(action) not in (None, "", False)]
    if not present:
        raise bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    data = button.get("callback_data")
    if data and len(str(data).encode()) > CALLBACK_BYTES:
        raise bad("BUTTON_DATA_INVALID")
    if button.get("url"):
        _address(str(button["url"]), "inline keyboard button URL")
    if button.get("web_app"):
        if not private:
            raise bad("BUTTON_TYPE_INVALID")
        _web_app(button["web_app"], "inline keyboard button")
    copied = button.get("copy_text")
    if copied and not (isinstance(copied, dict) and 1 <= units(str(copied.get("text", ""))) <= COPY_LIMIT):
        raise bad("BUTTON_COPY_TEXT_INVALID")
    _style(button)
    kept: dict[str, Any] = button
    return kept


def _reply(button: Any, *, private: bool) -> None:
    if isinstance(button, str):
        return
    _text(button, "keyboard button")
    if button.get("web_app"):
        if not private:
            raise bad("BUTTON_TYPE_INVALID")
        _web_app(button["web_app"], "keyboard button")
    _style(button)


def _style(button: dict[str, Any]) -> None:
    if button.get("style") and button["style"] not in STYLES:
        raise bad("can't parse keyboard button: Unsupported button style specified")


def _address(url: str, what: str) -> None:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
    except ValueError:
        raise bad(f"{what} '{url}' is invalid: Wrong HTTP URL") from None
    if parts.scheme not in ("http", "https", "tg", "ton"):
        raise bad(f"{what} '{url}' is invalid: Unsupported URL protocol")
    if not parts.netloc:
        raise bad(f"{what} '{url}' is invalid: URL host is empty")


def _web_app(info: Any, what: str) -> None:
    """Telegram asks for https here; its test servers and this simulator take http as well."""
    url = str(info.get("url", "")) if isinstance(info, dict) else ""
    if not url:
        raise bad(f"{what} Web App URL is empty")
    if urlsplit(url).scheme not in ("https", "http") or not urlsplit(url).netloc:
        raise bad(f"{what} Web App URL '{url}' is invalid: Only HTTPS links are allowed")


def checked_menu_button(button: Any) -> dict[str, Any]:
    """A menu button: commands, default, or a Mini App with its text."""
    if not button:
        return {"type": "default"}
    if not isinstance(button, dict) or button.get("type") not in ("commands", "default", "web_app"):
        raise bad("can't parse menu button: Unsupported menu button type specified")
    if button["type"] == "web_app":
        _text(button, "menu button")
        _web_app(button.get("web_app"), "menu button")
    return button
