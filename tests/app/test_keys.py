"""Handing over from one signing key to the next: nothing signed before is lost, and nobody signs with two at once."""

import asyncio
import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import app.keys
from app.container import open_services
from app.doctor import examine
from app.holding import within
from app.keys import rotate_key
from app.settings import BadSettings, Settings, kept_secrets, load_settings
from domain.receipts.archive import standalone_source
from domain.receipts.checkpoint import open_checkpoint
from domain.receipts.errors import BadNote
from domain.receipts.signing import Signer, parse_seed
from domain.receipts.verify import verify_archive
from storage import private
from tests.api.harness import Harness, open_house
from tests.app.test_evals import pilot
from tests.databases import fresh_url
from tests.processes import Program, call, free_ports, ready


def settings_of(folder: Path, url: str = "", **more: Any) -> Settings:
    return load_settings(_env_file=None, pilot_data_dir=folder / "data", database_url=url, **more)


def signer_of(text: str) -> Signer:
    return Signer(parse_seed(text))


def own_key(settings: Settings) -> str:
    assert settings.evidence_signing_key is not None
    return settings.evidence_signing_key.get_secret_value()


class Person:
    def __init__(self, base: str) -> None:
        self.base = base
        _, asked = call("POST", f"{base}/api/auth/email/request", {"email": "ada@example.com"})
        _, login = call("POST", f"{base}/api/auth/email/verify", {"email": "ada@example.com", "code": asked["code"]})
        self.headers = {"Authorization": f"Bearer {login['token']}", "X-Workspace-Id": login["workspace"]["id"]}

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return call(method, self.base + path, body, self.headers)

    def note(self, title: str) -> tuple[int, Any]:
        return self.ask("POST", "/api/knowledge/pages", {"title": title, "compiledTruth": "x"})


def verified(archive: bytes, folder: Path, *, key: str, checkpoint: str | None = None) -> None:
    """By both verifiers, with this key pinned."""
    result = verify_archive(io.BytesIO(archive), trusted=(bytes.fromhex(key),), checkpoint=checkpoint)
    assert result.ok, [c for c in result.checks if c.ok is False]
    (folder / "verify.py").write_bytes(standalone_source())
    (folder / "archive.tar.gz").write_bytes(archive)
    more = []
    if checkpoint is not None:
        (folder / "checkpoint").write_text(checkpoint)
        more = ["--checkpoint", "checkpoint"]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "verify.py", "archive.tar.gz", "--key", key, *more],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_program_hands_over(tmp_path: Path) -> None:
    port = free_ports(1)
    base = f"http://127.0.0.1:{port}"
    data = {"PILOT_DATA_DIR": str(tmp_path / "data"), "PORT": str(port), "RATE_LIMITS_ENABLED": "false"}
    program = Program(tmp_path, "serve", **data, LOG_FORMAT="json")

    try:
        ready(base)
        person = Person(base)
        assert person.note("before")[0] == 201
        _, early = person.ask("GET", "/api/governance/log/checkpoint")
        _, archive = person.ask("GET", "/api/governance/archive")
        old = signer_of(kept_secrets(tmp_path / "data")["evidence_signing_key"])
        # the program would go on with the former key
        assert pilot(tmp_path, "", "keys", "rotate")[0] == 1
        assert signer_of(kept_secrets(tmp_path / "data")["evidence_signing_key"]).key_id == old.key_id
        assert person.note("still with the former key")[0] == 201
        assert program.stop() == 0
        code, told, err = pilot(tmp_path, "", "keys", "rotate", "--json")
        assert code == 0, err
        kept = kept_secrets(tmp_path / "data")
        new = signer_of(kept["evidence_signing_key"])
        assert (told["keyId"], told["publicKey"]) == (new.key_id, new.public_hex)
        assert not any(kept[name] in json.dumps(told) for name in ("evidence_signing_key", "evidence_retiring_keys"))
        program.start()
        ready(base)
        assert person.note("after")[0] == 201
        _, keys = call("GET", f"{base}/.well-known/pilot-keys.json")
        [first, second] = keys["keys"]
        assert (first["key_id"], second["key_id"]) == (old.key_id, new.key_id)
        assert first["not_before"] < first["retired_at"] == second["not_before"]
        assert second["retired_at"] is None
        # while both sign, whoever knows one of them can check the log's head
        _, now = person.ask("GET", "/api/governance/log/checkpoint")
        for known in (old, new):
            assert open_checkpoint(now["note"], keys=[known.public]).signed_by == (known.public,)
        with pytest.raises(BadNote):
            open_checkpoint(now["note"], keys=[Signer(bytes(32)).public])
        # what was signed before holds for ever; what came after leads back to the key that was pinned then
        verified(archive, tmp_path, key=old.public_hex)
        _, later = person.ask("GET", "/api/governance/archive")
        verified(later, tmp_path, key=old.public_hex, checkpoint=early["note"])
        _, listed = person.ask("GET", "/api/governance/receipts?kind=key_rotation")
        assert [r["action"] for r in listed["receipts"]] == ["ledger:key_rotated"]
        # the overlap ends when the former key is taken out
        assert program.stop() == 0
        path = tmp_path / "data" / "secrets.env"
        path.write_text("".join(li for li in path.read_text().splitlines(True) if "RETIRING" not in li))
        program.start()
        ready(base)
        assert person.note("alone")[0] == 201
        _, alone = person.ask("GET", "/api/governance/log/checkpoint")
        with pytest.raises(BadNote):
            open_checkpoint(alone["note"], keys=[old.public])
        _, last = person.ask("GET", "/api/governance/archive")
        verified(last, tmp_path, key=old.public_hex, checkpoint=now["note"])
    finally:
        program.kill()


