from pathlib import Path

import pytest

from tests.bot.kit import open_bot


@pytest.fixture
async def bot(tmp_path: Path):
    async with open_bot(tmp_path) as kit:
        yield kit
