"""How fast messages may leave: Telegram's limits, kept on our side so that they are rarely hit."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Throttle:
    """Times at which messages may leave, in seconds of `clock` (monotonic).

    One message a second and chat 20 a minute and group, `overall` a second in all, each after a
    burst of `burst`.
    Each is a bucket in the form of its theoretical arrival time.
    """

    clock: Callable[[], float]
    chat_every: float = 1.0
    group_every: float = 3.0
    burst: int = 3
    overall: float = 25.0
    _chats: dict[int, float] = field(default_factory=dict)
    _all: float = 0.0

    def reserve(self, chat_id: int) -> float:
        """Take the next free slot for a chat; how many seconds to wait until it."""
        now = self.clock()
        every = self.group_every if chat_id < 0 else self.chat_every
        own = max(self._chats.get(chat_id, 0.0), now)
        at_chat = max(now, own - every * (self.burst - 1))
        one = 1.0 / self.overall
        at_all = max(now, self._all - one * (self.burst - 1))
        at = max(at_chat, at_all)
        self._chats[chat_id] = max(own, at) + every
        # counted from now: a chat that waits for its own slot must not hold up the others
        self._all = max(self._all, now) + one
        if len(self._chats) > 10_000:
            self._chats = {chat: tat for chat, tat in self._chats.items() if tat > now}
        return at - now
