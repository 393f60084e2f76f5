"""What the chat needs, built once."""

from dataclasses import dataclass

from domain.clock import Now
from services.chat.cards import Cards
from services.chat.conversations import Conversations
from services.chat.messages import ChatMessages
from services.chat.overview import OverviewService
from services.chat.people import ChatPeople
from services.chat.tasks import ChatTasks
from services.ledger.append import Ledger
from services.lifecycle.container import Lifecycle
from services.outbox.notifications import Notifications
from services.runs.tasks import TaskService
from services.tools.registry import ToolRegistry
from storage.database import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatServices:
    """Everything that only chats use, but for how updates come in."""

    cards: Cards
    messages: ChatMessages
    conversations: Conversations
    people: ChatPeople
    tasks: ChatTasks
    overview: OverviewService


def make_chat(
    *,
    store: Store,
    tasks: TaskService,
    lifecycle: Lifecycle,
    tool_registry: ToolRegistry,
    notifications: Notifications,
    ledger: Ledger,
    now: Now,
) -> ChatServices:
    """Each on the store, messages with the cards they show."""
    cards = Cards(store=store, ledger=ledger, tool_registry=tool_registry, now=now)
    return ChatServices(
        cards=cards,
        messages=ChatMessages(store=store, cards=cards, notifications=notifications, now=now),
        conversations=Conversations(store=store, now=now),
        people=ChatPeople(store=store, now=now),
        tasks=ChatTasks(store=store, tasks=tasks, lifecycle=lifecycle, notifications=notifications, now=now),
        overview=OverviewService(store=store, now=now),
    )
