"""A table of states: where a thing begins, which moves it may make, and what makes each of them. No I/O here."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from domain.errors import Conflict

S = TypeVar("S", bound=StrEnum)


class IllegalMove(Conflict):
    """The table does not have this move."""

    code = "illegal_move"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateTable(Generic[S]):
    """`begins` are the states a new thing may have, `moves` the states it may go to from each; with the event of each.

    `of` is what moves, as a message says it ("a run").
    """

    of: str
    begins: Mapping[S, str]
    moves: Mapping[S, Mapping[S, str]]

    @property
    def ended(self) -> frozenset[S]:
        """The states nothing leads out of."""
        return frozenset(state for state, moves in self.moves.items() if not moves)

    def allows(self, current: S | None, to: S) -> bool:
        """Whether the table has the move; from None when the thing is new."""
        return to in (self.begins if current is None else self.moves[current])

    def check(self, current: S | None, to: S) -> None:
        """IllegalMove when the table does not have the move."""
        if not self.allows(current, to):
            raise IllegalMove(
                f"{self.of} cannot begin as {to}"
                if current is None
                else f"{self.of} that is {current} cannot become {to}"
            )
