"""Refusals of the Bot API, with Telegram's own words."""

from typing import Any


class ApiError(Exception):
    """An answer of the Bot API that is not ok: HTTP status `code`, text, and `parameters` such as retry_after."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


class WrongRequest(Exception):
    """A request to the control side that cannot be carried out: nobody there, no such button."""


def bad(description: str) -> ApiError:
    """A 400."""
    return ApiError(400, f"Bad Request: {description}")


def forbidden(description: str) -> ApiError:
    """A 403."""
    return ApiError(403, f"Forbidden: {description}")


def too_many(seconds: int) -> ApiError:
    """A 429 that says how long to wait."""
    return ApiError(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
