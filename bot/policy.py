"""The policy in chat: what is in force, and its essentials to change with buttons or words."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from aiogram import Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Bold

from bot import views, workspace_views
from bot.buttons import AskFromTap, PolicyPageTap, ToolTap
from bot.context import Ctx
from bot.links import Button
from bot.text import line
from domain.errors import Invalid
from domain.identity.permissions import Action, allows, require
from domain.policy.settings_schema import PolicyConfig, WorkspaceSettings
from domain.tools.tool import name_fits
from locales import Texts

router = Router(name="policy")

LEVELS: tuple[Literal["E1", "E2", "E3"], ...] = ("E1", "E2", "E3")
SHOWN_TOOLS = 30
# what a budget is called after the command, and its name in the settings
BUDGETS: Mapping[str, str] = {
    "task": "perTaskMax",
    "operator": "perOperatorMax",
    "day": "dailyTotalMax",
    "month": "monthlyLlmBudget",
    "emergency": "emergencyKill",
}


@router.message(Command("policy"))
async def policy(_message: Message, command: CommandObject, ctx: Ctx) -> None:
    """`/policy` shows it; `/policy block TOOL`, `unblock TOOL`, `ask E2`, `day 400` change it."""
    before = (await ctx.deps.settings(ctx.who)).settings
    words = (command.args or "").split()
    if words:
        change = _change(before, words)
        if change is None:
            await ctx.say(views.view(ctx.t("policy-usage")))
            return
        before = (await ctx.deps.change_settings(ctx.who, change)).settings
    await ctx.say(_overview(ctx, before))


def _change(before: WorkspaceSettings, words: Sequence[str]) -> dict[str, Any] | None:
    """The change of the settings these words ask for, None when they ask for none."""
    match [word.lower() for word in words]:
        case ["block", tool]:
            return _blocking(before.policy, tool, on=True)
        case ["unblock", tool]:
            return _blocking(before.policy, tool, on=False)
        case ["ask", level]:
            return {"policyConfig": {"approvalFrom": level.upper()}}
        case ["month", "off"]:
            return {"budgetConfig": {"monthlyLlmBudget": None}}
        case [name, amount] if name in BUDGETS:
            try:
                return {"budgetConfig": {BUDGETS[name]: float(amount.replace(",", ".").removeprefix("$"))}}
            except ValueError:
                return None
    return None


def _blocking(before: PolicyConfig, tool: str, *, on: bool) -> dict[str, Any]:
    """The blocklist with a tool (or pattern) more, or less; Invalid when it is not on it."""
    if not on and tool not in before.tool_blocklist:
        raise Invalid.field("toolBlocklist", f"does not hold {tool[:120]}")
    without = [name for name in before.tool_blocklist if name != tool]
    return {"policyConfig": {"toolBlocklist": [*without, tool] if on else without}}


@router.callback_query(AskFromTap.filter())
async def ask_from(_tap: CallbackQuery, ctx: Ctx, callback_data: AskFromTap) -> None:
    """Another level to ask from."""
    level = callback_data.level
    view = (await ctx.deps.change_settings(ctx.who, {"policyConfig": {"approvalFrom": level}})).settings
    await ctx.answer(ctx.t("policy-from", level=level, effect=ctx.t(f"effect-{level[1]}")))
    await ctx.say(_overview(ctx, view), edit=ctx.message_id)


@router.callback_query(ToolTap.filter())
async def change_tool(_tap: CallbackQuery, ctx: Ctx, callback_data: ToolTap) -> None:
    """A tool blocked or freed."""
    tool, on = callback_data.tool, callback_data.verb == "block"
    view = (await ctx.deps.settings(ctx.who)).settings
    # said for both a tap that is late and one that comes twice: what is wanted, not the other way round
    if (tool in view.policy.tool_blocklist) != on:
        view = (await ctx.deps.change_settings(ctx.who, _blocking(view.policy, tool, on=on))).settings
    await ctx.say(_tools(ctx, view.policy), edit=ctx.message_id)
    await ctx.answer()


@router.callback_query(PolicyPageTap.filter())
async def turn_page(_tap: CallbackQuery, ctx: Ctx, callback_data: PolicyPageTap) -> None:
    """The list of tools, all of the policy, or the question about the kill switch."""
    view = (await ctx.deps.settings(ctx.who)).settings
    if callback_data.page == "kill":
        require(ctx.who, Action.KILL_SWITCH_WRITE)
        await ctx.say(workspace_views.kill_confirm(ctx.t, on=not view.policy.kill_switch))
    elif callback_data.page == "tools":
        require(ctx.who, Action.SETTINGS_WRITE)
        await ctx.say(_tools(ctx, view.policy), edit=ctx.message_id)
    else:
        await ctx.say(_overview(ctx, view), edit=ctx.message_id)
    await ctx.answer()


def _overview(ctx: Ctx, view: WorkspaceSettings) -> views.View:
    """The policy's essentials; buttons for those who may change them."""
    t, policy, budget = ctx.t, view.policy, view.budget
    level = policy.approval_from
    month = "" if budget.monthly_llm_budget is None else f", {t('policy-month')} {budget.monthly_llm_budget:g}"
    may_write = allows(ctx.who, Action.SETTINGS_WRITE)
    return views.view(
        Bold(t("policy-title")),
        t("status-kill-on" if policy.kill_switch else "status-kill-off"),
        t("policy-from", level=level, effect=t(f"effect-{level[1]}")),
        t("policy-always", tools=_listed(t, policy.require_approval_for)),
        t("policy-blocked", tools=_listed(t, policy.tool_blocklist)),
        t(
            "policy-budgets",
            task=f"{budget.per_task_max:g}",
            operator=f"{budget.per_operator_max:g}",
            day=f"{budget.daily_total_max:g}",
            emergency=f"{budget.emergency_kill:g}",
        )
        + month,
        *(("", t("policy-usage")) if may_write else ()),
        keyboard=_keyboard(ctx, policy) if may_write else (),
    )


