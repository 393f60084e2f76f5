"""Telegram's rules with Telegram's words, met by aiogram's client over HTTP."""

import json
from typing import Any

import aiohttp
import pytest
from aiogram import Bot
from aiogram.enums import ParseMode
from aiogram.exceptions import (
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNotFound,
    TelegramRetryAfter,
)
from aiogram.methods import SendMessageDraft
from aiogram.types import (
    BotCommand,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
    BufferedInputFile,
    CopyTextButton,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    KeyboardButton,
    MessageEntity,
    ReactionTypeEmoji,
    ReplyKeyboardMarkup,
    ReplyParameters,
    WebAppInfo,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.apps import send_app_data
from simulator.bots import bot_of_token
from simulator.control.views import view
from simulator.errors import ApiError
from simulator.messages import post
from simulator.methods.call import METHODS, call
from simulator.params import Params
from simulator.people import add_person, say
from simulator.simulated import SimulatedTelegram
from simulator.telegram import Telegram
from simulator.text import parse_html
from tests.cost import SLOWNESS, cpu
from tests.simulator.conftest import ADA, EVE, GRACE, TOKEN

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844520000000300000002080200000012166fa6"
    "0000000c49444154789c63f8cf40000003fe01fe0e5b5d7c0000000049454e44ae426082"  # pragma: allowlist secret
)


def keys(*buttons: InlineKeyboardButton) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=[list(buttons)])


async def refusal(call: Any) -> str:
    """The description of a 400."""
    with pytest.raises(TelegramBadRequest) as caught:
        await call
    return caught.value.message


# --- who may be written to ------------------------------------------------------------------------


async def test_a_bot_cannot_write_first(sim: SimulatedTelegram, bot: Bot) -> None:
    with pytest.raises(TelegramForbiddenError, match="Forbidden: bot can't initiate conversation with a user"):
        await bot.send_message(ADA, "hello")
    assert await refusal(bot.send_message(4040, "hello")) == "Bad Request: chat not found"
    await sim.send_text(ADA, "/start")
    assert (await bot.send_message(ADA, "hello")).text == "hello"
    with pytest.raises(TelegramForbiddenError):
        await bot.send_message(EVE, "still not")


# --- text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fits"), [("x" * 4096, True), ("x" * 4097, False), ("😀" * 2048, True), ("😀" * 2049, False)]
)
async def test_length_counts_utf16_units(started: Bot, text: str, fits: bool) -> None:
    if fits:
        assert (await started.send_message(ADA, text)).text == text
    else:
        assert await refusal(started.send_message(ADA, text)) == "Bad Request: message is too long"


async def test_length_is_counted_after_the_entities(started: Bot) -> None:
    sent = await started.send_message(ADA, f"<b>{'&lt;' * 4096}</b>", parse_mode=ParseMode.HTML)
    assert sent.text == "<" * 4096


async def test_an_empty_text_is_refused(started: Bot) -> None:
    assert await refusal(started.send_message(ADA, "")) == "Bad Request: message text is empty"
    assert await refusal(started.send_message(ADA, " \n ")) == "Bad Request: text must be non-empty"
    assert "non-empty" in await refusal(started.send_message(ADA, "<b> </b>", parse_mode="HTML"))


async def test_html_becomes_entities(started: Bot) -> None:
    text = (
        '  😀 <b>bold <i>both</i></b> <a href="https://x.example/?a=1&amp;b=2">link</a> &lt;tag&gt; &amp; &nbsp; a & b '
        '<pre><code class="language-python">x = 1</code></pre> <blockquote expandable>q</blockquote> '
        '<span class="tg-spoiler">s</span> <tg-time unix="1790000000" format="Dt">soon</tg-time>'
    )
    sent = await started.send_message(ADA, text, parse_mode="HTML")
    assert sent.text == "😀 bold both link <tag> & &nbsp; a & b x = 1 q s soon"
    found = {(e.type, e.extract_from(sent.text)) for e in sent.entities or []}
    assert found == {
        ("bold", "bold both"),
        ("italic", "both"),
        ("text_link", "link"),
        ("pre", "x = 1"),
        ("expandable_blockquote", "q"),
        ("spoiler", "s"),
        ("date_time", "soon"),
    }
    [pre] = [e for e in sent.entities or [] if e.type == "pre"]
    [link] = [e for e in sent.entities or [] if e.type == "text_link"]
    assert (pre.language, link.url) == ("python", "https://x.example/?a=1&b=2")


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("<div>x</div>", 'Unsupported start tag "div" at byte offset 0'),
        ("é <br>", 'Unsupported start tag "br" at byte offset 3'),
        ("a < b", 'Unsupported start tag "" at byte offset 2'),
        ("a <b", "Unclosed start tag at byte offset 2"),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b><i>x</b></i>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ('<span class="x">y</span>', 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
        ("<a =x>y</a>", 'Empty attribute name in the tag "a" at byte offset 0'),
    ],
)
async def test_broken_html_is_refused(started: Bot, html: str, words: str) -> None:
    said = await refusal(started.send_message(ADA, html, parse_mode="HTML"))
    assert said == f"Bad Request: can't parse entities: {words}"


