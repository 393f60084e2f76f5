"""Launch data of Mini Apps, signed as Telegram signs it: HMAC with the bot's key, Ed25519 with a test key."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# Not Telegram's: a key pair of the simulator, published so that third-party checks can be tested.
TEST_SEED = bytes.fromhex("73" * 32)
TEST_PUBLIC_KEY = Ed25519PrivateKey.from_private_bytes(TEST_SEED).public_key().public_bytes_raw().hex()

THEMES: dict[str, dict[str, str]] = {
    "light": {
        "bg_color": "#ffffff",
        "text_color": "#0f1620",
        "hint_color": "#707579",
        "link_color": "#2481cc",
        "button_color": "#2481cc",
        "button_text_color": "#ffffff",
        "secondary_bg_color": "#f1f2f4",
        "section_bg_color": "#ffffff",
        "section_header_text_color": "#2481cc",
        "subtitle_text_color": "#707579",
        "accent_text_color": "#2481cc",
        "destructive_text_color": "#d14e4e",
        "header_bg_color": "#ffffff",
        "bottom_bar_bg_color": "#ffffff",
    },
    "dark": {
        "bg_color": "#17212b",
        "text_color": "#f5f5f5",
        "hint_color": "#8b9aa9",
        "link_color": "#6ab3f3",
        "button_color": "#5288c1",
        "button_text_color": "#ffffff",
        "secondary_bg_color": "#0e1620",
        "section_bg_color": "#17212b",
        "section_header_text_color": "#6ab3f3",
        "subtitle_text_color": "#8b9aa9",
        "accent_text_color": "#6ab3f3",
        "destructive_text_color": "#ec6a6a",
        "header_bg_color": "#17212b",
        "bottom_bar_bg_color": "#17212b",
    },
}


def init_data(token: str, user: dict[str, Any], *, start_param: str = "", auth_date: int | None = None) -> str:
    """The string a Mini App is launched with."""
    fields = {
        "query_id": "AAE" + secrets.token_urlsafe(9),
        "user": json.dumps(
            {k: v for k, v in user.items() if k != "is_bot"} | {"allows_write_to_pm": True},
            separators=(",", ":"),
            ensure_ascii=False,
        ),
        "auth_date": str(int(time.time()) if auth_date is None else auth_date),
        "chat_instance": str(secrets.randbits(62)),
        "chat_type": "private",
    }
    if start_param:
        fields["start_param"] = start_param
    bot_id = token.partition(":")[0]
    signed = f"{bot_id}:WebAppData\n" + _lines(fields)
    signature = Ed25519PrivateKey.from_private_bytes(TEST_SEED).sign(signed.encode())
    fields["signature"] = base64.urlsafe_b64encode(signature).decode().rstrip("=")
    key = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    fields["hash"] = hmac.new(key, _lines(fields).encode(), hashlib.sha256).hexdigest()
    return urlencode(fields)


def _lines(fields: dict[str, str]) -> str:
    return "\n".join(f"{name}={fields[name]}" for name in sorted(fields))


def launch_url(url: str, data: str, *, theme: str, platform: str = "weba") -> str:
    """The address a client opens: launch data in the fragment, which no server sees."""
    page, _, fragment = url.partition("#")
    parts = [
        f"tgWebAppData={quote(data, safe='')}",
        "tgWebAppVersion=9.6",
        f"tgWebAppPlatform={platform}",
        f"tgWebAppThemeParams={quote(json.dumps(THEMES[theme]), safe='')}",
    ]
    head = f"{fragment}?" if fragment.startswith("/") else f"{fragment}&" if fragment else ""
    return f"{page}#{head}{'&'.join(parts)}"
