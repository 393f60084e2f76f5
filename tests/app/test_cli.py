"""The `pilot` command as a process: what it prints and how it ends."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from app.cli import main
from app.container import open_services
from app.settings import load_settings
from domain.ids import new_id
from storage.identity import user_rows
from tests.processes import ROOT


def pilot(folder: Path, *words: str, **settings: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command on the store in `folder`, or another in settings."""
    done = subprocess.run(
        [sys.executable, "-m", "app", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PILOT_DATA_DIR": str(folder / "data"), **settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def told(folder: Path, *words: str, **settings: str) -> Any:
    code, out, err = pilot(folder, *words, "--json", **settings)
    assert code == 0, err
    return json.loads(out)


async def test_workspaces_are_administered_without_a_server(tmp_path: Path) -> None:
    settings = load_settings(_env_file=None, pilot_data_dir=tmp_path / "data")
    async with open_services(settings) as parts:
        services = parts.services
        user = await services.store.write(lambda tx: services.people.of_address(tx, "ada@example.com"))
        assert await services.store.read(lambda tx: user_rows.get(tx, user.id)) is not None
    [made] = told(tmp_path, "admin", "create", "Second", "--owner", user.id)
    assert (made["name"], made["ownerId"], made["deletedAt"]) == ("Second", user.id, None)
    assert made["id"] in {w["id"] for w in told(tmp_path, "admin", "list")}
    [gone] = told(tmp_path, "admin", "delete", made["id"], "--reason", "unpaid", "--grace-days", "3")
    assert gone["deletedAt"] < gone["purgeAt"]
    assert [w["id"] for w in told(tmp_path, "admin", "list", "--closed")] == [made["id"]]
    assert told(tmp_path, "admin", "cleanup") == {"removed": 0}
    told(tmp_path, "admin", "restore", made["id"])
    assert told(tmp_path, "admin", "list", "--closed") == []
    code, out, err = pilot(tmp_path, "admin", "restore", new_id())
    assert (code, out, err) == (1, "", "not_found: Workspace not found\n")
    assert pilot(tmp_path, "admin", "delete", made["id"], "--grace-days", "366")[0] == 2


def commands(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from commands(command)


def test_every_command_and_option_is_explained_and_no_first_line_is_cut() -> None:
    for command in (main, *commands(main)):
        assert command.help, command.name
        unexplained = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
        assert unexplained == [], command.name
        if isinstance(command, click.Group):
            page = command.get_help(click.Context(command, info_name="pilot", terminal_width=80))
            assert "..." not in page.partition("Commands:")[2], page
