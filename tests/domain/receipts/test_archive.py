"""Archives: what is written verifies, in the library and with the archive's own program; what is changed does not."""

import gzip
import io
import json
import re
import subprocess
import sys
import tarfile
import tracemalloc
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_builders import ORIGIN, START, WORKSPACE, Log, filled, seed

from domain.receipts import archive, merkle, standalone
from domain.receipts.canonical import canonical
from domain.receipts.checkpoint import Checkpoint, sign_checkpoint
from domain.receipts.errors import BadProof, LedgerError
from domain.receipts.receipt import Kind, rotation_metadata
from domain.receipts.report import CHECKS, Report
from domain.receipts.signing import KeyRing, Signer
from domain.receipts.unpack import limit_of, read_files
from domain.receipts.verify import verify_archive

PYTHON = [sys.executable, "-I", "-S"]


def check(data: bytes, **options) -> Report:
    return verify_archive(io.BytesIO(data), **options)


def check_standalone(data: bytes, *, trusted=(), checkpoint=None) -> dict:
    """The stand-alone verifier in this process, with its own Ed25519."""
    verification = standalone.Verification(standalone.verify_ed25519_pure, trusted, checkpoint)
    failure = None
    stream = gzip.GzipFile(fileobj=io.BytesIO(data)) if data[:2] == b"\x1f\x8b" else io.BytesIO(data)
    try:
        try:
            verification.run(standalone.read_tar(stream, len(data)))
        except (OSError, EOFError, standalone.zlib.error) as error:
            raise standalone.Failed("structure", str(error)) from error
    except standalone.Failed as error:
        failure = error
    return standalone.report(verification, failure)


def both(data: bytes, **options) -> Report:
    """The library's report, after holding the stand-alone one against it."""
    report, own = check(data, **options), check_standalone(data, **options)
    assert own["ok"] == report.ok, (own["errors"], report.errors)
    assert own["receipts"] == report.receipts
    failed = [[c["name"] for c in result["checks"] if c["ok"] is False] for result in (own, report.to_json())]
    assert failed[0] == failed[1], (own["errors"], report.errors)
    return report


def files_of(data: bytes) -> dict[str, bytes]:
    return dict(read_files(io.BytesIO(data)))


def pack(files: dict[str, bytes], signer: Signer) -> bytes:
    """Put an archive together again around changed files, with index and seal made anew by `signer`."""
    files = {path: data for path, data in files.items() if path not in (archive.MANIFEST, archive.INDEX, archive.SEAL)}

    def entry(path: str, data: bytes) -> archive.Entry:
        return archive.Entry(path, len(data), merkle.hashlib.sha256(data).digest())

    entries = [entry(path, data) for path, data in files.items()]
    fields = {
        "actor_did": "x",
        "created_at": "x",
        "intent_id": "x",
        "pack_id": "p",
        "policy_hash": "x",
        "version": "1.0.0",
    }
    manifest = archive._manifest(entries, fields=fields)
    entries = sorted([entry(archive.MANIFEST, manifest), *entries], key=lambda item: item.path)
    index = archive.index_bytes(entries, pack_id="p")
    seal = archive._seal(index, entries, signer=signer, pack_id="p", created_at=START)
    files |= {archive.MANIFEST: manifest, archive.INDEX: index, archive.SEAL: seal}
    return tar(files)


def tar(files: dict[str, bytes]) -> bytes:
    out = b""
    for path in sorted(files, key=lambda path: (path != archive.MANIFEST, path)):
        data = files[path]
        out += archive.tar_header(path, len(data)) + data + bytes(-len(data) % 512)
    return out + bytes(1024)


def failed(report: Report) -> str:
    names = [item.name for item in report.checks if item.ok is False]
    assert len(names) == 1, report.errors
    return names[0]


@pytest.fixture(scope="module")
def log() -> Log:
    log = filled(12)
    log.rotate(Signer(seed("second key")))
    for _ in range(7):
        log.add(kind=Kind.OUTCOME, output_hash="ab" * 32)
    return log


@pytest.fixture(scope="module")
def whole(log) -> bytes:
    return log.archive()


@pytest.fixture(scope="module")
def part(log) -> bytes:
    return log.archive(only=[2, 3, 7, 12, 13, 19], subject="task-2")


