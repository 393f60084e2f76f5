"""Faults that wait for a call or an update to meet them."""

from collections.abc import Iterable
from typing import Any

from simulator.errors import WrongRequest
from simulator.state import FAULT_KINDS, UPDATE_FAULTS, Fault
from simulator.telegram import Telegram


def add_fault(
    telegram: Telegram, method: str, kind: str, *, count: int = 1, seconds: float = 1.0, **error: Any
) -> Fault:
    """Let something go wrong, see `Fault`; `error`: code, description, parameters. Raises WrongRequest."""
    if kind not in FAULT_KINDS:
        raise WrongRequest(f"kind must be one of {', '.join(FAULT_KINDS)}")
    if count < 1 or seconds < 0:
        raise WrongRequest("count must be at least 1 and seconds at least 0")
    telegram.fault_number += 1
    fault = Fault(method or "*", kind, count, seconds, telegram.fault_number, **error)
    telegram.faults.append(fault)
    telegram.changed()
    return fault


def clear_faults(telegram: Telegram, number: int | None = None) -> None:
    """Take one fault back, or all."""
    telegram.faults = [f for f in telegram.faults if number is not None and f.number != number]
    telegram.changed()


def fault_of_call(telegram: Telegram, method: str) -> Fault | None:
    """The fault the next call of this method meets, used up by asking."""
    return take_fault(telegram, method, only=[k for k in FAULT_KINDS if k not in UPDATE_FAULTS])


def take_fault(telegram: Telegram, name: str, *, only: Iterable[str]) -> Fault | None:
    """Use up the first fault of these kinds that a call or an update of this name meets."""
    for fault in telegram.faults:
        if fault.kind in only and fault.meets(name):
            fault.count -= 1
            if fault.count == 0:
                telegram.faults.remove(fault)
            telegram.changed()
            return fault
    return None
