"""What evaluating a CEL rule may cost at most, reckoned from its checked form and the size of what it looks at.

The engine counts iterations and nothing else: one iteration may compare a megabyte with a megabyte, and a list that is
built one by one is copied each time. While it works nobody else has the interpreter. So each rule is gone through
before it is evaluated, with sizes in place of values: every step has a price, about a nanosecond on a slow machine,
and every value an upper bound. Sizes are measured on the real arguments, so the answer is the same whenever it is
asked for, also when a decision is replayed.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# no bound is worth telling apart beyond this, and nothing overflows
_ENDLESS = 1e15
_MAX_ITERATIONS = 10_000

_STEP = 100.0
# taking a value over into the engine, which happens once an evaluation
_TAKE = 220.0
_ELEMENT = 350.0
_COMPARE = 70.0
_FIND = 25.0
_COPY = 60.0
_CHAR = 1.0
_SEARCH = 0.02
_ZONE = 30_000.0
_REGEX = 5_000.0


@dataclass(frozen=True, slots=True)
class Level:
    """Of all values so deep within a value: the most elements of one, all there is in one, and the longest text.

    `chars` and `text` are bytes a text has at most; `chars` counts every text in the value.
    """

    length: float = 0
    nodes: float = 1
    chars: float = 32
    text: float = 32


# the levels of a value from itself inwards; what is deeper is a scalar
Size = tuple[Level, ...]
_SCALAR = Level()
_ATOM: Size = (_SCALAR,)


def _worse(one: Level, other: Level) -> Level:
    return Level(
        max(one.length, other.length),
        max(one.nodes, other.nodes),
        max(one.chars, other.chars),
        max(one.text, other.text),
    )


def worse(one: Size, other: Size) -> Size:
    """A size that covers both."""
    if len(one) < len(other):
        one, other = other, one
    return (*map(_worse, one, other), *one[len(other) :])


def _text(length: float) -> float:
    """Bytes a text of so many characters has at most; no value is shorter than a number written out."""
    return 4 * length + 32


def size_of(value: Any) -> Size:
    """The size of a JSON value, level by level; of a mapping both names and values are elements."""
    levels: list[list[int]] = []
    if isinstance(value, dict | list | tuple):
        _measure(value, 0, levels)
    elif isinstance(value, str | bytes):
        length = 4 * len(value) + 32
        levels.append([0, 1, length, length])
    return tuple(Level(*level) for level in levels) or _ATOM


def _measure(value: Any, depth: int, levels: list[list[int]]) -> tuple[int, int]:
    """Nodes and bytes of a list or mapping, noted in its level and in those below it. Called for each: kept plain."""
    while len(levels) < depth + 2:
        levels.append([0, 1, 32, 32])
    nodes, chars, longest = 1, 32, 32
    for one in (*value, *value.values()) if isinstance(value, dict) else value:
        if isinstance(one, str | bytes):
            length = 4 * len(one) + 32
            chars += length
            nodes += 1
            longest = max(longest, length)
        elif isinstance(one, dict | list | tuple):
            more = _measure(one, depth + 1, levels)
            nodes += more[0]
            chars += more[1]
        else:
            chars += 32
            nodes += 1
    here, below = levels[depth], levels[depth + 1]
    here[0], here[1], here[2] = max(here[0], len(value)), max(here[1], nodes), max(here[2], chars)
    below[2], below[3] = max(below[2], longest), max(below[3], longest)
    return nodes, chars


# Texts that are no arguments: names and ids.
SHORT_TEXT: Size = (Level(0, 1, 1024, 1024),)


def even(length: float, nodes: float, chars: float, *, depth: int = 8) -> Size:
    """A size in which every level may be as large as that."""
    return (Level(length, nodes, chars, chars),) * depth


# --- the checked form of a rule ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Node:
    """One part of a rule: what it is, its name, and the parts in it. `text` is the text of a constant."""

    kind: str
    name: str = ""
    parts: tuple["Node", ...] = ()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Loop(Node):
    """A comprehension: `variable` goes through `over`, `result` begins as `begin` and becomes `step` each time."""

    variable: str = ""
    result: str = ""
    over: Node = field(default_factory=lambda: Node("const"))
    begin: Node = field(default_factory=lambda: Node("const"))
    until: Node = field(default_factory=lambda: Node("const"))
    step: Node = field(default_factory=lambda: Node("const"))
    end: Node = field(default_factory=lambda: Node("const"))


def read(serialized: bytes) -> Node:
    """The parts of a checked expression (`cel.expr.CheckedExpr`) as the engine serializes it, within an Any."""
    checked = _one(serialized, 2)
    return _expression(_one(checked, 4))


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protobuf message, in their order."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
        elif wire == 2:
            length, at = _varint(data, at)
            yield number, data[at : at + length]
            at += length
        elif wire == 1:
            yield number, struct.unpack_from("<d", data, at)[0]
            at += 8
        else:
            raise ValueError("an unknown form")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def _one(data: bytes, number: int) -> bytes:
    found: bytes = next(value for name, value in _fields(data) if name == number)
    return found


def _expression(data: bytes) -> Node:
    for number, value in _fields(data):
        if number == 3:
            return _constant(value)
        if number == 4:
            return Node("ident", _one(value, 1).decode())
        if number == 5:
            return _select(value)
        if number == 6:
            given = [(name, part) for name, part in _fields(value) if name in (1, 3)]
            return Node("call", _one(value, 2).decode(), tuple(_expression(part) for _, part in given))
        if number == 7:
            return Node("list", parts=tuple(_expression(part) for name, part in _fields(value) if name == 1))
        if number == 8:
            entries = [entry for name, entry in _fields(value) if name == 2]
            parts = [part for entry in entries for name, part in _fields(entry) if name in (3, 4)]
            return Node("map", parts=tuple(map(_expression, parts)))
        if number == 9:
            return _loop(value)
    return Node("const")


def _constant(data: bytes) -> Node:
    for number, value in _fields(data):
        if number in (6, 7):
            return Node("const", text=value.decode("utf-8", "replace"))
    return Node("const")


def _select(data: bytes) -> Node:
    parts = dict(_fields(data))
    return Node("has" if parts.get(3) else "select", parts[2].decode(), (_expression(parts[1]),))


def _loop(data: bytes) -> Node:
    parts = dict(_fields(data))
    nothing = Node("const")
    return Loop(
        "loop",
        variable=parts[1].decode(),
        over=_expression(parts[2]),
        result=parts[3].decode(),
        begin=_expression(parts[4]),
        until=_expression(parts[5]) if 5 in parts else nothing,
        step=_expression(parts[6]),
        end=_expression(parts[7]),
    )


# --- reckoning ----------------------------------------------------------------------------------------


class _Endless(Exception):
    """More than anybody would wait for."""


@dataclass(slots=True)
class Reckoning:
    """Goes through a rule once. `cost` grows as it goes; `limit` ends it early."""

    given: Mapping[str, Size]
    limit: float
    cost: float = 0
    times: float = 1

    def of(self, rule: Node) -> float:
        """The price of evaluating the rule once; infinity when it is beyond the limit."""
        try:
            self._pay(_TAKE * max((size[0].nodes for size in self.given.values()), default=0))
            self._size(rule, dict(self.given))
        except (_Endless, RecursionError):
            return float("inf")
        return self.cost

    def _pay(self, price: float) -> None:
        self.cost += price * self.times
        if self.cost > self.limit:
            raise _Endless

    def _size(self, node: Node, known: dict[str, Size]) -> Size:
        self._pay(_STEP)
        if isinstance(node, Loop):
            return self._looped(node, known)
        if node.kind == "ident":
            return known.get(node.name, _ATOM)
        parts = [self._size(part, known) for part in node.parts]
        if node.kind == "const":
            length = _text(len(node.text or ""))
            return (Level(0, 1, length, length),)
        if node.kind == "select":
            return parts[0][1:] or _ATOM
        if node.kind == "list":
            return self._held(parts, len(parts))
        if node.kind == "map":
            self._pay(_ELEMENT * len(parts))
            return self._held(parts, len(parts) / 2)
        return _ATOM if node.kind == "has" else self._called(node, parts)

    @staticmethod
    def _held(parts: list[Size], length: float) -> Size:
        """A list or map of these."""
        inner: Size = ()
        for part in parts:
            inner = worse(inner, part)
        nodes = 1 + sum(part[0].nodes for part in parts)
        return (Level(length, min(nodes, _ENDLESS), min(sum(p[0].chars for p in parts), _ENDLESS), 0), *inner)

    def _looped(self, loop: Loop, known: dict[str, Size]) -> Size:
        over = self._size(loop.over, known)
        begin = self._size(loop.begin, known)
        outer = self.times
        # the engine ends what goes round more often than this, counted over all its loops
        rounds = max(1.0, min(over[0].length, _MAX_ITERATIONS / outer))
        # only lists grow while a loop goes round, by one element each time
        grows = loop.begin.kind == "list"
        inner = {**known, loop.variable: over[1:] or _ATOM}
        inner[loop.result] = (Level(rounds, rounds, 0, 0), _SCALAR) if grows else begin
        self._pay(_ELEMENT * rounds)
        self.times = min(outer * rounds, _ENDLESS)
        once = self._size(loop.step, inner)
        self._size(loop.until, inner)
        self.times = outer
        result = once if not grows else _filled(once, rounds)
        return self._size(loop.end, {**known, loop.result: result})

    def _called(self, node: Node, parts: list[Size]) -> Size:
        name = node.name
        first = parts[0] if parts else _ATOM
        last = parts[-1] if parts else _ATOM
        if name in ("_==_", "_!=_"):
            self._pay(_COMPARE * (first[0].nodes + last[0].nodes) + 0.1 * min(first[0].chars, last[0].chars))
            return _ATOM
        if name in ("@in", "_in_"):
            each = _FIND + _COMPARE * (first[0].nodes - 1) + 0.1 * (first[0].chars - 32)
            self._pay(each * max(last[0].nodes, 1))
            return _ATOM
        if name == "_[_]":
            return first[1:] or _ATOM
        if name == "_?_:_":
            return worse(parts[1], parts[2])
        if name == "_+_":
            return self._added(first, last)
        if name == "size":
            self._pay(_CHAR * first[0].text)
            return _ATOM
        if name == "matches":
            self._pay(_matching(node.parts[-1], first[0].text, last[0].text))
            return _ATOM
        if name == "contains":
            self._pay(_CHAR * first[0].text + _SEARCH / 16 * first[0].text * last[0].text)
            return _ATOM
        if name in _OF_THE_TIME:
            self._pay(_ZONE if len(parts) > 1 and node.parts[-1].text is None else 10 * _STEP)
            return _ATOM
        if name in _CHEAP:
            self._pay(0.1 * min(first[0].text, last[0].text))
            return _ATOM if name != "dyn" else first
        # conversions, and what another version of the engine may bring
        chars = sum(part[0].chars for part in parts)
        self._pay(10 * _STEP + 5 * chars + _COMPARE * sum(part[0].nodes for part in parts if len(part) > 1))
        return (Level(0, 1, chars + 64, chars + 64),)

    def _added(self, first: Size, last: Size) -> Size:
        one, other = first[0], last[0]
        level = Level(
            one.length + other.length, one.nodes + other.nodes, one.chars + other.chars, one.text + other.text
        )
        self._pay(_COPY * level.length + 0.5 * level.text)
        return (level, *worse(first[1:], last[1:]))


def _filled(once: Size, rounds: float) -> Size:
    """A list with as many elements as the loop went round, each like the one it got at last."""
    nodes, chars = max(1.0, once[0].nodes - rounds) * rounds, once[0].chars * rounds
    return (Level(rounds, min(nodes, _ENDLESS), min(chars, _ENDLESS), 0), *once[1:])


_OF_THE_TIME = frozenset(
    {"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"}
    | {"getHours", "getMinutes", "getSeconds", "getMilliseconds"}
)
_CHEAP = frozenset(
    {"_&&_", "_||_", "!_", "-_", "_<_", "_<=_", "_>_", "_>=_", "_-_", "_*_", "_/_", "_%_"}
    | {"@not_strictly_false", "startsWith", "endsWith", "type", "dyn"}
)
_REPEATED = re.compile(r"\{(\d*),?(\d*)\}")


def _matching(pattern: Node, text: float, given: float) -> float:
    """The price of looking for a pattern: the engine's time is the text times the pattern as a machine."""
    machine = program_of(pattern.text) if pattern.text is not None else _dynamic((given - 32) / 4)
    return _REGEX + 300 * machine + text / 4 * (8 + 0.15 * machine)


