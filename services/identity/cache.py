"""What this process remembers of sessions, keys and memberships, for a moment.

Everything in this process that changes them empties it at once; with several processes it is trusted for two seconds.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from storage.transaction import Tx

CACHE_SIZE = 20_000


@dataclass(slots=True)
class Cache:
    """Values by key, each for `ttl` seconds."""

    ttl: float
    entries: dict[Any, tuple[float, Any]] = field(default_factory=dict)
    # counts the emptyings: what was read before one must not be put in after it
    generation: int = 0

    def get(self, key: Any) -> Any:
        """The value, None when there is none that is fresh."""
        found = self.entries.get(key)
        if found is None or found[0] < time.monotonic():
            return None
        return found[1]

    def put(self, key: Any, value: Any, *, read_in: int) -> None:
        """Keep a value that was read in this generation."""
        if read_in != self.generation:
            return
        if len(self.entries) >= CACHE_SIZE:
            self.entries.clear()
        self.entries[key] = (time.monotonic() + self.ttl, value)

    def clear(self) -> None:
        """Keep nothing."""
        self.generation += 1
        self.entries.clear()


@dataclass(slots=True)
class IdentityCache:
    """`presented`: what tokens, keys and launch data stand for, by digest; `roles`: those of people in workspaces."""

    seconds: float = 30.0
    presented: Cache = field(init=False)
    roles: Cache = field(init=False)

    def __post_init__(self) -> None:
        self.presented = Cache(self.seconds)
        self.roles = Cache(self.seconds)

    def forget(self) -> None:
        """Trust nothing remembered: a membership, a key or a session has changed."""
        self.presented.clear()
        self.roles.clear()

    def forget_after(self, tx: Tx) -> None:
        """`forget` once this transaction is committed."""
        tx.on_commit(self.forget)
