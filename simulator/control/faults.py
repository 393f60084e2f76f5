"""What goes wrong: faults that are set, seen and taken back."""

from aiohttp import web

from simulator.botapi import TELEGRAM
from simulator.control.request import given_object, number
from simulator.faults import add_fault, clear_faults
from simulator.state import Fault


async def _faults(request: web.Request) -> web.Response:
    return web.json_response([vars(fault) for fault in request.app[TELEGRAM].faults])


async def _add_fault(request: web.Request) -> web.Response:
    """`{method?, kind, count?, seconds?, code?, description?, parameters?}`, see `simulator.state.Fault`."""
    given = await given_object(request)
    fault: Fault = add_fault(
        request.app[TELEGRAM],
        str(given.get("method", "*")),
        str(given["kind"]),
        count=int(given.get("count", 1)),
        seconds=float(given.get("seconds", 1)),
        **{name: given[name] for name in ("code", "description", "parameters") if name in given},
    )
    return web.json_response(vars(fault))


async def _clear_faults(request: web.Request) -> web.Response:
    clear_faults(request.app[TELEGRAM], number(request.query.get("number")))
    return web.json_response({"ok": True})


ROUTES = (
    ("GET", "/sim/faults", _faults),
    ("POST", "/sim/faults", _add_fault),
    ("DELETE", "/sim/faults", _clear_faults),
)
