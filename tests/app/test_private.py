"""What Pilot writes is its owner's alone from the first byte; a restore that is killed leaves one store or the other.

Every step of a command that Python reports (opening, renaming, removing, changing a mode, starting a program) is a moment at
which the files are looked at, or the process dies. Programs of their own do this: nothing takes such a hook out again.
"""

import json
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.app.commands import command as pilot
from tests.databases import fresh_url, postgres_programs
from tests.processes import ROOT

# runs commands one after the other, and tells what under `folder` others could read at any step of each
LOOKING = """
import asyncio, json, os, stat, sys
folder, commands = sys.argv[1], json.loads(sys.argv[2])
looking, seen = False, []
def look(event, args):
    global looking
    if not looking or not (event in ("os.chmod", "subprocess.Popen") or any(folder in str(one) for one in args)):
        return
    looking = False
    for above, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(above, name)
            mode = os.lstat(path).st_mode if os.path.lexists(path) else 0
            if not stat.S_ISLNK(mode) and stat.S_IMODE(mode) & 0o077:
                seen.append((event, os.path.relpath(path, folder), oct(stat.S_IMODE(mode))))
    looking = True
async def people():
    from app.container import open_services
    from app.settings import load_settings
    async with open_services(load_settings()) as parts:
        services = parts.services
        user = await services.store.write(lambda tx: services.people.of_address(tx, "ada@example.com"))
        made, _ = await services.tenants.create(name="One", owner_id=user.id)
        return {"OWNER": user.id, "WORKSPACE": made.id}
os.umask(0)
from app.cli import main
sys.addaudithook(look)
names, found = {}, {}
for words in commands:
    looking, seen, code = True, [], 0
    try:
        if words == ["people"]:
            names = asyncio.run(people())
        elif words[0] == "exec":
            exec(words[1])
        else:
            main([names.get(word, word) for word in words], standalone_mode=False)
    except SystemExit as end:
        code = end.code
    looking = False
    found[" ".join(words)] = [code or 0, seen]
print("FOUND", json.dumps(found))
"""


def looked_at(folder: Path, *commands: tuple[str, ...], **settings: str) -> dict[str, Any]:
    """By command its exit code, and what others could read of all that lies under `folder` while it ran."""
    done = subprocess.run(
        [sys.executable, "-c", LOOKING, str(folder), json.dumps(commands)],
        cwd=folder,
        env={
            "PATH": f"{postgres_programs()}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PILOT_DATA_DIR": str(folder / "data"),
            **settings,
        },
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.partition("FOUND")[2])
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that everybody may look into."""
    made = tmp_path / "open"
    made.mkdir()
    made.chmod(0o777)
    return made


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_no_command_shows_anything_to_others_at_any_step(kind: str, folder: Path, tmp_path: Path) -> None:
    store = {"DATABASE_URL": "" if kind == "sqlite" else fresh_url("postgres", tmp_path, migrated=False)}
    copy = str(folder / "copy")
    found = looked_at(
        folder,
        ("migrate",),
        ("people",),
        ("admin", "create", "Second", "--owner", "OWNER"),
        ("policy", "export", "--workspace", "WORKSPACE", "--sidecar", str(folder / "policy")),
        ("backup", copy),
        ("keys", "rotate"),
        ("restore", copy, "--yes"),
        **store,
    )
    assert len(found) == 7
    assert {words: told for words, told in found.items() if told != [0, []]} == {}
    made = {path.relative_to(folder).parts[0] for path in folder.rglob("*")}
    assert made == {"data", "copy", "policy"}


def test_the_looking_finds_what_is_closed_only_afterwards(folder: Path) -> None:
    late = f"open('{folder}/f', 'w').close(); os.chmod('{folder}/f', 0o600); os.mkdir('{folder}/d')"
    [[code, seen]] = looked_at(folder, ("exec", late)).values()
    assert (code, [name for _, name, _ in seen]) == (0, ["f", "f"][: len(seen)])
    assert seen
    assert modes(folder) == {0o600}


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}


def test_what_was_open_to_others_is_closed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert pilot(tmp_path, "migrate")[0] == 0
    with closing(sqlite3.connect(data / "pilot.db")) as live:
        live.execute("CREATE TABLE more (x)")
        for path in (data, *data.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o666)
        (data / "pilot.db-journal").touch(0o644)
        assert pilot(tmp_path, "admin", "list")[0] == 0
        assert modes(data) == {0o600}
        assert {stat.S_IMODE(path.stat().st_mode) for path in (data, *data.rglob("*")) if path.is_dir()} == {0o700}


def test_a_folder_with_more_in_it_is_not_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "of-somebody-else").touch()
    assert pilot(tmp_path, "migrate", PILOT_DATA_DIR=str(tmp_path))[0] == 0
    assert pilot(tmp_path, "admin", "list", PILOT_DATA_DIR=str(tmp_path))[0] == 0
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "pilot.db").stat().st_mode) == 0o600


def test_a_backup_takes_no_name_that_is_taken(tmp_path: Path) -> None:
    assert pilot(tmp_path, "migrate")[0] == 0
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "dangling").symlink_to(elsewhere)
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "kept").write_text("of somebody")
    for name in ("dangling", "link", "kept", "data"):
        code, out, err = pilot(tmp_path, "backup", str(tmp_path / name))
        assert (code, out, err) == (1, "", f"{tmp_path / name} exists already\n")
    assert not elsewhere.exists()
    assert (tmp_path / "kept").read_text() == "of somebody"
    assert list(tmp_path.glob(".pilot-*")) == []


# --- a restore that is killed -----------------------------------------------------------------------

# the command dies before its n-th step, for every n in turn; what is left is looked at each time, in a copy
DYING = """
import json, os, shutil, signal, sqlite3, sys
from pathlib import Path
base, work, copy = map(Path, sys.argv[1:4])
from app.cli import main
import app.backup, app.settings, storage.installation.holds, uuid_utils
found = []
for step in range(1, 400):
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(base, work)
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        left, mine = step, str(work).encode()
        def count(event, args):
            global left
            if event.startswith(("open", "os.", "sqlite3.connect", "shutil.")) and any(
                mine in (a if isinstance(a, bytes) else str(a).encode()) for a in args
            ):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        main(["restore", str(copy), "--yes"])
    _, status = os.waitpid(child, 0)
    ended = os.WIFEXITED(status)
    # the server of the next start, as SQLite sees it: with what lies beside the file
    with sqlite3.connect(work / "pilot.db") as db:
        state = [db.execute("PRAGMA integrity_check").fetchone()[0], db.execute("SELECT x FROM told").fetchall()]
    db.close()
    found.append([state, os.WEXITSTATUS(status) if ended else -9])
    if ended:
        break
