"""Parameters of a playbook: the lines that declare them, with or without a default."""

import re
from dataclasses import dataclass, field
from typing import Any

from domain.playbooks.arguments import ValueReader
from domain.playbooks.cursor import Cursor
from domain.playbooks.lines import is_argument_below
from domain.playbooks.values import references

MAX_PARAMS = 100
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_GAP = re.compile(r"[ \t,;]*")


@dataclass(slots=True)
class Parameters:
    """All names in their order, and the defaults of those that have one."""

    values: ValueReader
    names: list[str] = field(default_factory=list)
    defaults: dict[str, Any] = field(default_factory=dict)

    @property
    def required(self) -> tuple[str, ...]:
        """Those that need a value."""
        return tuple(name for name in self.names if name not in self.defaults)

    @property
    def _cursor(self) -> Cursor:
        return self.values.cursor

    def take(self, indent: int) -> None:
        """Read what follows `params:`, on its line and indented below it."""
        cursor = self._cursor
        while True:
            cursor.match(_GAP)
            if cursor.at_line_end:
                break
            self._take_one(whole_line=False)
        cursor.skip_line()
        while is_argument_below(cursor.rest_of_line(), indent):
            cursor.blanks()
            self._take_one(whole_line=True)
            cursor.match(_GAP)
            cursor.end_line("the value of a parameter")

    def _take_one(self, *, whole_line: bool) -> None:
        cursor = self._cursor
        at = cursor.pos
        name = cursor.match(NAME)
        if name is None:
            raise cursor.error("a parameter is written as name=value")
        if name in ("steps", "params"):
            raise cursor.error(f"a parameter cannot be called {name}", at)
        if name in self.names:
            raise cursor.error(f"the parameter {name} is there twice", at)
        if len(self.names) >= MAX_PARAMS:
            raise cursor.error(f"a playbook has at most {MAX_PARAMS} parameters", at)
        self.names.append(name)
        cursor.blanks()
        to_line_end = whole_line and cursor.peek(":")
        if not cursor.take("=") and not (whole_line and cursor.take(":")):
            return
        cursor.blanks()
        value = self.values.read({}, to_line_end=to_line_end, stop=",;")
        if next(references(value), None) is not None:
            raise cursor.error("the default of a parameter cannot hold a reference", at)
        self.defaults[name] = value
