"""Policies, calls and rules for the tests of the policy, fixed and drawn."""

from dataclasses import replace

from hypothesis import strategies as st

from connectors.cel import CelRules
from domain.policy.decide import decide
from domain.policy.effective import EffectivePolicy, effective
from domain.policy.facts import CallFacts, GrantFacts
from domain.policy.governance import Decision
from domain.policy.packs import pack
from domain.policy.rules import CustomRule
from domain.policy.settings_schema import PACKS, load

CEL = CelRules()
BASE = effective(load({}, {}, {}))
FACTS = CallFacts(tool="note.create", effect=2, args={"title": "hello"}, mode="build", task_id="t")
GRANT = GrantFacts(id="g", tool="http.post", task_id="t", max_effect=3)


def verdict(policy: EffectivePolicy, facts: CallFacts) -> Decision:
    return decide(policy, facts, CEL)


def rule(when: str, word: str = "DENY", *, name: str = "r1", tools: tuple[str, ...] = ()) -> CustomRule:
    return CustomRule(id=name, when=when, verdict=word, reason="because", tools=tools)


WHENS = [
    "true",
    "input.effect > 2",
    "input.args.url == 'x'",
    "input.tool == 'finish'",
    "has(input.args.title) && input.args.title.contains('a')",
    "input.args.title",
    "input.task_spent > 100000000",
    "input.at > timestamp('2026-01-01T00:00:00Z')",
]
rules = st.builds(
    lambda when, word, tools: rule(when, word, name=f"{when}/{word}/{tools}", tools=tools),
    st.sampled_from(WHENS),
    st.sampled_from(["DENY", "ESCALATE"]),
    st.sampled_from([(), ("http.*",), ("note.create", "finish")]),
)
calls = st.builds(
    CallFacts,
    tool=st.sampled_from(["note.create", "http.post", "finish", "email.send"]),
    effect=st.integers(0, 4),
    args=st.dictionaries(st.sampled_from(["title", "url"]), st.text(max_size=12), max_size=2),
    mode=st.just("build"),
    task_id=st.sampled_from(["t", "u"]),
    task_spent=st.integers(0, 200_000_000),
    approved=st.booleans(),
    grants=st.sampled_from([(), (GRANT,), (replace(GRANT, expires_at="2026-01-02T00:00:00.000Z"), GRANT)]),
    operator_role=st.sampled_from(["", "ops", "engineering", "growth"]),
    at=st.sampled_from(["", "2025-12-31T00:00:00.000Z", "2026-06-01T12:30:00.000Z"]),
)
policies = st.builds(
    lambda block, ask, kill, bans, own, effects, packs, since: replace(
        BASE,
        blocklist=tuple(block),
        require_approval_for=tuple(ask),
        kill_switch=kill,
        content_bans=tuple(bans),
        rules=tuple(own),
        tool_effects=effects,
        packs=tuple(pack(name) for name in sorted(packs)),
        approval_from=since,
    ),
    st.lists(st.sampled_from(["http.*", "note.create"]), max_size=2),
    st.lists(st.sampled_from(["note.create", "*"]), max_size=2),
    st.sampled_from([False, False, False, True]),
    st.lists(st.sampled_from(["a", "zz"]), max_size=2),
    st.lists(rules, max_size=3, unique_by=lambda r: r.id),
    st.dictionaries(st.sampled_from(["http.post", "*"]), st.integers(0, 4), max_size=2),
    st.sets(st.sampled_from(PACKS), max_size=2),
    st.integers(1, 3),
)
