"""Errors under /api/v1 as clients of HELM kernels read them: RFC 7807 with the members of a Connect error."""

from http import HTTPStatus
from typing import Any, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict

PREFIX = "/api/v1/"
MEDIA = "application/problem+json"
DETAIL = "helm.errors.v1.ErrorDetail"
# the words of Connect by HTTP status
_CODES = {
    400: "invalid_argument",
    401: "unauthenticated",
    403: "permission_denied",
    404: "not_found",
    405: "unimplemented",
    409: "aborted",
    413: "out_of_range",
    429: "resource_exhausted",
    503: "unavailable",
}


class ErrorDebug(BaseModel):
    """`reason_code` is our stable code in upper case; `retryable`: the same request may succeed later."""

    reason_code: str
    retryable: bool


class ErrorDetail(BaseModel):
    type: Literal["helm.errors.v1.ErrorDetail"]
    debug: ErrorDebug


class ProblemDetails(BaseModel):
    """An RFC 7807 problem that is a Connect error, too; `trace_id` is the id of the request in the log."""

    model_config = ConfigDict(extra="forbid")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    trace_id: str
    code: str
    message: str
    details: list[ErrorDetail]


def as_problem(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """The same error in that form; what is no error of ours stays as it is."""
    if response.status < 400 or not isinstance(response, web.Response) or response.content_type != "application/json":
        return response
    said = orjson.loads(response.body if isinstance(response.body, bytes) else b"{}")
    words = _words(said)
    debug = {"reason_code": said["code"].upper(), "retryable": response.status in (429, 503)}
    body = {
        "type": "about:blank",
        "title": HTTPStatus(response.status).phrase,
        "status": response.status,
        "detail": words,
        "instance": request.path,
        "trace_id": said["requestId"],
        "code": _CODES.get(response.status, "internal"),
        "message": words,
        "details": [{"type": DETAIL, "debug": debug}],
    }
    headers = {k: v for k, v in response.headers.items() if k.lower() not in ("content-type", "content-length")}
    return web.Response(body=orjson.dumps(body), status=response.status, headers=headers, content_type=MEDIA)


def _words(said: dict[str, Any]) -> str:
    """What is wrong, with each field that is."""
    details = said.get("details")
    fields = details.get("fieldErrors") if isinstance(details, dict) else None
    if not fields:
        return str(said["error"])
    return "; ".join(f"{name}: {', '.join(problems)}" for name, problems in fields.items())
