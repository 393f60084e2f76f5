"""`python -m simulator --port N`: the simulator by itself."""

import argparse

from aiohttp import web

from simulator.server import create_simulator
from simulator.telegram import Telegram


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A local Telegram: Bot API and a chat page.")
    parser.add_argument("--port", type=int, default=3101)
    parser.add_argument("--flood", action="store_true", help="apply Telegram's flood limits")
    options = parser.parse_args()
    telegram = Telegram(flood=options.flood)
    telegram.add_person(1001, "Ada", last_name="Byron", username="ada", language_code="en")
    telegram.add_person(1002, "Grace", username="grace", language_code="en")
    web.run_app(create_simulator(telegram), host="127.0.0.1", port=options.port, access_log=None)


if __name__ == "__main__":
    main()
