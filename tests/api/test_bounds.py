"""Nothing that is sent stops the process: worst inputs at every entrance are answered, plainly and at once.

How long is measured as CPU time of the longest callback of the event loop, which is what everybody else waits for.
"""

import asyncio
import gzip
import json
import re
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.config import HttpConfig
from api.http import Access, Endpoint
from api.server import groups
from tests.api.conftest import ADMINISTRATOR, Client, Installation, open_installation
from tests.cost import HOLDS_NOBODY, loop_pauses
from tests.databases import fresh_url
from tests.mcp_server import World, over_http, tool

ID = "0198f0a2-0000-7000-8000-000000000001"
M = 1_000_000
EVALUATE = "/api/governance/evaluate"

BODIES: list[tuple[str, bytes, str]] = [
    ("a name twice", b'{"title":"a","title":"b"}', "duplicate_name"),
    ("a name twice, within", b'{"title":"a","x":[{"y":1,"y":1}]}', "duplicate_name"),
    ("brackets", b"[" * 3900, "json_too_deep"),
    ("deep", b'{"title":' * 600 + b"0" + b"}" * 600, "json_too_deep"),
    ("digits", b'{"title":' + b"1" * 5000 + b"}", "json_number"),
    ("no double", b'{"title":1e999}', "invalid_json"),
    ("no JSON", b'{"title":', "invalid_json"),
    ("no object", b'["title"]', "invalid_json"),
    ("no UTF-8", b'{"title":"\xff"}', "invalid_json"),
]
# these are longer than some routes take at all
WIDE: list[tuple[str, bytes]] = [
    ("numbers", b'{"args":[' + b"0," * 450_000 + b"0]}"),
    ("lists", b'{"args":[' + b"[]," * 300_000 + b"0]}"),
    ("members", b"{" + b",".join(b'"%d":0' % n for n in range(80_000)) + b"}"),
]


def endpoints() -> list[Endpoint]:
    config = HttpConfig(version="0", app_url="http://x")
    return [one for group in groups(config) for one in group.table]


def at(path: str, value: str = ID) -> str:
    return re.sub(r"\{[^}]+\}", value, path)


async def asked(client: Client, one: Endpoint, raw: bytes) -> tuple[int, Any]:
    more = {"Authorization": f"Bearer {ADMINISTRATOR}"} if one.needs is Access.ADMIN else {}
    if one.workspace_in_path is not None:
        path = at(one.path.replace("{" + one.workspace_in_path + "}", client.workspace))
    else:
        path = at(one.path)
    return await client.send(one.method, path, raw, **more)


def word(body: Any) -> str:
    """The code of an error, also where it is in the words of HELM's clients."""
    if "details" in body and isinstance(body["details"], list):
        return str(body["details"][0]["debug"]["reason_code"]).lower()
    return str(body["code"])


async def test_every_body_is_bounded_before_it_is_read(lite: Installation) -> None:
    owner = await lite.by_mail("ada@example.com")
    with_body = [one for one in endpoints() if one.body is not None]
    assert len(with_body) > 30
    with loop_pauses() as pauses:
        for one in with_body:
            for name, raw, code in BODIES:
                status, body = await asked(owner, one, raw)
                said = json.loads(body) if isinstance(body, bytes) else body
                assert (status, word(said)) == (400, code), (one.method, one.path, name, said)
    assert pauses.longest < HOLDS_NOBODY, pauses.where


async def test_wide_bodies_hold_nobody_up(lite: Installation) -> None:
    owner = await lite.by_mail("ada@example.com")
    with loop_pauses() as pauses:
        for one in (e for e in endpoints() if e.body is not None and e.max_body >= M):
            for name, raw in WIDE:
                status, body = await asked(owner, one, raw)
                said = json.loads(body) if isinstance(body, bytes) else body
                assert (status, word(said)) == (400, "json_too_many"), (one.path, name, said)
    assert pauses.longest < HOLDS_NOBODY, pauses.where


async def test_the_name_that_comes_twice_is_told(lite: Installation) -> None:
    owner = await lite.by_mail("ada@example.com")
    status, said = await owner.send("POST", "/api/tasks", b'{"title":"a","description":"x","title":"b"}')
    assert (status, said["code"]) == (400, "duplicate_name")
    assert said["details"]["fieldErrors"] == {"title": ["comes twice in one object"]}
    assert await owner.get("/api/tasks") == []
    status, said = await owner.send("POST", "/app/language", b'{"language":"en","language":"es"}')
    assert (status, said["code"]) == (400, "duplicate_name")
    status, said = await owner.send("POST", "/app/language", b"[" * 5000, Content_Type="application/json; charset=nope")
    assert (status, said["code"]) == (400, "json_too_many")