async def test_other_markup_languages_are_refused_honestly(started: Bot) -> None:
    assert "the simulator does not read parse_mode MarkdownV2" in await refusal(
        started.send_message(ADA, "*x*", parse_mode="MarkdownV2")
    )
    assert await refusal(started.send_message(ADA, "x", parse_mode="wiki")) == "Bad Request: unsupported parse_mode"


@pytest.mark.parametrize(
    ("offset", "length", "words"),
    [
        (0, 9, "entity beginning at UTF-16 offset 0 ends after the end of the text at UTF-16 offset 9"),
        (9, 1, "entity begins after the end of the text at UTF-16 offset 9"),
        (1, 2, "entity begins in a middle of a UTF-16 symbol at byte offset 4"),
        (0, 1, "entity beginning at UTF-16 offset 0 ends in a middle of a UTF-16 symbol at byte offset 4"),
        (4, 1, "entity begins after the end of the text at UTF-16 offset 4"),
        (-1, 1, "receive an entity with incorrect offset -1"),
        (0, -1, "receive an entity with incorrect length -1"),
    ],
)
async def test_entities_stay_within_the_text(started: Bot, offset: int, length: int, words: str) -> None:
    entity = MessageEntity(type="bold", offset=offset, length=length)
    assert words in await refusal(started.send_message(ADA, "😀ab", entities=[entity]))


async def test_good_entities_are_kept_and_links_found(started: Bot) -> None:
    entity = MessageEntity(type="bold", offset=0, length=2)
    sent = await started.send_message(ADA, "😀 see https://x.example/a. Ask @ada or /help", entities=[entity])
    assert [(e.type, e.extract_from(sent.text or "")) for e in sent.entities or []] == [
        ("bold", "😀"),
        ("url", "https://x.example/a"),
        ("mention", "@ada"),
        ("bot_command", "/help"),
    ]


def test_a_million_characters_of_html_take_no_time() -> None:
    assert len(parse_html("<b>x</b>" * 40_000 + "& " * 40_000)[1]) == 40_000
    assert cpu(lambda: parse_html("<b>x</b>" * 40_000 + "& " * 40_000)) < 2 * SLOWNESS


# --- keyboards ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "fits"), [("x" * 64, True), ("x" * 65, False), ("é" * 32, True), ("é" * 33, False)])
async def test_callback_data_is_64_bytes(started: Bot, data: str, fits: bool) -> None:
    call = started.send_message(ADA, "x", reply_markup=keys(InlineKeyboardButton(text="b", callback_data=data)))
    if fits:
        assert (await call).reply_markup is not None
    else:
        assert await refusal(call) == "Bad Request: BUTTON_DATA_INVALID"


