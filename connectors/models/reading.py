"""Reads what a model said: the calls in it, what is wrong with them, and what of it is remembered."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from connectors.models.choice import Reply, WireCall, WireTool
from connectors.models.memory import Memory, tool_return, user_message
from domain.bounded_json import BadJson, loads, measure
from domain.tools.tool import ARGUMENTS
from domain.untrusted import MAX_INTEGER, clean_and_cap


@dataclass(frozen=True, slots=True)
class Fault:
    """A call that cannot be carried out, with what the model is told of it."""

    call: WireCall
    code: str
    reason: str


def read_calls(calls: Sequence[WireCall], tools: Mapping[str, WireTool]) -> tuple[list[dict[str, Any]], list[Fault]]:
    """(calls as the memory holds them, what is wrong with the others); `tools` by the name a model calls them."""
    good: list[dict[str, Any]] = []
    faults: list[Fault] = []
    for call in calls:
        tool = tools.get(call.wire)
        if tool is None:
            name = clean_and_cap(call.wire, 80)[0]
            faults.append(Fault(call, "model_unknown_tool", f"there is no tool called {name}"))
            continue
        args, reason = _read_args(call.args)
        if args is None:
            faults.append(Fault(call, "model_malformed_call", f"the arguments of {tool.name} {reason}"))
        else:
            good.append({"id": call.id, "wire": call.wire, "tool": tool.name, "args": args})
    return good, faults


def _read_args(raw: Any) -> tuple[dict[str, Any] | None, str]:
    if raw is None or raw == "":
        return {}, ""
    try:
        if isinstance(raw, str):
            raw = loads(raw, ARGUMENTS, lenient=True)
        else:
            measure(raw, ARGUMENTS)
    except BadJson as error:
        return None, "are not valid JSON" if error.code == "invalid_json" else f"cannot be read: {error}"
    if not isinstance(raw, dict):
        return None, "are not a JSON object"
    try:
        return cast("dict[str, Any]", _storable(raw)), ""
    except (ValueError, RecursionError) as error:
        return None, str(error) or "are nested too deeply"


def _storable(value: Any) -> Any:
    """JSON as it can be signed: no halves of characters, no integers beyond what JSON readers agree on."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_storable(str(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ValueError("hold a number that is too large")
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124
        raise ValueError("hold a number that is too large")
    return value


def problem_of(reply: Reply, calls: Sequence[Mapping[str, Any]], faults: Sequence[Fault]) -> tuple[str, str]:
    """(code, sentence), both "" when the answer can be used as it is."""
    if faults:
        return faults[0].code, f"The model made a call that cannot be carried out: {faults[0].reason}."
    if calls:
        return "", ""
    if reply.cut_off:
        return "model_cut_off", "The model's answer was cut off before it called a tool."
    said = clean_and_cap(reply.text, 300)[0].strip()
    return "model_no_action", "The model neither called a tool nor finished." + (f" It said: {said}" if said else "")


def remember(memory: Memory, reply: Reply, calls: list[dict[str, Any]], faults: Sequence[Fault]) -> None:
    """Keep an answer; its calls are given out from now on."""
    memory.messages.append(_stored(reply, faults))
    memory.pending = calls
    memory.returns = [_fault_return(fault) for fault in faults]


def correct(
    memory: Memory, reply: Reply, faults: Sequence[Fault], calls: Sequence[Mapping[str, Any]], problem: str
) -> None:
    """Put the answer and what is wrong with it into the conversation."""
    if reply.message.get("parts"):
        memory.messages.append(_stored(reply, faults))
    parts = [_fault_return(fault) for fault in faults]
    parts += [tool_return(call, "Not carried out yet, send this call again.", ok=False) for call in calls]
    if parts:
        memory.messages.append({"kind": "request", "parts": parts})
    else:
        memory.messages.append(
            user_message(f"{problem}\nAnswer with a tool call. If the task is done or cannot be done, call `finish`.")
        )


def _fault_return(fault: Fault) -> dict[str, Any]:
    call = {"id": fault.call.id, "wire": fault.call.wire}
    return tool_return(call, f"Error: {fault.reason}. The call was not carried out.", ok=False)


def _stored(reply: Reply, faults: Sequence[Fault]) -> dict[str, Any]:
    """The answer as it is remembered. Arguments that are no JSON would be refused when they are sent back."""
    message = json.loads(json.dumps(_without_halves(dict(reply.message))))
    bad = {fault.call.id for fault in faults}
    for part in message.get("parts", []):
        if part.get("part_kind") == "tool-call":
            if part.get("tool_call_id") in bad:
                part["args"] = {}
            elif isinstance(part.get("args"), str):
                part["args"] = _read_args(part["args"])[0] or {}
    return cast("dict[str, Any]", message)


def _without_halves(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")
    if isinstance(value, dict):
        return {key: _without_halves(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_halves(item) for item in value]
    return value