PACKED: list[tuple[str, str, bytes]] = [
    ("no gzip", "gzip", b'{"title":"x"}'),
    ("no deflate", "deflate", b"\xff" * 20),
    ("cut off", "gzip", gzip.compress(b'{"title":"x"}' * 50)[:-9]),
    ("changed", "gzip", gzip.compress(b'{"title":"x"}')[:-5] + b"\x00" * 5),
    ("nothing", "gzip", b""),
    ("unknown", "br", b'{"title":"x"}'),
    ("unknown too", "zstd", b'{"title":"x"}'),
    ("a bomb", "gzip", gzip.compress(b" " * 400 * M)),
    ("a bomb of zeros", "deflate", zlib.compress(bytes(400 * M))),
    ("a bomb in a bomb", "gzip", gzip.compress(gzip.compress(b" " * 100 * M))),
]


@pytest.mark.parametrize(("packing", "raw"), [pytest.param(packing, raw, id=name) for name, packing, raw in PACKED])
@pytest.mark.parametrize("path", ["/api/tasks", "/app/language", "/api/auth/email/request", "/api/v1/evaluate"])
async def test_a_body_that_is_not_what_it_is_marked_as(lite: Installation, path: str, packing: str, raw: bytes) -> None:
    owner = await lite.by_mail("ada@example.com")
    with loop_pauses() as pauses:
        status, _ = await owner.send("POST", path, raw, Content_Encoding=packing)
        assert 400 <= status < 500
        # and the next request finds everything as it was
        status, _ = await owner.send("POST", "/api/tasks", gzip.compress(b'{"title":"x"}'), Content_Encoding="gzip")
        assert status == 201
    assert pauses.longest < HOLDS_NOBODY, pauses.where


async def test_a_body_that_is_no_gzip_is_said_to_be_none(lite: Installation) -> None:
    owner = await lite.by_mail("ada@example.com")
    status, said = await owner.send("POST", "/api/tasks", b'{"title":"x"}', Content_Encoding="gzip")
    assert (status, said["code"]) == (400, "invalid_body")


ODD = [
    *("%00", "a%00b", "%ff", "%c0%80", "%ed%a0%80", "%", "%zz", "%2e%2e%2f%2e%2e%2fetc", "..%2f..", "%0d%0aX:%20y"),
    *("a" * 300, "a" * 4000, "%41" * 1300, "%e2%80%ae", "%F0%9F%98%80" * 100, "-1", "9" * 400, "1e999", "{}", "[[]]"),
    *("%20", "null", "NaN", "%25%30%30", "a;b", "*"),
]


async def test_odd_names_in_paths_are_unknown_names(lite: Installation) -> None:
    owner = await lite.by_mail("ada@example.com")
    version = re.search(r"/app/static/([^/]+)/", str(await owner.send("GET", "/app/")))
    assert version is not None
    places = {"/app/static/" + version[1] + "/{x}", "/app/static/{x}", "/app/static/{x}/app.js", "/app/parts/{x}"}
    places |= {"/app/parts/task/{x}", "/app/{x}", "/{x}", "/api/{x}", "/api/docs/{x}", "/simulator/{x}"}
    places |= {one.path for one in endpoints() if "{" in one.path}
    with loop_pauses() as pauses:
        for path in sorted(places):
            for odd in ODD:
                from_table = [one.method for one in endpoints() if one.path == path]
                for method in from_table or ["GET"]:
                    target = at(path.replace("{workspace_id}", owner.workspace), odd)
                    status = await plainly(lite, owner, method, target)
                    assert status < 500 or status in (502, 503), (method, target[:200], status)
    assert pauses.longest < HOLDS_NOBODY, pauses.where
    assert await plainly(lite, owner, "GET", f"/app/static/{version[1]}/app.js") == 200
    assert await plainly(lite, owner, "GET", f"/app/static/{version[1]}/%00") == 404
    assert await plainly(lite, owner, "GET", f"/app/static/{version[1]}/{'a' * 4000}.js") == 404


async def plainly(lite: Installation, client: Client, method: str, target: str, *headers: tuple[str, str]) -> int:
    """The status of a request whose target is sent as it is written here: clients mend what is odd."""
    host, port = lite.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    given = [*client.headers.items(), ("Host", "x"), ("Connection", "close"), ("Content-Length", "0"), *headers]
    try:
        head = "".join(f"{name}: {value}\r\n" for name, value in given)
        writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
        async with asyncio.timeout(20):
            line = await reader.readline()
        return int(line.split()[1])
    finally:
        writer.close()


