"""A Telegram in a process of its own, for programs in processes of theirs."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.processes import ROOT, call, free_ports, until

TOKEN = "7000000001:" + "A" * 35


@pytest.fixture
def simulator() -> Iterator[str]:
    port = free_ports(1)
    program = subprocess.Popen([sys.executable, "-m", "simulator", "--port", str(port)], cwd=ROOT)
    base = f"http://127.0.0.1:{port}"
    try:
        until(lambda: call("GET", f"{base}/sim/state"), what="the simulator")
        yield base
    finally:
        program.terminate()
        program.wait(10)
