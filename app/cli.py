"""The `pilot` command. Nothing heavy is imported until a command needs it: `--help` answers at once."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from app.version import VERSION


class _Command(click.Command):
    """A command uses the store as `app.store_use` says, and in no other way."""

    def invoke(self, ctx: click.Context) -> Any:
        from app.store_use import command_of

        words: list[str] = []
        above: click.Context | None = ctx
        while above is not None and above.parent is not None:
            words.insert(0, str(above.info_name))
            above = above.parent
        with command_of(" ".join(words)):
            return super().invoke(ctx)


class _Commands(click.Group):
    """What keeps a command from its work ends it in one way: a refusal, wrong settings, a store in use."""

    command_class = _Command
    group_class = type

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            from app.settings import BadSettings
            from domain.errors import PilotError
            from storage.installation.hold import StoreError

            if isinstance(error, StoreError | PilotError):
                click.echo(f"{error.code}: {error}" if isinstance(error, PilotError) else str(error), err=True)
                sys.exit(1)
            if not isinstance(error, BadSettings):
                raise
            click.echo("These settings cannot be used:", err=True)
            for problem in error.problems:
                click.echo(f"  {problem}", err=True)
            sys.exit(2)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="pilot")
def main() -> None:
    """Pilot: a workspace in Telegram where digital operators work under a written policy."""


_json = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


def _settings(**overrides: Any) -> Any:
    from app.settings import load_settings

    return load_settings(**overrides)


def _print(value: Any, *, as_json: bool, text: str) -> None:
    click.echo(json.dumps(value, indent=1, default=str) if as_json else text)


@main.command()
@click.option(
    "--role", type=click.Choice(["all", "web", "worker"]), help="What this process does. Default: PILOT_ROLE, or all."
)
@click.option("--host", help="Address to listen on. Default: HOST.")
@click.option("--port", type=int, help="Port to listen on. Default: PORT.")
def serve(role: str | None, host: str | None, port: int | None) -> None:
    """Run Pilot, with the settings from the environment and .env."""
    given = {"pilot_role": role, "host": host, "port": port}
    settings = _settings(**{k: v for k, v in given.items() if v is not None})
    from app.early import run

    sys.exit(run(settings))


@main.command()
@click.option("--port", type=int, default=3100, show_default=True, help="Pilot's port; the simulator takes the next.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path("data/demo"),
    show_default=True,
    help="Folder for the demo's data.",
)
@click.option("--fresh/--keep", default=True, help="Start with an empty workspace, or keep the last one.")
def demo(port: int, data: Path, fresh: bool) -> None:
    """Try Pilot with a local Telegram. Needs no token, key or network."""
    from app.demo import run_demo

    sys.exit(run_demo(port=port, data=data, fresh=fresh))


@main.command()
@_json
def migrate(as_json: bool) -> None:
    """Update the database to this version. Stop Pilot first."""
    settings = _settings()
    from app.holding import holding
    from app.store_use import Use
    from storage.database import Store
    from storage.migrate import check_not_newer, newest
    from storage.migrate import migrate as bring_up

    with holding(settings, name="migrate", use=Use.ALONE):
        check_not_newer(settings.store_url)
        store = Store(settings.store_url)
        try:
            done = bring_up(store)
        finally:
            store.abandon()
    text = f"migrated to {newest()}" if done else f"up to date at {newest()}"
    _print({"migrated": done, "revision": newest()}, as_json=as_json, text=text)


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", help="Public key (hex) that must have signed the receipts.")
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, path_type=Path),
    help="A checkpoint you kept elsewhere, to compare with.",
)
@_json
def verify(file: Path, key: str | None, checkpoint: Path | None, as_json: bool) -> None:
    """Check an exported archive of receipts. Exits with 1 if a check fails."""
    from domain.receipts.verify import verify_archive

    with file.open("rb") as stream:
        result = verify_archive(
            stream,
            trusted=() if key is None else (bytes.fromhex(key),),
            checkpoint=None if checkpoint is None else checkpoint.read_text(),
        )
    words = {True: "ok  ", False: "FAIL", None: "-   "}
    lines = [f"{words[c.ok]} {c.name}{': ' + c.detail if c.detail else ''} {c.where}".rstrip() for c in result.checks]
    lines += [f"note {note}" for note in result.notes]
    verdict = f"{result.receipts} receipts: " + ("everything holds" if result.ok else "NOT what was signed")
    _print(result.to_json(), as_json=as_json, text="\n".join([*lines, verdict]))
    sys.exit(0 if result.ok else 1)


@main.command()
@_json
def doctor(as_json: bool) -> None:
    """Check the settings, database, Telegram, mail and models."""
    settings = _settings()
    from app.doctor import examine

    findings = examine(settings)
    lines = [f"{'ok  ' if f.ok else 'warn' if f.bearable else 'FAIL'} {f.what}: {f.said}" for f in findings]
    _print([f.as_json() for f in findings], as_json=as_json, text="\n".join(lines))
    sys.exit(0 if all(f.ok or f.bearable for f in findings) else 1)


@main.command()
@click.argument("target", type=click.Path(path_type=Path))
@_json
def backup(target: Path, as_json: bool) -> None:
    """Back up the database to a new file, also while Pilot runs.

    On SQLite Pilot does it itself; on Postgres it needs pg_dump.
    """
    settings = _settings()
    from app.backup import backup_to

    _print_backup(lambda: backup_to(settings, target), as_json=as_json)


@main.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Replace the current database without asking.")
@_json
def restore(source: Path, yes: bool, as_json: bool) -> None:
    """Replace the database with a backup. Stop Pilot first."""
    settings = _settings()
    if not yes:
        click.confirm("This replaces the current database. Continue?", abort=True, err=True)
    from app.backup import restore_from

    _print_backup(lambda: restore_from(settings, source), as_json=as_json)


def _print_backup(work: Any, *, as_json: bool) -> None:
    """What was done; a refusal is one line and exit code 1."""
    from app.backup import BackupError

    try:
        done = work()
    except BackupError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    _print(done, as_json=as_json, text=done["said"])


@main.command()
@click.argument("receipt_id")
@click.option("--workspace", required=True, help="Id of the workspace that has the receipt.")
@_json
def replay(receipt_id: str, workspace: str, as_json: bool) -> None:
    """Decide a recorded call again, under the policy of that time.

    RECEIPT_ID is the id of a decision receipt, or "all". Exits with 1 if a decision differs.
    """
    settings = _settings()
    from app.tools import replay_receipts

    results = replay_receipts(settings, workspace, None if receipt_id == "all" else receipt_id)
    wrong = [r for r in results if not r["same"]]
    text = "\n".join(
        f"{'same' if r['same'] else 'DIFFERS'} {r['receiptId']} {r['tool']} "
        f"recorded {r['recorded']} replayed {r['replayed']}{': ' + r['problem'] if r['problem'] else ''}"
        for r in results
    )
    _print(results, as_json=as_json, text=f"{text}\n{len(results)} replayed, {len(wrong)} differ")
    sys.exit(1 if wrong else 0)


@main.group()
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
@_json
def policy_export(workspace: str, sidecar: Path, as_json: bool) -> None:
    """Export a workspace's policy for a HELM sidecar."""
    settings = _settings()
    from app.tools import export_sidecar_policy

    paths = [str(path) for path in export_sidecar_policy(settings, workspace, sidecar)]
    _print(paths, as_json=as_json, text="\n".join(paths))


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
@_json
def policy_check(file: Path, as_json: bool) -> None:
    """Check a file of settings or rules for mistakes.

    FILE holds what PUT .../settings takes, or a list of rules. Each broken rule is named with line and column.
    Exits with 1 if something is wrong, with 2 if the file can't be read. Needs no installation.
    """
    given = _settings_file(file)
    from app.policy import problems_of

    problems = problems_of(given)
    lines = [f"{p['field']}: {p['message']}" for p in problems]
    _print(problems, as_json=as_json, text="\n".join(lines) or "everything is in order")
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
@_json
def policy_test(workspace: str, file: Path, last: int, as_json: bool) -> None:
    """Show which past decisions would change under new settings.

    The file is merged into the workspace's settings; nothing is saved. Exits with 0 also when decisions differ, and
    with 1 if the settings are wrong or there is no such workspace.
    """
    settings, given = _settings(), _settings_file(file)
    from app.policy import try_policy

    trial = try_policy(settings, workspace, given, last=last)
    lines = [
        f"{d['receiptId']} {d['tool']} {d['before']['verdict']} -> {d['after']['verdict']} ({d['after']['ruleId']})"
        for d in trial["different"]
    ]
    said = f"{trial['tested']} decisions made again, {len(lines)} differ"
    _print(trial, as_json=as_json, text="\n".join([*lines, said]))