@pytest.fixture(params=["sqlite", "postgres"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    async with open_house(fresh_url(request.param, tmp_path), tmp_path) as opened:
        yield opened


async def test_a_process_with_the_former_key_signs_nothing(harness: Harness, tmp_path: Path) -> None:
    owner = await harness.person("ada@example.com")
    url = harness.services.store.url

    async def size() -> int:
        return int((await owner("GET", "/api/governance/log/checkpoint")).data["size"])

    async def change(n: int) -> Any:
        return await owner("POST", "/api/knowledge/pages", {"title": f"n{n}", "compiledTruth": "x"})

    assert (await change(0)).status == 201
    before = await size()
    # writers are at it while the key changes under them
    writing = [asyncio.ensure_future(change(n)) for n in range(1, 41)]
    with within(harness.parts.hold):
        # as if a connection that held the store had been lost just before
        done = await asyncio.to_thread(rotate_key, settings_of(tmp_path, url))
    statuses = [reply.status for reply in await asyncio.gather(*writing)]
    assert set(statuses) <= {201, 503}
    late = await change(41)
    assert (late.status, late.code) == (503, "signing_key_retired")
    assert (await owner("GET", "/api/governance/log/checkpoint")).status == 503
    async with open_services(settings_of(tmp_path, url)) as parts:
        services = parts.services
        assert services.ledger.signer.key_id == done["keyId"]
        assert len(services.ledger.retiring) == 1
        assert services.ledger.damaged == {}
        rows = await services.store.read(lambda tx: _kinds(tx, owner.workspace_id))
        # the rotation is the last word of the former key
        assert rows[-1] == "key_rotation"
        assert len(rows) == before + statuses.count(201) + 1


def _kinds(tx: Any, workspace_id: str) -> list[str]:
    from storage.ledger import receipt_rows

    return [row.kind for row in reversed(receipt_rows.find(tx, workspace_id, limit=1000))]


async def logged(settings: Settings) -> None:
    """A workspace with a log."""
    async with open_services(settings) as parts:
        services = parts.services
        user = await services.store.write(lambda tx: services.people.of_address(tx, "ada@example.com"))
        await services.tenants.create(name="One", owner_id=user.id)


async def refusal(settings: Settings) -> str:
    with pytest.raises(BadSettings) as refused:
        async with open_services(settings):
            pass
    return refused.value.problems[0]


async def test_a_rotation_that_broke_off_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(tmp_path)
    await logged(settings)
    pending = tmp_path / "data" / "next-signing-key"

    def breaks(*_: Any) -> Any:
        raise OSError("no space left")

    # before the logs know: the key that is there is taken
    monkeypatch.setattr(app.keys, "with_parts", breaks)
    with pytest.raises(OSError):
        await asyncio.to_thread(rotate_key, settings)
    assert pending.stat().st_mode & 0o777 == 0o600
    next_key = signer_of(pending.read_text().strip()).key_id
    monkeypatch.undo()
    # after the logs know, before anybody was told
    monkeypatch.setattr(app.keys, "keep_secrets", breaks)
    with pytest.raises(OSError):
        await asyncio.to_thread(rotate_key, settings)
    monkeypatch.undo()
    assert "retired by a rotation" in await refusal(settings_of(tmp_path))
    done = await asyncio.to_thread(rotate_key, settings_of(tmp_path))
    assert done["keyId"] == next_key
    assert not pending.exists()
    fresh = settings_of(tmp_path)
    assert signer_of(own_key(fresh)).key_id == next_key
    async with open_services(fresh) as parts:
        rows = await parts.services.store.read(lambda tx: [row for log in _logs(tx) for row in _kinds(tx, log)])
    assert rows.count("key_rotation") == done["logs"]
    # and again: the next rotation is another one
    again = await asyncio.to_thread(rotate_key, fresh)
    assert again["keyId"] != next_key


def _logs(tx: Any) -> Any:
    from storage.ledger import log_rows

    return log_rows.logs(tx)


async def test_a_key_that_was_set_is_left_to_who_set_it(tmp_path: Path) -> None:
    seed = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="
    settings = settings_of(tmp_path, evidence_signing_key=seed)
    await logged(settings)
    generated = kept_secrets(tmp_path / "data")
    done = await asyncio.to_thread(rotate_key, settings)
    path = tmp_path / "data" / "next-signing-key"
    fresh = path.read_text().strip()
    assert kept_secrets(tmp_path / "data") == generated
    assert path.stat().st_mode & 0o777 == 0o600
    assert fresh not in json.dumps(done)
    assert "Set EVIDENCE_SIGNING_KEY to it" in done["said"]
    assert signer_of(fresh).key_id == done["keyId"]
    assert str(path) in await refusal(settings)
    after = settings_of(tmp_path, evidence_signing_key=fresh, evidence_retiring_keys=seed)
    async with open_services(after) as parts:
        [first, second] = await parts.services.proofs.ring()
        assert first.retired_at is not None
        assert first.retired_at <= datetime.now(UTC)
        assert second.key_id == done["keyId"]
    # the file nobody deleted does not stand in the way of the next rotation
    again = await asyncio.to_thread(rotate_key, after)
    assert again["keyId"] not in (done["keyId"], signer_of(seed).key_id)


async def test_a_copy_from_before_a_rotation_says_which_key_it_takes(tmp_path: Path) -> None:
    """It said only to rotate, and rotating said the same again; the doctor found nothing wrong."""
    before = settings_of(tmp_path)
    async with open_services(before):
        pass
    other = settings_of(tmp_path, evidence_signing_key=base64.b64encode(os.urandom(32)).decode())
    said = await refusal(other)
    assert f"signed with {signer_of(own_key(before)).key_id}" in said
    assert "EVIDENCE_RETIRING_KEYS" in said
    found = {one.what: one for one in await asyncio.to_thread(examine, other)}
    assert (found["signing key"].ok, found["signing key"].bearable, found["signing key"].said) == (False, False, said)
    assert "signing key" not in {one.what for one in await asyncio.to_thread(examine, before)}


def test_secrets_are_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secrets.env"
    path.write_text("A=1\n")
    path.chmod(0o644)
    private.replace(path, "A=2\n")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("A=2\n", 0o600)

    def dies(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", dies)
    with pytest.raises(KeyboardInterrupt):
        private.replace(path, "A=3\n")
    assert path.read_text() == "A=2\n"
    monkeypatch.undo()
    private.replace(path, "A=4\n")
    assert path.read_text() == "A=4\n"
    assert [p.name for p in tmp_path.iterdir()] == ["secrets.env"]
