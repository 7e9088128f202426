"""Bodies of Kalshi's REST responses about markets and the exchange, as far as they are used. Pure.

Fields follow the vendor docs; what is not named here is ignored, so new fields do no harm. Enumerations stay text:
their values are judged where they are used, and an unknown one is counted instead of refused. Texts that carry
numbers are turned into scaled integers by `fixed_point`. `*_dollars` are dollars, `*_fp` contracts. Times are
RFC 3339; `exchange_index` is the shard.
"""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.client.wire.json_text import SmallCount


class PriceRange(msgspec.Struct, frozen=True):
    """Prices from `start` to `end` lie on multiples of `step`, all in dollars."""

    start: str
    end: str
    step: str


class RestMarket(msgspec.Struct, frozen=True, kw_only=True):
    """One market. `exchange_index` is missing in responses from before the venue was sharded.

    `floor_strike` and `cap_strike` are JSON numbers as they were recorded. `custom_strike`, `functional_strike` and
    `primary_participant_key` say that the strikes are about something else than those of the event's other markets:
    recorded, "greater" than 0.5 for each of several players.
    """

    ticker: str
    event_ticker: str
    status: str
    close_time: str | None = None
    open_time: str | None = None
    latest_expiration_time: str | None = None
    settlement_ts: str | None = None
    price_ranges: tuple[PriceRange, ...] = ()
    result: str = ""
    settlement_value_dollars: str | None = None
    exchange_index: SmallCount = 0
    strike_type: str | None = None
    floor_strike: Any = None
    cap_strike: Any = None
    functional_strike: Any = None
    custom_strike: Any = None
    primary_participant_key: Any = None


class RestEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event: what its markets have in common. Its overrides replace the series' fees; `mutually_exclusive` says that
    only one of its markets can pay (vendor docs)."""

    event_ticker: str
    series_ticker: str
    fee_type_override: str | None = None
    fee_multiplier_override: float | str | None = None
    mutually_exclusive: bool | None = None


class RestSeries(msgspec.Struct, frozen=True, kw_only=True):
    """A series: its fees hold for all its events."""

    ticker: str
    fee_type: str = ""
    fee_multiplier: float | str = 1


class MarketsPage(msgspec.Struct, frozen=True):
    """A page of markets; `cursor` is empty on the last one."""

    markets: tuple[RestMarket, ...]
    cursor: str | None = ""


class EventsPage(msgspec.Struct, frozen=True):
    """A page of events; `cursor` is empty on the last one."""

    events: tuple[RestEvent, ...]
    cursor: str | None = ""


class MarketResponse(msgspec.Struct, frozen=True):
    """Response that holds one market."""

    market: RestMarket


class EventResponse(msgspec.Struct, frozen=True):
    """Response that holds one event."""

    event: RestEvent


class SeriesResponse(msgspec.Struct, frozen=True):
    """Response that holds one series."""

    series: RestSeries


class ExchangeStatus(msgspec.Struct, frozen=True):
    """Whether the exchange runs and trades (its first shard)."""

    exchange_active: bool
    trading_active: bool
