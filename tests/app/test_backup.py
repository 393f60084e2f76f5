"""`pilot backup` and `restore` on real databases, and what tells that an old copy was put back."""

import os
import sqlite3
from pathlib import Path

import pytest

from app.container import open_services
from app.settings import load_settings
from domain.identity.actor import Actor, Channel, Role
from services.container import Services
from services.runs.tasks import NewTask
from storage.transaction import Tx
from tests.app.test_cli import pilot, told
from tests.databases import fresh_url, postgres_programs


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The settings that name the database."""
    url = fresh_url(request.param, tmp_path, migrated=False)
    return {"DATABASE_URL": url, "PATH": f"{postgres_programs()}:{os.environ['PATH']}"}


async def owner_of(services: Services) -> Actor:
    def work(tx: Tx) -> Actor:
        user = services.people.of_address(tx, "ada@example.com")
        workspace, role, _ = services.admission.settle_in(tx, user)
        return Actor(user_id=user.id, name=user.name, channel=Channel.EMAIL, workspace_id=workspace.id, role=Role(role))

    return await services.store.write(work)


async def test_an_old_copy_is_put_back_and_a_checkpoint_kept_elsewhere_tells(
    tmp_path: Path, store: dict[str, str]
) -> None:
    settings = load_settings(_env_file=None, pilot_data_dir=tmp_path / "data", database_url=store["DATABASE_URL"])
    copy, before, after = tmp_path / "old.backup", tmp_path / "before.note", tmp_path / "after.note"
    async with open_services(settings) as parts:
        services = parts.services
        owner = await owner_of(services)
        await services.tasks.create(owner, NewTask(title="kept"))
        before.write_text((await services.proofs.checkpoint(owner)).note)
        # the database is in use
        done = told(tmp_path, "backup", str(copy), **store)
        assert (done["file"], done["bytes"]) == (str(copy), copy.stat().st_size)
        assert copy.stat().st_mode & 0o777 == 0o600
        for title in ("lost", "lost too"):
            await services.tasks.create(owner, NewTask(title=title))
        after.write_text((await services.proofs.checkpoint(owner)).note)

    assert told(tmp_path, "restore", str(copy), "--yes", **store)["file"] == str(copy)
    async with open_services(settings) as parts:
        services = parts.services
        assert [t.title for t in await services.tasks.list(owner)] == ["kept"]
        # in itself the log is whole: it is older, and goes on from there
        assert services.ledger.damaged == {}
        with await services.archives.export(owner) as stream:
            shorter = tmp_path / "shorter.tar.gz"
            shorter.write_bytes(stream.read())
        for title in ("other", "another", "yet another"):
            await services.tasks.create(owner, NewTask(title=title))
        with await services.archives.export(owner) as stream:
            archive = tmp_path / "receipts.tar.gz"
            archive.write_bytes(stream.read())

    assert pilot(tmp_path, "verify", str(archive))[0] == 0
    assert pilot(tmp_path, "verify", str(archive), "--checkpoint", str(before))[0] == 0
    for other in (shorter, archive):
        code, out, _ = pilot(tmp_path, "verify", str(other), "--checkpoint", str(after))
        assert code == 1
        assert "FAIL" in out


def test_what_is_no_whole_copy_is_not_put_back(tmp_path: Path) -> None:
    code, _, err = pilot(tmp_path, "backup", str(tmp_path / "none"))
    assert (code, err.splitlines()[-1]) == (1, "there is no database yet")
    assert list(tmp_path.glob("data/*.db*")) == []
    assert told(tmp_path, "migrate")["migrated"] is True
    assert told(tmp_path, "migrate")["migrated"] is False
    copy = tmp_path / "copy"
    told(tmp_path, "backup", str(copy))
    assert pilot(tmp_path, "backup", str(copy))[::2] == (1, f"{copy} exists already\n")
    code, _, err = pilot(tmp_path, "backup", str(tmp_path / "nowhere" / "copy"))
    assert (code, err) == (1, f"{tmp_path / 'nowhere'} is no folder\n")

    [database] = (tmp_path / "data").glob("*.db")
    present = database.read_bytes()
    torn, other, words = tmp_path / "torn", tmp_path / "other", tmp_path / "words"
    torn.write_bytes(copy.read_bytes()[: copy.stat().st_size // 2])
    with sqlite3.connect(other) as foreign:
        foreign.execute("CREATE TABLE t (x)")
    words.write_text("no database at all, though long enough to be looked at " * 100)
    for bad, why in ((torn, "damaged"), (other, "no database of Pilot"), (words, "no database")):
        code, out, err = pilot(tmp_path, "restore", str(bad), "--yes")
        assert (code, out) == (1, "")
        assert why in err
        assert "Traceback" not in err
    # nobody said yes
    assert pilot(tmp_path, "restore", str(copy))[0] == 1
    assert database.read_bytes() == present
    assert pilot(tmp_path, "restore", str(tmp_path / "missing"), "--yes")[0] == 2


def test_postgres_says_what_it_lacks_and_never_its_password(tmp_path: Path) -> None:
    url = "postgresql+psycopg://pilot:s3cret-word@127.0.0.1:9/pilot"
    target = tmp_path / "dump"
    code, _, err = pilot(tmp_path, "backup", str(target), DATABASE_URL=url, PATH="/nonexistent")
    assert (code, err.splitlines()[-1]) == (1, "pg_dump is not installed: it comes with Postgres' client programs")
    code, out, err = pilot(tmp_path, "backup", str(target), DATABASE_URL=url, PATH=str(postgres_programs()))
    assert code == 1
    assert err.startswith("the database cannot be reached: ")
    assert "s3cret-word" not in out + err
    assert not target.exists()
