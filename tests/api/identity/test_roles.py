"""Every route by everybody: nobody, a stranger, each role, and API keys with and without the scope."""

from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from api.config import HttpConfig
from api.http import Access, Endpoint
from api.server import groups
from domain.identity.actor import Role
from domain.identity.permissions import TABLE
from domain.ids import new_id
from tests.api.harness import Harness, Person, open_house

pytestmark = pytest.mark.timeout(300)
ENDPOINTS = [e for group in groups(HttpConfig(version="0", app_url="http://x")) for e in group.table]
# what anybody may ask; a route that joins them is to be looked at here first
PUBLIC = {
    "DELETE /api/auth/session",
    "GET /api/capabilities",
    "GET /api/governance/keys",
    "GET /api/capabilities/{key}",
    "POST /api/auth/email/link",
    "POST /api/auth/email/request",
    "POST /api/auth/email/verify",
    "POST /api/auth/invite/{token}",
    "POST /api/auth/telegram",
    "POST /api/auth/telegram/browser",
    "POST /api/auth/telegram/browser/return",
}
# these end the caller's own login or place: whoever may call them needs one to lose
FATAL = {"DELETE /api/users/me", "DELETE /api/auth/sessions", "DELETE /api/workspace/{workspace_id}"}

# a key may hand on no more than it has
BODIES = {"POST /api/auth/apikey": {"scopes": ["apikeys:admin"]}}


def name_of(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


@dataclass(frozen=True, slots=True)
class Heard:
    status: int
    code: str | None


async def ask(harness: Harness, endpoint: Endpoint, headers: dict[str, str], workspace_id: str) -> Heard:
    """The status and code of one request with an empty body and ids that belong to nothing; streams are not read."""
    path = endpoint.path
    for name in endpoint.path_names:
        path = path.replace("{" + name + "}", workspace_id if name == "workspace_id" else new_id())
    async with harness.session.request(
        endpoint.method,
        harness.base + path,
        json=BODIES.get(name_of(endpoint), {}) if endpoint.body is not None else None,
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=30),
    ) as answer:
        if answer.status < 400:
            return Heard(answer.status, None)
        if answer.content_type == "application/problem+json":
            [detail] = (await answer.json(content_type=None))["details"]
            return Heard(answer.status, detail["debug"]["reason_code"].lower())
        body = await answer.json() if answer.content_type == "application/json" else None
        return Heard(answer.status, body["code"] if isinstance(body, dict) else None)


async def key_of(owner: Person, scopes: list[str] | None) -> dict[str, str]:
    made = await owner("POST", "/api/auth/apikey", {"name": "k", "scopes": scopes})
    assert made.status == 201, made
    return {"X-API-Key": made.data["key"]}


def test_what_is_public_is_listed_and_every_other_route_has_its_action() -> None:
    assert {name_of(e) for e in ENDPOINTS if e.needs is Access.PUBLIC} == PUBLIC
    # leaving and removing are two actions of one route; the service asks for the one or the other
    assert [name_of(e) for e in ENDPOINTS if e.needs is Access.WORKSPACE and e.action is None] == [
        "DELETE /api/workspace/{workspace_id}/members/{user_id}"
    ]


async def test_every_route_by_everybody(url: str, tmp_path: Path) -> None:
    async with open_house(url, tmp_path, work=False) as harness:
        owner = await harness.person("owner@example.com")
        people = {
            Role.OWNER: owner,
            Role.PARTNER: await harness.member(owner, "partner@example.com", "partner"),
            Role.MEMBER: await harness.member(owner, "member@example.com", "member"),
        }
        stranger = await harness.person("stranger@example.com")
        place = owner.workspace_id
        abroad = {**stranger.headers, "X-Workspace-Id": place}
        asked = 0
        for endpoint in ENDPOINTS:
            name = name_of(endpoint)
            if endpoint.needs in (Access.PUBLIC, Access.ADMIN):
                continue
            assert await ask(harness, endpoint, {"X-Workspace-Id": place}, place) == Heard(401, "unauthorized"), name
            if endpoint.needs is Access.WORKSPACE:
                assert await ask(harness, endpoint, abroad, place) == Heard(404, "not_found"), name
            asked += 2
            if endpoint.action is None:
                continue
            rule = TABLE[endpoint.action]
            for role, person in people.items():
                if role.rank < rule.role.rank:
                    assert await ask(harness, endpoint, person.headers, place) == Heard(403, "insufficient_role"), (
                        name,
                        role,
                    )
                elif name not in FATAL:
                    heard = await ask(harness, endpoint, person.headers, place)
                    assert heard.status < 500, (name, role, heard)
                    assert heard.status != 401, (name, role)
                    assert heard.code not in ("insufficient_role", "insufficient_scope"), (name, role, heard)
                asked += 1
        assert asked > 200


async def test_every_route_by_keys(url: str, tmp_path: Path) -> None:
    async with open_house(url, tmp_path, work=False) as harness:
        owner = await harness.person("owner@example.com")
        place = owner.workspace_id
        unlimited, other = await key_of(owner, None), await key_of(owner, ["knowledge:read"])
        foreign = await key_of(await harness.person("stranger@example.com"), None)
        exact: dict[str, dict[str, str]] = {}
        for endpoint in ENDPOINTS:
            if endpoint.action is None or endpoint.needs is not Access.WORKSPACE:
                continue
            name, rule = name_of(endpoint), TABLE[endpoint.action]
            heard = await ask(harness, endpoint, {**foreign, "X-Workspace-Id": place}, place)
            assert heard == Heard(404, "not_found"), name
            if rule.scope != "knowledge:read":
                heard = await ask(harness, endpoint, other, place)
                assert heard == Heard(403, "insufficient_scope"), name
            if rule.explicit:
                assert await ask(harness, endpoint, unlimited, place) == Heard(403, "insufficient_scope"), name
            elif name not in FATAL:
                assert (await ask(harness, endpoint, unlimited, place)).code != "insufficient_scope", name
            if name not in FATAL:
                if rule.scope not in exact:
                    exact[rule.scope] = await key_of(owner, [rule.scope])
                heard = await ask(harness, endpoint, exact[rule.scope], place)
                assert heard.status < 500, (name, heard)
                assert heard.code not in ("insufficient_scope", "insufficient_role"), (name, heard)
