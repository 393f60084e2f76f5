"""Receipts: compatible with HELM's receipt.v5, strict to read, bound to their bytes."""

import hashlib
import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_builders import START, WORKSPACE, Log, filled, seed
from ledger_vectors import load

from domain.errors import PilotError
from domain.receipts.canonical import canonical
from domain.receipts.errors import BadReceipt, NotCanonical
from domain.receipts.receipt import (
    MAX_LEAF,
    SIGNED_MEMBERS,
    Kind,
    build,
    chain_hash,
    parse,
    signing_payload,
    verify,
    verify_foreign,
    verify_signature,
)
from domain.receipts.signing import KeyRing, PublicKey, Signer

FROZEN = load("helm-frozen-chain.json")
V5 = load("helm-receipt-v5.json")
LEFT_OUT = ("output_hash", "args_hash", "verdict", "reason_code", "policy_hash", "session_id")


def test_helms_frozen_chain_verifies():
    key = PublicKey(bytes.fromhex(FROZEN["public_key_hex"]))
    previous = ""
    for receipt in FROZEN["receipts"]:
        verify_signature(receipt, key=key)
        assert receipt["prev_hash"] == previous
        previous = chain_hash(receipt)


@pytest.mark.parametrize("vector", V5["vectors"], ids=lambda vector: vector["id"])
def test_helms_receipt_v5_vectors(vector):
    key, receipt = PublicKey(bytes.fromhex(V5["public"])), vector["receipt"]
    # the files of the pack end with a newline
    digests = {hashlib.sha256(canonical(receipt) + end).hexdigest() for end in (b"", b"\n")}
    assert vector["receipt_sha256"] in digests
    digests = {hashlib.sha256(signing_payload(receipt) + end).hexdigest() for end in (b"", b"\n")}
    assert vector["payload_sha256"] in digests
    verify_signature(receipt, key=key)


def test_helms_receipts_verify_as_its_kernel_serves_them():
    """Members that are empty are left out by Go, and what is not signed may be anything."""
    for public, receipts in (
        (FROZEN["public_key_hex"], FROZEN["receipts"]),
        (V5["public"], [vector["receipt"] for vector in V5["vectors"]]),
    ):
        key = PublicKey(bytes.fromhex(public))
        for receipt in receipts:
            served = {k: v for k, v in receipt.items() if v or k not in LEFT_OUT} | {"hello": 1}
            verify_foreign(served, key=key)
            for change in (
                {"verdict": "MAYBE"},
                {"lamport_clock": receipt["lamport_clock"] ^ 1},
                {"lamport_clock": str(receipt["lamport_clock"])},
                {"lamport_clock": True},
                {"signature_version": "receipt.v4"},
                {"signature_profile": "hybrid"},
                {"signature_algorithm": "none"},
                {"signature": ""},
                {"signature": None},
                {"decision_id": None},
                {"reason_code": 7},
            ):
                with pytest.raises(BadReceipt):
                    verify_foreign({**receipt, **change}, key=key)
            with pytest.raises(BadReceipt):
                verify_foreign(receipt, key=PublicKey(Signer(seed("another")).public))


def test_helms_negative_vectors():
    key = PublicKey(bytes.fromhex(V5["public"]))
    deny, executor = (dict(vector["receipt"]) for vector in V5["vectors"])
    with pytest.raises(BadReceipt):
        verify_signature(deny | {"verdict": "ALLOW"}, key=key)
    last = f"{int(deny['signature'], 16) ^ 1:0128x}"
    with pytest.raises(BadReceipt):
        verify_signature(deny | {"signature": last}, key=key)
    with pytest.raises(NotCanonical):
        verify_signature(executor | {"lamport_clock": 2**53}, key=key)
    del executor["policy_hash"]
    with pytest.raises(BadReceipt):
        verify_signature(executor, key=key)


def test_a_built_receipt_is_canonical_signed_and_chained():
    log = filled(3)
    for number, receipt in enumerate(log.receipts):
        assert receipt.leaf == canonical(receipt.body)
        assert parse(receipt.leaf) == receipt
        assert receipt.prev_hash == (log.receipts[number - 1].chain_hash if number else "")
        assert receipt.chain_hash == chain_hash(receipt.body)
        assert set(SIGNED_MEMBERS) <= receipt.body.keys()
        verify(receipt, ring=log.keys)
    assert (receipt.kind, receipt.lamport_clock, receipt.session_id) == ("decision", 3, WORKSPACE)
    assert receipt.timestamp == START + timedelta(milliseconds=2)
    assert receipt.decision_id == "dec-000002"
    assert receipt.metadata["workspace_id"] == WORKSPACE


def test_anchoring_members_do_not_change_the_chain():
    receipt = filled(1).receipts[0]
    assert chain_hash(receipt.body | {"log_id": "x", "leaf_index": 3, "transparency": {}}) == receipt.chain_hash