@pytest.mark.parametrize(
    ("button", "words"),
    [
        ({"text": "b"}, "Text buttons are unallowed in the inline keyboard"),
        ({"text": "b", "callback_data": ""}, "Text buttons are unallowed in the inline keyboard"),
        ({"text": " ", "callback_data": "x"}, "inline keyboard button text must be non-empty"),
        ({"text": 5, "callback_data": "x"}, 'Field "text" must be of type String'),
        ({"text": "b", "callback_data": 5}, 'Field "callback_data" must be of type String'),
        ("b", "InlineKeyboardButton must be an Object"),
        ({"callback_data": "x"}, 'Can\'t find field "text"'),
        ({"text": "b", "url": "ftp://x.example"}, "'ftp://x.example' is invalid: Unsupported URL protocol"),
        ({"text": "b", "web_app": {"url": "tg://x"}}, "Only HTTPS links are allowed"),
        ({"text": "b", "web_app": {}}, 'Can\'t find field "url"'),
        ({"text": "b", "web_app": "https://x.example"}, 'Field "web_app" must be of type Object'),
        ({"text": "b", "login_url": {"url": "http://x.example"}}, "button login URL 'http://x.example' is invalid"),
        ({"text": "b", "copy_text": {"text": "x" * 257}}, "BUTTON_COPY_TEXT_INVALID"),
        ({"text": "b", "callback_data": "x", "style": "pink"}, "invalid button style specified"),
    ],
)
async def test_wrong_buttons_are_refused(
    sim: SimulatedTelegram, started: Bot, button: dict[str, Any], words: str
) -> None:
    body = {"chat_id": ADA, "text": "x", "reply_markup": {"inline_keyboard": [[button]]}}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{sim.url}/bot{TOKEN}/sendMessage", json=body) as answer,
    ):
        assert answer.status == 400
        said = await answer.json()
    assert (said["ok"], said["error_code"]) == (False, 400)
    assert words in said["description"]


async def test_too_many_buttons_are_refused(started: Bot) -> None:
    wide = keys(*[InlineKeyboardButton(text=str(n), callback_data=str(n)) for n in range(9)])
    assert await refusal(started.send_message(ADA, "x", reply_markup=wide)) == "Bad Request: reply markup is too long"


async def test_styles_and_copy_buttons_stand(started: Bot) -> None:
    markup = keys(
        InlineKeyboardButton(text="Approve", callback_data="a", style="success"),
        InlineKeyboardButton(text="Deny", callback_data="d", style="danger"),
        InlineKeyboardButton(text="Copy", copy_text=CopyTextButton(text="hash")),
    )
    sent = await started.send_message(ADA, "x", reply_markup=markup)
    assert sent.reply_markup is not None
    assert sent.reply_markup.model_dump() == markup.model_dump()


async def test_web_app_buttons_only_in_private(sim: SimulatedTelegram, started: Bot) -> None:
    group = await sim.add_group("Team", [ADA, GRACE])
    markup = keys(InlineKeyboardButton(text="App", web_app=WebAppInfo(url="https://x.example/app/")))
    assert (await started.send_message(ADA, "x", reply_markup=markup)).reply_markup is not None
    assert await refusal(started.send_message(group.id, "x", reply_markup=markup)) == "Bad Request: BUTTON_TYPE_INVALID"


async def test_a_reply_keyboard_opens_an_app_that_sends_data(sim: SimulatedTelegram, started: Bot) -> None:
    app = KeyboardButton(text="Form", web_app=WebAppInfo(url="https://x.example/form"))
    await started.send_message(ADA, "x", reply_markup=ReplyKeyboardMarkup(keyboard=[[app]]))
    assert sim.telegram.chats_of(ADA)[0].keyboard is not None
    send_app_data(sim.telegram, ADA, '{"a":1}', "Form")
    [update] = await started.get_updates()
    assert update.message is not None
    assert update.message.web_app_data is not None
    assert (update.message.web_app_data.data, update.message.web_app_data.button_text) == ('{"a":1}', "Form")


# --- edits, replies, deletions --------------------------------------------------------------------


async def test_an_edit_must_change_something(started: Bot) -> None:
    markup = keys(InlineKeyboardButton(text="b", callback_data="x"))
    sent = await started.send_message(ADA, "<b>x</b> y", parse_mode="HTML", reply_markup=markup)
    same = started.edit_message_text(
        "<b>x</b> y", chat_id=ADA, message_id=sent.message_id, parse_mode="HTML", reply_markup=markup
    )
    assert (await refusal(same)).startswith("Bad Request: message is not modified: specified new message content")
    # without the keyboard it is a change, and takes the keyboard away
    edited = await started.edit_message_text("<b>x</b> y", chat_id=ADA, message_id=sent.message_id, parse_mode="HTML")
    assert not isinstance(edited, bool)
    assert (edited.reply_markup, edited.edit_date is not None) == (None, True)
    plain = await started.edit_message_text("x y", chat_id=ADA, message_id=sent.message_id)
    assert not isinstance(plain, bool)
    assert plain.entities is None
    again = started.edit_message_reply_markup(chat_id=ADA, message_id=sent.message_id)
    assert "message is not modified" in await refusal(again)
    with_keys = await started.edit_message_reply_markup(chat_id=ADA, message_id=sent.message_id, reply_markup=markup)
    assert not isinstance(with_keys, bool)
    assert with_keys.reply_markup is not None
    assert with_keys.reply_markup.model_dump() == markup.model_dump()