def _keyboard(ctx: Ctx, policy: PolicyConfig) -> Sequence[Sequence[Button | None]]:
    t = ctx.t
    stop = "button-unkill" if policy.kill_switch else "button-kill"
    return (
        [
            views.tap(f"{'✓ ' if level == policy.approval_from else ''}{level}", AskFromTap(level=level).pack())
            for level in LEVELS
        ],
        [views.tap(t("policy-button-tools"), PolicyPageTap(page="tools").pack())],
        [views.tap(t(stop), PolicyPageTap(page="kill").pack(), style="success" if policy.kill_switch else "danger")],
        [ctx.deps.links.button(t("open-app"), page="policy", start="policy", private=ctx.private)],
    )


def _tools(ctx: Ctx, policy: PolicyConfig) -> views.View:
    """What is blocked, each with a button that frees it, and the other tools, each with one that blocks it."""
    blocked = policy.tool_blocklist
    others = [tool for tool in ctx.deps.tools() if not any(name_fits(name, tool) for name in blocked)]
    rows = [
        *(
            [views.tap(f"⛔ {name}", ToolTap(verb="free", tool=name).pack())]
            for name in blocked
            if ToolTap.fits("free", name)
        ),
        *(
            [views.tap(f"▶ {name}", ToolTap(verb="block", tool=name).pack())]
            for name in others
            if ToolTap.fits("block", name)
        ),
    ]
    return views.view(
        Bold(ctx.t("policy-button-tools")),
        ctx.t("policy-tools-hint"),
        keyboard=[*rows[:SHOWN_TOOLS], [views.tap(ctx.t("policy-button-back"), PolicyPageTap(page="all").pack())]],
    )


def _listed(t: Texts, names: Sequence[str]) -> str:
    return line(", ".join(names), 400) if names else t("policy-none")
