"""JSON schemas (draft 2020-12) judged before they are used, and checks whose cost is counted while they are made.

A schema of a few lines can stand for hours of work: references that multiply, comparisons of everything with
everything, regular expressions that never come back. A schema is weighed with its references followed before anything
is checked with it; then each keyword pays for what it does, in about microseconds, and a check that has spent its
budget ends as "too costly". Checks are plain Python: in a thread they hold nobody up.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError

MAX_NODES = 2000
MAX_DEPTH = 40
# what a check on the event loop may cost, and one in a thread; about microseconds on a slow machine
INLINE = 15_000
LONG = 500_000
TOO_COSTLY = "is too large to be checked against the tool's schema"

_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_REFERENCES = frozenset({"$dynamicRef", "$recursiveRef"})


class BadSchema(ValueError):
    """Not a schema that can be checked with. `where` is the way to what is wrong, "" for the whole."""

    def __init__(self, reason: str, where: str = "") -> None:
        super().__init__(reason)
        self.where = where


class TooCostly(Exception):
    """The check would take longer than it may."""


class Budget:
    """What is left to spend. One budget may be shared by several checks."""

    def __init__(self, left: float = INLINE) -> None:
        self.left = left

    def spend(self, price: float) -> None:
        """TooCostly when it is used up."""
        self.left -= price
        if self.left < 0:
            raise TooCostly


# --- judging a schema -----------------------------------------------------------------------------


def check_schema(schema: Any, *, max_nodes: int = MAX_NODES, max_depth: int = MAX_DEPTH) -> None:
    """BadSchema unless this is a schema whose parts fit their keywords, and which is finite and not too large.

    The same words about the form as the meta-schema of draft 2020-12 has, in one walk: checking with the meta-schema
    takes half a second for a schema of 20,000 characters.
    """
    _weigh(schema, schema, depth=0, left=[max_nodes], max_depth=max_depth)
    _form(schema, "")


def _weigh(node: Any, root: Any, *, depth: int, left: list[int], max_depth: int) -> None:
    """BadSchema when the schema, with its references followed, is too large, too deep, or leads elsewhere."""
    left[0] -= 1
    if left[0] < 0 or depth > max_depth:
        raise BadSchema("too large")
    if isinstance(node, dict):
        if not _REFERENCES.isdisjoint(node):
            raise BadSchema("a reference that depends on the place it is read from")
        if isinstance(node.get("$ref"), str):
            _weigh(_pointed(root, node["$ref"]), root, depth=depth + 1, left=left, max_depth=max_depth)
        for value in node.values():
            _weigh(value, root, depth=depth + 1, left=left, max_depth=max_depth)
    elif isinstance(node, list | tuple):
        for value in node:
            _weigh(value, root, depth=depth + 1, left=left, max_depth=max_depth)


def _pointed(root: Any, ref: str) -> Any:
    """What a reference within the schema leads to; BadSchema for any other reference."""
    if not ref.startswith("#/"):
        raise BadSchema("a reference that leads elsewhere")
    at: Any = root
    for part in ref[2:].split("/", MAX_DEPTH):
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(at, dict) or key not in at:
            raise BadSchema("a reference to nothing")
        at = at[key]
    return at


def _form(schema: Any, where: str) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise BadSchema("must be an object, true or false", where)
    for name, value in schema.items():
        check = _FORMS.get(name)
        if check is not None:
            check(value, f"{where}.{name}" if where else str(name))


def _of(kinds: type | tuple[type, ...], what: str) -> Callable[[Any, str], None]:
    def check(value: Any, where: str) -> None:
        wrong = isinstance(value, bool) and kinds is not bool
        if wrong or not isinstance(value, kinds):
            raise BadSchema(f"must be {what}", where)

    return check


def _count(value: Any, where: str) -> None:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or value < 0:
        raise BadSchema("must be a whole number from 0", where)


def _step(value: Any, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise BadSchema("must be a number above 0", where)


def _names(value: Any, where: str) -> None:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise BadSchema("must be a list of names", where)
    if len(set(value)) != len(value):
        raise BadSchema("must not name one thing twice", where)


def _type_names(value: Any, where: str) -> None:
    given = [value] if isinstance(value, str) else value
    _names(given, where)
    if not given or not _TYPES.issuperset(given):
        raise BadSchema("must be the name of a type, or a list of them", where)


def _schemas(value: Any, where: str) -> None:
    if not isinstance(value, list | tuple) or not value:
        raise BadSchema("must be a list of schemas", where)
    for number, one in enumerate(value):
        _form(one, f"{where}.{number}")


def _named_schemas(value: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise BadSchema("must be an object of schemas", where)
    for name, one in value.items():
        _form(one, f"{where}.{name}")


def _named_names(value: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise BadSchema("must be an object of lists", where)
    for name, one in value.items():
        _names(one, f"{where}.{name}")


def _dependencies(value: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise BadSchema("must be an object", where)
    for name, one in value.items():
        (_names if isinstance(one, list) else _form)(one, f"{where}.{name}")


def _pattern(value: Any, where: str) -> None:
    # as the meta-schema has it; whether it may be run is judged where it is
    _of(str, "a text")(value, where)


_TEXT = _of(str, "a text")
_LIST = _of((list, tuple), "a list")
_YES = _of(bool, "true or false")
_NUMBER = _of((int, float), "a number")
_FORMS: Mapping[str, Callable[[Any, str], None]] = {
    **dict.fromkeys(("$id", "$schema", "$ref", "$anchor", "$dynamicAnchor", "$comment", "title", "description"), _TEXT),
    **dict.fromkeys(("format", "contentEncoding", "contentMediaType"), _TEXT),
    **dict.fromkeys(("items", "contains", "additionalProperties", "propertyNames", "if", "then", "else", "not"), _form),
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties", "contentSchema"), _form),
    **dict.fromkeys(("prefixItems", "allOf", "anyOf", "oneOf"), _schemas),
    **dict.fromkeys(("$defs", "definitions", "properties", "patternProperties", "dependentSchemas"), _named_schemas),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _count),
    **dict.fromkeys(("minContains", "maxContains"), _count),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _NUMBER),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), _YES),
    "pattern": _pattern,
    "multipleOf": _step,
    "required": _names,
    "dependentRequired": _named_names,
    "dependencies": _dependencies,
    "type": _type_names,
    "enum": _LIST,
    "examples": _LIST,
}


# --- checking with it -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """What does not fit, and the way to it in the value, "" for the whole of it."""

    where: str
    message: str


class Checker:
    """Checks values against one schema. Making one raises BadSchema for a schema that cannot be used."""

    def __init__(self, schema: Any, *, max_nodes: int = MAX_NODES) -> None:
        check_schema(schema, max_nodes=max_nodes)
        self._validator: Any = _Validator(schema)
        widest, self._schemas = 0, 0
        for one in _schemas_in(schema):
            widest = max(widest, len(one))
            self._schemas += 1
            if "patternProperties" in one or not is_linear(one.get("pattern", "^")):
                raise BadSchema("holds a regular expression that may take for ever")
        # entering a schema looks at each of its keywords, known or not
        self._entry = 4 + 0.15 * widest

    def problem(self, value: Any, budget: Budget | None = None) -> Problem | None:
        """The first thing that does not fit, None when all does; TooCostly."""
        token = _counting.set(_Counting(budget or Budget(), self._entry, self._schemas))
        try:
            errors: Iterator[ValidationError] = self._validator.iter_errors(value)
            first = min(errors, key=lambda error: list(map(str, error.absolute_path)), default=None)
            if first is None:
                return None
            return Problem(".".join(map(str, first.absolute_path)), first.message[:300])
        finally:
            _counting.reset(token)


class _Counting:
    """The budget of the check under way, what entering a schema costs in it, and how many schemas the whole has."""

    def __init__(self, budget: Budget, entry: float, schemas: int) -> None:
        self.spend = budget.spend
        self.entry = entry
        self.schemas = schemas


_counting: ContextVar[_Counting] = ContextVar("counting")


def _schemas_in(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object that is a schema in a schema whose form was checked; references are not followed."""
    left = [schema]
    while left:
        one = left.pop()
        if not isinstance(one, dict):
            continue
        yield one
        for name, value in one.items():
            check = _FORMS.get(name)
            if check is _form:
                left.append(value)
            elif check is _schemas:
                left += value
            elif check in (_named_schemas, _dependencies):
                left += value.values()


