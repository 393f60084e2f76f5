"""Playbooks: what a person types becomes steps, or an error with its line; never something else."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.playbooks.errors import PlaybookError
from domain.playbooks.lines import hint
from domain.playbooks.model import Playbook
from domain.playbooks.parsing import parse
from domain.playbooks.running import Call, End, StepResult, Stop, next_step
from domain.tools.effect import Effect
from domain.tools.tool import ToolSpec
from tests.cost import HOLDS_NOBODY, cpu


def tool(name: str, required: tuple[str, ...] = (), **properties: Any) -> ToolSpec:
    schema = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return ToolSpec(name=name, summary=name, parameters=schema, effect=Effect.E1)


TEXT = {"type": "string", "minLength": 1}
TOOLS = [
    tool("note.create", ("title",), title=TEXT, body={"type": "string"}, tags={"type": "array", "items": TEXT}),
    tool("http.get", ("url",), url=TEXT, max_bytes={"type": "integer", "minimum": 1}),
    tool("http.post", ("url",), url=TEXT, json={}, body=TEXT, headers={"type": "object"}),
    tool("email.send", ("to", "subject", "body"), to=TEXT, subject=TEXT, body=TEXT),
    tool("wait.until", (), seconds={"type": "number"}, time=TEXT),
    tool("finish", ("summary",), summary=TEXT),
]


def book(text: str) -> Playbook:
    found = parse(text, TOOLS)
    assert found is not None
    return found


def wrong(text: str) -> PlaybookError:
    with pytest.raises(PlaybookError) as caught:
        parse(text, TOOLS)
    return caught.value


def done(output: Any = None) -> StepResult:
    return StepResult(ok=True, state="done", output=output)


def failed(error: str = "it broke") -> StepResult:
    return StepResult(ok=False, state="failed", error=error)


def call(text: str, results: Mapping[str, StepResult] | None = None, **params: Any) -> Call:
    step = next_step(book(text), results or {}, params=params)
    assert isinstance(step, Call), step
    return step


def args(text: str, results: Mapping[str, StepResult] | None = None) -> dict[str, Any]:
    return call(text, results).args


STORY = """Launch day! Please do this carefully.

params: name=Ada, count=3

1. note.create title="Launch plan" body="For {{name}}"
2. http.get url=https://example.com/health
   on failure: continue
if steps[2].ok and steps.2.status == 200:
3. http.post url=https://example.com/hook json={"note": "{{steps.1.id}}", "n": {{count}}, "up": true}
else:
4. email.send to=a@example.com subject="Hi {{ name }}" body="It is down: {{steps.2.error}}"
5. finish summary="Done {{steps.1.id}}"

