"""Who uses the store: a hold on it, shared or alone, until it is let go or its process dies.

Whoever opens the store holds it first, and says who it is. What has to be alone (putting a backup in its place, a
migration, another signing key) is refused while anybody holds it, and holds up whoever comes meanwhile. A hold is a
lock of the kernel or of Postgres, so it ends with its process, however that ends; what is written beside it only names
the holder.

On SQLite it is an advisory lock on a file in a folder beside the database, which stays when the database is replaced.
On Postgres it is an advisory lock of a connection of its own.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import socket
import struct
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from domain.clock import utc_now
from domain.ids import new_id
from storage import private
from storage.installation.locks import lock_number

# how long whoever wants to begin waits for a hold that is about to end
PATIENCE = 5.0
# what has to be alone: only until those have gone that are going
IMPATIENCE = 1.0
# a migration that others wait for may take long
MIGRATION_PATIENCE = 600.0
MIGRATING = ", migrating"
RETRY_SECONDS = 0.05
# after Postgres was started, those who held the store have so long to take it again
RETURN_SECONDS = 5.0
# SQLite's readers and writers lock this range of the file as long as they have it open (WAL mode)
SQLITE_LOCKS = (0x40000000, 512)
# the file system has no locks
NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
CHANNEL = "pilot_events"
# how connections of Pilot call themselves
NAME = "pilot"
_CALLED = re.compile(rf"{NAME}: (?P<what>.*); pid (?P<pid>\d+) on (?P<host>.*)", re.DOTALL)


class Mode(StrEnum):
    """How the store is held."""

    SHARED = "shared"
    ALONE = "alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that holds the store, as far as it can be known."""

    what: str
    pid: int | None = None
    host: str = ""
    since: datetime | None = None
    alone: bool = False

    def __str__(self) -> str:
        where = f" on {self.host}" if self.host else ""
        who = f", pid {self.pid}{where}" if self.pid else where
        since = "" if self.since is None else f", since {self.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return f"{self.what}{who}{since}"


class StoreError(Exception):
    """The store cannot be used in this way now. The text is one sentence for whoever runs Pilot."""


class InUse(StoreError):
    """Somebody else holds the store."""

    def __init__(self, said: str, holders: Sequence[Holder]) -> None:
        super().__init__(said)
        self.holders = tuple(holders)

    def instead(self, wanted: str) -> "InUse":
        """The same, of something else that was wanted."""
        who = " and ".join(map(str, self.holders)) or "somebody who has not said a name"
        return InUse(f"{wanted}, and the store is in use by {who}; nothing was changed", self.holders)


class Hold(ABC):
    """One process's hold on one store. Every method may block for a moment: call them off the event loop."""

    def __init__(self, url: str, *, what: str) -> None:
        self.url = url
        self.what = what
        self.mode: Mode | None = None
        self._guard = threading.Lock()

    def take(self, mode: Mode, *, serving: bool = False, patience: float | None = None, doing: str = "") -> None:
        """Hold the store, or InUse after `patience` seconds.

        `serving`: this process is a server, of which SQLite bears one. `doing` is added to what others are told.
        """
        assert self.mode is None
        given = patience if patience is not None else IMPATIENCE if mode is Mode.ALONE else PATIENCE
        began = time.monotonic()
        self._open(self.what + doing)
        try:
            while (why := self._try(mode, serving=serving)) is not None:
                if (waited := time.monotonic() - began) > given:
                    self._give_up(mode, why, waited)
                time.sleep(RETRY_SECONDS)
        except BaseException:
            self._close()
            raise
        self.mode = mode

    def release(self) -> None:
        """Let go."""
        with self._guard:
            self.mode = None
            self._close()

    def trouble(self) -> str | None:
        """Why this process must not go on: the hold is lost to somebody else, or another store is in its place.

        A hold that was only lost, as when Postgres is started again, is taken again here.
        """
        with self._guard:
            return None if self.mode is None else self._trouble()

    @property
    def firm(self) -> bool:
        """Whether the hold was there at the last look."""
        return True

    def _give_up(self, mode: Mode, why: str, waited: float) -> None:
        """InUse, unless somebody migrates: that is not to be hurried, and the others begin when it is done."""
        others = self.others()
        if waited > MIGRATION_PATIENCE or not any(one.what.endswith(MIGRATING) for one in others):
            raise InUse(self._refusal(mode, why, others), others)

    def _refusal(self, mode: Mode, why: str, others: Sequence[Holder]) -> str:
        who = " and ".join(map(str, others)) or why or "a process that has not said its name"
        if mode is Mode.ALONE:
            return f"{self.what} must have the store to itself, and it is in use by {who}; nothing was changed"
        if why:
            return f"{self.what} does not begin: on SQLite one server runs at a time, and there is {who}"
        return f"{self.what} does not begin: the store is held by {who}"

    # --- the kinds ----------------------------------------------------------------------------------

    @abstractmethod
    def others(self) -> Sequence[Holder]:
        """Who else holds the store now."""

    @abstractmethod
    def mark(self) -> None:
        """Remember which store it is that is held: see `trouble`."""

    def alarm(self) -> int | None:
        """A descriptor that becomes readable when it is time to ask for `trouble`; None where there is none."""
        return None

    @abstractmethod
    def _open(self, called: str) -> None: ...

    @abstractmethod
    def _try(self, mode: Mode, *, serving: bool) -> str | None:
        """None when it is held now; else why not, "" where the other holders say it."""

    @abstractmethod
    def _close(self) -> None: ...

    @abstractmethod
    def _trouble(self) -> str | None: ...


