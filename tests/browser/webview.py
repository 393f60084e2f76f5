"""Telegram's WebView as the Mini App sees it: signed launch data, and a host that answers its events."""

import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import quote, urlencode

from playwright.async_api import Page

TOKEN = "7000000001:AAbrowserTestTokenOfNobody"
LIGHT = {
    "bg_color": "#ffffff",
    "secondary_bg_color": "#efeff4",
    "section_bg_color": "#ffffff",
    "text_color": "#000000",
    "hint_color": "#707579",
    "subtitle_text_color": "#6d6d72",
    "link_color": "#2481cc",
    "button_color": "#2481cc",
    "button_text_color": "#ffffff",
    "section_header_text_color": "#1a6fae",
    "destructive_text_color": "#cc2929",
}
DARK = {
    "bg_color": "#17212b",
    "secondary_bg_color": "#0e1621",
    "section_bg_color": "#17212b",
    "text_color": "#f5f5f5",
    "hint_color": "#708499",
    "subtitle_text_color": "#8b9bab",
    "link_color": "#6ab3f3",
    "button_color": "#5288c1",
    "button_text_color": "#ffffff",
    "section_header_text_color": "#6ab3f3",
    "destructive_text_color": "#ec5f5f",
}
THEMES = {"light": LIGHT, "dark": DARK}

_MOCK = """
window.__events = [];
window.__popup = "yes";
window.TelegramWebviewProxy = {postEvent: (type, text) => {
  const data = text ? JSON.parse(text) : null;
  window.__events.push([type, data]);
  const reply = (name, payload) => setTimeout(() => window.Telegram.WebView.receiveEvent(name, payload), 5);
  if (type === "web_app_request_theme") reply("theme_changed", {theme_params: THEME});
  if (type === "web_app_request_viewport") reply("viewport_changed", {height: innerHeight, width: innerWidth, is_state_stable: true, is_expanded: true});
  if (type === "web_app_request_safe_area") reply("safe_area_changed", {top: 0, bottom: 20, left: 0, right: 0});
  if (type === "web_app_request_content_safe_area") reply("content_safe_area_changed", {top: 0, bottom: 0, left: 0, right: 0});
  if (type === "web_app_open_popup") reply("popup_closed", {button_id: window.__popup});
}};
"""


def init_data(user_id: int, name: str, *, language: str = "en", start_param: str = "", ago: int = 0) -> str:
    """Launch data as Telegram signed it `ago` seconds ago for the bot with TOKEN."""
    user = {"id": user_id, "first_name": name, "language_code": language, "allows_write_to_pm": True}
    pairs = {
        "auth_date": str(int(time.time()) - ago),
        "query_id": f"AAE{time.time_ns()}",
        "user": json.dumps(user, separators=(",", ":")),
    }
    if start_param:
        pairs["start_param"] = start_param
    text = "\n".join(f"{key}={pairs[key]}" for key in sorted(pairs))
    secret = hmac.new(b"WebAppData", TOKEN.encode(), hashlib.sha256).digest()
    pairs["hash"] = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
    return urlencode(pairs)


async def open_app(
    page: Page,
    base: str,
    *,
    user_id: int = 1001,
    name: str = "Ada",
    theme: str = "light",
    language: str = "en",
    query: str = "",
    start_param: str = "",
    route: str = "",
    ago: int = 0,
) -> None:
    """Open the Mini App as Telegram would, with `route` as a button's page."""
    await page.add_init_script(_MOCK.replace("THEME", json.dumps(THEMES[theme])))
    launch = {
        "tgWebAppData": init_data(user_id, name, language=language, start_param=start_param, ago=ago),
        "tgWebAppVersion": "9.6",
        "tgWebAppPlatform": "android",
        "tgWebAppThemeParams": json.dumps(THEMES[theme]),
    }
    fragment = "&".join(f"{key}={quote(value, safe='')}" for key, value in launch.items())
    await page.goto(f"{base}/app/{'?' + query if query else ''}#{route + '?' if route else ''}{fragment}")


async def events(page: Page, name: str) -> list[Any]:
    """What the app posted to Telegram under this name."""
    found: list[Any] = await page.evaluate(
        "name => window.__events.filter(([type]) => type === name).map(([, data]) => data)", name
    )
    return found


async def press(page: Page, event: str) -> None:
    """Telegram's own button was pressed."""
    await page.evaluate("event => window.Telegram.WebView.receiveEvent(event, {})", event)