HEADERS: list[tuple[str, str]] = [
    *((name, "a" * 60_000) for name in ("Accept-Language", "Cookie", "X-Request-Id", "Authorization", "Accept")),
    ("Accept-Language", ",".join(["en;q=0.1"] * 900)),
    ("Accept-Language", "en;q=" + "9" * 8000),
    ("Accept-Language", "-" * 8000),
    ("Cookie", "; ".join(f"a{n}=b" for n in range(900))),
    ("Cookie", 'helm_session="' + "\\" * 8000),
    ("Cookie", "=" * 8000),
    ("X-Forwarded-For", ",".join(["127.0.0.1"] * 800)),
    ("X-Forwarded-For", "1" * 8000),
    ("Last-Event-ID", "9" * 5000),
    ("Last-Event-ID", "-1"),
    ("Last-Event-ID", "\xb2"),
    ("Idempotency-Key", "k" * 5000),
    ("X-Workspace-Id", "\x7f" * 5000),
    ("If-None-Match", '"' * 8000),
    ("Range", "bytes=" + ",".join(["0-1"] * 1500)),
    ("Content-Type", "application/json; " + "a=b;" * 1500),
    ("Accept", "text/*;q=0." + "1" * 8000),
    ("Authorization", "tma " + "a=1&" * 1900),
    ("Authorization", "tma user=%7B" + "%5B" * 2000),
    ("Authorization", "Bearer " + "." * 8000),
]


async def test_odd_headers_are_answered(lite: Installation) -> None:
    owner = await lite.by_mail("ada@example.com")
    with loop_pauses() as pauses:
        for name, value in HEADERS:
            for path in ("/app/", "/api/tasks", "/health", "/app/parts/tasks", "/api/governance/checkpoint", "/none"):
                status = await plainly(lite, owner, "GET", path, (name, value))
                assert status < 500, (name, value[:40], path, status)
        status = await plainly(lite, owner, "GET", "/api/events", ("Last-Event-ID", "9" * 5000))
        assert status == 400
    assert pauses.longest < HOLDS_NOBODY, pauses.where


QUERIES = [
    *(
        "limit=" + "9" * 5000,
        "limit=1e999",
        "cursor=" + "9" * 7000,
        "cursor=%00",
        "q=" + "%25" * 2000,
        "q=" + "_" * 7000,
    ),
    *("since=" + "1" * 7000, "since=" + "%F0%9F%98%80" * 500, "status=" + "queued," * 1000, "&" * 7000, "a=1&" * 1800),
    *("limit=\xb2", "workspaceId=" + "a" * 7000, "lastEventId=" + "1" * 5000, "offset=" + "9" * 400),
]


async def test_odd_queries_are_answered(lite: Installation) -> None:
    owner = await lite.by_mail("ada@example.com")
    paths = [one.path for one in endpoints() if one.method == "GET" and "{" not in one.path]
    with loop_pauses() as pauses:
        for path in (path for path in paths if "/events" not in path):
            for query in QUERIES:
                status = await plainly(lite, owner, "GET", f"{path}?{query}")
                assert status < 500 or status == 503, (path, query[:60], status)
    assert pauses.longest < HOLDS_NOBODY, pauses.where


# --- what is thought about at length -------------------------------------------------------------------


MARKS = "a" + "\u0315\u0300\u0327" * 50_000


async def test_marks_upon_marks_are_refused_or_cut(lite: Installation) -> None:
    owner = await lite.by_mail("ada@example.com")
    path = f"/api/workspace/{owner.workspace}/settings"
    with loop_pauses() as pauses:
        for wanted in ({"contentBans": [MARKS]}, {"contentBans": ["x"], "allowedHosts": [MARKS]}, {MARKS: 1}):
            status, said = await owner.send("PUT", path, {"policyConfig": wanted})
            assert (status, said["code"]) == (400, "invalid_request"), said
        status, _ = await owner.send(
            "PUT", path, {"policyConfig": {"contentBans": ["secret"], "allowedHosts": ["a.de"]}}
        )
        assert status == 201
        for args in (
            {"title": "t", "body": MARKS[:40_000]},
            {"title": MARKS[:400], "body": "http://" + MARKS[:40_000]},
        ):
            status, said = await owner.send("POST", EVALUATE, {"tool": "note.create", "args": args, "dryRun": True})
            assert status == 200, said
    assert pauses.longest < HOLDS_NOBODY, pauses.where


