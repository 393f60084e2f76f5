"""Checkpoints, proofs as text and tiles in the C2SP forms."""

import base64
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_builders import ORIGIN, filled, seed

from domain.receipts import merkle, standalone
from domain.receipts.checkpoint import (
    Checkpoint,
    entries_bytes,
    entries_path,
    format_proof,
    open_checkpoint,
    parse_note,
    parse_proof,
    parse_tile_path,
    sign_checkpoint,
    tile_bytes,
    tile_path,
    tile_width,
)
from domain.receipts.errors import BadNote, BadProof
from domain.receipts.signing import PublicKey, Signer, parse_vkey, public_pem

OLD, NEW = Signer(seed("old")), Signer(seed("new"))
HEAD = Checkpoint(ORIGIN, 8, merkle.leaf_hash(b"root"))


def test_the_note_of_the_specification_verifies():
    # golang.org/x/mod/sumdb/note, example test: text, signature and verifier key
    name, public = parse_vkey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
        "\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    note = parse_note(text)
    line = note.signatures[0]
    assert line.name == name
    assert PublicKey(public).verify(line.signature, note.text.encode())


def test_body_is_origin_size_root():
    assert HEAD.body() == f"{ORIGIN}\n8\n{base64.b64encode(HEAD.root).decode()}\n"
    assert Checkpoint.parse(HEAD.body()) == HEAD


def test_both_keys_sign_during_a_rotation():
    note = sign_checkpoint(HEAD, signers=(OLD, NEW))
    assert open_checkpoint(note, keys=[OLD.public, NEW.public]).signed_by == (OLD.public, NEW.public)
    for key in (OLD, NEW):
        assert open_checkpoint(note, keys=[key.public], origin=ORIGIN).checkpoint == HEAD
    assert standalone.open_checkpoint(note, [NEW.public], standalone.verify_ed25519_pure)[1] == 8


def test_openssl_verifies_the_checkpoint(tmp_path):
    note = parse_note(sign_checkpoint(HEAD, signers=(OLD,)))
    (tmp_path / "body").write_text(note.text)
    (tmp_path / "sig").write_bytes(note.signatures[0].signature)
    (tmp_path / "key.pem").write_text(public_pem(OLD.public))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "body"]
    checked = subprocess.run([*command, "-sigfile", "sig"], cwd=tmp_path, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout.strip()) == (0, "Signature Verified Successfully")
    (tmp_path / "body").write_text(note.text.replace("\n8\n", "\n9\n"))
    assert subprocess.run([*command, "-sigfile", "sig"], cwd=tmp_path, capture_output=True).returncode != 0


