#!/usr/bin/env python3
"""Verify an exported archive of receipts with Python's standard library alone (3.8 or later).

    python3 verify.py ARCHIVE.tar.gz [--key HEX]... [--checkpoint FILE] [--json]
    python3 verify.py                  (in the unpacked folder)

Exit code 0: every check holds. 1: a check fails; it is named, with the file. 2: nothing to read.

This file reads top down: Ed25519, canonical JSON, Merkle tree, signed notes, the archive, the
checks. It shares no code with the program that wrote the archive. When the package `cryptography` is
installed, it is used for speed and a note says so; `--pure` forbids it. Without it, 100,000 receipts
take about a minute, with it half a minute.
"""

# Written for every Python from 3.8 on, and to be read: no annotations, none of the newer syntax.
# ruff: noqa: ANN001, ANN002, ANN201, ANN202, ANN204, ANN205, B905, BLE001, EXE001, PERF401, PLC0415, PTH100, PTH110, PTH112, PTH118, PTH120, PTH123, PTH202, RUF005, TRY301, UP028, UP031
# mypy: ignore-errors

import argparse
import base64
import gzip
import hashlib
import json
import os
import re
import sys
import zlib

MAX_INTEGER = 2**53 - 1


class Failed(Exception):
    """A check that does not hold."""

    def __init__(self, check, detail, where=""):
        super().__init__(detail)
        self.check, self.detail, self.where = check, detail, where


# --- Ed25519 (RFC 8032), verification only -----------------------------------------------------------
# Points are added in extended coordinates. For each key, and for the base point, a table holds every
# multiple digit * 256**position, so that a signature costs 64 additions and no doubling.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def recover_x(y, sign):
    """The x that belongs to y on the curve, or None."""
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQRT_M1 % P
    if (x * x - square) % P:
        return None
    return P - x if x & 1 != sign else x


def decode_point(data):
    """The point in affine coordinates, or None."""
    number = int.from_bytes(data, "little")
    y = number & (2**255 - 1)
    x = recover_x(y, number >> 255)
    return None if x is None else (x, y)


def add_points(a, b):
    """The sum of two points in extended coordinates (X, Y, Z, T)."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    return ((f - e) * (h - g) % P, (h + g) * (f + e) % P, (h - g) * (h + g) % P, (f - e) * (f + e) % P)


def multiples(point):
    """For 32 positions, the multiples 1 to 255 of point * 256**position, each as (y - x, y + x, 2dxy)."""
    x, y = point
    step = (x, y, 1, x * y % P)
    table = []
    for _ in range(32):
        row, current = [], step
        for _ in range(255):
            row.append(current)
            current = add_points(current, step)
        table.append(row)
        step = current
    flat = [entry for row in table for entry in row]
    # One inversion for all: running products forwards, then each inverse backwards.
    products, running = [], 1
    for entry in flat:
        products.append(running)
        running = running * entry[2] % P
    inverse = pow(running, P - 2, P)
    done = [None] * len(flat)
    for at in range(len(flat) - 1, -1, -1):
        entry = flat[at]
        z = inverse * products[at] % P
        inverse = inverse * entry[2] % P
        x, y = entry[0] * z % P, entry[1] * z % P
        done[at] = ((y - x) % P, (y + x) % P, 2 * D * x * y % P)
    return [[None] + done[255 * row : 255 * row + 255] for row in range(32)]


BASE_Y = 4 * pow(5, P - 2, P) % P
TABLES = {}


def table_of(name, point):
    if name not in TABLES:
        TABLES[name] = multiples(point)
    return TABLES[name]


def verify_ed25519_pure(public, signature, message):
    """Whether `signature` (64 bytes) is that of `public` (32 bytes) over `message`."""
    if len(public) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        return False
    if public not in TABLES:
        point = decode_point(public)
        if point is None:
            return False
        table_of(public, (P - point[0], point[1]))  # of the negated key: R = s * B - h * A
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    x, y, z, t = 0, 1, 1, 0
    base = table_of(b"base", (recover_x(BASE_Y, 0), BASE_Y))
    for scalar, table in ((s, base), (h, TABLES[public])):
        for digit, row in zip(scalar.to_bytes(32, "little"), table):
            if digit:
                minus, plus, product = row[digit]
                a = (y - x) * minus
                b = (y + x) * plus
                c = t * product
                e, f, g, k = (b - a) % P, (2 * z - c) % P, (2 * z + c) % P, (b + a) % P
                x, y, z, t = e * f % P, g * k % P, f * g % P, e * k % P
    inverse = pow(z, -1, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


def fast_ed25519():
    """A verifier by the package `cryptography`, or None where it is not installed."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except Exception:  # broken installations fail in many ways; the pure one never does
        return None
    keys = {}

    def verify(public, signature, message):
        try:
            if public not in keys:
                keys[public] = Ed25519PublicKey.from_public_bytes(public)
            keys[public].verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    return verify


