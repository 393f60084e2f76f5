"""The small texts inside a playbook: values, references to earlier results, conditions. No code is ever evaluated."""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from domain.errors import Invalid

MAX_DEPTH = 20
MAX_TEXT = 100_000
MAX_DIGITS = 64
MAX_INTEGER = 2**53 - 1  # beyond it JSON numbers have no canonical form, and a call could not be signed

_IDENT = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_KEY_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_COMPARE = re.compile(r"==|!=|<=|>=|<|>|contains\b|in\b")
_WORDS = {"true": True, "false": False, "null": None, "none": None}
# Telephones turn straight quotes into typographic ones; both open and close a text.
_CLOSING = {'"': '"', "'": "'", "“": "”“", "”": "”", "„": "“”", "«": "»", "‘": "’‘"}
_FENCES = ('"""', "'''", "```", "“““", "”””")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
# runs of characters that mean nothing but themselves: taken at once, since a step for each letter adds up
_PLAIN_BARE = re.compile(r"[^\s,;{]+")
_PLAIN_TEMPLATE = re.compile(r"[^\\{]+")
_PLAIN_QUOTED = {opening: re.compile(rf"[^\\{{{closing}]+") for opening, closing in _CLOSING.items()}
_HEX4 = re.compile(r"[0-9A-Fa-f]{4}")
_LOW_HALF = re.compile(r"\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})")
_INDEX = re.compile(r"-?\d{1,6}")
_LOGIC = {word: re.compile(rf"{word}\b", re.IGNORECASE) for word in ("and", "or", "not", *_WORDS)}


class PlaybookError(Invalid):
    """The playbook cannot be run as it is written."""

    code = "playbook_invalid"

    def __init__(self, reason: str, *, line: int, column: int = 1) -> None:
        super().__init__(f"line {line}: {reason}", details={"line": line, "column": column, "reason": reason})
        self.reason = reason
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Ref:
    """`{{steps.1.status}}`: a value known only when the run has come so far."""

    path: tuple[str | int, ...]
    line: int
    column: int

    @property
    def text(self) -> str:
        return ".".join(str(part) for part in self.path)


@dataclass(frozen=True, slots=True)
class Text:
    """A text with references in it."""

    parts: tuple[str | Ref, ...]


Value = Any  # JSON, in which Ref and Text may stand for values
Lookup = Callable[[Ref], Any]
Condition = tuple[Any, ...]