def test_unknown_keys_and_other_logs_are_refused():
    note = sign_checkpoint(HEAD, signers=(OLD,))
    with pytest.raises(BadNote, match="no known key"):
        open_checkpoint(note, keys=[NEW.public])
    with pytest.raises(BadNote, match="another log"):
        open_checkpoint(note, keys=[OLD.public], origin="pilot.example/other")
    with pytest.raises(BadNote):
        sign_checkpoint(HEAD, signers=())
    # A known key whose signature is wrong spoils the note even beside a good one.
    two = sign_checkpoint(HEAD, signers=(OLD, NEW))
    lines = two.split("\n")
    swapped = (
        lines[4].rsplit(" ", 1)[0]
        + " "
        + base64.b64encode(
            base64.b64decode(lines[4].rsplit(" ", 1)[1])[:4] + base64.b64decode(lines[5].rsplit(" ", 1)[1])[4:]
        ).decode()
    )
    with pytest.raises(BadNote, match="wrong"):
        open_checkpoint("\n".join([*lines[:4], swapped, *lines[5:]]), keys=[OLD.public, NEW.public])


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_flipped_bit_of_a_checkpoint_is_found(data):
    raw = bytearray(sign_checkpoint(HEAD, signers=(OLD,)).encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        text = bytes(raw).decode()
    except UnicodeDecodeError:
        return
    with pytest.raises(BadNote):
        open_checkpoint(text, keys=[OLD.public])
    with pytest.raises(ValueError):
        standalone.open_checkpoint(text, [OLD.public], standalone.verify_ed25519_pure)


@pytest.mark.parametrize("origin", ["", "two words", "a+b", "a\tb", "a\u2028b"])
def test_origins_that_name_no_log(origin):
    with pytest.raises(BadNote):
        sign_checkpoint(Checkpoint(origin, 1, HEAD.root), signers=(OLD,))


@pytest.mark.parametrize(
    "body",
    ["{o}\n08\n{r}\n", "{o}\n+8\n{r}\n", "{o}\n-1\n{r}\n", "{o}\n8\n{r}", "{o}\n8\n{r}\nextra\n", "{o}\n\n{r}\n",
     "\n8\n{r}\n", "{o}\n8\n{r}x\n", "{o}\n8\nAAAA\n", "{o}\n٨\n{r}\n", "{o}\n9223372036854775808\n{r}\n", "{o}\n8\n"],
)  # fmt: skip
def test_parsing_is_strict(body):
    with pytest.raises(BadNote):
        Checkpoint.parse(body.format(o=ORIGIN, r=base64.b64encode(HEAD.root).decode()))


@pytest.mark.parametrize(
    "text", ["", "a\n", "a\n\n", "a\n\nb\n", "a\n\n— x AAAA\n", "a\n\n— x y z\n", "a\r\n\n— x AAAAAAA=\n"]
)
def test_malformed_notes(text):
    with pytest.raises(BadNote):
        parse_note(text)


def test_proofs_as_text():
    log = filled(11)
    checkpoint = log.checkpoint()
    for index in range(11):
        path = merkle.inclusion_proof(index, 11, log.get_node)
        text = format_proof(index, path, checkpoint)
        assert text.startswith(f"c2sp.org/tlog-proof@v1\nindex {index}\n")
        assert parse_proof(text) == (index, path, checkpoint)
        assert parse_proof(text.replace("@v1\n", "@v1\nextra AAAA\n")) == (index, path, checkpoint)
    for wrong in ("", text.replace("@v1", "@v2"), text.replace("index 10", "index 010"), text.replace("index", "indes"),
                  text.replace("\n\n", "\nAAAA\n\n", 1), "c2sp.org/tlog-proof@v1\n\n"):  # fmt: skip
        with pytest.raises(BadProof):
            parse_proof(wrong)


def test_tile_paths():
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path(1, 5, width=17) == "tile/1/005.p/17"
    assert entries_path(0) == "tile/entries/000"
    for path in ("tile/0/x001/x234/067", "tile/63/000", "tile/1/005.p/17", "tile/entries/x001/000.p/255"):
        level, index, width = parse_tile_path(path)
        again = entries_path(index, width=width) if level is None else tile_path(level, index, width=width)
        assert again == path
    for path in ("", "tile", "tile/0", "tile/64/000", "tile/00/000", "tile/0/1", "tile/0/x000/001", "tile/0/001/002",
                 "tile/0/000.p/256", "tile/0/000.p/0", "tile/0/000.p/01", "tile/0/../000", "tile/-1/000",
                 "tile/0/000/", "tile/0/٠٠٠"):  # fmt: skip
        with pytest.raises(BadProof):
            parse_tile_path(path)


def test_tile_widths_of_the_specification():
    # tlog-tiles: a tree of 70,000 leaves
    assert [tile_width(0, index, size=70_000) for index in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [tile_width(1, index, size=70_000) for index in (0, 1, 2)] == [256, 17, 0]
    assert [tile_width(2, index, size=70_000) for index in (0, 1)] == [1, 0]
    assert [tile_width(level, 0, size=256) for level in (0, 1, 2)] == [256, 1, 0]


def test_tiles_hold_the_nodes_and_lead_to_the_root():
    log = filled(300)
    full = tile_bytes(0, 0, width=256, get_node=log.get_node)
    part = tile_bytes(0, 1, width=44, get_node=log.get_node)
    leaves = [(full + part)[at : at + 32] for at in range(0, 300 * 32, 32)]
    assert leaves == [receipt.leaf_hash for receipt in log.receipts]
    upper = tile_bytes(1, 0, width=tile_width(1, 0, size=300), get_node=log.get_node)
    frontier = merkle.Frontier()
    for leaf in leaves[:256]:
        frontier, _ = frontier.append(leaf)
    assert upper == frontier.root()


def test_entry_bundles_carry_lengths():
    assert entries_bytes([b"ab", b""]) == b"\x00\x02ab\x00\x00"
