"""Thousands of generated requests, right and wrong ones, against the real application: `pytest tests/api/test_fuzz.py`.

Nothing may answer 5xx, and every answer must be one its route documents: status, type, headers, schema.
"""

import asyncio
import contextlib
import copy
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.config import HttpConfig
from api.installation.system import plain_routes
from api.middlewares import Metrics
from api.openapi import document
from api.server import groups
from tests.api.harness import Harness, Person, open_house
from tests.api.issuer import CLIENT, SECRET, open_issuer
from tests.databases import fresh_url

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("fuzz")]
CONFIG = HttpConfig(version="0", app_url="http://x")
# a copy: the application in this process writes its document from the same parts
SPEC = copy.deepcopy(document((*groups(CONFIG), plain_routes(CONFIG, Metrics())), version="0"))
# credentials are not generated: every request of these tests carries good ones
for _methods in SPEC["paths"].values():
    for _operation in _methods.values():
        del _operation["security"]
SCHEMA = schemathesis.openapi.from_dict(SPEC)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# these end what the other requests live on: each of their cases needs a person of its own
FATAL = {"erase_me", "revoke_sessions", "delete_workspace", "logout", "transfer", "delete_tenant"}
ADMIN_KEY = "fuzz-" + "0123456789" * 3
# streams do not end; tests/api/installation/test_events.py has them
OPERATIONS = [
    found.ok()
    for found in SCHEMA.get_all_operations()
    if "text/event-stream"
    not in str(
        found.ok().definition.raw["responses"][
            "200"
            if "200" in found.ok().definition.raw["responses"]
            else "204"
            if "204" in found.ok().definition.raw["responses"]
            else "201"
        ]
    )
]
EACH = 100
BODIES = (
    b"", b"null", b"[]", b"1", b'"x"', b"{", b"\xff\xfe", b'{"a":NaN}', b'{"title":"\\ud800"}', b'{"title":"\\u0000"}',
    b'{"title":1e400}', b'{"title":' + b"9" * 400 + b"}", b'{"title":' + b"[" * 300 + b"]" * 300 + b"}",
    b'{"status":' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}", b'{"version":18446744073709551615,"status":"approved"}',
    b'{"title":"x","title":"y","priority":-1e-400}', b"\x00" * 10,
)  # fmt: skip


