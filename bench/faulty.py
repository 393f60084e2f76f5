"""`pilot` with a wound: it kills itself at a named point of the effects protocol. Only for `make chaos`.

`CHAOS_POINT` is inside (the intent is written, not committed), committed (the call is not made yet),
called (made, its outcome is not recorded) or recorded; `CHAOS_HIT` is the how-manieth time it counts.
"""

import os
import signal
from itertools import count
from typing import Any

from app.cli import main
from services.lifecycle.steps import StepLifecycle
from services.runs.acting import Acting

OUTSIDE = ("http.post", "email.send")


def wound(point: str, hit: int) -> None:
    """Make the classes kill their process the `hit`-th time it comes to `point`."""
    seen = count(1)
    act, settle, intend = Acting.act, Acting.settle, StepLifecycle._intend  # noqa: SLF001

    def maybe(where: str, step: Any) -> None:
        if where == point and step.tool in OUTSIDE and next(seen) == hit:
            os.kill(os.getpid(), signal.SIGKILL)

    def intending(self: StepLifecycle, tx: Any, step: Any, spec: Any) -> None:
        intend(self, tx, step, spec)
        maybe("inside", step)

    async def acting(self: Acting, view: Any, step: Any, tool: Any) -> bool:
        maybe("committed", step)
        return await act(self, view, step, tool)

    async def settling(self: Acting, view: Any, step: Any, outcome: Any) -> bool:
        maybe("called", step)
        going_on = await settle(self, view, step, outcome)
        maybe("recorded", step)
        return going_on

    StepLifecycle._intend = intending  # type: ignore[method-assign]  # noqa: SLF001
    Acting.act = acting  # type: ignore[method-assign]
    Acting.settle = settling  # type: ignore[method-assign]


if __name__ == "__main__":
    wound(os.environ["CHAOS_POINT"], int(os.environ.get("CHAOS_HIT", "1")))
    main()
