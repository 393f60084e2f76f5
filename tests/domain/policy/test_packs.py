"""The packs that come with Pilot: whole, sound, and doing what their summaries say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from policy_builders import BASE, CEL, FACTS, GRANT, verdict

import domain.policy.packs
from domain.policy.effective import effective
from domain.policy.governance import Verdict
from domain.policy.overlay import Pack
from domain.policy.packs import pack, read
from domain.policy.settings_schema import PACKS, load


def test_there_is_one_for_each_role() -> None:
    folder = Path(domain.policy.packs.__file__).parent
    assert sorted(p.stem for p in folder.glob("*.json")) == sorted(PACKS)
    with pytest.raises(KeyError):
        pack("../secrets")


@pytest.mark.parametrize("name", PACKS)
def test_each_is_sound(name: str) -> None:
    found = pack(name)
    assert (found.id, found.role) == (name, name)
    assert found.summary.endswith(".")
    assert Pack.from_json(found.as_json()) == found
    for rule in found.rules:
        CEL.check(rule.when)
        assert rule.id.startswith(f"{name}:")
        assert rule.verdict in ("DENY", "ESCALATE")
        assert rule.reason
    # as an owner's own settings they would be accepted, so nothing in them is malformed
    load(
        {
            "toolBlocklist": list(found.blocklist),
            "contentBans": list(found.content_bans),
            "requireApprovalFor": list(found.require_approval_for),
            "toolEffects": {tool: f"E{level}" for tool, level in found.tool_effects.items()},
        },
        {},
        {},
    )


MAIL = {"to": "a@example.com", "subject": "Hello", "body": "A plain letter."}


@pytest.mark.parametrize(
    ("role", "tool", "effect", "args", "outcome"),
    [
        ("engineering", "http.get", 1, {"url": "https://example.com"}, (Verdict.ALLOW, "default")),
        ("engineering", "http.get", 1, {"url": "http://example.com"}, (Verdict.DENY, "rule:engineering:no-plain-http")),
        ("engineering", "mcp.git.merge_pull", 2, {}, (Verdict.ESCALATE, "approval_list")),
        ("engineering", "mcp.db.drop_table", 2, {}, (Verdict.ESCALATE, "effect_level")),
        ("engineering", "note.create", 2, {"text": "-----BEGIN PRIVATE key-----"}, (Verdict.DENY, "content_ban")),
        ("design", "http.post", 3, {"url": "https://example.com"}, (Verdict.DENY, "tool_blocklist")),
        ("growth", "email.send", 3, MAIL, (Verdict.ESCALATE, "approval_list")),
        ("growth", "email.send", 3, MAIL | {"subject": "LAST CHANCE!"}, (Verdict.ESCALATE, "rule:growth:no-shouting")),
        (
            "growth",
            "email.send",
            3,
            MAIL | {"body": "see https://BIT.ly/x"},
            (Verdict.DENY, "rule:growth:no-link-shorteners"),
        ),
        ("growth", "note.create", 2, {"text": "Guaranteed  returns"}, (Verdict.DENY, "content_ban")),
        ("ops", "mcp.bank.pay_invoice", 2, {}, (Verdict.ESCALATE, "effect_level")),
        (
            "ops",
            "email.send",
            3,
            MAIL | {"body": "to DE89 3704 0044 0532 0130 00 please"},
            (Verdict.ESCALATE, "rule:ops:no-iban"),
        ),
        ("product", "task.create", 2, {"title": "x"}, (Verdict.ALLOW, "default")),
    ],
)
def test_what_the_packs_do(
    role: str, tool: str, effect: int, args: dict[str, Any], outcome: tuple[Verdict, str]
) -> None:
    policy = replace(BASE, packs=(pack(role),))
    decision = verdict(policy, replace(FACTS, tool=tool, effect=effect, args=args, operator_role=role))
    assert (decision.verdict, decision.rule_id) == outcome


def test_a_long_run_may_not_go_on_making_tasks_unseen() -> None:
    policy = replace(BASE, packs=(pack("product"),))
    late = replace(FACTS, tool="task.create", operator_role="product", iteration=26)
    assert verdict(policy, late).rule_id == "rule:product:many-tasks"


def test_a_pack_is_for_the_operators_of_its_role() -> None:
    policy = effective(load({"packs": ["design", "ops"]}, {}, {}))
    post = replace(FACTS, tool="http.post", effect=3)
    assert verdict(policy, replace(post, operator_role="design")).verdict is Verdict.DENY
    assert verdict(policy, replace(post, operator_role="ops")).verdict is Verdict.ESCALATE
    assert verdict(policy, replace(post, operator_role="growth")).verdict is Verdict.ESCALATE
    assert verdict(policy, post).verdict is Verdict.DENY


def test_a_grant_reaches_only_as_far_as_the_level_the_pack_raised() -> None:
    call = replace(FACTS, tool="mcp.bank.refund", effect=3, operator_role="ops")
    granted = replace(call, grants=(replace(GRANT, tool="mcp.bank.refund"),))
    assert verdict(BASE, granted).rule_id == "grant:g"
    assert verdict(replace(BASE, packs=(pack("ops"),)), granted).verdict is Verdict.ESCALATE


def test_budgets_of_a_pack_are_limits_within_the_workspace() -> None:
    policy = replace(BASE, packs=(pack("growth"),))
    spent = replace(FACTS, task_spent=26_000_000)
    assert verdict(policy, replace(spent, operator_role="growth")).rule_id == "budget_task"
    assert verdict(policy, replace(spent, operator_role="ops")).verdict is Verdict.ALLOW
    assert policy.for_role("growth").per_task == 25_000_000
    assert replace(policy, per_task=10).for_role("growth").per_task == 10


def test_a_pack_never_lowers_a_level_the_owner_raised() -> None:
    mild = read({"id": "x", "version": 1, "role": "", "summary": "", "toolEffects": {"note.create": "E1"}})
    policy = replace(BASE, tool_effects={"note.create": 4}, packs=(mild,))
    assert policy.for_role("ops").tool_effects == {"note.create": 4}
    assert verdict(policy, FACTS).verdict is Verdict.ESCALATE
    assert verdict(replace(BASE, packs=(mild,)), FACTS).verdict is Verdict.ALLOW
