"""`http.get` and `http.post`: reading from and acting on the outside."""

import json
from collections.abc import Mapping
from typing import Any

from domain.governance import Effect
from domain.outside import OutsideError
from domain.ports import Http, HttpAnswer
from domain.tools import Outcome, OutcomeStatus, ToolContext, ToolSpec
from domain.untrusted import clean

TEXT_LIMIT = 20_000
_HEADERS = {
    "type": "object",
    "maxProperties": 30,
    "additionalProperties": {"type": "string", "maxLength": 2000, "pattern": "^[^\\r\\n]*$"},
}
_URL = {"type": "string", "maxLength": 2000, "pattern": "^https?://"}


class HttpGet:
    spec = ToolSpec(
        name="http.get",
        summary="Read a page or an API answer from a public address.",
        parameters={
            "type": "object",
            "properties": {
                "url": _URL,
                "headers": _HEADERS,
                "max_bytes": {"type": "integer", "minimum": 1, "maximum": 5_000_000},
            },
            "required": ["url"],
            "additionalProperties": False,
        },
        effect=Effect.E1,
        idempotent=True,
        redactions=("headers",),
    )

    def __init__(self, http: Http) -> None:
        self._http = http

    async def run(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome:
        """`{status, contentType, text, truncated, url}`; other than 2xx is a failure."""
        del context
        answer = await self._http.request(
            "GET", args["url"], headers=args.get("headers"), max_bytes=int(args.get("max_bytes", 1_000_000))
        )
        return _outcome(answer)

    async def look_up(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome | None:
        """Reading leaves nothing to be found."""
        del context, args
        return None


class HttpPost:
    spec = ToolSpec(
        name="http.post",
        summary="Send data to a public address: a webhook, an API.",
        parameters={
            "type": "object",
            "properties": {
                "url": _URL,
                "json": {},
                "body": {"type": "string", "maxLength": 200_000},
                "content_type": {"type": "string", "maxLength": 200, "pattern": "^[^\\r\\n]*$"},
                "headers": _HEADERS,
            },
            "required": ["url"],
            "additionalProperties": False,
            "not": {"required": ["json", "body"]},
        },
        effect=Effect.E3,
        redactions=("headers",),
    )

    def __init__(self, http: Http) -> None:
        self._http = http

    async def run(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome:
        """As `http.get`. A break after sending is raised: nobody here can know whether it arrived."""
        headers = dict(args.get("headers") or {})
        headers["Idempotency-Key"] = context.idempotency_key
        if "json" in args:
            content = json.dumps(args["json"]).encode()
            headers.setdefault("Content-Type", "application/json")
        else:
            content = str(args.get("body", "")).encode()
            headers.setdefault("Content-Type", str(args.get("content_type", "text/plain; charset=utf-8")))
        try:
            answer = await self._http.request("POST", args["url"], headers=headers, content=content)
        except OutsideError as error:
            if error.sent:
                raise
            return Outcome(status=OutcomeStatus.FAILED, error=f"http.post: {error}")
        return _outcome(answer)

    async def look_up(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome | None:
        """The outside offers no general way to ask."""
        del context, args
        return None


def _outcome(answer: HttpAnswer) -> Outcome:
    kind = answer.headers.get("content-type", "")
    charset = kind.partition("charset=")[2].partition(";")[0].strip(" \"'") or "utf-8"
    try:
        decoded = answer.body.decode(charset, "replace")
    except LookupError:
        decoded = answer.body.decode("utf-8", "replace")
    text, cut = clean(decoded, limit=TEXT_LIMIT)
    output: dict[str, Any] = {
        "status": answer.status,
        "contentType": kind[:200],
        "text": text,
        "truncated": cut or answer.truncated,
        "url": answer.url,
    }
    if 200 <= answer.status < 300:
        return Outcome(status=OutcomeStatus.DONE, output=output)
    return Outcome(status=OutcomeStatus.FAILED, output=output, error=f"answered {answer.status}: {text[:200]}")