def test_the_whole_log_verifies(log, whole):
    report = both(whole)
    assert report.ok, report.errors
    assert (report.receipts, report.tree_size, report.origin, report.scope) == (20, 20, ORIGIN, "workspace")
    assert report.root == log.frontier.root().hex()
    assert [item.name for item in report.checks] == [name for name in CHECKS if name != "outside"]
    assert not report.pinned
    assert "claim" in report.notes[0]
    assert json.loads(json.dumps(report.to_json()))["treeSize"] == 20


def test_a_part_of_the_log_verifies(part):
    report = both(part)
    assert report.ok, report.errors
    assert (report.receipts, report.tree_size, report.scope) == (6, 20, "task")


def test_an_empty_log_verifies():
    assert both(Log().archive()).ok


def test_archives_are_deterministic_plain_tar(log, whole, tmp_path):
    assert log.archive() == whole
    with tarfile.open(fileobj=io.BytesIO(whole)) as opened:
        members = opened.getmembers()
    names = [member.name for member in members]
    assert names[0] == "manifest.json"
    assert names[1:] == sorted(names[1:])
    assert {(m.mode, m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0o644, 0, 0, "", "", 0)}
    assert names.count("receipts/0000000012.json") == 1
    (tmp_path / "a.tar.gz").write_bytes(whole)
    listed = subprocess.run(["tar", "tzf", "a.tar.gz"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert listed.stdout.split() == names
    assert both(gzip.decompress(whole)).ok


def test_the_index_and_manifest_name_every_file(whole):
    files = files_of(whole)
    manifest, index = json.loads(files["manifest.json"]), json.loads(files["00_INDEX.json"])
    frame = {"manifest.json", "00_INDEX.json", archive.SEAL}
    assert {entry["path"] for entry in manifest["entries"]} == files.keys() - frame
    assert {entry["path"] for entry in index["entries"]} == files.keys() - frame | {"manifest.json"}
    claimed = manifest.pop("manifest_hash")
    assert claimed == "sha256:" + merkle.hashlib.sha256(canonical(manifest)).hexdigest()


def test_a_damaged_log_is_not_exported(log):
    leaf = log.receipts[3].leaf
    receipts = [(index, receipt.leaf) for index, receipt in enumerate(log.receipts)]
    broken = [*receipts[:3], (3, leaf.replace(b"http.post", b"http.putt")), *receipts[4:]]
    values = {
        "checkpoint": log.checkpoint(), "keys": log.keys, "signer": log.signer, "workspace_id": WORKSPACE,
        "pack_id": "p", "created_at": START,
    }  # fmt: skip

    def proof(index):
        return merkle.inclusion_proof(index, 20, log.get_node)

    too_few, reversed_, too_many = receipts[:-1], receipts[::-1], [*receipts, (20, leaf)]
    for wrong in (broken, too_few, reversed_, too_many):
        with pytest.raises(LedgerError):
            archive.write_archive(io.BytesIO(), wrong, **values)
    for wrong in (broken, reversed_, too_many):
        with pytest.raises(LedgerError):
            archive.write_archive(io.BytesIO(), wrong, scope="range", proof=proof, **values)
    with pytest.raises(LedgerError):
        archive.write_archive(io.BytesIO(), receipts, scope="range", **values)


# --- every change is found ----------------------------------------------------------------------------


def test_every_byte_of_every_receipt_matters(whole, part):
    for data in (whole, part):
        files = files_of(data)
        for path in files:
            if path.startswith("receipts/"):
                for at in range(0, len(files[path]), 97):
                    changed = bytearray(files[path])
                    changed[at] ^= 0x01
                    report = check(tar(files | {path: bytes(changed)}))
                    assert not report.ok
                    assert path in report.errors[0]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_flipped_bit_of_any_file_is_found(whole, part, data):
    files = files_of(data.draw(st.sampled_from([whole, part])))
    path = data.draw(st.sampled_from(sorted(files)))
    changed = bytearray(files[path])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    forged = tar(files | {path: bytes(changed)})
    assert not check(forged).ok
    assert not check_standalone(forged)["ok"]


def test_a_seal_has_one_spelling(whole):
    """The bit that turns a hex digit into its other case changes no number, but the file is another one."""
    files = files_of(whole)
    seal = json.loads(files[archive.SEAL])
    for signature in (seal["signature"].upper(), seal["signature"][:2] + " " + seal["signature"][2:]):
        forged = tar(files | {archive.SEAL: canonical(seal | {"signature": signature})})
        assert failed(both(forged)) == "seal"


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_flipped_bit_of_the_plain_tar_is_found(whole, part, data):
    raw = bytearray(gzip.decompress(data.draw(st.sampled_from([whole, part]))))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert not check(bytes(raw)).ok
    assert not check_standalone(bytes(raw))["ok"]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_the_bytes_verification_answers(whole, data):
    at = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.sampled_from([whole[:at], whole[at:], whole + b"x", whole[:at] + b"\x00" + whole[at + 1 :]]))
    report, own = check(cut), check_standalone(cut)
    assert report.ok == own["ok"]
    if report.ok:  # only bytes that gzip itself leaves without meaning
        assert files_of(cut) == files_of(whole)


def test_a_changed_byte_under_a_new_index_and_seal_is_found_in_the_tree(log, whole):
    """Who holds the key can seal again, but not without contradicting the chain and the checkpoint."""
    files = files_of(whole)
    path = "receipts/0000000005.json"
    body = json.loads(files[path])
    body["timestamp"] = "2026-11-23T11:00:00Z"
    report = both(pack(files | {path: canonical(body)}, log.signer))
    assert failed(report) == "chain"
    assert "receipts/0000000006.json" in report.errors[0]
    last = "receipts/0000000019.json"
    body = json.loads(files[last])
    body["executor_id"] = "somebody else"
    assert failed(both(pack(files | {last: canonical(body)}, log.signer))) == "inclusion"


def test_the_first_failing_check_is_named(log, whole, part):
    files = files_of(whole)
    path = "receipts/0000000005.json"
    body = json.loads(files[path])

    def with_body(**change) -> str:
        return failed(both(pack(files | {path: canonical(body | change)}, log.signer)))

    assert with_body(verdict="DENY") == "signature"
    assert with_body(key_id="00000000") == "key"
    assert with_body(public_key_set={"ed25519": "00" * 32}) == "key"
    assert with_body(timestamp="2020-01-01T00:00:00Z") == "key"
    assert with_body(timestamp="yesterday") == "members"
    assert with_body(surprise="x") == "members"
    assert with_body(metadata=body["metadata"] | {"workspace_id": "other"}) == "scope"
    assert failed(both(pack(files | {path: files[path] + b"\n"}, log.signer))) == "canonical"
    without = {name: data for name, data in files.items() if name != path}
    assert failed(both(pack(without, log.signer))) == "chain"
    assert failed(both(tar(without))) == "chain"
    unproven = {name: data for name, data in files_of(part).items() if name != "log/proofs/0000000007.tlog-proof"}
    assert failed(both(pack(unproven, log.signer))) == "inclusion"
    assert failed(both(tar({name: data for name, data in files.items() if name != archive.SEAL}))) == "structure"
    assert failed(both(tar(files | {"surprise.txt": b"x"}))) == "structure"
    assert failed(both(tar(files | {"VERIFY.md": b"x"}))) == "index"
    assert failed(both(pack(files, Signer(seed("stranger"))))) == "seal"
    scope = json.loads(files[archive.SCOPE]) | {"kind": "task"}
    assert failed(both(pack(files | {archive.SCOPE: canonical(scope)}, log.signer))) == "inclusion"
    assert failed(both(b"")) == "structure"
    assert failed(both(b"not an archive at all" * 100)) == "structure"


def test_a_checkpoint_of_another_tree_is_found(log, whole):
    other = sign_checkpoint(Checkpoint(ORIGIN, 20, bytes(32)), signers=[log.signer])
    report = both(pack(files_of(whole) | {archive.CHECKPOINT: other.encode()}, log.signer))
    assert failed(report) == "inclusion"
    stranger = sign_checkpoint(Checkpoint(ORIGIN, 20, log.frontier.root()), signers=[Signer(seed("stranger"))])
    assert failed(both(pack(files_of(whole) | {archive.CHECKPOINT: stranger.encode()}, log.signer))) == "checkpoint"


# --- keys ---------------------------------------------------------------------------------------------


def test_a_pinned_key_is_followed_through_its_rotation(log, whole):
    first, second = Signer(seed("first key")), Signer(seed("second key"))
    for key in (first, second):
        report = both(whole, trusted=[key.public])
        assert report.ok, report.errors
        assert report.pinned
    assert failed(both(whole, trusted=[Signer(seed("stranger")).public])) == "checkpoint"


def test_a_stranger_cannot_hand_over_to_a_pinned_key():
    honest, stranger = Signer(seed("first key")), Signer(seed("stranger"))
    forged = Log(signer=stranger)
    forged.add()
    forged.rotate(honest)
    forged.signer = stranger
    report = both(forged.archive(), trusted=[honest.public])
    assert failed(report) == "checkpoint"


def test_a_key_nobody_handed_over_to_is_refused():
    log = filled(3)
    other = Signer(seed("other"))
    log.records.append(other.record(not_before=START - timedelta(days=1)))
    log.signer = other
    log.add()
    assert failed(both(log.archive())) == "key"


def test_the_old_key_signs_nothing_after_the_rotation():
    log = filled(3)
    old = log.signer
    log.rotate(Signer(seed("second key")))
    log.records[0] = old.record(not_before=START - timedelta(days=1))
    log.signer = old
    log.add()
    assert failed(both(log.archive())) == "key"


@pytest.mark.parametrize("change", [{"new_public_key": "zz"}, {"new_key_id": "00000000"}, {"new_key_name": None}])
def test_malformed_rotations_are_refused(change):
    log = filled(2)
    log.add(kind=Kind.KEY_ROTATION, metadata=rotation_metadata(Signer(seed("second key"))) | change)
    assert failed(both(log.archive())) == "key"


def test_keys_that_are_not_their_own_id_are_refused(log, whole):
    files = files_of(whole)
    keys = json.loads(files[archive.KEYS])
    keys["keys"][0]["public_key"] = "00" * 32
    assert failed(both(pack(files | {archive.KEYS: canonical(keys)}, log.signer))) == "keys"
    name = f"keys/{log.signer.key_id}.vkey"
    assert failed(both(pack(files | {name: b"x\n"}, log.signer))) == "keys"
    assert failed(both(pack(files | {"keys/00000000.pem": b"x"}, log.signer))) == "keys"


# --- the other checkpoint -----------------------------------------------------------------------------


def test_an_older_checkpoint_must_be_extended(log, whole):
    for size in (1, 2, 11, 16, 19, 20):
        # checkpoints before the rotation were signed by the first key
        report = both(whole, checkpoint=log.checkpoint(size=size, signers=[Signer(seed("first key"))]))
        assert report.ok, report.errors
        assert report.checks[-1].name == "outside"
    empty = sign_checkpoint(Checkpoint(ORIGIN, 0, merkle.EMPTY_ROOT), signers=[log.signer])
    assert both(whole, checkpoint=empty).ok


def test_a_rewritten_history_contradicts_an_older_checkpoint(log, whole):
    """The owner of the key writes another history; only a checkpoint kept elsewhere shows it."""
    kept = log.checkpoint(size=8, signers=[Signer(seed("first key"))])
    rewritten = Log()
    for number in range(12):
        rewritten.add(verdict="ALLOW" if number == 4 else "DENY")
    forged = rewritten.archive()
    assert both(forged).ok
    assert failed(both(forged, checkpoint=kept)) == "outside"
    assert both(whole, checkpoint=kept).ok


def test_other_checkpoints_that_prove_nothing(log, whole, part):
    assert failed(both(whole, checkpoint="nonsense")) == "outside"
    other = sign_checkpoint(Checkpoint("pilot.example/other", 8, bytes(32)), signers=[log.signer])
    assert failed(both(whole, checkpoint=other)) == "outside"
    stranger = log.checkpoint(size=8, signers=[Signer(seed("stranger"))])
    assert failed(both(whole, checkpoint=stranger)) == "outside"
    later = log.checkpoint(size=8)
    assert failed(both(part, checkpoint=later)) == "outside"


def test_a_consistency_proof_joins_a_part_with_an_older_checkpoint(log, part):
    kept = log.checkpoint(size=8)
    path = merkle.consistency_proof(8, 20, log.get_node)
    assert check(part, checkpoint=kept, consistency=path).ok
    assert failed(check(part, checkpoint=kept, consistency=path[:-1])) == "outside"


def test_a_newer_checkpoint_needs_a_proof(log):
    older = filled(9)
    data = older.archive()
    newer = log.checkpoint(signers=[Signer(seed("first key"))])
    assert failed(both(data, checkpoint=newer)) == "outside"
    # filled(9) and the log began alike, so the proof exists
    path = merkle.consistency_proof(9, 20, log.get_node)
    assert check(data, checkpoint=newer, consistency=path).ok


# --- the archive's own program, as a stranger runs it -----------------------------------------------------


def run(*arguments, cwd) -> subprocess.CompletedProcess:
    return subprocess.run([*PYTHON, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120)


def test_the_archives_own_verifier_needs_only_the_standard_library(log, whole, part, tmp_path):
    for name, data in (("whole", whole), ("part", part)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "a.tar.gz").write_bytes(data)
        unpacked = folder / "unpacked"
        unpacked.mkdir()
        subprocess.run(["tar", "xzf", folder / "a.tar.gz", "-C", unpacked], check=True)
        own = unpacked / "verify.py"
        assert own.read_bytes() == archive.standalone_source()
        answer = run(own, folder / "a.tar.gz", cwd=tmp_path)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert answer.stdout.endswith("VERIFIED\n")
        assert "openssl pkeyutl -verify" in answer.stdout
        inside = run("verify.py", "--json", cwd=unpacked)
        assert inside.returncode == 0, inside.stdout + inside.stderr
        assert json.loads(inside.stdout)["ok"] is True
        receipt = next((unpacked / "receipts").iterdir())
        raw = bytearray(receipt.read_bytes())
        raw[200] ^= 1
        receipt.write_bytes(bytes(raw))
        broken = run("verify.py", "--json", cwd=unpacked)
        assert broken.returncode == 1
        assert receipt.name in json.loads(broken.stdout)["errors"][0]


def test_pinning_and_comparing_on_the_command_line(log, whole, tmp_path):
    (tmp_path / "verify.py").write_bytes(archive.standalone_source())
    (tmp_path / "a.tar.gz").write_bytes(whole)
    (tmp_path / "kept").write_text(log.checkpoint(size=8))
    (tmp_path / "other").write_text(filled(8).checkpoint().replace("\n8\n", "\n9\n"))
    key = log.signer.public_hex
    assert run("verify.py", "a.tar.gz", "--key", key, "--checkpoint", "kept", cwd=tmp_path).returncode == 0
    assert run("verify.py", "a.tar.gz", "--key", "00" * 32, cwd=tmp_path).returncode == 1
    assert run("verify.py", "a.tar.gz", "--checkpoint", "other", cwd=tmp_path).returncode == 1
    for wrong in (["missing.tar.gz"], ["a.tar.gz", "--key", "zz"], ["a.tar.gz", "--checkpoint", "none"], ["--what"]):
        assert run("verify.py", *wrong, cwd=tmp_path).returncode == 2


def test_with_cryptography_installed_it_says_so(whole, tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(whole)
    command = [sys.executable, archive.__file__.replace("archive.py", "standalone.py"), tmp_path / "a.tar.gz"]
    fast = subprocess.run(command, capture_output=True, text=True)
    assert (fast.returncode, "installed package cryptography" in fast.stdout) == (0, True)
    pure = subprocess.run([*command, "--pure"], capture_output=True, text=True)
    assert (pure.returncode, "installed package cryptography" in pure.stdout) == (0, False)


def test_the_guide_can_be_followed_literally(whole, tmp_path):
    with tarfile.open(fileobj=io.BytesIO(whole)) as opened:
        opened.extractall(tmp_path, filter="data")
    guide = (tmp_path / "VERIFY.md").read_text()
    commands = re.search(r"```sh\n(.*?)```", guide, re.DOTALL)[1]
    answer = subprocess.run(["sh", "-e", "-c", commands], cwd=tmp_path, capture_output=True, text=True)
    assert (answer.returncode, answer.stdout.strip()) == (0, "Signature Verified Successfully"), answer.stderr


def test_the_standalone_imports_only_the_standard_library():
    source = archive.standalone_source().decode()
    imported = set(re.findall(r"^import (\w+)$", source, re.MULTILINE))
    assert imported <= sys.stdlib_module_names
    assert re.findall(r"^\s*from (\S+) import", source, re.MULTILINE) == [
        "cryptography.exceptions", "cryptography.hazmat.primitives.asymmetric.ed25519",
    ]  # fmt: skip
    compile(source, "verify.py", "exec", dont_inherit=True)
    standalone_ast = __import__("ast").parse(source, feature_version=(3, 8))
    assert standalone_ast.body


def test_a_ring_without_the_signer_cannot_export(log):
    with pytest.raises(LedgerError):
        log.archive(keys=KeyRing([]))
    with pytest.raises(BadProof):
        log.archive(checkpoint=log.checkpoint(size=19), only=[0], scope="range",
                    proof=lambda index: merkle.inclusion_proof(index, 20, log.get_node))  # fmt: skip


# --- what an archive may make its reader hold -------------------------------------------------------


def memory_of(work) -> int:
    """The most bytes Python held at once for `work`."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def bomb(path: str, size: int, *, before: bytes = b"", fill: bytes = b" ") -> bytes:
    """A gzip of a tar with one file of that many equal bytes, a thousandth of it as long."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as packed:
        packed.write(before + archive.tar_header(path, size))
        for _ in range(size // 2**20):
            packed.write(fill * 2**20)
        packed.write(bytes(-size % 512 + 1024))
    return out.getvalue()


def head_of(files: dict[str, bytes], last: str) -> bytes:
    """The plain tar up to a file and with it."""
    paths = sorted(files, key=lambda path: (path != archive.MANIFEST, path))
    kept = {path: files[path] for path in paths[: paths.index(last) + 1]}
    return tar(kept)[:-1024]


@pytest.mark.parametrize(
    ("after", "path"),
    [
        (None, archive.MANIFEST),
        (archive.MANIFEST, archive.INDEX),
        (archive.INDEX, archive.SEAL),
        (archive.SEAL, archive.GUIDE),
        (archive.GUIDE, "keys/00000000.pem"),
        (archive.GUIDE, archive.KEYS),
        (archive.CHECKPOINT, "log/proofs/0000000000.tlog-proof"),
        (archive.CHECKPOINT, archive.SCOPE),
        (archive.SCOPE, "receipts/0000000000.json"),
        (archive.SCOPE, archive.VERIFIER),
    ],
)
def test_no_file_is_unpacked_that_is_larger_than_it_can_be(whole, after: str | None, path: str):
    before = b"" if after is None else head_of(files_of(whole), after)
    data = bomb(path, 300 * 2**20, before=before)
    assert len(data) < 2**20
    reports: list[Report] = []
    assert memory_of(lambda: reports.append(both(data))) < 60 * 2**20
    [report] = reports
    assert failed(report) == "structure"
    assert "no such file of an export is that large" in report.errors[0]
    assert path in report.errors[0]


def test_a_manifest_that_names_files_without_number_is_not_read(tmp_path):
    entry = b'{"content_hash":"sha256:' + b"0" * 64 + b'","content_type":"text/plain","path":"%019d","size":1},'
    names = b'{"entries":[' + b"".join(entry % number for number in range(400_000)) + b"]}"
    data = gzip.compress(archive.tar_header(archive.MANIFEST, len(names)) + names + bytes(-len(names) % 512 + 1024))
    assert len(data) < 4 * 2**20 < len(names) / 10
    assert memory_of(lambda: both(data)) < 60 * 2**20
    file = tmp_path / "bomb.tar.gz"
    file.write_bytes(data)
    (tmp_path / "verify.py").write_bytes(archive.standalone_source())
    done = subprocess.run(
        [*PYTHON, "-c", LIMITED, "verify.py", "bomb.tar.gz"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "no such file of an export is that large" in done.stdout


# the archive's own verifier, with no more memory than a small machine has left
LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_AS, (300 * 2**20, 300 * 2**20))
sys.argv = sys.argv[1:]
runpy.run_path("verify.py", run_name="__main__")
"""


def test_an_archive_as_it_is_written_is_never_near_its_bounds():
    for count in (1, 40, 400):
        log = filled(count)
        for data in (log.archive(), log.archive(only=range(0, count, 2), subject="x")):
            files = files_of(data)
            for path, content in files.items():
                assert len(content) * 2 <= limit_of(path, len(data)), path
            # and where there are many files, the archive is the longer one by far
            if count == 400:
                assert max(len(files[archive.MANIFEST]), len(files[archive.INDEX])) < len(data)
            assert check(tar(files)).ok


def test_a_folder_is_held_to_the_same(whole, tmp_path):
    for path, content in files_of(whole).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    assert run("verify.py", cwd=tmp_path).returncode == 0
    (tmp_path / "keys" / "keys.json").write_bytes(b" " * 2**21)
    done = run("verify.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "no such file of an export is that large" in done.stdout


def test_a_receipt_of_brackets_is_no_receipt(log, whole):
    files = files_of(whole)
    for deep in (b"[" * 60_000, b"[" * 900 + b"]" * 900, b'{"a":' * 900 + b"1" + b"}" * 900):
        report = both(pack({**files, "receipts/0000000000.json": deep}, log.signer))
        assert not report.ok
