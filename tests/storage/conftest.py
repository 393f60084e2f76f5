from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.database import Store
from tests.databases import fresh_url


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(fresh_url(request.param, tmp_path))
    yield opened
    await opened.close()
