"""Candlesticks as the venue writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from connectors.kalshi.sandbox import wire
from connectors.sandbox.serving.candles import Candle, Span


def candle_objects(candles: Iterable[Candle]) -> list[dict[str, Any]]:
    """MarketCandlestick objects of consecutive candles; trade prices of a period without a trade are null."""
    shown = []
    previous: int | None = None
    for candle in candles:
        shown.append(
            {
                "end_period_ts": candle.end_s,
                "open_interest_fp": wire.count(candle.open_interest),
                "price": _prices(candle, previous),
                "volume_fp": wire.count(candle.volume),
                "yes_ask": _quotes(candle.ask),
                "yes_bid": _quotes(candle.bid),
            }
        )
        previous = candle.price.close if candle.price.open is not None else previous
    return shown


def count_of(listed: Sequence[list[dict[str, Any]]]) -> int:
    """How many candles a batch answer holds, over all its markets."""
    return sum(len(one) for one in listed)


def _quotes(span: Span) -> dict[str, str]:
    return {
        "close_dollars": wire.price(span.close),
        "high_dollars": wire.price(span.high),
        "low_dollars": wire.price(span.low),
        "open_dollars": wire.price(span.open or 0),
    }


def _prices(candle: Candle, previous: int | None) -> dict[str, str | None]:
    span = candle.price
    if span.open is None:
        names = ("open", "low", "high", "close", "mean", "min", "max")
        shown: dict[str, str | None] = dict.fromkeys((f"{name}_dollars" for name in names), None)
    else:
        mean = (2 * candle.money + candle.volume) // (2 * candle.volume)
        shown = {f"{name}": value for name, value in _quotes(span).items()}
        shown |= {
            "max_dollars": wire.price(span.high),
            "mean_dollars": wire.price(mean),
            "min_dollars": wire.price(span.low),
        }
    return shown | {"previous_dollars": None if previous is None else wire.price(previous)}
