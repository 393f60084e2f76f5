"""Conditions of a playbook: reads them, and tells whether they hold. No code is ever evaluated."""

import re
from collections.abc import Callable
from typing import Any

from domain.playbooks.cursor import Cursor
from domain.playbooks.errors import PlaybookError
from domain.playbooks.json_values import read_number, read_quoted_or_json
from domain.playbooks.texts import read_path, read_reference
from domain.playbooks.values import Lookup, fill

MAX_DEPTH = 20

_COMPARE = re.compile(r"==|!=|<=|>=|<|>|contains\b|in\b")
_WORDS = {"true": True, "false": False, "null": None, "none": None}
_LOGIC = {word: re.compile(rf"{word}\b", re.IGNORECASE) for word in ("and", "or", "not", *_WORDS)}

Condition = tuple[Any, ...]


def read_condition(cursor: Cursor, depth: int = 0) -> Condition:
    """`steps.1.status == 200 and not steps.2.failed`."""
    return _chain(cursor, "or", depth, lambda: _chain(cursor, "and", depth, lambda: _negation(cursor, depth)))


def _chain(cursor: Cursor, word: str, depth: int, part: Callable[[], Condition]) -> Condition:
    if depth > MAX_DEPTH:
        raise cursor.error("the condition is nested too deeply")
    found = [part()]
    while _takes(cursor, word):
        found.append(part())
    return found[0] if len(found) == 1 else (word, *found)


def _takes(cursor: Cursor, word: str) -> bool:
    cursor.blanks()
    return cursor.match(_LOGIC[word]) is not None


def _negation(cursor: Cursor, depth: int) -> Condition:
    times = 0
    while _takes(cursor, "not"):
        times += 1
    found = _comparison(cursor, depth)
    return ("not", found) if times % 2 else found


def _comparison(cursor: Cursor, depth: int) -> Condition:
    left = _operand(cursor, depth)
    cursor.blanks()
    at = cursor.pos
    operator = cursor.match(_COMPARE)
    if operator is None:
        if cursor.peek("="):
            raise cursor.error("use == to compare")
        return left
    line, _ = cursor.where(at)
    return ("compare", operator, left, _operand(cursor, depth), line)


def _operand(cursor: Cursor, depth: int) -> Condition:
    cursor.blanks()
    if cursor.take("("):
        inner = read_condition(cursor, depth + 1)
        cursor.blanks()
        if not cursor.take(")"):
            raise cursor.error("the parenthesis is never closed")
        return inner
    if cursor.peek("{{"):
        return ("value", read_reference(cursor))
    is_value, value = read_quoted_or_json(cursor)
    if is_value:
        return ("value", value)
    number = read_number(cursor)
    if number is not None:
        return ("value", number)
    for word, meaning in _WORDS.items():
        if _takes(cursor, word):
            return ("value", meaning)
    return ("value", read_path(cursor))


def holds(condition: Condition, lookup: Lookup) -> bool:
    """Whether the condition is true. PlaybookError when it compares what cannot be compared."""
    return bool(_evaluated(condition, lookup))


def _evaluated(node: Condition, lookup: Lookup) -> Any:
    kind = node[0]
    if kind == "value":
        return fill(node[1], lookup)
    if kind == "not":
        return not _evaluated(node[1], lookup)
    if kind == "and":
        return all(_evaluated(part, lookup) for part in node[1:])
    if kind == "or":
        return any(_evaluated(part, lookup) for part in node[1:])
    _, operator, left, right, line = node
    return _compared(operator, _evaluated(left, lookup), _evaluated(right, lookup), line)


def _compared(operator: str, left: Any, right: Any, line: int) -> bool:
    if operator == "==":
        return same(left, right)
    if operator == "!=":
        return not same(left, right)
    if operator == "in":
        left, right, operator = right, left, "contains"
    if operator == "contains":
        if isinstance(left, str) and isinstance(right, str):
            return right in left
        if isinstance(left, list):
            return any(same(item, right) for item in left)
        return isinstance(left, dict) and isinstance(right, str) and right in left
    if not (_is_number(left) and _is_number(right)) and not (isinstance(left, str) and isinstance(right, str)):
        raise PlaybookError(f"{_kind(left)} and {_kind(right)} cannot be compared by {operator}", line=line)
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator])


def same(left: Any, right: Any) -> bool:
    """Equality of JSON values: true is not 1, 1 is 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    return {str: "a text", bool: "a yes or no", list: "a list", dict: "an object"}.get(type(value), "a number")
