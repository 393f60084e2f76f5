"""Reads values and arguments as the schema of a tool wants them, and checks what is known before the run."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.playbooks.checks import SchemaChecks
from domain.playbooks.cursor import Cursor
from domain.playbooks.json_values import MAX_INTEGER, read_quoted_or_json
from domain.playbooks.lines import ARG
from domain.playbooks.texts import dedent, read_bare, read_template
from domain.playbooks.values import Value, references
from domain.tools.tool import ToolSpec

MAX_ARGS = 100
_BLOCK_MARK = re.compile(r"\|[ \t\r]*$")


@dataclass(slots=True)
class ValueReader:
    """Reads values at the cursor; `checks` has one budget for all of them."""

    cursor: Cursor
    checks: SchemaChecks = field(default_factory=SchemaChecks)

    def read(self, schema: Any, *, to_line_end: bool, stop: str = "") -> Value:
        """A value: quoted, JSON, a block below, or a bare word up to a blank or one of `stop`, or up to the line's end.

        PlaybookError when none is here.
        """
        cursor = self.cursor
        if to_line_end and cursor.peek("|") and _BLOCK_MARK.match(cursor.rest_of_line()):
            return self._indented_block()
        is_value, value = read_quoted_or_json(cursor)
        if is_value:
            return value
        if to_line_end:
            at = cursor.pos
            text = cursor.rest_of_line().rstrip()
            if not text:
                raise cursor.error("a value is missing here")
            cursor.pos += len(text)
            value = read_template(cursor, text, at)
        else:
            value = read_bare(cursor, lambda char: char.isspace() or char in stop)
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
        cursor = self.cursor
        line_start = cursor.text.rfind("\n", 0, cursor.pos) + 1
        here = len(cursor.text[line_start:]) - len(cursor.text[line_start:].lstrip(" \t"))
        cursor.skip_line()
        start = cursor.pos
        last = start
        while not cursor.at_end:
            rest = cursor.rest_of_line()
            if rest.strip() and len(rest) - len(rest.lstrip(" \t")) <= here:
                break
            cursor.skip_line()
            last = cursor.pos if rest.strip() else last
        cursor.pos = max(last - 1, start - 1) if last > start and cursor.text[last - 1] == "\n" else last
        return read_template(cursor, dedent(cursor.text[start:last].rstrip("\n")), start)


@dataclass(slots=True)
class Arguments:
    """The arguments of one step as far as they are read, and where the value of each stands."""

    values: ValueReader
    spec: ToolSpec
    read: dict[str, Value] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)

    def take(self, *, whole_line: bool) -> None:
        """Read one: `name=value`, or on a line of its own also `name: value` up to its end."""
        cursor, spec = self.values.cursor, self.spec
        at = cursor.pos
        found = ARG.match(cursor.text, cursor.pos)
        if found is None or (not whole_line and not found[2].endswith("=")):
            raise cursor.error(f"an argument of {spec.name} is written as name=value", at)
        name = found[1]
        cursor.pos = found.end()
        if name in self.read:
            raise cursor.error(f"the argument {name} is there twice", at)
        if len(self.read) >= MAX_ARGS:
            raise cursor.error(f"a step has at most {MAX_ARGS} arguments", at)
        properties = spec.parameters.get("properties", {})
        if name not in properties and spec.parameters.get("additionalProperties") is False:
            known = ", ".join(properties) or "none"
            raise cursor.error(f"{spec.name} has no argument {name} (it has: {known})", at)
        self.positions[name] = cursor.pos
        to_line_end = found[2] == ":"
        if to_line_end:
            cursor.blanks()
        self.read[name] = self.values.read(properties.get(name, {}), to_line_end=to_line_end)

    def check(self, at: int) -> None:
        """PlaybookError, at the value or `at` the step, unless they fit the tool as far as they are known now."""
        parameters: Mapping[str, Any] = self.spec.parameters
        properties = parameters.get("properties", {})
        error, problem_of = self.values.cursor.error, self.values.checks.problem
        for name in parameters.get("required", ()):
            if name not in self.read:
                raise error(f"{self.spec.name} needs the argument {name}", at)
        for name, value in self.read.items():
            if next(references(value), None) is None and name in properties:
                problem = problem_of(properties[name], value, parameters)
                if problem:
                    raise error(f"{name}: {problem}", self.positions[name])
        if next(references(self.read), None) is None:
            problem = problem_of(parameters, dict(self.read), parameters)
            if problem:
                raise error(problem, at)
