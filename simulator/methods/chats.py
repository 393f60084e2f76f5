"""Methods that look at chats and their members, or leave a chat."""

from typing import Any

from simulator.access import target
from simulator.errors import bad
from simulator.members import leave, member_view
from simulator.methods.table import Methods
from simulator.params import Params
from simulator.state import Bot
from simulator.telegram import Telegram

METHODS = Methods()


@METHODS.named("getChat")
def _get_chat(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"), write=False)
    gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")
    return {
        **telegram.chat_view(chat),
        "accent_color_id": abs(chat.id) % 7,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(gifts, False),
        **({} if chat.private else {"permissions": {"can_send_messages": True}}),
    }


@METHODS.named("getChatMember")
def _get_chat_member(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"), write=False)
    user_id = params.integer("user_id")
    if telegram.anybody(user_id) is None:
        raise bad("user not found")
    return member_view(telegram, chat, user_id)


@METHODS.named("getChatAdministrators")
def _get_chat_administrators(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"), write=False)
    if chat.private:
        raise bad("there are no administrators in the private chat")
    people = [user_id for user_id in chat.members if user_id in telegram.people]
    return [member_view(telegram, chat, user_id) for user_id in people if chat.is_admin(user_id)]


@METHODS.named("getChatMemberCount")
def _get_chat_member_count(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"), write=False)
    return sum(chat.has(user_id) for user_id in chat.members)


@METHODS.named("leaveChat")
def _leave_chat(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"))
    if chat.private:
        raise bad("chat member status can't be changed in private chats")
    leave(telegram, chat.id, bot.id)
    return True


@METHODS.named("getUserProfilePhotos")
def _get_user_profile_photos(telegram: Telegram, _bot: Bot, params: Params) -> Any:
    if params.integer("user_id") not in telegram.people:
        raise bad("user not found")
    return {"total_count": 0, "photos": []}
