"""Who uses the store: a hold on it, shared or alone, until it is let go or its process dies.

Whoever opens the store holds it first, and says who it is. What has to be alone (putting a backup in its place, a
migration, another signing key) is refused while anybody holds it, and holds up whoever comes meanwhile. A hold is a
lock of the kernel (`file_hold`) or of Postgres (`postgres_hold`), so it ends with its process, however that ends; what
is written beside it only names the holder.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NoReturn

# how long whoever wants to begin waits for a hold that is about to end
PATIENCE = 5.0
# what has to be alone: only until those have gone that are going
IMPATIENCE = 1.0
# a migration that others wait for may take long
MIGRATION_PATIENCE = 600.0
MIGRATING = ", migrating"
RETRY_SECONDS = 0.05


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
                waited = time.monotonic() - began
                if waited > given and not self._is_migrated(waited, others := self.others()):
                    # with nobody there, whoever had it may have let go between the try and the look
                    if others or (why := self._try(mode, serving=serving)) is not None:
                        self._refuse(mode, why, others)
                    break
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

    @staticmethod
    def _is_migrated(waited: float, others: Sequence[Holder]) -> bool:
        """Whether somebody migrates the store: that is not to be hurried, and the others begin when it is done."""
        return waited <= MIGRATION_PATIENCE and any(one.what.endswith(MIGRATING) for one in others)

    def _refuse(self, mode: Mode, why: str, others: Sequence[Holder]) -> NoReturn:
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
