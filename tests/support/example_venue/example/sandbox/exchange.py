"""A local Example: two spot markets behind signed REST. Keys, limits, fields and words are the venue's; all else is the
engine's and the frame's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from connectors.sandbox.engine.events import TradePrint
from connectors.sandbox.engine.model import FeeModel, Fill, Market, MarketSpec, Order, OrderRequest, PriceBand
from connectors.sandbox.serving.acts import SIDE_OF, TIMES_IN_FORCE
from connectors.sandbox.serving.command import option
from connectors.sandbox.serving.decimals import trimmed
from connectors.sandbox.serving.faults import COMMON_KINDS, FAULT_KINDS
from connectors.sandbox.serving.fields import OneComplaint, Query, decode_body
from connectors.sandbox.serving.keys import Access, Claim, HmacKey, member_keys
from connectors.sandbox.serving.limits import RequestWindow
from connectors.sandbox.serving.pages import by_number, clamped
from connectors.sandbox.serving.rest import Arrival, Endpoint, Refusal, Reply, RestFace
from connectors.sandbox.serving.server import Design, SandboxServer
from connectors.sandbox.serving.truth import WORD_OF_SIDE
from connectors.sandbox.serving.venue import Member, ServedVenue

FEES = FeeModel(formula="notional", taker_ppm=1_000, maker_ppm=500, rounding="up")
OPENING_PRICES = {"BTC-USD": 6_000_000, "ETH-USD": 250_000}
BALANCES = {"USD": 100_000 * 10**6, "BTC": 20 * 10**4, "ETH": 20 * 10**4}
KINDS = COMMON_KINDS | {kind: FAULT_KINDS[kind] for kind in ("slow_cancel", "replay_refusal", "ip_refused")}
LIMIT_PERIOD_NS = 10_000_000_000
PAGE_MAX = 50
STATES = {"initialized": "soon", "active": "open", "inactive": "paused"}
REFUSALS = {
    "client_id_used": (409, "client_id_taken"),
    "not_found": (404, "unknown_order"),
    "cancel_pending": (409, "already_cancelling"),
    "market_not_found": (404, "unknown_market"),
    "may_not_trade": (403, "read_only_key"),
    "too_fast": (429, "too_fast"),
} | {flaw: (401, flaw) for flaw in ("unknown_key", "bad_signature", "stale_time", "replayed")}
"""What is refused -> status and reason; all else is 422 and the exchange's own word."""


def refusal(what: str, text: str = "", headers: Mapping[str, str] | None = None) -> Refusal:
    status, reason = REFUSALS.get(what, (422, what))
    return Refusal(status, {"failure": {"reason": reason, "text": text}}, headers=headers)


COMPLAINTS = OneComplaint(lambda text: refusal("bad_request", text))


@dataclass(frozen=True)
class ExampleOptions:
    """The options of the command line."""

    directory: Path
    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    speed: float = 1.0
    read_lag_ms: int = 0
    limit: int = option(200, "requests that a key may send in ten seconds (default 200)", metavar="N")


class ExampleVenue:
    """The exchange with its two markets and its one member."""

    def __init__(self, options: ExampleOptions, keys: Mapping[str, HmacKey]) -> None:
        self.served = ServedVenue(seed=options.seed, now_ns=time.time_ns, fault_kinds=KINDS)
        for base in ("BTC", "ETH"):
            self.served.exchange.add_market(spot(base), time.time_ns())
        self.member = Member(self.served, "member", BALANCES, lambda one: refusal(one.code, one.details))
        self.served.start_flow(options.speed, OPENING_PRICES)
        self.window = RequestWindow(options.limit, LIMIT_PERIOD_NS)
        self.access = Access(
            keys, self.window, stamp_ms_max=5_000, refuse=lambda flaw, more: refusal(flaw, headers=more)
        )

    def report(self) -> dict[str, Any]:
        """Nothing beside the neutral words."""
        return {}


