"""Whatever comes, a model is given little: a few fields of known types, and no list, union or depth among them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aiogram import Bot
from aiogram.methods import EditMessageText, GetMe, SendMessage, SetWebhook
from aiogram.types import Message

from bot.intake import Offset
from bot.reading import SERVICE, read, reduce
from bot.session import BotSession, UnreadableAnswerError
from domain.chat.updates import KINDS, Arrived, Unreadable, Unused, arrived, load
from tests.bot.updates import CHAT, MESSAGE, OTHER_TYPES, PERSON, Maker, deep, nested, replies, rich, schema

TOKEN = "42:SECRET"


def values(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from values(inner)


def is_small(update: dict[str, Any]) -> bool:
    found = list(values(update))
    return len(found) < 60 and not any(isinstance(value, list) for value in found)


def test_the_kinds_are_those_handlers_are_asked_for() -> None:
    from bot.dispatcher import ROUTERS

    used = {name for router in ROUTERS for name, seen in router.observers.items() if seen.handlers}
    assert used == set(KINDS)


def test_nothing_but_named_fields_reaches_a_model() -> None:
    """Of every field the schema has of what is read, with anything in it, nothing gets through that was not checked."""
    maker = Maker(3)
    read_before = 0
    for name, wanted in schema()["types"]["Message"].items():
        for value in (maker.value(wanted.lstrip("!")), rich(16), replies(20), nested("{", 90), "x" * 9, [], {}):
            for path in ((), ("reply_to_message",)):
                message = {**MESSAGE, "reply_to_message": {**MESSAGE}}
                holder = message if not path else message["reply_to_message"]
                holder[name] = value
                try:
                    assert is_small(reduce({"update_id": 5, "message": message}))
                    read_before += 1
                except (Unreadable, Unused):
                    assert name in ("message_id", "chat", "from", "text", "caption", "reply_to_message")
    assert read_before > 1000


@pytest.mark.parametrize("depth", range(3, 17))
def test_a_deep_message_is_read_as_any_other(depth: int) -> None:
    bot = Bot(TOKEN)
    for more in deep(depth):
        update = read(json.dumps({"update_id": 5, "message": {**MESSAGE, **more}}).encode(), bot)
        assert isinstance(update.event, Message)
        assert update.event.text == "/help"
        assert update.event.rich_message is None
        press = {"id": "1", "from": PERSON, "chat_instance": "1", "data": "x", "message": {**MESSAGE, **more}}
        assert read(json.dumps({"update_id": 5, "callback_query": press}).encode(), bot).callback_query is not None


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("message", "not an object"),
        ("message.message_id", "not a whole number"),
        ("message.chat", "not an object"),
        ("message.chat.id", "not a whole number"),
        ("message.chat.type", "not text"),
        ("message.from", "not an object"),
        ("message.from.id", "not a whole number"),
        ("message.from.is_bot", "neither true nor false"),
        ("message.from.first_name", "not text"),
        ("message.text", "not text"),
        ("message.reply_to_message", "not an object"),
        ("message.reply_to_message.message_id", "not a whole number"),
    ],
)
def test_a_field_that_is_read_and_wrong_is_named(path: str, why: str) -> None:
    for wrong in OTHER_TYPES:
        update: dict[str, Any] = {
            "update_id": 5,
            "message": json.loads(json.dumps({**MESSAGE, "reply_to_message": MESSAGE})),
        }
        *way, last = path.split(".")
        holder = update
        for name in way:
            holder = holder[name]
        if wrong is None or type(wrong) is type(holder[last]):
            continue
        holder[last] = wrong
        # named, and nothing of what it holds is said
        with pytest.raises(Unreadable, match=rf"^{re.escape(path)}: {why}"):
            reduce(update)


@pytest.mark.parametrize("path", ["message_id", "chat", "chat.id", "chat.type", "from.id", "from.is_bot"])
def test_a_field_that_is_needed_and_missing_is_named(path: str) -> None:
    for how in ("null", "gone"):
        message = json.loads(json.dumps(MESSAGE))
        *way, last = path.split(".")
        holder = message
        for name in way:
            holder = holder[name]
        holder[last] = None
        if how == "gone":
            del holder[last]
        with pytest.raises(Unreadable, match=rf"^message\.{re.escape(path)}: missing"):
            reduce({"update_id": 5, "message": message})


@pytest.mark.parametrize("name", SERVICE)
def test_messages_that_only_say_what_happened_are_not_for_pilot(name: str) -> None:
    with pytest.raises(Unused):
        reduce({"update_id": 5, "message": {k: v for k, v in MESSAGE.items() if k != "text"} | {name: rich(16)}})


@pytest.mark.parametrize(
    ("status", "standing"), [("member", "member"), ("administrator", "member"), ("kicked", "kicked"), ("left", "left")]
)
def test_a_standing_is_read_without_the_rest_of_it(status: str, standing: str) -> None:
    """A `can_react_to_messages` that is missing, say, which the library insists on."""
    change = {
        "chat": CHAT,
        "from": PERSON,
        "old_chat_member": {"status": "left"},
        "new_chat_member": {"status": status},
    }
    update = read(json.dumps({"update_id": 5, "my_chat_member": change}).encode(), Bot(TOKEN))
    assert update.my_chat_member is not None
    assert update.my_chat_member.new_chat_member.status == standing


def test_a_standing_of_tomorrow_is_unreadable() -> None:
    change = {
        "chat": CHAT,
        "from": PERSON,
        "old_chat_member": {"status": "left"},
        "new_chat_member": {"status": "observer"},
    }
    with pytest.raises(Unreadable, match=r"my_chat_member\.new_chat_member\.status"):
        reduce({"update_id": 5, "my_chat_member": change})


def test_nul_in_a_text_is_shown_as_what_it_is() -> None:
    update = load(
        b'{"update_id":5,"message":{"message_id":1,"chat":{"id":7,"type":"private"},"from":{"id":7,"is_bot":false},"text":"a\\u0000b"}}'
    )
    assert reduce(update)["message"]["text"] == "a\ufffdb"


# --- answers of the Bot API -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "result",
    [
        {**MESSAGE, "message_id": 9, "reply_to_message": {**MESSAGE, "rich_message": rich(16)}},
        {**MESSAGE, "message_id": 9, "rich_message": rich(16), "pinned_message": replies(16)},
        {"message_id": 9},
        {"message_id": 9, "chat": "future", "date": []},
    ],
)
def test_of_a_sent_message_only_its_number_is_read(result: Any) -> None:
    session, bot = BotSession(), Bot(TOKEN)
    for method in (SendMessage(chat_id=7, text="x"), EditMessageText(chat_id=7, text="x")):
        answer = session.check_response(bot, method, 200, json.dumps({"ok": True, "result": result}))
        assert isinstance(answer.result, Message)
        assert answer.result.message_id == 9


@pytest.mark.parametrize("result", [*OTHER_TYPES, {"message_id": "9"}, {"message_id": -1}, {"message_id": 2**60}])
def test_what_was_sent_is_sent_whatever_is_said_of_it(result: Any) -> None:
    """Sending it again, since its number could not be read, would send it for ever."""
    answer = BotSession().check_response(
        Bot(TOKEN), SendMessage(chat_id=7, text="x"), 200, json.dumps({"ok": True, "result": result})
    )
    assert isinstance(answer.result, Message)
    assert answer.result.message_id == 0


@pytest.mark.parametrize(
    "content", ["", "<html>", "[]", "5", '{"ok":"yes"}', "[" * 5000, '{"ok":true,"result":{"id":"x"}}']
)
def test_an_answer_of_another_shape_is_an_error_that_holds_nothing_of_it(content: str) -> None:
    with pytest.raises(Exception) as refused:
        BotSession().check_response(Bot(TOKEN), GetMe(), 200, content)
    assert "html" not in str(refused.value)


@pytest.mark.parametrize(
    "parameters", [*OTHER_TYPES, {"retry_after": "5"}, {"retry_after": 10**30}, {"migrate_to_chat_id": []}]
)
def test_a_refusal_is_one_whatever_it_holds(parameters: Any) -> None:
    content = {"ok": False, "error_code": 400, "description": "Bad Request: x", "parameters": parameters}
    with pytest.raises(Exception, match=r"Bad Request: x|Flood") as refused:
        BotSession().check_response(Bot(TOKEN), SetWebhook(url="x"), 400, json.dumps(content))
    assert not isinstance(refused.value, UnreadableAnswerError)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 413, 429, 500, 502])
@pytest.mark.parametrize(
    "content", ["", "<html>", '{"ok":false}', '{"ok":false,"description":5,"error_code":"x"}', "null"]
)
def test_every_refusal_is_an_error_of_the_library(status: int, content: str) -> None:
    from aiogram.exceptions import AiogramError

    with pytest.raises(AiogramError):
        BotSession().check_response(Bot(TOKEN), GetMe(), status, content)


# --- the offset -----------------------------------------------------------------------------------


def batch(*numbers: int | str) -> list[Arrived]:
    return [arrived(json.dumps({"update_id": number, "message": MESSAGE}).encode()) for number in numbers]


@pytest.mark.parametrize(
    ("batches", "offset"),
    [
        ([(5, 6, 7)], 8),
        ([(7, 5, 6)], 8),
        ([(5, 5, 5)], 6),
        ([(5,), ("x",)], 7),
        ([(5, "x", "y")], 8),
        ([("x", 5)], 6),
        ([("x",)], None),
        # numbers no offset can have, and one that is far from all others
        ([(5, 2**31)], 6),
        ([(5, 2**52), (6,)], 7),
        ([(5, -1, 2**60)], 6),
        ([(5, 2**60), (6,)], 7),
        ([(5, 2**31 - 1)], 6),
        ([(5,), (2**31 - 1,), (6,)], 7),
        # after a week of silence Telegram counts anew, higher or lower
        ([(5,), (900_000_000,), (900_000_000, 900_000_001)], 900_000_002),
        ([(900_000_000,), (5,), (5, 6)], 7),
    ],
)
def test_the_offset_follows_the_numbers_and_no_stray_one(
    batches: list[tuple[int | str, ...]], offset: int | None
) -> None:
    one = Offset()
    for numbers in batches:
        found = batch(*numbers)
        one.advance(found, found)
    assert one.value == offset


def test_the_same_unnumbered_update_moves_the_offset_once() -> None:
    one = Offset()
    one.advance(batch(5), [])
    found = batch("x")
    one.advance(found, found)
    assert one.value == 7
    one.advance(found, [])
    assert one.value == 7


def test_a_stray_number_of_before_the_start_is_stray_still() -> None:
    one = Offset()
    one.remember([900_000_000, 5, 6, 4])
    one.advance(batch(900_000_000), [])
    assert one.value is None
    one.advance(batch(7, 900_000_000), batch(7))
    assert one.value == 8
