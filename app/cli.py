"""The `pilot` command. Nothing heavy is imported until a command needs it: `--help` answers at once."""

import sys
from pathlib import Path
from typing import Any

import click

from app.commands.admin import admin
from app.commands.base import Commands, answer, as_json_option, settings_of
from app.commands.evaluations import evaluations
from app.commands.policy import policy
from app.version import VERSION


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="pilot")
def main() -> None:
    """Pilot: a workspace in Telegram where digital operators work under a written policy."""


@main.command()
@click.option(
    "--role", type=click.Choice(["all", "web", "worker"]), help="What this process does. Default: PILOT_ROLE, or all."
)
@click.option("--host", help="Address to listen on. Default: HOST.")
@click.option("--port", type=int, help="Port to listen on. Default: PORT.")
def serve(role: str | None, host: str | None, port: int | None) -> None:
    """Run Pilot, with the settings from the environment and .env."""
    given = {"pilot_role": role, "host": host, "port": port}
    settings = settings_of(**{k: v for k, v in given.items() if v is not None})
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
@as_json_option
def migrate(as_json: bool) -> None:
    """Update the database to this version. Stop Pilot first."""
    settings = settings_of()
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
    answer({"migrated": done, "revision": newest()}, as_json=as_json, text=text)


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", help="Public key (hex) that must have signed the receipts.")
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, path_type=Path),
    help="A checkpoint you kept elsewhere, to compare with.",
)
@as_json_option
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
    answer(result.to_json(), as_json=as_json, text="\n".join([*lines, verdict]))
    sys.exit(0 if result.ok else 1)


@main.command()
@as_json_option
def doctor(as_json: bool) -> None:
    """Check the settings, database, Telegram, mail and models."""
    settings = settings_of()
    from app.doctor import examine

    findings = examine(settings)
    lines = [f"{'ok  ' if f.ok else 'warn' if f.bearable else 'FAIL'} {f.what}: {f.said}" for f in findings]
    answer([f.as_json() for f in findings], as_json=as_json, text="\n".join(lines))
    sys.exit(0 if all(f.ok or f.bearable for f in findings) else 1)


@main.command()
@click.argument("target", type=click.Path(path_type=Path))
@as_json_option
def backup(target: Path, as_json: bool) -> None:
    """Back up the database to a new file, also while Pilot runs.

    On SQLite Pilot does it itself; on Postgres it needs pg_dump.
    """
    settings = settings_of()
    from app.backup import backup_to

    _print_backup(lambda: backup_to(settings, target), as_json=as_json)


@main.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Replace the current database without asking.")
@as_json_option
def restore(source: Path, yes: bool, as_json: bool) -> None:
    """Replace the database with a backup. Stop Pilot first."""
    settings = settings_of()
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
    answer(done, as_json=as_json, text=done["said"])


@main.command()
@click.argument("receipt_id")
@click.option("--workspace", required=True, help="Id of the workspace that has the receipt.")
@as_json_option
def replay(receipt_id: str, workspace: str, as_json: bool) -> None:
    """Decide a recorded call again, under the policy of that time.

    RECEIPT_ID is the id of a decision receipt, or "all". Exits with 1 if a decision differs.
    """
    settings = settings_of()
    from app.tools import replay_receipts

    results = replay_receipts(settings, workspace, None if receipt_id == "all" else receipt_id)
    wrong = [r for r in results if not r["same"]]
    text = "\n".join(
        f"{'same' if r['same'] else 'DIFFERS'} {r['receiptId']} {r['tool']} "
        f"recorded {r['recorded']} replayed {r['replayed']}{': ' + r['problem'] if r['problem'] else ''}"
        for r in results
    )
    answer(results, as_json=as_json, text=f"{text}\n{len(results)} replayed, {len(wrong)} differ")
    sys.exit(1 if wrong else 0)


@main.group()
def keys() -> None:
    """Manage the key that signs receipts and checkpoints."""


@keys.command("rotate")
@as_json_option
def keys_rotate(as_json: bool) -> None:
    """Replace the signing key. Stop Pilot first.

    The old key signs one last receipt in every log, which names the new key.
    """
    settings = settings_of()
    from app.keys import rotate_key

    done = rotate_key(settings)
    answer(done, as_json=as_json, text=done["said"])


main.add_command(policy)
main.add_command(evaluations)
main.add_command(admin)
