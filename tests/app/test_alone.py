"""What must be alone is refused while a real Pilot runs, whatever its role, and goes through when it was killed."""

import contextlib
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
from click.testing import CliRunner

from app.cli import main
from app.store_use import COMMANDS, Use, command_of
from storage.installation import postgres_hold
from storage.installation.hold import Mode, StoreError
from storage.installation.holds import hold_on, holders
from tests.app.commands import command
from tests.app.test_story_http import Person
from tests.databases import fresh_url
from tests.processes import Program, call, free_ports, ready, until

pytestmark = pytest.mark.timeout(600)


class Place:
    """An installation, its server and its commands."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.url = fresh_url(kind, folder, migrated=False)
        self.data = folder / "data"
        self.port = free_ports(1)
        self.base = f"http://127.0.0.1:{self.port}"
        self.settings = {
            "DATABASE_URL": self.url,
            "PILOT_DATA_DIR": str(self.data),
            "PORT": str(self.port),
            "LOG_FORMAT": "json",
            "RATE_LIMITS_ENABLED": "false",
        }

    def serve(self, role: str, **more: str) -> Program:
        return Program(self.folder, "serve", "--role", role, **{**self.settings, **more})

    def pilot(self, *words: str) -> tuple[int, str]:
        """Exit code and what was said on standard error, of a command in this process."""
        code, _, said = command(self.folder, *words, **self.settings)
        return code, said

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        if self.kind == "sqlite":
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as db:
                return db.execute(query).fetchall()
        with direct(self.url) as connection:
            return connection.execute(query.encode()).fetchall()


def direct(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True)


def note(person: Person, title: str) -> None:
    status, said = person.send("POST", "/api/knowledge/pages", {"title": title, "compiledTruth": "x"})
    assert status == 201, said


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of this process do not wait for a server that is not going."""
    monkeypatch.setattr("storage.installation.hold.IMPATIENCE", 0.2)


@pytest.mark.parametrize("role", ["all", "web", "worker"])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_beside_a_server_nothing_is_alone_and_after_kill_9_everything_is(kind: str, role: str, tmp_path: Path) -> None:
    place = Place(kind, tmp_path)
    program = place.serve(role)
    try:
        ready(place.base)
        person = Person(place.base, "ada@example.com")
        note(person, "before")
        copy = str(tmp_path / "copy")
        assert place.pilot("backup", copy)[0] == 0
        note(person, "after")
        alone: Sequence[tuple[str, ...]] = (
            ("migrate",),
            ("keys", "rotate"),
            ("admin", "cleanup"),
            ("admin", "delete", person.workspace),
            ("restore", copy, "--yes"),
        )
        assert {" ".join(words[: 2 if words[0] in ("keys", "admin") else 1]) for words in alone} == {
            name for name, use in COMMANDS.items() if use is Use.ALONE
        }
        kept = (place.data / "secrets.env").read_bytes()
        for words in alone:
            code, said = place.pilot(*words)
            assert code == 1, words
            assert f"in use by serve ({role}), pid {program.process.pid} on " in said, said
            assert said.endswith("; nothing was changed\n"), said
            assert len(said.splitlines()) == 1, said
        # the server goes on, and nothing is lost
        note(person, "still")
        found = {one["title"] for one in person.get("/api/knowledge/search")}
        assert found == {"before", "after", "still"}
        assert call("GET", f"{place.base}/health")[1]["checks"]["ledger"] == "ok"
        assert len(call("GET", f"{place.base}/.well-known/pilot-keys.json")[1]["keys"]) == 1
        assert (place.data / "secrets.env").read_bytes() == kept
        assert not (place.data / "next-signing-key").exists()
        # what only looks may look
        assert place.pilot("admin", "list")[0] == 0

        program.kill()
        for words in alone:
            code, said = place.pilot(*words)
            assert code == 0, (words, said)
        assert place.rows("SELECT title FROM notes") == [("before",)]
        assert place.rows("SELECT count(*) FROM workspaces WHERE deleted_at IS NOT NULL") == [(0,)]
        assert holders(place.url) == []
    finally:
        program.kill()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_server_that_starts_meanwhile_waits_and_then_says_for_whom(kind: str, tmp_path: Path) -> None:
    place = Place(kind, tmp_path)
    hold = hold_on(place.url, what="restore")
    hold.take(Mode.ALONE)
    try:
        program = place.serve("all")
        try:
            assert program.process.wait(120) == 1
            said = program.log.read_text()
            assert f"serve (all) does not begin: the store is held by restore, pid {os.getpid()} on " in said
            assert "Traceback" not in said
            # it touched nothing
            if kind == "sqlite":
                assert not Path(place.url.removeprefix("sqlite:///")).exists()
            else:
                assert place.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
            # one that comes while it is about to be done begins then
            program.start()
            until(lambda: call("GET", f"{place.base}/health")[0] == 503, what="the port")
        finally:
            hold.release()
        ready(place.base)
        assert program.stop() == 0
    finally:
        program.kill()


