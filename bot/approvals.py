"""Approvals in chat: taps on cards, reasons and changes in words, interrupted calls, standing permissions.

The order is always: decide in the store, answer the tap with the true outcome; the card itself is
edited through the outbox by the decision. A redelivered tap meets its own decision and says so.
"""

from dataclasses import dataclass
from typing import Any

from aiogram import F, Router
from aiogram.filters import Command, Filter
from aiogram.fsm.context import FSMContext
from aiogram.fsm.state import State, StatesGroup
from aiogram.types import CallbackQuery, Message

from bot import approval_views, views
from bot.buttons import ApprovalTap, ApprovalVerb, GrantTap, StepTap
from bot.context import Ctx
from bot.text import clip
from domain.approvals.approval import ApprovalStatus, Via
from domain.bounded_json import BadJson, loads
from domain.clock import iso
from domain.errors import Invalid, NotFound
from domain.identity.permissions import Action, require
from domain.outbox.notifications import CardNotice
from domain.tools.tool import ARGUMENTS
from services.approvals.grants import GrantRequest
from services.approvals.service import ApprovalDecision, Resolution

router = Router(name="approvals")

SHOWN = 5
# how many, and up to which reach (E2: nothing outside), are listed in one message
BATCH, LOW = 8, 2
MAX_NOTE = 2000
GRANT_MINUTES = 60
DECIDED = {
    ApprovalVerb.APPROVE: ApprovalStatus.APPROVED,
    ApprovalVerb.GRANT: ApprovalStatus.APPROVED,
    ApprovalVerb.DENY: ApprovalStatus.REJECTED,
}
# taps that ask for words first, by what the words will be
ASKED = {ApprovalVerb.DENY_REASON: "deny", ApprovalVerb.CHANGES: "changes", ApprovalVerb.EDIT: "edit"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The question as the person saw it: what they decide is that, or nothing."""

    approval_id: str
    version: int
    digest: str


class Asking(StatesGroup):
    """A person was asked for words: the next text is the answer, unless it replies to something else."""

    reason = State()


@router.message(Command("approvals"))
async def approvals(_message: Message, ctx: Ctx) -> None:
    """What waits: what reaches little in one message with buttons for each, fresh cards for the rest."""
    found = await ctx.deps.approvals.list(ctx.who, status=ApprovalStatus.PENDING.value, limit=200)
    if not found:
        await ctx.say(views.view(ctx.t("approvals-none")))
        return
    rights = await ctx.deps.approvals.rights(ctx.who, found)
    low = [a for a in found if a.effect <= LOW and a.quorum == 1 and rights[a.id].refused is None][:BATCH]
    low = low if len(low) > 1 else []
    rest = [a for a in found if a not in low][:SHOWN]
    await ctx.say(views.view(ctx.t("approvals-count", count=len(found), shown=len(low) + len(rest))))
    if low:
        await ctx.deps.chat.messages.say_batch(
            workspace_id=ctx.who.in_workspace,
            chat_id=ctx.chat_id,
            approval_ids=[a.id for a in reversed(low)],
            dedupe_key=f"tg:{ctx.update_id}:batch",
        )
    for approval in reversed(rest):
        await ctx.deps.chat.messages.say(
            chat_id=ctx.chat_id,
            notice=CardNotice(approval_id=approval.id),
            dedupe_key=f"tg:{ctx.update_id}:card:{approval.id}",
            workspace_id=approval.workspace_id,
        )


@router.callback_query(ApprovalTap.filter())
async def tapped(_tap: CallbackQuery, ctx: Ctx, callback_data: ApprovalTap, state: FSMContext) -> None:
    """A tap on a card."""
    verb = callback_data.verb
    seen = Seen(approval_id=callback_data.approval_id, version=callback_data.version, digest=callback_data.digest)
    await ctx.go_to(await ctx.deps.approvals.workspace_of(seen.approval_id))
    if verb in DECIDED:
        grant = GrantRequest(minutes=GRANT_MINUTES) if verb is ApprovalVerb.GRANT else None
        done = await _decide(ctx, seen, DECIDED[verb], grant=grant)
        await ctx.answer(_said(ctx, done, granted=grant is not None))
    elif verb in ASKED:
        await _ask(ctx, seen, state, kind=ASKED[verb])
    else:
        assert verb is ApprovalVerb.UNDO
        await ctx.deps.approvals.undo(ctx.who, seen.approval_id, via=Via.CHAT)
        await ctx.answer(ctx.t("answer-undone"))


async def _decide(
    ctx: Ctx, seen: Seen, status: ApprovalStatus, *, note: str | None = None, grant: GrantRequest | None = None
) -> Resolution:
    wish = ApprovalDecision(
        status=status, via=Via.CHAT, note=note, version=seen.version, digest=seen.digest, grant=grant
    )
    return await ctx.deps.approvals.resolve(ctx.who, seen.approval_id, wish)


def _said(ctx: Ctx, done: Resolution, *, granted: bool) -> str:
    if not done.counted:
        return ctx.t("answer-voted", have=len(done.approved_by), need=done.approval.quorum)
    if granted:
        return ctx.t("answer-granted")
    return ctx.t(f"answer-{done.approval.status}")


async def _ask(ctx: Ctx, seen: Seen, state: FSMContext, *, kind: str) -> None:
    """Ask for the words first; nothing is decided until they come."""
    require(ctx.who, Action.APPROVAL_RESOLVE)
    approval = await ctx.deps.approvals.get(ctx.who, seen.approval_id)
    if not approval.pending:
        details = {
            "status": approval.status,
            "resolvedBy": approval.resolved_by,
            "resolvedAt": iso(approval.resolved_at),
            "resolvedVia": approval.resolved_via,
        }
        card = await ctx.deps.chat.cards.approval(approval.id)
        if card is not None and card.resolver:
            details["resolvedByName"] = card.resolver
        await ctx.answer(approval_views.late_answer(ctx.t, details), alert=True)
        return
    refused = (await ctx.deps.approvals.rights(ctx.who, [approval]))[approval.id].refused
    if refused is not None:
        raise refused
    await state.set_data(
        {
            "approvalId": approval.id,
            "version": seen.version,
            "digest": seen.digest,
            "kind": kind,
            "askedBy": ctx.update_id,
        }
    )
    await state.set_state(Asking.reason)
    await ctx.say(approval_views.ask_words(ctx.t, approval, kind=kind), shows=(kind, approval.id))
    await ctx.answer()


class ToCard(Filter):
    """A text that replies to one of our cards or prompts."""

    async def __call__(self, message: Message, ctx: Ctx) -> bool | dict[str, Any]:
        """Gives the handler `about`: the message replied to."""
        if message.reply_to_message is None or message.text is None:
            return False
        about = await ctx.deps.chat.conversations.shown_at(ctx.chat_id, message.reply_to_message.message_id)
        if about is None or about.kind not in ("approval", *ASKED.values()):
            return False
        return {"approval_id": about.ref, "kind": "changes" if about.kind == "approval" else about.kind}


@router.message(ToCard(), ~F.text.startswith("/"))
async def replied(message: Message, ctx: Ctx, state: FSMContext, approval_id: str, kind: str) -> None:
    """Words in reply to a card are a wish for changes, whatever they say; to a prompt, its answer."""
    await ctx.go_to(await ctx.deps.approvals.workspace_of(approval_id))
    card = await ctx.deps.chat.cards.approval(approval_id)
    if card is None:
        raise NotFound("Approval not found")
    data = await state.get_data()
    asked = data.get("approvalId") == approval_id
    seen = Seen(
        approval_id=approval_id,
        # what the person saw: the version of the prompt's card, or of the card as it is now
        version=int(data["version"]) if asked else card.approval.version,
        digest=str(data["digest"]) if asked else card.approval.short_digest,
    )
    await _with_words(ctx, seen, message.text or "", kind=kind)
    if asked:
        await state.set_state(None)


class AwaitedWords(Filter):
    """The text we asked for. Words are used once: only a redelivery of the same update may use them again."""

    async def __call__(self, message: Message, ctx: Ctx, state: FSMContext) -> bool:
        """Whether this is the answer."""
        del message
        return (await state.get_data()).get("usedBy") in (None, ctx.update_id)


@router.message(Asking.reason, F.text, ~F.text.startswith("/"), AwaitedWords())
async def reason(message: Message, ctx: Ctx, state: FSMContext) -> None:
    """The words we asked for, sent without using the reply."""
    data = await state.get_data()
    seen = Seen(approval_id=str(data["approvalId"]), version=int(data["version"]), digest=str(data["digest"]))
    await ctx.go_to(await ctx.deps.approvals.workspace_of(seen.approval_id))
    # Noted before it is used: a redelivery must find these words taken, not make a task of them.
    await state.set_data({**data, "usedBy": ctx.update_id})
    try:
        await _with_words(ctx, seen, message.text or "", kind=str(data["kind"]))
    except Invalid:
        # they were of no use: the next ones are waited for
        await state.set_data(data)
        raise


async def _with_words(ctx: Ctx, seen: Seen, words: str, *, kind: str) -> None:
    if kind == "edit":
        await _edit(ctx, seen, words)
        return
    status = ApprovalStatus.REJECTED if kind == "deny" else ApprovalStatus.CHANGES_REQUESTED
    await _decide(ctx, seen, status, note=clip(words.strip(), MAX_NOTE))
    await ctx.say(views.view(ctx.t(f"reply-noted-{status.value}")), reply=True)


async def _edit(ctx: Ctx, seen: Seen, words: str) -> None:
    """A new version of the input, still to be approved; what is no JSON object changes nothing."""
    try:
        given = loads(words, ARGUMENTS, lenient=True)
    except BadJson as error:
        if error.code == "invalid_json":
            raise Invalid("that is no JSON object", code="not_json") from None
        raise
    if not isinstance(given, dict):
        raise Invalid("that is no JSON object", code="not_json")
    await ctx.deps.approvals.edit(ctx.who, seen.approval_id, args=given, version=seen.version)
    await ctx.say(views.view(ctx.t("reply-edited")), reply=True)


@router.callback_query(StepTap.filter())
async def settle(_tap: CallbackQuery, ctx: Ctx, callback_data: StepTap) -> None:
    """What became of an interrupted call."""
    run_id, choice = callback_data.run_id, callback_data.verb.choice
    await ctx.go_to(await ctx.deps.runs.workspace_of(run_id))
    await ctx.deps.runs.settle_uncertain(ctx.who, run_id, callback_data.step_id, choice, via=Via.CHAT.value)
    await ctx.answer(ctx.t(f"answer-{choice.value}"))


@router.message(Command("grants"))
async def grants(_message: Message, ctx: Ctx) -> None:
    """Standing permissions with one-tap revoke."""
    await ctx.say(approval_views.grants(ctx.t, await ctx.deps.approvals.grants.list(ctx.who)))


@router.callback_query(GrantTap.filter())
async def revoke(_tap: CallbackQuery, ctx: Ctx, callback_data: GrantTap) -> None:
    """End a standing permission and bring the list up to date."""
    await ctx.deps.approvals.grants.revoke(ctx.who, callback_data.grant_id)
    await ctx.answer(ctx.t("answer-revoked"))
    left = await ctx.deps.approvals.grants.list(ctx.who)
    await ctx.say(approval_views.grants(ctx.t, left), edit=ctx.message_id)