class Scanner:
    """A place in the playbook's text, with the errors that can be made there."""

    def __init__(self, text: str, pos: int = 0) -> None:
        self.text = text
        self.pos = pos
        self._lines: list[int] | None = None

    def error(self, reason: str, pos: int | None = None) -> PlaybookError:
        line, column = self.where(self.pos if pos is None else pos)
        return PlaybookError(reason, line=line, column=column)

    def where(self, pos: int) -> tuple[int, int]:
        if self._lines is None:
            self._lines = [0, *(found.end() for found in re.finditer("\n", self.text))]
        line = bisect_right(self._lines, pos)
        return line, pos - self._lines[line - 1] + 1

    @property
    def at_end(self) -> bool:
        return self.pos >= len(self.text)

    @property
    def at_line_end(self) -> bool:
        return self.at_end or self.text[self.pos] == "\n"

    def peek(self, what: str) -> bool:
        return self.text.startswith(what, self.pos)

    def take(self, what: str) -> bool:
        if self.peek(what):
            self.pos += len(what)
            return True
        return False

    def match(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self.text, self.pos)
        if found is None:
            return None
        self.pos = found.end()
        return found[0]

    def blanks(self, *, lines: bool = False) -> None:
        wanted = " \t\r\n" if lines else " \t\r"
        while not self.at_end and self.text[self.pos] in wanted:
            self.pos += 1

    def rest_of_line(self) -> str:
        end = self.text.find("\n", self.pos)
        return self.text[self.pos :] if end < 0 else self.text[self.pos : end]

    # --- values -----------------------------------------------------------------------------------

    def quoted_or_json(self) -> tuple[bool, Value]:
        """A quoted text, a block, or a JSON object or list: (True, value); (False, None) when none begins here."""
        for fence in _FENCES:
            if self.peek(fence):
                return True, self._block(fence)
        if self.at_end:
            return False, None
        char = self.text[self.pos]
        if char in _CLOSING:
            return True, self._quoted()
        if char in "{[" and not self.peek("{{"):
            return True, self._json(0)
        return False, None

    def bare(self, stop: Callable[[str], bool]) -> Value:
        """Characters up to one that stops; references may hold blanks."""
        parts: list[str | Ref] = []
        start = self.pos
        while not self.at_line_end:
            if self.peek("{{"):
                parts.append(self._reference())
            elif stop(self.text[self.pos]):
                break
            else:
                parts.append(self.match(_PLAIN_BARE) or self._one())
        if not parts:
            raise self.error("a value is missing here", start)
        return _joined(parts)

    def template(self, text: str, pos: int) -> Value:
        """`text`, which stands at `pos`, with its references; used for blocks whose indentation was taken off."""
        inner = Scanner(text)
        line, column = self.where(pos)
        parts: list[str | Ref] = []
        while not inner.at_end:
            if inner.peek("\\{{"):
                parts.append("{{")
                inner.pos += 3
            elif inner.peek("{{"):
                try:
                    found = inner._reference()
                except PlaybookError as error:
                    raise PlaybookError(error.reason, line=line + error.line - 1, column=error.column) from error
                parts.append(Ref(found.path, line + found.line - 1, column))
            else:
                parts.append(inner.match(_PLAIN_TEMPLATE) or inner._one())
        return _joined(parts, empty="")

    def _block(self, fence: str) -> Value:
        start = self.pos
        self.pos += len(fence)
        end = self.text.find(fence, self.pos)
        if end < 0:
            raise self.error(f"the block that {fence} opens is never closed", start)
        inside = self.text[self.pos : end]
        pos = self.pos
        self.pos = end + len(fence)
        first, newline, rest = inside.partition("\n")
        if newline and (not first.strip() or (fence == "```" and first.strip().isalnum())):
            inside, pos = rest, pos + len(first) + 1
        return self.template(dedent(inside), pos)

    def _quoted(self) -> Value:
        start = self.pos
        closing, plain = _CLOSING[self.text[self.pos]], _PLAIN_QUOTED[self.text[self.pos]]
        self.pos += 1
        parts: list[str | Ref] = []
        while not self.at_end:
            char = self.text[self.pos]
            if char in closing:
                self.pos += 1
                return _joined(parts, empty="")
            if self.peek("{{"):
                parts.append(self._reference())
            elif char == "\\":
                parts.append(self._escape())
            else:
                parts.append(self.match(plain) or self._one())
        raise self.error("the quotation mark is never closed", start)

    def _one(self) -> str:
        """The character here."""
        self.pos += 1
        return self.text[self.pos - 1]

    def _escape(self) -> str:
        self.pos += 1
        char = self.text[self.pos] if not self.at_end else ""
        self.pos += 1
        if char == "u":
            digits = self.text[self.pos : self.pos + 4]
            if not _HEX4.fullmatch(digits):
                raise self.error("\\u needs four hexadecimal digits")
            self.pos += 4
            code = int(digits, 16)
            low = _LOW_HALF.match(self.text, self.pos)
            if 0xD800 <= code < 0xDC00 and low is not None:
                self.pos = low.end()
                return chr(0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00)
            return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)
        if char == "{":
            return "{{" if self.take("{") else "{"
        if char in _ESCAPES:
            return _ESCAPES[char]
        return char if char in "\\/\"'“”„«»‘’" else "\\" + char

    def _json(self, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise self.error("the value is nested too deeply")
        self.blanks(lines=True)
        if self.peek("{{"):
            return self._reference()
        if self.at_end:
            raise self.error("the JSON ends too early")
        char = self.text[self.pos]
        if char == "{":
            return self._json_object(depth)
        if char == "[":
            return self._json_list(depth)
        if char in _CLOSING and char != "'":
            return self._quoted()
        number = self._number()
        if number is not None:
            return number
        for word in ("true", "false", "null"):
            if self.take(word):
                return _WORDS[word]
        raise self.error("this is not valid JSON")

    def _number(self) -> int | float | None:
        start = self.pos
        written = self.match(_NUMBER)
        if written is None:
            return None
        if len(written) > MAX_DIGITS:
            raise self.error("the number is too long: write it in quotes", start)
        value: int | float = json.loads(written)
        if abs(value) > MAX_INTEGER and (isinstance(value, int) or value in (float("inf"), float("-inf"))):
            raise self.error("the number is too large: write it in quotes", start)
        return value

    def _json_object(self, depth: int) -> dict[str, Value]:
        start = self.pos
        self.pos += 1
        found: dict[str, Value] = {}
        self.blanks(lines=True)
        if self.take("}"):
            return found
        while True:
            self.blanks(lines=True)
            at = self.pos
            if self.at_end or self.text[self.pos] not in _CLOSING:
                raise self.error("a name in quotes is expected in the JSON object")
            key = self._quoted()
            if not isinstance(key, str):
                raise self.error("a name in a JSON object cannot hold a reference", at)
            if key in found:
                raise self.error(f"the name {key!r} is there twice", at)
            self.blanks(lines=True)
            if not self.take(":"):
                raise self.error("a colon is expected after the name in the JSON object")
            found[key] = self._json(depth + 1)
            if self._json_goes_on("}", start):
                continue
            return found

    def _json_list(self, depth: int) -> list[Value]:
        start = self.pos
        self.pos += 1
        found: list[Value] = []
        self.blanks(lines=True)
        if self.take("]"):
            return found
        while True:
            found.append(self._json(depth + 1))
            if not self._json_goes_on("]", start):
                return found

    def _json_goes_on(self, end: str, start: int) -> bool:
        self.blanks(lines=True)
        if self.take(","):
            return True
        if self.take(end):
            return False
        if self.at_end:
            raise self.error("the bracket is never closed", start)
        raise self.error(f"a comma or {end} is expected in the JSON")

    # --- references and conditions ------------------------------------------------------------------

    def _reference(self) -> Ref:
        start = self.pos
        self.pos += 2
        self.blanks()
        found = self.path()
        self.blanks()
        if not self.take("}}"):
            raise self.error("the reference is not closed by }}", start)
        return found

    def path(self) -> Ref:
        """`name`, `steps.1.json.items[0].id`, `steps["check"].ok`."""
        start = self.pos
        first = self.match(_IDENT)
        if first is None:
            raise self.error("a name such as steps.1.status is expected here")
        parts: list[str | int] = [first]
        while True:
            if self.peek(".") and _KEY_PART.match(self.text, self.pos + 1):
                self.pos += 1
                part = self.match(_KEY_PART) or ""
                parts.append(int(part) if part.isdecimal() else part)
            elif self.take("["):
                parts.append(self._index())
            else:
                line, column = self.where(start)
                return Ref(tuple(parts), line, column)

    def _index(self) -> str | int:
        number = self.match(_INDEX)
        if number is not None:
            key: Value = int(number)
        elif not self.at_end and self.text[self.pos] in _CLOSING:
            key = self._quoted()
        else:
            raise self.error("a number or a name in quotes is expected in the brackets")
        if not isinstance(key, str | int) or not self.take("]"):
            raise self.error("the bracket ] is missing")
        return key

    def condition(self, depth: int = 0) -> Condition:
        """`steps.1.status == 200 and not steps.2.failed`."""
        return self._chain("or", depth, lambda: self._chain("and", depth, lambda: self._negation(depth)))

    def _chain(self, word: str, depth: int, part: Callable[[], Condition]) -> Condition:
        if depth > MAX_DEPTH:
            raise self.error("the condition is nested too deeply")
        found = [part()]
        while self._word(word):
            found.append(part())
        return found[0] if len(found) == 1 else (word, *found)

    def _word(self, word: str) -> bool:
        self.blanks()
        return self.match(_LOGIC[word]) is not None

    def _negation(self, depth: int) -> Condition:
        times = 0
        while self._word("not"):
            times += 1
        found = self._comparison(depth)
        return ("not", found) if times % 2 else found

    def _comparison(self, depth: int) -> Condition:
        left = self._operand(depth)
        self.blanks()
        at = self.pos
        operator = self.match(_COMPARE)
        if operator is None:
            if self.peek("="):
                raise self.error("use == to compare")
            return left
        line, _ = self.where(at)
        return ("compare", operator, left, self._operand(depth), line)

    def _operand(self, depth: int) -> Condition:
        self.blanks()
        if self.take("("):
            inner = self.condition(depth + 1)
            self.blanks()
            if not self.take(")"):
                raise self.error("the parenthesis is never closed")
            return inner
        if self.peek("{{"):
            return ("value", self._reference())
        is_value, value = self.quoted_or_json()
        if is_value:
            return ("value", value)
        number = self._number()
        if number is not None:
            return ("value", number)
        for word, meaning in _WORDS.items():
            if self._word(word):
                return ("value", meaning)
        return ("value", self.path())


def _joined(parts: list[str | Ref], *, empty: str | None = None) -> Value:
    """The parts as one value: what stands side by side as text becomes one text."""
    merged: list[str | Ref] = []
    text: list[str] = []
    for part in [*parts, None]:
        if isinstance(part, str):
            text.append(part)
            continue
        if text:
            merged.append("".join(text))
            text = []
        if part is not None:
            merged.append(part)
    if not merged and empty is not None:
        return empty
    return merged[0] if len(merged) == 1 else Text(tuple(merged))


def dedent(text: str) -> str:
    """The text without the indentation its lines share, and without a last line of blanks."""
    lines = text.split("\n")
    if len(lines) > 1 and not lines[-1].strip():
        lines.pop()
    shared = min((len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()), default=0)
    return "\n".join(line[shared:].rstrip("\r") for line in lines)


# --- what they come to ----------------------------------------------------------------------------


def references(value: Any) -> Iterator[Ref]:
    """Every reference inside a value or a condition."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, Text):
        yield from (part for part in value.parts if isinstance(part, Ref))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)


def fill(value: Value, lookup: Lookup) -> Any:
    """The value with its references replaced. What was looked up is a value for good: it is never parsed again."""
    if isinstance(value, Ref):
        return lookup(value)
    if isinstance(value, Text):
        return _filled_text(value, lookup)
    if isinstance(value, dict):
        return {key: fill(item, lookup) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, lookup) for item in value]
    return value


def _filled_text(value: Text, lookup: Lookup) -> str:
    made: list[str] = []
    left = MAX_TEXT
    for part in value.parts:
        piece = lookup(part) if isinstance(part, Ref) else part
        made.append(piece if isinstance(piece, str) else json.dumps(piece, ensure_ascii=False))
        left -= len(made[-1])
        if left < 0:
            line = next((p.line for p in value.parts if isinstance(p, Ref)), 1)
            raise PlaybookError(f"the text grew beyond {MAX_TEXT} characters", line=line)
    return "".join(made)


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
