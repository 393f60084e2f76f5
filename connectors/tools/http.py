"""Tools that speak HTTP: reading a page, posting to a service."""

import asyncio
import codecs
import contextlib
import json
from collections.abc import Mapping
from typing import Any

from domain.bounded_json import BadJson, Bounds, loads
from domain.outside import ExternalError
from domain.ports import Http, HttpAnswer
from domain.tools.effect import Effect
from domain.tools.tool import ACTING_MODES, Outcome, OutcomeStatus, ToolContext, ToolSpec
from domain.untrusted import clean_and_cap, clean_json

TEXT_CAP = 20_000
BODY_CAP = 1_000_000
ERROR_PIECE = 500
POST_SECONDS = 30.0
# of an answer this much is looked at for its text: four bytes a character, and what cleaning takes out
TEXT_BYTES = 8 * TEXT_CAP
ANSWER = Bounds(size=5_000_000, nodes=50_000)
# larger answers are gone through in a thread
SHORT = 20_000
# What pages are written in, by Python's names. Some of its other decoders take the square of the text's length.
_CHARSETS = frozenset(
    {"ascii", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "koi8-r", "koi8-u", "tis-620", "hz"}
    | {"gb2312", "gbk", "gb18030", "big5", "big5hkscs", "euc_jp", "euc_kr", "shift_jis", "iso2022_jp", "cp932", "cp949"}
    | {"cp866", "cp874", "mac-roman", "mac-cyrillic", "johab"}
    | {f"cp{number}" for number in range(1250, 1259)}
    | {f"iso8859-{number}" for number in range(1, 17)}
)

_URL = {
    "type": "string",
    "minLength": 8,
    "maxLength": 4000,
    "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://",
    "description": "Full http or https address",
}
_HEADERS = {
    "type": "object",
    "maxProperties": 30,
    "additionalProperties": {"type": "string", "maxLength": 8000},
    "description": "Extra request headers",
}


class HttpGet:
    """Reads an address. What comes back is data from outside, cleaned and capped."""

    spec = ToolSpec(
        name="http.get",
        summary="Read a public web address. Returns status, contentType, text, and json when the answer is JSON.",
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
        """The page. Reading changes nothing, so every failure of the outside is a plain one."""
        del context
        try:
            answer = await self._http.request(
                "GET", args["url"], headers=args.get("headers"), max_bytes=int(args.get("max_bytes", BODY_CAP))
            )
        except ExternalError as error:
            return _failed(f"GET failed: {error}", {"code": error.code})
        return await _outcome(answer)

    async def find_outcome(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome | None:
        """Nothing was done outside."""
        del context, args
        return None


class HttpPost:
    """Posts to an address. The other side is not trusted to recognise a repeat, though it gets a key for it."""

    spec = ToolSpec(
        name="http.post",
        summary="Send a POST request to a public web address, with JSON or a text body.",
        parameters={
            "type": "object",
            "properties": {
                "url": _URL,
                "json": {"description": "Any JSON value, sent as application/json"},
                "body": {"type": "string", "maxLength": BODY_CAP},
                "contentType": {"type": "string", "maxLength": 200, "pattern": "^[\\x20-\\x7e]+$"},
                "headers": _HEADERS,
            },
            "required": ["url"],
            "additionalProperties": False,
            "not": {"required": ["json", "body"]},
        },
        modes=ACTING_MODES,
        effect=Effect.E3,
        idempotent=False,
        redactions=("headers",),
    )

    def __init__(self, http: Http) -> None:
        self._http = http

    async def run(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome:
        """The answer. An ExternalError goes up when the request may have arrived: a person has to look."""
        content, content_type = _content(args)
        headers = {k.lower(): v for k, v in args.get("headers", {}).items()}
        headers |= {"content-type": content_type, "idempotency-key": context.idempotency_key}
        try:
            answer = await self._http.request(
                "POST", args["url"], headers=headers, content=content, max_bytes=BODY_CAP, timeout=POST_SECONDS
            )
        except ExternalError as error:
            if error.sent:
                raise
            return _failed(f"POST was not sent: {error}", {"code": error.code})
        return await _outcome(answer)

    async def find_outcome(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome | None:
        """The protocol has no way to ask."""
        del context, args
        return None


def _content(args: Mapping[str, Any]) -> tuple[bytes, str]:
    if "json" in args:
        return json.dumps(args["json"], ensure_ascii=False).encode(), str(args.get("contentType", "application/json"))
    return str(args.get("body", "")).encode(), str(args.get("contentType", "text/plain; charset=utf-8"))


async def _outcome(answer: HttpAnswer) -> Outcome:
    if len(answer.body) <= SHORT:
        return _read(answer)
    return await asyncio.to_thread(_read, answer)


def _read(answer: HttpAnswer) -> Outcome:
    content_type = clean_and_cap(answer.headers.get("content-type", ""), 200)[0]
    text, cut = clean_and_cap(_decode(answer.body[:TEXT_BYTES], content_type), TEXT_CAP)
    cut = cut or len(answer.body) > TEXT_BYTES
    output: dict[str, Any] = {
        "status": answer.status,
        "contentType": content_type,
        "text": text,
        "truncated": answer.truncated or cut,
        "url": answer.url[:4000],
    }
    if not answer.truncated and "json" in content_type.partition(";")[0].lower():
        with contextlib.suppress(BadJson):
            found = loads(answer.body, ANSWER, refuse_duplicates=False, lenient=True)
            output["json"] = clean_json(found, max_chars=TEXT_CAP)
    if 200 <= answer.status < 300:
        return Outcome(status=OutcomeStatus.DONE, output=output)
    if 300 <= answer.status < 400 and "location" in answer.headers:
        where = clean_and_cap(answer.headers["location"], 500)[0]
        return _failed(f"the address answered {answer.status}: moved to {where}; it was not called there", output)
    piece = text[:ERROR_PIECE].strip()
    return _failed(f"the address answered {answer.status}" + (f": {piece}" if piece else ""), output)


def _decode(body: bytes, content_type: str) -> str:
    for part in content_type.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            try:
                charset = codecs.lookup(value.strip().strip("\"'").lower()[:40]).name
            except (LookupError, ValueError):
                break
            if charset in _CHARSETS:
                return body.decode(charset, "replace")
            break
    return body.decode("utf-8", "replace")


def _failed(error: str, output: Any) -> Outcome:
    return Outcome(status=OutcomeStatus.FAILED, error=error, output=output)
