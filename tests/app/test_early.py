"""The port listens before the rest is there, and no connection is refused while the rest takes it over."""

import socket
import time
from pathlib import Path

from tests.processes import Program, call, free_ports


def test_from_the_first_answer_on_none_is_missing(tmp_path: Path) -> None:
    port = free_ports(1)
    program = Program(tmp_path, "serve", PORT=str(port), PILOT_DATA_DIR=str(tmp_path / "data"))
    answers: list[tuple[int, str]] = []
    refused_after = 0
    try:
        ends = time.monotonic() + 60
        while time.monotonic() < ends and (not answers or answers[-1][0] != 200):
            try:
                status, body = call("GET", f"http://127.0.0.1:{port}/health")
            except OSError:
                refused_after += bool(answers)
            else:
                answers.append((status, body["status"]))
            time.sleep(0.02)
        assert refused_after == 0
        assert answers[0] == (503, "starting")
        assert answers[-1] == (200, "ok")
        assert set(answers) == {(503, "starting"), (200, "ok")}
        status, body = call("GET", f"http://127.0.0.1:{port}/nowhere")
        assert status == 404
    finally:
        assert program.stop() == 0


def test_other_requests_hear_that_it_is_starting(tmp_path: Path) -> None:
    port = free_ports(1)
    program = Program(tmp_path, "serve", PORT=str(port), PILOT_DATA_DIR=str(tmp_path / "data"))
    try:
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            try:
                status, body = call("GET", f"http://127.0.0.1:{port}/api/tasks")
                break
            except OSError:
                time.sleep(0.01)
        assert (status, body["code"]) in ((503, "starting"), (401, "unauthorized"))
        assert body["requestId"]
    finally:
        assert program.stop() == 0


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    port = free_ports(1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        program = Program(tmp_path, "serve", PORT=str(port), PILOT_DATA_DIR=str(tmp_path / "data"))
        assert program.process.wait(60) == 1
    said = program.log.read_text()
    assert f"Cannot listen at 127.0.0.1:{port}: " in said
    assert "Traceback" not in said
