"""Pauses grow to the longest, a server's word comes first, and every place that retries keeps its numbers."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import supervisor
from bot import intake, outbox, runner, worker
from connectors import helm
from domain.backoff import Backoff
from services.approvals import callbacks
from services.identity import mail_queue
from services.runs import view
from storage import postgres, sqlite

# who retries, what the pauses are, and what the last one is before it is given up (None: it never is)
PLACES = {
    "a segment": (view.BACKOFF, [2, 4, 8, 16, 32], 6),
    "a callback": (callbacks.BACKOFF, [*(2**n for n in range(1, 12)), *[3600] * 18], 30),
    "a mail": (mail_queue.BACKOFF, [2, 4, 8, 16, 32, 64, 120], 8),
    "a call of the sidecar": (helm.BACKOFF, [0.1, 0.4], 3),
    "an update": (worker.BACKOFF, [0.5, 1, 2, 4, 8, 8], 7),
    "a message that breaks": (outbox.BROKEN, [1, 2, 4, 8, 16, 32, 60], 8),
    "a message": (outbox.AWAY, [0.5, 1, 2, 4, 8, 16, 32, 60, 60], None),
    "all messages": (outbox.AWAY_FOR_ALL, [0.5, 1, 2, 4, 5, 5], None),
    "polling": (intake.AWAY, [0.5, 1, 2, 4, 8, 16, 30, 30], None),
    "polling that gets the same": (intake.REPEATED, [0.5, 1, 2, 2], None),
    "beginning with Telegram": (runner.BACKOFF, [0.5, 1, 2, 4, 8, 16, 30, 30], None),
    "work in the background": (supervisor.BACKOFF, [0.5, 1, 2, 4, 8, 16, 30, 30], None),
    "a transaction on Postgres": (postgres.TROUBLED, [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32], 8),
    "a locked file": (sqlite.LOCKED, [0.05, 0.1, 0.2, 0.4, 0.8], 6),
}


@pytest.mark.parametrize("place", PLACES)
def test_every_place_keeps_its_numbers(place: str) -> None:
    backoff, pauses, tries = PLACES[place]
    assert [backoff.pause(n) for n in range(1, len(pauses) + 1)] == pytest.approx(pauses)
    assert backoff.tries == tries
    if tries is None:
        assert not backoff.is_last(10**9)
    else:
        assert next(n for n in itertools.count(1) if backoff.is_last(n)) == tries
        assert len(pauses) == tries - 1


@given(
    first=st.floats(0.001, 100),
    more=st.floats(1, 1000),
    factor=st.floats(2, 10),
    failure=st.integers(1, 10**12),
)
def test_pauses_grow_and_never_pass_the_longest(*, first: float, more: float, factor: float, failure: int) -> None:
    backoff = Backoff(first, first * more, factor=factor)
    assert backoff.pause(1) == first
    assert first <= backoff.pause(failure) <= backoff.pause(failure + 1) <= backoff.longest


@pytest.mark.parametrize(
    ("said", "pause"), [(None, 4), (0.01, 0.01), (0, 0), (-5, 0), (30, 30), (10**30, 60), (float("inf"), 60)]
)
def test_what_a_server_asks_for_comes_first_up_to_the_longest(said: float | None, pause: float) -> None:
    assert Backoff(first=1, longest=60).pause(3, retry_after=said) == pause


@pytest.mark.parametrize(
    "values",
    [
        {"first": 0, "longest": 1},
        {"first": -1, "longest": 1},
        {"first": 2, "longest": 1},
        {"first": 1, "longest": 1, "tries": 0},
        {"first": 1, "longest": 1, "factor": 1},
    ],
)
def test_a_backoff_that_means_nothing_cannot_be_made(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"pause|try"):
        Backoff(**values)  # type: ignore[arg-type]
