"""The workspace as messages: at a glance, its operators, mode, usage, stop, languages, and where else to be."""

from collections.abc import Mapping, Sequence

from aiogram.utils.formatting import Bold, Text

from bot.buttons import KillTap, LanguageTap, ModeTap, WorkspaceTap
from bot.text import line
from bot.views import View, tap, view
from domain.outbox.notifications import BudgetNotice
from domain.runs.task import Mode
from domain.tools.operator import Operator
from locales import Texts, Translator
from services.chat.overview import Overview


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


def installation_budget(t: Texts, found: BudgetNotice) -> View:
    """The installation's own budget for models is used up, for whoever runs it."""
    return view(Bold(t("installation-budget-title")), t("installation-budget", budget=found.budget))


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
        keyboard=[[tap(t(f"mode-{m.value}"), ModeTap(mode=m).pack())] for m in Mode if m.value != mode],
    )


def kill_confirm(t: Texts, *, on: bool) -> View:
    """A stop is confirmed by a second tap, and so is its end."""
    return view(
        t("kill-confirm" if on else "unkill-confirm"),
        keyboard=(
            (
                tap(t("button-kill"), KillTap(wanted="on").pack(), style="danger")
                if on
                else tap(t("button-unkill"), KillTap(wanted="off").pack(), style="success"),
                tap(t("button-leave"), KillTap(wanted="no").pack()),
            ),
        ),
    )


def languages(t: Texts, translator: Translator) -> View:
    """The languages, each by its own name."""
    return view(
        t("language-now", language=t.language.name),
        keyboard=[[tap(one.name, LanguageTap(code=one.code).pack())] for one in translator.languages.values()],
    )


def workspaces(t: Texts, *, name: str, role: str, others: Sequence[tuple[str, str]]) -> View:
    """Where the person is, with buttons for their other workspaces (id, name)."""
    return view(
        t("workspace-now", workspace=line(name, 200), role=t(f"role-{role}")),
        t("workspace-choose") if others else None,
        keyboard=[[tap(line(label, 60), WorkspaceTap(workspace_id=ref).pack())] for ref, label in others[:20]],
    )
