"""How updates come in: said by the process that fetches them, heard by `/health` wherever it is asked."""

import time
from dataclasses import dataclass, field

from domain.chat.updates import IntakeState
from domain.clock import Now
from storage.chat import intake_rows
from storage.database import Store

TELEGRAM = "telegram"
OK = "ok"
# the same word is written down again after so long
AGAIN_SECONDS = 10.0


@dataclass(slots=True)
class IntakeService:
    """Keeps how the intake is. `said` costs a write only when the word changed, or now and then."""

    store: Store
    now: Now
    _last: tuple[str, str] = ("", "")
    _written: float = field(default=0.0)

    async def said(self, word: str, *, way: str, detail: str = "") -> None:
        """`word` is "ok" after each success, else what is wrong; `detail` holds nothing secret."""
        moment = time.monotonic()
        if self._last == (way, word) and moment - self._written < AGAIN_SECONDS:
            return
        self._last, self._written = (way, word), moment
        await self.store.write(
            lambda tx: intake_rows.put(tx, TELEGRAM, way=way, word=word, detail=detail, well=word == OK, now=self.now())
        )

    async def heard(self) -> IntakeState | None:
        """The newest word of whichever process fetches; None before there was one."""
        return await self.store.read(lambda tx: intake_rows.get(tx, TELEGRAM))
