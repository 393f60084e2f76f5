"""The sidecar's files: read back as the sidecar reads them, they never say less than our own rules."""

import json
import tomllib
from dataclasses import replace
from typing import Any

import pytest
from cel_expr_python import cel
from policy_builders import BASE, FACTS, rule, verdict

from domain.policy.governance import Verdict
from domain.policy.sidecar import PACK_NAME, TOML_NAME, sidecar_files, translate
from domain.tools.effect import Effect
from domain.tools.tool import ToolSpec

KERNEL = cel.NewEnv(variables={"input": cel.Type.DYN})
TOOLS = [
    ToolSpec(name=name, summary="A tool.", parameters={"type": "object"}, effect=effect)
    for name, effect in (("http.get", Effect.E1), ("http.post", Effect.E3), ("note.create", Effect.E2))
]


def actions(policy: Any) -> dict[str, dict[str, Any]]:
    files = sidecar_files(policy, TOOLS)
    head = tomllib.loads(files[TOML_NAME])
    assert head["reference_pack"] == PACK_NAME
    assert head["receipts"]["store"] == "sqlite"
    pack = json.loads(files[PACK_NAME])
    assert pack["pack_id"]
    assert pack["version"]
    return {action["action"]: action for action in pack["runtime_actions"]}


def kernel_allows(action: dict[str, Any], args: dict[str, Any]) -> bool:
    """As the kernel evaluates an action: over its own shape of input, an error denies."""
    given = {"action": action["action"], "effect": {"type": action["resource"], "params": {"args": args}}}
    result = KERNEL.compile(action["expression"]).eval(data={"input": given})
    return bool(result.type() == cel.Type.BOOL and result.value())


DENIES = [
    "has(input.args.url) && input.args.url.startsWith('http://')",
    "input.effect >= 3 && input.tool == 'http.post'",
    "input . args . body == 'about input.args and input.mode'",
    "input.args.url == \"it's\" // a comment about input.mode and 'quotes",
    "input.args.url.matches(r'^\\d+$')",
    'input.args.url == """input.day_spent"""',
]


@pytest.mark.parametrize("when", DENIES)
@pytest.mark.parametrize(
    "args",
    [
        {},
        {"url": "http://a"},
        {"url": "https://a", "body": ""},
        {"url": "it's", "body": "about input.args and input.mode"},
        {"url": "12", "body": "x"},
        {"url": "input.day_spent", "body": "x"},
    ],
)
def test_the_same_rule_says_the_same_there(when: str, args: dict[str, Any]) -> None:
    policy = replace(BASE, rules=(rule(when),))
    for spec in TOOLS:
        here = verdict(policy, replace(FACTS, tool=spec.name, effect=int(spec.effect), args=args)).verdict
        assert kernel_allows(actions(policy)[spec.name], args) is (here is not Verdict.DENY)


def test_what_the_sidecar_cannot_see_stays_and_is_named() -> None:
    policy = replace(
        BASE,
        rules=(
            rule("input.mode == 'launch'", name="by-mode"),
            rule("input.args.x == 1", "ESCALATE", name="asks"),
            rule("input.args.url == 'x'", name="travels"),
            rule("true", name="posts-only", tools=("http.post",)),
        ),
    )
    found = actions(policy)
    assert found["http.get"]["expression"] == "!(input.effect.params.args.url == 'x')"
    assert "by-mode, asks" in found["http.get"]["description"]
    assert not kernel_allows(found["http.post"], {"url": "y"})
    assert kernel_allows(found["http.get"], {"url": "y"})
    assert translate(rule("input == 1"), effect=1) is None


def test_tools_that_are_shut_off_are_not_listed() -> None:
    assert set(actions(replace(BASE, blocklist=("http.*",)))) == {"note.create"}
    assert actions(replace(BASE, kill_switch=True)) == {}
    assert actions(replace(BASE, tool_effects={"http.*": 4}))["http.get"]["resource"] == "E4"
