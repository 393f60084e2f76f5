"""What a request to the control side gives: a JSON object, numbers, and the chat it is about."""

from typing import Any

from aiohttp import web

from simulator.errors import WrongRequest


async def given_object(request: web.Request) -> dict[str, Any]:
    """The body of a request. Raises WrongRequest for anything but an object."""
    given = await request.json()
    if not isinstance(given, dict):
        raise WrongRequest("send a JSON object")
    return given


def number(value: Any) -> int | None:
    """A whole number, None when there is none. Raises ValueError."""
    return None if value in (None, "") else int(value)


def where(given: dict[str, Any]) -> dict[str, Any]:
    """The chat a person means, as the functions of what people do take it: `chat` and `bot` of the request."""
    return {"chat_id": number(given.get("chat")), "bot": given.get("bot")}
