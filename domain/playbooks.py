"""Playbooks: a task description that says step by step which tools to call, run without any model.

A playbook is text a person can type into a chat. A description with no step in it is not a playbook.

    params: name=Ada, site="https://example.com"

    1. note.create title="Launch plan" body="For {{name}}"
    2. http.get url={{site}}
       on failure: continue
    if steps.2.status == 200:
    3. http.post url=https://example.com/hook json={"note": "{{steps.1.id}}", "up": true}
    else:
    4. message.send text="The site is down: {{steps.2.error}}"
    5. finish summary="Done, {{steps.1.id}}"

Steps: an optional bullet (`1.`, `1)`, `-`, `*`), a tool, and arguments as `name=value`. Arguments may go on
below, indented, as `name=value` or as `name: value` up to the end of the line (`name: |` begins a block).
Values: a word, a quoted text, JSON, or a block between triple quotes. `as NAME` at the end names a step.
`on failure: continue` at the end of a step, or below it, lets the playbook go on when the step fails;
above the first step it holds for all of them. Otherwise a failed or refused step stops the playbook.

References: `{{steps.2.status}}` (the step of that number or name; its output, or `ok`, `failed`, `skipped`,
`error`, `state`) and `{{name}}` (a parameter). A value that is one reference keeps its type.

Conditions: `if`, `when` or `unless` before a step, or on a line of its own for the next step, or for all
steps indented below it; then `else:`. They compare with == != < <= > >= contains in, and join with and, or, not.

Other lines are prose and ignored, as are lines that begin with `#`. What looks like a step, a condition or a
setting but is not right is an error with its line: nothing meant as a step is ever dropped in silence.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from domain.playbook_text import (
    MAX_INTEGER,
    Condition,
    PlaybookError,
    Ref,
    Scanner,
    Value,
    dedent,
    fill,
    holds,
    references,
)
from domain.tools.json_schema import TOO_COSTLY, BadSchema, Budget, Checker, Problem, TooCostly
from domain.tools.tool import ToolSpec

__all__ = ["Call", "End", "Playbook", "PlaybookError", "PlaybookStep", "StepResult", "Stop", "next_step", "parse"]

MAX_CHARS = 50_000
MAX_STEPS = 200
MAX_PARAMS = 100
MAX_ARGS = 100
# what checking all the values of a playbook against the schemas of their tools may cost; `json_schema` counts
MAX_CHECKS = 200_000

OnFailure = Literal["stop", "continue"]
META = frozenset({"ok", "failed", "skipped", "error", "state"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybookStep:
    """One step. `label` is its number as text; `guards` must all hold, or it is skipped."""

    label: str
    name: str
    tool: str
    args: Mapping[str, Value]
    line: int
    guards: tuple[Condition, ...] = ()
    on_failure: OnFailure = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Playbook:
    """The steps in order, the parameters with their defaults, and the parameters that need a value."""

    steps: tuple[PlaybookStep, ...]
    params: Mapping[str, Any]
    required: tuple[str, ...] = ()

    def needed_later(self, label: str) -> bool:
        """Whether any step looks at the output of the step `label`."""
        return any(
            ref.path[0] == "steps" and self._label_of(ref) == label and not (len(ref.path) == 3 and ref.path[2] in META)
            for step in self.steps
            for ref in references((step.args, step.guards))
        )

    def _label_of(self, ref: Ref) -> str:
        wanted = str(ref.path[1]) if len(ref.path) > 1 else ""
        return next((step.label for step in self.steps if wanted in (step.label, step.name)), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What came of a step: as the planner hears it. `state` "skipped" is no failure."""

    ok: bool
    state: str = ""
    output: Any = None
    error: str = ""

    @property
    def failed(self) -> bool:
        return not self.ok and self.state != "skipped"


@dataclass(frozen=True, slots=True)
class Call:
    """Do this step next, with these arguments."""

    step: PlaybookStep
    args: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stop:
    """A step failed and nothing says to go on."""

    step: PlaybookStep
    reason: str


