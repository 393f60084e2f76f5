"""What an agent that is not ours asks leave for is a card in chat, and the tap is its answer."""

from dataclasses import replace

from domain.clock import utc_now
from domain.identity.actor import Channel
from domain.ids import new_id
from services.approvals.decision_point import DecisionPoint, ExternalCall
from tests.bot.kit import BotKit

CALL = ExternalCall(
    tool="crm.update", effect_level="E3", session="nightly-1", args={"id": 7}, context={}, principal="crm-agent"
)


async def test_the_card_of_another_agent_is_answered_by_a_tap(bot: BotKit) -> None:
    kit, tg = bot.kit, bot.telegram
    point = DecisionPoint(
        kit.store, kit.policy_service, kit.tool_registry, kit.lifecycle.requests, kit.recorder, kit.ledger, utc_now
    )
    key = replace(kit.owner, channel=Channel.API_KEY, api_key_id=new_id(), scopes=frozenset({"governance:evaluate"}))
    async with bot.running():
        asked = await point.evaluate(key, CALL)
        assert asked.decision.verdict == "ESCALATE"
        card = await tg.message("Approval needed")
        for words in ("crm.update", "crm-agent, session nightly-1", "changes something outside Pilot"):
            assert words in card["text"], words
        tg.tap(card, "Approve")
        await tg.message("Approved by Ada")
        answered = await point.evaluate(key, CALL)
        assert answered.decision.verdict == "ALLOW"
        # a yes serves once: the next one is a question of its own
        again = await point.evaluate(key, CALL)
        assert (again.decision.verdict, again.approval_id != asked.approval_id) == ("ESCALATE", True)