def spot(base: str) -> MarketSpec:
    """A coin against USD: a tick of 0.05, a step of 0.0005, at most 50 coins, at least 1 USD."""
    return MarketSpec(
        market_id=f"{base}-USD", kind="spot", price_decimals=2, size_decimals=4, bands=(PriceBand(5, 10**8, 5),),
        size_step=5, size_max=50 * 10**4, notional_min=10**6, fees=FEES, cash_account="USD", base=base,
    )  # fmt: skip


def signed(
    answer: Callable[[ExampleVenue, Arrival], Any], *, trades: bool = False
) -> Callable[[ExampleVenue, Arrival], Reply]:
    """The endpoint behind key, signature, time and limit; `trades`: it takes a key that may trade."""

    def checked(venue: ExampleVenue, arrival: Arrival) -> Reply:
        key, stamp, signature = (arrival.headers.get(name, "") for name in ("X-Key", "X-Time", "X-Sign"))
        text = "\n".join((stamp, arrival.method, arrival.path_and_query, "")).encode() + arrival.raw
        venue.access.check(Claim(key, signature, text, stamp), arrival, venue.served, trades=trades)
        return Reply(answer(venue, arrival))

    return checked


def page(venue: ExampleVenue, arrival: Arrival, found: Sequence[Any], row: Callable[..., Any]) -> Any:
    """One page of a list, by the parameters `page` (from 0) and `page_size`."""
    query = Query(arrival.query, arrival.path, COMPLAINTS)
    asked, number = query.bounded("page_size", PAGE_MAX, 1_000), query.integer("page") or 0
    size = clamped(asked, PAGE_MAX, faults=venue.served.faults, listing=arrival.path)
    rows = [row(venue, one) for one in by_number(found, number, size=size)]
    return {"rows": rows, "page": number, "page_size": size, "total": len(found)}


def market_row(_venue: ExampleVenue, one: Market) -> Any:
    spec, (band,) = one.spec, one.spec.bands
    return {
        "market": one.market_id, "base": spec.base, "quote": "USD", "state": STATES.get(one.status, "closed"),
        "tick": trimmed(band.step, 2), "price_max": trimmed(band.end, 2), "step": trimmed(spec.size_step, 4),
        "size_max": trimmed(spec.size_max, 4), "value_min": trimmed(spec.notional_min, 6),
        "taker_fee": "0.001", "maker_fee": "0.0005",
    }  # fmt: skip


def trade_row(venue: ExampleVenue, one: TradePrint) -> Any:
    at = {"trade": one.trade_id, "side": WORD_OF_SIDE[one.taker_side], "time": venue.served.clock.ms(one.ns)}
    return at | {"price": trimmed(one.price, 2), "size": trimmed(one.size, 4)}


def order_row(venue: ExampleVenue, one: Order) -> Any:
    return {
        "order": one.order_id, "client_id": one.client_order_id, "market": one.market_id,
        "side": WORD_OF_SIDE[one.side], "price": trimmed(one.price, 2), "size": trimmed(one.initial, 4),
        "filled": trimmed(one.filled, 4), "state": "done" if one.status == "ended" else one.status,
        "why": one.reason, "created": venue.served.clock.ms(one.arrival_ns),
    }  # fmt: skip


def fill_row(venue: ExampleVenue, one: Fill) -> Any:
    return {
        "fill": one.trade_id, "order": one.order_id, "client_id": one.client_order_id, "market": one.market_id,
        "side": WORD_OF_SIDE[one.side], "price": trimmed(one.price, 2), "size": trimmed(one.size, 4),
        "fee": trimmed(one.fee, 6), "is_maker": not one.is_taker, "time": venue.served.clock.ms(one.ns),
    }  # fmt: skip


def read_book(venue: ExampleVenue, arrival: Arrival) -> Any:
    book = venue.served.exchange.state.books[venue.member.market(arrival.query.get("market", "")).market_id]
    sides = {"bids": book.levels("bid"), "asks": book.levels("ask")}
    return {name: [(trimmed(at, 2), trimmed(size, 4)) for at, size in levels] for name, levels in sides.items()}


