"""Tables of methods: the functions that carry out methods of the Bot API, by their names."""

from collections.abc import Callable
from typing import Any

from simulator.params import Params
from simulator.state import Bot
from simulator.telegram import Telegram

Handler = Callable[[Telegram, Bot, Params], Any]


class Methods(dict[str, Handler]):
    """Methods by their names in lower case: Telegram does not mind the case."""

    def named(self, name: str) -> Callable[[Handler], Handler]:
        """Keep a function as the method of this name."""

        def keep(handler: Handler) -> Handler:
            self[name.lower()] = handler
            return handler

        return keep
