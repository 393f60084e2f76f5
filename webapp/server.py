"""The Mini App's routes."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web


def mount_webapp(app: web.Application, held: dict[str, Any], *, frame_ancestors: Sequence[str]) -> None:
    """Add the Mini App to the application."""
    del app, held, frame_ancestors
