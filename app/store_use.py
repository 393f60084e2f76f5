"""How each command uses the store, in one table."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Use(StrEnum):
    """What a command needs of the store."""

    # it changes what a process that is running would not notice: nobody else may hold the store meanwhile
    ALONE = "alone"
    # it works beside others, which see what it writes
    SHARED = "shared"
    # beside others, too; it writes nothing, and migrates nothing
    READS = "reads"
    # it never opens the store
    APART = "apart"


# Every command of `pilot`. One that is not here is refused, and a test looks for it.
COMMANDS: Mapping[str, Use] = MappingProxyType(
    {
        "serve": Use.SHARED,
        "demo": Use.SHARED,
        "migrate": Use.ALONE,
        "verify": Use.APART,
        "doctor": Use.READS,
        "backup": Use.READS,
        "restore": Use.ALONE,
        "replay": Use.READS,
        "policy permissions": Use.APART,
        "policy export": Use.READS,
        "policy check": Use.APART,
        "policy test": Use.READS,
        # a process that runs goes on with the former key
        "keys rotate": Use.ALONE,
        "eval list": Use.APART,
        "eval run": Use.SHARED,
        "admin list": Use.READS,
        "admin create": Use.SHARED,
        # a process that runs remembers who may get in for a while, and has their work in hand
        "admin delete": Use.ALONE,
        "admin restore": Use.SHARED,
        "admin cleanup": Use.ALONE,
    }
)


@dataclass(frozen=True, slots=True)
class Command:
    """The command under way, as `COMMANDS` names it."""

    name: str
    use: Use


_command: ContextVar[Command | None] = ContextVar("command", default=None)


@contextmanager
def command_of(name: str) -> Iterator[None]:
    """For the time a command runs. KeyError for one that nobody put into the table."""
    token = _command.set(Command(name, COMMANDS[name]))
    try:
        yield
    finally:
        _command.reset(token)


def command_or(name: str, use: Use) -> Command:
    """The command under way, or what stands in for it where none is."""
    return _command.get() or Command(name, use)


def under_way() -> bool:
    """Whether a command is: elsewhere (tests, other programs) the services are opened without one."""
    return _command.get() is not None
