"""What a model call costs, in millionths of a US dollar; the price list is `genai-prices`, imported on first use."""

import importlib
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class PerMillion:
    """US dollars for a million tokens in and out. As it stands: high enough that a budget errs on the safe side."""

    tokens_in: Decimal = Decimal(3)
    tokens_out: Decimal = Decimal(15)


UNKNOWN = PerMillion()


@dataclass(frozen=True, slots=True)
class Price:
    """`known` is False when the list has no such model and the price of unknown ones was taken."""

    micros: int
    known: bool


def price(
    provider: str,
    model: str,
    *,
    tokens_in: int,
    tokens_out: int,
    cache_read: int = 0,
    cache_write: int = 0,
    unknown: PerMillion = UNKNOWN,
) -> Price:
    """The price of so many tokens. `provider` "local" costs nothing; `unknown` is for what the list does not know."""
    if provider == "local":
        return Price(0, known=True)
    listed = _listed(provider, model, _usage(tokens_in, tokens_out, cache_read, cache_write))
    if listed is not None:
        return Price(math.ceil(listed * _MILLION), known=True)
    return Price(math.ceil(tokens_in * unknown.tokens_in + tokens_out * unknown.tokens_out), known=False)


def _usage(tokens_in: int, tokens_out: int, cache_read: int, cache_write: int) -> Any:
    prices = importlib.import_module("genai_prices")
    return prices.Usage(
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cache_read_tokens=min(cache_read, tokens_in),
        cache_write_tokens=min(cache_write, max(tokens_in - cache_read, 0)),
    )


def _listed(provider: str, model: str, usage: Any) -> Decimal | None:
    prices = importlib.import_module("genai_prices")
    tries = [(provider, model)]
    if provider == "openrouter" and "/" in model:
        # A dated name of a vendor is often missing under the router and known under the vendor.
        vendor, _, name = model.partition("/")
        tries.append((vendor, name.partition(":")[0]))
    for provider_id, name in tries:
        try:
            found: Decimal = prices.calc_price(usage, name, provider_id=provider_id).total_price
        except (LookupError, ValueError):
            continue
        return found
    return None
