"""Being away: until when, and who stands in. Kept among the preferences of a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar


@dataclass(frozen=True, slots=True)
class Away:
    """`deputy` is the user id of who stands in meanwhile."""

    until: datetime
    deputy: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {"until": self.until.isoformat(), "deputy": self.deputy}


P = TypeVar("P", bound="Person")


class Person(Protocol):
    """Somebody with preferences."""

    @property
    def user_id(self) -> str: ...

    @property
    def preferences(self) -> Mapping[str, Any]: ...


def away_of(preferences: Mapping[str, Any], now: datetime) -> Away | None:
    """Whether somebody with these preferences is away now; what cannot be read means that they are here."""
    kept = preferences.get("away")
    if not isinstance(kept, dict):
        return None
    try:
        until = datetime.fromisoformat(str(kept.get("until")))
    except ValueError:
        return None
    deputy = kept.get("deputy")
    if until.tzinfo is None or until <= now:
        return None
    return Away(until, deputy if isinstance(deputy, str) else None)


def represented(people: Sequence[P], now: datetime) -> Mapping[str, Sequence[P]]:
    """By the user id of each deputy those they stand in for: a deputy is one of `people` and is here."""
    away = {person.user_id: found for person in people if (found := away_of(person.preferences, now)) is not None}
    here = {person.user_id for person in people} - away.keys()
    by_deputy: dict[str, list[P]] = {}
    for person in people:
        found = away.get(person.user_id)
        if found is not None and found.deputy in here:
            by_deputy.setdefault(found.deputy, []).append(person)
    return by_deputy
