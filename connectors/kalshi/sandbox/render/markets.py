"""Public objects as the venue writes them: markets, events, series, books, trades.

Every documented member is written with the documented type and digits, not only those that one client reads: strict
third-party clients refuse objects that lack one. `item` is the engine's record, `clock` shows its times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.kalshi.sandbox import wire, words
from connectors.kalshi.sandbox.listings import CATEGORY, HOUR_NS, EventListing, MarketListing, Series
from connectors.kalshi.sandbox.wire import PRICE_ONE
from connectors.sandbox.engine.events import TradePrint
from connectors.sandbox.engine.matching import Book
from connectors.sandbox.engine.model import NS_PER_S, PPM, Market, MarketSpec, Side
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


@dataclass(frozen=True)
class Listed:
    """A market to be rendered: the engine's record and book of it, its listing, and the clock that shows its times."""

    market: Market
    listing: MarketListing
    book: Book
    clock: VenueClock


def quotes(market: Market, book: Book) -> dict[str, str]:
    """Best prices and sizes of both outcomes.

    An empty bid reads 0. An empty ask reads 0 on a market that never had one and 1 on others (recorded answers),
    so only a size above zero makes the price a quote.
    """
    bid, ask = book.best("bid"), book.best("ask")
    shown_bid = 0 if bid is None else bid
    ended = market.status in {"determined", "finalized"}
    shown_ask = ask if ask is not None else PRICE_ONE if market.quoted_ask or ended else 0
    return (
        wire.prices(yes_ask=shown_ask, yes_bid=shown_bid, no_ask=PRICE_ONE - shown_bid, no_bid=PRICE_ONE - shown_ask)
        | wire.counts(yes_ask_size=0 if ask is None else book.total("ask", ask))
        | wire.counts(yes_bid_size=0 if bid is None else book.total("bid", bid))
    )


def price_ranges(spec: MarketSpec) -> list[dict[str, str]]:
    """The tick grid as bands of start, end and step, each a price in dollars."""
    price = wire.price
    return [{"end": price(band.end), "start": price(band.start), "step": price(band.step)} for band in spec.bands]


