"""The HTTP tools, over real sockets."""

import asyncio
import json

import jsonschema
import pytest

from connectors.http import GuardedHttp
from connectors.tools.http import HttpGet, HttpPost, _read
from domain.outside import ExternalError
from domain.ports import HttpAnswer
from domain.tools.tool import OutcomeStatus, ToolContext
from tests.connectors.test_http import LOOPBACK, answer, serve
from tests.cost import HOLDS_NOBODY, cpu, loop_pauses

CONTEXT = ToolContext(workspace_id="w", task_id="t", run_id="r", step_id="s", user_id=None, idempotency_key="key-1")
HTTP = GuardedHttp(allow=LOOPBACK)


async def test_a_page_is_read_as_clean_text() -> None:
    body = "caf\u00e9 \u202eevil\u200b".encode()
    async with serve(answer(body=body, content_type="text/plain; charset=utf-8")) as (port, _):
        got = await HttpGet(HTTP).run(CONTEXT, {"url": f"http://127.0.0.1:{port}/"})
    assert got.status is OutcomeStatus.DONE
    assert got.output == {
        "status": 200,
        "contentType": "text/plain; charset=utf-8",
        "text": "café evil",
        "truncated": False,
        "url": f"http://127.0.0.1:{port}/",
    }


async def test_json_is_offered_as_json() -> None:
    async with serve(answer(body=b'{"id": 7, "n": "a\\u202eb"}', content_type="application/json")) as (port, _):
        got = await HttpGet(HTTP).run(CONTEXT, {"url": f"http://127.0.0.1:{port}/"})
    assert got.output["json"] == {"id": 7, "n": "ab"}


@pytest.mark.parametrize("body", [b"{not json", b"[" * 100_000])
async def test_what_only_says_it_is_json_stays_text(body: bytes) -> None:
    async with serve(answer(body=body, content_type="application/json")) as (port, _):
        got = await HttpGet(HTTP).run(CONTEXT, {"url": f"http://127.0.0.1:{port}/"})
    assert got.status is OutcomeStatus.DONE
    assert "json" not in got.output


async def test_charsets() -> None:
    for charset, body, text in (
        ("iso-8859-1", b"caf\xe9", "café"),
        ("klingon", b"ok", "ok"),
        ("utf-8", b"\xff", "\ufffd"),
        ("hex", b"ok", "ok"),
    ):
        async with serve(answer(body=body, content_type=f"text/plain; charset={charset}")) as (port, _):
            got = await HttpGet(HTTP).run(CONTEXT, {"url": f"http://127.0.0.1:{port}/"})
        assert got.output["text"] == text


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "raw_unicode_escape", "utf-7", "undefined"])
async def test_a_page_does_not_choose_how_long_it_is_read(charset: str) -> None:
    body = b"b" * 1_000_000
    with loop_pauses() as pauses:
        async with serve(answer(body=body, content_type=f"text/plain; charset={charset}")) as (port, _):
            got = await HttpGet(HTTP).run(CONTEXT, {"url": f"http://127.0.0.1:{port}/"})
    assert pauses.longest < HOLDS_NOBODY, pauses.where
    assert (got.output["text"], got.output["truncated"]) == ("b" * 20_000, True)
    headers = {"content-type": f"text/plain; charset={charset}"}
    answered = HttpAnswer(status=200, headers=headers, body=body, truncated=False, url="http://x")
    assert cpu(lambda: _read(answered)) < HOLDS_NOBODY


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"[]," * 300_000 + b"0]",
        b"{" + b",".join(b'"%d":0' % n for n in range(90_000)) + b"}",
        b"[" * 200_000,
        b"[" + b",".join([b"1" * 4000] * 200) + b"]",
        ('["a' + "\u0315\u0300" * 200_000 + '"]').encode(),
        ('["' + '","'.join(["é"] * 19_000) + '"]').encode(),
    ],
    ids=range(6),
)
async def test_an_answer_in_json_holds_nobody_up(body: bytes) -> None:
    with loop_pauses() as pauses:
        async with serve(answer(body=body, content_type="application/json")) as (port, _):
            got = await HttpGet(HTTP).run(CONTEXT, {"url": f"http://127.0.0.1:{port}/"})
    assert got.status is OutcomeStatus.DONE
    assert pauses.longest < HOLDS_NOBODY, pauses.where