print(json.dumps(found))
"""


@pytest.fixture
def killed_while_it_wrote(tmp_path: Path) -> Path:
    """The data directory of a store whose last words are only in its log, as after kill -9."""
    assert pilot(tmp_path, "migrate")[0] == 0
    data, copied = tmp_path / "data", tmp_path / "base"
    with closing(sqlite3.connect(data / "pilot.db", isolation_level=None)) as live:
        live.execute("PRAGMA wal_autocheckpoint=0")
        live.execute("CREATE TABLE told (x)")
        for number in range(300):
            live.execute("INSERT INTO told VALUES (?)", (f"old {number}",))
        copied.mkdir()
        for name in ("pilot.db", "pilot.db-wal", "secrets.env"):
            (copied / name).write_bytes((data / name).read_bytes())
    return copied


def test_a_restore_that_is_killed_leaves_one_store_or_the_other(killed_while_it_wrote: Path, tmp_path: Path) -> None:
    base, work, copy = killed_while_it_wrote, tmp_path / "work", tmp_path / "copy"
    assert pilot(tmp_path, "backup", str(copy))[0] == 0
    with closing(sqlite3.connect(copy, isolation_level=None)) as db:
        db.execute("DELETE FROM told")
        db.execute("INSERT INTO told VALUES ('new')")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PILOT_DATA_DIR": str(work)}
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(base), str(work), str(copy)],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    old, new = ["ok", [[f"old {number}"] for number in range(300)]], ["ok", [["new"]]]
    states = [state for state, _ in found]
    assert all(state in (old, new) for state in states), set(map(str, states))
    # killed often, on both sides of the one step that counts, and at last it went through
    assert len(found) > 10
    assert [code for _, code in found] == [-9] * (len(found) - 1) + [0]
    assert states == [old] * states.index(new) + [new] * (len(states) - states.index(new))
    assert states.count(old) > 5
    assert sorted(path.name for path in work.iterdir()) == ["pilot.db", "pilot.db.lock", "secrets.env"]


def test_a_damaged_store_is_replaced_with_its_log(killed_while_it_wrote: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert pilot(tmp_path, "backup", str(copy))[0] == 0
    data = killed_while_it_wrote
    (data / "pilot.db").write_bytes(b"no database at all" * 1000)
    (data / "pilot.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))
    code, _, err = pilot(tmp_path, "restore", str(copy), "--yes", PILOT_DATA_DIR=str(data))
    assert code == 0, err
    with closing(sqlite3.connect(data / "pilot.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT count(*) FROM told").fetchone() == (300,)
    assert sorted(path.name for path in data.iterdir()) == ["pilot.db", "pilot.db.lock", "secrets.env"]


def test_a_link_to_the_database_stays_one(tmp_path: Path) -> None:
    assert pilot(tmp_path, "migrate")[0] == 0
    real = tmp_path / "elsewhere" / "real.db"
    real.parent.mkdir()
    (tmp_path / "data" / "pilot.db").rename(real)
    (tmp_path / "data" / "pilot.db").symlink_to(real)
    assert pilot(tmp_path, "backup", str(tmp_path / "copy"))[0] == 0
    before = real.stat().st_ino
    assert pilot(tmp_path, "restore", str(tmp_path / "copy"), "--yes")[0] == 0
    assert (tmp_path / "data" / "pilot.db").is_symlink()
    assert real.stat().st_ino != before
    assert pilot(tmp_path, "admin", "list")[0] == 0


def test_a_copy_of_a_newer_version_is_not_put_back(tmp_path: Path) -> None:
    assert pilot(tmp_path, "migrate")[0] == 0
    copy = tmp_path / "copy"
    assert pilot(tmp_path, "backup", str(copy))[0] == 0
    with closing(sqlite3.connect(copy)) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    code, _, err = pilot(tmp_path, "restore", str(copy), "--yes")
    assert code == 1
    assert "is of a newer version of Pilot" in err
