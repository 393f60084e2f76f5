"""People in the local Telegram: what they do and what they see, in the words of these tests."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from simulator.bots import register_bot
from simulator.faults import add_fault
from simulator.groups import add_group
from simulator.messages import post
from simulator.people import add_person, block, say
from simulator.presses import forge_press, press
from simulator.simulated import SimulatedTelegram
from simulator.state import Bot, Chat, Message, Update
from simulator.telegram import Telegram
from simulator.text import TEXT_LIMIT, units
from simulator.updates import push

TOKEN = "42:TEST"
ADA = 7


def person(user_id: int, name: str = "Ada", language: str = "en", **more: str) -> dict[str, Any]:
    """A user as updates have it."""
    return {"id": user_id, "is_bot": False, "first_name": name, "language_code": language, **more}


class People:
    """Ada and others with one bot, in a simulator that is reached over HTTP."""

    def __init__(self, sim: SimulatedTelegram) -> None:
        self.sim = sim
        self.url = sim.url
        # without privacy mode: what a bot must not listen to in groups, it has to leave alone by itself
        self.bot: Bot = register_bot(sim.telegram, TOKEN, username="pilot_bot", first_name="Pilot", privacy=False)
        self.meet(ADA)

    def meet(self, user_id: int, name: str = "Ada", language: str = "en", **more: str) -> None:
        """Somebody who wrote to the bot some time ago, or whose name is another one now."""
        add_person(self.sim.telegram, user_id, name, language_code=language, **more)
        self.private(user_id).started = True

    def private(self, user_id: int) -> Chat:
        return self.sim.telegram.private_chat(self.bot, user_id)

    def group(self, *members: int, title: str = "G") -> int:
        """A group of people with the bot in it; its id."""
        for user_id in members:
            if user_id not in self.sim.telegram.people:
                self.meet(user_id)
        return add_group(self.sim.telegram, title, members).id

    # --- what they do

    def say(
        self, text: str, *, by: int = ADA, chat: int | None = None, reply_to: int | None = None, **user: str
    ) -> Update:
        """Somebody types; the update the bot gets of it."""
        if user or by not in self.sim.telegram.people:
            self.meet(by, **user)
        if units(text) > TEXT_LIMIT:
            return self.push(self._too_long(text, by))
        say(self.sim.telegram, by, text, chat_id=chat, reply_to=reply_to)
        return self.waiting[-1]

    def _too_long(self, text: str, by: int) -> Update:
        """A text no client sends at once: that it comes so is for Telegram to say, not for the bot to rely on."""
        chat = self.private(by)
        message = post(self.sim.telegram, chat, self.sim.telegram.person(by), {"text": text})
        return {"message": message}

    def push(self, update: Update) -> Update:
        """An update as it is, under the next number."""
        pushed = push(self.sim.telegram, self.bot, update)
        assert pushed is not None
        return pushed

    def tap(self, message: Message, button: str, *, by: int = ADA) -> Update:
        """A tap on a button whose label begins so, of a message as it was seen."""
        rows = message["reply_markup"]["inline_keyboard"]
        data = next(b["callback_data"] for row in rows for b in row if b["text"].startswith(button))
        return self.press(message, data, by=by)

    def press(self, message: Message, data: str, *, by: int = ADA) -> Update:
        """A tap with this data. Where no such button is any more, or never was, it is one a client made up."""
        if by not in self.sim.telegram.people:
            self.meet(by)
        place, number = message["chat"]["id"], message["message_id"]
        chat = self.private(by) if place == by else self.sim.telegram.groups.get(place)
        now = chat.messages.get(number) if chat is not None and chat.has(by) else None
        if now is not None and data in str(now.get("reply_markup")):
            press(self.sim.telegram, by, data, message_id=number, chat_id=place)
        else:
            forge_press(self.sim.telegram, by, now or message, data)
        return self.waiting[-1]

    def block(self, user_id: int = ADA) -> None:
        block(self.sim.telegram, user_id)

    # --- what is seen

    @property
    def waiting(self) -> list[Update]:
        """Updates the bot has not taken yet."""
        return [json.loads(queued.raw) for queued in self.bot.queue]

    def withdraw(self, update: Update) -> None:
        """Take an update back before the bot gets it."""
        [found] = [q for q in self.bot.queue if q.number == update["update_id"]]
        self.bot.queue.remove(found)

    def chat(self, chat: int = ADA) -> Chat:
        return self.private(chat) if chat > 0 else self.sim.telegram.groups[chat]

    def in_chat(self, chat: int = ADA) -> list[Message]:
        """What the bot said in a chat and what is left of it, oldest first."""
        found = (m for _, m in sorted(self.chat(chat).messages.items()))
        return [copy.deepcopy(m) for m in found if m["from"]["id"] == self.bot.id and "text" in m]

    def at(self, chat: int, message_id: int) -> Message:
        """One message of a chat as it is now."""
        return copy.deepcopy(self.chat(chat).messages[message_id])

    @property
    def answers(self) -> list[dict[str, Any]]:
        """Answers to taps: text, alert, user, data."""
        return self.sim.telegram.answers

    @property
    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        """What the bot called, with what, but for getUpdates."""
        return [(c["method"], c["params"]) for c in self.sim.telegram.calls if c["method"] != "getUpdates"]

    def sent_with(self, message: Message) -> dict[str, Any]:
        """The parameters a message was sent with."""
        number = message["message_id"]
        for call in self.sim.telegram.calls:
            if call["method"] == "sendMessage" and (call.get("result") or {}).get("message_id") == number:
                return dict(call["params"])
        raise AssertionError(f"message {number} was not sent")

    async def until(self, found: Callable[[], Any], seconds: float = 30.0) -> Any:
        async def look() -> Any:
            return found()

        return await self.until_async(look, seconds)

    async def until_async(self, found: Callable[[], Awaitable[Any]], seconds: float = 30.0) -> Any:
        async with asyncio.timeout(seconds):
            while True:
                result = await found()
                if result:
                    return result
                await self.sim.telegram.bell.wait(0.02)

    async def message(self, text: str, *, chat: int = ADA, seconds: float = 30.0) -> Message:
        """The newest message of the bot with these words, as soon as there is one."""
        try:
            found = await self.until(
                lambda: next((m for m in reversed(self.in_chat(chat)) if text in m["text"]), None), seconds
            )
        except TimeoutError:
            raise AssertionError(f"no {text!r} in {[m['text'] for m in self.in_chat(chat)]}") from None
        message: Message = found
        return message

    # --- what goes wrong

    def fault(self, kind: str, *, method: str = "sendMessage", count: int = 1, **more: Any) -> None:
        """The next call of a method meets this, see `simulator.state.Fault`."""
        add_fault(self.sim.telegram, method, kind, count=count, **more)

    @property
    def faults(self) -> list[Any]:
        """Faults nobody has met yet."""
        return self.sim.telegram.faults


@asynccontextmanager
async def people() -> AsyncIterator[People]:
    """Ada and the bot in a simulator on a port of its own."""
    # not from 1: what a test puts into the inbox by hand has small numbers
    async with SimulatedTelegram(Telegram(auto_register=False, first_number=1000)).serve() as sim:
        yield People(sim)
