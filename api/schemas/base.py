"""The types that requests and answers share, and how an answer is made from a value of the domain.

A request is a `Body` or a `LooseBody`. An answer that is a value seen from outside is a `View` of it: each field is
the attribute of its own name, unless it says otherwise (`Attr`, `From`, `GIVEN`). An answer of its own is an `Out`.
All have snake_case attributes and camelCase names on the wire.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from types import UnionType
from typing import Annotated, Any, Generic, Literal, Self, TypeVar, Union, cast, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from domain.clock import iso
from domain.integrity import ALTERED
from domain.untrusted import clean

# --- requests -------------------------------------------------------------------------------------


class Body(BaseModel):
    """A request body of ours: unknown names are refused."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class LooseBody(BaseModel):
    """A request body of the contract: unknown names are dropped, as its clients expect."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")


class Paged(LooseBody):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: str | None = None


def text_ok(value: str) -> str:
    """A text that every part of the system can hold: no NUL, no lone surrogates."""
    if "\x00" in value:
        raise ValueError("must not hold NUL characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode") from None
    return value


def visible(value: str) -> str:
    """The text as it is; something of it must be seen."""
    if not clean(value).strip():
        raise ValueError("must not be blank")
    return value


def said(value: str) -> str:
    """A text without the blanks around it; something must be left."""
    return text_ok(visible(value.strip()))


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]|$)")


def _written(value: Any) -> Any:
    # a number would be taken for seconds since 1970
    if not isinstance(value, str) or not _DATE.match(value):
        raise ValueError("must be a time as in RFC 3339")
    return value


def in_utc(moment: datetime) -> datetime:
    """The moment in UTC, which is also the zone of one that names none."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # the first and the last hours of the calendar exist in some zones only
        raise ValueError("lies outside of the calendar") from None


def _zoned(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("must name its time zone")
    return moment


# A time of the wire: RFC 3339, or a date alone.
GivenTime = Annotated[datetime, BeforeValidator(_written), AfterValidator(in_utc)]
# One that things are to happen by: without its zone it would be hours off.
ZonedTime = Annotated[datetime, BeforeValidator(_written), AfterValidator(_zoned), AfterValidator(in_utc)]


# A value that an endpoint checks itself, with an error of its own: what the document says of it.
AnyText = Annotated[Any, WithJsonSchema({"type": "string"})]


MaybeText = Annotated[Any, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "null"}]})]


def any_of(words: Iterable[str]) -> WithJsonSchema:
    """One of these words, checked by the endpoint."""
    return WithJsonSchema({"type": "string", "enum": [str(word) for word in words]})


def one_of(words: Iterable[str]) -> Any:
    """A text that is one of these words: the endpoint or a validator sees to it."""
    return Field(json_schema_extra={"enum": [str(word) for word in words]})


def needed(*names: str) -> ConfigDict:
    """The document says that these fields are needed: the endpoint refuses a request without them, in its own words."""

    def say(schema: dict[str, Any]) -> None:
        schema["required"] = sorted({*schema.get("required", ()), *names})
        for name in names:
            schema["properties"][name].pop("default", None)

    return ConfigDict(json_schema_extra=say)


# --- answers --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attr:
    """A field that is another attribute of the value (dots lead on), or one that is turned into JSON."""

    path: str = ""
    convert: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class From:
    """A field that is made of the whole value."""

    make: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Converter:
    """How a value is turned into JSON; None may be left as it is."""

    function: Callable[[Any], Any]
    keeps_none: bool = False


# A field that the value does not have: whoever makes the answer gives it. With a default it may be left out.
GIVEN = object()


def dollars(micros: int) -> str:
    """Millionths of a US dollar with six digits, as the reference writes amounts."""
    return f"{micros / 1e6:.6f}"


def level(effect: int) -> str:
    """An effect level as it is written."""
    return f"E{int(effect)}"


def or_none(value: Any) -> Any:
    """The value, None for an empty one."""
    return value or None


Id = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Moment = Annotated[
    str,
    Attr(convert=iso),
    Field(json_schema_extra={"format": "date-time"}, pattern=r"^\d{4}-\d\d-\d\dT[0-9:.]+Z$"),
]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="64 hex digits")]
Amount = Annotated[str, Attr(convert=dollars), Field(pattern=r"^\d+\.\d{6}$", description="US dollars, six digits")]
Level = Annotated[str, Attr(convert=level), Field(pattern=r"^E[0-4]$", description="effect level, E0 (none) to E4")]
Json = dict[str, Any]
RoleName = Literal["owner", "partner", "member"]
ModeName = Literal["discover", "decide", "build", "launch", "apply"]
VerdictName = Literal["ALLOW", "DENY", "ESCALATE"]

M_co = TypeVar("M_co", covariant=True)
V = TypeVar("V")


class Serialized(dict[str, Any], Generic[M_co]):
    """The JSON object of an answer of this type: a plain dict, of which the type checker knows whose it is."""


class Out(BaseModel):
    """An answer: names in camelCase, nothing that is not named here. What was not given is left out."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True)

    @classmethod
    def answer(cls, **given: Any) -> Serialized[Self]:
        """The answer with these fields. TypeError for one it does not have, or one that is missing."""
        out: dict[str, Any] = {}
        _add(out, given, _names(cls), cls)
        return cast("Serialized[Self]", out)


class View(Out, Generic[V]):
    """A value of the domain as an answer shows it."""

    @classmethod
    def of(cls, value: V, /, **given: Any) -> Serialized[Self]:
        """The answer for a value; `given` are the fields that it does not have itself."""
        make, fields = _maker(cls)
        out = make(value)
        if given or fields:
            _add(out, given, fields, cls)
        return out


class PlainOut(Out):
    """An answer whose names are words already, or somebody else's."""

    model_config = ConfigDict(alias_generator=None)


