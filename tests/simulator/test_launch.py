"""Launch data, checked by hand: HMAC, Ed25519, fields."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from aiogram import Bot
from aiogram.types import MenuButtonWebApp, WebAppInfo
from aiogram.utils.web_app import safe_parse_webapp_init_data
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from simulator.errors import WrongRequest
from simulator.launch import TEST_PUBLIC_KEY, THEMES
from simulator.simulated import SimulatedTelegram
from tests.simulator.conftest import ADA, GRACE, TOKEN

APP = "https://pilot.example/app/"


def checked(init_data: str, token: str = TOKEN) -> dict[str, str]:
    """The fields, after both checks as Telegram describes them."""
    pairs = parse_qsl(init_data, keep_blank_values=True, strict_parsing=True)
    fields = dict(pairs)
    assert len(fields) == len(pairs)
    given = fields.pop("hash")
    lines = "\n".join(f"{k}={v}" for k, v in sorted(fields.items()))
    key = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    assert hmac.new(key, lines.encode(), hashlib.sha256).hexdigest() == given
    signature = fields.pop("signature")
    assert "=" not in signature
    lines = "\n".join(f"{k}={v}" for k, v in sorted(fields.items()))
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(TEST_PUBLIC_KEY)).verify(
        base64.urlsafe_b64decode(signature + "=="), f"{token.partition(':')[0]}:WebAppData\n{lines}".encode()
    )
    return fields


@pytest.fixture
async def with_app(bot: Bot) -> Bot:
    button = MenuButtonWebApp(text="Open", web_app=WebAppInfo(url=APP))
    await bot.set_chat_menu_button(menu_button=button)
    assert (await bot.get_chat_menu_button()).model_dump() == button.model_dump()
    return bot


async def test_launch_data_is_signed_both_ways(sim: SimulatedTelegram, with_app: Bot) -> None:
    launch = await sim.open_app(ADA)
    fields = checked(launch.init_data)
    user = json.loads(fields["user"])
    assert user == {
        "id": ADA,
        "first_name": "Ada",
        "last_name": "Byron",
        "username": "ada",
        "language_code": "en",
        "allows_write_to_pm": True,
    }
    assert abs(int(fields["auth_date"]) - time.time()) < 60
    assert fields["query_id"]
    # aiogram's own check agrees
    parsed = safe_parse_webapp_init_data(TOKEN, launch.init_data)
    assert parsed.user is not None
    assert parsed.user.id == ADA


@pytest.mark.parametrize("spoil", ["auth_date", "user", "signature"])
async def test_a_changed_field_breaks_it(sim: SimulatedTelegram, with_app: Bot, spoil: str) -> None:
    launch = await sim.open_app(ADA)
    value = dict(parse_qsl(launch.init_data))[spoil]
    other = "8" if value.startswith("9") else "9"
    changed = launch.init_data.replace(f"{spoil}={value[:1]}", f"{spoil}={other}", 1) if spoil != "user" else ""
    changed = changed or launch.init_data.replace("Ada", "Eve", 1)
    assert changed != launch.init_data
    with pytest.raises((AssertionError, InvalidSignature)):
        checked(changed)


async def test_another_token_does_not_fit(sim: SimulatedTelegram, with_app: Bot) -> None:
    launch = await sim.open_app(ADA)
    with pytest.raises(AssertionError):
        checked(launch.init_data, "7000000001:another-one")


@pytest.mark.parametrize(
    ("more", "present", "absent"),
    [
        ({"how": "menu"}, {"query_id", "user"}, {"chat_instance", "start_param"}),
        ({"how": "inline", "url": APP + "#/x"}, {"query_id", "user"}, {"chat_instance"}),
        ({"start_param": "apr_1"}, {"chat_instance", "chat_type", "start_param", "user"}, {"query_id"}),
        ({"how": "keyboard"}, {"auth_date"}, {"user", "query_id"}),
    ],
)
async def test_each_way_of_opening_has_its_fields(
    sim: SimulatedTelegram, with_app: Bot, more: dict[str, Any], present: set[str], absent: set[str]
) -> None:
    fields = checked((await sim.open_app(GRACE, **more)).init_data)
    assert present <= set(fields)
    assert not absent & set(fields)


async def test_the_address_carries_launch_data_in_its_fragment(sim: SimulatedTelegram, with_app: Bot) -> None:
    launch = await sim.open_app(ADA, theme="dark", start_param="apr_17")
    parts = urlsplit(launch.url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == APP
    assert parts.query == "tgWebAppStartParam=apr_17"
    given = dict(parse_qsl(parts.fragment))
    assert given["tgWebAppData"] == launch.init_data
    assert (given["tgWebAppVersion"], given["tgWebAppPlatform"]) == ("9.6", "web")
    assert json.loads(given["tgWebAppThemeParams"]) == THEMES["dark"]
    # a route of the app's own stays in front of it
    routed = await sim.open_app(ADA, url=f"{APP}#/approvals/1", how="inline")
    assert unquote(urlsplit(routed.url).fragment).startswith("/approvals/1?tgWebAppData=")


async def test_an_old_date_and_a_picture_can_be_asked_for(sim: SimulatedTelegram, with_app: Bot) -> None:
    await sim.add_user(9, "Zoë", photo_url="https://t.me/i/userpic/320/z.svg", is_premium=True)
    fields = checked((await sim.open_app(9, auth_date=1_700_000_000)).init_data)
    assert fields["auth_date"] == "1700000000"
    assert "https:\\/\\/t.me" in fields["user"]
    assert json.loads(fields["user"])["photo_url"] == "https://t.me/i/userpic/320/z.svg"
    assert json.loads(fields["user"])["first_name"] == "Zoë"


async def test_what_cannot_be_opened_says_why(sim: SimulatedTelegram, bot: Bot) -> None:
    await bot.get_me()
    with pytest.raises(WrongRequest, match="no Mini App"):
        await sim.open_app(ADA)
    with pytest.raises(WrongRequest, match="no user"):
        await sim.open_app(4040, url=APP)
    with pytest.raises(WrongRequest, match="start parameter"):
        await sim.open_app(ADA, url=APP, start_param="no spaces")


async def test_an_app_may_answer_its_query_once(sim: SimulatedTelegram, with_app: Bot) -> None:
    from aiogram.exceptions import TelegramBadRequest
    from aiogram.types import InlineQueryResultArticle, InputTextMessageContent

    query_id = checked((await sim.open_app(ADA)).init_data)["query_id"]
    result = InlineQueryResultArticle(
        id="1", title="t", input_message_content=InputTextMessageContent(message_text="from the app")
    )
    await with_app.answer_web_app_query(query_id, result)
    assert [m["text"] for m in await sim.messages(ADA)] == ["from the app"]
    with pytest.raises(TelegramBadRequest, match="query is too old"):
        await with_app.answer_web_app_query(query_id, result)
