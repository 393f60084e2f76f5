"""What waits in the outbox: a value for each kind of message, and its form as it is stored.

A notice says what to show, not how: it is rendered when it is sent, from the state of that moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar


class NoticeKind(StrEnum):
    """The word a stored notice is known by."""

    APPROVAL_CARD = "approval.card"
    APPROVAL_UPDATE = "approval.update"
    APPROVAL_BATCH = "approval.batch"
    APPROVAL_REMINDER = "approval.reminder"
    APPROVAL_CALLBACK = "approval.callback"
    RUN_PROGRESS = "run.progress"
    RUN_RESULT = "run.result"
    RUN_UNCERTAIN = "run.uncertain"
    RUN_UNCERTAIN_UPDATE = "run.uncertain_update"
    INTEGRITY = "integrity"
    CHECKPOINT = "checkpoint"
    INSTALLATION_BUDGET = "installation.budget"
    TEXT = "text"
    VIEW = "view"
    LOGIN_CODE = "login_code"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardNotice:
    """The card of an approval; `user_id` is whom it is for, where it is handed out to several."""

    kind: ClassVar = NoticeKind.APPROVAL_CARD
    approval_id: str
    user_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardUpdate:
    """A card that was sent is edited to the truth."""

    kind: ClassVar = NoticeKind.APPROVAL_UPDATE
    approval_id: str
    message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNotice:
    """Several approvals in one message; with `message_id` the one that was sent is edited."""

    kind: ClassVar = NoticeKind.APPROVAL_BATCH
    batch_id: str
    message_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReminderNotice:
    """A question is still open; `instead_of` are the names of those a deputy stands in for."""

    kind: ClassVar = NoticeKind.APPROVAL_REMINDER
    approval_id: str
    stage: int
    instead_of: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackNotice:
    """An agent that is not ours is told the outcome of its question."""

    kind: ClassVar = NoticeKind.APPROVAL_CALLBACK
    approval_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressNotice:
    """How a run goes, in its one message."""

    kind: ClassVar = NoticeKind.RUN_PROGRESS
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultNotice:
    """What came of a run."""

    kind: ClassVar = NoticeKind.RUN_RESULT
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UncertainNotice:
    """A call was interrupted: what became of it?"""

    kind: ClassVar = NoticeKind.RUN_UNCERTAIN
    run_id: str
    step_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UncertainUpdate:
    """That question is edited to its answer."""

    kind: ClassVar = NoticeKind.RUN_UNCERTAIN_UPDATE
    step_id: str
    message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrityNotice:
    """Something in the store is not what was signed: the first of `count` findings, and what of it differs."""

    kind: ClassVar = NoticeKind.INTEGRITY
    subject: str
    differs: Sequence[str]
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointNotice:
    """The signed checkpoint of a log, for its owner to keep; `problem` says why there is none."""

    kind: ClassVar = NoticeKind.CHECKPOINT
    size: int | None = None
    note: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetNotice:
    """The installation's budget for a `day` or a `month` has no room for a call of a model."""

    kind: ClassVar = NoticeKind.INSTALLATION_BUDGET
    budget: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextNotice:
    """Plain words."""

    kind: ClassVar = NoticeKind.TEXT
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewNotice:
    """What a handler of the chat has rendered already; `shows` says of what (`kind`, `ref`, `digest`)."""

    kind: ClassVar = NoticeKind.VIEW
    view: dict[str, Any]
    language: str | None = None
    shows: Mapping[str, str] | None = None
    reply_to: int | None = None
    edit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCodeNotice:
    """A login code, sealed for the one moment in which it is sent."""

    kind: ClassVar = NoticeKind.LOGIN_CODE
    sealed: str
    seal_id: str


Notice = (
    CardNotice
    | CardUpdate
    | BatchNotice
    | ReminderNotice
    | CallbackNotice
    | ProgressNotice
    | ResultNotice
    | UncertainNotice
    | UncertainUpdate
    | IntegrityNotice
    | CheckpointNotice
    | BudgetNotice
    | TextNotice
    | ViewNotice
    | LoginCodeNotice
)
_CLASSES: Mapping[str, type[Any]] = {one.kind.value: one for one in Notice.__args__}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def as_json(notice: Notice) -> dict[str, Any]:
    """The form in which a notice is stored: its kind, and every field that has a value."""
    stored: dict[str, Any] = {"kind": notice.kind.value}
    for field in fields(notice):
        value = getattr(notice, field.name)
        if value is not None:
            stored[_camel(field.name)] = list(value) if isinstance(value, tuple) else value
    return stored


class BadNotice(ValueError):
    """A stored notice lacks what its kind has to say."""


def notice_of(stored: Mapping[str, Any]) -> Notice | None:
    """A stored notice; None for a kind that is not known, BadNotice for one that lacks what it has to say."""
    found = _CLASSES.get(str(stored.get("kind")))
    if found is None:
        return None
    there = {f.name: stored[_camel(f.name)] for f in fields(found) if _camel(f.name) in stored}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in there.items()}
    try:
        notice: Notice = found(**values)
    except TypeError as error:
        raise BadNotice(f"{stored['kind']}: {error}") from None
    return notice
