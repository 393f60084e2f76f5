"""The shell, static files, languages, and who gets which part."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

import locales
from domain.policy.packs import pack
from domain.policy.settings_schema import PACKS
from domain.receipts.receipt import Kind
from tests.webapp.conftest import Harness, Reader
from webapp.fragments import FRAGMENTS

HOSTILE = '<img src=x onerror=alert(1)>"\'><script>alert(1)</script>{{ "zz"*3 }}'
ONE = {"task", "approval", "receipt", "receipt-check", "operator", "note", "tool-server"}


async def until_pending(reader: Reader) -> dict[str, Any]:
    for _ in range(1000):
        _, found = await reader.send("GET", "/api/audit/approvals?status=pending")
        if found:
            return dict(found[0])  # type: ignore[index]
        await asyncio.sleep(0.05)
    raise AssertionError("no approval")


async def fill(reader: Reader, secret: str) -> dict[str, str]:
    """A workspace in which `secret` is everywhere; the ids of what it holds."""
    place = f"/api/workspace/{reader.workspace}"
    text = f'note.create title="{secret}"\nemail.send to=a@example.com subject="{secret}" body="{secret}"'
    _, task = await reader.send("POST", "/api/tasks", {"title": secret, "description": text, "autoRun": True})
    _, operator = await reader.send(
        "POST", "/api/operators", {"name": secret, "role": "growth", "goal": secret, "constraints": [secret]}
    )
    await reader.send("PUT", place, {"name": secret})
    await reader.send(
        "PUT", f"{place}/settings", {"policyConfig": {"contentBans": [secret + "!"]}, "modelConfig": {"model": secret}}
    )
    await reader.send("POST", "/api/auth/apikey", {"name": secret})
    await reader.send("POST", f"{place}/invite", {"role": "member", "email": f"{secret}@example.com"})
    _, note = await reader.send(
        "POST", "/api/knowledge/pages", {"title": secret, "compiledTruth": secret, "tags": ["x"]}
    )
    # a server nobody can reach is kept all the same, with the reason
    address = f"https://{secret}.invalid/mcp"
    _, server = await reader.send("POST", "/api/mcp-servers", {"name": secret, "url": address})
    approval = await until_pending(reader)
    _, listed = await reader.send("GET", "/api/governance/receipts?kind=decision")
    receipt = listed["receipts"][0]["id"]  # type: ignore[index,call-overload]
    return {
        "task": task["id"],  # type: ignore[index]
        "operator": operator["id"],  # type: ignore[index]
        "approval": approval["id"],
        "receipt": receipt,
        "receipt-check": receipt,
        "note": note["id"],  # type: ignore[index]
        "tool-server": server["id"],  # type: ignore[index]
    }


async def test_no_part_shows_anything_of_another_workspace(harness: Harness) -> None:
    ada, mallory = await harness.reader("ada@example.com"), await harness.reader("mallory@example.com")
    ids = await fill(ada, "hushhush")
    await fill(mallory, "otherword")
    for name in FRAGMENTS:
        path = f"{name}/{ids[name]}" if name in ONE else name
        status, own = await ada.part(path)
        assert status == 200, (path, own)
        if name in (
            "home",
            "tasks",
            "task",
            "approval",
            "policy",
            "operators",
            "operator",
            "keys",
            "members",
            "more",
            "knowledge",
            "note",
            "workspace",
        ):
            assert "hushhush" in own, path
        status, foreign = await mallory.part(path)
        assert status == (404 if name in ONE else 200), path
        assert "hushhush" not in foreign, path
        assert ada.workspace not in foreign, path
        # naming the workspace does not help, and does not tell that it exists
        status, foreign = await mallory.part(path, workspace=ada.workspace)
        assert status == 404, path
        assert "hushhush" not in foreign, path
        for query in ("?q=hushhush", "?target=" + ids["approval"], "?cursor=1.x", "?status=nonsense"):
            status, foreign = await mallory.part(path + query)
            assert status in (200, 400, 404), (path, query)
            assert 'href="#/tasks/' + ids["task"] not in foreign, (path, query)


async def test_texts_of_people_are_escaped_everywhere(harness: Harness) -> None:
    ada = await harness.reader("ada@example.com")
    _, task = await ada.send("POST", "/api/tasks", {"title": HOSTILE, "description": HOSTILE, "autoRun": True})
    _, operator = await ada.send(
        "POST", "/api/operators", {"name": HOSTILE, "role": "ops", "goal": HOSTILE, "constraints": [HOSTILE]}
    )
    place = f"/api/workspace/{ada.workspace}"
    await ada.send("PUT", place, {"name": HOSTILE})
    await ada.send(
        "PUT", f"{place}/settings", {"policyConfig": {"contentBans": [HOSTILE]}, "modelConfig": {"model": HOSTILE}}
    )
    await ada.send("POST", "/api/auth/apikey", {"name": HOSTILE})
    for name in FRAGMENTS:
        if name in ONE and name not in ("task", "operator"):
            continue
        item = {"task": task, "operator": operator}.get(name)
        path = name if item is None else f"{name}/{item['id']}"  # type: ignore[index]
        for query in ("", "?q=" + HOSTILE, "?target=" + HOSTILE):
            status, text = await ada.part(path + query)
            assert status == 200, (path, text)
            assert "<img" not in text, path
            assert "<script" not in text, path
            assert " onerror=" not in re.sub(
                r">[^<]*<", "><", text.replace("&lt;img src=x onerror=alert(1)&gt;", "")
            ), path
            assert "zzzzzz" not in text, path


async def test_members_see_less(harness: Harness) -> None:
    ada, grace = await harness.reader("ada@example.com"), await harness.reader("grace@example.com")
    ids = await fill(ada, "plan")
    _, invite = await ada.send("POST", f"/api/workspace/{ada.workspace}/invite", {"role": "member"})
    status, _ = await grace.send("POST", "/api/auth/invite/" + invite["inviteToken"], {})  # type: ignore[index]
    assert status == 200
    seen = {}
    for name in FRAGMENTS:
        path = f"{name}/{ids[name]}" if name in ONE else name
        status, text = await grace.part(path, workspace=ada.workspace)
        seen[name] = status
        # what would be refused is not offered
        for word in (
            "data-decide",
            "data-approve",
            "DELETE /api/auth/apikeys",
            'POST /api/tasks"',
            "PUT /api/workspace",
        ):
            assert word not in text, (name, word)
    refused = {name for name, status in seen.items() if status == 403}
    # those that name a member they see, and there are none
    assert (seen["approvals"], seen["approval"]) == (200, 404)
    assert refused == {
        "usage",
        "receipts",
        "receipt",
        "receipt-check",
        "audit",
        "violations",
        "keys",
        "grants",
    }


async def test_the_shell_holds_no_data_and_static_files_are_kept(harness: Harness) -> None:
    async with harness.http.get(f"{harness.base}/app/") as answer:
        text = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors https://web.telegram.org" in policy
    assert "X-Frame-Options" not in answer.headers
    # nothing inline that the policy would have to allow
    assert not re.search(r"<script(?![^>]*(src=|application/json))|<style|\sstyle=|\son\w+=", text)
    [version] = set(re.findall(r"/app/static/([0-9a-f]{12})/", text))
    # every module is asked for at once, not when another one names it
    scripts = sorted(p.name for p in Path("webapp/static").glob("*.js"))
    assert re.findall(r'rel="modulepreload" href="/app/static/\w+/([\w.]+)"', text) == scripts
    async with harness.http.get(f"{harness.base}/app/static/{version}/app.js") as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.content_type == "text/javascript"
    async with harness.http.get(f"{harness.base}/app/static/000000000000/app.js") as answer:
        assert answer.headers["Cache-Control"] == "no-cache"
    for path in ("..%2f..%2fserver.py", "..%2fserver.py", "nothing.js", "%2fetc%2fpasswd", "."):
        async with harness.http.get(f"{harness.base}/app/static/{version}/{path}") as answer:
            assert answer.status == 404, path


async def test_without_a_session_there_is_only_the_shell(harness: Harness) -> None:
    for name in FRAGMENTS:
        async with harness.http.get(f"{harness.base}/app/parts/{name}") as answer:
            assert answer.status == 401, name
    async with harness.http.get(f"{harness.base}/app/me") as answer:
        assert answer.status == 401
    async with harness.http.post(f"{harness.base}/app/language", json={"language": "ru"}) as answer:
        assert answer.status == 401


@pytest.mark.parametrize(
    ("header", "language"),
    [("ru", "ru"), ("de, es;q=0.5", "es"), ("en;q=0.1, pt-BR", "pt-BR"), ("xx", "en"), ("", "en"), (";q=x,,", "en")],
)
async def test_the_readers_language(harness: Harness, header: str, language: str) -> None:
    async with harness.http.get(f"{harness.base}/app/", headers={"Accept-Language": header}) as answer:
        assert f'<html lang="{language}"' in await answer.text()


async def test_a_chosen_language_is_kept(harness: Harness) -> None:
    ada = await harness.reader("ada@example.com")
    headers = {"Authorization": f"Bearer {ada.token}", "X-Workspace-Id": ada.workspace}
    assert (await ada.send("POST", "/app/language", {"language": "ru"}))[0] == 200
    for wrong in ({"language": "xx"}, {"language": 7}, {}, []):
        assert (await ada.send("POST", "/app/language", wrong))[0] == 400
    async with harness.http.get(f"{harness.base}/app/me", headers=headers) as answer:
        assert (await answer.json())["language"] == "ru"


async def test_a_cookie_alone_cannot_change_anything(harness: Harness) -> None:
    ada = await harness.reader("ada@example.com")
    headers = {"Cookie": f"helm_session={ada.token}", "X-Workspace-Id": ada.workspace}
    async with harness.http.post(f"{harness.base}/app/language", json={"language": "ru"}, headers=headers) as answer:
        assert answer.status == 403


async def test_what_comes_from_tools_policy_and_packs_is_said_in_the_readers_language(harness: Harness) -> None:
    """It was English on every card and page, in whatever language the rest was."""
    ada = await harness.reader("ada@example.com")
    text = 'email.send to=a@example.com subject="x" body="x"'
    await ada.send("POST", "/api/tasks", {"title": "Hola", "description": text, "autoRun": True})
    approval = await until_pending(ada)
    assert approval["reason"] == "email.send acts outside (E3)"
    _, page = await ada.part(f"approval/{approval['id']}", language="es")
    assert "email.send cambia algo fuera de Pilot (E3)" in page
    assert "Envía un correo de texto a una dirección." in page
    assert "Send a plain text" not in page
    _, english = await ada.part(f"approval/{approval['id']}")
    assert "email.send changes something outside Pilot (E3)" in english
    # every tool and pack there is has its words
    _, tools = await ada.send("GET", "/api/tools")
    _, listed = await ada.part("new-task", language="ru")
    en = locales.load().of("en")
    for tool in tools:  # type: ignore[attr-defined]
        key = "tool-" + tool["name"].replace(".", "-")
        assert en.has(key)
        assert tool["summary"] not in listed
        assert en(key) not in listed
    _, policy = await ada.part("policy", language="pt-BR")
    for name in PACKS:
        assert en.has(f"pack-{name}")
        assert pack(name).summary not in policy
        assert en(f"pack-{name}") not in policy


async def test_a_task_nobody_can_plan_says_so_in_the_readers_language(harness: Harness) -> None:
    """The first thing somebody without a model meets."""
    ada = await harness.reader("ada@example.com")
    _, task = await ada.send("POST", "/api/tasks", {"title": "Escribe un plan", "autoRun": True})
    path = f"task/{task['id']}"  # type: ignore[call-overload, index]
    for _ in range(200):
        if "There is no AI model set up yet" in (await ada.part(path))[1]:
            break
        await asyncio.sleep(0.05)
    assert "Aún no hay ningún modelo de IA configurado" in (await ada.part(path, language="es"))[1]


async def test_receipts_of_each_kind_can_be_asked_for(harness: Harness) -> None:
    ada = await harness.reader("ada@example.com")
    await ada.send("POST", "/api/tasks", {"title": "T"})
    seen = {}
    for kind in Kind:
        status, html = await ada.part(f"receipts?kind={kind}")
        assert status == 200, kind
        seen[kind] = html.count('href="#/receipts/')
    # made by logging in and by the task; the others are there to be asked for
    assert {kind for kind, count in seen.items() if count} == {Kind.MEMBERSHIP, Kind.LOGIN, Kind.CHANGE}
    # a word that is no kind asks for all of them
    assert (await ada.part("receipts?kind=grant"))[1].count('href="#/receipts/') == sum(seen.values())