# --- canonical JSON (RFC 8785) of the values a receipt may hold ---------------------------------------

# Python's own escapes are those of RFC 8785: the quotation mark, the backslash and what lies below U+0020.
quote = json.encoder.encode_basestring


def canonical_text(value):
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical_text, value)) + "]"
    names = sorted(value)
    if not all(map(str.isascii, names)):
        names.sort(key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join(quote(name) + ":" + canonical_text(value[name]) for name in names) + "}"


def canonical(value):
    """The canonical bytes; ValueError when the text has no UTF-8 form (a lone surrogate)."""
    return canonical_text(value).encode("utf-8")


def no_duplicates(pairs):
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name occurs twice")
    return value


def integer(text):
    value = int(text) if len(text) < 18 else MAX_INTEGER + 1
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise ValueError("a number outside the interoperable range")
    return value


def refuse_number(text):
    raise ValueError("not an integer: " + text[:20])


DECODER = json.JSONDecoder(
    object_pairs_hook=no_duplicates, parse_int=integer, parse_float=refuse_number, parse_constant=refuse_number
)


def parse_canonical(raw):
    """The value of `raw`; ValueError unless `raw` is exactly its canonical form."""
    try:
        value = DECODER.decode(raw.decode("utf-8"))
        same = canonical(value) == raw
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not same:
        raise ValueError("the bytes are not the canonical form of their value")
    return value


# --- the Merkle tree (RFC 6962) -----------------------------------------------------------------------


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def append_leaf(edge, size, leaf):
    """`edge` holds the complete subtrees of a tree of `size` leaves, largest first; add one leaf."""
    while size & 1:
        leaf = sha256(b"\1", edge.pop(), leaf)
        size >>= 1
    edge.append(leaf)


def root_of(edge):
    if not edge:
        return sha256()
    root = edge[-1]
    for left in reversed(edge[:-1]):
        root = sha256(b"\1", left, root)
    return root


def root_by_path(leaf, index, size, path):
    """The root to which an audit path leads from a leaf hash; None when it does not fit the size."""
    last, digest = size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            digest = sha256(b"\1", sibling, digest)
            while not index & 1:
                index, last = index >> 1, last >> 1
        else:
            digest = sha256(b"\1", digest, sibling)
        index, last = index >> 1, last >> 1
    return digest if last == 0 else None


# --- signed notes and checkpoints (C2SP) --------------------------------------------------------------


def unbase64(text):
    data = base64.b64decode(text.encode("ascii"), validate=True)
    if base64.b64encode(data).decode("ascii") != text:
        raise ValueError("malformed base64")
    return data


def note_key_id(name, public):
    return sha256(name.encode("utf-8"), b"\n\1", public)[:4]


def decimal(text):
    if not re.fullmatch("0|[1-9][0-9]{0,18}", text):
        raise ValueError("not a plain decimal number")
    return int(text)


def open_checkpoint(text, keys, verify):
    """(origin, size, root, set of keys that signed) of a signed checkpoint; ValueError otherwise."""
    body, separator, tail = text.rpartition("\n\n")
    lines = body.split("\n")
    if not separator or len(lines) != 3 or not lines[0] or re.search("[\x00-\x1f\\s+]", lines[0]):
        raise ValueError("not a checkpoint")
    origin, size, root = lines[0], decimal(lines[1]), unbase64(lines[2])
    if len(root) != 32 or not tail.endswith("\n"):
        raise ValueError("not a checkpoint")
    message = (body + "\n").encode("utf-8")
    known = {note_key_id(origin, public): public for public in keys}
    signed = set()
    for line in tail[:-1].split("\n"):
        match = re.fullmatch("\u2014 ([^ +]+) ([A-Za-z0-9+/]+={0,2})", line)
        data = unbase64(match.group(2)) if match else b""
        if len(data) < 5:
            raise ValueError("malformed signature line")
        public = known.get(data[:4]) if match.group(1) == origin else None
        if public is not None:
            if not verify(public, data[4:], message):
                raise ValueError("a signature of the checkpoint is wrong")
            signed.add(public)
    if not signed:
        raise ValueError("no known key signed the checkpoint")
    return origin, size, root, signed


# --- reading the archive ------------------------------------------------------------------------------


def tar_header(path, size):
    """The only header a file of an archive has: plain file, mode 0644, no owner, no time."""
    head = path.encode("ascii").ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2
    head += b"%011o\0" % size + b"00000000000\0"
    tail = b"0" + bytes(100) + b"ustar\00000" + bytes(64) + b"0000000\0" * 2 + bytes(167)
    return head + b"%06o\0 " % (sum(head) + sum(tail) + 8 * 32) + tail


def limit_of(path, packed):
    """The most bytes a file of an archive can have, where the archive takes `packed` bytes as it lies there.

    Manifest and index hold one hash of every file, which nothing makes shorter, and beside them lie the files
    themselves: together they are never twice as long as the archive. What claims to be is made to fill the memory.
    """
    if path in ("manifest.json", "00_INDEX.json"):
        return 2 * packed + 2**20
    if path.startswith("receipts/"):
        return 65535
    if path.startswith("log/proofs/"):
        return 2**16
    return 2048 if re.fullmatch(r"keys/[0-9a-f]{8}\.(vkey|pem)", path) else 2**20


def check_size(path, size, packed):
    """Failed for a file that is larger than it can be: said before it is read into memory."""
    need(size <= limit_of(path, packed), "structure", "%d bytes: no such file of an export is that large" % size, path)


def read_tar(stream, packed=2**28):
    """Path and content of each file of an archive of `packed` bytes; Failed when it has another form."""
    while True:
        header = stream.read(512)
        if header == bytes(512):
            break
        try:
            path, size = header[:100].rstrip(b"\0").decode("ascii"), int(header[124:135], 8)
            fits = size >= 0 and tar_header(path, size) == header
        except ValueError:
            fits = False
        if not fits:
            raise Failed("structure", "something else than plain files in the form of an export")
        check_size(path, size, packed)
        data = stream.read(size)
        padding = -size % 512
        if len(data) != size or stream.read(padding) != bytes(padding):
            raise Failed("structure", "cut off", path)
        yield path, data
    if stream.read(512) != bytes(512) or stream.read(1):
        raise Failed("structure", "something after the end of the archive")


def read_archive(path):
    with open(path, "rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
        size = file.seek(0, 2)
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file, mode="rb") if is_gzip else file
        try:
            for item in read_tar(stream, size):
                yield item
        except (OSError, EOFError, zlib.error) as error:
            raise Failed("structure", "cannot be unpacked: %s" % error) from error


def read_folder(folder):
    """As `read_archive`, from the unpacked folder, in the order of the archive."""
    paths = []
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            paths.append(os.path.relpath(os.path.join(base, name), folder).replace(os.sep, "/"))
    sizes = {path: os.path.getsize(os.path.join(folder, path)) for path in paths}
    total = sum(sizes.values())
    for path in sorted(paths, key=lambda path: (path != "manifest.json", path)):
        check_size(path, sizes[path], total - sizes[path])
        with open(os.path.join(folder, path), "rb") as file:
            yield path, file.read()


# --- the checks ---------------------------------------------------------------------------------------

CHECKS = (
    "structure", "manifest", "index", "keys", "seal", "scope", "canonical",
    "members", "signature", "key", "chain", "inclusion", "checkpoint", "outside",
)  # fmt: skip
SMALL = {
    "VERIFY.md", "verify.py", "log/checkpoint", "log/scope.json", "keys/keys.json", "07_ATTESTATIONS/evidence_pack.sig",
}  # fmt: skip
SIGNED = (
    "args_hash", "decision_id", "effect_id", "lamport_clock", "output_hash", "policy_hash", "prev_hash",
    "reason_code", "receipt_id", "session_id", "signature_version", "status", "verdict",
)  # fmt: skip
UNSIGNED = (
    "created_at", "executor_id", "external_reference_id", "installed_at", "issued_at", "key_id", "metadata",
    "public_key_set", "signature", "signature_algorithm", "signature_profile", "timestamp",
)  # fmt: skip
OPTIONAL = {"correlation_id", "decision_hash", "blob_hash"}
OMITTED_WHEN_EMPTY = ("output_hash", "args_hash", "verdict", "reason_code", "policy_hash", "session_id")
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{0,8}[1-9]))?Z")
DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
PEM_PREFIX = bytes.fromhex("302a300506032b6570032100")