@dataclass(frozen=True, slots=True)
class End:
    """Every step is behind us. `skipped` are the labels whose conditions did not hold."""

    skipped: tuple[str, ...]


SKIPPED = StepResult(ok=False, state="skipped")


def next_step(
    playbook: Playbook, results: Mapping[str, StepResult], *, params: Mapping[str, Any] | None = None
) -> Call | Stop | End:
    """What comes after these results (by label): a pure function, so a resumed run goes on where it was.

    PlaybookError when a reference has no value or a condition compares what cannot be compared.
    """
    values = {**playbook.params, **(params or {})}
    for name in playbook.required:
        if name not in values:
            raise PlaybookError(f"the parameter {name} has no value", line=1)
    seen: dict[str, StepResult] = {}
    skipped: list[str] = []
    for step in playbook.steps:
        result = results.get(step.label)
        if result is None and not all(holds(g, lambda r: _looked_up(r, values, seen, need=False)) for g in step.guards):
            skipped.append(step.label)
            result = SKIPPED
        if result is None:
            return Call(step, fill(dict(step.args), lambda r: _looked_up(r, values, seen, need=True)))
        if result.failed and step.on_failure == "stop":
            return Stop(step, result.error or f"it was {result.state or 'not done'}")
        seen[step.label] = result
        if step.name:
            seen[step.name] = result
    return End(tuple(skipped))


def _looked_up(ref: Ref, values: Mapping[str, Any], seen: Mapping[str, StepResult], *, need: bool) -> Any:
    if ref.path[0] == "steps":
        result = seen[str(ref.path[1])]
        found, there = _of_result(result, ref.path[2:])
        why = " (the step was skipped)" if result.state == "skipped" else " (the step failed)" if result.failed else ""
    else:
        path = ref.path[1:] if ref.path[0] == "params" else ref.path
        found, there = _walk(values, path)
        why = ""
    if need and (not there or found is None):
        raise PlaybookError(f"{ref.text} has no value{why}", line=ref.line, column=ref.column)
    return found


def _of_result(result: StepResult, path: tuple[str | int, ...]) -> tuple[Any, bool]:
    if len(path) == 1 and path[0] in META:
        meta: dict[str | int, Any] = {
            "ok": result.ok,
            "failed": result.failed,
            "skipped": result.state == "skipped",
            "error": result.error,
            "state": result.state,
        }
        return meta[path[0]], True
    if path and path[0] == "output" and not (isinstance(result.output, dict) and "output" in result.output):
        path = path[1:]
    return _walk(result.output, path)


def _walk(value: Any, path: tuple[str | int, ...]) -> tuple[Any, bool]:
    for part in path:
        if isinstance(value, Mapping) and str(part) in value:
            value = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and -len(value) <= part < len(value):
            value = value[part]
        else:
            return None, False
    return value, True


# --- parsing --------------------------------------------------------------------------------------

_BULLET = re.compile(r"(?:(\d{1,3})[.)]|[-*•–])(?=\s)[ \t]*")
_TOOL = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9][A-Za-z0-9_-]*)*")
_ARG = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)([ \t]*=(?!=)|:(?=\s|$))")
_ARG_EQUALS = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*=(?!=)")
_GUARD = re.compile(r"(if|when|unless)\b[ \t]*", re.IGNORECASE)
_ELSE = re.compile(r"(?:else|otherwise)[ \t]*(?::|(?=if\b))|el(?=if\b)", re.IGNORECASE)
_PARAMS = re.compile(r"param(?:eter)?s?[ \t]*:", re.IGNORECASE)
_ON_FAILURE = re.compile(r"on[ \t]+(?:failure|error)[ \t]*:[ \t]*", re.IGNORECASE)
_AS = re.compile(r"as[ \t]+(?=[A-Za-z_])")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMMENT = re.compile(r"#|//|>|```[A-Za-z]*[ \t]*\r?(?:\n|\Z)")
_NO_CHARACTER = re.compile("[\ud800-\udfff\x00]")
_GAP = re.compile(r"[ \t,;]*")
_ARG_GAP = re.compile(r"[ \t\r]*,?[ \t\r]*")
_LETTERS = re.compile(r"[A-Za-z]+")
_BLOCK_MARK = re.compile(r"\|[ \t\r]*$")
_LOOKS_LIKE_CONDITION = re.compile(r"(?:not\b|\(|\{\{|[ \t])*(?:steps|params)[.\[]")


