"""Answers are made from the fields of their types: what a view reads exists, and nothing is left out or made up."""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, get_args, get_type_hints

import orjson
import pytest
from pydantic import TypeAdapter

from api.http import ApiResponse, response_of
from api.schemas.base import GIVEN, Attr, From, Moment, Serialized, View, plan_of, views
from api.schemas.identity import CodeSent
from api.schemas.runs import RunInline, RunQueued, TaskOut
from api.server import create_app as _reads_every_schema  # noqa: F401
from domain.runs.task import Task

NOW = datetime(2026, 11, 25, 20, 4, 26, 123456, tzinfo=UTC)
TASK = Task(
    id="01933333-3333-7333-8333-333333333333",
    workspace_id="01933333-3333-7333-8333-333333333334",
    operator_id=None,
    parent_task_id=None,
    title="Launch",
    description="",
    mode="build",
    status="pending",
    priority=0,
    metadata={"a": [1]},
    iteration_budget=50,
    schedule=None,
    next_run_at=None,
    paused=False,
    deadline_at=NOW,
    origin="api",
    created_by=None,
    created_at=NOW,
    updated_at=NOW,
    completed_at=None,
    deleted_at=None,
)


def shown_by(view: type[Any]) -> Iterator[Any]:
    """The types of values that a view shows."""
    for kind in view.__mro__:
        if arguments := getattr(kind, "__pydantic_generic_metadata__", {}).get("args"):
            yield from get_args(arguments[0]) or arguments
            return


def kind_of(value: Any, path: str) -> Any:
    """The type at a dotted path of attributes; AttributeError when there is none."""
    for name in path.split("."):
        hints = get_type_hints(value)
        found = getattr(value, name, None)
        if isinstance(found, property):
            assert found.fget is not None
            value = get_type_hints(found.fget)["return"]
        elif name in hints:
            value = hints[name]
        elif name != "value":
            raise AttributeError(f"{value} has no {name}")
    return value


@pytest.mark.parametrize("view", sorted(views(), key=lambda v: v.__name__), ids=lambda v: v.__name__)
def test_a_view_reads_what_its_value_has(view: type[View[Any]]) -> None:
    values = list(shown_by(view))
    assert values or view.__name__ == "PlainView"
    for value in values:
        assert dataclasses.is_dataclass(value)
        for path, _ in plan_of(view).attributes.values():
            kind_of(value, path)


def test_a_task_is_what_one_would_write_by_hand() -> None:
    made = TaskOut.of(TASK)
    assert made == {
        "id": TASK.id,
        "workspaceId": TASK.workspace_id,
        "operatorId": None,
        "parentTaskId": None,
        "title": "Launch",
        "description": "",
        "mode": "build",
        "status": "pending",
        "priority": 0,
        "metadata": {"a": [1]},
        "schedule": None,
        "nextRunAt": None,
        "paused": False,
        "deadlineAt": "2026-11-25T20:04:26.123Z",
        "createdAt": "2026-11-25T20:04:26.123Z",
        "updatedAt": "2026-11-25T20:04:26.123Z",
        "completedAt": None,
    }
    assert list(made) == [field.serialization_alias for field in TaskOut.model_fields.values()]
    TypeAdapter(TaskOut).validate_json(orjson.dumps(made))


@dataclasses.dataclass(frozen=True)
class Inner:
    moment: datetime | None


@dataclasses.dataclass(frozen=True)
class Outer:
    one: Inner
    none: Inner | None
    several: tuple[Inner, ...]
    tags: tuple[str, ...]
    cents: int


class InnerOut(View[Inner]):
    moment: Moment | None


class OuterOut(View[Outer]):
    the_one: Annotated[InnerOut, Attr("one")]
    none: InnerOut | None
    several: list[InnerOut]
    tags: list[str]
    first: Annotated[Moment | None, Attr("one.moment")]
    euros: Annotated[float, Attr("cents", lambda cents: cents / 100)]
    count: Annotated[int, From(lambda outer: len(outer.several))]
    said: Annotated[str, GIVEN]
    maybe: Annotated[str | None, GIVEN] = None


def test_views_in_views_lists_of_them_and_what_is_not_there() -> None:
    inner = Inner(NOW)
    outer = Outer(one=inner, none=None, several=(inner, Inner(None)), tags=("a",), cents=150)
    assert OuterOut.of(outer, said="x") == {
        "theOne": {"moment": "2026-11-25T20:04:26.123Z"},
        "none": None,
        "several": [{"moment": "2026-11-25T20:04:26.123Z"}, {"moment": None}],
        "tags": ["a"],
        "first": "2026-11-25T20:04:26.123Z",
        "euros": 1.5,
        "count": 2,
        "said": "x",
    }
    assert OuterOut.of(outer, said="x", maybe=None)["maybe"] is None


@pytest.mark.parametrize("given", [{}, {"said": "x", "other": 1}, {"said": "x", "count": 3}, {"maybe": "x"}])
def test_what_is_given_is_what_a_view_asks_for(given: dict[str, Any]) -> None:
    outer = Outer(one=Inner(None), none=None, several=(), tags=(), cents=0)
    with pytest.raises(TypeError, match="OuterOut"):
        OuterOut.of(outer, **given)


def test_an_answer_has_all_of_its_fields_and_no_other() -> None:
    assert CodeSent.answer(sent=True, email="ada@example.com") == {"sent": True, "email": "ada@example.com"}
    for given in ({"sent": True}, {"sent": True, "email": "x", "kode": "1"}):
        with pytest.raises(TypeError, match="CodeSent"):
            CodeSent.answer(**given)


@pytest.mark.parametrize(
    ("annotation", "model"),
    [
        (Serialized[TaskOut], TaskOut),
        (list[Serialized[TaskOut]], list[TaskOut]),
        (ApiResponse[list[Serialized[TaskOut]]], list[TaskOut]),
        (Serialized[RunQueued] | ApiResponse[Serialized[RunInline]], RunQueued | RunInline),
        (ApiResponse[dict[str, Any]], dict[str, Any]),
        (None, None),
        (type(None), None),
    ],
)
def test_the_annotation_of_a_handler_is_what_is_documented(annotation: Any, model: Any) -> None:
    assert response_of(annotation) == model


def test_names_on_the_wire_are_one_word_after_another() -> None:
    """A view has camelCase names, or those of somebody else's contract; never both."""
    for view in views():
        names = [field.serialization_alias or name for name, field in view.model_fields.items()]
        kinds = {"_" in name for name in names if "_" in name or name != name.lower()}
        assert len(kinds) < 2, view
