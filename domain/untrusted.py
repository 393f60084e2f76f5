"""Text from outside is data: cleaned of what deceives the eye, capped, and framed before a model sees it."""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

MAX_DEPTH = 30
MAX_INTEGER = 2**53 - 1  # beyond it JSON numbers have no canonical form

# Characters that show nothing and can carry hidden text or reorder what is shown: soft hyphen, bidi
# controls and isolates, zero-width characters, invisible operators, tag characters, variation selectors.
# U+FE0F (emoji style) stays, it draws something; joiners stay only inside a word of a script that needs them.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_STRAY_JOINER = re.compile(
    "(?<![\u0080-\u1fff\u2600-\U0001ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0080-\u1fff\u2600-\U0001ffff])"
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_NEWLINE = re.compile("\r\n?|[\x85\u2028\u2029]")


# Where marks that stand above and below letters are encoded. A letter bears at most so many of them (the Stream-Safe
# Text Format of Unicode): bringing a run of marks into order takes time that grows with its square.
_MARKS = (
    range(0x300, 0x1E00),
    range(0x2000, 0x3100),
    range(0xA600, 0xAC00),
    range(0xFB00, 0x10000),
    range(0x10100, 0x12000),
    range(0x16A00, 0x17000),
    range(0x1BC00, 0x1BE00),
    range(0x1D100, 0x1D300),
    range(0x1E000, 0x1EA00),
)
MAX_MARKS = 30


@cache
def _too_many_marks() -> re.Pattern[str]:
    marks = "".join(chr(code) for block in _MARKS for code in block if is_mark(chr(code)))
    return re.compile(f"([{marks}]{{{MAX_MARKS}}})[{marks}]+")


def is_mark(char: str) -> bool:
    """Whether a character is, or begins when taken apart with, a mark whose order normal forms prescribe."""
    return unicodedata.combining(unicodedata.normalize("NFKD", char)[0]) != 0


def few_marks(text: str) -> str:
    """The text without marks beyond the 30th on one letter."""
    return text if text.isascii() else _too_many_marks().sub(r"\1", text)


def normalized(form: Literal["NFC", "NFKC"], text: str) -> str:
    """The text in a Unicode normal form, without marks beyond the 30th on one letter; linear in its length."""
    return text if text.isascii() else unicodedata.normalize(form, few_marks(text))


def pieces(text: str, length: int = 2000) -> Iterator[str]:
    """The text in pieces of about `length`, each in a normal form of its own.

    A piece begins with an ASCII character, or with one that nothing before it could change, as long as one is near.
    """
    start = 0
    while len(text) - start > length:
        end = next((at for at in range(start + length, start + length // 2, -1) if _begins(text, at)), start + length)
        yield text[start:end]
        start = end
    yield text[start:]


def _begins(text: str, at: int) -> bool:
    before, char = text[at - 1], text[at]
    if char.isascii():
        return True
    # vowels and final consonants of Korean join what is before them, of which more than one character may be part
    if is_mark(char) or "\u1160" <= char <= "\u11ff":
        return False
    apart = unicodedata.normalize("NFKC", before) + unicodedata.normalize("NFKC", char)
    return unicodedata.normalize("NFKC", before + char) == apart


def clean(text: str) -> str:
    """The text without control, bidi and zero-width characters; every line ends in a plain newline; composed (NFC)."""
    if text.isascii() and text.isprintable():
        return text
    text = _NEWLINE.sub("\n", text)
    text = _CONTROL.sub("", text)
    text = _INVISIBLE.sub("", text)
    return normalized("NFC", _STRAY_JOINER.sub("", text))


def cap(text: str, limit: int) -> tuple[str, bool]:
    """The first `limit` characters, and whether something was cut off."""
    return (text, False) if len(text) <= limit else (text[:limit], True)


def clean_and_cap(text: str, limit: int) -> tuple[str, bool]:
    """Both. What is far beyond the cap is not even cleaned, so that size costs nothing."""
    rough, cut = cap(text, limit * 2 + 1000)
    cleaned, cut_more = cap(clean(rough), limit)
    return cleaned, cut or cut_more


def clean_json(value: Any, *, max_chars: int = 20_000) -> Any:
    """The JSON value with every text and key cleaned, cut where its texts together pass `max_chars`.

    What is nested deeper than 30 levels, and items beyond the cap, become `"..."`. Numbers that JSON has no
    word for become None, integers beyond 2^53 texts.
    """
    return _clean_json(value, _Budget(max_chars), 0)


class _Budget:
    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, text: str) -> str:
        kept, _ = clean_and_cap(text, max(self.left, 0))
        self.left -= len(kept)
        return kept


def _clean_json(value: Any, budget: _Budget, depth: int) -> Any:
    if depth > MAX_DEPTH or budget.left <= 0:
        return "..."
    if isinstance(value, str):
        return budget.take(value)
    if isinstance(value, dict):
        return _clean_object(value, budget, depth)
    if isinstance(value, list | tuple):
        return _clean_list(value, budget, depth)
    budget.left -= 1
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124
        return None
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return str(value)
    return value if value is None or isinstance(value, bool | int | float) else budget.take(str(value))


def _clean_object(value: dict[Any, Any], budget: _Budget, depth: int) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, item in value.items():
        if budget.left <= 0:
            kept["..."] = "..."
            break
        kept[budget.take(str(key))] = _clean_json(item, budget, depth + 1)
    return kept


def _clean_list(value: list[Any] | tuple[Any, ...], budget: _Budget, depth: int) -> list[Any]:
    kept: list[Any] = []
    for item in value:
        if budget.left <= 0:
            kept.append("...")
            break
        budget.left -= 1
        kept.append(_clean_json(item, budget, depth + 1))
    return kept


def frame(text: str, *, source: str, mark: str) -> str:
    """The text between markers that name it as data for a model.

    `mark` is a word the author of the text cannot know; where it occurs in the text all the same it is taken
    out, so that the text cannot close its own frame.
    """
    inside = text.replace(mark, "")
    return f"<data-{mark} source={source!r}>\n{inside}\n</data-{mark}>"