Thank you!"""


def test_the_whole_story() -> None:
    it = book(STORY)
    assert [step.label for step in it.steps] == ["1", "2", "3", "4", "5"]
    results: dict[str, StepResult] = {}
    assert args(STORY) == {"title": "Launch plan", "body": "For Ada"}
    results["1"] = done({"id": "n1"})
    assert args(STORY, results) == {"url": "https://example.com/health"}
    results["2"] = done({"status": 200})
    assert args(STORY, results)["json"] == {"note": "n1", "n": 3, "up": True}
    results["3"] = done({"status": 201})
    assert args(STORY, results) == {"summary": "Done n1"}
    results["5"] = done({})
    assert next_step(it, results) == End(("4",))


def test_the_other_branch() -> None:
    results = {"1": done({"id": "n1"}), "2": failed("no answer")}
    step = call(STORY, results)
    assert step.step.label == "4"
    assert step.args["body"] == "It is down: no answer"
    assert step.args["subject"] == "Hi Ada"
    assert call(STORY, results | {"4": done({})}).step.label == "5"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Please look at example.com and tell me what you think",
        "1. Look at the site\n2. Write to Ada\n- then rest",
        "http.get is a nice tool, finish the report with it",
        "- finish the report\n- e.g. today",
        "example.com\n- example.org",
        "a = 5\nNote: x=5",
        "# http.get url=https://example.com",
        "When the site is up: tell me.",
    ],
)
def test_prose_is_no_playbook(text: str) -> None:
    assert parse(text, TOOLS) is None


def test_a_hint_for_those_who_tried() -> None:
    assert hint("1. http.get https://example.com", TOOLS).startswith("Line 1 names the tool http.get")
    assert hint("1. look around", TOOLS) == ""


@pytest.mark.parametrize(
    "text",
    [
        'note.create title="A b" body=c',
        '1. note.create title="A b" body=c',
        '1) note.create title="A b" body=c',
        '- note.create title="A b" body=c',
        '* note.create title="A b", body=c',
        'Note.create title="A b" body=c',
        "- note.create:\n    title: A b\n    body: c",
        '  1. note.create\n     title="A b"\n     body="c"',
        "- note.create: title='A b' body=c",
        "1. note.create title=“A b” body=c",
        "1. note.create title=„A b“ body=«c»",
        '```\n1. note.create title="A b" body=c\n```',
        '1. note.create title="A b" \\\n' .replace("\\\n", "body=c"),
        '1. note.create title="A b"\r\n   body=c\r\n',
        'if true: note.create title="A b" body=c',
        'Do:\n- note.create title = "A b" body = c'.replace(" = ", "="),
    ],
)  # fmt: skip
def test_the_ways_to_write_a_step(text: str) -> None:
    assert args(text) == {"title": "A b", "body": "c"}


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("5", 5),
        ("-2.5e1", -25.0),
        ("true", True),
        ("null", None),
        ("word", "word"),
        ("https://a.example/?x=1&y={}", "https://a.example/?x=1&y={}"),
        ('"5"', "5"),
        ("'it is'", "it is"),
        ('"a\\n\\"b\\" \\u00e9 \\ud83d\\ude00 \\d"', 'a\n"b" é 😀 \\d'),
        ('""', ""),
        ('"two\nlines"', "two\nlines"),
        ('{"a": [1, {"b": null}], "c": "}"}', {"a": [1, {"b": None}], "c": "}"}),
        ('{\n  "a": 1\n}', {"a": 1}),
        ("{“a”: “b”}", {"a": "b"}),
        ("[]", []),
        ('"""\n  One\n    Two\n  """', "One\n  Two"),
        ("'''x'''", "x"),
        ("```json\n{}\n```", "{}"),
        ('"\\{{not a reference}}"', "{{not a reference}}"),
    ],
)
def test_values(value: str, meaning: Any) -> None:
    assert args(f"1. http.post url=https://a.example json={value}")["json"] == meaning


def test_bare_words_follow_the_schema() -> None:
    assert args("1. note.create title=2026")["title"] == "2026"
    assert args("1. http.get url=x max_bytes=10")["max_bytes"] == 10
    assert args("- note.create:\n    title: 10 things to do: all\n    tags: [“a”]") == {
        "title": "10 things to do: all",
        "tags": ["a"],
    }


def test_indented_blocks() -> None:
    text = "- note.create:\n    title: T\n    body: |\n      One\n        Two\n\n      Three\n- finish summary=x"
    it = book(text)
    assert it.steps[0].args["body"] == "One\n  Two\n\nThree"
    assert it.steps[1].tool == "finish"


def test_references_keep_their_type_and_are_never_parsed_again() -> None:
    text = "1. http.get url=x as page\n2. http.post url=y json={{steps.page.json}}\n3. note.create title='{{ steps[1].text }}!' tags={{steps.1.json.tags}}"
    evil = 'x" json={"a": 1} {{steps.2.secret}} \n4. http.post url=evil'
    results = {"1": done({"json": {"tags": ["a", "b"], "{{x}}": 1}, "text": evil}), "2": done({"secret": "s"})}
    assert args(text, {"1": results["1"]}) == {"url": "y", "json": {"tags": ["a", "b"], "{{x}}": 1}}
    assert args(text, results) == {"title": evil + "!", "tags": ["a", "b"]}


def test_deep_references() -> None:
    text = '1. http.get url=x\n2. note.create title="{{steps.1.json.items[1]["a b"].c}} {{steps.1.json.n}} {{steps.1.output.text}} {{steps.1.json.items.0}}"'
    output = {"json": {"items": [True, {"a b": {"c": "deep"}}], "n": {"x": 1}}, "text": "t"}
    assert args(text, {"1": done(output)})["title"] == 'deep {"x": 1} t true'


def test_a_reference_without_a_value_stops_with_its_line() -> None:
    text = "1. http.get url=x\n\n2. note.create title={{steps.1.nothing}}"
    with pytest.raises(PlaybookError, match=r"line 3: steps\.1\.nothing has no value"):
        next_step(book(text), {"1": done({})})
    text = "if false: http.get url=x\n2. note.create title='{{steps.1.text}}'"
    with pytest.raises(PlaybookError, match=r"no value \(the step was skipped\)"):
        next_step(book(text), {})


def test_parameters() -> None:
    text = (
        'params: name, greeting="Hi there"\nparams:\n  n: 5\n1. note.create title="{{greeting}} {{params.name}} {{n}}"'
    )
    with pytest.raises(PlaybookError, match="the parameter name has no value"):
        next_step(book(text), {})
    assert call(text, name="Ada").args == {"title": "Hi there Ada 5"}
    assert call(text, name="Ada", n=6).args == {"title": "Hi there Ada 6"}


@pytest.mark.parametrize(
    ("condition", "meaning"),
    [
        ("steps.1.ok", True),
        ("not steps.1.ok", False),
        ("steps.1.failed", False),
        ("steps.1.skipped", False),
        ("steps.1.status == 200", True),
        ("steps.1.status != 200", False),
        ("steps.1.status >= 200 and steps.1.status < 300", True),
        ("steps.1.status<200 or steps.1.text contains 'up'", True),
        ("'ell' in steps.1.text", False),
        ("2 in steps.1.list", True),
        ("true in steps.1.one", False),
        ("(steps.1.status == 1 or true) and not (false)", True),
        ("not not steps.1.nothing", False),
        ("steps.1.nothing == null", True),
        ("steps.1.text == “up and running”", True),
        ("{{steps.1.text}} == '200'", False),
        ("steps.1.list == [1, 2]", True),
        ("name == 'Ada'", True),
        ("steps.1.list", True),
        ("steps.1.state == 'done'", True),
        ("'a:b' == 'a:b'", True),
    ],
)
def test_conditions(condition: str, meaning: bool) -> None:
    text = f"params: name=Ada\n1. http.get url=x\n2. if {condition}: note.create title=yes\n3. finish summary=x"
    result = {"1": done({"status": 200, "text": "up and running", "list": [1, 2], "one": [1]})}
    assert call(text, result).step.label == ("2" if meaning else "3")
    unless = text.replace("2. if", "2. unless")
    assert call(unless, result).step.label == ("3" if meaning else "2")


def test_what_cannot_be_compared() -> None:
    text = "1. http.get url=x\n2. if steps.1.nothing > 5: note.create title=yes"
    with pytest.raises(PlaybookError, match="line 2: nothing and a number cannot be compared by >"):
        next_step(book(text), {"1": done({})})


def labels(text: str, results: Mapping[str, StepResult]) -> list[str]:
    """The steps that run, each of them going well."""
    have = dict(results)
    ran = []
    while isinstance(step := next_step(book(text), have), Call):
        ran.append(step.step.label)
        have[step.step.label] = done({})
    return ran


def test_a_condition_on_its_own_line_holds_for_the_next_step() -> None:
    assert labels("if false:\n1. finish summary=a\n2. finish summary=b", {}) == ["2"]


def test_a_condition_holds_for_the_steps_indented_below() -> None:
    text = """
