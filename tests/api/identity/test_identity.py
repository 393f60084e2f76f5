"""Ways in, and nobody where they do not belong. Numbers are those of contract.md section 12."""

import asyncio
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from services.identity.sessions import SESSION_LIFE
from storage import tables
from tests.api.conftest import TOKEN, Client, Installation, init_data


async def test_login_by_mail_and_its_shape(pilot: Installation) -> None:
    nobody = pilot.nobody()
    status, asked = await nobody.send("POST", "/api/auth/email/request", {"email": " Ada@Example.com "})
    assert (status, asked["sent"], asked["email"]) == (200, True, "ada@example.com")
    status, wrong = await nobody.send("POST", "/api/auth/email/verify", {"email": "ada@example.com", "code": "000000"})
    assert (status, wrong["code"]) == (401, "invalid_code")
    status, unknown = await nobody.send("POST", "/api/auth/email/verify", {"email": "no@example.com", "code": "000000"})
    assert (status, unknown["error"]) == (401, wrong["error"])
    status, login = await nobody.send(
        "POST", "/api/auth/email/verify", {"email": "ADA@example.com", "code": asked["code"]}
    )
    assert status == 200
    assert {"token", "csrfToken", "user", "workspace", "expiresAt", "evidenceItemId"} <= set(login)
    assert set(login["user"]) == {"id", "name", "email"}
    status, again = await nobody.send(
        "POST", "/api/auth/email/verify", {"email": "ada@example.com", "code": asked["code"]}
    )
    assert (status, again["code"]) == (401, "invalid_code")


async def test_five_tries_an_account_not_a_code(pilot: Installation) -> None:
    """21: asking for another code must not give five more tries."""
    nobody = pilot.nobody()
    address = {"email": "ada@example.com"}
    _, asked = await nobody.send("POST", "/api/auth/email/request", address)
    for _ in range(5):
        assert (await nobody.send("POST", "/api/auth/email/verify", {**address, "code": "000000"}))[0] == 401
    await _age_codes(pilot, timedelta(minutes=2))
    _, asked = await nobody.send("POST", "/api/auth/email/request", address)
    status, _ = await nobody.send("POST", "/api/auth/email/verify", {**address, "code": asked["code"]})
    assert status == 401


async def _age_codes(pilot: Installation, age: timedelta) -> None:
    services = pilot.process.gate.services
    assert services is not None
    moment = datetime.now(UTC) - age
    await services.store.write(lambda tx: tx.execute(sa.update(tables.email_codes).values(created_at=moment)))


async def test_a_new_code_ends_the_old_one_and_cannot_be_asked_for_at_once(pilot: Installation) -> None:
    nobody = pilot.nobody()
    _, first = await nobody.send("POST", "/api/auth/email/request", {"email": "a@example.com"})
    assert (await nobody.send("POST", "/api/auth/email/request", {"email": "a@example.com"}))[0] == 429
    await _age_codes(pilot, timedelta(minutes=1))
    await nobody.send("POST", "/api/auth/email/request", {"email": "a@example.com"})
    status, _ = await nobody.send("POST", "/api/auth/email/verify", {"email": "a@example.com", "code": first["code"]})
    assert status == 401


async def test_launch_data_logs_in_again_but_never_after_logout(pilot: Installation) -> None:
    """19: replays minted new sessions for a day."""
    nobody = pilot.nobody()
    raw = init_data(TOKEN, {"id": 5, "first_name": "Ada"})
    _, first = await nobody.send("POST", "/api/auth/telegram", {"initData": raw})
    status, second = await nobody.send("POST", "/api/auth/telegram", None, Authorization=f"tma {raw}")
    assert status == 200
    assert first["workspace"] == second["workspace"]
    nobody.use(first["token"], first["workspace"]["id"])
    assert (await nobody.send("DELETE", "/api/auth/session"))[0] == 200
    nobody.headers = {}
    status, refused = await nobody.send("POST", "/api/auth/telegram", {"initData": raw})
    assert (status, refused["code"]) == (401, "invalid_init_data")
    # the family is gone with all its tokens
    status, _ = await nobody.send("GET", "/api/me", Authorization=f"Bearer {second['token']}")
    assert status == 401