def parse(text: str, tools: Sequence[ToolSpec]) -> Playbook | None:
    """The playbook in a task description; None when the description has no step at all.

    PlaybookError, with line and reason, when there are steps and something is wrong: an unknown tool, an
    argument that does not fit, a reference to nothing, a value that is never closed.
    """
    specs = {spec.name: spec for spec in tools}
    text = _NO_CHARACTER.sub("\ufffd", text)
    if not any(_surely_a_step(line, specs) for line in text.split("\n")):
        return None
    if len(text) > MAX_CHARS:
        raise PlaybookError(f"a playbook has at most {MAX_CHARS} characters", line=1)
    found = _Parser(text, specs).parse()
    return found if found.steps else None


def hint(text: str, tools: Sequence[ToolSpec]) -> str:
    """A sentence for the author of a text that is no playbook but has lines that look like trying; "" if none."""
    names = {spec.name for spec in tools}
    for number, line in enumerate(text.split("\n"), start=1):
        tool, _, bullet = _head(line)
        if tool in names and "." in tool and bullet:
            return f"Line {number} names the tool {tool}; its arguments are written as name=value."
    return ""


def _head(line: str) -> tuple[str, str, bool]:
    """The word where a tool would stand (behind bullet and condition), what follows it, whether there is a bullet."""
    rest = line.strip()
    bullet = _BULLET.match(rest)
    if bullet is not None:
        rest = rest[bullet.end() :]
    if _GUARD.match(rest) and ": " in rest:
        rest = rest.rpartition(": ")[2] if not _TOOL.match(rest.partition(": ")[2]) else rest.partition(": ")[2]
    word = _TOOL.match(rest)
    if word is None:
        return "", rest, bullet is not None
    after = rest[word.end() :]
    if after.startswith(":") and _ARG_EQUALS.match(after[1:].strip()):
        after = after[1:]
    if after and not after[0].isspace() and after.strip() != ":":
        return "", rest, bullet is not None
    return word[0].lower(), after.strip(), bullet is not None


def _surely_a_step(line: str, specs: Mapping[str, ToolSpec]) -> bool:
    if _COMMENT.match(line.strip()):
        return False
    tool, rest, bullet = _head(line)
    if not tool:
        return False
    has_args = _ARG_EQUALS.match(rest) is not None
    if tool in specs:
        return has_args or (rest in ("", ":") and "." in tool and (bullet or rest == ":"))
    return has_args and "." in tool


@dataclass(slots=True)
class _Block:
    """A condition on a line of its own. `used`: a step stands below it, so that only indented ones follow.

    `before` are the conditions of the same chain that an `else` has to deny as well.
    """

    indent: int
    condition: Condition
    line: int
    before: tuple[Condition, ...] = ()
    used: bool = False
    first_indent: int = -1


