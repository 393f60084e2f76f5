"""What messages look like: every card and list, from values, in the reader's language."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiogram.utils.formatting import Bold, Code, DateTime, ExpandableBlockQuote, Italic, Pre, Text

from bot import buttons
from bot.links import Button, Links
from bot.text import clip, line, lines, pretty, render
from domain.approvals.approval import Approval, ApprovalStatus
from domain.approvals.grant import Grant
from domain.runs.run import Run, RunState, StepState
from domain.runs.task import Mode, Task
from domain.tools.operator import Operator
from locales import Texts, Translator
from locales.words import tool_does, why_asked, why_ended
from services.chat.cards import ApprovalCard, BatchCard, RunCard, UncertainCard
from services.chat.overview import Overview
from services.ledger.verification import Checked, CheckedReceipt

View = dict[str, Any]
Keyboard = list[list[Button]]

SHOWN_STEPS = 12
ICONS = {
    RunState.QUEUED: "🕓",
    RunState.RUNNING: "⚙️",
    RunState.AWAITING_APPROVAL: "✋",
    RunState.WAITING: "💤",
    RunState.UNCERTAIN: "❓",
    RunState.COMPLETED: "✅",
    RunState.BLOCKED: "⛔",
    RunState.BUDGET_EXHAUSTED: "⛔",
    RunState.FAILED: "❌",
    RunState.CANCELLED: "⚪",
}


def view(*nodes: Any, keyboard: Sequence[Sequence[Button | None]] = ()) -> View:
    """A message: `{"text", "entities", "keyboard"?}`, JSON only; buttons that are None are left out."""
    rows = [kept for row in keyboard if (kept := [b for b in row if b is not None])]
    return {**render(*lines(*nodes)), **({"keyboard": rows} if rows else {})}


def moment(when: datetime) -> DateTime:
    """A time shown in the reader's own zone; older clients show UTC."""
    when = when.astimezone(UTC)
    return DateTime(f"{when:%Y-%m-%d %H:%M} UTC", unix_time=when, date_time_format="dt")


def plain_moment(text: str | None) -> str:
    """A time of the wire (`...T21:03:04.123Z`) for an alert, which knows no entities."""
    return "" if not text else text[:16].replace("T", " ") + " UTC"


def short_id(value: str) -> str:
    """The end of an id, as lists show it."""
    return value[-6:]


def tap(text: str, data: str, *, style: str | None = None) -> Button:
    """A button that sends `data`."""
    return {"text": line(text, 64), "callback_data": data, **({"style": style} if style else {})}


