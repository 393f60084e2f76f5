"""The page that tells another agent how to ask is followed to the letter."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

from tests.api.approvals.test_approval_gateway import agent_of, call_back, decide
from tests.api.harness import open_house
from tests.databases import fresh_url
from tests.processes import free_ports

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "ask-from-another-agent.md"


def code(language: str) -> str:
    """The one block of the page in this language."""
    [block] = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(block)


async def test_the_page_is_followed(tmp_path: Path) -> None:
    port, secret = free_ports(1), "sixteen or more characters"
    async with open_house(
        fresh_url("sqlite", tmp_path), tmp_path, work=False, pilot_http_allow=(f"127.0.0.1:{port}",)
    ) as harness:
        owner = await harness.person("ada@example.com")
        agent = await agent_of(owner)
        shell = await asyncio.create_subprocess_exec(
            "bash", "-euo", "pipefail", "-c", code("sh"),
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "base": harness.base, "key": agent.headers["X-API-Key"]},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(60):
            while not (listed := (await owner("GET", "/api/audit/approvals?status=pending")).data):
                await asyncio.sleep(0.05)
        assert (await decide(owner, listed[0])).status == 200
        said, _ = await asyncio.wait_for(shell.communicate(), 60)
        assert json.loads(said)["status"] == "approved"

        receiver = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-c", code("python"),
            env={"CALLBACK_SECRET": secret, "PORT": str(port), "PATH": os.environ["PATH"]},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert receiver.stdout is not None
        try:
            async with asyncio.timeout(60):
                while True:
                    try:
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                    except OSError:
                        await asyncio.sleep(0.05)
                        continue
                    writer.close()
                    break
            url = f"http://127.0.0.1:{port}/"
            forged = await agent.ask(callbackUrl=url, callbackSecret="another secret altogether")
            asked = await agent.ask(callbackUrl=url, callbackSecret=secret)
            for one in (forged, asked):
                await decide(owner, one, "rejected")
                assert await call_back(harness) == 1
            line = await asyncio.wait_for(receiver.stdout.readline(), 60)
            assert line.decode().split() == ["deploy:production", "rejected", asked["actionHash"]]
            [failed] = (await owner("GET", "/api/audit?action=approval:callback_failed")).data
            assert (failed["target"], failed["reason"]) == (forged["id"], "status_401")
        finally:
            receiver.kill()
            await receiver.wait()
