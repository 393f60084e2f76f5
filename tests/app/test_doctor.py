"""`pilot doctor`: a line for everything that is needed, and an exit code for whoever runs it by machine."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.app.test_cli import pilot, told
from tests.databases import fresh_url

TOKEN = "7000000001:" + "A" * 35


@contextmanager
def telegram(*, status: int = 200, behind: timedelta = timedelta()) -> Iterator[str]:
    """Answers getMe with a status, by a clock of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            self.send_header("Date", format_datetime(datetime.now(UTC) - behind, usegmt=True))
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def findings(folder: Path, **settings: str) -> tuple[int, dict[str, Any]]:
    """Exit code, and each finding by what it is about."""
    code, out, err = pilot(folder, "doctor", "--json", **settings)
    assert "Traceback" not in err
    assert TOKEN not in out + err
    return code, {one["what"]: one for one in json.loads(out)}


def test_a_fresh_installation_is_well_and_says_what_it_does_without(tmp_path: Path) -> None:
    code, found = findings(tmp_path)
    assert code == 0
    assert set(found) == {
        "settings",
        "sqlite",
        "store",
        "in use",
        "sign-up",
        "disk",
        "telegram",
        "mail",
        "models",
        "clock",
    }
    assert found["store"]["said"] == "empty: the first start creates it"
    for name in ("telegram", "mail", "models"):
        assert (found[name]["ok"], found[name]["bearable"]) == (False, True)
    told(tmp_path, "migrate")
    code, found = findings(tmp_path)
    assert (code, found["store"]["ok"]) == (0, True)
    code, out, _ = pilot(tmp_path, "doctor")
    assert code == 0
    assert "ok   store: schema " in out


def test_the_bot_is_asked_and_the_clocks_compared(tmp_path: Path) -> None:
    given = {"TELEGRAM_BOT_TOKEN": TOKEN}
    with telegram() as url:
        code, found = findings(tmp_path, TELEGRAM_API_URL=url, **given)
        assert (code, found["telegram"]["said"]) == (0, "the bot answers")
    code, found = findings(tmp_path, TELEGRAM_API_URL=url, **given)
    assert (code, found["telegram"]["ok"]) == (1, False)
    assert "cannot be reached" in found["telegram"]["said"]
    with telegram(status=401) as url:
        code, found = findings(tmp_path, TELEGRAM_API_URL=url, **given)
        assert (code, found["telegram"]["said"]) == (1, "getMe answered 401: is the token right?")
    with telegram(behind=timedelta(hours=1)) as url:
        code, found = findings(tmp_path, TELEGRAM_API_URL=url, **given)
        assert code == 1
        assert "clocks are 36" in found["telegram"]["said"]


def test_a_store_that_cannot_be_opened_is_a_failure(tmp_path: Path) -> None:
    code, found = findings(tmp_path, DATABASE_URL=fresh_url("postgres", tmp_path))
    assert (code, found["store"]["ok"]) == (0, True)
    assert "sqlite" not in found
    code, found = findings(tmp_path, DATABASE_URL="postgresql+psycopg://pilot:s3cret-word@127.0.0.1:9/pilot")
    assert (code, found["store"]["ok"], found["store"]["bearable"]) == (1, False, False)
    assert "s3cret-word" not in str(found)


def test_settings_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    code, out, err = pilot(tmp_path, "doctor", "--json", PORT="many")
    assert (code, out) == (2, "")
    assert "PORT" in err
