"""Whoever runs the installation hears in their language that its budget for models is used up."""

import pytest

from domain.clock import utc_now
from services.outbox.notifications import Notifications
from services.policy.budgets import OverBudget
from services.runs.budget_notice import tell_administrator
from storage.transaction import Tx
from tests.bot.kit import BotKit

SAID = {
    "en": ("The budget for model calls is used up", "Today's budget"),
    "es": ("El presupuesto para llamadas a modelos se agotó", "El presupuesto de hoy"),
    "pt-BR": ("O orçamento para chamadas a modelos acabou", "O orçamento de hoje"),
    "ru": ("Бюджет на запросы к моделям исчерпан", "Бюджета на сегодня"),
}


@pytest.mark.parametrize("code", SAID)
async def test_it_is_said_once_a_day_in_their_language(bot: BotKit, code: str) -> None:
    over = OverBudget(reason="", code="over_installation_budget", budget="day budget")
    notifications = Notifications(bot.kit.bus, utc_now)
    now = utc_now()

    def tell(tx: Tx) -> None:
        tell_administrator(tx, notifications, over, now=now)

    async with bot.running():
        await bot.deps.chat.people.set_language(bot.kit.owner, code)
        await bot.kit.store.write(tell)
        title, text = SAID[code]
        said = await bot.telegram.message(title)
        assert text in said["text"]
        assert "PILOT_BUDGET_DAY_USD" in said["text"]
        await bot.kit.store.write(tell)
        before = len(bot.telegram.in_chat())
        bot.telegram.say("/help")
        await bot.telegram.until(lambda: len(bot.telegram.in_chat()) > before)
    assert sum(title in m["text"] for m in bot.telegram.in_chat()) == 1
