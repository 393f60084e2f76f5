"""Updates of the Bot API as raw JSON: cut apart, kept byte for byte, bounded, and numbered, before a model sees them.

Nothing here believes anything about an update but what it has checked, and nothing takes longer than
its size allows. Whatever cannot be read is `Unreadable` with a reason that names fields, never contents.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson

# one update; Telegram's own are some hundred kilobytes at most
MAX_BYTES = 1_048_576
MAX_DEPTH = 100
MAX_NODES = 50_000
MAX_ID = 2**53
# the numbers by which updates are asked for have 32 bits: a larger one would hide all that come after
MAX_OFFSET = 2**31 - 1

# what Pilot handles; every other kind is dropped as it comes
KINDS = ("message", "callback_query", "my_chat_member")

# how the text of bytes begins that are no text
ENCODED = "base64:"
_NUMBER = re.compile(rb'"update_id"\s*:\s*(\d{1,16})(?=\s*[,}])')
# a whole string (never read twice, however it ends), a quote that begins none, or a sign that matters
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["\[\]{},]', re.DOTALL)
_COLON = re.compile(rb"\s*:\s*")


class InboxState(StrEnum):
    """Where an update stands. Failed: a handler could not deal with it. Set aside: nobody could read it."""

    NEW = "new"
    CLAIMED = "claimed"
    DONE = "done"
    DROPPED = "dropped"
    FAILED = "failed"
    SET_ASIDE = "set_aside"


class Unreadable(Exception):
    """An update that cannot be read. The text says why, in words that hold nothing of what it says."""


class Unused(Exception):
    """An update in which nothing is for Pilot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """An update as it came. `reason` says why it is set aside, None when it is not.

    `number` is its update id, or a negative number made of its bytes where it has none that can be used: the same
    bytes are then stored once, too. `nameless` says that there is no number at all, not even one that cannot be used.
    `used` is False for kinds that Pilot does not handle.
    """

    body: bytes
    number: int
    chat_key: str
    used: bool
    reason: str | None = None
    nameless: bool = False


def arrived(body: bytes) -> Arrived:
    """What an update is, from its bytes. Never raises."""
    try:
        update = load(body)
    except Unreadable as error:
        found = _NUMBER.search(body)
        number = _usable(int(found[1])) if found is not None else None
        return _aside(body, number, str(error), nameless=found is None)
    number = number_of(update)
    if number is None:
        nameless = not isinstance(update, dict) or type(update.get("update_id")) is not int
        return _aside(body, None, "update_id: missing, or not a number that can be used", nameless=nameless)
    kind = kind_of(update)
    return Arrived(body=body, number=number, chat_key=order_key(update), used=kind is not None)


def _aside(body: bytes, number: int | None, reason: str, *, nameless: bool) -> Arrived:
    if number is None:
        number = -1 - int.from_bytes(hashlib.sha256(body).digest()[:7])
    return Arrived(body=body, number=number, chat_key=_own_key(number), used=True, reason=reason, nameless=nameless)


def load(body: bytes) -> Any:
    """The JSON of an update within the bounds; Unreadable."""
    if len(body) > MAX_BYTES:
        raise Unreadable(f"larger than {MAX_BYTES} bytes")
    # counted in no time: what cannot be within the bound, even where some of the signs stand in strings, is not built
    if body.count(b",") + body.count(b"[") + body.count(b"{") > 3 * MAX_NODES:
        raise Unreadable(f"made of more than {MAX_NODES} values")
    try:
        value = orjson.loads(body)
    except ValueError:
        raise Unreadable("not JSON") from None
    level = [value]
    depth = nodes = 0
    while level:
        depth += 1
        nodes += len(level)
        if depth > MAX_DEPTH:
            raise Unreadable(f"nested more than {MAX_DEPTH} levels deep")
        if nodes > MAX_NODES:
            raise Unreadable(f"made of more than {MAX_NODES} values")
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return value


def number_of(update: Any) -> int | None:
    """The update id, None when there is none that can be used."""
    return _usable(update.get("update_id")) if isinstance(update, dict) else None


