"""The Merkle tree against RFC 6962 vectors, a literal transcription of the RFC, and its own laws."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_vectors import load

from domain.receipts import merkle, standalone
from domain.receipts.errors import BadProof
from domain.receipts.merkle import Frontier

VECTORS = load("rfc6962.json")


class Tree:
    """Stored nodes, grown by `append` from nodes and by the frontier alone; both must agree."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.frontier = Frontier()
        self.leaves = leaves
        self.reads = 0
        for size, leaf in enumerate(leaves):
            digest = merkle.leaf_hash(leaf)
            new = merkle.append(size, digest, self.get)
            self.frontier, same = self.frontier.append(digest)
            assert new == same
            for level, index, node in new:
                assert (level, index) not in self.nodes, "a stored node never changes"
                self.nodes[level, index] = node

    def get(self, level: int, index: int) -> bytes:
        self.reads += 1
        return self.nodes[level, index]


def mth(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


@pytest.fixture(scope="module")
def reference() -> Tree:
    return Tree([bytes.fromhex(leaf) for leaf in VECTORS["leaves"]])


def test_roots_of_the_reference_tree(reference):
    assert merkle.root(0, reference.get) == merkle.EMPTY_ROOT == mth([])
    for size, expected in enumerate(VECTORS["roots"], 1):
        assert merkle.root(size, reference.get).hex() == expected
        assert mth(reference.leaves[:size]).hex() == expected
        assert Frontier.load(size, reference.get).root().hex() == expected


@pytest.mark.parametrize("vector", VECTORS["inclusion"], ids=str)
def test_inclusion_proofs_of_the_reference_tree(reference, vector):
    path = merkle.inclusion_proof(vector["index"], vector["size"], reference.get)
    assert [digest.hex() for digest in path] == vector["path"]
    root = bytes.fromhex(VECTORS["roots"][vector["size"] - 1])
    leaf = merkle.leaf_hash(reference.leaves[vector["index"]])
    merkle.verify_inclusion(leaf=leaf, index=vector["index"], size=vector["size"], path=path, root_hash=root)


@pytest.mark.parametrize("vector", VECTORS["consistency"], ids=str)
def test_consistency_proofs_of_the_reference_tree(reference, vector):
    path = merkle.consistency_proof(vector["old"], vector["new"], reference.get)
    assert [digest.hex() for digest in path] == vector["path"]
    merkle.verify_consistency(
        old_size=vector["old"],
        old_root=bytes.fromhex(VECTORS["roots"][vector["old"] - 1]),
        new_size=vector["new"],
        new_root=bytes.fromhex(VECTORS["roots"][vector["new"] - 1]),
        path=path,
    )


def test_every_pair_in_every_tree_up_to_40():
    tree = Tree([b"%d" % number for number in range(40)])
    roots = [mth(tree.leaves[:size]) for size in range(41)]
    for size in range(1, 41):
        assert merkle.root(size, tree.get) == roots[size]
        for index in range(size):
            path = merkle.inclusion_proof(index, size, tree.get)
            leaf = merkle.leaf_hash(tree.leaves[index])
            merkle.verify_inclusion(leaf=leaf, index=index, size=size, path=path, root_hash=roots[size])
            assert standalone.root_by_path(leaf, index, size, path) == roots[size]
        for old in range(1, size + 1):
            path = merkle.consistency_proof(old, size, tree.get)
            merkle.verify_consistency(old_size=old, old_root=roots[old], new_size=size, new_root=roots[size], path=path)


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=300), st.data())
@settings(max_examples=60, deadline=None)
def test_any_two_sizes_are_consistent_and_any_leaf_is_included(leaves, data):
    tree = Tree(leaves)
    size = data.draw(st.integers(1, len(leaves)))
    old = data.draw(st.integers(1, size))
    index = data.draw(st.integers(0, size - 1))
    old_root, root = merkle.root(old, tree.get), merkle.root(size, tree.get)
    assert root == mth(leaves[:size])
    inclusion = merkle.inclusion_proof(index, size, tree.get)
    leaf = merkle.leaf_hash(leaves[index])
    merkle.verify_inclusion(leaf=leaf, index=index, size=size, path=inclusion, root_hash=root)
    consistency = merkle.consistency_proof(old, size, tree.get)
    merkle.verify_consistency(old_size=old, old_root=old_root, new_size=size, new_root=root, path=consistency)

    # One flipped bit anywhere, one hash more or less: refused.
    bit = data.draw(st.integers(0, 255))

    def flip(digest: bytes) -> bytes:
        return (int.from_bytes(digest, "big") ^ (1 << bit)).to_bytes(32, "big")

    def broken(path: list[bytes]) -> list[list[bytes]]:
        some = [[*path[:at], flip(path[at]), *path[at + 1 :]] for at in range(len(path))]
        return [*some, [*path, bytes(32)], [root, *path], *([path[:-1], path[1:]] if path else [])]

    for path in broken(inclusion):
        with pytest.raises(BadProof):
            merkle.verify_inclusion(leaf=leaf, index=index, size=size, path=path, root_hash=root)
    for path in broken(consistency):
        with pytest.raises(BadProof):
            merkle.verify_consistency(old_size=old, old_root=old_root, new_size=size, new_root=root, path=path)
    with pytest.raises(BadProof):
        merkle.verify_inclusion(leaf=flip(leaf), index=index, size=size, path=inclusion, root_hash=root)
    for before, after in ((flip(old_root), root), (old_root, flip(root))):
        with pytest.raises(BadProof):
            merkle.verify_consistency(old_size=old, old_root=before, new_size=size, new_root=after, path=consistency)