def test_empty_members_are_left_out_of_the_chain_view_only():
    receipt = Log().add(verdict="", reason_code="")
    view = {
        name: value for name, value in receipt.body.items() if name not in ("verdict", "reason_code", "output_hash")
    }
    assert receipt.chain_hash == hashlib.sha256(canonical(view)).hexdigest()
    assert '"verdict":""' in receipt.leaf.decode()


def test_none_in_metadata_is_left_out():
    receipt = Log().add(metadata={"approval_id": None, "votes": 3, "dry": True})
    assert "approval_id" not in receipt.metadata
    assert (receipt.metadata["votes"], receipt.metadata["dry"]) == (3, True)


@pytest.mark.parametrize(
    "change",
    [{"prev_hash": "a" * 64}, {"lamport_clock": 2}, {"lamport_clock": 0}, {"executor_id": ""}, {"kind": ""},
     {"metadata": {"x": 1.5}}, {"metadata": {"x": 2**53}}, {"metadata": {"x": ["y"]}}, {"status": "\ud800"},
     {"metadata": {"x": "y" * MAX_LEAF}}],
)  # fmt: skip
def test_what_cannot_be_a_receipt_is_refused(change):
    values = {
        "signer": Signer(seed("x")), "workspace_id": WORKSPACE, "kind": Kind.OUTCOME, "receipt_id": "r",
        "session_id": "s", "prev_hash": "", "lamport_clock": 1, "timestamp": START, "executor_id": "e", "status": "ok",
    }  # fmt: skip
    assert build(**values).lamport_clock == 1
    with pytest.raises((BadReceipt, NotCanonical)):
        build(**values | change)


@pytest.mark.parametrize(
    "change",
    [{"verdict": None}, {"unknown": "x"}, {"lamport_clock": 0}, {"lamport_clock": "1"}, {"lamport_clock": True},
     {"prev_hash": "a" * 64}, {"signature": "00"}, {"signature_version": "receipt.v4"}, {"public_key_set": {}},
     {"public_key_set": {"ed25519": "zz"}}, {"metadata": {"kind": "x"}}, {"metadata": []}, {"timestamp": "now"},
     {"metadata": {"kind": "x", "workspace_id": "w", "deep": {}}}, {"executor_id": ""}, {"signature_profile": "hybrid"},
     {"lamport_clock": 2, "prev_hash": "A" * 64}],
)  # fmt: skip
def test_reading_is_strict(change):
    body = filled(1).receipts[0].body
    with pytest.raises(BadReceipt):
        parse(canonical(body | change))
    for name in body:
        with pytest.raises(BadReceipt):
            parse(canonical({other: value for other, value in body.items() if other != name}))
    for raw in (b"[]", b'"x"', b"1"):
        with pytest.raises(BadReceipt):
            parse(raw)
    with pytest.raises(BadReceipt):
        parse(b" " * (MAX_LEAF + 1))


def test_keys_count_only_while_in_use():
    log = filled(1)
    receipt = log.receipts[0]
    later = KeyRing([log.signer.record(not_before=START + timedelta(days=1))])
    retired = KeyRing([log.signer.record(not_before=START - timedelta(days=2), retired_at=START - timedelta(days=1))])
    for ring in (later, retired, KeyRing([])):
        with pytest.raises(BadReceipt):
            verify(receipt, ring=ring)
    shown = parse(canonical(receipt.body | {"public_key_set": {"ed25519": "00" * 32}}))
    with pytest.raises(BadReceipt, match="another public key"):
        verify(shown, ring=log.keys)


RECEIPT = filled(2).receipts[1]
RING = filled(1).keys


@given(st.integers(0, len(RECEIPT.leaf) - 1), st.integers(0, 7))
@settings(max_examples=500, deadline=None)
def test_any_flipped_bit_breaks_the_receipt_or_its_leaf(at, bit):
    raw = bytearray(RECEIPT.leaf)
    raw[at] ^= 1 << bit
    try:
        changed = parse(bytes(raw))
        verify(changed, ring=RING)
    except PilotError:
        return
    # Outside the thirteen signed members only the tree (and the chain) sees it, and it does.
    assert signing_payload(changed.body) == signing_payload(RECEIPT.body)
    assert changed.leaf_hash != RECEIPT.leaf_hash
    assert changed.chain_hash != RECEIPT.chain_hash


def test_every_signed_member_is_covered_by_the_signature():
    for name in SIGNED_MEMBERS:
        value = RECEIPT.body[name]
        changed = RECEIPT.body | {name: value + 1 if isinstance(value, int) else value + "x"}
        with pytest.raises(BadReceipt):
            verify_signature(changed, key=RING.key(RECEIPT.key_id))


def test_a_receipt_is_plain_json():
    assert json.loads(RECEIPT.leaf) == RECEIPT.body
