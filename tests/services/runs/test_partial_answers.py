"""What is told of an answer while it is being written."""

import asyncio

import pytest

from services.runs.partial_answers import TAIL, PartialAnswers, tail


async def until_told(told: list[str], count: int) -> None:
    async with asyncio.timeout(5):
        while len(told) < count:
            await asyncio.sleep(0.005)


async def test_the_newest_is_told_one_at_a_time() -> None:
    told: list[str] = []
    under_way = 0

    async def tell(text: str) -> None:
        nonlocal under_way
        assert under_way == 0
        under_way += 1
        await asyncio.sleep(0.02)
        told.append(text)
        under_way -= 1

    async with PartialAnswers(tell, every=0.05) as partial:
        partial.heard("I")
        await until_told(told, 1)
        for number in range(50):
            partial.heard("I look" + "." * number)
        await until_told(told, 2)
        # the same again is nothing new
        partial.heard(told[-1])
        await asyncio.sleep(0.15)
    assert told == ["I", "I look" + "." * 49]


async def test_what_is_being_told_is_told_to_its_end_and_nothing_after_it() -> None:
    told: list[str] = []
    begun = asyncio.Event()

    async def tell(text: str) -> None:
        begun.set()
        await asyncio.sleep(0.05)
        told.append(text)

    async with PartialAnswers(tell, every=0) as partial:
        partial.heard("one")
        await begun.wait()
        partial.heard("two")
    assert told == ["one"]
    await asyncio.sleep(0.1)
    assert told == ["one"]


async def test_nobody_is_told_where_nothing_is_written() -> None:
    async def tell(text: str) -> None:
        raise AssertionError(text)

    async with PartialAnswers(tell):
        await asyncio.sleep(0)


async def test_what_goes_wrong_in_telling_is_logged_and_goes_no_further(caplog: pytest.LogCaptureFixture) -> None:
    async def tell(text: str) -> None:
        raise RuntimeError(f"no room for {text}")

    async with PartialAnswers(tell, every=0) as partial:
        partial.heard("one")
        await asyncio.sleep(0.02)
        partial.heard("two")
    assert [record.message for record in caplog.records] == ["partial_answer_not_told"]


async def test_an_error_of_the_planner_comes_through_as_it_is() -> None:
    told: list[str] = []

    async def tell(text: str) -> None:
        told.append(text)

    async def plan() -> None:
        async with PartialAnswers(tell) as partial:
            partial.heard("one")
            await until_told(told, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await plan()


def test_the_end_of_a_text_is_what_is_shown() -> None:
    assert tail("  short\u202e ") == "short"
    long = "".join(f"{number} " for number in range(1000))
    shown = tail(long)
    assert len(shown) == TAIL
    assert shown.startswith("…")
    assert shown.endswith("998 999")
