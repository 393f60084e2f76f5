"""`pilot` with a wound: it kills itself at a named point of the effects protocol. Only for `make chaos`.

`CHAOS_POINT` is inside (the intent is written, not committed), committed (the call is not made yet),
called (made, its outcome is not recorded) or recorded; `CHAOS_HIT` is the how-manieth time it counts.
"""

import os
import signal
from itertools import count
from typing import Any

from app.cli import main
from services.runs import RunService

OUTSIDE = ("http.post", "email.send")


def wound(point: str, hit: int) -> None:
    """Make the class kill its process the `hit`-th time it comes to `point`."""
    seen = count(1)
    act, settle, intend = RunService._act, RunService._settle, RunService._intend  # noqa: SLF001

    def maybe(where: str, step: Any) -> None:
        if where == point and step.tool in OUTSIDE and next(seen) == hit:
            os.kill(os.getpid(), signal.SIGKILL)

    def intending(self: RunService, tx: Any, step: Any, tool: Any) -> None:
        intend(self, tx, step, tool)
        maybe("inside", step)

    async def acting(self: RunService, view: Any, step: Any, tool: Any) -> bool:
        maybe("committed", step)
        return await act(self, view, step, tool)

    async def settling(self: RunService, view: Any, step: Any, tool: Any, outcome: Any) -> bool:
        maybe("called", step)
        going_on = await settle(self, view, step, tool, outcome)
        maybe("recorded", step)
        return going_on

    RunService._intend = intending  # type: ignore[method-assign]  # noqa: SLF001
    RunService._act = acting  # type: ignore[method-assign]  # noqa: SLF001
    RunService._settle = settling  # type: ignore[method-assign]  # noqa: SLF001


if __name__ == "__main__":
    wound(os.environ["CHAOS_POINT"], int(os.environ.get("CHAOS_HIT", "1")))
    main()
