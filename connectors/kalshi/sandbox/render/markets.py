"""Public objects as the venue writes them: markets, events, series, books, trades.

Every documented member is written with the documented type and digits, not only those that one client reads: strict
third-party clients refuse objects that lack one. `item` is the engine's record, `clock` shows its times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.kalshi.sandbox import wire, words
from connectors.kalshi.sandbox.listings import EventListing, MarketListing, Series
from connectors.kalshi.sandbox.wire import PRICE_ONE
from connectors.sandbox.engine.events import TradePrint
from connectors.sandbox.engine.matching import Book
from connectors.sandbox.engine.model import PPM, Market, MarketSpec, Side
from connectors.sandbox.serving.clock import VenueClock

SETTLEMENT_SOURCES = [{"name": "Tide gauge of the sandbox", "url": "https://example.com/tide-gauge"}]
EARLY_CLOSE = "This market will close and expire early if the event occurs."
RULES_SECONDARY = "The outcome is drawn by the sandbox when the market closes."

# Members that the venue dropped from its Market in 2026 and that some clients still require.
REMOVED_MEMBERS = {
    "fractional_trading_enabled": True,
    "liquidity_dollars": "0.0000",
    "response_price_units": "usd_cent",
}


def quotes(market: Market, book: Book) -> dict[str, str]:
    """Best prices and sizes of both outcomes.

    An empty bid reads 0. An empty ask reads 0 on a market that never had one and 1 on others (recorded answers),
    so only a size above zero makes the price a quote.
    """
    bid, ask = book.best("bid"), book.best("ask")
    shown_bid = 0 if bid is None else bid
    ended = market.status in {"determined", "finalized"}
    shown_ask = ask if ask is not None else PRICE_ONE if market.quoted_ask or ended else 0
    return {
        "no_ask_dollars": wire.no_price(shown_bid),
        "no_bid_dollars": wire.no_price(shown_ask),
        "yes_ask_dollars": wire.price(shown_ask),
        "yes_ask_size_fp": wire.count(0 if ask is None else book.total("ask", ask)),
        "yes_bid_dollars": wire.price(shown_bid),
        "yes_bid_size_fp": wire.count(0 if bid is None else book.total("bid", bid)),
    }


def price_ranges(spec: MarketSpec) -> list[dict[str, str]]:
    """The tick grid as bands of start, end and step, each a price in dollars."""
    return [
        {"end": wire.price(band.end), "start": wire.price(band.start), "step": wire.price(band.step)}
        for band in spec.bands
    ]


def market_object(item: Market, listing: MarketListing, *, book: Book, clock: VenueClock) -> dict[str, Any]:
    """A Market with all required members and the optional ones that apply."""
    spec = item.spec
    latest = clock.rfc3339(listing.latest_expiration_ns)
    expected = clock.rfc3339(listing.expected_expiration_ns)
    shown: dict[str, Any] = {
        "close_time": clock.rfc3339(item.close_ns),
        "created_time": clock.rfc3339(listing.created_ns),
        "exchange_index": words.shard_of(spec),
        "expected_expiration_time": expected,
        "expiration_time": latest,
        "expiration_value": "" if item.settle_value < 0 else wire.price(item.settle_value),
        "last_price_dollars": wire.price(item.last_price),
        "latest_expiration_time": latest,
        "market_type": "binary",
        "notional_value_dollars": wire.price(PRICE_ONE),
        "occurrence_datetime": expected,
        "open_interest_fp": wire.count(item.open_interest),
        "open_time": clock.rfc3339(spec.open_ns),
        "previous_price_dollars": wire.price(item.previous_price),
        "previous_yes_ask_dollars": wire.price(0),
        "previous_yes_bid_dollars": wire.price(0),
        "price_level_structure": listing.structure,
        "price_ranges": price_ranges(spec),
        "result": item.result,
        "settlement_bounds_type": "default",
        "settlement_timer_seconds": listing.settlement_timer_s,
        "status": item.status,
        "ticker": item.market_id,
        "updated_time": clock.rfc3339(item.updated_ns or listing.created_ns),
        "volume_24h_fp": wire.count(item.volume),
        "volume_fp": wire.count(item.volume),
    }
    shown |= _texts(listing) | quotes(item, book)
    if item.settle_value >= 0:
        shown["settlement_value_dollars"] = wire.price(item.settle_value)
    if item.settled_ns:
        shown["settlement_ts"] = clock.rfc3339(item.settled_ns)
    return shown


def _texts(listing: MarketListing) -> dict[str, Any]:
    """The texts and strikes of a Market; a strike that does not apply is left out."""
    shown = {
        "can_close_early": True,
        "cap_strike": listing.cap_strike,
        "early_close_condition": EARLY_CLOSE,
        "event_ticker": listing.event_ticker,
        "floor_strike": listing.floor_strike,
        "no_sub_title": listing.no_sub_title,
        "rules_primary": listing.rules_primary,
        "rules_secondary": RULES_SECONDARY,
        "strike_type": listing.strike_type,
        "subtitle": listing.yes_sub_title,
        "title": listing.title,
        "yes_sub_title": listing.yes_sub_title,
    }
    return {name: value for name, value in shown.items() if value is not None}


def event_object(item: EventListing, clock: VenueClock, *, exchange_index: int, category: str) -> dict[str, Any]:
    """An EventData without its markets; its fee overrides are null, as the series' fees apply."""
    return {
        "category": category,
        "collateral_return_type": "",
        "event_ticker": item.event_ticker,
        "exchange_index": exchange_index,
        "fee_multiplier_override": None,
        "fee_type_override": None,
        "last_updated_ts": clock.rfc3339(item.strike_ns),
        "mutually_exclusive": item.mutually_exclusive,
        "product_metadata": None,
        "series_ticker": item.series_ticker,
        "settlement_sources": SETTLEMENT_SOURCES,
        "strike_date": clock.rfc3339(item.strike_ns),
        "strike_period": None,
        "sub_title": item.sub_title,
        "title": item.title,
    }


