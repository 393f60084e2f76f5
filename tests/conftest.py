"""What every run of the tests does: it names failures, and lets no state move outside of the tables."""

from collections.abc import Iterator

import pytest

from tests.state_moves import Moves


class Namer:
    """Names each failure, with its end, as soon as it is there: a run that is cut short has then said why."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            last = report.longreprtext.strip().splitlines()[-6:]
            said = [f"FAILED {report.nodeid} ({report.when})", *last]
            self.config.get_terminal_writer().write("\n" + "\n".join(said) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    # workers hand what they find to the one process that prints
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Namer(config), "namer")


@pytest.fixture(scope="session")
def state_moves() -> Iterator[Moves]:
    moves = Moves()
    with moves.watched():
        yield moves
    assert moves.outside == []


@pytest.fixture(autouse=True)
def _no_move_outside_of_the_tables(state_moves: Moves) -> Iterator[None]:
    known = len(state_moves.outside)
    yield
    assert state_moves.outside[known:] == []
