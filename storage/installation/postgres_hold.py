"""A hold on a database of Postgres: an advisory lock of a connection of its own."""

import contextlib
import os
import re
import socket
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from storage.installation.hold import Hold, Holder, Mode, StoreError
from storage.installation.locks import lock_number

# after Postgres was started, those who held the store have so long to take it again
RETURN_SECONDS = 5.0
CHANNEL = "pilot_events"
# how connections of Pilot call themselves
NAME = "pilot"
_CALLED = re.compile(rf"{NAME}: (?P<what>.*); pid (?P<pid>\d+) on (?P<host>.*)", re.DOTALL)


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