async def test_what_telegram_says_of_a_person_is_refreshed_but_not_what_they_chose(pilot: Installation) -> None:
    nobody = pilot.nobody()

    async def enter(**user: str) -> Client:
        client = pilot.nobody()
        raw = init_data(TOKEN, {"id": 5, **user})
        status, login = await nobody.send("POST", "/api/auth/telegram", {"initData": raw})
        assert status == 200
        client.use(login["token"], login["workspace"]["id"])
        return client

    async def language(client: Client) -> str:
        found: str = (await client.get("/app/me"))["language"]
        return found

    ada = await enter(first_name="Ada", language_code="es")
    assert await language(ada) == "es"
    ada = await enter(first_name="Augusta", username="ada", language_code="ru")
    assert await language(ada) == "ru"
    me = await ada.get("/api/me")
    assert me["user"]["name"] == "Augusta"
    assert (await ada.send("POST", "/app/language", {"language": "pt-BR"}))[0] == 200
    assert await language(await enter(first_name="Ada", language_code="es")) == "pt-BR"


async def test_parallel_requests_with_an_old_token_get_one_new_token(pilot: Installation) -> None:
    """40: eight requests got three tokens and five refusals."""
    ada = await pilot.by_mail("ada@example.com")
    services = pilot.process.gate.services
    assert services is not None
    yesterday = datetime.now(UTC) - timedelta(hours=25)
    await services.store.write(lambda tx: tx.execute(sa.update(tables.sessions).values(created_at=yesterday)))
    services.identity_cache.forget()

    async def ask() -> tuple[int, str | None]:
        async with pilot.http.get(f"{pilot.base}/api/me", headers=ada.headers) as answer:
            return answer.status, answer.headers.get("X-New-Token")

    answers = await asyncio.gather(*(ask() for _ in range(12)))
    assert {status for status, _ in answers} == {200}
    assert len({token for _, token in answers if token}) == 1
    fresh = next(token for _, token in answers if token)
    assert (await ada.send("GET", "/api/me", Authorization=f"Bearer {fresh}"))[0] == 200
    count = await services.store.read(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(tables.sessions)))
    assert count == 2
    assert timedelta(days=30) == SESSION_LIFE


async def test_an_invite_is_no_session(pilot: Installation) -> None:
    """14 and 15: the invite token was the owner's session, and acceptance logged in as anybody."""
    owner = await pilot.by_mail("owner@example.com")
    status, invite = await owner.send(
        "POST", f"/api/workspace/{owner.workspace}/invite", {"role": "partner", "email": "bob@example.com"}
    )
    assert status == 201
    token = invite["inviteToken"]
    for name in (token, f"invite:{token}"):
        assert (await pilot.nobody().send("GET", "/api/me", Authorization=f"Bearer {name}"))[0] == 401
    eve = await pilot.by_mail("eve@example.com")
    status, refused = await eve.send("POST", f"/api/auth/invite/{token}", {})
    assert (status, refused["code"]) == (403, "invite_bound")
    bob = pilot.nobody()
    status, sent = await bob.send("POST", f"/api/auth/invite/{token}", {"email": "Bob@example.com"})
    assert (status, "token" in sent) == (202, False)
    status, joined = await bob.send(
        "POST", f"/api/auth/invite/{token}", {"email": "bob@example.com", "code": sent["code"]}
    )
    assert (status, joined["role"], joined["workspaceId"]) == (200, "partner", owner.workspace)
    status, used = await bob.send("POST", f"/api/auth/invite/{token}", {"email": "bob@example.com"})
    assert (status, used["code"]) == (409, "invite_used")
    members = (await owner.get(f"/api/workspace/{owner.workspace}"))["members"]
    assert sorted(m["role"] for m in members) == ["owner", "partner"]


async def test_keys_are_bound_and_can_be_revoked(pilot: Installation) -> None:
    """22: keys worked in every workspace of their user, for ever."""
    owner = await pilot.by_mail("owner@example.com")
    _, other = await owner.send("POST", "/api/workspaces", {"name": "Other"})
    status, key = await owner.send("POST", "/api/auth/apikey", {"name": "ci"})
    assert status == 201
    machine = pilot.nobody()
    machine.headers = {"X-API-Key": key["key"]}
    assert await machine.get("/api/tasks") == []
    assert (await machine.send("GET", f"/api/tasks?workspaceId={other['id']}"))[0] == 404
    status, refused = await machine.send("PUT", "/api/audit/approvals/" + other["id"], {"status": "approved"})
    assert (status, refused["code"]) == (403, "insufficient_scope")
    assert (await owner.send("DELETE", f"/api/auth/apikeys/{key['id']}"))[0] == 204
    assert (await machine.send("GET", "/api/tasks"))[0] == 401