@main.group()
def keys() -> None:
    """Manage the key that signs receipts and checkpoints."""


@keys.command("rotate")
@_json
def keys_rotate(as_json: bool) -> None:
    """Replace the signing key. Stop Pilot first.

    The old key signs one last receipt in every log, which names the new key.
    """
    settings = _settings()
    from app.keys import rotate_key

    done = rotate_key(settings)
    _print(done, as_json=as_json, text=done["said"])


@main.group("eval")
def evaluations() -> None:
    """Run checks of this installation (see /api/capabilities)."""


@evaluations.command("list")
@_json
def evaluations_list(as_json: bool) -> None:
    """List the evaluations and the capabilities they prove."""
    from app.evals.run import described

    found = described()
    lines = [f"{e['name']}: {e['looksAt']}\n     for {', '.join(e['capabilities'])}" for e in found]
    _print(found, as_json=as_json, text="\n".join(lines))


@evaluations.command("run")
@click.argument("names", nargs=-1)
@click.option(
    "--seconds", type=click.FloatRange(1, 3600), default=85.0, show_default=True, help="Stop after this time."
)
@_json
def evaluations_run(names: tuple[str, ...], seconds: float, as_json: bool) -> None:
    """Run all evaluations, or the ones named, and record the results.

    They use a temporary database. Exits with 1 if one fails, with 2 for an unknown name.
    """
    from app.evals.run import EVALUATIONS, run_evaluations

    unknown = [name for name in names if name not in EVALUATIONS]
    if unknown:
        raise click.UsageError(f"no evaluation {', '.join(unknown)}; there are {', '.join(EVALUATIONS)}")
    settings = _settings()

    def tell(outcome: Any) -> None:
        if not as_json:
            click.echo("\n".join(outcome.lines()))

    outcomes = run_evaluations(settings, names or tuple(EVALUATIONS), tell=tell, seconds=seconds)
    if as_json:
        click.echo(json.dumps([o.as_json() for o in outcomes], indent=1, default=str))
    sys.exit(1 if any(o.passed is False for o in outcomes) else 0)


