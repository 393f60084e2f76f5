"""Texts as Telegram counts them, and buttons within their 64 bytes."""

import pytest
from aiogram.utils.formatting import Bold
from hypothesis import given
from hypothesis import strategies as st

from bot import buttons
from bot.text import clip, render, units
from domain.ids import new_id


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


def test_button_data_round_trips():
    run, step = new_id(), new_id()
    assert buttons.parse_uncertain(buttons.uncertain(run_id=run, step_id=step, verb="r")) == (run, step, "r")
    assert len(buttons.uncertain(run_id=run, step_id=step, verb="r").encode()) <= 64
    for bad in ("a:x:y:1:abc", "a:" + "A" * 22 + ":y:z:" + "a" * 12, "a", "a:::::"):
        with pytest.raises(ValueError):
            buttons.parse_approval(bad)
