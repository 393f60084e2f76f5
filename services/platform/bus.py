"""Wakes whoever in this process waits for a workspace to change; what changed is read from the store."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Bus:
    """A wake-up call per workspace. It carries no data: a missed call loses nothing."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._mirror: Callable[[str], None] | None = None
        self._generations: dict[str, int] = {}
        self._wakes: dict[str, int] = {}

    def mirror(self, call: Callable[[str], None]) -> None:
        """Have `call` told of every topic that woke here (for other processes)."""
        self._mirror = call

    def woke(self, topic: str, *, mirror: bool = True) -> None:
        """Wake every listener of `topic`. Call it on the event loop."""
        self._wake(topic)
        if mirror and self._mirror is not None:
            self._mirror(topic)

    def touched(self, topic: str) -> None:
        """Something about `topic` was written by this process."""
        self._generations[topic] = self._generations.get(topic, 0) + 1

    def generation(self, topic: str) -> int:
        """Counts the writes about `topic` that this process committed."""
        return self._generations.get(topic, 0)

    def wake_all(self) -> None:
        """Wake everybody (after a lost connection, when something may have been missed)."""
        for topic in self._waiting:
            self._wake(topic)

    def _wake(self, topic: str) -> None:
        waiting = self._waiting.get(topic)
        if waiting is not None:
            self._wakes[topic] += 1
            for one in waiting:
                one.set()

    def wakes(self, topic: str) -> int:
        """How often `topic` woke since somebody began to listen to it."""
        return self._wakes.get(topic, 0)

    @property
    def topics(self) -> list[str]:
        """What is being listened to right now."""
        return list(self._waiting)

    @contextmanager
    def listen(self, topic: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever `topic` woke; the listener clears it."""
        waiting = asyncio.Event()
        self._waiting.setdefault(topic, set()).add(waiting)
        self._wakes.setdefault(topic, 0)
        try:
            yield waiting
        finally:
            listeners = self._waiting[topic]
            listeners.discard(waiting)
            if not listeners:
                del self._waiting[topic], self._wakes[topic]
