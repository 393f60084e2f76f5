"""A short fire: a few kills on each store, with `make chaos`'s own means."""

from pathlib import Path

import pytest

from bench.chaos import run


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_nothing_is_lost_or_silently_repeated(tmp_path: Path, kind: str) -> None:
    figures = run(kind, tmp_path, kills=6, seed=3)
    assert figures.kills == 6
    assert figures.runs > 0
    assert figures.posts == figures.runs
    assert figures.sound, figures
