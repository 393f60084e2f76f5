"""`pilot policy`: export, check and try policies."""

import sys
from pathlib import Path
from typing import Any

import click

from app.commands.base import Commands, answer, as_json_option, settings_of


@click.group(cls=Commands)
def policy() -> None:
    """Check, test and export a workspace's policy."""


@policy.command("permissions")
def policy_permissions() -> None:
    """Print the table of permissions as Markdown."""
    from domain.identity.permissions import as_markdown

    click.echo(as_markdown(), nl=False)


@policy.command("export")
@click.option("--workspace", required=True, help="Id of the workspace.")
@click.option(
    "--sidecar", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to write the files to."
)
@as_json_option
def policy_export(workspace: str, sidecar: Path, as_json: bool) -> None:
    """Export a workspace's policy for a HELM sidecar."""
    settings = settings_of()
    from app.tools import export_sidecar_policy

    paths = [str(path) for path in export_sidecar_policy(settings, workspace, sidecar)]
    answer(paths, as_json=as_json, text="\n".join(paths))


def _settings_file(file: Path) -> Any:
    """What a file of settings holds, as `PUT .../settings` takes it; a bare list is a list of rules."""
    from domain.bounded_json import BadJson, Bounds, loads

    try:
        given = loads(file.read_bytes(), Bounds(size=2_000_000, nodes=50_000))
    except (BadJson, OSError) as error:
        click.echo(f"{file}: {error}", err=True)
        sys.exit(2)
    return {"policyConfig": {"rules": given}} if isinstance(given, list) else given


@policy.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_json_option
def policy_check(file: Path, as_json: bool) -> None:
    """Check a file of settings or rules for mistakes.

    FILE holds what PUT .../settings takes, or a list of rules. Each broken rule is named with line and column.
    Exits with 1 if something is wrong, with 2 if the file can't be read. Needs no installation.
    """
    given = _settings_file(file)
    from app.policy import problems_of

    problems = problems_of(given)
    lines = [f"{p['field']}: {p['message']}" for p in problems]
    answer(problems, as_json=as_json, text="\n".join(lines) or "everything is in order")
    sys.exit(1 if problems else 0)


@policy.command("test")
@click.option("--workspace", required=True, help="Id of the workspace.")
@click.option(
    "--settings",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="File with the changed settings.",
)
@click.option(
    "--last",
    type=click.IntRange(1, 1_000_000),
    default=200,
    show_default=True,
    help="How many of the latest decisions to test.",
)
@as_json_option
def policy_test(workspace: str, file: Path, last: int, as_json: bool) -> None:
    """Show which past decisions would change under new settings.

    The file is merged into the workspace's settings; nothing is saved. Exits with 0 also when decisions differ, and
    with 1 if the settings are wrong or there is no such workspace.
    """
    settings, given = settings_of(), _settings_file(file)
    from app.policy import try_policy

    trial = try_policy(settings, workspace, given, last=last)
    lines = [
        f"{d['receiptId']} {d['tool']} {d['before']['verdict']} -> {d['after']['verdict']} ({d['after']['ruleId']})"
        for d in trial["different"]
    ]
    said = f"{trial['tested']} decisions made again, {len(lines)} differ"
    answer(trial, as_json=as_json, text="\n".join([*lines, said]))
