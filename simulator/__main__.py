"""`python -m simulator --port N`: the simulator by itself."""

import argparse

from aiohttp import web

from simulator.groups import add_group
from simulator.server import DEMO_USERS, create_simulator
from simulator.telegram import Telegram


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator", description="A local Telegram: the Bot API over HTTP and a chat page."
    )
    parser.add_argument("--port", type=int, default=3101, help="default: 3101")
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1")
    parser.add_argument("--flood", action="store_true", help="apply Telegram's flood limits")
    parser.add_argument("--strict", action="store_true", help="refuse tokens that were not registered at /sim/bots")
    parser.add_argument("--group", metavar="TITLE", help="also open a group of the demo's people and every bot")
    parser.add_argument(
        "--http-apps", action="store_true", help="let buttons open http addresses, as Telegram's test environment does"
    )
    options = parser.parse_args()
    telegram = Telegram(flood=options.flood, auto_register=not options.strict, http_apps=options.http_apps)
    app = create_simulator(telegram, seed_users=DEMO_USERS)
    if options.group:
        add_group(telegram, options.group, list(telegram.people))
    # whoever still polls must not hold up the end
    web.run_app(app, host=options.host, port=options.port, access_log=None, shutdown_timeout=0.5)


if __name__ == "__main__":
    main()
