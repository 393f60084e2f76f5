"""Every route against what nobody would send: never a 5xx, never an answer that the document does not know."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import status_code_conformance

from app.serve import Process
from app.settings import load_settings
from tests.api.conftest import TOKEN
from tests.databases import fresh_url
from tests.processes import call

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]
CASES = 30


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The application in a thread of its own, with a loop of its own."""
    folder: Path = tmp_path_factory.mktemp("fuzz")
    url = fresh_url("sqlite", folder)
    ready, stop, port = threading.Event(), threading.Event(), []

    async def run() -> None:
        process = Process(
            load_settings(
                _env_file=None,
                pilot_data_dir=folder,
                database_url=url,
                telegram_bot_token=TOKEN,
                port=0,
                telegram_api_url="http://127.0.0.1:9",
                pilot_role="web",
                log_level="ERROR",
                rate_limits_enabled=False,
            )
        )
        await process.start()
        await process.ready.wait()
        port.append(process.port)
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.05)
        await process.stop()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert ready.wait(30)
    yield f"http://127.0.0.1:{port[0]}"
    stop.set()
    thread.join(20)


def _operations() -> list[tuple[str, str]]:
    from api.middlewares import HttpConfig
    from api.server import groups

    # an open stream is no case, and erasing the person would end the others
    left_out = {"/api/events", "/api/events/tasks", "/api/users/me", "/api/auth/session", "/api/auth/sessions"}
    found = [
        (e.method, e.path)
        for group in groups(HttpConfig(version="0", app_url="http://x"))
        for e in group.table
        if e.path not in left_out
    ]
    return sorted(found)


@pytest.mark.parametrize(("method", "path"), _operations(), ids=lambda v: v)
def test_route(base: str, method: str, path: str) -> None:
    _, asked = call("POST", f"{base}/api/auth/email/request", {"email": f"f{abs(hash((method, path)))}@example.com"})
    _, login = call("POST", f"{base}/api/auth/email/verify", {"email": asked["email"], "code": asked["code"]})
    headers = {"Authorization": f"Bearer {login['token']}", "X-Workspace-Id": login["workspace"]["id"]}
    document = json.loads(json.dumps(call("GET", f"{base}/api/openapi.json")[1]))
    document["paths"] = {path: {method.lower(): document["paths"][path][method.lower()]}}
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig())
    [operation] = [result.ok() for result in schema.get_all_operations()]

    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(
            base_url=base, headers=headers, checks=[not_a_server_error, status_code_conformance], timeout=20
        )

    check()
