"""A hold on a SQLite file: an advisory lock on a file beside it, which stays when the database is replaced."""

import contextlib
import errno
import fcntl
import json
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from domain.clock import utc_now
from domain.ids import new_id
from storage import private
from storage.installation.hold import Hold, Holder, Mode, StoreError

# SQLite's readers and writers lock this range of the file as long as they have it open (WAL mode)
SQLITE_LOCKS = (0x40000000, 512)
# the file system has no locks
NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


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
