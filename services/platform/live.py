"""Watching a workspace live: events by number, resumed after the last one a client saw."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.ledger.events import StoredEvent
from services.platform.bus import Bus
from storage.database import Store
from storage.ledger import event_rows

T = TypeVar("T")


LIMIT = 500


@dataclass(frozen=True, slots=True)
class LiveService:
    """Streams of events for the Mini App and API clients."""

    store: Store
    bus: Bus
    _asked: dict[str, tuple[int, dict[Hashable, asyncio.Future[Any]]]] = field(default_factory=dict)

    async def head(self, actor: Actor) -> int:
        """The number of the newest event."""
        require(actor, Action.EVENTS_READ)
        return await self.store.read(lambda tx: event_rows.head(tx, actor.in_workspace))

    async def follow(
        self, actor: Actor, *, after: int | None, idle_seconds: float = 25.0
    ) -> AsyncIterator[StoredEvent | None]:
        """Events from number `after` on (from now, when None); None whenever nothing happened for a while."""
        require(actor, Action.EVENTS_READ)
        workspace_id = actor.in_workspace
        try:
            with self.bus.listen(workspace_id) as woken:
                seen = await self.head(actor) if after is None else after
                found = await self._after(workspace_id, seen)
                while True:
                    for event in found:
                        seen = event.seq
                        yield event
                    try:
                        if len(found) < LIMIT:
                            async with asyncio.timeout(idle_seconds):
                                await woken.wait()
                        # cleared before it is read: who commits meanwhile sets it again
                        woken.clear()
                        found = await self.once(workspace_id, seen, partial(self._after, workspace_id, seen))
                    except TimeoutError:
                        yield None
                        woken.clear()
                        found = await self._after(workspace_id, seen)
        finally:
            if workspace_id not in self.bus.topics:
                self._asked.pop(workspace_id, None)

    async def once(self, workspace_id: str, question: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """The answer to a question that everybody asks who was woken by the same change of the workspace.

        It is found out once, after that change. A later change makes it a new question.
        """
        wakes = self.bus.wakes(workspace_id)
        counted, answers = self._asked.get(workspace_id, (-1, {}))
        if counted != wakes:
            answers = {}
            self._asked[workspace_id] = (wakes, answers)
        answer: asyncio.Future[T] | None = answers.get(question)
        if answer is None:
            answer = answers[question] = asyncio.ensure_future(work())
            # it may fail when nobody waits any more
            answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        # one who hangs up takes nobody else's answer away
        return answer.result() if answer.done() else await asyncio.shield(answer)

    async def _after(self, workspace_id: str, seq: int) -> Sequence[StoredEvent]:
        return await self.store.read(lambda tx: event_rows.after(tx, workspace_id, seq, limit=LIMIT))