@dataclass(slots=True)
class _Parser:
    text: str
    specs: Mapping[str, ToolSpec]
    scan: Scanner = field(init=False)
    steps: list[PlaybookStep] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    blocks: list[_Block] = field(default_factory=list)
    closed: list[_Block] = field(default_factory=list)
    on_failure: OnFailure = "stop"
    checks: "_Checks" = field(init=False)

    def __post_init__(self) -> None:
        self.scan = Scanner(self.text)
        self.checks = _Checks()

    def parse(self) -> Playbook:
        while not self.scan.at_end:
            self._line()
        self._close(-1)
        found = Playbook(
            steps=tuple(self.steps),
            params=self.params,
            required=tuple(name for name in self.required if name not in self.params),
        )
        self._check_references()
        return found

    def _line(self) -> None:
        scan = self.scan
        start = scan.pos
        scan.blanks()
        indent = scan.pos - start
        if scan.at_line_end or _COMMENT.match(scan.text, scan.pos):
            self._skip_line()
        elif scan.match(_PARAMS) is not None:
            self._params(indent)
        elif scan.match(_ON_FAILURE) is not None:
            self._failure_line()
        elif _ELSE.match(scan.text, scan.pos):
            self._else(indent)
        else:
            self._step_or_prose(indent)

    def _skip_line(self) -> None:
        end = self.text.find("\n", self.scan.pos)
        self.scan.pos = len(self.text) if end < 0 else end + 1

    def _end_line(self, after: str) -> None:
        self.scan.blanks()
        if not self.scan.at_line_end:
            raise self.scan.error(f"nothing more is expected after {after}")
        self._skip_line()

    # --- settings -----------------------------------------------------------------------------------

    def _params(self, indent: int) -> None:
        scan = self.scan
        while True:
            scan.match(_GAP)
            if scan.at_line_end:
                break
            self._param(whole_line=False)
        self._skip_line()
        while self._next_is_arg(indent):
            scan.blanks()
            self._param(whole_line=True)
            scan.match(_GAP)
            self._end_line("the value of a parameter")

    def _param(self, *, whole_line: bool) -> None:
        scan = self.scan
        at = scan.pos
        name = scan.match(_NAME)
        if name is None:
            raise scan.error("a parameter is written as name=value")
        if name in ("steps", "params"):
            raise scan.error(f"a parameter cannot be called {name}", at)
        if name in self.params or name in self.required:
            raise scan.error(f"the parameter {name} is there twice", at)
        if len(self.required) >= MAX_PARAMS:
            raise scan.error(f"a playbook has at most {MAX_PARAMS} parameters", at)
        self.required.append(name)
        scan.blanks()
        to_line_end = whole_line and scan.peek(":")
        if not scan.take("=") and not (whole_line and scan.take(":")):
            return
        scan.blanks()
        value = self._value({}, to_line_end=to_line_end, stop=",;")
        ref = next(references(value), None)
        if ref is not None:
            raise scan.error("the default of a parameter cannot hold a reference", at)
        self.params[name] = value

    def _failure_line(self) -> None:
        choice = self._choice()
        self._end_line("on failure")
        if self.steps:
            self.steps[-1] = replace(self.steps[-1], on_failure=choice)
        else:
            self.on_failure = choice

    def _choice(self) -> OnFailure:
        word = self.scan.match(_LETTERS) or ""
        if word.lower() == "continue":
            return "continue"
        if word.lower() == "stop":
            return "stop"
        raise self.scan.error("on failure is followed by continue or stop")

    # --- conditions ---------------------------------------------------------------------------------

    def _close(self, indent: int) -> None:
        """Conditions whose steps are over: those at the same or a deeper indentation, once used."""
        while self.blocks and self.blocks[-1].indent >= indent:
            block = self.blocks.pop()
            if not block.used:
                raise PlaybookError("the condition has no step below it", line=block.line)
            self.closed = [b for b in self.closed if b.indent < block.indent] + [block]

    def _open(self, indent: int, condition: Condition, line: int) -> None:
        self._close_before(indent)
        self.blocks.append(_Block(indent, condition, line))

    def _close_before(self, indent: int) -> None:
        """Before a condition or step at this indentation."""
        while self.blocks:
            block = self.blocks[-1]
            if block.indent < indent and not (block.used and block.first_indent <= block.indent):
                return
            if block.indent <= indent and not block.used:
                return
            self._close(block.indent)

    def _else(self, indent: int) -> None:
        scan = self.scan
        line, _ = scan.where(scan.pos)
        self._close_before(indent)
        if self.blocks and self.blocks[-1].indent >= indent:
            self._close(indent)
        block = next((b for b in reversed(self.closed) if b.indent == indent), None)
        if block is None:
            raise scan.error("else: has no condition before it")
        word = scan.match(_ELSE) or ""
        self.closed.remove(block)
        before = (*block.before, block.condition)
        denied: list[Condition] = [("not", condition) for condition in before]
        own = None if word.endswith(":") else self._condition()
        scan.blanks()
        if not scan.at_line_end:
            self._step(indent, number=None, guards=denied if own is None else [*denied, own], must=True)
            return
        self._skip_line()
        if own is None:
            self.blocks.append(_Block(indent, ("and", *denied), line, before=before))
        else:
            self.blocks.append(_Block(indent, ("and", *denied, own), line, before=before))

    def _condition(self) -> Condition:
        scan = self.scan
        word = (scan.match(_GUARD) or "").strip().lower()
        found = scan.condition()
        scan.blanks()
        if not scan.take(":"):
            raise scan.error("a colon is expected after the condition")
        return ("not", found) if word == "unless" else found

    # --- steps --------------------------------------------------------------------------------------

    def _step_or_prose(self, indent: int) -> None:
        scan = self.scan
        start = scan.pos
        line, _ = scan.where(start)
        bullet = _BULLET.match(scan.text, scan.pos)
        if bullet is not None:
            scan.pos = bullet.end()
        number = bullet[1] if bullet is not None else None
        guards: list[Condition] = []
        guarded = self._is_condition()
        if guarded:
            condition = self._condition()
            scan.blanks()
            if scan.at_line_end:
                self._skip_line()
                self._open(indent, condition, line)
                return
            guards.append(condition)
        if guarded or self._is_step(bulleted=bullet is not None):
            self._step(indent, number=number, guards=guards, must=guarded)
        else:
            self._skip_line()

    def _is_condition(self) -> bool:
        rest = self.scan.rest_of_line().rstrip()
        word = _GUARD.match(rest)
        if word is None:
            return False
        if rest.endswith(":") or _LOOKS_LIKE_CONDITION.match(rest, word.end()):
            return True
        behind = rest.partition(": ")[2]
        return bool(behind) and _surely_a_step(behind, self.specs)

    def _is_step(self, *, bulleted: bool) -> bool:
        rest = self.scan.rest_of_line()
        if _surely_a_step(rest, self.specs):
            return True
        tool, after, _ = _head(rest)
        if not bulleted:
            return tool in self.specs and after in ("", ":") and "." in tool
        if tool in self.specs:
            return "." in tool or after in ("", ":")
        # A bullet with a single dotted word, or with name=value behind a word, was meant as a step.
        return bool(tool) and (("." in tool and after in ("", ":")) or _ARG_EQUALS.match(after) is not None)

    def _step(self, indent: int, *, number: str | None, guards: list[Condition], must: bool) -> None:
        scan = self.scan
        self._close_before(indent)
        at = scan.pos
        line, _ = scan.where(at)
        word = scan.match(_TOOL) or ""
        if not word and must:
            raise scan.error("a tool is expected here")
        spec = self.specs.get(word) or self.specs.get(word.lower())
        if spec is None:
            raise scan.error(f"there is no tool called {word}", at)
        if len(self.steps) >= MAX_STEPS:
            raise scan.error(f"a playbook has at most {MAX_STEPS} steps", at)
        scan.take(":")
        step = PlaybookStep(
            label=self._label(number, at),
            name="",
            tool=spec.name,
            args={},
            line=line,
            guards=(*(block.condition for block in self.blocks), *guards),
            on_failure=self.on_failure,
        )
        for block in self.blocks:
            block.used = True
            block.first_indent = indent if block.first_indent < 0 else block.first_indent
        self.closed = [block for block in self.closed if block.indent < indent]
        step, positions = self._arguments(step, spec, indent)
        self._check_args(step, spec, positions, at)
        self.steps.append(step)

    def _label(self, number: str | None, at: int) -> str:
        last = int(self.steps[-1].label) if self.steps else 0
        wanted = int(number) if number is not None else last + 1
        if wanted <= last:
            raise self.scan.error(f"step {wanted} comes after step {last}: each number is used once, in order", at)
        return str(wanted)

    def _arguments(self, step: PlaybookStep, spec: ToolSpec, indent: int) -> tuple[PlaybookStep, dict[str, int]]:
        scan = self.scan
        args: dict[str, Value] = {}
        positions: dict[str, int] = {}
        while True:
            scan.match(_ARG_GAP)
            if scan.at_line_end:
                self._skip_line()
                if not self._next_is_arg(indent):
                    break
                scan.blanks()
                self._argument(spec, args, positions, whole_line=True)
            elif scan.match(_ON_FAILURE) is not None:
                step = replace(step, on_failure=self._choice())
            elif scan.match(_AS) is not None:
                step = replace(step, name=self._step_name(step.label))
            else:
                self._argument(spec, args, positions, whole_line=False)
        return replace(step, args=args), positions

    def _step_name(self, label: str) -> str:
        at = self.scan.pos
        name = self.scan.match(_NAME) or ""
        if name in self.names:
            raise self.scan.error(f"two steps are called {name}", at)
        self.names[name] = label
        return name

    def _next_is_arg(self, indent: int) -> bool:
        """Whether the line here is indented deeper and goes on with `name=` or `name:`."""
        rest = self.scan.rest_of_line()
        deeper = len(rest) - len(rest.lstrip(" \t")) > indent
        body = rest.strip()
        if _ELSE.match(body) or _COMMENT.match(body):
            return False
        return deeper and _ARG.match(body) is not None

    def _argument(self, spec: ToolSpec, args: dict[str, Value], positions: dict[str, int], *, whole_line: bool) -> None:
        scan = self.scan
        at = scan.pos
        found = _ARG.match(scan.text, scan.pos)
        if found is None or (not whole_line and not found[2].endswith("=")):
            raise scan.error(f"an argument of {spec.name} is written as name=value", at)
        name = found[1]
        scan.pos = found.end()
        if name in args:
            raise scan.error(f"the argument {name} is there twice", at)
        if len(args) >= MAX_ARGS:
            raise scan.error(f"a step has at most {MAX_ARGS} arguments", at)
        properties = spec.parameters.get("properties", {})
        if name not in properties and spec.parameters.get("additionalProperties") is False:
            known = ", ".join(properties) or "none"
            raise scan.error(f"{spec.name} has no argument {name} (it has: {known})", at)
        positions[name] = scan.pos
        schema = properties.get(name, {})
        if found[2] == ":":
            scan.blanks()
            args[name] = self._value(schema, to_line_end=True)
        else:
            args[name] = self._value(schema, to_line_end=False)

    def _value(self, schema: Any, *, to_line_end: bool, stop: str = "") -> Value:
        scan = self.scan
        if to_line_end and scan.peek("|") and _BLOCK_MARK.match(scan.rest_of_line()):
            return self._indented_block()
        is_value, value = scan.quoted_or_json()
        if is_value:
            return value
        if to_line_end:
            at = scan.pos
            text = scan.rest_of_line().rstrip()
            if not text:
                raise scan.error("a value is missing here")
            scan.pos += len(text)
            value = scan.template(text, at)
        else:
            value = scan.bare(lambda char: char.isspace() or char in stop)
        return self._typed(value, schema)

    def _typed(self, value: Value, schema: Any) -> Value:
        """A bare word as the schema wants it: a number, true or null where that fits, otherwise the word itself."""
        if not isinstance(value, str):
            return value
        try:
            read = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if isinstance(read, dict | list | str) or (isinstance(read, float) and read in (float("inf"), float("-inf"))):
            return value
        if read != read or (isinstance(read, int) and abs(read) > MAX_INTEGER):  # noqa: PLR0124 - json reads NaN
            return value
        fits = not self.checks.problem(schema, read, {}) or self.checks.problem(schema, value, {})
        return read if fits else value

    def _indented_block(self) -> Value:
        """The lines below that are indented deeper than this one."""
        scan = self.scan
        line_start = scan.text.rfind("\n", 0, scan.pos) + 1
        here = len(scan.text[line_start:]) - len(scan.text[line_start:].lstrip(" \t"))
        self._skip_line()
        start = scan.pos
        last = start
        while not scan.at_end:
            rest = scan.rest_of_line()
            if rest.strip() and len(rest) - len(rest.lstrip(" \t")) <= here:
                break
            self._skip_line()
            last = scan.pos if rest.strip() else last
        scan.pos = max(last - 1, start - 1) if last > start and scan.text[last - 1] == "\n" else last
        return scan.template(dedent(scan.text[start:last].rstrip("\n")), start)

    # --- checks -------------------------------------------------------------------------------------

    def _check_args(self, step: PlaybookStep, spec: ToolSpec, positions: Mapping[str, int], at: int) -> None:
        properties = spec.parameters.get("properties", {})
        for name in spec.parameters.get("required", ()):
            if name not in step.args:
                raise self.scan.error(f"{spec.name} needs the argument {name}", at)
        for name, value in step.args.items():
            if next(references(value), None) is None and name in properties:
                problem = self.checks.problem(properties[name], value, spec.parameters)
                if problem:
                    raise self.scan.error(f"{name}: {problem}", positions[name])
        if next(references(step.args), None) is None:
            problem = self.checks.problem(spec.parameters, dict(step.args), spec.parameters)
            if problem:
                raise self.scan.error(problem, at)

    def _check_references(self) -> None:
        known: set[str] = set()
        for step in self.steps:
            for ref in references((step.guards, dict(step.args))):
                self._check_reference(ref, known)
            known |= {step.label, step.name} - {""}

    def _check_reference(self, ref: Ref, known: set[str]) -> None:
        reason = ""
        if ref.path[0] == "steps":
            if len(ref.path) < 2:
                reason = "steps is followed by a number or name, as in steps.1.status"
            elif str(ref.path[1]) not in known:
                reason = f"there is no step {ref.path[1]} before this one"
        else:
            name = ref.path[1] if ref.path[0] == "params" and len(ref.path) > 1 else ref.path[0]
            if name not in self.required:
                reason = f"{ref.text} is neither a parameter nor a step"
        if reason:
            raise PlaybookError(reason, line=ref.line, column=ref.column)


class _Checks:
    """Checks of values against the schemas of one playbook's tools, with one budget for all of them."""

    def __init__(self) -> None:
        self._budget = Budget(MAX_CHECKS)
        # by the identity of the schema, which is kept beside its checker so that it stays the only one
        self._checkers: dict[int, tuple[Any, Checker]] = {}

    def problem(self, schema: Any, value: Any, root: Mapping[str, Any]) -> str:
        """Why the value does not fit, "" when it does."""
        if schema is True or schema == {}:
            return ""
        try:
            self._budget.spend(1)
            found: Problem | None = self._checker(schema, root).problem(value, self._budget)
        except TooCostly:
            return TOO_COSTLY
        except BadSchema:
            return "the tool's schema cannot be used"
        if found is None:
            return ""
        return f"{found.where}: {found.message}" if found.where else found.message

    def _checker(self, schema: Any, root: Mapping[str, Any]) -> Checker:
        kept = self._checkers.get(id(schema))
        if kept is None:
            whole = {**schema, "$defs": root["$defs"]} if isinstance(schema, dict) and "$defs" in root else schema
            kept = self._checkers[id(schema)] = (schema, Checker(whole))
        return kept[1]