def _size(value: Any) -> int:
    """How many values there are in a JSON value."""
    total = 0
    left = [value]
    while left:
        one = left.pop()
        total += 1
        if isinstance(one, Mapping):
            left += one.values()
        elif isinstance(one, list | tuple):
            left += one
    return total


def _length(value: Any) -> int:
    return len(value) if isinstance(value, Sequence | Mapping) else 0


def _comparing(instance: Any, others: Iterable[Any]) -> float:
    if isinstance(instance, list | tuple | Mapping):
        return 1.2 * sum(map(_size, others))
    return 0.3 * sum(1 for _ in others)


def _unique(_validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    """`uniqueItems` in time that grows with the items: each is brought into a form that can be looked up."""
    if not wanted or not isinstance(instance, list):
        return
    seen: set[Any] = set()
    for item in instance:
        known = _frozen(item)
        if known in seen:
            yield ValidationError(f"{str(item)[:100]!r} is there twice")
            return
        seen.add(known)


def _frozen(value: Any) -> Any:
    """A value that is hashable, and equal for JSON values that are: true is not 1, 1 is 1.0."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return (type(value).__name__, value)
    if isinstance(value, list | tuple):
        return ("list", tuple(map(_frozen, value)))
    if isinstance(value, Mapping):
        return ("object", frozenset((name, _frozen(item)) for name, item in value.items()))
    return ("number", value)


# What a keyword pays for beyond one unit: by its own value, the value checked, and what entering a schema costs.
_PRICES: Mapping[str, Callable[[Any, Any, float], float]] = {
    "$ref": lambda _v, _i, entry: 12 + entry,
    "items": lambda _v, i, entry: entry * _length(i) if isinstance(i, list) else 0,
    "prefixItems": lambda v, i, entry: entry * min(len(v), _length(i)),
    "contains": lambda _v, i, entry: entry * _length(i),
    "properties": lambda v, i, entry: 0.2 * len(v) + entry * min(len(v), _length(i)),
    "additionalProperties": lambda _v, i, entry: (entry + 0.5) * _length(i),
    "propertyNames": lambda _v, i, entry: entry * _length(i) if _map(i) else 0,
    "dependentSchemas": lambda v, _i, entry: entry * len(v),
    "dependentRequired": lambda v, _i, _entry: 0.2 * sum(map(len, v.values())),
    "required": lambda v, _i, _entry: 0.2 * len(v),
    **dict.fromkeys(("allOf", "anyOf", "oneOf"), lambda v, _i, entry: entry * len(v)),
    **dict.fromkeys(("if", "not"), lambda _v, _i, entry: 2 * entry),
    "enum": lambda v, i, _entry: _comparing(i, v),
    "const": lambda v, i, _entry: _comparing(i, (v,)),
    "uniqueItems": lambda _v, i, _entry: 1.5 * _size(i) if isinstance(i, list) else 0,
    "pattern": lambda _v, i, _entry: 1 + 0.02 * len(i) if isinstance(i, str) else 0,
    "type": lambda v, _i, _entry: 0.3 * len(v),
}
_AGAIN = frozenset({"unevaluatedItems", "unevaluatedProperties"})


def _map(value: Any) -> bool:
    return isinstance(value, Mapping)


def _counted(name: str, keyword: Callable[..., Any]) -> Callable[..., Any]:
    price = _PRICES.get(name)

    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        counting = _counting.get()
        counting.spend(1 if price is None else 1 + price(value, instance, counting.entry))
        if name in _AGAIN:
            # what no other keyword looked at is found out by asking each of them again about each part
            counting.spend(counting.entry * counting.schemas * (1 + _length(instance)))
        for error in keyword(validator, value, instance, schema) or ():
            # the message shows the value it is about
            counting.spend(3 + 0.02 * len(error.message))
            yield error

    return check


_KEYWORDS: Mapping[str, Callable[..., Any]] = {**jsonschema.Draft202012Validator.VALIDATORS, "uniqueItems": _unique}
_extend: Any = jsonschema.validators.extend
_Validator: Any = _extend(
    jsonschema.Draft202012Validator, {name: _counted(name, keyword) for name, keyword in _KEYWORDS.items()}
)


# --- regular expressions ----------------------------------------------------------------------------

_ESCAPED = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_REPEAT = re.compile(r"[*+]|\{\d*,\d*\}")


def is_linear(pattern: str) -> bool:
    """Whether Python's engine matches this in time that grows with the text alone.

    That is: a beginning to match at, and no more than one part that repeats, not within another part.
    """
    if len(pattern) > 500 or not pattern.startswith("^"):
        return False
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    bare = _ESCAPED.sub("x", pattern)
    if "(" in bare or "|" in bare:
        return _REPEAT.search(bare) is None and "{" not in bare
    return len(_REPEAT.findall(bare)) <= 1