# --- approvals ------------------------------------------------------------------------------------


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
    why = why_asked(t, rule=context.get("ruleId") or "", tool=tool, effect=a.effect, reason=a.reason)
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
        t("card-effect", effect=t(f"effect-{a.effect}"), level=a.effect),
        t("card-reversible", answer=t("yes" if context.get("reversible") else "no")),
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
                        t("button-approve-number", number=number), buttons.approval(a, buttons.APPROVE), style="success"
                    ),
                    tap(t("button-deny-number", number=number), buttons.approval(a, buttons.DENY), style="danger"),
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
            else tap(t("button-approve"), buttons.approval(a, buttons.APPROVE), style="success"),
            tap(t("button-deny"), buttons.approval(a, buttons.DENY), style="danger"),
        ),
        (
            tap(t("button-deny-reason"), buttons.approval(a, buttons.DENY_REASON)),
            tap(t("button-changes"), buttons.approval(a, buttons.CHANGES)),
            tap(t("button-edit"), buttons.approval(a, buttons.EDIT)) if a.step_id is not None else None,
        ),
        (
            tap(t("button-grant"), buttons.approval(a, buttons.GRANT))
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
        (tap(t("button-undo"), buttons.approval(a, buttons.UNDO), style="danger") if undo_open else None,),
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


# --- runs -----------------------------------------------------------------------------------------


def run_progress(t: Texts, card: RunCard, links: Links, *, private: bool) -> View:
    """The one message of a run, edited as it goes."""
    state = RunState(card.run.state)
    steps = card.steps[-SHOWN_STEPS:]
    hidden = len(card.steps) - len(steps)
    running = not card.run.ended
    return view(
        Bold(f"{ICONS[state]} ", t("progress-title", state=t(f"state-{state}"), title=line(card.task.title, 300))),
        _missed(t, card.run),
        t("progress-more", count=hidden) if hidden else None,
        *(
            t("progress-step", seq=s.seq, tool=line(s.tool, 60), state=t(f"step-{s.state}"))
            + (f": {line(s.error, 120)}" if s.error and s.state != StepState.DONE else "")
            for s in steps
        ),
        *(_thinking(t, card.run) if card.run.thinking and not card.run.cancel_requested else ()),
        t("progress-stopping") if running and card.run.cancel_requested else None,
        keyboard=(
            (
                tap(t("button-cancel-task"), buttons.about("t", card.task.id, "c"))
                if running and not card.run.cancel_requested
                else None,
                links.button(
                    t("button-open-task"), page=f"tasks/{card.task.id}", start=f"task_{card.task.id}", private=private
                ),
            ),
        ),
    )


def _thinking(t: Texts, run: Run) -> Sequence[Text | str]:
    """That a model is asked, with the last words of what it has written so far."""
    return (t("progress-thinking"), *([Italic(run.partial_text)] if run.partial_text else []))


def _missed(t: Texts, run: Run) -> Text | None:
    """That this run makes up for a time nobody was there at."""
    if not run.origin.get("missedBySeconds"):
        return None
    return Text(t("progress-missed"), " ", moment(datetime.fromisoformat(str(run.origin["scheduledFor"]))))


def run_result(t: Texts, card: RunCard, links: Links, *, private: bool) -> View:
    """How a run ended: the answer itself, the state, and the receipt."""
    state = RunState(card.run.state)
    hash_ = None if card.receipt is None else card.receipt.leaf_hash.hex()[:12]
    summary = clip((card.run.summary or "").strip(), 2800)
    error = clip(why_ended(t, (card.run.error or "").strip(), code=card.run.error_code), 600)
    return view(
        Bold(f"{ICONS[state]} ", t("progress-title", state=t(f"state-{state}"), title=line(card.task.title, 300))),
        _missed(t, card.run),
        summary or (t("result-none") if state is RunState.COMPLETED else None),
        t("result-why", error=error) if error else None,
        Code(t("result-receipt", hash=hash_)) if hash_ else None,
        keyboard=(
            (
                None
                if card.receipt is None or hash_ is None
                else links.button(
                    t("button-receipt", hash=hash_[:8]),
                    page=f"receipts/{card.receipt.id}",
                    start=f"rec_{card.receipt.id}",
                    private=private,
                ),
                None
                if state is RunState.COMPLETED
                else tap(t("button-run-again"), buttons.about("t", card.task.id, "r")),
            ),
        ),
    )


def uncertain(t: Texts, card: UncertainCard) -> View:
    """What became of a call that was interrupted? Settled: the same text with the answer."""
    step = card.step
    shown, _ = pretty(card.args, 1200)
    open_still = step.state == StepState.UNCERTAIN
    return view(
        Bold("❓ ", t("uncertain-title", tool=line(step.tool, 120))),
        t("uncertain-text"),
        t("uncertain-reason", reason=line(step.error, 300)) if step.error and open_still else None,
        t("card-task", title=line(card.task.title, 200)),
        Pre(shown) if shown.strip() else None,
        None if open_still else Bold(t("uncertain-settled", state=t(f"answer-{card.choice}"))),
        keyboard=(
            (
                tap(t("button-retry"), buttons.uncertain(run_id=card.run.id, step_id=step.id, verb=buttons.RETRY)),
                tap(t("button-skip"), buttons.uncertain(run_id=card.run.id, step_id=step.id, verb=buttons.SKIP)),
                tap(t("button-done"), buttons.uncertain(run_id=card.run.id, step_id=step.id, verb=buttons.DONE)),
            ),
        )
        if open_still
        else (),
    )


# --- tasks and lists ------------------------------------------------------------------------------


def task_list(t: Texts, tasks: Sequence[Task], links: Links, *, private: bool) -> View:
    """The newest tasks, each with the id commands take."""
    if not tasks:
        return view(t("tasks-none"))
    return view(
        Bold(t("tasks-title")),
        *(
            Text(Code(short_id(task.id)), f" {line(task.title, 120)} · ", Italic(t(f"status-{task.status}")))
            for task in tasks
        ),
        keyboard=((links.button(t("open-app"), page="tasks", start="tasks", private=private),),),
    )


def task_detail(t: Texts, task: Task, links: Links, *, private: bool) -> View:
    """One task with what can be done to it."""
    active = task.status in ("queued", "running", "awaiting_approval")
    return view(
        Bold(line(task.title, 300)),
        t("task-detail-status", status=t(f"status-{task.status}")),
        ExpandableBlockQuote(clip(task.description.strip(), 2500)) if task.description.strip() else None,
        keyboard=(
            (
                tap(t("button-cancel-task"), buttons.about("t", task.id, "c"))
                if active
                else tap(t("button-run-again"), buttons.about("t", task.id, "r")),
                links.button(t("button-open-task"), page=f"tasks/{task.id}", start=f"task_{task.id}", private=private),
            ),
        ),
    )


def overview(t: Texts, seen: Overview) -> View:
    """The workspace at a glance."""
    counts = ", ".join(f"{t(f'status-{status}')} {count}" for status, count in seen.tasks.items() if count)
    return view(
        Bold(t("status-title", workspace=line(seen.workspace, 200))),
        t("status-mode", mode=t(f"mode-{seen.mode}")),
        Text(t("status-tasks"), ": ", counts or t("status-none")),
        t("status-approvals", count=seen.pending_approvals),
        t("status-receipts", count=seen.receipts),
        t("status-kill-on" if seen.killed else "status-kill-off"),
    )


def usage(t: Texts, found: Sequence[tuple[str, Mapping[str, int]]]) -> View:
    """What models took, a line for each span of days."""
    return view(
        Bold(t("usage-title")),
        *(
            Text(
                t(f"usage-{name}"),
                ": ",
                Bold(f"${sums['cost_micros'] / 1e6:.4f}"),
                " · ",
                t("usage-sum", calls=sums["calls"], tokens=sums["tokens_in"] + sums["tokens_out"]),
            )
            for name, sums in found
        ),
    )


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
            [tap(t("button-revoke", number=number), buttons.about("g", g.id), style="danger")]
            for number, g in enumerate(shown, 1)
        ],
    )