def _usable(number: Any) -> int | None:
    return number if type(number) is int and 0 <= number < MAX_ID else None


def kind_of(update: Any) -> str | None:
    """Which of `KINDS` the update is, None when it is none of them."""
    return next((kind for kind in KINDS if kind in update), None) if isinstance(update, dict) else None


def order_key(update: Any) -> str:
    """What updates must stay in order with each other: those of one chat, or else of one person, or else nothing."""
    kind = kind_of(update)
    body = update[kind] if kind is not None else None
    if isinstance(body, dict):
        message = body.get("message") if kind == "callback_query" else None
        for holder in (body.get("chat"), message.get("chat") if isinstance(message, dict) else None, body.get("from")):
            chat_id = holder.get("id") if isinstance(holder, dict) else None
            if type(chat_id) is int and abs(chat_id) < MAX_ID:
                return str(chat_id)
    return _own_key(number_of(update) or 0)


def _own_key(number: int) -> str:
    return f"update {number}"


# --- bytes in a column of text --------------------------------------------------------------------


def as_text(body: bytes) -> str:
    """Bytes as text that every store keeps, NUL and broken UTF-8 among them; `as_bytes` gives the same bytes back.

    JSON is kept readable. No JSON begins as the encoded form does.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or text.startswith(ENCODED):
        return ENCODED + base64.b64encode(body).decode()
    return text


def as_bytes(text: str) -> bytes:
    """The bytes that came."""
    if text.startswith(ENCODED):
        return base64.b64decode(text.removeprefix(ENCODED))
    return text.encode()


# --- a batch cut apart ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What an answer to getUpdates holds: each update's own bytes, and what is left that has no end."""

    updates: list[bytes]
    rest: bytes = b""


def cut(answer: bytes) -> Batch | None:
    """Cut the array `result` of an answer into its elements, None when it has no such array.

    Every element is the very bytes between its separators, white space around them left out: nothing is decoded,
    so bytes that are no UTF-8, numbers of any size and any depth come out as they came in. Only strings and
    brackets are looked at, and an element that is wrong inside them does not spoil its neighbours.
    """
    tokens = _TOKENS.finditer(answer)
    start = _start_of_result(answer, tokens)
    if start is None:
        return None
    found: list[bytes] = []
    depth = 0
    for token in tokens:
        sign = token[0]
        if sign in (b"{", b"["):
            depth += 1
        elif depth and sign in (b"}", b"]"):
            depth -= 1
        elif sign == b'"':
            break
        elif not depth and sign in (b",", b"]", b"}"):
            element = answer[start : token.start()].strip()
            found += [element] if element or sign == b"," else []
            start = token.end()
            if sign != b",":
                return Batch(updates=found)
    return Batch(updates=found, rest=answer[start:].strip())


def _start_of_result(answer: bytes, tokens: Any) -> int | None:
    """Where the elements of the array `result` begin; the tokens are read up to there."""
    depth = 0
    for token in tokens:
        sign = token[0]
        if sign in (b"{", b"["):
            depth += 1
        elif sign in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and sign == b'"result"':
            colon = _COLON.match(answer, token.end())
            if colon is not None and answer[colon.end() : colon.end() + 1] == b"[":
                next(tokens)
                return int(colon.end()) + 1
    return None


# updates of one chat that one process has in hand: those of a busy chat must not take up all the room
AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One update. `raw` is its text as the store has it, `body` the bytes as they came.

    `attempts` counts the tries begun, `starts` those since one last came back. `chat_key` is None in a row
    of an older version.
    """

    update_id: int
    raw: str
    state: str
    attempts: int
    starts: int
    chat_key: str | None
    claimed_until: datetime | None
    received_at: datetime

    @property
    def body(self) -> bytes:
        """The bytes that came."""
        return as_bytes(self.raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits, since when, and what was set aside."""

    waiting: int
    oldest: datetime | None
    set_aside: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeState:
    """`way` is polling or webhook, `word` ok or what is wrong, `well_at` when it last went well."""

    way: str
    word: str
    detail: str
    well_at: datetime | None
    updated_at: datetime