def market_object(one: Listed) -> dict[str, Any]:
    """A Market with all required members and the optional ones that apply."""
    item, listing, clock = one.market, one.listing, one.clock
    spec = item.spec
    latest = clock.rfc3339(spec.close_ns + 7 * 24 * HOUR_NS)
    expected = clock.rfc3339(spec.close_ns + HOUR_NS)
    shown: dict[str, Any] = (
        {"ticker": item.market_id, "status": item.status, "result": item.result, "market_type": "binary"}
        | {"open_time": clock.rfc3339(spec.open_ns), "close_time": clock.rfc3339(item.close_ns)}
        | {"created_time": clock.rfc3339(listing.created_ns)}
        | {"updated_time": clock.rfc3339(item.updated_ns or listing.created_ns)}
        | {"expected_expiration_time": expected, "occurrence_datetime": expected}
        | {"expiration_time": latest, "latest_expiration_time": latest}
        | {"expiration_value": "" if item.settle_value < 0 else wire.price(item.settle_value)}
        | {"price_level_structure": listing.structure, "price_ranges": price_ranges(spec)}
        | {"settlement_bounds_type": "default", "settlement_timer_seconds": spec.settle_delay_ns // NS_PER_S}
        | {"exchange_index": words.shard_of(spec)}
        | wire.prices(last_price=item.last_price, previous_price=item.previous_price, notional_value=PRICE_ONE)
        | wire.prices(previous_yes_ask=0, previous_yes_bid=0)
        | wire.counts(open_interest=item.open_interest, volume_24h=item.volume, volume=item.volume)
    )
    shown |= _texts(listing) | _legs(listing) | quotes(item, one.book)
    if item.settle_value >= 0:
        shown["settlement_value_dollars"] = wire.price(item.settle_value)
    if item.settled_ns:
        shown["settlement_ts"] = clock.rfc3339(item.settled_ns)
    return shown


def _texts(listing: MarketListing) -> dict[str, Any]:
    """The texts and strikes of a Market; a strike that does not apply is left out."""
    event, outcome = listing.event_title, listing.yes_sub_title
    shown = (
        {"can_close_early": True, "early_close_condition": EARLY_CLOSE, "rules_secondary": RULES_SECONDARY}
        | {"event_ticker": listing.event_ticker, "strike_type": "greater" if listing.cap_strike is None else "between"}
        | ({} if listing.legs else {"floor_strike": listing.floor_strike, "cap_strike": listing.cap_strike})
        | {"title": f"{event}: {outcome}?", "subtitle": outcome}
        | {"rules_primary": f"If the {event.lower()} is {outcome.lower()}, then the market resolves to Yes."}
        | {"yes_sub_title": outcome, "no_sub_title": outcome}
    )
    return {name: value for name, value in shown.items() if value is not None}


def _legs(listing: MarketListing) -> dict[str, Any]:
    """What a Market of several legs has besides (recorded answer): no strikes of its own; empty for another one."""
    if not listing.legs:
        return {}
    legs = [{"event_ticker": event, "market_ticker": ticker, "side": "yes"} for event, ticker in listing.legs]
    custom = {
        "Associated Events": ",".join(event for event, _ in listing.legs),
        "Associated Market Sides": ",".join("yes" for _ in listing.legs),
        "Associated Markets": ",".join(ticker for _, ticker in listing.legs),
        "Multivariate Event Ticker": listing.event_ticker,
    }
    collection = f"{listing.series_ticker}-R"
    named = {"custom_strike": custom, "mve_collection_ticker": collection, "mve_selected_legs": legs}
    return named | {"strike_type": "custom", "title": listing.yes_sub_title}


def event_object(item: EventListing, clock: VenueClock, *, spec: MarketSpec) -> dict[str, Any]:
    """An EventData without its markets, of which one has `spec`; fee overrides are null, as the series' fees apply."""
    return (
        {"event_ticker": item.event_ticker, "series_ticker": item.series_ticker, "category": CATEGORY}
        | {"title": item.title, "sub_title": item.sub_title, "mutually_exclusive": item.is_exclusive}
        | {"strike_date": clock.rfc3339(item.strike_ns), "last_updated_ts": clock.rfc3339(item.strike_ns)}
        | {
            "exchange_index": words.shard_of(spec),
            "settlement_sources": SETTLEMENT_SOURCES,
            "collateral_return_type": "",
        }
        | dict.fromkeys(("fee_multiplier_override", "fee_type_override", "product_metadata", "strike_period"))
    )


def series_object(item: Series, markets: Sequence[Market], *, clock: VenueClock) -> dict[str, Any]:
    """A Series; `markets` are its markets, at least one."""
    spec = markets[0].spec
    return (
        {"ticker": item.ticker, "title": item.title, "frequency": item.frequency}
        | {"exchange_index": words.shard_of(spec)}
        | {"category": CATEGORY, "categories": [CATEGORY], "tags": [], "additional_prohibitions": []}
        | {"contract_terms_url": "https://example.com/terms", "contract_url": "https://example.com/contract"}
        | {"fee_type": item.fee_type, "fee_multiplier": spec.fees.multiplier_ppm / PPM, "product_metadata": None}
        | {"settlement_sources": SETTLEMENT_SOURCES, "last_updated_ts": clock.rfc3339(spec.open_ns)}
        | wire.counts(volume=sum(one.volume for one in markets))
    )


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


def snapshot_message(one: Listed, *, use_yes_price: bool) -> dict[str, Any]:
    """The `msg` of an orderbook_snapshot; the member of an empty side is absent (recorded answers)."""
    named = {"market_ticker": one.market.market_id, "market_id": one.listing.market_uuid, "clock": one.market.clock}
    bids = book_side(one.book, "bid", yes_leg=use_yes_price)
    asks = book_side(one.book, "ask", yes_leg=use_yes_price)
    return named | ({"yes_dollars_fp": bids} if bids else {}) | ({"no_dollars_fp": asks} if asks else {})


def trade_object(item: TradePrint, clock: VenueClock) -> dict[str, Any]:
    """A Trade of the public tape, as REST lists it; sides are the taker's."""
    taker = "yes" if item.taker_side == "bid" else "no"
    return (
        {"ticker": item.market_id, "trade_id": item.trade_id, "created_time": clock.rfc3339(item.ns)}
        | {"taker_book_side": item.taker_side, "taker_outcome_side": taker, "taker_side": taker}
        | {"is_block_trade": False, "count_fp": wire.count(item.size)}
        | wire.prices(yes_price=item.price, no_price=PRICE_ONE - item.price)
    )


def trade_message(item: TradePrint, clock: VenueClock) -> dict[str, Any]:
    """The `msg` of a trade frame: a Trade with its time as numbers instead of text."""
    shown = trade_object(item, clock)
    del shown["created_time"]
    shown["market_ticker"] = shown.pop("ticker")
    return shown | {"ts": clock.seconds(item.ns), "ts_ms": clock.ms(item.ns)}


def ticker_message(one: Listed) -> dict[str, Any]:
    """The `msg` of a ticker frame, stamped with the present time; dollar figures are whole dollars, truncated."""
    item, clock, now_ns = one.market, one.clock, one.clock.engine_ns()
    shown = quotes(item, one.book)
    names = ("yes_bid_dollars", "yes_ask_dollars", "yes_bid_size_fp", "yes_ask_size_fp")
    return (
        {"market_id": one.listing.market_uuid, "market_ticker": item.market_id}
        | {name: shown[name] for name in names}
        | wire.prices(price=item.last_price)
        | wire.counts(volume=item.volume, open_interest=item.open_interest, last_trade_size=item.last_size)
        | {"dollar_volume": wire.dollars(item.traded_money)}
        | {"dollar_open_interest": wire.dollars(item.open_interest * item.last_price)}
        | {"ts": clock.seconds(now_ns), "ts_ms": clock.ms(now_ns), "time": clock.rfc3339_ms(now_ns)}
    )


def created_members(one: Listed) -> dict[str, Any]:
    """The members that a `created` lifecycle frame has besides ticker and event type."""
    listing, clock, spec = one.listing, one.clock, one.market.spec
    left_out = {"early_close_condition", "subtitle"}
    metadata = {name: value for name, value in _texts(listing).items() if name not in left_out}
    metadata |= {"name": listing.yes_sub_title, "expected_expiration_ts": clock.seconds(spec.close_ns + HOUR_NS)}
    return (
        {"exchange_index": words.shard_of(spec), "additional_metadata": metadata}
        | {"open_ts": clock.seconds(spec.open_ns), "close_ts": clock.seconds(one.market.close_ns)}
        | {"price_level_structure": listing.structure, "price_ranges": price_ranges(spec)}
    )
