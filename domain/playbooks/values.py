"""Values of a playbook: JSON in which references stand for what is known only when the run has come so far."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from domain.playbooks.errors import PlaybookError

MAX_TEXT = 100_000


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


def joined(parts: list[str | Ref], *, empty: str | None = None) -> Value:
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
