"""Ways into the Mini App: a button is only made where Telegram takes the message with it."""

import pytest

from bot.links import Links, opens_in_chat
from simulator.errors import ApiError
from simulator.markup import checked_markup, checked_menu_button

ADDRESSES = [
    "https://pilot.example",
    "https://pilot.example:8443",
    "https://127.0.0.1:3100",
    "https://[::1]:3100",
    "http://pilot.example",
    "http://127.0.0.1:3100",
    "http://localhost:3100",
    "https://localhost",
    "https://pilot:3100",
    "",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_telegram_takes_what_is_offered_and_would_refuse_the_rest(address: str) -> None:
    links = Links(app_url=address, in_chat=opens_in_chat(address), username="pilot_bot")
    offered = links.button("Open", page="approvals/1", private=True, workspace_id="w-1")
    button = {"text": "Open", "web_app": {"url": links.mini_app}}
    if offered is None:
        with pytest.raises(ApiError):
            checked_markup({"inline_keyboard": [[button]]}, private=True)
        with pytest.raises(ApiError):
            checked_menu_button(button | {"type": "web_app"})
    else:
        assert checked_markup({"inline_keyboard": [[offered]]}, private=True) is not None
        assert checked_menu_button(button | {"type": "web_app"})["web_app"] == {"url": links.mini_app}


def test_groups_get_a_link_instead() -> None:
    links = Links(app_url="https://pilot.example", in_chat=True, username="pilot_bot")
    offered = links.button("Open", start="apr_1", private=False)
    assert offered == {"text": "Open", "url": "https://t.me/pilot_bot?startapp=apr_1"}
    assert checked_markup({"inline_keyboard": [[offered]]}, private=False) is not None
