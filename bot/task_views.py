"""Tasks and their runs as messages: lists, progress, how a run ended, and what is asked of an interrupted call."""

from collections.abc import Sequence
from datetime import datetime

from aiogram.utils.formatting import Bold, Code, ExpandableBlockQuote, Italic, Pre, Text

from bot.buttons import StepTap, StepVerb, TaskTap, TaskVerb
from bot.links import Links
from bot.text import clip, line, pretty
from bot.views import View, moment, short_id, tap, view
from domain.runs.run import Run, RunState, StepState
from domain.runs.task import Task
from locales import Texts
from locales.words import why_ended
from services.chat.cards import RunCard, UncertainCard

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
                tap(t("button-cancel-task"), TaskTap(task_id=card.task.id, verb=TaskVerb.CANCEL).pack())
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
                else tap(t("button-run-again"), TaskTap(task_id=card.task.id, verb=TaskVerb.RUN).pack()),
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
                tap(t("button-retry"), StepTap(run_id=card.run.id, step_id=step.id, verb=StepVerb.RETRY).pack()),
                tap(t("button-skip"), StepTap(run_id=card.run.id, step_id=step.id, verb=StepVerb.SKIP).pack()),
                tap(t("button-done"), StepTap(run_id=card.run.id, step_id=step.id, verb=StepVerb.DONE).pack()),
            ),
        )
        if open_still
        else (),
    )


def run_origin(run: Run) -> int | None:
    """The message a run was asked for in, to reply to."""
    found = run.origin.get("messageId")
    return int(found) if isinstance(found, int | str) and str(found).isdigit() else None


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
                tap(t("button-cancel-task"), TaskTap(task_id=task.id, verb=TaskVerb.CANCEL).pack())
                if active
                else tap(t("button-run-again"), TaskTap(task_id=task.id, verb=TaskVerb.RUN).pack()),
                links.button(t("button-open-task"), page=f"tasks/{task.id}", start=f"task_{task.id}", private=private),
            ),
        ),
    )
