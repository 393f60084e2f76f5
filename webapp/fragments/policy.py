"""What operators may do, what work may cost, and which model plans."""

from typing import Any

from domain.identity.actor import Actor
from domain.identity.permissions import Action, allows
from domain.policy.decide import tool_verdict
from domain.policy.effective import EffectivePolicy, effective
from domain.policy.governance import Verdict
from domain.policy.packs import pack
from domain.policy.settings_schema import PACKS
from domain.tools.effect import Effect
from domain.tools.tool import ToolSpec
from services.container import Services
from services.workspaces.secrets import KINDS
from webapp.fragments.common import Fragment, Query

# how the page names what the policy does with a tool
FATES = {Verdict.ALLOW: "runs", Verdict.ESCALATE: "asks", Verdict.DENY: "blocked"}
PROVIDERS = ("openrouter", "openai", "anthropic", "ollama", "custom")


async def policy(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """What operators may do."""
    view = await services.settings.get(actor)
    _, members = await services.workspaces.get(actor)
    in_force = effective(view.settings)
    specs = (await services.tool_registry.of(services.store, actor.in_workspace)).specs
    return "policy.html", {
        "workspace_id": actor.in_workspace,
        "policy": view.settings.policy,
        "version": view.version,
        "differs": view.differs,
        "members": members,
        "tools": [_tool(spec, in_force) for spec in specs],
        "elsewhere": sorted(set(view.settings.policy.tool_effects) - {spec.name for spec in specs}),
        "levels": tuple(f"E{level.value}" for level in Effect),
        "packs": [pack(name) for name in PACKS],
        "may_write": allows(actor, Action.SETTINGS_WRITE),
    }


async def budgets(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """What work may cost."""
    view = await services.settings.get(actor)
    return "budgets.html", {
        "workspace_id": actor.in_workspace,
        "budget": view.settings.budget,
        "may_write": allows(actor, Action.SETTINGS_WRITE),
    }


async def model(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """Which model plans, and with which keys of the workspace's own."""
    view = await services.settings.get(actor)
    kept = {s.kind: s for s in await services.secrets.list(actor)} if allows(actor, Action.SECRET_READ) else {}
    return "model.html", {
        "keys": [(kind, kept.get(kind)) for kind in KINDS],
        "may_keep": allows(actor, Action.SECRET_WRITE),
        "workspace_id": actor.in_workspace,
        "model": view.settings.model,
        "providers": sorted({*PROVIDERS, view.settings.model.provider}),
        "may_write": allows(actor, Action.SETTINGS_WRITE),
    }


def _tool(spec: ToolSpec, policy: EffectivePolicy) -> dict[str, Any]:
    fate = FATES[tool_verdict(policy, tool=spec.name, effect=int(spec.effect))]
    return {"name": spec.name, "declared": int(spec.effect), "fate": fate}