if A:
  1. finish summary=a
  2. finish summary=b
  if B:
    3. finish summary=c
    4. finish summary=d
  else:
    5. finish summary=e
  6. finish summary=f
elif C:
  7. finish summary=g
else:
  8. finish summary=h
9. finish summary=i
"""

    def ran(a: str, b: str, c: str = "false") -> list[str]:
        return labels(text.replace("A", a).replace("B", b).replace("C", c), {})

    assert ran("true", "true") == ["1", "2", "3", "4", "6", "9"]
    assert ran("true", "false") == ["1", "2", "5", "6", "9"]
    assert ran("false", "true", "true") == ["7", "9"]
    assert ran("true", "false", "true") == ["1", "2", "5", "6", "9"]
    assert ran("false", "true", "false") == ["8", "9"]


def test_else_on_one_line() -> None:
    text = "if COND: finish summary=a\n"
    assert labels("if false:\n1. finish summary=a\nelse: finish summary=b\n3. finish summary=c", {}) == ["2", "3"]
    assert (
        wrong(text.replace("COND", "true") + "else:\n2. finish summary=b").reason == "else: has no condition before it"
    )


def test_failure_stops_unless_the_step_says_otherwise() -> None:
    text = "1. http.get url=x\n2. finish summary=y"
    assert next_step(book(text), {"1": failed()}) == Stop(book(text).steps[0], "it broke")
    for text in (
        "1. http.get url=x on failure: continue\n2. finish summary=y",
        "1. http.get url=x\nOn failure: continue\n2. finish summary=y",
        "on failure: continue\n1. http.get url=x\n2. finish summary=y",
    ):
        assert call(text, {"1": failed()}).step.label == "2"
    text = "on failure: continue\n1. http.get url=x\n   on failure: stop\n2. finish summary=y"
    assert isinstance(next_step(book(text), {"1": failed()}), Stop)


def test_a_step_a_person_skipped_is_no_failure() -> None:
    text = "1. http.get url=x\n2. if steps.1.failed: finish summary=y\n3. finish summary=z"
    assert call(text, {"1": StepResult(ok=False, state="skipped")}).step.label == "3"


def test_numbers_are_names() -> None:
    text = "1. Look at it yourself first\n2. http.get url=x\n- http.get url=y\n5. note.create title={{steps.2.a}}{{steps.3.a}}"
    assert [step.label for step in book(text).steps] == ["2", "3", "5"]
    assert args(text, {"2": done({"a": "A"}), "3": done({"a": "B"})}) == {"title": "AB"}


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("1. http.gte url=x", 1, "there is no tool called http.gte"),
        ("1. http.get url=x\n2. slack.notify", 2, "there is no tool called slack.notify"),
        ("1. http.get url=x\n2. finsh summary=y", 2, "there is no tool called finsh"),
        ("1. http.get url=x\n\n2. http.get https://example.com", 3, "an argument of http.get is written as name=value"),
        ("1. http.get url=x then rest", 1, "an argument of http.get is written as name=value"),
        ("1. http.get uri=x", 1, "http.get has no argument uri (it has: url, max_bytes)"),
        ("1. http.get url=x url=y", 1, "the argument url is there twice"),
        ("1. http.get max_bytes=3", 1, "http.get needs the argument url"),
        ("1. http.get url=x max_bytes=0", 1, "max_bytes: 0 is less than the minimum of 1"),
        ("1. http.get url=x max_bytes=many", 1, "max_bytes: 'many' is not of type 'integer'"),
        ("1. http.get url=", 1, "a value is missing here"),
        ('1. note.create title="abc', 1, "the quotation mark is never closed"),
        ('ok\n1. note.create title="""abc', 2, 'the block that """ opens is never closed'),
        ('1. http.post url=x json={"a": 1', 1, "the bracket is never closed"),
        ('1. http.post url=x json={"a" 1}', 1, "a colon is expected after the name in the JSON object"),
        ('1. http.post url=x json={\n"a": nope}', 2, "this is not valid JSON"),
        ('1. http.post url=x json={"a": 1, "a": 2}', 1, "the name 'a' is there twice"),
        ("1. http.post url=x json=[9007199254740992]", 1, "the number is too large: write it in quotes"),
        ("1. http.post url=x json=[1e999]", 1, "the number is too large: write it in quotes"),
        ("1. http.post url=x json={a: 1}", 1, "a name in quotes is expected in the JSON object"),
        ("1. http.post url=x json=" + "[" * 50, 1, "the value is nested too deeply"),
        ("1. note.create title={{steps.1.id}}", 1, "there is no step 1 before this one"),
        ("1. note.create title={{steps.2.id}}\n2. finish summary=x", 1, "there is no step 2 before this one"),
        ("1. note.create title={{nobody}}", 1, "nobody is neither a parameter nor a step"),
        ("1. note.create title='{{a b}}'", 1, "the reference is not closed by }}"),
        ("1. note.create title='{{}}'", 1, "a name such as steps.1.status is expected here"),
        ("2. http.get url=x\n1. http.get url=y", 2, "step 1 comes after step 2: each number is used once, in order"),
        ("1. http.get url=x as a\n2. http.get url=y as a", 2, "two steps are called a"),
        ("1. http.get url=x on failure: explode", 1, "on failure is followed by continue or stop"),
        ("1. http.get url=x\nif stesp.1.ok:\n2. finish summary=y", 2, "stesp.1.ok is neither a parameter nor a step"),
        ("1. http.get url=x\nif steps.1.ok\n2. finish summary=y", 2, "a colon is expected after the condition"),
        ("1. http.get url=x\nif steps.1.status = 2: finish summary=y", 2, "use == to compare"),
        ("1. http.get url=x\nif (steps.1.ok: finish summary=y", 2, "the parenthesis is never closed"),
        ("1. http.get url=x\nif steps.1.ok:\n", 2, "the condition has no step below it"),
        ("1. http.get url=x\nif steps.1.ok: tell Ada", 2, "there is no tool called tell"),
        ("else:\n1. http.get url=x", 1, "else: has no condition before it"),
        ("params: a=1 a=2\n1. http.get url=x", 1, "the parameter a is there twice"),
        ("params: steps=1\n1. http.get url=x", 1, "a parameter cannot be called steps"),
        ("params: b=1 a={{b}}\n1. http.get url=x", 1, "the default of a parameter cannot hold a reference"),
        ("1. http.get url=x\n" * 1 + "x" * 60_000, 1, "a playbook has at most 50000 characters"),
    ],
)  # fmt: skip
def test_errors_name_line_and_reason(text: str, line: int, reason: str) -> None:
    error = wrong(text)
    assert (error.line, error.reason) == (line, reason)
    assert str(error) == f"line {line}: {reason}"
    assert error.code == "playbook_invalid"
    assert error.column >= 1


def test_the_column_points_at_the_place() -> None:
    error = wrong("1. http.get url=x\n2. note.create title=a bdy=b")
    assert (error.line, error.column) == (2, 24)


def test_too_many_steps() -> None:
    assert wrong("- http.get url=x\n" * 201).reason == "a playbook has at most 200 steps"


def test_what_must_be_kept_of_a_result() -> None:
    it = book("1. http.get url=x as a\n2. http.get url=y\n3. if steps.2.ok: note.create title={{steps.a.text}}")
    assert [it.needed_later(label) for label in ("1", "2", "3")] == [True, False, False]


LINE = st.one_of(
    st.text(max_size=30),
    st.sampled_from([step for step in STORY.split("\n") if step]),
    st.builds(
        "{} {}={}".format,
        st.sampled_from(["1. http.get", "- note.create", "http.post", "if", "unless steps.1.ok:", "params:", "else:"]),
        st.sampled_from(["url", "title", "json", "body"]),
        st.text(alphabet="\"'{}[]:,.\\n 1ae{}=|`“”\n", max_size=20),
    ),
)


@given(st.lists(LINE, max_size=8))
def test_no_text_does_anything_but_parse_or_say_why_not(lines: list[str]) -> None:
    text = "\n".join(lines)
    try:
        found = parse(text, TOOLS)
    except PlaybookError as error:
        assert 1 <= error.line <= text.count("\n") + 1  # noqa: PT017
        return
    assert found is None or found.steps


@given(st.text(max_size=40), st.text(max_size=40))
def test_quoted_texts_come_back_as_they_were(title: str, body: str) -> None:
    import json

    def quoted(text: str) -> str:
        return json.dumps(text).replace("{{", "\\{{")

    text = f"1. http.post url=x json={{{quoted('k' + title)}: {quoted(body)}}}"
    assert args(text)["json"] == {"k" + title: body}


N = 49_000
LONG: list[tuple[str, str]] = [
    ("a quoted text", '1. note.create title="' + "x" * N + '"'),
    ("escapes", '1. note.create title="' + "\\n" * (N // 2) + '"'),
    ("a word", "1. note.create title=" + "x" * N),
    ("a block", '1. note.create title="""' + "x\n" * (N // 2) + '"""'),
    ("references", 'params: a=1\n1. note.create title="' + "{{a}}" * (N // 5) + '"'),
    ("references over lines", 'params: a=1\n1. note.create title="' + "{{a}}\n" * (N // 6) + '"'),
    ("parameters", "params: " + " ".join(f"p{n}" for n in range(N // 7)) + "\n1. note.create title=x"),
    ("arguments", "1. http.post url=x " + " ".join(f"p{n}=1" for n in range(N // 9))),
    ("items", "1. http.post url=x json=[" + "{},".join("" for _ in range(N // 4)) + "0]"),
    ("brackets", "1. http.post url=x json=" + "[" * N),
    ("digits", "1. http.post url=x json=[" + "1" * N + "]"),
    ("digits in a condition", "1. note.create title=x\nif steps.1.id == " + "1" * N + ": finish summary=x"),
    ("bare digits", "1. wait.until seconds=" + "1" * N),
    ("conditions", "if " + " and ".join(["steps.1.ok"] * (N // 16)) + ": note.create title=x"),
    ("parentheses", "1. note.create title=x\nif " + "(" * (N // 2) + "steps.1.ok: finish summary=x"),
    ("negations", "1. note.create title=x\nif " + "not " * (N // 4) + "steps.1.ok: finish summary=x"),
    ("prose", "1. note.create title=x\n" + "if a b c\n" * (N // 9)),
    (
        "branches",
        "1. note.create title=x\nif steps.1.ok:\n finish summary=x\n"
        + "else if steps.1.ok:\n finish summary=x\n" * 900,
    ),
    ("indentation", "1. note.create title=x\n" + "\n".join(" " * n + "if steps.1.ok:" for n in range(290))),
    ("blanks", "1. note.create" + " " * N + "title=x"),
    ("dots", "1. " + "a." * (N // 2)),
]


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in LONG])
def test_no_playbook_takes_long_to_read(text: str) -> None:
    def read() -> None:
        try:
            parse(text, TOOLS)
        except PlaybookError as error:
            assert error.line > 0  # noqa: PT017 - either is fine, as long as it ends in one of them

    # the slowest of them took seconds, and grew with the square of its length
    assert cpu(read) < HOLDS_NOBODY


def test_too_many_of_a_kind_are_an_error_with_its_line() -> None:
    many = " ".join(f"p{n}" for n in range(200))
    assert "at most 100 parameters" in wrong(f"params: {many}\n1. note.create title=x").reason
    loose = ToolSpec(name="a.b", summary="", parameters={"type": "object", "properties": {}}, effect=Effect.E1)
    with pytest.raises(PlaybookError, match="at most 100 arguments"):
        parse("1. a.b " + " ".join(f"p{n}=1" for n in range(200)), [loose])
    assert "too long" in wrong("1. http.post url=x json=[" + "1" * 5000 + "]").reason


def test_checking_all_values_has_one_bound() -> None:
    branches = {"anyOf": [*[{"type": "number"}] * 200, {"type": "string"}]}
    dear = tool("mcp.a.b", (), n=branches)
    text = "\n".join(f"{n}. mcp.a.b n={'x' * 20}" for n in range(1, 150))

    def read() -> None:
        with pytest.raises(PlaybookError, match="too large to be checked"):
            parse(text, [dear])

    assert cpu(read) < 4 * HOLDS_NOBODY


def test_a_name_may_be_defined_beside_the_parameters() -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"$ref": "#/$defs/count"}},
        "$defs": {"count": {"type": "integer", "minimum": 1}},
    }
    counted = ToolSpec(name="a.b", summary="", parameters=schema, effect=Effect.E1)
    found = parse("1. a.b n=3", [counted])
    assert found is not None
    assert found.steps[0].args == {"n": 3}
    with pytest.raises(PlaybookError, match="minimum"):
        parse("1. a.b n=0", [counted])
