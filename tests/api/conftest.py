import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from tests.api.house import House, Person, open_house
from tests.databases import fresh_url


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """The application on SQLite."""
    async with open_house(fresh_url("sqlite", tmp_path), tmp_path) as opened:
        yield opened


@pytest.fixture
async def owner(house: House) -> Person:
    """Ada, with a workspace of her own."""
    return await house.person("ada@example.com")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database of each kind."""
    return fresh_url(request.param, tmp_path)


@pytest.fixture(autouse=True, scope="session")
def _only_errors_are_logged() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
    )
