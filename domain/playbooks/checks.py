"""Checks before a playbook runs: its values against the schemas of its tools, its references against its steps."""

from collections.abc import Iterable, Mapping
from typing import Any

from domain.playbooks.errors import PlaybookError
from domain.playbooks.model import PlaybookStep
from domain.playbooks.values import Ref, references
from domain.tools.json_schema import TOO_COSTLY, BadSchema, Budget, Checker, Problem, TooCostly

# what checking all the values of a playbook against the schemas of their tools may cost; `json_schema` counts
MAX_CHECKS = 200_000


class SchemaChecks:
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


def check_references(steps: Iterable[PlaybookStep], params: Iterable[str]) -> None:
    """PlaybookError at the first reference to no step before it and no parameter."""
    known: set[str] = set()
    declared = frozenset(params)
    for step in steps:
        for ref in references((step.guards, dict(step.args))):
            reason = _problem_of(ref, known, declared)
            if reason:
                raise PlaybookError(reason, line=ref.line, column=ref.column)
        known |= {step.label, step.name} - {""}


def _problem_of(ref: Ref, known: set[str], params: frozenset[str]) -> str:
    """What is wrong with a reference; "" when nothing is."""
    if ref.path[0] == "steps":
        if len(ref.path) < 2:
            return "steps is followed by a number or name, as in steps.1.status"
        return "" if str(ref.path[1]) in known else f"there is no step {ref.path[1]} before this one"
    name = ref.path[1] if ref.path[0] == "params" and len(ref.path) > 1 else ref.path[0]
    return "" if name in params else f"{ref.text} is neither a parameter nor a step"