def series_object(item: Series, markets: Sequence[Market], *, clock: VenueClock) -> dict[str, Any]:
    """A Series; `markets` are its markets, at least one."""
    spec = markets[0].spec
    return {
        "additional_prohibitions": [],
        "categories": [item.category],
        "category": item.category,
        "contract_terms_url": "https://example.com/terms",
        "contract_url": "https://example.com/contract",
        "exchange_index": words.shard_of(spec),
        "fee_multiplier": spec.fees.multiplier_ppm / PPM,
        "fee_type": item.fee_type,
        "frequency": item.frequency,
        "last_updated_ts": clock.rfc3339(spec.open_ns),
        "product_metadata": None,
        "settlement_sources": SETTLEMENT_SOURCES,
        "tags": [],
        "ticker": item.ticker,
        "title": item.title,
        "volume_fp": wire.count(sum(one.volume for one in markets)),
    }


def book_side(book: Book, side: Side, *, yes_leg: bool, depth: int = 0) -> list[list[str]]:
    """Price levels of one side, the lowest price first and the best last, in the prices of the chosen leg.

    With `yes_leg` false an ask is written as a bid for NO at one dollar less its price. `depth` 0 means all.
    """
    levels = [
        [wire.price(at) if yes_leg or side == "bid" else wire.no_price(at), wire.count(total)]
        for at, total in book.levels(side, depth)
    ]
    levels.reverse()
    return sorted(levels) if side == "ask" and yes_leg else levels


def orderbook_object(book: Book, depth: int) -> dict[str, Any]:
    """The `orderbook_fp` object: bids only, NO bids in NO prices, ascending."""
    return {
        "no_dollars": book_side(book, "ask", yes_leg=False, depth=depth),
        "yes_dollars": book_side(book, "bid", yes_leg=False, depth=depth),
    }


