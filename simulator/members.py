"""Who is in a chat as what, and what bots hear when that changes."""

import time
from typing import Any

from simulator.errors import WrongRequest
from simulator.messages import post, tell
from simulator.state import Chat, User, shown_user
from simulator.telegram import Telegram
from simulator.updates import push


def member_view(telegram: Telegram, chat: Chat, user_id: int) -> dict[str, Any]:
    """A ChatMember: who somebody is in a chat."""
    status = chat.members.get(user_id, "left")
    view: dict[str, Any] = {"status": status, "user": shown_user(telegram.anybody(user_id) or {})}
    if status == "administrator":
        rights = (
            "can_be_edited is_anonymous can_delete_messages can_manage_video_chats can_restrict_members "
            "can_promote_members can_change_info can_invite_users can_post_stories can_edit_stories "
            "can_delete_stories can_send_welcome_messages"
        )
        view |= dict.fromkeys(rights.split(), False) | {"can_manage_chat": True, "can_delete_messages": True}
    elif status == "creator":
        view["is_anonymous"] = False
    elif status == "kicked":
        view["until_date"] = 0
    return view


def set_status(telegram: Telegram, chat: Chat, user_id: int, status: str, by: User) -> None:
    """Change who somebody is in a chat, and tell the bots it concerns."""
    before = member_view(telegram, chat, user_id)
    chat.members[user_id] = status
    change = {
        "chat": telegram.chat_view(chat),
        "from": by,
        "date": int(time.time()),
        "old_chat_member": before,
        "new_chat_member": member_view(telegram, chat, user_id),
    }
    for bot in telegram.bots.values():
        if bot.id == user_id:
            push(telegram, bot, {"my_chat_member": change})
        elif chat.is_admin(bot.id):
            push(telegram, bot, {"chat_member": change})


def join(telegram: Telegram, chat_id: int, user_id: int, *, status: str = "member", by: int | None = None) -> None:
    """Somebody (a person or a bot) comes into a group, or gets another status there."""
    chat = telegram.group(chat_id)
    member = telegram.anybody(user_id)
    if member is None:
        raise WrongRequest(f"there is no user {user_id}")
    if status not in ("member", "administrator", "creator"):
        raise WrongRequest("status must be member, administrator or creator")
    new = not chat.has(user_id)
    actor = telegram.people.get(by or next(iter(chat.members), 0)) or member
    set_status(telegram, chat, user_id, status, actor)
    if new:
        tell(telegram, chat, post(telegram, chat, actor, {"new_chat_members": [shown_user(member)]}), service=True)
    telegram.changed()


def leave(telegram: Telegram, chat_id: int, user_id: int, *, kicked: bool = False, by: int | None = None) -> None:
    """Somebody leaves a group, or is thrown out of it."""
    chat = telegram.group(chat_id)
    member = telegram.anybody(user_id)
    if member is None or not chat.has(user_id):
        raise WrongRequest(f"user {user_id} is not in chat {chat_id}")
    actor = telegram.people.get(by or 0) or member
    gone = post(telegram, chat, actor, {"left_chat_member": shown_user(member)})
    set_status(telegram, chat, user_id, "kicked" if kicked else "left", actor)
    tell(telegram, chat, gone, service=True)
    telegram.changed()
