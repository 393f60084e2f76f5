"""Rules in CEL: what is found at save, what an error is worth, and that asking all at once changes nothing."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_builders import BASE, CEL, FACTS, WHENS, calls, rule, verdict

from connectors.cel import ALWAYS_TOO_COSTLY, TOO_COSTLY, CelRules
from connectors.cel_cost import program_of, size_of
from domain.policy.governance import Verdict
from domain.policy.rules import RULE_INPUT, RuleError
from tests.cost import HOLDS_NOBODY, cpu

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
    partition = CEL.evaluate(whens, facts.rule_input())
    assert [str(a) for a in partition] == [str(a) for a in alone]


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


LETTERS = "x" * 900_000
# each of these held the interpreter for between a tenth of a second and several seconds
DEAR: list[tuple[str, dict[str, Any]]] = [
    ("input.args.l.map(a, a).size() > 0", {"l": ["1"] * 9000}),
    ("input.args.l.filter(a, a == '1').size() > 0", {"l": ["1"] * 9000}),
    ("input.args.l.all(a, input.args.s.size() > 0)", {"s": LETTERS, "l": [1] * 4000}),
    ("input.args.s.contains(input.args.n)", {"s": "x" * 450_000, "n": "x" * 225_000 + "y"}),
    ("input.args.l.all(a, !input.args.s.contains('" + "x" * 90 + "y'))", {"s": LETTERS, "l": [1] * 3000}),
    ("input.args.l.all(a, input.args.s.matches('(.{1,100}){1,10}y'))", {"s": "xyz" * 3000, "l": [1] * 3000}),
    ("input.args.s.matches('(.{1,200}){1,20}y')", {"s": "xyz" * 300_000}),
    ("input.tool.matches(input.args.s)", {"s": "(a|b|c|d)" * 100_000}),
    ("input.args.l.exists(a, input.tool.matches(a))", {"l": ["(a|b)z"] * 9000}),
    (
        "input.args.l.all(a, input.args.m == input.args.n)",
        {"l": [1] * 9000, "m": [{"k": n} for n in range(2000)], "n": [{"k": n} for n in range(2000)]},
    ),
    ("input.args.l.all(k, k in input.args.l)", {"l": [str(n) for n in range(9000)]}),
    ("[input.args.s]" + ".map(a, a + a)" * 9 + "[0].size() > 0", {"s": LETTERS}),
    ("[input.args.l]" + ".map(a, a + a)" * 11 + "[0].size() > 0", {"l": [1] * 900}),
    (
        "input.args.l.all(a, timestamp('2020-01-01T00:00:00Z').getHours(a) >= 0)",
        {"l": [f"Z{n}" for n in range(9000)]},
    ),
    (
        "input.args.l.all(a, a.matches('^[a-z0-9._%+-]+@[a-z0-9.-]+[.][a-z]{2,}$'))",
        {"l": ["ada@example.com" * 3] * 9000},
    ),
]


@pytest.mark.parametrize(("expression", "args"), DEAR, ids=[expression[:60] for expression, _ in DEAR])
def test_what_would_take_long_over_these_arguments_is_refused_at_once(expression: str, args: dict[str, Any]) -> None:
    CEL.check(expression)
    answers: list[Any] = []
    others = ["false", "input.tool == ''"]

    def ask() -> None:
        answers[:] = CEL.evaluate([expression, *others], GIVEN | {"args": args})

    assert cpu(ask) < HOLDS_NOBODY
    assert isinstance(answers[0], RuleError)
    assert str(answers[0]) == TOO_COSTLY
    assert answers[1:] == [False, False]
    facts = replace(FACTS, args=args)
    decision = verdict(replace(BASE, rules=(rule(expression, "ESCALATE"),)), facts)
    assert (decision.verdict, decision.reason_code) == (Verdict.DENY, "PRG_EVALUATION_ERROR")
    # over a small call the same rule has an answer, or an error of its own
    small = {name: value[:3] for name, value in args.items()}
    assert [str(answer) for answer in CEL.evaluate([expression], GIVEN | {"args": small})] != [TOO_COSTLY]


@pytest.mark.parametrize(
    "expression",
    [
        "[[1]]" + ".map(a, a + a)" * 24 + "[0].size() > 0",
        "['x']" + ".map(a, a + a)" * 24 + "[0].size() > 0",
        "dyn([[1]]" + ".map(a, [a, a])" * 26 + "[0]) == dyn([[1]]" + ".map(a, [a, a])" * 26 + "[0])",
        "input.args.s.matches('((a{1,300}){1,300})')",
        "input.args.s.matches('" + "(a{1000})" * 300 + "')",
        "input.args.s.matches('" + "\\\\pL{1000}" * 200 + "')",
    ],
    ids=lambda text: text[:40],
)
def test_a_rule_that_always_takes_long_is_refused_when_it_is_saved(expression: str) -> None:
    engine = CelRules()

    def save() -> None:
        with pytest.raises(RuleError) as refused:
            engine.check(expression)
        assert str(refused.value) == ALWAYS_TOO_COSTLY or refused.value.line

    assert cpu(save) < HOLDS_NOBODY
    # one that was saved before there was such a bound denies, and does not begin
    assert cpu(lambda: engine.evaluate([expression], GIVEN)) < HOLDS_NOBODY
    assert isinstance(engine.evaluate([expression], GIVEN)[0], RuleError)


def test_a_hundred_rules_share_one_bound() -> None:
    rules = [f"input.args.l.exists(a, a.startsWith('{n}z'))" for n in range(100)]
    args = {"l": [str(n) for n in range(3000)]}
    assert cpu(lambda: CEL.evaluate(rules, GIVEN | {"args": args})) < HOLDS_NOBODY
    answers = CEL.evaluate(rules, GIVEN | {"args": args})
    assert answers[0] is False
    assert str(answers[-1]) == TOO_COSTLY
    # the order of the rules decides which of them are heard, and nothing else does
    assert [str(a) for a in CelRules().evaluate(rules, GIVEN | {"args": args})] == [str(a) for a in answers]


@pytest.mark.parametrize(
    ("expression", "args", "expected"),
    [
        ("input.args.to.all(a, a.endsWith('@example.com'))", {"to": ["ada@example.com"] * 1000}, True),
        (
            "input.args.body.matches('(?i)(password|secret|api[_-]?key)')",
            {"body": "hello " * 60_000 + "Password"},
            True,
        ),
        ("input.args.body.contains('password')", {"body": "hello " * 150_000}, False),
        ("input.args.exists(k, k.startsWith('x-'))", {f"k{n}": n for n in range(500)}, False),
        (
            "input.args.rows.exists(r, r.amount > 900.0)",
            {"rows": [{"amount": float(n), "to": "a"} for n in range(1000)]},
            True,
        ),
        (
            "input.args.rows.map(r, r.amount).exists(a, a > 90.0)",
            {"rows": [{"amount": float(n)} for n in range(100)]},
            True,
        ),
        ("input.args.to.all(a, a in ['a', 'b', 'c'])", {"to": ["a", "b"] * 500}, True),
        ("size(input.args.body) > 100000", {"body": "x" * 1_000_000}, True),
    ],
)
def test_rules_as_people_write_them_are_heard(expression: str, args: dict[str, Any], expected: bool) -> None:
    CEL.check(expression)
    assert list(CEL.evaluate([expression], GIVEN | {"args": args})) == [expected]


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.text(max_size=5) | st.integers() | st.none(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
        max_leaves=25,
    )
)
def test_a_size_covers_what_it_is_the_size_of(value: Any) -> None:
    def covered(value: Any, depth: int) -> tuple[int, int]:
        level = size[min(depth, len(size) - 1)]
        if isinstance(value, str):
            assert level.text >= len(value.encode())
            return 1, len(value.encode())
        inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
        parts = [covered(one, depth + 1) for one in inner]
        nodes, chars = 1 + sum(part[0] for part in parts), sum(part[1] for part in parts)
        assert level.length >= (len(value) if isinstance(value, list | dict) else 0)
        assert (level.nodes, level.chars) >= (nodes, chars)
        return nodes, chars

    size = size_of(value)
    covered(value, 0)


@pytest.mark.parametrize(
    ("pattern", "least"),
    [
        ("a", 1),
        ("a{100}", 100),
        ("(a{10}){10}", 100),
        ("((a{10}){10}){10}", 1000),
        ("(ab|c){2,50}", 150),
        ("[a-z]{500}", 500),
    ],
)
def test_a_pattern_counts_as_often_as_it_repeats(pattern: str, least: int) -> None:
    assert program_of(pattern) >= least


def test_reckoning_a_rule_is_no_work_itself() -> None:
    deep = "input.args.l.all(a, " * 9 + "true" + ")" * 9
    wide = " || ".join(["input.args.l.exists(a, a == 1)"] * 120)
    for expression in (deep, wide, "input.args.s.matches('" + "(" * 1500 + ")" * 1500 + "')"):
        engine = CelRules()

        def ask(expression: str = expression, engine: CelRules = engine) -> None:
            engine.evaluate([expression], GIVEN | {"args": {"l": [1, 2, 3], "s": "x"}})

        assert cpu(ask) < HOLDS_NOBODY