async def test_settings_without_number_are_refused_at_once(lite: Installation) -> None:
    owner = await lite.by_mail("ada@example.com")
    path = f"/api/workspace/{owner.workspace}/settings"
    with loop_pauses() as pauses:
        for wanted in (
            {"toolEffects": {f"a.{n}": "E9" for n in range(9000)}},
            {f"setting{n}": 1 for n in range(19_000)},
            {"rules": [{"id": "a"}] * 9000},
            {"toolBlocklist": ["*a" * 50] * 9000},
            {"contentBans": [1] * 19_000},
        ):
            status, said = await owner.send("PUT", path, {"policyConfig": wanted})
            assert (status, said["code"]) == (400, "invalid_request"), said
    assert pauses.longest < HOLDS_NOBODY, pauses.where


async def test_patterns_of_stars_are_no_work(lite: Installation) -> None:
    owner = await lite.by_mail("ada@example.com")
    path = f"/api/workspace/{owner.workspace}/settings"
    stars = ["*a" * 58 + str(n) for n in range(200)]
    with loop_pauses() as pauses:
        wanted = {"toolBlocklist": stars, "requireApprovalFor": stars, "toolEffects": dict.fromkeys(stars, "E2")}
        status, said = await owner.send("PUT", path, {"policyConfig": wanted})
        assert status == 201, said
        call = {"tool": "note.create", "args": {"title": "t"}, "dryRun": True}
        status, said = await owner.send("POST", EVALUATE, call)
        assert (status, said["verdict"]) == (200, "ALLOW")
    assert pauses.longest < HOLDS_NOBODY, pauses.where


RULES: list[tuple[str, dict[str, Any]]] = [
    ("input.args.json.l.map(a, a).size() > 0", {"l": ["1"] * 9000}),
    ("input.args.json.l.all(a, input.args.json.s.size() > 0)", {"l": ["1"] * 9000, "s": "x" * 300_000}),
    ("input.args.json.l.filter(a, a.matches('(.{1,100}){1,10}y')).size() > 0", {"l": ["xyz" * 100] * 3000}),
    ("input.args.json.s.contains(input.args.json.n)", {"s": "x" * 300_000, "n": "x" * 150_000 + "y"}),
    ("[input.args.json.s]" + ".map(a, a + a)" * 9 + "[0].size() > 0", {"s": "x" * 900_000}),
]


@pytest.mark.parametrize(("expression", "given"), RULES, ids=[expression[:50] for expression, _ in RULES])
async def test_a_rule_over_a_large_call_denies_and_holds_nobody(
    lite: Installation, expression: str, given: dict[str, Any]
) -> None:
    owner = await lite.by_mail("ada@example.com")
    rule = {"id": "dear", "when": expression, "verdict": "ESCALATE"}
    path = f"/api/workspace/{owner.workspace}/settings"
    status, said = await owner.send("PUT", path, {"policyConfig": {"rules": [rule]}})
    assert status == 201, said
    args = {"url": "https://example.com", "json": given}
    with loop_pauses() as pauses:
        status, said = await owner.send("POST", EVALUATE, {"tool": "http.post", "args": args, "dryRun": True})
    assert pauses.longest < HOLDS_NOBODY, pauses.where
    assert status == 200, said
    assert (said["verdict"], said["reasonCode"], said["ruleId"]) == ("DENY", "PRG_EVALUATION_ERROR", "rule:dear")
    assert "too long" in said["reason"]


async def test_a_rule_that_never_ends_is_refused_with_its_field(lite: Installation) -> None:
    owner = await lite.by_mail("ada@example.com")
    path = f"/api/workspace/{owner.workspace}/settings"
    for when in ("['x']" + ".map(a, a + a)" * 24 + "[0].size() > 0", "input.tool.matches('((a{1,300}){1,300})')"):
        rule = {"id": "bomb", "when": when, "verdict": "DENY"}
        with loop_pauses() as pauses:
            status, said = await owner.send("PUT", path, {"policyConfig": {"rules": [rule]}})
        assert pauses.longest < HOLDS_NOBODY, pauses.where
        assert (status, said["code"]) == (400, "invalid_rule")
        assert list(said["details"]["fieldErrors"]) == ["policyConfig.rules.bomb"]


