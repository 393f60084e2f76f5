"""The Merkle tree of RFC 6962 over stored nodes: append, roots, proofs, and their verification.

A node `(level, index)` is the hash of the complete subtree over the leaves
`index * 2**level` up to `(index + 1) * 2**level`; level 0 holds the leaf hashes. Complete subtrees
never change, so a store only ever inserts. `get_node(level, index)` fetches one; a root or a proof
reads O(log n) of them.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from domain.receipts.errors import BadProof

GetNode = Callable[[int, int], bytes]
Node = tuple[int, int, bytes]

EMPTY_ROOT = hashlib.sha256().digest()
HASH_SIZE = 32


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 || leaf)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def append(size: int, leaf: bytes, get_node: GetNode) -> list[Node]:
    """The nodes to store when the leaf hash `leaf` follows `size` leaves: the leaf and what it completes."""
    _check_hash(leaf)
    level, index, digest = 0, size, leaf
    nodes = [(0, size, leaf)]
    while index & 1:
        digest = node_hash(_fetch(get_node, level, index - 1), digest)
        level, index = level + 1, index >> 1
        nodes.append((level, index, digest))
    return nodes


def root(size: int, get_node: GetNode) -> bytes:
    """The root of the tree over the first `size` leaves."""
    if size < 0:
        raise BadProof("a tree has no negative size")
    return _range_hash(0, size, get_node) if size else EMPTY_ROOT


def root_over(size: int, leaves: Mapping[int, bytes], get_node: GetNode) -> bytes:
    """The root of the tree of `size` leaves in which these leaf hashes stand at these indices.

    Everything else comes from `get_node`: it is an inclusion proof of all of them at once, and neighbours share it.
    """
    _check_hashes(*leaves.values())
    known = sorted(leaves)
    if known and not 0 <= known[0] <= known[-1] < size:
        raise BadProof("the index lies outside the tree")

    def over(start: int, end: int) -> bytes:
        at = bisect_left(known, start)
        if at == len(known) or known[at] >= end:
            return _range_hash(start, end, get_node)
        if end - start == 1:
            return leaves[start]
        middle = start + _split(end - start)
        return node_hash(over(start, middle), over(middle, end))

    return over(0, size) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, get_node: GetNode) -> list[bytes]:
    """The audit path of leaf `index` in the tree of `size` leaves, from the leaf's sibling upwards."""
    if not 0 <= index < size:
        raise BadProof("no such leaf in a tree of this size")
    start, end = 0, size
    path: list[bytes] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_hash(middle, end, get_node))
            end = middle
        else:
            path.append(_range_hash(start, middle, get_node))
            start = middle
    path.reverse()
    return path


def consistency_proof(old_size: int, new_size: int, get_node: GetNode) -> list[bytes]:
    """The proof that the tree of `new_size` leaves extends the one of `old_size`."""
    if not 0 < old_size <= new_size:
        raise BadProof("consistency runs from a size above 0 to one at least as large")
    start, end = 0, new_size
    path: list[bytes] = []
    complete = True
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(_range_hash(middle, end, get_node))
            end = middle
        else:
            path.append(_range_hash(start, middle, get_node))
            start = middle
            complete = False
    if not complete:
        path.append(_range_hash(start, end, get_node))
    path.reverse()
    return path


def verify_inclusion(*, leaf: bytes, index: int, size: int, path: Sequence[bytes], root_hash: bytes) -> None:
    """BadProof unless `path` leads from the leaf hash `leaf` at `index` to `root_hash` (RFC 9162, 2.1.3.2)."""
    _check_hashes(leaf, root_hash, *path)
    if not 0 <= index < size:
        raise BadProof("the index lies outside the tree")
    position, last, digest = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise BadProof("the proof is too long")
        if position & 1 or position == last:
            digest = node_hash(sibling, digest)
            while not position & 1:
                position, last = position >> 1, last >> 1
        else:
            digest = node_hash(digest, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise BadProof("the proof is too short")
    if digest != root_hash:
        raise BadProof("the proof does not lead to the root")


def verify_consistency(
    *, old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]
) -> None:
    """BadProof unless `path` shows that the new tree extends the old one (RFC 9162, 2.1.4.2).

    An old size of 0 is refused: everything extends nothing, so such a proof would prove nothing.
    """
    _check_hashes(old_root, new_root, *path)
    if not 0 < old_size <= new_size:
        raise BadProof("consistency runs from a size above 0 to one at least as large")
    if old_size == new_size:
        if path or old_root != new_root:
            raise BadProof("two trees of one size must have one root")
        return
    hashes = list(path)
    if old_size & (old_size - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        raise BadProof("the proof is too short")
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise BadProof("the proof is too long")
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise BadProof("the proof is too short")
    if old != old_root or new != new_root:
        raise BadProof("the proof does not lead to both roots")


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree: all that an append and a root need, about log2(size) hashes.

    `hashes` are the complete subtrees that make up the tree, the largest (leftmost) first.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if len(self.hashes) != self.size.bit_count():
            raise BadProof("the frontier does not fit the size of its tree")

    def append(self, leaf: bytes) -> tuple["Frontier", list[Node]]:
        """The frontier after the leaf hash `leaf`, and the nodes to store: the leaf and what it completes."""
        _check_hash(leaf)
        level, index, digest = 0, self.size, leaf
        nodes = [(0, index, leaf)]
        rest = len(self.hashes)
        while index & 1:
            rest -= 1
            digest = node_hash(self.hashes[rest], digest)
            level, index = level + 1, index >> 1
            nodes.append((level, index, digest))
        return Frontier(self.size + 1, (*self.hashes[:rest], digest)), nodes

    def root(self) -> bytes:
        """The root of the tree."""
        if not self.hashes:
            return EMPTY_ROOT
        digest = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            digest = node_hash(left, digest)
        return digest

    def to_bytes(self) -> bytes:
        """The hashes one after the other, to be stored beside the size."""
        return b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> "Frontier":
        """The reverse of `to_bytes`; BadProof when the length does not fit the size."""
        if len(data) != size.bit_count() * HASH_SIZE:
            raise BadProof("the frontier does not fit the size of its tree")
        return cls(size, tuple(data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)))

    @classmethod
    def load(cls, size: int, get_node: GetNode) -> "Frontier":
        """The frontier of a stored tree of `size` leaves."""
        return cls(size, tuple(_fetch(get_node, level, index) for level, index in _complete_subtrees(0, size)))


def _split(count: int) -> int:
    """The largest power of two smaller than `count`, where RFC 6962 divides a tree."""
    return 1 << ((count - 1).bit_length() - 1)


def _complete_subtrees(start: int, end: int) -> list[tuple[int, int]]:
    """Level and index of the complete subtrees that make up the leaves from `start` to `end`, left to right."""
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append((level, start >> level))
        start += 1 << level
    return nodes


def _range_hash(start: int, end: int, get_node: GetNode) -> bytes:
    """The hash of the subtree over leaves `start` to `end`; `start` must be where RFC 6962 divides."""
    nodes = _complete_subtrees(start, end)
    digest = _fetch(get_node, *nodes[-1])
    for level, index in reversed(nodes[:-1]):
        digest = node_hash(_fetch(get_node, level, index), digest)
    return digest


def _fetch(get_node: GetNode, level: int, index: int) -> bytes:
    digest = get_node(level, index)
    _check_hash(digest)
    return digest


def _check_hash(digest: bytes) -> None:
    if len(digest) != HASH_SIZE:
        raise BadProof("a hash has exactly 32 bytes")


def _check_hashes(*digests: bytes) -> None:
    for digest in digests:
        _check_hash(digest)
