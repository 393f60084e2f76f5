"""The hold that fits the address of a store, and who holds it."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.engine import make_url

from storage.installation.file_hold import FileHold
from storage.installation.hold import Hold, Holder
from storage.installation.postgres_hold import PostgresHold


def hold_on(url: str, *, what: str) -> Hold:
    """A hold on the store at `url`, not taken yet. `what` names this process in one or two words."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return FileHold(url, Path(parsed.database or "pilot.db"), what=what)
    return PostgresHold(url, what=what)


def holders(url: str) -> Sequence[Holder]:
    """Who holds the store at `url`, for a report."""
    return hold_on(url, what="").others()