async def test_only_own_messages_that_exist_can_be_edited(sim: SimulatedTelegram, started: Bot) -> None:
    typed = await sim.send_text(ADA, "mine")
    assert await refusal(started.edit_message_text("x", chat_id=ADA, message_id=999)) == (
        "Bad Request: message to edit not found"
    )
    assert await refusal(started.edit_message_text("x", chat_id=ADA, message_id=typed["message_id"])) == (
        "Bad Request: message can't be edited"
    )


async def test_deleting(started: Bot) -> None:
    sent = await started.send_message(ADA, "x")
    assert await started.delete_message(ADA, sent.message_id)
    assert await refusal(started.delete_message(ADA, sent.message_id)) == "Bad Request: message to delete not found"
    assert await refusal(started.edit_message_text("y", chat_id=ADA, message_id=sent.message_id)) == (
        "Bad Request: message to edit not found"
    )


async def test_replies(sim: SimulatedTelegram, started: Bot) -> None:
    typed = await sim.send_text(ADA, "question")
    answer = await started.send_message(ADA, "answer", reply_parameters=ReplyParameters(message_id=typed["message_id"]))
    assert answer.reply_to_message is not None
    assert answer.reply_to_message.text == "question"
    lost = started.send_message(ADA, "x", reply_parameters=ReplyParameters(message_id=999))
    assert await refusal(lost) == "Bad Request: message to be replied not found"
    lenient = ReplyParameters(message_id=999, allow_sending_without_reply=True)
    assert (await started.send_message(ADA, "x", reply_parameters=lenient)).reply_to_message is None
    await sim.send_text(ADA, "back", reply_to=answer.message_id)
    update = (await started.get_updates())[-1]
    assert update.message is not None
    assert update.message.reply_to_message is not None
    assert update.message.reply_to_message.text == "answer"
    assert update.message.reply_to_message.reply_to_message is None


# --- presses --------------------------------------------------------------------------------------


async def test_a_press_is_answered_once_and_in_time(sim: SimulatedTelegram, started: Bot) -> None:
    markup = keys(InlineKeyboardButton(text="Go", callback_data="go"))
    await started.send_message(ADA, "x", reply_markup=markup)
    too_old = "Bad Request: query is too old and response timeout expired or query ID is invalid"
    query = await sim.press(ADA, "go")
    assert await refusal(started.answer_callback_query(query["id"], text="x" * 201)) == "Bad Request: MESSAGE_TOO_LONG"
    assert await started.answer_callback_query(query["id"], text="x" * 200)
    assert await refusal(started.answer_callback_query(query["id"])) == too_old
    assert await refusal(started.answer_callback_query("123")) == too_old
    sim.telegram.query_seconds = 0
    late = await sim.press(ADA, "Go")
    assert await refusal(started.answer_callback_query(late["id"])) == too_old
    [answer] = await sim.answers()
    assert (answer["text"], answer["alert"], answer["data"]) == ("x" * 200, False, "go")


# --- files ----------------------------------------------------------------------------------------