def hold_on(url: str, *, what: str) -> Hold:
    """A hold on the store at `url`, not taken yet. `what` names this process in one or two words."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return FileHold(url, Path(parsed.database or "pilot.db"), what=what)
    return PostgresHold(url, what=what)


def holders(url: str) -> Sequence[Holder]:
    """Who holds the store at `url`, for a report."""
    return hold_on(url, what="").others()


# --- SQLite -----------------------------------------------------------------------------------------


class FileHold(Hold):
    """By `flock`, in the folder `<database>.lock`, however the path of the database is spelt.

    `hold` is locked shared or exclusively and is never removed; `server` is locked by the one server. Every holder has
    a file that names it, locked as long as it lives: one that is not locked is what a dead process left.
    """

    def __init__(self, url: str, database: Path, *, what: str) -> None:
        super().__init__(url, what=what)
        self.database = Path(os.path.realpath(database))
        self.folder = self.database.with_name(f"{self.database.name}.lock")
        self._locked: dict[str, int] = {}
        self._named: Path | None = None
        self._called = what
        self._seen: tuple[int, int] | None = None

    def _open(self, called: str) -> None:
        self._called = called
        try:
            private.folder(self.folder)
            # all that is in it is made here
            private.narrow_folder(self.folder, ("",))
        except OSError as error:
            raise StoreError(f"{self.folder} cannot be made: {error.strerror}") from error

    def _try(self, mode: Mode, *, serving: bool) -> str | None:
        if not self._flock("hold", exclusive=mode is Mode.ALONE):
            return ""
        if mode is Mode.ALONE and (stranger := opened_by_another(self.database)) is not None:
            self._unlock()
            return str(stranger)
        if serving and not self._flock("server", exclusive=True):
            self._unlock()
            return "another server"
        self._say_who(mode)
        return None

    def _flock(self, name: str, *, exclusive: bool) -> bool:
        path = self.folder / name
        try:
            descriptor = private.open_kept(path)
        except OSError as error:
            raise StoreError(f"{path} cannot be opened: {error.strerror}") from error
        if not _lock(descriptor, exclusive=exclusive):
            os.close(descriptor)
            return False
        self._locked[name] = descriptor
        return True

    def _say_who(self, mode: Mode) -> None:
        about = {
            "what": self._called,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": utc_now().isoformat(),
            "alone": mode is Mode.ALONE,
        }
        while True:
            path = self.folder / f"{os.getpid()}-{new_id()}"
            descriptor = private.open_new(path)
            # somebody who tidied up may have taken it for a dead one's between the two
            if _lock(descriptor, exclusive=True) and os.fstat(descriptor).st_nlink:
                break
            os.close(descriptor)
        os.write(descriptor, json.dumps(about).encode())
        self._named, self._locked["name"] = path, descriptor

    def _unlock(self) -> None:
        while self._locked:
            os.close(self._locked.popitem()[1])

    def _close(self) -> None:
        if self._named is not None:
            self._named.unlink(missing_ok=True)
            self._named = None
        self._unlock()

    def others(self) -> Sequence[Holder]:
        found: list[Holder] = []
        for path in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            if path.name not in ("hold", "server") and path != self._named:
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    found += _named(path)
        return found

    def mark(self) -> None:
        self._seen = _identity(self.database)

    def _trouble(self) -> str | None:
        if self._seen is not None and _identity(self.database) != self._seen:
            return f"{self.database} was replaced or removed while this process was using it"
        return None


def _lock(descriptor: int, *, exclusive: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise StoreError(f"the file system of the database has no locks: {error.strerror}") from error
        return False
    return True


def _named(path: Path) -> Iterator[Holder]:
    """The living holder that a file names; what a dead one left is tidied up."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if _lock(descriptor, exclusive=True):
            path.unlink(missing_ok=True)
            return
        about = json.loads(os.read(descriptor, 10_000))
    finally:
        os.close(descriptor)
    yield Holder(
        what=str(about["what"]),
        pid=int(about["pid"]),
        host=str(about["host"]),
        since=datetime.fromisoformat(about["since"]),
        alone=bool(about["alone"]),
    )


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return found.st_dev, found.st_ino


