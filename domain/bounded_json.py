"""JSON from outside, bounded before it is read: bytes, nesting, values and digits, and no name twice in one object.

Reading JSON costs far more than its bytes suggest: a megabyte of empty lists is a third of a million objects, and a
few kilobytes of brackets end the recursion of most of what looks at them later. So the text is measured first, in
time that grows with its length alone, and what is beyond its bounds is never read.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from domain.errors import Invalid

_NO_BRACKET = re.compile(rb"[^\[\]{}]++")
_DIGITS = b"0123456789"
_PIECE = 65_536


class BadJson(Invalid):
    """Not the JSON that may be sent here."""

    code = "invalid_json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What is read at most: bytes, levels of nesting, values (names not counted), and digits of one number."""

    size: int = 1_000_000
    depth: int = 64
    nodes: int = 20_000
    digits: int = 64


DEFAULT = Bounds()


class Meter:
    """Measures JSON that comes piece by piece. `feed` raises BadJson as soon as a bound is passed.

    What is no JSON is measured too; that it is none is for the reader to find.
    """

    def __init__(self, bounds: Bounds = DEFAULT) -> None:
        self.bounds = bounds
        self._long = re.compile(rb"[0-9]{%d}" % (bounds.digits + 1))
        self._begin()

    def _begin(self) -> None:
        self.size = 0
        self.nodes = 1
        self.members = 0
        self._level = 0
        self._texts = 0
        self._in_text = False
        self._escape = b""
        self._digits = b""

    def feed(self, data: bytes) -> None:
        """Count one more piece."""
        for at in range(0, len(data), _PIECE):
            self._feed(data[at : at + _PIECE])

    def feed_lines(self, data: bytes) -> None:
        """Count one more piece of a stream of JSON texts, as server-sent events are: each is measured for itself.

        A text ends at a line end where no bracket and no quotation mark is open.
        """
        first, *lines = data.split(b"\n")
        self.feed(first)
        for line in lines:
            if self._level <= 0 and not self._in_text:
                self._begin()
            self.feed(b"\n" + line)

    def _feed(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > self.bounds.size:
            raise BadJson(f"the JSON is longer than {self.bounds.size} bytes", code="json_too_large")
        bare = self._outside(piece)
        self.members += bare.count(b":")
        opening = bare.count(b"[") + bare.count(b"{")
        self.nodes += bare.count(b",") + opening
        # every text is a value or a name
        if self.nodes > self.bounds.nodes or self._texts > 2 * self.bounds.nodes:
            raise BadJson(f"the JSON holds more than {self.bounds.nodes} values", code="json_too_many")
        self._descend(bare, opening)
        self._check_digits(bare)

    def _outside(self, piece: bytes) -> bytes:
        """What of the piece stands outside of texts. Escaped quotes and backslashes are taken out first."""
        piece = (self._escape + piece).replace(b"\\\\", b"")
        # a backslash at the very end belongs to what comes next
        self._escape = b"\\" if piece.endswith(b"\\") else b""
        parts = piece.replace(b'\\"', b"").split(b'"')
        bare = b" ".join(parts[1::2] if self._in_text else parts[::2])
        self._texts += len(parts) // 2
        self._in_text ^= len(parts) % 2 == 0
        return bare

    def _descend(self, bare: bytes, opening: int) -> None:
        if self._level + opening <= self.bounds.depth:
            self._level += opening - bare.count(b"]") - bare.count(b"}")
            return
        for bracket in _NO_BRACKET.sub(b"", bare):
            if bracket in b"[{":
                self._level += 1
                if self._level > self.bounds.depth:
                    raise BadJson(f"the JSON is nested deeper than {self.bounds.depth} levels", code="json_too_deep")
            else:
                self._level -= 1

    def _check_digits(self, bare: bytes) -> None:
        bare = self._digits + bare
        if self._long.search(bare) is not None:
            raise BadJson(f"the JSON holds a number of more than {self.bounds.digits} digits", code="json_number")
        self._digits = bare[len(bare.rstrip(_DIGITS)) :]


def loads(raw: bytes | str, bounds: Bounds = DEFAULT, *, refuse_duplicates: bool = True, lenient: bool = False) -> Any:
    """The value of a JSON text; BadJson, with the bound that is passed or the place where it is no JSON.

    NaN and numbers beyond what a double holds are no JSON here. `lenient`: texts may hold control characters and
    halves of characters as they are; models and telephones write them.
    """
    data = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    meter = Meter(bounds)
    meter.feed(data)
    value = _lenient(data) if lenient else _strict(data)
    if refuse_duplicates and meter.members and _members(value) != meter.members:
        _refuse_duplicate(data)
    return value


def _strict(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadJson(f"not JSON: {error.msg[:100]}", details={"line": error.lineno, "column": error.colno}) from None


def _lenient(data: bytes) -> Any:
    try:
        text = data.decode("utf-8", "surrogatepass")
        return json.loads(text, strict=False, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise BadJson("not JSON") from None


def _finite(written: str) -> float:
    value = float(written)
    if value in (float("inf"), float("-inf")):
        raise BadJson("the JSON holds a number that is too large", code="json_number")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _members(value: Any) -> int:
    """How many names there are in all the objects of a value."""
    total = 0
    left = [value]
    while left:
        item = left.pop()
        if type(item) is dict:
            total += len(item)
            left += [one for one in item.values() if type(one) is dict or type(one) is list]
        elif type(item) is list:
            left += [one for one in item if type(one) is dict or type(one) is list]
    return total


def _refuse_duplicate(data: bytes) -> None:
    """BadJson that names the name which comes twice in one object."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                shown = name.encode("utf-8", "replace").decode()[:100]
                raise BadJson(
                    f"the name {shown!r} comes twice in one object",
                    code="duplicate_name",
                    details={"formErrors": [], "fieldErrors": {shown: ["comes twice in one object"]}},
                )
            seen.add(name)
        return {}

    try:
        json.loads(data.decode("utf-8", "surrogatepass"), object_pairs_hook=once, strict=False, parse_int=str)
    except (ValueError, RecursionError):
        raise BadJson("not JSON") from None
    raise BadJson("a name comes twice in one object", code="duplicate_name")


# --- values that were read already ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measure:
    """How large a JSON value is: values in it, characters of its texts and names, levels of nesting."""

    nodes: int
    chars: int
    depth: int


def measure(value: Any, bounds: Bounds = DEFAULT) -> Measure:
    """The size of a value; BadJson as soon as it passes a bound. It never recurses, whatever it is given."""
    nodes = chars = depth = 0
    level: list[Any] = [value]
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                chars += len(item)
            elif isinstance(item, Mapping):
                below += item.values()
                chars += sum(len(name) for name in item if isinstance(name, str))
            elif isinstance(item, list | tuple):
                below += item
            # the level below may be far longer than this one: it is counted before it is gone through
            if nodes + len(level) + len(below) > bounds.nodes:
                raise BadJson(f"holds more than {bounds.nodes} values", code="json_too_many")
        nodes += len(level)
        if chars > bounds.size:
            raise BadJson(f"holds more than {bounds.size} characters", code="json_too_large")
        if below:
            depth += 1
            if depth > bounds.depth:
                raise BadJson(f"is nested deeper than {bounds.depth} levels", code="json_too_deep")
        level = below
    return Measure(nodes, chars, depth)
