"""The hold on the store that follows from how a command uses it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from app.settings import Settings
from app.store_use import Use, command_or
from storage.installation.hold import Hold, Mode, StoreError
from storage.installation.holds import hold_on

_held: ContextVar[Hold | None] = ContextVar("held", default=None)


@contextmanager
def holding(settings: Settings, *, name: str, use: Use) -> Iterator[Hold]:
    """Hold the store as the command under way needs it, or as said where there is none; InUse when that cannot be.

    Within a hold on the same store it is that one.
    """
    outer = _held.get()
    if outer is not None and outer.url == settings.store_url:
        yield outer
        return
    command = command_or(name, use)
    if command.use is Use.APART:
        raise StoreError(f"{command.name} may not open the store: app.store_use says so")
    hold = hold_on(settings.store_url, what=command.name)
    hold.take(Mode.ALONE if command.use is Use.ALONE else Mode.SHARED)
    try:
        with within(hold):
            yield hold
    finally:
        hold.release()


@contextmanager
def within(hold: Hold) -> Iterator[None]:
    """For what is done meanwhile, this is the hold on its store."""
    token = _held.set(hold)
    try:
        yield
    finally:
        _held.reset(token)


def held(settings: Settings) -> Hold | None:
    """The hold this command has already on the store of these settings."""
    outer = _held.get()
    return outer if outer is not None and outer.url == settings.store_url else None
