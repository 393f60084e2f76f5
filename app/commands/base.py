"""What every command of `pilot` shares: how it uses the store, how it ends, how it answers."""

import json
import sys
from typing import Any

import click


class Command(click.Command):
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


class Commands(click.Group):
    """What keeps a command from its work ends it in one way: a refusal, wrong settings, a store in use."""

    command_class = Command
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


as_json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


def settings_of(**overrides: Any) -> Any:
    """The settings from the environment and .env, with `overrides`; BadSettings names every wrong one."""
    from app.settings import load_settings

    return load_settings(**overrides)


def answer(value: Any, *, as_json: bool, text: str) -> None:
    """Print `text`, or `value` in JSON."""
    click.echo(json.dumps(value, indent=1, default=str) if as_json else text)