def _dynamic(length: float) -> float:
    """The largest machine a pattern of so many characters can stand for: six of them repeat a thousand times."""
    return min(length * float(1000 ** int(min(length // 6, 3))), 1e6)


def program_of(pattern: str) -> float:
    """About how many steps the pattern's machine has: its characters, times every repetition they stand in."""
    total, stack = 0.0, [0.0]
    last = 0.0
    at = 0
    while at < len(pattern):
        char = pattern[at]
        repeat = _REPEATED.match(pattern, at)
        if repeat is not None:
            times = max(int(count[:5] or 0) for count in (*repeat.groups(), "1"))
            stack[-1] += last * (times - 1)
            last *= times
            at = repeat.end()
        elif char == "(":
            stack.append(0.0)
            at += 1
        elif char == ")" and len(stack) > 1:
            last = stack.pop() + 2
            stack[-1] += last
            at += 1
        else:
            end = at + (2 if char == "\\" else 1)
            if char == "[":
                close = pattern.find("]", at + 2)
                end = len(pattern) if close < 0 else close + 1
            sign = pattern[at:end]
            # a sign may be a class of hundreds of ranges
            last = 800.0 if "\\p" in sign or "\\P" in sign else 12.0 if len(sign) > 1 or sign == "." else 2.0
            stack[-1] += last
            at = end
        total = min(sum(stack), 1e6)
    return total + 4
