"""Candlesticks as the venue writes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connectors.kalshi.sandbox import wire
from connectors.sandbox.serving.candles import Candle, Span


def candle_objects(candles: Iterable[Candle]) -> list[dict[str, Any]]:
    """MarketCandlestick objects of consecutive candles; trade prices of a period without a trade are null."""
    shown = []
    previous: int | None = None
    for candle in candles:
        shown.append(
            {"end_period_ts": candle.end_s, "price": _prices(candle, previous)}
            | {"yes_ask": _quotes(candle.ask), "yes_bid": _quotes(candle.bid)}
            | wire.counts(open_interest=candle.open_interest, volume=candle.volume)
        )
        previous = candle.price.close if candle.price.open is not None else previous
    return shown


def _quotes(span: Span) -> dict[str, str]:
    return wire.prices(open=span.open or 0, high=span.high, low=span.low, close=span.close)


def _prices(candle: Candle, previous: int | None) -> dict[str, str | None]:
    span = candle.price
    shown: dict[str, str | None] = {"previous_dollars": None if previous is None else wire.price(previous)}
    if span.open is None:
        names = ("open", "low", "high", "close", "mean", "min", "max")
        return shown | dict.fromkeys((f"{name}_dollars" for name in names), None)
    mean = (2 * candle.money + candle.volume) // (2 * candle.volume)
    return shown | _quotes(span) | wire.prices(max=span.high, mean=mean, min=span.low)
