"""Data of inline buttons: an opaque id and a verb, at most 64 bytes, never the payload itself.

A button stays in its chat for ever: a kind keeps its prefix, the order of its parts and its verbs. What cannot be
read as any kind falls through to `old_button`.
"""

import base64
from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID

from aiogram.filters.callback_data import MAX_CALLBACK_LENGTH, CallbackData
from pydantic import BeforeValidator, PlainSerializer, StringConstraints

from domain.approvals.approval import Approval
from domain.runs.run import UncertainChoice
from domain.runs.task import Mode


def pack_id(value: str) -> str:
    """A UUID as 22 characters of base64url."""
    return base64.urlsafe_b64encode(UUID(value).bytes).decode().rstrip("=")


def unpack_id(value: str) -> str:
    """The UUID of `pack_id`; ValueError when it is none."""
    if len(value) != 22:
        raise ValueError("not a packed id")
    return str(UUID(bytes=base64.urlsafe_b64decode(value + "==")))


def _either(value: str) -> str:
    return str(UUID(value)) if len(value) == 36 else unpack_id(value)


# a UUID that travels as 22 characters
Id = Annotated[str, BeforeValidator(_either), PlainSerializer(pack_id)]


class ApprovalVerb(StrEnum):
    """What a button of an approval card asks for."""

    APPROVE = "y"
    DENY = "n"
    DENY_REASON = "dr"
    CHANGES = "c"
    GRANT = "g"
    UNDO = "u"
    EDIT = "e"


class StepVerb(StrEnum):
    """What became of an interrupted step."""

    RETRY = "r"
    SKIP = "s"
    DONE = "d"

    @property
    def choice(self) -> UncertainChoice:
        """The answer it stands for."""
        return _CHOICES[self]


_CHOICES = {
    StepVerb.RETRY: UncertainChoice.RETRY,
    StepVerb.SKIP: UncertainChoice.SKIP,
    StepVerb.DONE: UncertainChoice.MARK_DONE,
}


class TaskVerb(StrEnum):
    """What is done to a task."""

    CANCEL = "c"
    RUN = "r"


class ApprovalTap(CallbackData, prefix="a", frozen=True):
    """`a:<id>:<verb>:<version>:<first 12 hex digits of the digest>`: what was shown travels with the tap."""

    approval_id: Id
    verb: ApprovalVerb
    version: int
    digest: Annotated[str, StringConstraints(min_length=12, max_length=12)]

    @classmethod
    def of(cls, approval: Approval, verb: ApprovalVerb) -> Self:
        """The button of a card that shows the approval as it is now."""
        return cls(approval_id=approval.id, verb=verb, version=approval.version, digest=approval.short_digest)


class StepTap(CallbackData, prefix="u", frozen=True):
    """`u:<run>:<step>:<verb>`, of an interrupted step."""

    run_id: Id
    step_id: Id
    verb: StepVerb


class TaskTap(CallbackData, prefix="t", frozen=True):
    """`t:<id>:<verb>`."""

    task_id: Id
    verb: TaskVerb


class GrantTap(CallbackData, prefix="g", frozen=True):
    """`g:<id>`: ends the grant."""

    grant_id: Id


class WorkspaceTap(CallbackData, prefix="w", frozen=True):
    """`w:<id>`: goes to another workspace."""

    workspace_id: Id


class ModeTap(CallbackData, prefix="m", frozen=True):
    """`m:<mode>`."""

    mode: Mode


class KillTap(CallbackData, prefix="k", frozen=True):
    """`k:<on, off or no>`: the kill switch after it was asked about; `no` leaves it."""

    wanted: Literal["on", "off", "no"]


class LanguageTap(CallbackData, prefix="l", frozen=True):
    """`l:<code>`. Whether there is such a language, the handler knows."""

    code: str


class ExampleTap(CallbackData, prefix="x", frozen=True):
    """`x:example`: makes the example task."""

    name: Literal["example"] = "example"


class PolicyPageTap(CallbackData, prefix="p", frozen=True):
    """`p:<page>`: the tools, all of the policy, or the question about the kill switch."""

    page: Literal["tools", "all", "kill"]


class AskFromTap(CallbackData, prefix="p", frozen=True):
    """`p:from:<level>`: the effect level from which is asked."""

    verb: Literal["from"] = "from"
    level: Literal["E1", "E2", "E3"]


class ToolTap(CallbackData, prefix="p", frozen=True):
    """`p:<block or free>:<tool or pattern>`. A name may hold colons: it is all that is left."""

    verb: Literal["block", "free"]
    tool: Annotated[str, StringConstraints(min_length=1)]

    def pack(self) -> str:
        """ValueError for a name that no button can hold."""
        if not self.fits(self.verb, self.tool):
            raise ValueError("the name is too long for a button")
        return f"{self.__prefix__}:{self.verb}:{self.tool}"

    @classmethod
    def unpack(cls, value: str) -> Self:
        """ValueError when malformed."""
        prefix, verb, tool = value.split(cls.__separator__, 2)
        if prefix != cls.__prefix__:
            raise ValueError("not a button of the policy")
        # the model says which verbs there are
        return cls.model_validate({"verb": verb, "tool": tool})

    @classmethod
    def fits(cls, verb: str, tool: str) -> bool:
        """Whether a button can hold the name beside the verb."""
        return len(f"{cls.__prefix__}:{verb}:{tool}".encode()) <= MAX_CALLBACK_LENGTH
