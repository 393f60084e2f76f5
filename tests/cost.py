"""What work costs, measured so that a busy machine does not matter: CPU time of one thread, never a clock on a wall."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def _slowness() -> float:
    """How many times the 45 ms of an unhurried machine a fixed piece of work takes here, tracing included; at least 1."""

    def step(number: int) -> int:
        return number * number % 7

    took = []
    for _ in range(3):
        began = time.thread_time()
        sum(step(number) for number in range(500_000))
        took.append(time.thread_time() - began)
    return max(1.0, min(took) / 0.045)


# coverage traces each line and call; what is measured under it is compared with what the same machine does under it
SLOWNESS = _slowness()
# what must not take 50 ms may take this much on a slow, busy machine
HOLDS_NOBODY = 0.25 * SLOWNESS


def cpu(work: Callable[[], Any]) -> float:
    """CPU seconds `work` takes in this thread, the better of two tries."""
    took = []
    for _ in range(2):
        began = time.thread_time()
        work()
        took.append(time.thread_time() - began)
    return min(took)


class Pauses:
    """The longest a single callback of the event loop took, in CPU seconds of the loop's own thread."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.where = ""


@contextmanager
def loop_pauses() -> Iterator[Pauses]:
    """Watch every callback of event loops meanwhile: a loop that runs one runs nothing else."""
    found = Pauses()
    run = asyncio.events.Handle._run

    def timed(handle: Any) -> None:
        began = time.thread_time()
        run(handle)
        took = time.thread_time() - began
        if took > found.longest:
            found.longest, found.where = took, repr(handle)

    asyncio.events.Handle._run = timed  # type: ignore[method-assign]
    try:
        yield found
    finally:
        asyncio.events.Handle._run = run  # type: ignore[method-assign]