async def test_workspace_context_from_everywhere_and_conflicts(pilot: Installation) -> None:
    ada = await pilot.by_mail("ada@example.com")
    bob = await pilot.by_mail("bob@example.com")
    bare = {"Authorization": f"Bearer {ada.token}"}
    ada.headers = bare
    assert (await ada.send("GET", f"/api/workspace/{ada.workspace}"))[0] == 200
    assert (await ada.send("GET", f"/api/tasks?workspaceId={ada.workspace}"))[0] == 200
    assert (await ada.send("POST", "/api/tasks", {"title": "x", "workspaceId": ada.workspace}))[0] == 201
    status, missing = await ada.send("GET", "/api/tasks")
    assert (status, missing["code"]) == (400, "workspace_required")
    for path in (f"/api/tasks?workspaceId={bob.workspace}", "/api/tasks?workspaceId=nonsense"):
        assert (await ada.send("GET", path))[0] == 404
    status, _ = await ada.send("GET", f"/api/tasks?workspaceId={ada.workspace}", X_Workspace_Id=bob.workspace)
    assert status == 404
    _, second = await ada.send("POST", "/api/workspaces", {"name": "Second"})
    status, conflict = await ada.send("GET", f"/api/tasks?workspaceId={ada.workspace}", X_Workspace_Id=second["id"])
    assert (status, conflict["code"]) == (403, "workspace_conflict")


async def test_cookies_need_their_csrf_token_even_to_log_out(pilot: Installation) -> None:
    """24: logging out by cookie was not covered."""
    ada = await pilot.by_mail("ada@example.com")
    cookie = {"Cookie": f"helm_session={ada.token}"}
    ada.headers = cookie
    assert (await ada.send("GET", "/api/me"))[0] == 200
    for method, path in (("POST", "/api/workspaces"), ("DELETE", "/api/auth/session")):
        status, refused = await ada.send(method, path, {"name": "x"})
        assert (status, refused["code"]) == (403, "csrf_invalid")


async def test_members_by_role_and_ownership(pilot: Installation) -> None:
    owner = await pilot.by_mail("owner@example.com")
    _, invite = await owner.send("POST", f"/api/workspace/{owner.workspace}/invite", {"role": "member"})
    member = await pilot.by_telegram(77, "Mia")
    assert (await member.send("POST", f"/api/auth/invite/{invite['inviteToken']}", {}))[0] == 200
    member.headers["X-Workspace-Id"] = owner.workspace
    assert await member.get("/api/tasks") == []
    status, refused = await member.send("POST", "/api/tasks", {"title": "x"})
    assert status == 403
    assert {k: refused[k] for k in ("error", "action", "requiredRole", "currentRole")} == {
        "error": "insufficient workspace role",
        "action": "create workspace tasks",
        "requiredRole": "partner",
        "currentRole": "member",
    }
    place = f"/api/workspace/{owner.workspace}"
    people = (await owner.get(place))["members"]
    mia = next(m["userId"] for m in people if m["name"] == "Mia")
    assert (await owner.send("PUT", f"{place}/members/{mia}", {"role": "partner"}))[0] == 204
    assert (await member.send("POST", "/api/tasks", {"title": "x"}))[0] == 201
    assert (await owner.send("DELETE", f"{place}/members/{mia}"))[0] == 204
    assert (await member.send("GET", "/api/tasks"))[0] == 404


async def test_erasure_works_and_the_log_stays_verifiable(pilot: Installation) -> None:
    """8: erasing answered 500, because every login had left an audit row."""
    ada = await pilot.by_mail("ada@example.com")
    await ada.send("POST", "/api/tasks", {"title": "secret plan"})
    status, done = await ada.send("DELETE", "/api/users/me")
    assert (status, done["deleted"], done["deletedWorkspaces"]) == (200, True, [ada.workspace])
    assert (await ada.send("GET", "/api/me"))[0] == 401
    services = pilot.process.gate.services
    assert services is not None
    assert await services.store.write(services.ledger.check_at_start) == {}
    left = await services.store.read(
        lambda tx: tx.scalar(sa.select(sa.func.count()).where(tables.payloads.c.body.is_not(None)))
    )
    assert left == 0