class Outsider:
    """The application in a thread of its own, so that ordinary blocking clients can talk to it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.loop = asyncio.new_event_loop()
        self.harness: Harness
        self.ids: dict[str, list[str]] = {}
        self.cases = 0
        self._ready = threading.Event()
        self._over = asyncio.Event()
        self._trouble: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(folder,), daemon=True)
        self._thread.start()
        self._ready.wait(60)
        if self._trouble is not None:
            raise self._trouble

    def _run(self, folder: Path) -> None:
        asyncio.set_event_loop(self.loop)
        with contextlib.closing(self.loop):
            self.loop.run_until_complete(self._live(folder))

    async def _live(self, folder: Path) -> None:
        try:
            async with (
                open_issuer() as issuer,
                open_house(
                    self.url,
                    folder,
                    http={"admin_key": ADMIN_KEY},
                    telegram_bot_token="1:" + "A" * 35,
                    telegram_login_client_id=CLIENT,
                    telegram_login_client_secret=SECRET,
                    telegram_login_issuer=issuer.url,
                ) as self.harness,
            ):
                self.owner = await self.harness.person("owner@example.com")
                await self._furnish(self.owner)
                self._ready.set()
                await self._over.wait()
        except BaseException as error:
            self._trouble = error
            self._ready.set()
            raise

    async def _furnish(self, owner: Person) -> None:
        """Things with ids, in many states, for generated requests to hit."""
        description = 'note.create title="Plan"\nhttp.post url=http://127.0.0.1:9/x json={"n":1}\nfinish summary="ok"'
        mate = await self.harness.member(owner, "mate@example.com", "partner")
        await owner("POST", f"/api/workspace/{owner.workspace_id}/invite", {"role": "member"})
        tasks = [
            (await owner("POST", "/api/tasks", {"title": f"T{n}", "description": description})).data for n in range(4)
        ]
        for task in tasks[:3]:
            await owner("POST", f"/api/tasks/{task['id']}/run?wait=5")
        await owner("POST", "/api/operators", {"name": "Op", "role": "ops"})
        await owner("POST", "/api/auth/apikey", {"name": "k"})
        runs = [(await owner("GET", f"/api/tasks/{t['id']}/runs")).data[0] for t in tasks[:3]]
        steps = (await owner("GET", f"/api/runs/{runs[0]['id']}")).data["steps"]
        approvals = (await owner("GET", "/api/audit/approvals")).data
        await owner(
            "PUT", f"/api/audit/approvals/{approvals[0]['id']}", {"status": "approved", "grant": {"minutes": 5}}
        )
        self.ids = {
            "workspace_id": [owner.workspace_id],
            "task_id": [t["id"] for t in tasks],
            "run_id": [r["id"] for r in runs],
            "step_id": [s["id"] for s in steps],
            "approval_id": [a["id"] for a in approvals],
            "operator_id": [(await owner("GET", "/api/operators")).data[0]["id"]],
            "grant_id": [g["id"] for g in (await owner("GET", "/api/grants")).data],
            "key_id": [k["id"] for k in (await owner("GET", "/api/auth/apikeys")).data],
            "invite_id": [i["id"] for i in (await owner("GET", f"/api/workspace/{owner.workspace_id}/invites")).data],
            "session_id": [s["id"] for s in (await mate("GET", "/api/auth/sessions")).data],
            "user_id": [mate.user_id],
            "name": [r["id"] for r in (await owner("GET", "/api/governance/receipts")).data["receipts"]][:5],
        }

    def person(self, email: str) -> Person:
        """One more person with a workspace."""
        return asyncio.run_coroutine_threadsafe(self.harness.person(email), self.loop).result(30)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._over.set)
        self._thread.join(30)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def outsider(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Outsider]:
    folder = tmp_path_factory.mktemp("fuzz")
    opened = Outsider(fresh_url(request.param, folder), folder)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def wire() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def can_be_wrong(operation: Any) -> bool:
    """Whether anything in a request to it has a form that can be missed."""
    spec = operation.definition.raw
    # any text at all is a right value of a path parameter that is plain text
    return bool(operation.body) or any(p["in"] != "path" or "format" in p["schema"] for p in spec["parameters"])


def credentials(person: Person, operation: Any) -> dict[str, str]:
    """What lets the request in: the person's own, or the administrator's key."""
    if operation.path.startswith("/api/admin/"):
        return {"Authorization": f"Bearer {ADMIN_KEY}"}
    return dict(person.headers)


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")
@pytest.mark.parametrize(
    ("operation", "mode"),
    [
        pytest.param(o, mode, id=f"{o.definition.raw['operationId']}-{mode.value}")
        for o in OPERATIONS
        for mode in schemathesis.GenerationMode
        if mode is schemathesis.GenerationMode.POSITIVE or can_be_wrong(o)
    ],
)
def test_generated_requests(
    outsider: Outsider, wire: requests.Session, operation: Any, mode: schemathesis.GenerationMode
) -> None:
    name = operation.definition.raw["operationId"]
    person = outsider.owner

    @settings(
        max_examples=6 if name in FATAL else EACH // 2,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data(), case=operation.as_strategy(generation_mode=mode))
    def run(data: st.DataObject, case: Any) -> None:
        nonlocal person
        if name in FATAL:
            person = outsider.person(f"{name}-{outsider.cases}@example.com")
        wrong = {place for place, info in case.meta.components.items() if info.mode.is_negative}
        if ParameterLocation.PATH not in wrong:
            for parameter in case.path_parameters or {}:
                known = [person.workspace_id] if parameter == "workspace_id" else outsider.ids.get(parameter, [])
                if known and data.draw(st.integers(0, 9)):
                    case.path_parameters[parameter] = data.draw(st.sampled_from(known))
        headers = credentials(person, operation)
        if "workspace_id" in (case.path_parameters or {}) or ParameterLocation.HEADER in wrong:
            headers.pop("X-Workspace-Id", None)
        for place, holder, word in (
            (ParameterLocation.HEADER, case.headers, "X-Workspace-Id"),
            (ParameterLocation.QUERY, case.query, "workspaceId"),
        ):
            if place not in wrong and holder is not None and data.draw(st.integers(0, 9)):
                holder.pop(word, None)
        if ParameterLocation.QUERY not in wrong and "wait" in (case.query or {}):
            # what nobody answers is not waited for here
            case.query["wait"] = min(float(case.query["wait"]), 0.2)
        outsider.cases += 1
        answer = case.call(base_url=outsider.harness.base, headers=headers, session=wire, timeout=90)
        checks = list(CHECKS)
        # a body that is too large was refused before anybody looked into it; the checker does not count 413 as a refusal
        if mode is schemathesis.GenerationMode.NEGATIVE and name not in LENIENT and answer.status_code != 413:
            checks.append(negative_data_rejection)
        case.validate_response(answer, checks=checks)

    run()


# bodies of the contract take anything here and say themselves what is wrong; their text is the answer
LENIENT: set[str] = set()


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.body], ids=lambda o: o.definition.raw["operationId"])
def test_bodies_nobody_should_send(outsider: Outsider, wire: requests.Session, operation: Any) -> None:
    for body in BODIES:
        name = operation.definition.raw["operationId"]
        person = outsider.person(f"body-{outsider.cases}@example.com") if name in FATAL else outsider.owner
        path = operation.path
        for parameter, known in {**outsider.ids, "token": ["x" * 40], "workspace_id": [person.workspace_id]}.items():
            path = path.replace("{" + parameter + "}", known[0])
        outsider.cases += 1
        headers = {**credentials(person, operation), "Content-Type": "application/json"}
        answer = wire.request(
            operation.method.upper(), outsider.harness.base + path, data=body, headers=headers, timeout=90
        )
        assert answer.status_code < 500, (path, body, answer.text)
        if answer.status_code >= 400:
            said = answer.json()
            assert said["code"]
            # under /api/v1 it has HELM's name
            assert said.get("requestId", said.get("trace_id")) == answer.headers["X-Request-Id"]


def test_there_were_enough_of_them(outsider: Outsider, request: pytest.FixtureRequest) -> None:
    ran = [item for item in request.session.items if item.nodeid.startswith("tests/api/test_fuzz.py")]
    if len(ran) < 2 * len(OPERATIONS):
        pytest.skip("only a part of this file was asked for")
    assert outsider.cases >= 2000
