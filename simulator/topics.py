"""Topics of forums and of private chats, and the threads of replies."""

from typing import Any

from simulator.errors import WrongRequest, bad
from simulator.messages import post, tell
from simulator.state import Chat, Message, User
from simulator.telegram import Telegram


def open_topic(telegram: Telegram, chat: Chat, name: str, by: User, *, icon_color: int = 7322096) -> dict[str, Any]:
    """A topic of a forum, or of a private chat with topics: its thread, name and colour. Raises WrongRequest."""
    if not chat.forum:
        raise WrongRequest(f"chat {chat.id} has no topics")
    created = {"name": name, "icon_color": icon_color}
    message = post(telegram, chat, by, {"forum_topic_created": created})
    thread = message["message_thread_id"] = message["message_id"]
    message["is_topic_message"] = True
    chat.topics[thread] = dict(created)
    tell(telegram, chat, message, service=True)
    telegram.changed()
    return {"message_thread_id": thread, **created}


def in_thread(chat: Chat, message: Message, *, thread: int = 0, replied: Message | None = None) -> None:
    """Where a message belongs: a topic of a forum, or the thread a reply in a supergroup makes."""
    thread = thread or (replied or {}).get("message_thread_id", 0)
    if chat.forum and thread:
        message |= {"message_thread_id": thread, "is_topic_message": True}
    elif chat.type == "supergroup" and not chat.forum and replied is not None:
        message["message_thread_id"] = thread or replied["message_id"]


def known_thread(chat: Chat, thread: int) -> int:
    """The topic a bot means by `message_thread_id`, 0 for none; where there are no topics it counts for nothing.

    Private chats refuse an unknown one even without topics. Raises ApiError 400.
    """
    if not thread or not (chat.forum or chat.private):
        return 0
    topic = chat.topics.get(thread)
    if topic is None:
        raise bad("message thread not found")
    if topic.get("closed"):
        # word from memory
        raise bad("TOPIC_CLOSED")
    return thread