def moment(text):
    """A time as a tuple that can be compared; ValueError unless RFC 3339 in UTC."""
    match = TIME.fullmatch(text)
    if not match:
        raise ValueError("not a time: " + text[:40])
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    if not (year and 1 <= month <= 12 and 1 <= day <= DAYS[month - 1] and hour < 24 and minute < 60 and second < 60):
        raise ValueError("not a time: " + text[:40])
    return (year, month, day, hour, minute, second, int((match.group(7) or "0").ljust(6, "0")[:6]))


def is_hex(text, length):
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{%d}" % length, text) is not None


def need(holds, check, detail, where=""):
    if not holds:
        raise Failed(check, detail, where)


class Verification:
    """Goes through the files in their order; `Failed` names the first check that does not hold."""

    def __init__(self, verify, trusted, outside):
        self.verify, self.trusted, self.outside_text = verify, set(trusted), outside
        self.files, self.digests, self.proofs, self.sessions = {}, {}, {}, {}
        self.keys, self.scope, self.head, self.outside, self.outside_root = {}, None, None, None, None
        self.edge, self.size, self.receipts, self.gaps = [], 0, 0, 0
        self.current, self.trust, self.notes = "", set(trusted), []

    def run(self, files):
        previous = None
        for path, data in files:
            if previous is None:
                need(path == "manifest.json", "structure", "the manifest must come first", path)
            else:
                need(previous == "manifest.json" or path > previous, "structure", "not sorted or not unique", path)
            previous = path
            try:
                self.take(path, data)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise Failed(self.stage(path), "malformed: %r" % error, path) from error
        try:
            self.finish()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Failed("structure", "malformed: %r" % error) from error

    @staticmethod
    def stage(path):
        if path.startswith("receipts/"):
            return "members"
        if path.startswith("log/proofs/"):
            return "inclusion"
        return {"manifest.json": "manifest", "00_INDEX.json": "index"}.get(path, "structure")

    def take(self, path, data):
        receipt = re.fullmatch(r"receipts/([0-9]{10,19})\.json", path)
        proof = re.fullmatch(r"log/proofs/([0-9]{10,19})\.tlog-proof", path)
        if path == "manifest.json":
            self.manifest(data)
        elif path == "00_INDEX.json":
            self.index(data)
        elif receipt:
            self.open()
            self.receipt(path, int(receipt.group(1)), data)
        elif proof:
            self.open()
            self.digest(path, data)
            self.proof(path, int(proof.group(1)), data)
        else:
            known = path in SMALL or re.fullmatch(r"keys/[0-9a-f]{8}\.(vkey|pem)", path)
            need(known, "structure", "no such file in an archive", path)
            if path != "07_ATTESTATIONS/evidence_pack.sig":
                self.digest(path, data)
            self.files[path] = data

    def digest(self, path, data):
        need(self.digests.pop(path, b"") == sha256(data), "index", "the file is not the one in the index", path)

    def manifest(self, data):
        manifest = parse_canonical(data)
        claimed, entries = manifest.pop("manifest_hash"), manifest["entries"]
        paths = [entry["path"] for entry in entries]
        need(manifest["version"] == "1.0.0", "manifest", "unknown version")
        need(paths == sorted(set(paths)), "manifest", "entries are not sorted and unique")
        digest = "sha256:" + sha256(canonical(manifest)).hex()
        need(claimed == digest, "manifest", "manifest_hash is not that of the manifest")
        self.digests = {entry["path"]: bytes.fromhex(entry["content_hash"][7:]) for entry in entries}
        self.digests["manifest.json"] = sha256(data)

    def index(self, data):
        index = parse_canonical(data)
        items = sorted(self.digests.items())
        entries = [{"path": path, "sha256": "sha256:" + digest.hex()} for path, digest in items]
        fits = canonical({"entries": entries, "pack_id": index["pack_id"], "version": "1.0.0"}) == data
        need(fits, "index", "the index does not list exactly the files of the manifest")
        level = [sha256(b"\0", digest) for _, digest in items]
        while len(level) > 1:
            level += level[-1:] if len(level) % 2 else []
            level = [sha256(b"\1", level[at], level[at + 1]) for at in range(0, len(level), 2)]
        self.sealed = (sha256(data).hex(), level[0].hex(), len(items))
        del self.digests["manifest.json"]

    def open(self):
        """Before the first proof or receipt: the keys, the seal, the checkpoint; then the scope."""
        for path in ("keys/keys.json", "log/checkpoint", "07_ATTESTATIONS/evidence_pack.sig"):
            need(path in self.files, "structure", "missing", path)
        if self.head is None:
            for name, step in (("keys", self.open_keys), ("seal", self.open_seal), ("checkpoint", self.open_head)):
                try:
                    step()
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise Failed(name, "malformed: %r" % error) from error
            self.open_outside()
        if self.scope is None and "log/scope.json" in self.files:
            try:
                self.open_scope()
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise Failed("scope", "malformed: %r" % error) from error

    def open_keys(self):
        origin = self.files["log/checkpoint"].split(b"\n", 1)[0].decode("utf-8")
        expected = {"keys/keys.json"}
        for key in parse_canonical(self.files["keys/keys.json"])["keys"]:
            public = bytes.fromhex(key["public_key"])
            key_id = note_key_id(key["name"], public).hex()
            need(key_id == key["key_id"] and len(public) == 32, "keys", "a key id is not that of its key")
            need(key["algorithm"] == "ed25519", "keys", "unknown algorithm")
            end = moment(key["retired_at"]) if key["retired_at"] is not None else (10000,)
            self.keys[key_id] = (public, moment(key["not_before"]), end)
            line = "%s+%s+%s\n" % (
                origin,
                note_key_id(origin, public).hex(),
                base64.b64encode(b"\1" + public).decode("ascii"),
            )
            inner = base64.b64encode(PEM_PREFIX + public).decode("ascii")
            pem = "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n" % inner
            for ending, text in (("vkey", line), ("pem", pem)):
                path = "keys/%s.%s" % (key_id, ending)
                need(self.files.get(path) == text.encode("utf-8"), "keys", "not the key of keys.json", path)
                expected.add(path)
        extra = {path for path in self.files if path.startswith("keys/")} - expected
        need(not extra, "keys", "a key file that keys.json does not list", min(extra, default=""))

    def open_seal(self):
        seal = parse_canonical(self.files["07_ATTESTATIONS/evidence_pack.sig"])
        spelling = seal.pop("signature")
        signature = bytes.fromhex(spelling)
        shown = seal["signer"].pop("public_key")
        need(seal["signer"]["key_id"] in self.keys, "seal", "signed by an unknown key")
        public = self.keys[seal["signer"]["key_id"]][0]
        # one spelling only: hex has two cases, and fromhex skips blanks
        spelled = spelling == signature.hex()
        fits = shown == public.hex() and spelled and self.verify(public, signature, canonical(seal))
        need(fits and seal["version"] == "evidence-pack-seal/v1", "seal", "the signature of the seal does not fit")
        values = (seal["index_hash"], seal["merkle_root"], seal["entry_count"])
        need(values == self.sealed, "seal", "the seal is of another index")

    def open_head(self):
        text = self.files["log/checkpoint"].decode("utf-8")
        self.head = open_checkpoint(text, [key[0] for key in self.keys.values()], self.verify)

    def open_outside(self):
        if self.outside_text is None:
            return
        keys = {key[0] for key in self.keys.values()} | self.trusted
        try:
            self.outside = open_checkpoint(self.outside_text, keys, self.verify)
        except ValueError as error:
            raise Failed("outside", str(error)) from error
        need(self.outside[0] == self.head[0], "outside", "the other checkpoint is of another log")
        if self.outside[1] == 0:
            self.outside_root = sha256()

    def open_scope(self):
        scope = parse_canonical(self.files["log/scope.json"])
        origin, size = self.head[:2]
        fits = (scope["format"], scope["origin"], scope["tree_size"]) == ("pilot-archive/1", origin, size)
        self.whole = scope["kind"] == "workspace"
        fits = fits and (not self.whole or (scope["receipts"] == size and not self.proofs))
        need(fits, "scope", "the scope does not fit the checkpoint", "log/scope.json")
        need(isinstance(scope["workspace_id"], str), "scope", "no workspace", "log/scope.json")
        self.scope = scope

    def proof(self, path, index, data):
        head, _, checkpoint = data.decode("utf-8").partition("\n\n")
        lines = head.split("\n")
        fits = lines[0] == "c2sp.org/tlog-proof@v1" and lines[1] == "index %d" % index and len(lines) < 67
        fits = fits and checkpoint.encode("utf-8") == self.files["log/checkpoint"]
        need(fits, "inclusion", "the proof is of another leaf or checkpoint", path)
        hashes = [unbase64(line) for line in lines[2:]]
        need(all(len(digest) == 32 for digest in hashes), "inclusion", "a hash has exactly 32 bytes", path)
        self.proofs[index] = b"".join(hashes)

    def receipt(self, path, index, data):
        need(self.scope is not None, "structure", "missing", "log/scope.json")
        need(len(data) <= 65535, "members", "too long", path)
        try:
            body = parse_canonical(data)
        except ValueError as error:
            raise Failed("canonical", str(error), path) from error
        self.members(body, path)
        metadata = body["metadata"]
        need(metadata["workspace_id"] == self.scope["workspace_id"], "scope", "of another workspace", path)
        self.key(body, path)
        self.chain(body, data, path)
        self.digest(path, data)
        self.leaf(data, index, path)
        if metadata["kind"] == "key_rotation":
            self.rotation(body, path)
        self.receipts += 1

    def members(self, body, path):
        need(isinstance(body, dict), "members", "not an object", path)
        for name in SIGNED + UNSIGNED:
            need(name in body, "members", "missing: " + name, path)
        extra = set(body) - set(SIGNED) - set(UNSIGNED) - OPTIONAL
        need(not extra, "members", "unknown: " + min(extra, default=""), path)
        for name, value in body.items():
            fits = isinstance(value, str) or name in ("lamport_clock", "metadata", "public_key_set")
            need(fits, "members", name + " must be a string", path)
        clock, keys, metadata = body["lamport_clock"], body["public_key_set"], body["metadata"]
        need(type(clock) is int and clock >= 1, "members", "lamport_clock counts from 1", path)
        fits = body["prev_hash"] == "" if clock == 1 else is_hex(body["prev_hash"], 64)
        need(fits, "members", "prev_hash does not fit lamport_clock", path)
        kind = (body["signature_version"], body["signature_algorithm"], body["signature_profile"])
        need(kind == ("receipt.v5", "ed25519", "classical"), "members", "unknown kind of signature", path)
        need(is_hex(body["signature"], 128), "members", "signature must be 128 hex digits", path)
        fits = isinstance(keys, dict) and list(keys) == ["ed25519"] and is_hex(keys["ed25519"], 64)
        need(fits, "members", "public_key_set must hold one key", path)
        fits = isinstance(metadata, dict) and all(type(value) in (str, int, bool) for value in metadata.values())
        need(fits, "members", "metadata must be flat", path)
        named = metadata.get("kind") and metadata.get("workspace_id") and body["executor_id"]
        need(named, "members", "kind, workspace or executor is missing", path)
        moment(body["timestamp"])

    def key(self, body, path):
        key_id = body["key_id"]
        need(key_id in self.keys, "key", "key %s is not among the keys of the archive" % key_id, path)
        public, begin, end = self.keys[key_id]
        payload = canonical({name: body[name] for name in SIGNED})
        fits = self.verify(public, bytes.fromhex(body["signature"]), payload)
        need(fits, "signature", "the signature does not fit", path)
        need(body["public_key_set"]["ed25519"] == public.hex(), "key", "it shows another key than it names", path)
        need(begin <= moment(body["timestamp"]) <= end, "key", "key %s was not in use then" % key_id, path)
        if self.whole:
            if not self.current:
                self.current = key_id
                if not self.trusted:
                    self.trust.add(public)
            need(key_id == self.current, "key", "key %s signs though nothing handed over to it" % key_id, path)

    def chain(self, body, data, path):
        session, clock = body["session_id"], body["lamport_clock"]
        last, last_hash = self.sessions.get(session, (0, ""))
        if clock == last + 1:
            need(body["prev_hash"] == last_hash, "chain", "prev_hash is not that of the receipt before", path)
        else:
            need(not self.whole and clock > last, "chain", "clock %d does not follow %d" % (clock, last), path)
            self.gaps += 1
        empty = [name for name in OMITTED_WHEN_EMPTY if not body[name]]
        view = canonical({name: value for name, value in body.items() if name not in empty}) if empty else data
        self.sessions[session] = (clock, sha256(view).hex())

    def leaf(self, data, index, path):
        leaf = sha256(b"\0", data)
        if self.whole:
            need(index == self.size, "inclusion", "leaf %d of the log is missing" % self.size, path)
            append_leaf(self.edge, self.size, leaf)
            self.size += 1
            if self.outside and self.outside[1] == self.size:
                self.outside_root = root_of(self.edge)
            return
        joined = self.proofs.pop(index, None)
        need(joined is not None and index < self.head[1], "inclusion", "no proof for this receipt", path)
        hashes = [joined[at : at + 32] for at in range(0, len(joined), 32)]
        root = root_by_path(leaf, index, self.head[1], hashes)
        need(root == self.head[2], "inclusion", "the proof does not lead to the root", path)

    def rotation(self, body, path):
        metadata = body["metadata"]
        try:
            public = bytes.fromhex(metadata["new_public_key"])
            fits = len(public) == 32 and note_key_id(metadata["new_key_name"], public).hex() == metadata["new_key_id"]
        except (ValueError, KeyError, TypeError, AttributeError):
            fits = False
        need(fits, "key", "malformed key rotation", path)
        self.current = metadata["new_key_id"]
        if self.keys[body["key_id"]][0] in self.trust:
            self.trust.add(public)

    def finish(self):
        self.open()
        need(self.scope is not None, "structure", "missing", "log/scope.json")
        for path in ("VERIFY.md", "verify.py"):
            need(path in self.files, "structure", "missing", path)
        need(not self.digests, "index", "a file of the index is missing", min(self.digests, default=""))
        need(self.receipts == self.scope["receipts"], "scope", "not the number of receipts in the scope")
        need(not self.proofs, "inclusion", "a proof without its receipt")
        if self.whole:
            fits = self.size == self.head[1] and root_of(self.edge) == self.head[2]
            need(fits, "inclusion", "the receipts do not lead to the root of the checkpoint")
        if not self.trusted:
            self.notes.append("the keys are the archive's own claim: compare them with a published copy, use --key")
            self.trust = self.trust or set(self.head[3])
        detail = "signed neither by a trusted key nor by one it handed over to"
        need(self.trust & self.head[3], "checkpoint", detail, "log/checkpoint")
        if self.gaps:
            self.notes.append("a part of the log: receipts are left out in %d places" % self.gaps)
        if self.outside:
            self.compare()

    def compare(self):
        _, size, root, signed = self.outside
        need(not self.trusted or self.trust & signed, "outside", "it is not signed by a trusted key")
        if size == self.head[1]:
            fits = root == self.head[2]
        else:
            comparable = self.outside_root is not None
            need(comparable, "outside", "a consistency proof is needed: %d and %d leaves" % (size, self.head[1]))
            fits = root == self.outside_root
        need(fits, "outside", "the log was rewritten: it does not extend the other checkpoint")


