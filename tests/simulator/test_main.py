"""`python -m simulator` as a program of its own."""

import subprocess
import sys

from tests.processes import ROOT, call, free_ports, until


def test_it_serves_by_itself() -> None:
    port = free_ports(1)
    program = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--port", str(port), "--group", "Founders"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        base = f"http://127.0.0.1:{port}"
        status, state = until(lambda: call("GET", f"{base}/sim/state"), what="the simulator")
        assert (status, [p["first_name"] for p in state["people"]]) == (200, ["Ada", "Grace"])
        # a token nobody registered becomes a bot, and comes into the open group
        status, me = call("GET", f"{base}/bot7000000001:some-token/getMe")
        assert (status, me["result"]["id"]) == (200, 7000000001)
        status, groups = call("GET", f"{base}/sim/groups")
        assert groups[0]["members"]["7000000001"] == "member"
        status, refused = call("GET", f"{base}/botnonsense/getMe")
        assert (status, refused["description"]) == (401, "Unauthorized")
    finally:
        program.terminate()
        _, errors = program.communicate(timeout=60)
    assert b"Traceback" not in errors
