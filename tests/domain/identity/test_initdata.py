"""Launch data: the published vectors, and what a careful reader refuses beside them."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.identity.initdata import (
    BadInitData,
    _decoded,
    _fields,
    key_of_token,
    signature_fits,
    verify,
    verify_signature,
)

DATA = json.loads((Path(__file__).parents[2] / "vectors" / "initdata.json").read_text())
NOW = datetime.fromtimestamp(DATA["now"], UTC)
KEY = key_of_token(DATA["token"])


def test_the_key_is_derived_as_documented() -> None:
    assert KEY.hex() == DATA["token_hashed_hex"]


@pytest.mark.parametrize("vector", DATA["vectors"], ids=lambda v: v["id"])
def test_vectors(vector: dict[str, Any]) -> None:
    expect = vector["expect"]
    if expect["authenticate"]:
        assert verify(vector["init_data"], key=KEY, now=NOW).user.id > 0
    else:
        with pytest.raises(BadInitData) as refused:
            verify(vector["init_data"], key=KEY, now=NOW)
        assert refused.value.status == 401
        assert refused.value.reason == expect.get("reason", refused.value.reason)
        assert vector["init_data"] not in str(refused.value)
    if "ed25519" in expect:
        fields = _fields(vector["init_data"])
        fits = signature_fits(fields, bot_id=DATA["bot_id"], public_key=DATA["ed25519_public_key"])
        assert fits is expect["ed25519"]


def test_a_third_party_can_log_in_by_signature() -> None:
    raw = next(v for v in DATA["vectors"] if v["id"] == "ed25519-padded")["init_data"]
    found = verify_signature(raw, bot_id=DATA["bot_id"], public_key=DATA["ed25519_public_key"], now=NOW)
    assert found.user.id == 1001
    with pytest.raises(BadInitData):
        verify_signature(raw, bot_id=1, public_key=DATA["ed25519_public_key"], now=NOW)


def signed(key: bytes = KEY, **fields: str) -> str:
    """Launch data with these fields, signed as Telegram does."""
    text = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    digest = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return "&".join(f"{name}={quote(value)}" for name, value in (fields | {"hash": digest}).items())


def launched(user: Any, **fields: str) -> str:
    text = user if isinstance(user, str) else json.dumps(user)
    return signed(user=text, **({"auth_date": str(DATA["now"] - 60)} | fields))


def reason(raw: str, **options: Any) -> str:
    with pytest.raises(BadInitData) as refused:
        verify(raw, key=KEY, **({"now": NOW} | options))
    return refused.value.reason


@pytest.mark.parametrize(
    ("user", "word"),
    [
        ({"id": 1, "is_bot": True, "first_name": "B"}, "bot"),
        ({"id": 0}, "no-user"),
        ({"id": -5}, "no-user"),
        ({"id": True}, "no-user"),
        ({"id": 1.0}, "no-user"),
        ({"id": 2**53}, "no-user"),
        ("", "no-user"),
        ("[]", "no-user"),
        ("null", "no-user"),
        ("{", "no-user"),
        ("[" * 1500, "no-user"),
    ],
)
def test_who_cannot_log_in(user: Any, word: str) -> None:
    assert reason(launched(user)) == word


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ("", "hash"),
        ("&", "hash"),
        ("user=%ff&hash=" + "0" * 64, "malformed"),
        ("x=" + "a" * 9000, "hash"),
        ("?" + launched({"id": 1}), "hash"),
        (launched({"id": 1}, auth_date="١٧٨٩٩٩٩٩٤٠"), "auth_date"),
        (launched({"id": 1}, auth_date=""), "auth_date"),
        (launched({"id": 1}, auth_date="-1"), "auth_date"),
        (launched({"id": 1}, auth_date="0"), "expired"),
        (launched({"id": 1}, start_param="a\x00b"), "control"),
        (signed(key_of_token("1:other"), user='{"id":1}', auth_date=str(DATA["now"])), "hash"),
    ],
)
def test_what_is_refused(raw: str, word: str) -> None:
    assert reason(raw) == word


def test_age_and_skew_to_the_second() -> None:
    raw = launched({"id": 1}, auth_date=str(DATA["now"]))
    assert verify(raw, key=KEY, now=NOW + timedelta(hours=24)).user.id == 1
    assert reason(raw, now=NOW + timedelta(hours=24, seconds=1)) == "expired"
    assert verify(raw, key=KEY, now=NOW - timedelta(seconds=60)).user.id == 1
    assert reason(raw, now=NOW - timedelta(seconds=61)) == "future"
    assert reason(raw, now=NOW + timedelta(minutes=6), max_age=timedelta(minutes=5)) == "expired"


def test_what_is_learnt_of_the_person() -> None:
    raw = launched(
        {
            "id": 7,
            "first_name": " Ada\n",
            "last_name": "By\ud800ron",
            "username": "ada",
            "language_code": "pt-br",
            "photo_url": "javascript:alert(1)",
        },
        start_param="apr_1",
        query_id="q",
        chat_type="private",
        chat_instance="-1",
    )
    found = verify(raw, key=KEY, now=NOW)
    assert (found.user.name, found.user.username, found.user.language_code) == ("Ada Byron", "ada", "pt-br")
    assert found.user.photo_url is None
    assert (found.start_param, found.query_id, found.chat_type, found.chat_instance) == ("apr_1", "q", "private", "-1")
    assert found.digest == hashlib.sha256(raw.encode()).hexdigest()
    assert verify(launched({"id": 7}), key=KEY, now=NOW).user.name == "Founder"
    photo = "https://t.me/i/userpic/320/a.svg"
    assert verify(launched({"id": 7, "photo_url": photo}), key=KEY, now=NOW).user.photo_url == photo


@given(st.text(alphabet="%+aA0Fg9&=~ \t{", max_size=30))
def test_the_decoder_answers_as_the_standard_one(text: str) -> None:
    try:
        expected = unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        with pytest.raises(UnicodeDecodeError):
            _decoded(text)
    else:
        assert _decoded(text) == expected


@given(st.data())
def test_any_changed_character_is_refused(data: st.DataObject) -> None:
    good = next(v for v in DATA["vectors"] if v["id"] == "valid-full")["init_data"]
    place = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    changed = good[:place] + other + good[place + 1 :]
    try:
        found = verify(changed, key=KEY, now=NOW)
    except BadInitData:
        return
    # %7B and %7b, say, are the same text; nothing else may pass
    assert _fields(changed) == _fields(good)
    assert found.user == verify(good, key=KEY, now=NOW).user