def operators(t: Texts, found: Sequence[Operator]) -> View:
    """Who does the work."""
    if not found:
        return view(t("operators-none"))
    return view(
        Bold(t("operators-title")),
        *(
            t(
                "operator-line",
                name=line(o.name, 80),
                role=line(o.role, 32),
                state=t("operator-active" if o.is_active else "operator-paused"),
            )
            for o in found[:25]
        ),
    )


def modes(t: Texts, mode: str) -> View:
    """The mode with buttons for the others."""
    return view(
        t("mode-now", mode=t(f"mode-{mode}")),
        keyboard=[[tap(t(f"mode-{m.value}"), buttons.plain("m", m.value))] for m in Mode if m.value != mode],
    )


def kill_confirm(t: Texts, *, on: bool) -> View:
    """A stop is confirmed by a second tap, and so is its end."""
    return view(
        t("kill-confirm" if on else "unkill-confirm"),
        keyboard=(
            (
                tap(t("button-kill"), buttons.plain("k", "on"), style="danger")
                if on
                else tap(t("button-unkill"), buttons.plain("k", "off"), style="success"),
                tap(t("button-leave"), buttons.plain("k", "no")),
            ),
        ),
    )


def languages(t: Texts, translator: Translator) -> View:
    """The languages, each by its own name."""
    return view(
        t("language-now", language=t.language.name),
        keyboard=[[tap(one.name, buttons.plain("l", one.code))] for one in translator.languages.values()],
    )


def workspaces(t: Texts, *, name: str, role: str, others: Sequence[tuple[str, str]]) -> View:
    """Where the person is, with buttons for their other workspaces (id, name)."""
    return view(
        t("workspace-now", workspace=line(name, 200), role=t(f"role-{role}")),
        t("workspace-choose") if others else None,
        keyboard=[[tap(line(label, 60), buttons.about("w", ref))] for ref, label in others[:20]],
    )


def receipt(t: Texts, found: CheckedReceipt, links: Links, *, private: bool) -> View:
    """One receipt and whether it holds."""
    row = found.row
    hash_ = row.leaf_hash.hex()
    return view(
        Bold(t("receipt-title", hash=hash_[:12])),
        t("receipt-what", action=row.action, verdict=row.verdict)
        + (f" ({row.reason_code})" if row.reason_code else ""),
        t("receipt-who", who=line(found.executor, 120)),
        Text(t("receipt-when"), " ", moment(row.created_at)),
        t("receipt-place", index=row.idx),
        Code(hash_),
        t("receipt-bad", problem=line(found.problem, 300)) if found.problem else t("receipt-good"),
        keyboard=(
            (
                {"text": t("button-receipt", hash=hash_[:8]), "copy_text": {"text": hash_}},
                links.button(t("button-open"), page=f"receipts/{row.id}", start=f"rec_{row.id}", private=private),
            ),
        ),
    )


def integrity(t: Texts, *, subject: str, differs: Sequence[str], count: int) -> View:
    """Something in the store is not what was signed: what, and what to do."""
    more = count - 1
    return view(
        Bold(t("integrity-title")),
        t(
            "integrity-what",
            subject=line(subject, 120),
            differs=line(", ".join(differs), 300),
        ),
        t("integrity-more", count=more) if more > 0 else None,
        t("integrity-hint"),
    )


def log_check(t: Texts, found: Checked) -> View:
    """Whether the log of receipts holds, and how to check without trusting this server."""
    return view(
        t("verify-bad", problem=line(found.problem, 300))
        if found.problem
        else t("verify-good", size=found.size, checked=found.checked),
        Text(t("verify-root"), " ", Code(found.root)) if found.root else None,
        t("verify-offline"),
    )


def run_origin(run: Run) -> int | None:
    """The message a run was asked for in, to reply to."""
    found = run.origin.get("messageId")
    return int(found) if isinstance(found, int | str) and str(found).isdigit() else None
