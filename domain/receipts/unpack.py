"""Unpacks an archive: its files one by one, in no other form than that of an export."""

import gzip
import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from domain.receipts import archive
from domain.receipts.errors import BadProof, LedgerError
from domain.receipts.receipt import MAX_LEAF

MAX_SMALL = 1024 * 1024
MAX_PROOF = 64 * 1024
MAX_KEY_FILE = 2048

# what files of an archive are called
NUMBERED = re.compile(r"(?:receipts/([0-9]{10,19})\.json|log/proofs/([0-9]{10,19})\.tlog-proof)")
KEY_FILE = re.compile(r"keys/[0-9a-f]{8}\.(?:vkey|pem)")
FIXED = frozenset(
    {
        archive.MANIFEST,
        archive.INDEX,
        archive.SEAL,
        archive.GUIDE,
        archive.KEYS,
        archive.CHECKPOINT,
        archive.SCOPE,
        archive.VERIFIER,
    }
)


def read_files(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """Path and content of each file of an archive, in its order; BadProof unless it has exactly our form."""
    start = file.read(2)
    packed = file.seek(0, 2)
    file.seek(0)
    stream: BinaryIO = gzip.GzipFile(fileobj=file, mode="rb") if start == b"\x1f\x8b" else file  # type: ignore[assignment]
    try:
        yield from _read_tar(stream, packed)
    except (OSError, EOFError, zlib.error) as error:
        raise BadProof(f"the archive cannot be unpacked: {error}") from error


def limit_of(path: str, packed: int) -> int:
    """The most bytes a file of an archive can have, where the archive takes `packed` bytes as it lies there.

    Manifest and index hold one hash of every file, which nothing makes shorter, and beside them lie the files
    themselves: together they are never twice as long as the archive. What claims to be is made to fill the memory.
    """
    if path in (archive.MANIFEST, archive.INDEX):
        return 2 * packed + MAX_SMALL
    if path.startswith(archive.RECEIPTS):
        return MAX_LEAF
    if path.startswith(archive.PROOFS):
        return MAX_PROOF
    return MAX_KEY_FILE if KEY_FILE.fullmatch(path) else MAX_SMALL


def _read_tar(stream: BinaryIO, packed: int) -> Iterator[tuple[str, bytes]]:
    while True:
        header = stream.read(archive.BLOCK)
        if header == bytes(archive.BLOCK):
            break
        try:
            path = header[:100].rstrip(b"\0").decode("ascii")
            size = int(header[124:135], 8)
            # Each file of ours has exactly one possible header, so nothing can hide in it.
            fits = archive.tar_header(path, size) == header
        except (ValueError, LedgerError):
            fits = False
        if not fits:
            raise BadProof("the archive holds something else than plain files in the form of an export")
        if size > limit_of(path, packed):
            # said before it is read: it would be unpacked into memory
            raise BadProof(f"{path} says that it has {size} bytes: no such file of an export is that large")
        data = stream.read(size)
        padding = -size % archive.BLOCK
        if len(data) != size or stream.read(padding) != bytes(padding):
            raise BadProof(f"{path} is cut off")
        yield path, data
    if stream.read(archive.BLOCK) != bytes(archive.BLOCK) or stream.read(1):
        raise BadProof("there is something after the end of the archive")