async def test_documents_and_photos(sim: SimulatedTelegram, started: Bot) -> None:
    file = BufferedInputFile(b"receipts", "receipts.tar.gz")
    sent = await started.send_document(ADA, file, caption="<b>all</b>", parse_mode="HTML")
    assert sent.document is not None
    assert (sent.document.file_name, sent.document.file_size, sent.caption) == ("receipts.tar.gz", 8, "all")
    again = await started.send_document(ADA, sent.document.file_id)
    assert again.document is not None
    got = await started.download(again.document)
    assert got is not None
    assert got.read() == b"receipts"
    edited = await started.edit_message_caption(chat_id=ADA, message_id=sent.message_id, caption="less")
    assert not isinstance(edited, bool)
    assert edited.caption == "less"
    assert await refusal(started.edit_message_text("x", chat_id=ADA, message_id=sent.message_id)) == (
        "Bad Request: there is no text in the message to edit"
    )
    photo = await started.send_photo(ADA, BufferedInputFile(PNG, "x.png"))
    assert photo.photo is not None
    assert (photo.photo[0].width, photo.photo[0].height) == (3, 2)
    assert await refusal(started.send_photo(ADA, BufferedInputFile(b"no image", "x.png"))) == (
        "Bad Request: IMAGE_PROCESS_FAILED"
    )
    assert await refusal(started.send_document(ADA, BufferedInputFile(b"x", "x"), caption="x" * 1025)) == (
        "Bad Request: message caption is too long"
    )
    assert (
        await refusal(started.send_document(ADA, BufferedInputFile(b"", "x"))) == "Bad Request: file must be non-empty"
    )
    assert await refusal(started.get_file("unknown")) == "Bad Request: invalid file_id"
    address = f"{sim.url}/file/bot{TOKEN}/documents/none.txt"
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        assert answer.status == 404


# --- how a bot shows itself -----------------------------------------------------------------------


async def test_commands_by_scope_and_language(sim: SimulatedTelegram, started: Bot) -> None:
    commands = [BotCommand(command="help", description="Help")]
    russian = [BotCommand(command="help", description="Помощь")]
    only_ada = [BotCommand(command="secret", description="For Ada")]
    await started.set_my_commands(commands)
    await started.set_my_commands(russian, language_code="ru", scope=BotCommandScopeAllPrivateChats())
    await started.set_my_commands(only_ada, scope=BotCommandScopeChat(chat_id=ADA))
    assert [c.description for c in await started.get_my_commands()] == ["Help"]
    assert await started.get_my_commands(language_code="ru") == []
    in_private = await started.get_my_commands(language_code="ru", scope=BotCommandScopeAllPrivateChats())
    assert [c.description for c in in_private] == ["Помощь"]
    bot = sim.telegram.which_bot()
    assert bot.commands_for(ADA, ADA, "en")[0]["command"] == "secret"
    assert bot.commands_for(GRACE, GRACE, "ru")[0]["description"] == "Помощь"
    assert bot.commands_for(EVE, EVE, "de")[0]["description"] == "Help"
    await started.delete_my_commands()
    assert await started.get_my_commands() == []
    wrong = [BotCommand(command="No-Good", description="x")]
    assert await refusal(started.set_my_commands(wrong)) == "Bad Request: BOT_COMMAND_INVALID"
    assert await refusal(started.set_my_commands(commands, language_code="pt-BR")) == (
        "Bad Request: invalid language code specified"
    )


async def test_names_and_descriptions_by_language(started: Bot) -> None:
    await started.set_my_description("What I do")
    await started.set_my_description("Что я делаю", language_code="ru")
    assert (await started.get_my_description()).description == "What I do"
    assert (await started.get_my_description(language_code="ru")).description == "Что я делаю"
    assert (await started.get_my_description(language_code="es")).description == "What I do"
    assert (await started.get_my_name()).name == "Pilot"
    with pytest.raises(TelegramBadRequest):
        await started.set_my_short_description("x" * 121)


# --- the rest -------------------------------------------------------------------------------------


async def test_drafts_and_actions_show_and_go(sim: SimulatedTelegram, started: Bot) -> None:
    chat = sim.telegram.chats_of(ADA)[0]
    await started.send_chat_action(ADA, "typing")
    await started(SendMessageDraft(chat_id=ADA, draft_id=7, text="Thin<b>king</b>", parse_mode="HTML"))
    draft = chat.draft()
    assert draft is not None
    assert (chat.now_doing(), draft["text"], draft["entities"][0]["type"]) == ("typing", "Thinking", "bold")
    await started.send_message(ADA, "done")
    assert (chat.now_doing(), chat.draft()) == ("", None)
    assert "draft_id" in await refusal(started(SendMessageDraft(chat_id=ADA, draft_id=0, text="x")))
    group = await sim.add_group("Team", [ADA])
    assert "private" in await refusal(started(SendMessageDraft(chat_id=group.id, draft_id=1, text="x")))
    assert "wrong parameter action" in await refusal(started.send_chat_action(ADA, "dancing"))