def read_trades(venue: ExampleVenue, arrival: Arrival) -> Any:
    tape = venue.served.exchange.ledger.trades(venue.member.market(arrival.query.get("market", "")).market_id)
    return page(venue, arrival, tape[::-1], trade_row)


def place(venue: ExampleVenue, arrival: Arrival) -> Any:
    body = decode_body(arrival.raw, "order", COMPLAINTS)
    request = OrderRequest(
        account="member",
        market_id=venue.member.market(body.required_text("market")).market_id,
        client_order_id=body.required_text("client_id"),
        side=body.choice("side", SIDE_OF),
        kind=body.choice("type", {"limit": "limit", "market": "market"}),
        tif=body.choice("lasts", TIMES_IN_FORCE),
        price=body.required_decimal("price", 2),
        size=body.required_decimal("size", 4),
        post_only=body.flag("post_only"),
    )
    return order_row(venue, venue.member.submit(request, arrival.now_ns))


def read_orders(venue: ExampleVenue, arrival: Arrival) -> Any:
    """The open ones with `state=open`, or the one with a `client_id`."""
    is_open, name = arrival.query.get("state") == "open", arrival.query.get("client_id", "")
    found = venue.member.orders(arrival.now_ns, open_only=is_open, client_order_id=name)
    return page(venue, arrival, found, order_row)


def read_fills(venue: ExampleVenue, arrival: Arrival) -> Any:
    since_ms = Query(arrival.query, "fills", COMPLAINTS).integer("since") or 0
    since_ns = venue.served.clock.to_engine_ns(since_ms * 1_000_000)
    return page(venue, arrival, venue.member.fills(arrival.now_ns, since_ns=since_ns), fill_row)


def read_balances(venue: ExampleVenue, arrival: Arrival) -> Any:
    found = venue.member.holdings(arrival.now_ns)
    return [{"asset": one.currency, "total": one.total, "free": one.available} for one in found]


REST: RestFace[ExampleVenue] = RestFace(
    prefix="/api/v1",
    endpoints=[
        Endpoint("GET", "/time", lambda v, a: Reply({"now": v.served.clock.ms(a.now_ns)})),
        Endpoint("GET", "/markets", signed(
            lambda v, a: page(v, a, list(v.served.exchange.state.markets.values()), market_row))),
        Endpoint("GET", "/book", signed(read_book)),
        Endpoint("GET", "/trades", signed(read_trades)),
        Endpoint("POST", "/orders", signed(place, trades=True)),
        Endpoint("DELETE", "/orders/{id}", signed(
            lambda v, a: order_row(v, v.member.cancel(a.params["id"], a.now_ns)), trades=True)),
        Endpoint("GET", "/orders/{id}", signed(lambda v, a: order_row(v, v.member.order(a.params["id"], a.now_ns)))),
        Endpoint("GET", "/orders", signed(read_orders)),
        Endpoint("GET", "/fills", signed(read_fills)),
        Endpoint("GET", "/balances", signed(read_balances)),
    ],
    unknown_path=lambda: refusal("unknown_path"),
    too_many=lambda: refusal("too_fast"),
    failure=lambda status: {"failure": {"reason": "internal", "text": str(status)}},
    headers=lambda v, a: v.window.headers(a.now_ns),
    replayed=lambda: refusal("replayed"),
    ip_refused=lambda: refusal("address_refused"),
)  # fmt: skip


def example(options: ExampleOptions) -> SandboxServer[ExampleVenue, Any]:
    """The whole venue, with a key that may trade and one that may only read."""
    keys: dict[str, HmacKey] = {}
    fresh = partial(ExampleVenue, options, keys)
    return SandboxServer(Design("example", fresh, lambda folder: member_keys(folder, keys), REST), options)
