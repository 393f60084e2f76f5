"""Groups: a new one, and one that becomes a supergroup."""

from collections.abc import Iterable

from simulator.errors import WrongRequest
from simulator.members import join
from simulator.messages import post, tell
from simulator.state import Chat
from simulator.telegram import Telegram


def add_group(
    telegram: Telegram,
    title: str,
    members: Iterable[int],
    *,
    bots: Iterable[str | int] | None = None,
    owner: int | None = None,
    forum: bool = False,
    basic: bool = False,
) -> Chat:
    """A supergroup of these people. `bots`: names of bots in it; None = every bot, later ones too.

    `forum`: it has topics. `basic`: a group of the old kind, which can be upgraded.
    """
    people = [telegram.person(user_id)["id"] for user_id in members]
    number = len(telegram.groups) + 1
    chat = Chat(-number, "group", title) if basic else Chat(-1_001_000_000_000 - number, "supergroup", title)
    chat.forum = forum and not basic
    chat.takes_all_bots = bots is None
    chat.members = dict.fromkeys(people, "member")
    if people:
        chat.members[owner if owner in chat.members and owner is not None else people[0]] = "creator"
    telegram.groups[chat.id] = chat
    names = [bot.id for bot in telegram.bots.values()] if bots is None else [telegram.which_bot(n).id for n in bots]
    for bot_id in names:
        join(telegram, chat.id, bot_id)
    telegram.changed()
    return chat


def upgrade(telegram: Telegram, chat_id: int) -> Chat:
    """A group becomes a supergroup with another id: both say so, and writing to the old one is refused."""
    old = telegram.group(chat_id)
    if old.type != "group" or old.migrated_to:
        raise WrongRequest(f"chat {chat_id} is no group that can be upgraded")
    new = Chat(-1_001_000_000_000 - len(telegram.groups) - 1, "supergroup", old.title)
    new.members, new.takes_all_bots = dict(old.members), old.takes_all_bots
    telegram.groups[new.id] = new
    by = next((telegram.people[user_id] for user_id in old.members if user_id in telegram.people), None)
    if by is None:
        raise WrongRequest(f"nobody is in chat {chat_id}")
    tell(telegram, old, post(telegram, old, by, {"migrate_to_chat_id": new.id}), service=True)
    old.migrated_to = new.id
    tell(telegram, new, post(telegram, new, by, {"migrate_from_chat_id": old.id}), service=True)
    telegram.changed()
    return new
