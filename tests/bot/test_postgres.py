"""The same story on the other database, where several workers may claim at once."""

import json
from pathlib import Path

from domain.chat.updates import arrived
from domain.ports import ToolCall
from tests.bot.kit import open_bot
from tests.kit import Script


async def test_the_story_on_postgres(tmp_path: Path):
    async with open_bot(tmp_path, database="postgres") as bot:
        tg = bot.telegram
        bot.kit.scripts["Do it"] = Script([ToolCall(tool="http.post", args={"what": "x"}, call_id="1")])
        async with bot.running():
            tg.say("Do it")
            tg.tap(await tg.message("Approval needed"), "Approve")
            await tg.message("all done")
            await tg.message("Approved by Ada")
        assert len(bot.deed.done) == 1
        first, second = tg.say("/help"), tg.say("/tasks")
        for update in (first, second):
            await bot.deps.inbox.take([arrived(json.dumps(update).encode())])
        assert len(await bot.deps.inbox.claim(limit=1, in_hand={})) == 1
        assert await bot.deps.inbox.claim(limit=9, in_hand={}) == ()