class PlainView(View[V], Generic[V]):
    """A value of the domain with somebody else's names."""

    model_config = ConfigDict(alias_generator=None)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a view reads, by name on the wire: attributes with how they become JSON, made of the whole, given."""

    attributes: dict[str, tuple[str, Converter | None]]
    made: dict[str, Callable[[Any], Any]]
    given: dict[str, tuple[str, bool]]


def plan_of(model: type[Out]) -> Plan:
    """The plan of a view, from its fields."""
    plan = Plan({}, {}, {})
    for name, field in model.model_fields.items():
        alias = field.serialization_alias or name
        made = next((mark.make for mark in field.metadata if isinstance(mark, From)), None)
        if GIVEN in field.metadata:
            plan.given[name] = (alias, field.is_required())
        elif made is not None:
            plan.made[alias] = made
        else:
            marks = [mark for mark in reversed(field.metadata) if isinstance(mark, Attr)]
            path = next((mark.path for mark in marks if mark.path), name)
            convert = next((Converter(mark.convert) for mark in marks if mark.convert is not None), None)
            plan.attributes[alias] = (path, convert or _converter(field.annotation))
    return plan


@cache
def serializer(model: type[Out]) -> Callable[[Any], Serialized[Any]]:
    """What makes the JSON of a value, but for the fields that are given: written once from the fields of the view.

    It is the function that one would write by hand, made as `dataclasses` makes its own: no field is looked up twice.
    """
    plan = plan_of(model)
    known: dict[str, Any] = {}
    parts = []
    for alias, (path, convert) in plan.attributes.items():
        read = f"value.{path}"
        if convert is not None:
            known[f"_{len(known)}"] = convert.function
            made = f"_{len(known) - 1}({read})"
            read = f"None if {read} is None else {made}" if convert.keeps_none else made
        parts.append(f"{alias!r}: {read}")
    for alias, make in plan.made.items():
        known[f"_{len(known)}"] = make
        parts.append(f"{alias!r}: _{len(known) - 1}(value)")
    # names of attributes, which are ours, are all that this text is made of
    function: Callable[[Any], Serialized[Any]] = eval(f"lambda value: {{{', '.join(parts)}}}", known)  # noqa: S307
    return function


@cache
def _maker(model: type[Out]) -> tuple[Callable[[Any], Serialized[Any]], dict[str, tuple[str, bool]]]:
    return serializer(model), plan_of(model).given


@cache
def _names(model: type[Out]) -> dict[str, tuple[str, bool]]:
    fields = model.model_fields.items()
    return {name: (field.serialization_alias or name, field.is_required()) for name, field in fields}


def _add(out: dict[str, Any], given: dict[str, Any], fields: dict[str, tuple[str, bool]], model: type[Out]) -> None:
    if not given.keys() <= fields.keys():
        raise TypeError(f"{model.__name__} is not given {', '.join(given.keys() - fields.keys())}")
    for name, (alias, needed) in fields.items():
        if name in given:
            out[alias] = given[name]
        elif needed:
            raise TypeError(f"{model.__name__} needs {name}")


def _converter(kind: Any) -> Converter | None:
    """How what is of this type becomes JSON: a view, a list of views, a type that says so; None if it is JSON."""
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, View):
        return Converter(serializer(kind))
    if origin is Annotated:
        marks = [mark.convert for mark in arguments[1:] if isinstance(mark, Attr) and mark.convert is not None]
        return Converter(marks[0]) if marks else _converter(arguments[0])
    if origin in (Union, UnionType):
        found = [convert for one in arguments if (convert := _converter(one)) is not None]
        return Converter(found[0].function, keeps_none=True) if found else None
    if origin is list:
        each = _converter(arguments[0])
        return Converter(list if each is None else partial(_each, each.function))
    return None


def _each(convert: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    return [convert(value) for value in values]


def views() -> Iterator[type[View[Any]]]:
    """Every view there is, once its module was read."""
    left: list[type[Any]] = [View]
    while left:
        for kind in left.pop().__subclasses__():
            left.append(kind)
            if "[" not in kind.__name__:
                yield kind


# --- errors ---------------------------------------------------------------------------------------


class Trouble(BaseModel):
    """What is wrong with a request: about all of it, and about each field."""

    model_config = ConfigDict(alias_generator=to_camel)

    form_errors: list[str]
    field_errors: dict[str, list[str]]


class Problem(BaseModel):
    """Every error. `code` is stable, `error` is for people; some errors carry more fields beside these."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow")

    error: str
    code: str
    request_id: str
    details: Trouble | None = None


class IntegrityOut(Out):
    """Whether this is what was signed: `differs` names the members, or parts of the receipt, that are not."""

    ok: bool
    code: Literal["altered"] | None
    differs: list[str]


def integrity(differs: Sequence[str]) -> dict[str, Any]:
    """Return the wire form of what is not as it was signed; an empty sequence means that all of it is."""
    if not differs:
        return _HOLDS
    return {"ok": False, "code": ALTERED, "differs": [to_camel(one) if one.isidentifier() else one for one in differs]}


_HOLDS: dict[str, Any] = {"ok": True, "code": None, "differs": []}
Integrity = Annotated[IntegrityOut, Attr("differs", integrity)]
