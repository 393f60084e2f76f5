"""Texts as Telegram counts them."""

import pytest
from aiogram.utils.formatting import Bold
from hypothesis import given
from hypothesis import strategies as st

from bot.text import clip, render, units


@given(st.text(), st.integers(1, 50))
def test_clipping_keeps_to_the_limit_in_utf16_units(text: str, limit: int):
    text = text.encode("utf-16", "ignore").decode("utf-16", "ignore")
    cut = clip(text, limit)
    assert units(cut) <= limit
    assert cut == text or cut.endswith("…")


def test_an_entity_covers_whole_characters():
    shown = render(Bold(clip("😀" * 3000, 100)), " end")
    assert shown["entities"] == [{"type": "bold", "offset": 0, "length": 99}]
    with pytest.raises(ValueError, match="4097"):
        render("x" * 4097)
