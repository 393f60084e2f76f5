"""Launch data of Mini Apps, signed as Telegram signs it: HMAC with the bot's key, Ed25519 with a test key."""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# Not Telegram's: a key pair of the simulator. It is published, so that third-party checks can be tested,
# and worth nothing elsewhere for that reason.
TEST_SEED = bytes.fromhex("73" * 32)
TEST_PUBLIC_KEY = Ed25519PrivateKey.from_private_bytes(TEST_SEED).public_key().public_bytes_raw().hex()
VERSION = "9.6"

THEMES: dict[str, dict[str, str]] = {
    "light": {
        "bg_color": "#ffffff",
        "text_color": "#0f1620",
        "hint_color": "#707579",
        "link_color": "#2481cc",
        "button_color": "#2481cc",
        "button_text_color": "#ffffff",
        "secondary_bg_color": "#f1f2f4",
        "header_bg_color": "#ffffff",
        "bottom_bar_bg_color": "#ffffff",
        "accent_text_color": "#2481cc",
        "section_bg_color": "#ffffff",
        "section_header_text_color": "#2481cc",
        "section_separator_color": "#e3e7eb",
        "subtitle_text_color": "#707579",
        "destructive_text_color": "#d14e4e",
    },
    "dark": {
        "bg_color": "#17212b",
        "text_color": "#f5f5f5",
        "hint_color": "#8b9aa9",
        "link_color": "#6ab3f3",
        "button_color": "#5288c1",
        "button_text_color": "#ffffff",
        "secondary_bg_color": "#0e1620",
        "header_bg_color": "#17212b",
        "bottom_bar_bg_color": "#17212b",
        "accent_text_color": "#6ab3f3",
        "section_bg_color": "#17212b",
        "section_header_text_color": "#6ab3f3",
        "section_separator_color": "#22303e",
        "subtitle_text_color": "#8b9aa9",
        "destructive_text_color": "#ec6a6a",
    },
}


def user_field(user: dict[str, Any]) -> str:
    """The `user` field: Telegram's JSON, in which slashes are escaped."""
    shown: dict[str, Any] = {
        name: user[name] for name in ("id", "first_name", "last_name", "username", "language_code") if name in user
    }
    if user.get("is_premium"):
        shown["is_premium"] = True
    shown["allows_write_to_pm"] = True
    if user.get("photo_url"):
        shown["photo_url"] = user["photo_url"]
    return json.dumps(shown, separators=(",", ":"), ensure_ascii=False).replace("/", "\\/")


def signed(token: str, fields: dict[str, str]) -> str:
    """Launch data with `signature` and `hash` over these fields.

    The signature covers `<bot id>:WebAppData` and the fields; the hash covers the fields and the signature.
    """
    bot_id = token.partition(":")[0]
    message = f"{bot_id}:WebAppData\n{_lines(fields)}"
    signature = Ed25519PrivateKey.from_private_bytes(TEST_SEED).sign(message.encode())
    whole = {**fields, "signature": base64.urlsafe_b64encode(signature).decode().rstrip("=")}
    key = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    whole["hash"] = hmac.new(key, _lines(whole).encode(), hashlib.sha256).hexdigest()
    return urlencode(whole, quote_via=quote, safe="")


def _lines(fields: dict[str, str]) -> str:
    return "\n".join(f"{name}={fields[name]}" for name in sorted(fields))


def launch_url(url: str, init_data: str, *, theme: str, platform: str = "web", start_param: str = "") -> str:
    """The address a client opens: launch data in the fragment, which no server sees.

    A start parameter goes into the query as well. A fragment of the app's own (`#/route`) is kept in front.
    """
    parts = urlsplit(url)
    query = "&".join(p for p in (parts.query, f"tgWebAppStartParam={quote(start_param)}" if start_param else "") if p)
    launch = "&".join(
        (
            f"tgWebAppData={quote(init_data, safe='')}",
            f"tgWebAppVersion={VERSION}",
            f"tgWebAppPlatform={platform}",
            f"tgWebAppThemeParams={quote(json.dumps(THEMES[theme], separators=(',', ':')), safe='')}",
        )
    )
    own = parts.fragment
    head = "" if not own else f"{own}&" if "?" in own or not own.startswith("/") else f"{own}?"
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, head + launch))
