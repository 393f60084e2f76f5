"""What arguments really hold: every text in them, made comparable, and every address they would reach."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from domain.untrusted import few_marks, normalized, pieces

# Characters that are not seen: soft hyphens, joiners, direction marks, variation selectors, tags.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
# Browsers and some clients drop tabs and line ends inside an address, and what is unseen before it.
_DROPPED = re.compile(r"[\t\r\n]")
_BEFORE = "".join(map(chr, range(33)))
_ADDRESS = re.compile(r"[\x00-\x20]*h[\t\r\n]*t[\t\r\n]*t[\t\r\n]*p[\t\r\n]*(?:s[\t\r\n]*)?:", re.IGNORECASE)
_PLAIN_AUTHORITY = re.compile(r"(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value at any depth: keys, strings, and numbers as they are written."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from texts(item)
    elif value is not None:
        yield str(value)


def plain(text: str) -> str:
    """A text without what only looks different: case, width, invisible characters, runs of white space.

    ValueError for a text that stands for one many times as long: what cannot be looked through is not let through.
    """
    if not text.isascii():
        text = few_marks(_UNSEEN.sub("", text))
        room = 4 * len(text) + 100_000
        parts: list[str] = []
        for piece in pieces(text):
            # folding case can undo the normal form
            parts.append(normalized("NFKC", normalized("NFKC", piece).casefold()))
            room -= len(parts[-1])
            if room < 0:
                raise ValueError("the text grows too much when it is read out")
        text = "".join(parts)
    return " ".join(text.lower().split())


def host_of(text: str) -> str | None:
    """The host a text that begins as a web address leads to, None for other texts, "" when readers may disagree."""
    found = _ADDRESS.match(text)
    if found is None:
        return None
    # no host is that long: a longer piece would only be brought into a normal form, which takes its square of time
    rest = _DROPPED.sub("", text[found.end() : found.end() + 2000])[:1000]
    try:
        parts = urlsplit(f"http:{rest}".strip(_BEFORE))
    except ValueError:
        return ""
    # nothing but a host and a port: with a name, a backslash or an escape in it one reader's path is another's host
    return (parts.hostname or "").rstrip(".") if _PLAIN_AUTHORITY.fullmatch(parts.netloc.lower()) else ""


def host_allowed(host: str, allowed: Sequence[str]) -> bool:
    """Whether a host is one of these; `*.example.com` stands for every name below example.com."""
    return any(
        host == name or (name.startswith("*.") and host.endswith(name[1:]) and len(host) > len(name) - 1)
        for name in allowed
    )
