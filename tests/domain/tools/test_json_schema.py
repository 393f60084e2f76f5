"""Schemas from outside: judged as the meta-schema judges them, and no check with one holds anybody up."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.tools.json_schema import INLINE, LONG, BadSchema, Budget, Checker, TooCostly, check_schema, is_linear
from tests.cost import HOLDS_NOBODY, SLOWNESS, cpu

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, -1.5, "", "string", "^a", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "type", "items"]), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYWORDS = st.sampled_from(
    [
        *("type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"),
        *("maxLength", "minLength", "maxItems", "minItems", "uniqueItems", "maxContains", "minContains"),
        *("maxProperties", "minProperties", "required", "dependentRequired", "items", "prefixItems", "contains"),
        *("additionalProperties", "properties", "dependentSchemas", "propertyNames", "if", "then", "else"),
        *("allOf", "anyOf", "oneOf", "not", "unevaluatedItems", "unevaluatedProperties", "title", "description"),
        *("deprecated", "readOnly", "writeOnly", "examples", "format", "contentEncoding", "contentSchema", "$defs"),
        *("definitions", "dependencies", "$comment", "unknown"),
    ]
)
FITTING = st.recursive(
    st.booleans() | st.just({}),
    lambda inner: st.dictionaries(
        KEYWORDS,
        inner
        | st.lists(inner, min_size=1, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
        | st.sampled_from(["string", ["string", "null"], 2, 0, 1.0, True, ["a", "b"]]),
        max_size=3,
    ),
    max_leaves=8,
)


@settings(max_examples=600, deadline=None)
@given(st.dictionaries(KEYWORDS, ANYTHING, max_size=4) | FITTING)
def test_the_form_is_judged_as_the_meta_schema_does(schema: Any) -> None:
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError:
        with pytest.raises(BadSchema):
            check_schema(schema)
    else:
        check_schema(schema)


@settings(max_examples=600, deadline=None)
@given(FITTING, ANYTHING)
def test_what_fits_is_what_the_library_says(schema: Any, value: Any) -> None:
    try:
        checker = Checker(schema)
    except BadSchema:
        return
    try:
        found = checker.problem(value, Budget(1e9))
    except TooCostly:
        return
    assert (found is None) == jsonschema.Draft202012Validator(schema).is_valid(value)


def nested(levels: int, inner: Any = True) -> Any:
    for _ in range(levels):
        inner = {"items": inner}
    return inner


def doubled(levels: int) -> Any:
    defs: dict[str, Any] = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{levels}": {}}}


@pytest.mark.parametrize(
    "schema",
    [
        nested(200),
        doubled(30),
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#/" + "a/" * 10_000},
        {"$dynamicRef": "#meta"},
        {"allOf": [{}] * 5000},
        {"enum": [list(range(5000))]},
        {"properties": {str(n): {} for n in range(5000)}},
        {"pattern": "(a+)+$"},
        {"patternProperties": {"^a": {}}},
        {"items": {"propertyNames": {"pattern": "a*a*a*b"}}},
        "object",
        None,
        {"type": "nonsense"},
        {"required": ["a", "a"]},
    ],
    ids=lambda schema: str(schema)[:40],
)
def test_a_schema_that_could_take_for_ever_is_refused_at_once(schema: Any) -> None:
    def judge() -> None:
        with pytest.raises(BadSchema):
            Checker(schema)

    assert cpu(judge) < HOLDS_NOBODY


def test_a_large_schema_is_judged_quickly() -> None:
    large = {"type": "object", "properties": {f"p{n}": {"type": "string", "minLength": 1} for n in range(300)}}
    assert cpu(lambda: check_schema(large)) < HOLDS_NOBODY
    assert cpu(lambda: check_schema({"type": "object", "allOf": [{}] * 1900})) < HOLDS_NOBODY


HEAVY: list[tuple[str, Any, Any]] = [
    ("all different", {"uniqueItems": True}, [{"a": n} for n in range(5000)]),
    ("all different, deep", {"items": {"uniqueItems": True}}, [[{"a": [n]} for n in range(50)]] * 60),
    ("many of many", {"items": {"enum": [str(n) for n in range(1500)]}}, ["a"] * 5000),
    ("large of large", {"items": {"enum": [list(range(1900))]}}, [list(range(1900))] * 10),
    ("branches", {"items": {"anyOf": [{"type": "string", "maxLength": n} for n in range(300)]}}, ["a" * 500] * 500),
    ("branches that show all", {"anyOf": [{"type": "string"}] * 900}, [list(range(200))] * 90),
    ("exactly one", {"items": {"oneOf": [{"maxLength": n} for n in range(600)]}}, ["a" * 900] * 500),
    ("unknown keywords", {"items": {f"x{n}": 1 for n in range(1900)}}, [1] * 15_000),
    (
        "what is left over",
        {"allOf": [{"properties": {"a": {}}}] * 300, "unevaluatedProperties": False},
        {str(n): 1 for n in range(9000)},
    ),
    ("left over items", {"allOf": [{"prefixItems": [{}] * 5}] * 200, "unevaluatedItems": {"type": "null"}}, [1] * 9000),
    ("references", {"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "string"}}}, ["a"] * 19_000),
    ("names", {"propertyNames": {"maxLength": 5}}, {str(n): 1 for n in range(19_000)}),
    ("needed", {"items": {"required": [str(n) for n in range(1900)]}}, [{}] * 9000),
    ("contains", {"items": {"contains": {"type": "string"}}}, [[1] * 100] * 190),
    (
        "conditions",
        {"items": {"if": {"type": "string"}, "then": {"maxLength": 1}, "else": {"minimum": 0}}},
        [1] * 19_000,
    ),
    ("not", {"items": {"not": {"not": {"not": {"type": "integer"}}}}}, [1] * 19_000),
    ("more names", {"additionalProperties": {"type": "string"}}, {str(n): 1 for n in range(19_000)}),
]


@pytest.mark.parametrize(("schema", "value"), [pytest.param(schema, value, id=name) for name, schema, value in HEAVY])
@pytest.mark.parametrize("patience", [INLINE, LONG])
def test_no_check_costs_more_than_its_budget(schema: Any, value: Any, patience: int) -> None:
    checker = Checker(schema)

    def check() -> None:
        try:
            checker.problem(value, Budget(patience))
        except TooCostly:
            return

    # a budget is in microseconds, generously reckoned
    assert cpu(check) < HOLDS_NOBODY + 4 * patience / 1e6 * SLOWNESS


def test_a_thousand_different_items_are_no_trouble() -> None:
    checker = Checker({"type": "object", "properties": {"ids": {"type": "array", "uniqueItems": True}}})
    assert checker.problem({"ids": [{"id": n} for n in range(1000)]}) is None
    for twice in ([1, 1.0], ["a", "a"], [[1], [1]], [{"a": 1, "b": 2}, {"b": 2, "a": 1}], [None, None]):
        found = checker.problem({"ids": twice})
        assert found is not None
        assert found.where == "ids"
    assert checker.problem({"ids": [1, True, "1", None, [], {}, 0, False, [1], [True]]}) is None


def test_one_budget_may_be_shared() -> None:
    checker, budget = Checker({"items": {"type": "string"}}), Budget(2000)

    def often() -> None:
        for _ in range(100):
            checker.problem(["a"] * 50, budget)

    with pytest.raises(TooCostly):
        often()


@pytest.mark.parametrize("pattern", ["^[a-z]+$", "^https?://", "^[^\\r\\n]*$", "^a{2,5}$", "^(?i:a|b)$", "^[]*+]*$"])
def test_patterns_that_may_be_run(pattern: str) -> None:
    assert is_linear(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "^(a+)+$", "^(a|a)*$", "a*b", "^a*a*b", "^(a{1,50}){1,50}$", "^.*a.*b", "[", "^" + "a" * 600, ""],
)
def test_patterns_that_may_not(pattern: str) -> None:
    assert not is_linear(pattern)