def opened_by_another(database: Path) -> Holder | None:
    """Another process that has the SQLite file open, though it may hold nothing: an older Pilot, a shell of SQLite.

    Only before this process opens the file itself: closing it here would drop the locks SQLite has on it.
    """
    if not sys.platform.startswith("linux") or not database.exists():
        return None
    start, length = SQLITE_LOCKS
    descriptor = os.open(database, os.O_RDONLY | os.O_CLOEXEC)
    try:
        asked = struct.pack("@hhqqi", fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
        kind, _, _, _, pid = struct.unpack("@hhqqi", fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if kind == fcntl.F_UNLCK:
        return None
    words = b""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    line = words.replace(b"\0", b" ").decode(errors="replace").strip()[:80]
    return Holder(what=f"a process that has the database open ({line})" if line else "a process", pid=pid or None)


# --- Postgres ---------------------------------------------------------------------------------------


class PostgresHold(Hold):
    """By an advisory lock of a session, told apart by schema; the session's `application_name` names the holder."""

    def __init__(self, url: str, *, what: str) -> None:
        super().__init__(url, what=what)
        self._plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._session: psycopg.Connection[Any] | None = None
        self._called = what
        self._store: Any = None

    def _open(self, called: str) -> None:
        self._called = called
        self._session = self._connect()

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            return psycopg.connect(
                self._plain,
                autocommit=True,
                connect_timeout=5,
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
                application_name=_called(self._called),
            )
        except psycopg.Error as error:
            raise _unreachable(error) from error

    def _try(self, mode: Mode, *, serving: bool) -> str | None:
        del serving
        assert self._session is not None
        try:
            return None if self._taken(self._session, mode) else ""
        except psycopg.Error as error:
            raise _unreachable(error) from error

    def _taken(self, session: psycopg.Connection[Any], mode: Mode) -> bool:
        if mode is Mode.ALONE:
            _let_them_return(session)
        end = "" if mode is Mode.ALONE else "_shared"
        key, loading = _keys(session)
        row = session.execute(f"SELECT pg_try_advisory_lock{end}(%s)".encode(), (key,)).fetchone()
        if row is None or not row[0]:
            return False
        if _holders(session, loading) or (mode is Mode.ALONE and _older(session)):
            session.execute(f"SELECT pg_advisory_unlock{end}(%s)".encode(), (key,))
            return False
        return True

    def lend(self) -> tuple[str, dict[str, str]]:
        """For a program that works for this hold: a statement its transaction is to begin with, and its environment.

        The store counts as held until that transaction has ended, even if this process is killed before.
        """
        assert self.mode is Mode.ALONE
        assert self._session is not None
        return f"SELECT pg_advisory_xact_lock({_keys(self._session)[1]});\n", {"PGAPPNAME": _called(self._called)}

    def _close(self) -> None:
        if self._session is not None:
            with contextlib.suppress(psycopg.Error):
                self._session.close()
            self._session = None

    def others(self) -> Sequence[Holder]:
        with contextlib.ExitStack() as stack:
            session = self._session
            if session is None:
                session = stack.enter_context(contextlib.closing(self._connect()))
            key, loading = _keys(session)
            return [*_holders(session, key), *_holders(session, loading), *_older(session)]

    def mark(self) -> None:
        assert self._session is not None
        self._store = _fingerprint(self._session)

    def alarm(self) -> int | None:
        return None if self._session is None or self._session.closed else self._session.fileno()

    @property
    def firm(self) -> bool:
        return self._session is not None

    def _trouble(self) -> str | None:
        if self._session is not None:
            try:
                self._session.execute("SELECT true")
            except psycopg.Error:
                self._close()
            else:
                return None
        # with the connection the lock is gone: somebody may have been alone here meanwhile
        try:
            session = self._connect()
        except StoreError:
            # nobody gets at it: there is nothing that could be lost
            return None
        self._session = session
        try:
            if not self._taken(session, self.mode or Mode.SHARED):
                who = " and ".join(str(one) for one in self.others() if one.alone) or "somebody else"
                self._close()
                return f"the connection that held the store was lost, and {who} has it now"
            if self._store is not None and _fingerprint(session) != self._store:
                return "the connection that held the store was lost, and another store was put in its place meanwhile"
        except psycopg.Error:
            self._close()
        return None


def _unreachable(error: psycopg.Error) -> StoreError:
    first = (str(error).strip().splitlines() or ["no reason given"])[0]
    return StoreError(f"the database cannot be reached: {first}")


def _keys(session: psycopg.Connection[Any]) -> tuple[int, int]:
    """The lock of whoever holds the store, and the one of a transaction that works for a hold."""
    row = session.execute("SELECT current_schema()").fetchone()
    schema = row[0] if row else None
    return lock_number(f"store:{schema}"), lock_number(f"store:{schema}:loading")


def _holders(session: psycopg.Connection[Any], key: int) -> Sequence[Holder]:
    """Who else has the lock with this number."""
    unsigned = key % 2**64
    rows = session.execute(
        "SELECT a.application_name, a.client_addr::text, a.backend_start, l.mode = 'ExclusiveLock'"
        " FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid <> pg_backend_pid()"
        " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND l.classid::bigint = %s AND l.objid::bigint = %s ORDER BY a.backend_start",
        (unsigned >> 32, unsigned & 0xFFFFFFFF),
    ).fetchall()
    return [_holder(*row) for row in rows]


def _called(what: str) -> str:
    """At most 63 bytes, which is all that Postgres keeps of a name."""
    end = f"; pid {os.getpid()} on {socket.gethostname()}"
    name = f"{NAME}: {what}"
    return name.encode()[: max(20, 63 - len(end.encode()))].decode(errors="ignore") + end


def _holder(called: str | None, address: str | None, since: datetime, alone: bool) -> Holder:
    found = _CALLED.fullmatch(called or "")
    if found is None:
        return Holder(what=called or "a process", host=address or "", since=since, alone=alone)
    return Holder(what=found["what"], pid=int(found["pid"]), host=found["host"], since=since, alone=alone)


def _older(session: psycopg.Connection[Any]) -> Sequence[Holder]:
    """Processes of a version that held nothing: each of them listens for words of the others, under no name."""
    rows = session.execute(
        "SELECT client_addr::text, backend_start FROM pg_stat_activity"
        " WHERE datname = current_database() AND query = %s AND application_name NOT LIKE %s",
        (f"LISTEN {CHANNEL}", f"{NAME}%"),
    ).fetchall()
    return [Holder(what="a process of an older version", host=address or "", since=since) for address, since in rows]


def _let_them_return(session: psycopg.Connection[Any]) -> None:
    """Where Postgres was started a moment ago, until those it cut off have taken their holds again."""
    row = session.execute("SELECT extract(epoch FROM now() - pg_postmaster_start_time())").fetchone()
    if row is not None and (left := RETURN_SECONDS - float(row[0])) > 0:
        time.sleep(left)


def _fingerprint(session: psycopg.Connection[Any]) -> Any:
    """What is another one when another store was put in this one's place, or its schema was changed."""
    row = session.execute("SELECT to_regclass('alembic_version')::oid").fetchone()
    if row is None or row[0] is None:
        return None
    version = session.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0], version and version[0]
