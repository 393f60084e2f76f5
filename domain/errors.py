"""Every error the system raises on purpose: one root, one HTTP status and one stable code each."""

from collections.abc import Mapping
from typing import Any


class PilotError(Exception):
    """Something went wrong that the caller can be told about."""

    status = 500
    code = "internal_error"

    def __init__(self, message: str = "", *, code: str | None = None, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())
        if code is not None:
            self.code = code
        self.details: dict[str, Any] = dict(details or {})


class Invalid(PilotError):
    """The request does not fit the schema."""

    status = 400
    code = "invalid_request"

    @classmethod
    def field(cls, name: str, problem: str) -> "Invalid":
        """An error about one field: `details.fieldErrors` names it, as clients of the contract expect."""
        return cls(f"{name}: {problem}", details={"formErrors": [], "fieldErrors": {name: [problem]}})


class Unauthorized(PilotError):
    """No valid credentials."""

    status = 401
    code = "unauthorized"


class Forbidden(PilotError):
    """The role of the caller does not allow this."""

    status = 403
    code = "forbidden"


class NotFound(PilotError):
    """No such thing in this workspace."""

    status = 404
    code = "not_found"


class Conflict(PilotError):
    """The thing is not in a state that allows this."""

    status = 409
    code = "conflict"


class Gone(PilotError):
    """It was there and has expired."""

    status = 410
    code = "gone"


class TooLarge(PilotError):
    """The request body is too large."""

    status = 413
    code = "body_too_large"


class RateLimited(PilotError):
    """Too many requests."""

    status = 429
    code = "rate_limited"


class Unavailable(PilotError):
    """A part this needs is not ready or not configured."""

    status = 503
    code = "unavailable"