def test_a_second_server_on_one_sqlite_file_is_refused(tmp_path: Path) -> None:
    place = Place("sqlite", tmp_path)
    program = place.serve("web")
    try:
        ready(place.base)
        (tmp_path / "other").symlink_to(place.url.removeprefix("sqlite:///"))
        folder = tmp_path / "second"
        folder.mkdir()
        settings = {**place.settings, "PORT": str(free_ports(1)), "DATABASE_URL": f"sqlite:///{tmp_path / 'other'}"}
        second = Program(folder, "serve", "--role", "worker", **settings)
        assert second.process.wait(120) == 1
        pid = program.process.pid
        assert f"on SQLite one server runs at a time, and there is serve (web), pid {pid}" in second.log.read_text()
        note(Person(place.base, "ada@example.com"), "still here")
        assert program.stop() == 0
        assert holders(place.url) == []
    finally:
        program.kill()


@contextlib.contextmanager
def next_in_line(url: str) -> Iterator[threading.Event]:
    """Somebody who waits for the store, and has it as soon as nobody else has."""
    has = threading.Event()
    with direct(url) as connection:
        connection.execute("SET application_name = 'somebody with psql'")
        key = postgres_hold._keys(connection)[0]

        def wait() -> None:
            connection.execute("SELECT pg_advisory_lock(%s)", (key,))
            has.set()

        thread = threading.Thread(target=wait)
        thread.start()
        with direct(url) as other:
            until(lambda: other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (1,))
        try:
            yield has
        finally:
            thread.join(60)


def cut_off(url: str, pid: int) -> None:
    """End the connections by which the process holds the store."""
    with direct(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE %s",
            (f"pilot: serve%pid {pid} on%",),
        )


def test_a_server_whose_connection_breaks_takes_its_hold_again_or_ends(tmp_path: Path) -> None:
    place = Place("postgres", tmp_path)
    program = place.serve("web")
    try:
        ready(place.base)
        person = Person(place.base, "ada@example.com")
        before = holders(place.url)[0].since
        cut_off(place.url, program.process.pid)
        until(lambda: [one for one in holders(place.url) if one.since != before], what="the hold to be taken again")
        note(person, "goes on")
        assert place.pilot("migrate")[0] == 1

        with next_in_line(place.url) as has:
            cut_off(place.url, program.process.pid)
            assert has.wait(60)
            # it must not write any more: it ends at once
            assert program.process.wait(60) == 3
        said = program.log.read_text()
        assert "Pilot ends: the connection that held the store was lost, and somebody with psql" in said
    finally:
        program.kill()


def test_a_server_whose_database_was_replaced_behind_its_back_ends(tmp_path: Path) -> None:
    place = Place("sqlite", tmp_path)
    program = place.serve("worker")
    try:
        ready(place.base)
        file = Path(place.url.removeprefix("sqlite:///"))
        (tmp_path / "fresh").write_bytes(file.read_bytes())
        (tmp_path / "fresh").replace(file)
        assert program.process.wait(60) == 3
        assert f"Pilot ends: {file} was replaced or removed while this process was using it" in program.log.read_text()
    finally:
        program.kill()


