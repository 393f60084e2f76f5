"""The memory of a run with a model: a conversation as JSON, kept within a size by shortening what is old."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KIND = "model"
VERSION = 1
# The newest exchanges stay as they were; a model works on what it just read.
KEPT_WHOLE = 4
SHORT = 300
# a text that was cut is so much longer for saying so; it is not cut again
CUT_NOTE = 100
MAX_DIGEST = 200

Message = dict[str, Any]
_OPEN_FRAME = re.compile(r"<data-([0-9a-f]+) ")
_FRAME = re.compile(r"</?data-[0-9a-f]+[^>\n]*>")


@dataclass(slots=True)
class Memory:
    """`messages`: the conversation behind the task prompt, in pairs of an answer and the results given to it.

    `current` is the call being carried out, `pending` the calls of the same answer that come after it,
    `returns` the results so far; each call is `{id, wire, tool, args}`. `digest` holds one line per forgotten step.
    """

    messages: list[Message] = field(default_factory=list)
    current: dict[str, Any] | None = None
    pending: list[dict[str, Any]] = field(default_factory=list)
    returns: list[Message] = field(default_factory=list)
    digest: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, history: Any) -> "Memory":
        """From what an earlier answer returned; ValueError when it is not ours."""
        if history is None:
            return cls()
        if not isinstance(history, Mapping) or history.get("kind") != KIND or history.get("v") != VERSION:
            raise ValueError("not the memory of a model")
        return cls(
            messages=list(history["messages"]),
            current=history["current"],
            pending=list(history["pending"]),
            returns=list(history["returns"]),
            digest=list(history["digest"]),
        )

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "kind": KIND,
            "v": VERSION,
            "messages": self.messages,
            "current": self.current,
            "pending": self.pending,
            "returns": self.returns,
            "digest": self.digest,
        }

    def take_next(self) -> dict[str, Any]:
        """The next pending call becomes the current one."""
        self.current = self.pending.pop(0)
        return self.current

    def give_back(self, text: str, *, ok: bool) -> None:
        """The current call came to this."""
        assert self.current is not None
        self.returns.append(tool_return(self.current, text, ok=ok))
        self.current = None

    def close_exchange(self) -> None:
        """The results of one answer become the next message to the model."""
        if self.returns:
            self.messages.append({"kind": "request", "parts": self.returns})
            self.returns = []

    def compact(self, budget: int) -> None:
        """Bring the conversation below `budget` characters: first shorten old results, then forget old exchanges.

        What stays of a forgotten exchange is one line per call in `digest`. The newest exchanges stay as they are
        unless they alone are too much; then their results are cut to an equal share.
        """
        if size(self.messages) <= budget:
            return
        for message in self.messages[: -2 * KEPT_WHOLE]:
            _shorten(message, SHORT)
        total = size(self.messages)
        while total > budget and len(self.messages) > 2 * KEPT_WHOLE:
            gone = [self.messages.pop(0)]
            # An exchange is forgotten whole: a result without its call would be refused by every provider.
            while self.messages and self.messages[0].get("kind") != "response":
                gone.append(self.messages.pop(0))
            self.digest += _digest(gone)
            total -= size(gone)
        if total > budget:
            parts = sum(len(message.get("parts", ())) for message in self.messages)
            for message in self.messages:
                _shorten(message, max(SHORT, budget // (2 * max(parts, 1))))
        if len(self.digest) > MAX_DIGEST:
            dropped = len(self.digest) - MAX_DIGEST + 1
            self.digest = [f"({dropped} earlier steps are not listed)", *self.digest[dropped:]]


def tool_return(call: Mapping[str, Any], text: str, *, ok: bool) -> Message:
    """The result of a call as a part of a message."""
    return {
        "part_kind": "tool-return",
        "tool_name": call["wire"],
        "tool_call_id": call["id"],
        "content": text,
        "outcome": "success" if ok else "failed",
    }


def user_message(text: str) -> Message:
    """A message of the user's side."""
    return {"kind": "request", "parts": [{"part_kind": "user-prompt", "content": text}]}


def size(messages: list[Message]) -> int:
    """Characters of everything a model would be sent, about four of them to a token."""
    return sum(len(json.dumps(message.get("parts", []), ensure_ascii=False)) for message in messages)


def _shorten(message: Message, kept: int) -> None:
    """Cut every result and argument of a message to about `kept` characters."""
    for part in message.get("parts", []):
        if part.get("part_kind") == "thinking":
            continue
        for name in ("content", "args"):
            value = part.get(name)
            if isinstance(value, str) and len(value) > kept + CUT_NOTE and part.get("part_kind") != "tool-call":
                part[name] = _cut(value, kept)
            elif name == "args" and value is not None and len(json.dumps(value)) > kept + CUT_NOTE:
                part[name] = {"shortened": str(value)[:kept]}


def _cut(text: str, length: int) -> str:
    """The beginning of the text; a data frame that was open there is closed again."""
    kept = text[:length]
    opened = _OPEN_FRAME.findall(kept)
    if opened and f"</data-{opened[-1]}>" not in kept:
        kept += f"\n</data-{opened[-1]}>"
    return f"{kept}\n[{len(text) - length} characters were taken out]"


def _digest(messages: list[Message]) -> list[str]:
    returns = {
        part.get("tool_call_id"): part
        for message in messages
        for part in message.get("parts", [])
        if part.get("part_kind") == "tool-return"
    }
    lines = []
    for message in messages:
        for part in message.get("parts", []):
            if part.get("part_kind") != "tool-call":
                continue
            came = returns.get(part.get("tool_call_id"), {})
            said = " ".join(_FRAME.sub("", str(came.get("content", ""))).split())[:160]
            lines.append(f"- {part.get('tool_name')} {str(part.get('args'))[:120]}: {said}")
    return lines