async def test_reactions_of_the_bot(sim: SimulatedTelegram, started: Bot) -> None:
    typed = await sim.send_text(ADA, "nice")
    await started.set_message_reaction(ADA, typed["message_id"], [ReactionTypeEmoji(emoji="👍")])
    assert (await sim.messages(ADA))[-1]["reactions"] == ["👍"]
    wrong = started.set_message_reaction(ADA, typed["message_id"], [ReactionTypeEmoji(emoji="🧷")])
    assert await refusal(wrong) == "Bad Request: REACTION_INVALID"


async def test_an_unknown_method_is_not_found(sim: SimulatedTelegram, started: Bot) -> None:
    with pytest.raises(TelegramNotFound, match="Not Found"):
        await started.send_dice(ADA)
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{sim.url}/bot{TOKEN}/nonsense") as answer:
            assert (answer.status, await answer.json()) == (
                404,
                {"ok": False, "error_code": 404, "description": "Not Found"},
            )
        # query parameters and any case of the name, as with Telegram
        async with session.get(f"{sim.url}/bot{TOKEN}/SENDMESSAGE?chat_id={ADA}&text=hi") as answer:
            assert (await answer.json())["result"]["text"] == "hi"


async def test_flood_limits_when_switched_on(sim: SimulatedTelegram, started: Bot) -> None:
    sim.telegram.flood = True
    for n in range(5):
        await started.send_message(ADA, str(n))
    with pytest.raises(TelegramRetryAfter) as caught:
        await started.send_message(ADA, "too fast")
    assert 1 <= caught.value.retry_after <= 5
    sim.telegram.flood = False
    assert await started.send_message(ADA, "free again")


async def test_every_refusal_is_an_answer_of_telegram(started: Bot) -> None:
    with pytest.raises(TelegramAPIError):
        await started.answer_callback_query("x")
    assert await started.close()


@given(
    method=st.sampled_from(sorted(METHODS)),
    params=st.dictionaries(
        st.sampled_from(
            [
                "chat_id",
                "message_id",
                "text",
                "caption",
                "entities",
                "reply_markup",
                "reply_parameters",
                "parse_mode",
                "commands",
                "scope",
                "language_code",
                "menu_button",
                "reaction",
                "result",
                "draft_id",
                "action",
                "file_id",
                "document",
                "photo",
                "url",
                "secret_token",
                "allowed_updates",
                "callback_query_id",
                "message_ids",
                "from_chat_id",
                "user_id",
                "show_alert",
                "rich_message",
                "link_preview_options",
                "message_thread_id",
                "name",
            ]
        ),
        st.one_of(
            st.sampled_from(
                [
                    ADA,
                    "HTML",
                    "paragraph",
                    "table",
                    "bold",
                    "list",
                    "[]",
                    "{}",
                    "[1]",
                    "[[1]]",
                    '{"inline_keyboard": [[{"text": "x", "url": "http://["}]]}',
                ]
            ),
            st.text(max_size=20),
            st.integers(),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(
                        st.sampled_from(
                            [
                                "inline_keyboard",
                                "keyboard",
                                "text",
                                "type",
                                "web_app",
                                "url",
                                "message_id",
                                "blocks",
                                "cells",
                                "items",
                                "is_disabled",
                                "offset",
                                "length",
                            ]
                        ),
                        inner,
                    )
                ),
                max_leaves=6,
            ),
        ),
    ),
)
@settings(max_examples=400, deadline=None)
def test_whatever_comes_is_carried_out_or_refused(method: str, params: dict[str, Any]) -> None:
    telegram = Telegram()
    add_person(telegram, ADA, "Ada")
    bot = bot_of_token(telegram, TOKEN)
    say(telegram, ADA, "/start")
    post(telegram, telegram.private_chat(bot, ADA), bot.user, {"text": "card"})
    refused = None
    try:
        call(telegram, bot, method, Params({"chat_id": ADA, **params}))
    except ApiError as error:
        refused = error.description
    assert refused is None or refused.startswith(("Bad Request: ", "Forbidden: ", "Not Found"))
    json.dumps(view(telegram, ADA))
