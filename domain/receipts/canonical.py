"""Canonical JSON (RFC 8785) of the values that are hashed and signed.

Two forms. `canonical` takes the interoperable subset, in which every implementation of RFC 8785
and Go's JSON agree byte for byte: strings, booleans, null, integers within +-(2**53 - 1), lists
and objects. `canonical_payload` takes finite floats as well, rendered as RFC 8785 says; it serves
hashes of payloads that never travel as JSON numbers through another program.
"""

import hashlib
from typing import Any

import orjson
import rfc8785

from domain.receipts.errors import NotCanonical

MAX_SAFE_INTEGER = 2**53 - 1
MAX_DEPTH = 64

# With ASCII keys only, byte order is UTF-16 order, and orjson escapes exactly what RFC 8785
# escapes: tests hold the two equal. It is fifty times faster, which the write path needs.
_FAST = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_SUBCLASS


def canonical(value: Any) -> bytes:
    """The RFC 8785 bytes of `value`; NotCanonical for floats, large integers and foreign types."""
    return _encode(value, floats=False)


def canonical_payload(value: Any) -> bytes:
    """As `canonical`, but finite floats are rendered as RFC 8785 says instead of refused."""
    return _encode(value, floats=True)


def payload_hash(value: Any, *, salt: bytes = b"") -> str:
    """64 hex digits: SHA-256 over `salt` and the canonical form of `value`.

    A salt kept beside the payload makes the hash useless for guessing once both are erased.
    """
    return hashlib.sha256(salt + canonical_payload(value)).hexdigest()


def parse_canonical(raw: bytes) -> Any:
    """The value of `raw`, which must be exactly the canonical form of it; NotCanonical otherwise.

    Duplicate names, spaces, other escapes and other number forms all fail here, because writing
    the value again gives other bytes.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise NotCanonical("not JSON") from error
    if canonical(value) != raw:
        raise NotCanonical("the bytes are not the canonical form of their value")
    return value


def _encode(value: Any, *, floats: bool) -> bytes:
    try:
        if _is_simple(value, floats, 0):
            return orjson.dumps(value, option=_FAST)
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, orjson.JSONEncodeError, UnicodeEncodeError) as error:
        raise NotCanonical(f"no canonical JSON form: {error}") from error


def _is_simple(value: Any, floats: bool, depth: int) -> bool:
    """Whether orjson writes the same bytes as RFC 8785; NotCanonical for what neither may write."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
            return True
        raise NotCanonical("integers beyond +-(2^53 - 1) are not interoperable: write them as strings")
    if depth > MAX_DEPTH:
        raise NotCanonical(f"nested deeper than {MAX_DEPTH} levels")
    if kind is dict:
        simple = True
        for key, item in value.items():
            if type(key) is not str:
                if not isinstance(key, str):
                    raise NotCanonical("names of members must be strings")
                simple = False
            elif not key.isascii():
                simple = False
            if type(item) is not str and not _is_simple(item, floats, depth + 1):
                simple = False
        return simple
    if kind is list or kind is tuple:
        # All elements are looked at: the check also refuses, so it may not stop early.
        return all([_is_simple(item, floats, depth + 1) for item in value])  # noqa: C419
    if isinstance(value, float):
        if floats:
            return False
        raise NotCanonical("floating-point numbers are not interoperable: write them as strings")
    if isinstance(value, int):
        return _is_simple(int(value), floats, depth) and False
    if isinstance(value, str):
        return False
    raise NotCanonical(f"{kind.__name__} has no JSON form")
