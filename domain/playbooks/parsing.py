"""Reads a playbook line by line: steps with their conditions, the settings between them, and nothing of the prose."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from domain.playbooks.arguments import Arguments, ValueReader
from domain.playbooks.blocks import Block, Blocks
from domain.playbooks.checks import check_references
from domain.playbooks.conditions import Condition, read_condition
from domain.playbooks.cursor import Cursor
from domain.playbooks.errors import PlaybookError
from domain.playbooks.lines import (
    BULLET,
    COMMENT,
    ELSE,
    GUARD,
    ON_FAILURE,
    PARAMS,
    TOOL,
    is_argument_below,
    is_condition,
    is_step,
    is_surely_a_step,
)
from domain.playbooks.model import OnFailure, Playbook, PlaybookStep
from domain.playbooks.parameters import NAME, Parameters
from domain.tools.tool import ToolSpec

MAX_CHARS = 50_000
MAX_STEPS = 200
_AS = re.compile(r"as[ \t]+(?=[A-Za-z_])")
_NO_CHARACTER = re.compile("[\ud800-\udfff\x00]")
_ARG_GAP = re.compile(r"[ \t\r]*,?[ \t\r]*")
_LETTERS = re.compile(r"[A-Za-z]+")


def parse(text: str, tools: Sequence[ToolSpec]) -> Playbook | None:
    """The playbook in a task description; None when the description has no step at all.

    PlaybookError, with line and reason, when there are steps and something is wrong: an unknown tool, an
    argument that does not fit, a reference to nothing, a value that is never closed.
    """
    specs = {spec.name: spec for spec in tools}
    text = _NO_CHARACTER.sub("\ufffd", text)
    if not any(is_surely_a_step(line, specs) for line in text.split("\n")):
        return None
    if len(text) > MAX_CHARS:
        raise PlaybookError(f"a playbook has at most {MAX_CHARS} characters", line=1)
    found = _Parser(text, specs).parse()
    return found if found.steps else None


class _Parser:
    """What was read so far, and the place where reading goes on."""

    def __init__(self, text: str, specs: Mapping[str, ToolSpec]) -> None:
        self.cursor = Cursor(text)
        self.specs = specs
        self.values = ValueReader(self.cursor)
        self.params = Parameters(self.values)
        self.blocks = Blocks()
        self.steps: list[PlaybookStep] = []
        self.names: set[str] = set()
        self.on_failure: OnFailure = "stop"

    def parse(self) -> Playbook:
        while not self.cursor.at_end:
            self._line()
        self.blocks.close_all()
        check_references(self.steps, self.params.names)
        return Playbook(steps=tuple(self.steps), params=self.params.defaults, required=self.params.required)

    def _line(self) -> None:
        cursor = self.cursor
        start = cursor.pos
        cursor.blanks()
        indent = cursor.pos - start
        if cursor.at_line_end or COMMENT.match(cursor.text, cursor.pos):
            cursor.skip_line()
        elif cursor.match(PARAMS) is not None:
            self.params.take(indent)
        elif cursor.match(ON_FAILURE) is not None:
            self._failure_line()
        elif ELSE.match(cursor.text, cursor.pos):
            self._else(indent)
        else:
            self._step_or_prose(indent)

    def _failure_line(self) -> None:
        choice = self._choice()
        self.cursor.end_line("on failure")
        if self.steps:
            self.steps[-1] = replace(self.steps[-1], on_failure=choice)
        else:
            self.on_failure = choice

    def _choice(self) -> OnFailure:
        word = self.cursor.match(_LETTERS) or ""
        if word.lower() == "continue":
            return "continue"
        if word.lower() == "stop":
            return "stop"
        raise self.cursor.error("on failure is followed by continue or stop")

    # --- conditions ---------------------------------------------------------------------------------

    def _else(self, indent: int) -> None:
        cursor = self.cursor
        line, _ = cursor.where(cursor.pos)
        before = self.blocks.take_chain(indent)
        if before is None:
            raise cursor.error("else: has no condition before it")
        word = cursor.match(ELSE) or ""
        guards: list[Condition] = [("not", condition) for condition in before]
        if not word.endswith(":"):
            guards.append(self._condition())
        cursor.blanks()
        if not cursor.at_line_end:
            self._step(indent, number=None, guards=guards, must=True)
            return
        cursor.skip_line()
        self.blocks.begin_else(Block(indent, ("and", *guards), line, before=before))

    def _condition(self) -> Condition:
        cursor = self.cursor
        word = (cursor.match(GUARD) or "").strip().lower()
        found = read_condition(cursor)
        cursor.blanks()
        if not cursor.take(":"):
            raise cursor.error("a colon is expected after the condition")
        return ("not", found) if word == "unless" else found

    # --- steps --------------------------------------------------------------------------------------

    def _step_or_prose(self, indent: int) -> None:
        cursor = self.cursor
        line, _ = cursor.where(cursor.pos)
        bullet = BULLET.match(cursor.text, cursor.pos)
        if bullet is not None:
            cursor.pos = bullet.end()
        number = bullet[1] if bullet is not None else None
        guards: list[Condition] = []
        guarded = is_condition(cursor.rest_of_line(), self.specs)
        if guarded:
            condition = self._condition()
            cursor.blanks()
            if cursor.at_line_end:
                cursor.skip_line()
                self.blocks.begin(Block(indent, condition, line))
                return
            guards.append(condition)
        if guarded or is_step(cursor.rest_of_line(), self.specs, bulleted=bullet is not None):
            self._step(indent, number=number, guards=guards, must=guarded)
        else:
            cursor.skip_line()

    def _step(self, indent: int, *, number: str | None, guards: list[Condition], must: bool) -> None:
        cursor = self.cursor
        self.blocks.close_before(indent)
        at = cursor.pos
        line, _ = cursor.where(at)
        word = cursor.match(TOOL) or ""
        if not word and must:
            raise cursor.error("a tool is expected here")
        spec = self.specs.get(word) or self.specs.get(word.lower())
        if spec is None:
            raise cursor.error(f"there is no tool called {word}", at)
        if len(self.steps) >= MAX_STEPS:
            raise cursor.error(f"a playbook has at most {MAX_STEPS} steps", at)
        cursor.take(":")
        step = PlaybookStep(
            label=self._label(number, at),
            name="",
            tool=spec.name,
            args={},
            line=line,
            guards=(*self.blocks.conditions, *guards),
            on_failure=self.on_failure,
        )
        self.blocks.step(indent)
        arguments = Arguments(self.values, spec)
        step = self._rest_of_step(step, arguments, indent)
        arguments.check(at)
        self.steps.append(step)

    def _label(self, number: str | None, at: int) -> str:
        last = int(self.steps[-1].label) if self.steps else 0
        wanted = int(number) if number is not None else last + 1
        if wanted <= last:
            raise self.cursor.error(f"step {wanted} comes after step {last}: each number is used once, in order", at)
        return str(wanted)

    def _rest_of_step(self, step: PlaybookStep, arguments: Arguments, indent: int) -> PlaybookStep:
        """The step with its arguments, its name and what it does on failure, on its line and indented below it."""
        cursor = self.cursor
        while True:
            cursor.match(_ARG_GAP)
            if cursor.at_line_end:
                cursor.skip_line()
                if not is_argument_below(cursor.rest_of_line(), indent):
                    return replace(step, args=arguments.read)
                cursor.blanks()
                arguments.take(whole_line=True)
            elif cursor.match(ON_FAILURE) is not None:
                step = replace(step, on_failure=self._choice())
            elif cursor.match(_AS) is not None:
                step = replace(step, name=self._step_name())
            else:
                arguments.take(whole_line=False)

    def _step_name(self) -> str:
        at = self.cursor.pos
        name = self.cursor.match(NAME) or ""
        if name in self.names:
            raise self.cursor.error(f"two steps are called {name}", at)
        self.names.add(name)
        return name
