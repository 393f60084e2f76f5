"""How often a thing that failed is tried again, and how long each pause is."""

from dataclasses import dataclass

# keeps a power finite however often something has failed; each backoff has reached its longest pause before
MOST_DOUBLINGS = 64


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses in seconds that grow from `first` to `longest`, by `factor` each time.

    `tries` counts the first try too; None tries for ever. A failure is counted from 1.
    """

    first: float
    longest: float
    tries: int | None = None
    factor: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.longest:
            raise ValueError("a first pause is above 0 and not above the longest")
        if self.tries is not None and self.tries < 1:
            raise ValueError("there is one try at least")
        if self.factor < 2:
            raise ValueError("pauses grow by a factor of 2 at least")

    def pause(self, failure: int, *, retry_after: float | None = None) -> float:
        """Seconds to wait after the `failure`-th failure; what the server asked for comes first, up to `longest`."""
        if retry_after is not None:
            return min(self.longest, max(0.0, retry_after))
        return min(self.longest, self.first * self.factor ** min(max(0, failure - 1), MOST_DOUBLINGS))

    def is_last(self, failure: int) -> bool:
        """Whether the `failure`-th failure was of the last try."""
        return self.tries is not None and failure >= self.tries