async def test_long_text_is_cut_and_says_so() -> None:
    async with serve(answer(body=b"z" * 50_000)) as (port, _):
        got = await HttpGet(HTTP).run(CONTEXT, {"url": f"http://127.0.0.1:{port}/"})
    assert (len(got.output["text"]), got.output["truncated"]) == (20_000, True)


async def test_an_error_status_is_a_failure_with_a_piece_of_the_body() -> None:
    async with serve(answer("503 Busy", body=b"come back later")) as (port, _):
        got = await HttpGet(HTTP).run(CONTEXT, {"url": f"http://127.0.0.1:{port}/"})
    assert got.status is OutcomeStatus.FAILED
    assert got.error == "the address answered 503: come back later"
    assert got.output["status"] == 503


async def test_a_refused_address_is_a_plain_failure() -> None:
    got = await HttpGet(GuardedHttp()).run(CONTEXT, {"url": "http://127.0.0.1/"})
    assert (got.status, got.output) == (OutcomeStatus.FAILED, {"code": "blocked_address"})
    got = await HttpPost(GuardedHttp()).run(CONTEXT, {"url": "http://127.0.0.1/"})
    assert (got.status, got.output) == (OutcomeStatus.FAILED, {"code": "blocked_address"})


async def test_a_post_carries_its_key_and_json() -> None:
    async with serve(answer("201 Created", body=b"{}", content_type="application/json")) as (port, seen):
        got = await HttpPost(HTTP).run(
            CONTEXT, {"url": f"http://127.0.0.1:{port}/hook", "json": {"ä": [1, None]}, "headers": {"X-A": "b"}}
        )
    assert got.status is OutcomeStatus.DONE
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook ")
    lines = {line.split(b":")[0].lower(): line.split(b": ", 1)[1] for line in head.split(b"\r\n")[1:]}
    assert lines[b"idempotency-key"] == b"key-1"
    assert lines[b"content-type"] == b"application/json"
    assert lines[b"x-a"] == b"b"
    assert json.loads(body) == {"ä": [1, None]}


async def test_a_post_of_text() -> None:
    async with serve(answer()) as (port, seen):
        await HttpPost(HTTP).run(CONTEXT, {"url": f"http://127.0.0.1:{port}/", "body": "a=1", "contentType": "text/x"})
    assert seen[0].endswith(b"a=1")
    assert b"content-type: text/x" in seen[0].lower()


async def test_a_post_that_may_have_arrived_goes_up() -> None:
    async def hang_up(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        return

    async with serve(hang_up) as (port, seen):
        with pytest.raises(ExternalError) as caught:
            await HttpPost(HTTP).run(CONTEXT, {"url": f"http://127.0.0.1:{port}/", "json": 1})
    assert caught.value.sent is True
    assert len(seen) == 1


async def test_a_post_that_never_left_is_a_failure() -> None:
    async with serve(answer()) as (port, _):
        pass
    got = await HttpPost(HTTP).run(CONTEXT, {"url": f"http://127.0.0.1:{port}/", "json": 1})
    assert (got.status, got.output) == (OutcomeStatus.FAILED, {"code": "connect_failed"})


async def test_a_moved_post_is_not_sent_on() -> None:
    async with serve(answer("307 Moved", location="https://other.example/")) as (port, _):
        got = await HttpPost(HTTP).run(CONTEXT, {"url": f"http://127.0.0.1:{port}/", "json": 1})
    assert got.status is OutcomeStatus.FAILED
    assert "https://other.example/" in got.error


@pytest.mark.parametrize(
    ("args", "fits"),
    [
        ({"url": "https://a.example/"}, True),
        ({"url": "https://a.example/", "json": None}, True),
        ({"url": "https://a.example/", "body": "x", "contentType": "text/x"}, True),
        ({"url": "https://a.example/", "body": "x", "json": 1}, False),
        ({"url": "ftp://a.example/"}, False),
        ({"url": "https://a.example/", "method": "DELETE"}, False),
        ({"url": "https://a.example/", "headers": {"a": 1}}, False),
        ({}, False),
    ],
)
def test_the_schema_of_post(args: dict[str, object], fits: bool) -> None:
    schema = dict(HttpPost.spec.parameters)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.Draft202012Validator(schema).is_valid(args) is fits