def snapshot_message(item: Market, book: Book, *, market_uuid: str, use_yes_price: bool) -> dict[str, Any]:
    """The `msg` of an orderbook_snapshot; the member of an empty side is absent (recorded answers)."""
    shown: dict[str, Any] = {"market_ticker": item.market_id, "market_id": market_uuid, "clock": item.clock}
    bids = book_side(book, "bid", yes_leg=use_yes_price)
    asks = book_side(book, "ask", yes_leg=use_yes_price)
    if bids:
        shown["yes_dollars_fp"] = bids
    if asks:
        shown["no_dollars_fp"] = asks
    return shown


def trade_object(item: TradePrint, clock: VenueClock) -> dict[str, Any]:
    """A Trade of the public tape, as REST lists it; sides are the taker's."""
    taker = "yes" if item.taker_side == "bid" else "no"
    return {
        "count_fp": wire.count(item.size),
        "created_time": clock.rfc3339(item.ns),
        "is_block_trade": False,
        "no_price_dollars": wire.no_price(item.price),
        "taker_book_side": item.taker_side,
        "taker_outcome_side": taker,
        "taker_side": taker,
        "ticker": item.market_id,
        "trade_id": item.trade_id,
        "yes_price_dollars": wire.price(item.price),
    }


def trade_message(item: TradePrint, clock: VenueClock) -> dict[str, Any]:
    """The `msg` of a trade frame: a Trade with its time as numbers instead of text."""
    shown = trade_object(item, clock)
    del shown["created_time"]
    shown["market_ticker"] = shown.pop("ticker")
    return shown | {"ts": clock.seconds(item.ns), "ts_ms": clock.ms(item.ns)}


def ticker_message(item: Market, book: Book, *, market_uuid: str, clock: VenueClock, engine_ns: int) -> dict[str, Any]:
    """The `msg` of a ticker frame, stamped with `engine_ns`; dollar figures are whole dollars, truncated."""
    shown = quotes(item, book)
    return {
        "market_id": market_uuid,
        "market_ticker": item.market_id,
        "price_dollars": wire.price(item.last_price),
        "yes_bid_dollars": shown["yes_bid_dollars"],
        "yes_ask_dollars": shown["yes_ask_dollars"],
        "volume_fp": wire.count(item.volume),
        "open_interest_fp": wire.count(item.open_interest),
        "dollar_volume": wire.dollars(item.traded_money),
        "dollar_open_interest": wire.dollars(item.open_interest * item.last_price),
        "yes_bid_size_fp": shown["yes_bid_size_fp"],
        "yes_ask_size_fp": shown["yes_ask_size_fp"],
        "last_trade_size_fp": wire.count(item.last_size),
        "ts": clock.seconds(engine_ns),
        "ts_ms": clock.ms(engine_ns),
        "time": clock.rfc3339_ms(engine_ns),
    }


def created_members(item: Market, listing: MarketListing, *, clock: VenueClock) -> dict[str, Any]:
    """The members that a `created` lifecycle frame has besides ticker and event type."""
    spec = item.spec
    metadata: dict[str, Any] = {
        "name": listing.yes_sub_title,
        "title": listing.title,
        "yes_sub_title": listing.yes_sub_title,
        "no_sub_title": listing.no_sub_title,
        "rules_primary": listing.rules_primary,
        "rules_secondary": RULES_SECONDARY,
        "can_close_early": True,
        "event_ticker": listing.event_ticker,
        "expected_expiration_ts": clock.seconds(listing.expected_expiration_ns),
        "strike_type": listing.strike_type,
    }
    strikes = {"floor_strike": listing.floor_strike, "cap_strike": listing.cap_strike}
    metadata |= {name: strike for name, strike in strikes.items() if strike is not None}
    return {
        "exchange_index": words.shard_of(spec),
        "open_ts": clock.seconds(spec.open_ns),
        "close_ts": clock.seconds(item.close_ns),
        "additional_metadata": metadata,
        "price_level_structure": listing.structure,
        "price_ranges": price_ranges(spec),
    }