@pytest.fixture
async def server() -> AsyncIterator[World]:
    unique = {"type": "array", "uniqueItems": True}
    branches = {"type": "array", "items": {"anyOf": [{"type": "string", "maxLength": n} for n in range(150)]}}
    world = World(
        tools=[
            tool("unique", schema={"type": "object", "properties": {"ids": unique}}),
            tool("branches", schema={"type": "object", "properties": {"ids": branches}}),
            tool("all", schema={"type": "object", "properties": {"ids": {"enum": [list(range(1500))]}}}),
        ]
    )
    async with over_http(world) as url:
        world.url = url
        yield world


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Installation]:
    url = await asyncio.to_thread(fresh_url, "sqlite", tmp_path)
    async for one in open_installation(tmp_path, url, pilot_http_allow=("127.0.0.1",)):
        yield one


async def test_arguments_are_checked_without_holding_anybody(place: Installation, server: World) -> None:
    owner = await place.by_mail("ada@example.com")
    status, said = await owner.send("POST", "/api/mcp-servers", {"name": "world", "url": server.url})
    assert status == 201, said
    assert said["error"] is None

    async def dry(name: str, ids: Any) -> tuple[int, Any]:
        call = {"tool": f"mcp.world.{name}", "args": {"ids": ids}, "dryRun": True}
        return await owner.send("POST", EVALUATE, call)

    with loop_pauses() as pauses:
        status, said = await dry("unique", [{"id": n} for n in range(1000)])
        assert (status, said["verdict"]) == (200, "ESCALATE")
        status, said = await dry("unique", [{"id": n % 999} for n in range(1000)])
        assert (status, said["code"]) == (400, "invalid_request")
        assert list(said["details"]["fieldErrors"]) == ["args"]
        assert (await dry("unique", [[n] for n in range(9000)]))[0] == 200
        for name, ids in (("branches", ["a" * 200] * 4000), ("all", [list(range(1500))] * 9)):
            status, said = await dry(name, ids)
            assert status == 400, said
            assert list(said["details"]["fieldErrors"]) == ["args"]
    assert pauses.longest < HOLDS_NOBODY, pauses.where


async def test_what_agents_ask_about_is_measured_before_it_is_written_out(lite: Installation) -> None:
    owner = await lite.by_mail("ada@example.com")
    wide: list[Any] = [{"a": [1.5] * 19_000}, {f"ключ{n}": n for n in range(19_000)}, {"a": "é\n" * 90_000, "b": 1.5}]
    with loop_pauses() as pauses:
        for given in wide:
            call = {"tool": "x.y", "session_id": "s", "args": given}
            status, said = await owner.send("POST", "/api/v1/evaluate", call)
            assert status in (400, 413), said
            asked = {"action": "x.y", "reason": "r", "input": given}
            status, said = await owner.send("POST", "/api/approvals", asked)
            assert (status, list(said["details"]["fieldErrors"])) == (400, ["input"]), said
    assert pauses.longest < HOLDS_NOBODY, pauses.where


async def test_what_is_kept_with_a_task_is_small(lite: Installation) -> None:
    owner = await lite.by_mail("ada@example.com")
    status, task = await owner.send("POST", "/api/tasks", {"title": "t"})
    assert status == 201
    path = f"/api/tasks/{task['id']}"
    for metadata in ({"a": "x" * 60_000}, {"a": [0] * 3000}):
        status, said = await owner.send("PUT", path, {"metadata": metadata})
        assert (status, list(said["details"]["fieldErrors"])) == (400, ["metadata"]), said
    status, said = await owner.send("PUT", path, {"metadata": {"a": "x" * 40_000}})
    assert status == 200, said


async def test_no_playbook_holds_anybody(tmp_path: Path) -> None:
    url = await asyncio.to_thread(fresh_url, "sqlite", tmp_path)
    texts = [
        'params: a=1\n1. note.create title=x body="' + "{{a}}" * 1900 + '"',
        "1. http.post url=https://example.com json=[" + "1" * 9000 + "]",
        "params: " + " ".join(f"p{n}" for n in range(1400)) + "\n1. note.create title=x",
        '1. note.create title="' + "x" * 9900 + '"',
        "\n".join(["1. note.create title=x", *["if steps.1.ok: note.create title=x"] * 250]),
    ]
    async for place in open_installation(tmp_path, url, pilot_role="all"):
        owner = await place.by_mail("ada@example.com")
        with loop_pauses() as pauses:
            for text in texts:
                status, task = await owner.send("POST", "/api/tasks", {"title": "t", "description": text})
                if status != 201:
                    assert (status, task["code"]) == (400, "playbook_invalid"), task
                    continue
                status, run = await owner.send("POST", f"/api/tasks/{task['id']}/run?wait=30", {})
                assert status == 200, run
        assert pauses.longest < HOLDS_NOBODY, pauses.where