def test_a_demo_does_not_clear_away_another_one(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    words = ("demo", "--data", str(data), "--port")
    program = Program(tmp_path, *words, str(port := free_ports(2)))
    try:
        ready(f"http://127.0.0.1:{port}")
        kept = (data / "secrets.env").read_bytes()
        done = CliRunner().invoke(main, [*words, str(free_ports(2))])
        assert done.exit_code == 1
        assert f"in use by demo (all), pid {program.process.pid}" in done.stderr
        assert (data / "secrets.env").read_bytes() == kept
        assert call("GET", f"http://127.0.0.1:{port}/health")[1]["status"] == "ok"
        program.process.send_signal(signal.SIGINT)
        program.process.wait(60)
        assert holders(f"sqlite:///{data / 'pilot.db'}") == []
    finally:
        program.kill()


# --- the table --------------------------------------------------------------------------------------


def commands(group: click.Group = main, *above: str) -> Iterator[str]:
    for name, one in group.commands.items():
        if isinstance(one, click.Group):
            yield from commands(one, *above, name)
        else:
            yield " ".join((*above, name))


def test_every_command_says_how_it_uses_the_store() -> None:
    assert sorted(commands()) == sorted(COMMANDS)


def test_a_command_that_does_not_say_is_refused() -> None:
    @click.command("forgotten", cls=main.command_class)
    def forgotten() -> None:
        click.echo("done")

    group = type(main)(name="pilot", commands={"forgotten": forgotten})
    done = CliRunner().invoke(group, ["forgotten"])
    assert isinstance(done.exception, KeyError)
    assert done.output == ""


def test_what_says_it_stays_apart_cannot_open_the_store(tmp_path: Path) -> None:
    from app.tools import with_parts

    place = Place("sqlite", tmp_path)

    async def work(_parts: Any) -> None:
        raise AssertionError

    from app.settings import load_settings

    settings = load_settings(_env_file=None, pilot_data_dir=place.data, database_url=place.url)
    for name, use in COMMANDS.items():
        if use is Use.APART:
            with command_of(name), pytest.raises(StoreError, match="may not open the store"):
                with_parts(settings, work)


def everything(place: Place) -> list[str]:
    with closing(sqlite3.connect(place.url.removeprefix("sqlite:///"))) as db:
        return list(db.iterdump())


def test_what_says_it_reads_writes_nothing(tmp_path: Path) -> None:
    place = Place("sqlite", tmp_path)
    words: dict[str, tuple[str, ...]] = {
        "doctor": (),
        "backup": (str(tmp_path / "copy"),),
        "replay": ("all", "--workspace", "none"),
        "policy export": ("--workspace", "none", "--sidecar", str(tmp_path / "sidecar")),
        "policy test": ("--workspace", "none", "--settings", str(tmp_path / "rules.json")),
        "admin list": (),
    }
    (tmp_path / "rules.json").write_text("[]")
    assert set(words) == {name for name, use in COMMANDS.items() if use is Use.READS}
    # where there is no store, none is made
    for name, more in words.items():
        code, said = place.pilot(*name.split(), *more)
        assert code == (0 if name == "doctor" else 1), (name, said)
        assert name == "doctor" or "there is no database yet" in said
    assert not Path(place.url.removeprefix("sqlite:///")).exists()
    # an older one is not migrated, and no key is put into one
    assert place.pilot("migrate")[0] == 0
    for revision in ("0000", None):
        if revision is not None:
            with closing(sqlite3.connect(place.url.removeprefix("sqlite:///"))) as db, db:
                newest = db.execute("SELECT version_num FROM alembic_version").fetchone()[0]
                db.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        before = everything(place)
        for name, more in words.items():
            code, said = place.pilot(*name.split(), *more)
            if revision is not None and name not in ("backup", "doctor"):
                assert (code, "run pilot migrate" in said) == (1, True), (name, said)
            (tmp_path / "copy").unlink(missing_ok=True)
        assert everything(place) == before
        with closing(sqlite3.connect(place.url.removeprefix("sqlite:///"))) as db, db:
            db.execute("UPDATE alembic_version SET version_num = ?", (newest,))
