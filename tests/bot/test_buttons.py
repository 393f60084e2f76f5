"""Buttons: within their 64 bytes, read back as they were made, and those already sent are read for ever."""

import base64
from uuid import UUID

import pytest
from aiogram.filters.callback_data import CallbackData
from hypothesis import given
from hypothesis import strategies as st

from bot import buttons
from bot.buttons import (
    ApprovalTap,
    ApprovalVerb,
    AskFromTap,
    ExampleTap,
    GrantTap,
    KillTap,
    LanguageTap,
    ModeTap,
    PolicyPageTap,
    StepTap,
    StepVerb,
    TaskTap,
    TaskVerb,
    ToolTap,
    WorkspaceTap,
)
from domain.ids import new_id
from domain.runs.run import UncertainChoice
from domain.runs.task import Mode
from locales import load
from tests.bot.kit import BotKit
from tests.bot.test_approvals import card_of
from tests.kit import Script

ID, OTHER = "0192f0c1-2345-7abc-8def-0123456789ab", "0192f0c1-2345-7abc-8def-fedcba987654"
KINDS = [one for one in vars(buttons).values() if isinstance(one, type) and issubclass(one, CallbackData)]
KINDS.remove(CallbackData)

# what the first landed version sent; it stands in chats, and is never changed here
SENT: dict[str, CallbackData] = {
    **{
        f"a:AZLwwSNFeryN7wEjRWeJqw:{verb}:3:0123456789ab": ApprovalTap(
            approval_id=ID, verb=ApprovalVerb(verb), version=3, digest="0123456789ab"
        )
        for verb in ("y", "n", "dr", "c", "g", "u", "e")
    },
    "u:AZLwwSNFeryN7wEjRWeJqw:AZLwwSNFeryN7_7cuph2VA:r": StepTap(run_id=ID, step_id=OTHER, verb=StepVerb.RETRY),
    "u:AZLwwSNFeryN7wEjRWeJqw:AZLwwSNFeryN7_7cuph2VA:s": StepTap(run_id=ID, step_id=OTHER, verb=StepVerb.SKIP),
    "u:AZLwwSNFeryN7wEjRWeJqw:AZLwwSNFeryN7_7cuph2VA:d": StepTap(run_id=ID, step_id=OTHER, verb=StepVerb.DONE),
    "t:AZLwwSNFeryN7wEjRWeJqw:c": TaskTap(task_id=ID, verb=TaskVerb.CANCEL),
    "t:AZLwwSNFeryN7wEjRWeJqw:r": TaskTap(task_id=ID, verb=TaskVerb.RUN),
    "g:AZLwwSNFeryN7wEjRWeJqw": GrantTap(grant_id=ID),
    "w:________T_-__________w": WorkspaceTap(workspace_id="ffffffff-ffff-4fff-bfff-ffffffffffff"),
    **{f"m:{mode}": ModeTap(mode=Mode(mode)) for mode in ("discover", "decide", "build", "launch", "apply")},
    "k:on": KillTap(wanted="on"),
    "k:off": KillTap(wanted="off"),
    "k:no": KillTap(wanted="no"),
    "l:pt-BR": LanguageTap(code="pt-BR"),
    "x:example": ExampleTap(),
    "p:tools": PolicyPageTap(page="tools"),
    "p:kill": PolicyPageTap(page="kill"),
    "p:all": PolicyPageTap(page="all"),
    "p:from:E1": AskFromTap(level="E1"),
    "p:from:E2": AskFromTap(level="E2"),
    "p:from:E3": AskFromTap(level="E3"),
    "p:block:http.post": ToolTap(verb="block", tool="http.post"),
    "p:free:email.*": ToolTap(verb="free", tool="email.*"),
    "p:free:deploy:production": ToolTap(verb="free", tool="deploy:production"),
}

LONGEST: list[CallbackData] = [
    *(ApprovalTap(approval_id=ID, verb=verb, version=2**63, digest="f" * 12) for verb in ApprovalVerb),
    *(StepTap(run_id=ID, step_id=OTHER, verb=verb) for verb in StepVerb),
    *(TaskTap(task_id=ID, verb=verb) for verb in TaskVerb),
    GrantTap(grant_id=ID),
    WorkspaceTap(workspace_id=ID),
    *(ModeTap(mode=mode) for mode in Mode),
    *(KillTap(wanted=wanted) for wanted in ("on", "off", "no")),
    *(LanguageTap(code=code) for code in load().languages),
    ExampleTap(),
    *(PolicyPageTap(page=page) for page in ("tools", "all", "kill")),
    *(AskFromTap(level=level) for level in ("E1", "E2", "E3")),
    ToolTap(verb="block", tool="x" * 56),
    ToolTap(verb="free", tool="я" * 28),
]


