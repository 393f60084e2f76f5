"""Rules in CEL: what is found at save, what an error is worth, and that asking all at once changes nothing."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_builders import BASE, CEL, FACTS, WHENS, calls, rule, verdict

from connectors.cel import CelRules
from domain.governance import Verdict
from domain.policy.rules import RULE_INPUT, RuleError

GIVEN = FACTS.rule_input() | {"at": datetime(2026, 7, 4, 22, 30, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("expression", "line", "column"),
    [
        ("input.tool ==", 1, 14),
        ("input.tol == 'x'", 1, 6),
        ("input.effect == 'E3'", 1, 14),
        ("true &&\n input.args.x +", 2, 16),
        ("input.tool.nonsense()", 1, 20),
        ("inptu.tool == 'x'", 1, 6),
    ],
)
def test_a_mistake_is_found_at_save_with_its_place(expression: str, line: int, column: int) -> None:
    with pytest.raises(RuleError) as broken:
        CEL.check(expression)
    assert (broken.value.line, broken.value.column) == (line, column)
    assert str(broken.value)


@pytest.mark.parametrize(
    "expression", ["1 + 1", "input.tool", "'x'", "[true]", "", " ", "(" * 200 + "true" + ")" * 200, "true], [true"]
)
def test_what_is_no_condition_is_refused(expression: str) -> None:
    with pytest.raises(RuleError):
        CEL.check(expression)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("input.tool == 'note.create' && input.effect >= 2", True),
        ("has(input.args.url)", False),
        ("input.args.exists(k, k == 'title')", True),
        ("input.at.getHours('Europe/Berlin') == 0", True),
        ("input.args.title.matches('^h')", True),
        ("input.day_spent > 5", False),
    ],
)
def test_what_rules_can_say(expression: str, expected: bool) -> None:
    assert CEL.evaluate([expression], GIVEN) == [expected]
    assert list(CEL.evaluate([expression, "false"], GIVEN)) == [expected, False]


@pytest.mark.parametrize(
    ("expression", "args"),
    [
        ("input.args.nothing == 1", {}),
        ("input.args.title", {"title": "x"}),
        ("input.args.n > 1", {"n": 2**70}),
        ("input.args.n == 'a'", {"n": "\ud800"}),
        ("input.args.n == 1", {"n": object()}),
        ("1 / input.args.n == 1", {"n": 0}),
        ("input.args.l.all(a, input.args.l.all(b, input.args.l.all(c, a + b + c > 0)))", {"l": [1] * 60}),
        ("input.args.s.matches(input.args.s)", {"s": "(" * 40}),
    ],
)
def test_an_error_is_never_a_no(expression: str, args: dict[str, Any]) -> None:
    CEL.check(expression)
    for others in ([], ["false"], ["false", "true"]):
        [answer, *rest] = CEL.evaluate([expression, *others], GIVEN | {"args": args})
        assert isinstance(answer, RuleError)
        assert rest == [other == "true" for other in others]
    facts = replace(FACTS, args=args)
    decision = verdict(replace(BASE, rules=(rule("false", name="r0"), rule(expression, "ESCALATE"))), facts)
    assert (decision.verdict, decision.reason_code) == (Verdict.DENY, "PRG_EVALUATION_ERROR")
    assert "r1" in decision.reason
    assert decision.rule_id == "rule:r1"


def test_a_rule_about_the_time_denies_when_the_time_is_unknown() -> None:
    by_night = replace(BASE, rules=(rule("input.at.getHours() < 6", "ESCALATE"),))
    assert verdict(by_night, replace(FACTS, at="2026-01-01T03:00:00.000Z")).verdict is Verdict.ESCALATE
    assert verdict(by_night, replace(FACTS, at="2026-01-01T13:00:00.000Z")).verdict is Verdict.ALLOW
    assert verdict(by_night, FACTS).verdict is Verdict.DENY


def test_a_rule_for_some_tools_is_silent_about_the_others() -> None:
    narrow = replace(BASE, rules=(rule("input.args.url == 'x'", tools=("http.*",)),))
    assert verdict(narrow, FACTS).verdict is Verdict.ALLOW
    assert verdict(narrow, replace(FACTS, tool="http.get", args={"url": "x"})).verdict is Verdict.DENY


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*WHENS, "false", "false // not now", "input.mode == 'x'"]), max_size=6), calls)
def test_asked_together_they_answer_as_each_alone(whens: list[str], facts: Any) -> None:
    alone = [CEL.evaluate([when], facts.rule_input())[0] for when in whens]
    together = CEL.evaluate(whens, facts.rule_input())
    assert [str(a) for a in together] == [str(a) for a in alone]


@pytest.mark.parametrize("loose", ["false) || (false", "false // (", "false)", "false, false"])
def test_a_rule_cannot_lend_its_brackets_to_another(loose: str) -> None:
    [first, second] = CEL.evaluate([loose, "false"], GIVEN)
    assert second is False
    assert first is False if loose == "false // (" else isinstance(first, RuleError)


def test_many_long_rules_are_asked_one_by_one() -> None:
    long = [f"input.args.title == '{'x' * 3000}{i}'" for i in range(100)]
    assert list(CelRules().evaluate([*long, "true"], GIVEN)) == [False] * 100 + [True]


def test_every_declared_name_can_be_used() -> None:
    given = FACTS.rule_input() | {"at": datetime(2026, 1, 1, tzinfo=UTC)}
    assert set(given) == set(RULE_INPUT)
    for name, kind in RULE_INPUT.items():
        example = {"string": "''", "int": "0", "map": "{}", "timestamp": "timestamp('2020-01-01T00:00:00Z')"}[kind]
        [answer] = CEL.evaluate([f"input.{name} == {example} || true"], given)
        assert answer is True


def test_one_engine_for_many_threads() -> None:
    engine, wrong = CelRules(), []

    def work(number: int) -> None:
        given = GIVEN | {"args": {"n": number}}
        for _ in range(300):
            answers = engine.evaluate([f"input.args.n == {i}" for i in range(4)], given)
            if list(answers) != [i == number for i in range(4)]:
                wrong.append(answers)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