def report(verification, failure):
    """The outcome as plain values; the same shape as the program's own `verify --json`."""
    checks = []
    for name in CHECKS:
        if name == "outside" and verification.outside_text is None:
            continue
        if failure is None:
            checks.append({"name": name, "ok": True, "detail": "", "where": ""})
        elif name == failure.check:
            checks.append({"name": name, "ok": False, "detail": failure.detail, "where": failure.where})
        else:
            checks.append({"name": name, "ok": None, "detail": "not finished: another check failed", "where": ""})
    head = verification.head or ("", 0, b"", set())
    failed = [check for check in checks if check["ok"] is False]
    return {
        "ok": failure is None,
        "receipts": verification.receipts,
        "origin": head[0],
        "treeSize": head[1],
        "root": head[2].hex(),
        "scope": (verification.scope or {}).get("kind", ""),
        "keys": sorted(verification.keys),
        "pinned": bool(verification.trusted),
        "checks": checks,
        "errors": [
            "%s: %s%s" % (check["name"], check["detail"], " (%s)" % check["where"] if check["where"] else "")
            for check in failed
        ],
        "notes": verification.notes,
    }


def show(result, keys, signed):
    pem = min(("keys/%s.pem" % key_id for key_id in keys if keys[key_id][0] in signed), default="")
    if result["origin"]:
        print("log      ", result["origin"])
        print("size     ", result["treeSize"], "leaves, root", result["root"])
    print("receipts ", result["receipts"], "verified, scope", result["scope"] or "unknown")
    for check in result["checks"]:
        word = {True: "ok", False: "FAILED", None: "-"}[check["ok"]]
        print(
            "%-12s %-7s %s %s" % (check["name"], word, check["detail"] if check["ok"] is False else "", check["where"])
        )
    for note in result["notes"]:
        print("note:", note)
    for key_id in keys:
        print("key %s: %s" % (key_id, keys[key_id][0].hex()))
    if result["ok"]:
        print("The checkpoint with openssl, in the unpacked folder:")
        print("  head -n 3 log/checkpoint > checkpoint.body")
        print(
            "  grep '^\u2014 ' log/checkpoint | head -n 1 | cut -d ' ' -f 3 | base64 -d | tail -c 64 > checkpoint.sig"
        )
        print("  openssl pkeyutl -verify -pubin -inkey %s -rawin -in checkpoint.body -sigfile checkpoint.sig" % pem)
    print("VERIFIED" if result["ok"] else "NOT VERIFIED: " + "; ".join(result["errors"]))


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Verify an exported archive of receipts.")
    parser.add_argument("archive", nargs="?", help="the archive, or the unpacked folder (default: where this file is)")
    parser.add_argument("--key", action="append", default=[], metavar="HEX", help="a public key you trust (64 digits)")
    parser.add_argument("--checkpoint", metavar="FILE", help="an earlier checkpoint of the same log, kept elsewhere")
    parser.add_argument("--json", action="store_true", help="answer as JSON")
    parser.add_argument("--pure", action="store_true", help="never use the package cryptography")
    options = parser.parse_args(arguments)
    try:
        trusted = [bytes.fromhex(key) for key in options.key]
        if not all(len(key) == 32 for key in trusted):
            raise ValueError("a key has 64 hex digits")
        outside = None
        if options.checkpoint:
            with open(options.checkpoint, encoding="utf-8", newline="") as file:
                outside = file.read()
        source = options.archive or os.path.dirname(os.path.abspath(__file__))
        if not os.path.exists(source):
            raise OSError("no such file: " + source)
    except (OSError, ValueError) as error:
        print("cannot verify: %s" % error, file=sys.stderr)
        return 2
    fast = None if options.pure else fast_ed25519()
    verification = Verification(fast or verify_ed25519_pure, trusted, outside)
    if fast:
        verification.notes.append("Ed25519 by the installed package cryptography; --pure uses the code in this file")
    failure = None
    try:
        verification.run(read_folder(source) if os.path.isdir(source) else read_archive(source))
    except Failed as error:
        failure = error
    except OSError as error:
        print("cannot verify: %s" % error, file=sys.stderr)
        return 2
    result = report(verification, failure)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="replace")
        show(result, verification.keys, verification.head[3] if verification.head else ())
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