@main.group()
def admin() -> None:
    """Manage the workspaces of this installation."""


def _tenants(work: Any) -> Any:
    """Do `work` with the installation's workspaces."""
    settings = _settings()
    from app.admin import with_tenants

    return with_tenants(settings, work)


def _print_tenants(found: Any, *, as_json: bool) -> None:
    from app.admin import shown

    rows = [shown(w) for w in found]
    lines = [
        f"{r['id']} {r['name']}" + (f" (closed, deleted after {r['purgeAt']})" if r["purgeAt"] else "") for r in rows
    ]
    _print(rows, as_json=as_json, text="\n".join(lines) or "none")


@admin.command("list")
@click.option("--closed", is_flag=True, help="Only closed workspaces that are not deleted yet.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many to list.")
@click.option("--after", help="List those after this id (the last one of the previous page).")
@_json
def admin_list(closed: bool, limit: int, after: str | None, as_json: bool) -> None:
    """List the workspaces."""
    _print_tenants(_tenants(lambda t: t.list(limit=limit, after=after, closed=closed)), as_json=as_json)


@admin.command("create")
@click.argument("name")
@click.option("--owner", required=True, help="Id of the owner, who must have logged in before.")
@_json
def admin_create(name: str, owner: str, as_json: bool) -> None:
    """Create a workspace for someone."""
    made, _ = _tenants(lambda t: t.create(name=name, owner_id=owner))
    _print_tenants([made], as_json=as_json)


@admin.command("delete")
@click.argument("workspace_id")
@click.option("--reason", help="Why, for the audit log.")
@click.option(
    "--grace-days",
    type=click.IntRange(0, 365),
    default=30,
    show_default=True,
    help="Days it can be restored.",
)
@_json
def admin_delete(workspace_id: str, reason: str | None, grace_days: int, as_json: bool) -> None:
    """Close a workspace. It can be restored during its grace period.

    Stop Pilot first, or use the HTTP API while it runs.
    """
    gone, _ = _tenants(lambda t: t.delete(workspace_id, grace_days=grace_days, reason=reason))
    _print_tenants([gone], as_json=as_json)


@admin.command("restore")
@click.argument("workspace_id")
@_json
def admin_restore(workspace_id: str, as_json: bool) -> None:
    """Restore a closed workspace. Stop Pilot first."""
    opened, _ = _tenants(lambda t: t.restore(workspace_id))
    _print_tenants([opened], as_json=as_json)


@admin.command("cleanup")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many to delete at most.")
@_json
def admin_cleanup(limit: int, as_json: bool) -> None:
    """Delete workspaces whose grace period is over.

    Stop Pilot first. While it runs, it does this by itself every hour.
    """
    removed = _tenants(lambda t: t.clean_up(limit=limit))
    _print({"removed": removed}, as_json=as_json, text=f"{removed} removed")
