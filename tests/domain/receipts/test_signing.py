"""Keys: RFC 8032 vectors in both implementations, seeds, ids, the ring."""

import base64
import hashlib
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_builders import START, seed
from ledger_vectors import load

from domain.receipts import standalone
from domain.receipts.errors import BadKey
from domain.receipts.signing import (
    KeyRecord,
    KeyRing,
    PublicKey,
    Signer,
    note_key_id,
    parse_rfc3339,
    parse_seed,
    parse_vkey,
    public_did,
    public_pem,
    rfc3339,
    vkey,
)


@pytest.mark.parametrize("vector", load("ed25519.json")["vectors"], ids=lambda vector: vector["name"])
def test_rfc8032_vectors_in_both_implementations(vector):
    public, message = bytes.fromhex(vector["public"]), bytes.fromhex(vector["message"])
    signature = bytes.fromhex(vector["signature"])
    signer = Signer(bytes.fromhex(vector["seed"]))
    assert signer.public == public
    assert signer.sign(message) == signature
    assert PublicKey(public).verify(signature, message)
    assert standalone.verify_ed25519_pure(public, signature, message)
    wrong = bytes([signature[0] ^ 1]) + signature[1:]
    assert not PublicKey(public).verify(wrong, message)
    assert not standalone.verify_ed25519_pure(public, wrong, message)
    assert not standalone.verify_ed25519_pure(public, signature, message + b"!")


SIGNER = Signer(seed("property"))


@given(st.binary(max_size=200), st.integers(0, 511), st.booleans())
@settings(deadline=None)
def test_both_implementations_agree_on_any_bit(message, bit, flip):
    signature = SIGNER.sign(message)
    if flip:
        signature = (int.from_bytes(signature, "big") ^ (1 << bit)).to_bytes(64, "big")
    assert PublicKey(SIGNER.public).verify(signature, message) is not flip
    assert standalone.verify_ed25519_pure(SIGNER.public, signature, message) is not flip


def test_a_signature_has_one_form_only():
    signature = SIGNER.sign(b"x")
    s = int.from_bytes(signature[32:], "little") + standalone.L
    malleable = signature[:32] + s.to_bytes(32, "little")
    assert not PublicKey(SIGNER.public).verify(malleable, b"x")
    assert not standalone.verify_ed25519_pure(SIGNER.public, malleable, b"x")
    assert not standalone.verify_ed25519_pure(b"\xff" * 32, signature, b"x")
    assert not standalone.verify_ed25519_pure(SIGNER.public, signature[:63], b"x")


def test_seeds_are_read_in_hex_and_base64():
    raw = seed("a seed")
    encoded = base64.b64encode(raw).decode()
    url = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    for text in (raw.hex(), raw.hex().upper(), f" {raw.hex()}\n", encoded, encoded.rstrip("="), url):
        assert parse_seed(text, strict=True) == raw


@pytest.mark.parametrize("text", ["", "correct horse battery staple", "ab" * 31, "zz" * 32, "a" * 44, "change-me"])
def test_passphrases_are_no_seeds(text):
    with pytest.raises(BadKey):
        parse_seed(text)


@pytest.mark.parametrize(
    "raw",
    [bytes(32), b"\x2a" * 32, bytes(range(32)), bytes(range(32, 0, -1)), b"0123456789abcdef" * 2, b"ab" * 16],
)
def test_strict_refuses_made_up_seeds(raw):
    assert parse_seed(raw.hex()) == raw
    with pytest.raises(BadKey):
        parse_seed(raw.hex(), strict=True)


def test_a_signer_does_not_show_its_secret():
    raw = seed("secret")
    signer = Signer(raw)
    assert raw.hex() not in repr(signer)
    assert signer.key_id == note_key_id("pilot", signer.public).hex()
    with pytest.raises(BadKey):
        Signer(b"short")


def test_note_key_id_and_vkey_of_a_known_key():
    # the example of golang.org/x/mod/sumdb/note: PeterNeumann's key
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    name, public = parse_vkey(text)
    assert name == "PeterNeumann"
    assert vkey(name, public) == text
    for wrong in ("", "a+b", text.replace("c74f", "c74e"), text.replace("AR", "AQ"), text[:-4], "+c74f20a3+AAAA"):
        with pytest.raises(BadKey):
            parse_vkey(wrong)


def test_openssl_reads_the_pem(tmp_path):
    file = tmp_path / "key.pem"
    file.write_text(public_pem(SIGNER.public))
    shown = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", file, "-outform", "DER"], capture_output=True, check=True
    )
    assert shown.stdout[-32:] == SIGNER.public


def test_did_of_a_known_key():
    # did:key test vector of the W3C specification for Ed25519
    public = bytes.fromhex("3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29")
    assert public_did(public) == "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"


def test_the_ring_knows_when_a_key_counts():
    old = SIGNER.record(not_before=START, retired_at=START + timedelta(hours=1))
    new = Signer(seed("other")).record(not_before=START + timedelta(hours=1))
    ring = KeyRing([old, new])
    assert len(ring) == 2
    assert ring.record(old.key_id).covers(START)
    assert ring.record(old.key_id).covers(START + timedelta(hours=1))
    assert not ring.record(old.key_id).covers(START + timedelta(hours=1, microseconds=1))
    assert not ring.record(new.key_id).covers(START)
    assert ring.key(new.key_id).raw == new.public
    assert {record.key_id for record in KeyRing.from_json(ring.to_json())} == {old.key_id, new.key_id}
    for lookup in (ring.record, ring.key):
        with pytest.raises(BadKey):
            lookup("00000000")


@pytest.mark.parametrize(
    "change",
    [
        {"key_id": "00000000"},
        {"name": "other"},
        {"public_key": "zz"},
        {"not_before": "yesterday"},
        {"algorithm": "rsa"},
    ],
)
def test_malformed_key_records_are_refused(change):
    record = SIGNER.record(not_before=START).to_json()
    assert KeyRecord.from_json(record).public == SIGNER.public
    with pytest.raises(BadKey):
        KeyRecord.from_json(record | change)
    for data in (None, {}, {"keys": 1}, {"keys": [1]}, {"keys": [{}]}):
        with pytest.raises(BadKey):
            KeyRing.from_json(data)


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_times_survive_and_have_no_trailing_zeros(moment):
    written = rfc3339(moment)
    assert parse_rfc3339(written) == moment
    assert not written.removesuffix("Z").endswith("0") or "." not in written
    assert standalone.moment(written)


@pytest.mark.parametrize(
    "text", ["2026-11-23T12:00:00.10Z", "2026-11-23T12:00:00", "2026-11-23T12:00:00+00:00", "2026-13-01T00:00:00Z", ""]
)
def test_other_forms_of_time_are_refused(text):
    with pytest.raises(ValueError):
        parse_rfc3339(text)
    with pytest.raises(ValueError):
        standalone.moment(text)


def test_naive_times_are_refused():
    with pytest.raises(ValueError):
        rfc3339(datetime(2026, 1, 1))


def test_seed_of_the_tests_is_what_it_says():
    assert seed("x") == hashlib.sha256(b"x").digest()