@given(st.lists(st.binary(max_size=8), min_size=2, max_size=100), st.data())
@settings(max_examples=40, deadline=None)
def test_a_rewritten_past_has_no_consistency_proof(leaves, data):
    old = data.draw(st.integers(1, len(leaves) - 1))
    at = data.draw(st.integers(0, old - 1))
    honest, forged = Tree(leaves), Tree([*leaves[:at], leaves[at] + b"!", *leaves[at + 1 :]])
    with pytest.raises(BadProof):
        merkle.verify_consistency(
            old_size=old,
            old_root=merkle.root(old, honest.get),
            new_size=len(leaves),
            new_root=merkle.root(len(leaves), forged.get),
            path=merkle.consistency_proof(old, len(leaves), forged.get),
        )


def test_edges_are_refused(reference):
    root = merkle.root(8, reference.get)
    for old, new in ((0, 0), (0, 8), (9, 8), (-1, 8)):
        with pytest.raises(BadProof):
            merkle.consistency_proof(old, new, reference.get)
        with pytest.raises(BadProof):
            merkle.verify_consistency(old_size=old, old_root=root, new_size=new, new_root=root, path=[])
    for index, size in ((8, 8), (-1, 8), (0, 0)):
        with pytest.raises(BadProof):
            merkle.inclusion_proof(index, size, reference.get)
        with pytest.raises(BadProof):
            merkle.verify_inclusion(leaf=root, index=index, size=size, path=[], root_hash=root)
    for short in (b"", bytes(31), bytes(33)):
        with pytest.raises(BadProof):
            merkle.append(0, short, reference.get)
        with pytest.raises(BadProof):
            Frontier().append(short)
        with pytest.raises(BadProof):
            merkle.verify_inclusion(leaf=root, index=0, size=2, path=[short], root_hash=root)
        with pytest.raises(BadProof):
            merkle.root(1, lambda _level, _index, short=short: short)
    with pytest.raises(BadProof):
        merkle.root(-1, reference.get)


@given(st.integers(0, 70))
def test_a_frontier_survives_storage(size):
    frontier = Frontier()
    for number in range(size):
        frontier, _ = frontier.append(merkle.leaf_hash(b"%d" % number))
    assert Frontier.from_bytes(size, frontier.to_bytes()) == frontier
    with pytest.raises(BadProof):
        Frontier.from_bytes(size, frontier.to_bytes() + bytes(32))


def test_proofs_read_few_nodes():
    tree = Tree([b"%d" % number for number in range(5000)])
    for index in (0, 1, 2499, 4095, 4096, 4999):
        tree.reads = 0
        merkle.inclusion_proof(index, 4999 + 1, tree.get)
        assert tree.reads <= 26
    for old in (1, 2, 1023, 4095, 4096, 4097, 4999):
        tree.reads = 0
        merkle.consistency_proof(old, 5000, tree.get)
        assert tree.reads <= 39