def test_every_kind_is_among_those_tested():
    assert {type(one) for one in LONGEST} == set(KINDS)
    assert {type(one) for one in SENT.values()} == set(KINDS)


@pytest.mark.parametrize("tap", LONGEST, ids=str)
def test_the_longest_of_every_kind_fits(tap: CallbackData):
    data = tap.pack()
    assert len(data.encode()) <= 64
    assert type(tap).unpack(data) == tap


@pytest.mark.parametrize("data", SENT)
def test_what_was_sent_before_is_read_and_made_the_same(data: str):
    assert type(SENT[data]).unpack(data) == SENT[data]
    assert SENT[data].pack() == data
    assert [kind for kind in KINDS if _reads(kind, data)] == [type(SENT[data])]


def _reads(kind: type[CallbackData], data: str) -> bool:
    try:
        kind.unpack(data)
    except (TypeError, ValueError):
        return False
    return True


@given(st.uuids())
def test_an_id_travels_as_22_characters(value: UUID):
    packed = buttons.pack_id(str(value))
    assert len(packed) == 22
    assert buttons.unpack_id(packed) == str(value)
    assert TaskTap.unpack(f"t:{packed}:c").task_id == str(value)


@given(st.text(max_size=64) | st.from_regex(r"[a-z]{1,2}(:[\w:.*-]{0,22}){1,4}", fullmatch=True))
def test_whatever_comes_as_data_is_a_button_or_none(data: str):
    for kind in KINDS:
        _reads(kind, data)


@pytest.mark.parametrize(
    "data",
    [
        "a:x:y:1:abc",
        "a:" + "A" * 22 + ":y:z:" + "a" * 12,
        "a:" + "A" * 22 + ":y:1:" + "a" * 13,
        "a:" + "A" * 22 + ":zz:1:" + "a" * 12,
        "a",
        "a:::::",
        "u:AZLwwSNFeryN7wEjRWeJqw:x:r",
        "u:AZLwwSNFeryN7wEjRWeJqw:AZLwwSNFeryN7_7cuph2VA:q",
        "t:AZLwwSNFeryN7wEjRWeJqw",
        "t:AZLwwSNFeryN7wEjRWeJqw:x",
        "g:AZLwwSNFeryN7wEjRWe!!!",
        "k:maybe",
        "m:fly",
        "p:from:E9",
        "p:block:",
        "p:shut:http.post",
        "",
    ],
)
def test_what_is_none_is_read_as_none(data: str):
    assert not any(_reads(kind, data) for kind in KINDS)


def test_a_name_no_button_can_hold_is_not_offered():
    assert ToolTap.fits("block", "x" * 56)
    assert not ToolTap.fits("block", "x" * 57)
    assert ToolTap.fits("free", "x" * 57)
    with pytest.raises(ValueError, match="too long"):
        ToolTap(verb="block", tool="я" * 29).pack()


def test_every_answer_about_an_interrupted_call_has_its_verb():
    assert [verb.choice for verb in StepVerb] == list(UncertainChoice)


def packed(value: str) -> str:
    """An id as the first landed version packed it."""
    return base64.urlsafe_b64encode(UUID(value).bytes).decode().rstrip("=")


async def test_a_card_and_a_task_sent_before_still_work(bot: BotKit):
    tg = bot.telegram
    async with bot.running():
        card = await card_of(bot, "Do it")
        [approval] = await bot.kit.approvals.list(bot.kit.owner)
        tg.press(card, f"a:{packed(approval.id)}:y:{approval.version}:{approval.action_hash[:12]}")
        done = await tg.message("all done")
        [task] = await bot.kit.tasks.list(bot.kit.owner)
        bot.kit.scripts[task.id] = Script([])
        tg.press(done, f"t:{packed(task.id)}:r")
        await tg.until(lambda: len(tg.answers) == 2)
        tg.press(done, f"t:{packed(new_id())}:r")
        await tg.until(lambda: len(tg.answers) == 3)
    assert tg.answers[0]["text"] == "Approved. The run continues."
    assert tg.answers[1]["text"] == "Queued"
    assert tg.answers[2]["alert"] is True
    assert len(bot.deed.done) == 1
    assert len(await bot.kit.runs.of_task(bot.kit.owner, task.id)) == 2
