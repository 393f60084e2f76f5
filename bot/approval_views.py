"""Approvals as messages: the card, several in one, reminders, late answers, questions for words, and grants."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aiogram.utils.formatting import Bold, Code, Italic, Pre, Text

from bot.buttons import ApprovalTap, ApprovalVerb, GrantTap
from bot.links import Button, Links
from bot.text import clip, line, pretty
from bot.views import View, moment, plain_moment, tap, view
from domain.approvals.approval import Approval, ApprovalStatus
from domain.approvals.grant import Grant
from locales import Texts
from locales.words import tool_does, why_asked
from services.chat.cards import ApprovalCard, BatchCard


def approval_card(
    t: Texts, card: ApprovalCard, links: Links, *, private: bool, now: datetime, reader: str | None = None
) -> View:
    """The question with its buttons; once decided, the same text with the outcome and no live buttons.

    `reader` is the user id of whose chat it is: a deputy is told for whom they answer.
    """
    a = card.approval
    stands_in = card.deputies.get(reader or "", ())
    context = a.approval_context
    tool = line(a.action, 120)
    shown, cut = pretty(a.action_input, 1400)
    live = a.pending and (a.expires_at is None or a.expires_at > now)
    title = t("card-title", tool=tool) if live else t("card-title-decided", tool=tool)
    said = context.get("toolSummary") or ""
    # what somebody outside asks for may be called like one of the tools here
    summary = line(said if context.get("external") else tool_does(t, a.action, said), 300)
    rule = context.get("ruleId") or ""
    why = why_asked(t, rule=rule, tool=tool, effect=a.effect, reason=a.reason)
    task_title = line(context.get("taskTitle") or "", 200)
    return view(
        Bold(title),
        Bold(t("card-altered", differs=line(", ".join(a.differs), 200))) if a.differs else None,
        Italic(t("card-changed")) if live and a.version > 1 else None,
        t("card-stands-in", who=line(", ".join(stands_in), 200)) if stands_in else None,
        summary or None,
        "",
        Bold(t("card-input")),
        Pre(shown) if shown.strip() else "—",
        t("card-input-more") if cut else None,
        "",
        t("card-task", title=task_title) if task_title else None,
        t("card-asker", who=line(card.asker, 120)) if card.asker else None,
        t("card-why", reason=line(why, 400)),
        # where the level is the reason, the line above has said it
        None if rule == "effect_level" else t("card-effect", effect=t(f"effect-{a.effect}"), level=a.effect),
        None if context.get("reversible") else t("card-irreversible"),
        t("card-critical") if live and a.critical else None,
        # without a button that leads there
        t("card-where", url=links.page(f"approvals/{a.id}", workspace_id=a.workspace_id))
        if live and a.critical and _in_app("", a, links, private=private) is None
        else None,
        _quorum(t, card) if a.quorum > 1 else None,
        t("card-owner-needed") if live and a.quorum > 1 and a.approver_rule.needs_owner else None,
        t("card-unmet") if live and card.unmet else None,
        Text(t("card-expires"), " ", moment(a.expires_at)) if live and a.expires_at is not None else None,
        t("card-nothing") if live and a.expires_at is not None else None,
        Text(t("card-digest"), " ", Code(a.short_digest), " · ", t("card-version", version=a.version)),
        *(() if live else ("", *_outcome(t, card))),
        keyboard=_live_buttons(t, a, links, private=private) if live else _after(t, a, links, now, private=private),
    )


def approval_batch(t: Texts, batch: BatchCard, *, now: datetime) -> View:
    """Several questions in one message: each with its input, its digest and buttons of its own, or its outcome."""
    said: list[Any] = []
    keyboard: list[list[Button | None]] = []
    for number, card in enumerate(batch.cards, 1):
        a = card.approval
        live = a.pending and (a.expires_at is None or a.expires_at > now)
        shown, cut = pretty(a.action_input, 160)
        title = line(a.approval_context.get("taskTitle") or a.approval_context.get("toolSummary") or a.reason, 60)
        said += ["", Bold(f"{number}. {line(a.action, 80)}"), Italic(title), Pre(shown) if shown.strip() else "—"]
        said += [t("card-input-more")] if cut else []
        if live:
            said.append(Text(t("card-digest"), " ", Code(a.short_digest), " · ", t("card-version", version=a.version)))
            keyboard.append(
                [
                    tap(
                        t("button-approve-number", number=number),
                        ApprovalTap.of(a, ApprovalVerb.APPROVE).pack(),
                        style="success",
                    ),
                    tap(
                        t("button-deny-number", number=number),
                        ApprovalTap.of(a, ApprovalVerb.DENY).pack(),
                        style="danger",
                    ),
                ]
            )
        else:
            said += _outcome(t, card)[:2]
    return view(Bold(t("batch-title", count=len(batch.cards))), *said, keyboard=keyboard)


def _quorum(t: Texts, card: ApprovalCard) -> str:
    have, need = len(card.approved_by), card.approval.quorum
    if not have:
        return t("card-quorum", have=have, need=need)
    return t("card-quorum-names", have=have, need=need, names=line(", ".join(card.approved_by), 300))


def _outcome(t: Texts, card: ApprovalCard) -> list[Any]:
    a = card.approval
    status = ApprovalStatus.EXPIRED if a.pending else a.status
    who = line(card.resolver or "?", 100)
    where = t(f"via-{a.resolved_via}") if a.resolved_via else ""
    said: list[Any] = [Bold(t(f"outcome-{status}", who=who, where=where))]
    if a.resolved_at is not None:
        said.append(moment(a.resolved_at))
    if a.resolution_note:
        said.append(t("outcome-note", note=clip(a.resolution_note.strip(), 500)))
    if a.grant_id is not None:
        said.append(t("outcome-grant"))
    if a.execute_after is not None and a.status == ApprovalStatus.APPROVED:
        said.append(Text(t("outcome-undo"), " ", moment(a.execute_after)))
    return said


def _live_buttons(t: Texts, a: Approval, links: Links, *, private: bool) -> Sequence[Sequence[Button | None]]:
    return (
        (
            _in_app(t("button-approve-in-app"), a, links, private=private)
            if a.critical
            else tap(t("button-approve"), ApprovalTap.of(a, ApprovalVerb.APPROVE).pack(), style="success"),
            tap(t("button-deny"), ApprovalTap.of(a, ApprovalVerb.DENY).pack(), style="danger"),
        ),
        (
            tap(t("button-deny-reason"), ApprovalTap.of(a, ApprovalVerb.DENY_REASON).pack()),
            tap(t("button-changes"), ApprovalTap.of(a, ApprovalVerb.CHANGES).pack()),
            tap(t("button-edit"), ApprovalTap.of(a, ApprovalVerb.EDIT).pack()) if a.step_id is not None else None,
        ),
        (
            tap(t("button-grant"), ApprovalTap.of(a, ApprovalVerb.GRANT).pack())
            if a.task_id is not None and a.quorum == 1
            else None,
            _in_app(t("button-open"), a, links, private=private),
        )
        if not a.critical
        else (),
    )


def _after(t: Texts, a: Approval, links: Links, now: datetime, *, private: bool) -> Sequence[Sequence[Button | None]]:
    undo_open = a.status == ApprovalStatus.APPROVED and a.execute_after is not None and a.execute_after > now
    return (
        (tap(t("button-undo"), ApprovalTap.of(a, ApprovalVerb.UNDO).pack(), style="danger") if undo_open else None,),
        (_in_app(t("button-open"), a, links, private=private),),
    )


def _in_app(text: str, a: Approval, links: Links, *, private: bool) -> Button | None:
    return links.button(
        text,
        page=f"approvals/{a.id}",
        start=f"apr_{a.id}",
        private=private,
        workspace_id=a.workspace_id,
    )


def approval_reminder(t: Texts, card: ApprovalCard, *, stage: int, instead_of: Sequence[str] = ()) -> View:
    """A nudge about a question that is still open; `instead_of` are the names of those a deputy stands in for."""
    a = card.approval
    title = line(a.approval_context.get("taskTitle") or a.approval_context.get("toolSummary") or a.reason, 200)
    return view(
        t(f"reminder-{stage}", tool=line(a.action, 120), title=title),
        t("card-stands-in", who=line(", ".join(instead_of), 200)) if instead_of else None,
    )


def late_answer(t: Texts, details: Mapping[str, Any]) -> str:
    """The true outcome for whoever came second: what, who, where and when."""
    status = str(details.get("status") or "expired")
    if status in ("expired", "cancelled"):
        return t(f"late-{status}")
    return t(
        "late",
        outcome=t(f"late-word-{status}"),
        who=line(details.get("resolvedByName") or details.get("resolvedBy") or "?", 60),
        where=t(f"via-{details['resolvedVia']}") if details.get("resolvedVia") else "",
        when=plain_moment(details.get("resolvedAt")),
    )


def ask_words(t: Texts, approval: Approval, *, kind: str) -> View:
    """The prompt whose reply is the reason, the changes, or (with what there is now) the new input as JSON."""
    now = json.dumps(approval.action_input, ensure_ascii=False, indent=2) if kind == "edit" else ""
    asked = view(t(f"ask-{kind}", tool=line(approval.action, 120)), Pre(clip(now, 3000)) if now else None)
    return {**asked, "force_reply": line(t(f"ask-{kind}-hint"), 64)}


def grants(t: Texts, found: Sequence[Grant]) -> View:
    """Standing permissions, each with a button that ends it."""
    if not found:
        return view(t("grants-none"))
    shown = found[:20]
    return view(
        Bold(t("grants-title")),
        *(
            Text(
                f"{number}. ",
                t("grant-line", tool=line(g.tool, 80), uses=g.uses)
                if g.max_uses is None
                else t("grant-line-max", tool=line(g.tool, 80), uses=g.uses, max=g.max_uses),
                " ",
                moment(g.expires_at),
                ", ",
                t("grant-task" if g.task_id else "grant-all"),
            )
            for number, g in enumerate(shown, 1)
        ),
        keyboard=[
            [tap(t("button-revoke", number=number), GrantTap(grant_id=g.id).pack(), style="danger")]
            for number, g in enumerate(shown, 1)
        ],
    )
