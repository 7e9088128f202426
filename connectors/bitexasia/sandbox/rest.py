"""The REST of a local BitExAsia: seven documented endpoints, and the description of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connectors.bitexasia.sandbox.answers import (
    BalanceAnswer,
    BalancesAnswer,
    BookAnswer,
    ErrorAnswer,
    ErrorDetail,
    MarketAnswer,
    OrderAnswer,
    OrderBody,
    TickerAnswer,
    market_answer,
    order_answer,
    ticker_answer,
)
from connectors.bitexasia.sandbox.openapi import Described, describe
from connectors.bitexasia.sandbox.venue import (
    DEPTH,
    EARN,
    MARGIN,
    SPOT,
    BitExAsiaVenue,
    Scope,
    refusal,
)
from connectors.sandbox.engine.model import (
    MarketSpec,
    Order,
    OrderKind,
    OrderRequest,
    Rejection,
    Side,
    TimeInForce,
    Trigger,
)
from connectors.sandbox.serving.decimals import fixed
from connectors.sandbox.serving.fields import Body, OneComplaint, Query, decode_body
from connectors.sandbox.serving.rest import Arrival, Endpoint, Refusal, Reply, RestFace

PREFIX = "/v1"
DESCRIPTION = "/openapi.json"
SIDES: dict[str, Side] = {"buy": "bid", "sell": "ask"}
TYPES: dict[str, OrderKind] = {"limit": "limit", "market": "market", "stop": "limit"}
TIMES_IN_FORCE: dict[str, TimeInForce] = {"gtc": "gtc", "ioc": "ioc", "fok": "fok"}
REFUSALS = {
    "below_minimum": (400, "below_min_size"),
    "invalid_size": (400, "invalid_request"),
    "invalid_price": (400, "bad_tick"),
    "invalid_trigger": (400, "bad_tick"),
    "invalid_order": (400, "invalid_request"),
    "market_not_found": (404, "pair_not_found"),
    "not_found": (404, "order_not_found"),
    "insufficient_balance": (422, "insufficient_funds"),
    "post_only_crosses": (422, "would_take"),
}
"""What the exchange refuses -> status and code; all else is 422 and the exchange's own word."""

COMPLAINTS = OneComplaint(lambda text: refusal(400, "invalid_request", text))
CLIENT_ID_MAX = 64
FINEST_DECIMALS = 18
"""Numbers are read so finely before they are compared with a pair's grid."""


@dataclass(frozen=True)
class Row:
    """One endpoint: what a request needs, what it weighs, what it answers. `scope` is None for market data, which
    needs no key."""

    method: str
    path: str
    handler: Callable[[BitExAsiaVenue, Arrival], Any]
    described: Described
    scope: Scope | None = None
    weight: Callable[[Arrival], int] = lambda _arrival: 1


def place(venue: BitExAsiaVenue, arrival: Arrival) -> Any:
    """A new order, or the one that was made of the same body under the same id. What of a repeated id is compared is
    what the body asks for, however its numbers are written."""
    body = decode_body(arrival.raw, "order", COMPLAINTS)
    name = body.text("client_order_id") or ""
    if len(name) > CLIENT_ID_MAX:
        raise refusal(400, "invalid_request", f"client_order_id has more than {CLIENT_ID_MAX} characters")
    known = venue.served.exchange.ledger.order_by_client(SPOT, name) if name else None
    if known is not None:
        if name in venue.placed and venue.placed[name] != _asked(body.values):
            raise refusal(409, "client_order_id_conflict", f"{name} is in use for another order")
        return shown(venue, known)
    answer = venue.served.exchange.submit(_request(venue, body, name), arrival.now_ns)
    venue.served.publish_events()
    if isinstance(answer, Rejection):
        raise _refused(answer)
    if name:
        venue.placed[name] = _asked(body.values)
    return Reply(shown(venue, answer.order), 201)


def read_order(venue: BitExAsiaVenue, arrival: Arrival) -> OrderAnswer:
    """One order, open or ended."""
    return shown(venue, _order(venue, arrival, is_lagging=True))


def cancel(venue: BitExAsiaVenue, arrival: Arrival) -> OrderAnswer:
    """Cancel an order; of one that has ended its state is the answer."""
    order = _order(venue, arrival, is_lagging=False)
    if order.status != "ended":
        answer = venue.served.exchange.cancel(order.account, order.order_id, now_ns=arrival.now_ns)
        venue.served.publish_events()
        if isinstance(answer, Rejection):
            raise _refused(answer)
    return shown(venue, order)


def read_markets(venue: BitExAsiaVenue, _arrival: Arrival) -> list[MarketAnswer]:
    """Every pair, in the order of its listing."""
    return [market_answer(one) for one in venue.served.exchange.state.markets.values()]


def read_ticker(venue: BitExAsiaVenue, arrival: Arrival) -> TickerAnswer:
    """A pair's last trade, best prices and last day."""
    spec, state = _spec(venue, arrival.params["pair"]), venue.served.exchange.state
    book = state.books[spec.market_id]
    best = book.best("bid"), book.best("ask")
    return ticker_answer(state.markets[spec.market_id], venue.candles, best, venue.served.clock, arrival.now_ns)


def read_book(venue: BitExAsiaVenue, arrival: Arrival) -> BookAnswer:
    """A pair's book: as many levels as the account has, or as `depth` asks for, which may not be more."""
    spec = _spec(venue, arrival.params["pair"])
    depth = _depth(arrival)
    if depth > venue.depth_max:
        raise refusal(403, "depth", f"depth is {depth}, and this account has {venue.depth_max}")
    bids, asks = (levels(venue, spec, side, depth) for side in ("bid", "ask"))
    return BookAnswer(spec.market_id, venue.served.clock.ms(arrival.now_ns), bids, asks)


def read_balances(venue: BitExAsiaVenue, arrival: Arrival) -> BalancesAnswer:
    """Balances of the member by product and asset."""
    reads, decimals = venue.served.reads, venue.served.exchange.state.decimals

    def product(account: str) -> dict[str, BalanceAnswer]:
        free, held = reads.balances(account, arrival.now_ns), reads.reserved(account, arrival.now_ns)
        return {
            name: BalanceAnswer(fixed(amount + held.get(name, 0), decimals[name]), fixed(amount, decimals[name]))
            for name, amount in free.items()
        }

    return BalancesAnswer(spot=product(SPOT), margin=product(MARGIN), earn=product(EARN))


def levels(venue: BitExAsiaVenue, spec: MarketSpec, side: str, depth: int) -> list[list[str]]:
    """The best levels of one side of a book."""
    found = venue.served.exchange.state.books[spec.market_id].levels("bid" if side == "bid" else "ask")
    return [[fixed(at, spec.price_decimals), fixed(size, spec.size_decimals)] for at, size in list(found)[:depth]]


def shown(venue: BitExAsiaVenue, order: Order) -> OrderAnswer:
    """An order as the venue answers it."""
    spec = venue.served.exchange.state.markets[order.market_id].spec
    return order_answer(order, (spec.price_decimals, spec.size_decimals), venue.served.clock)


def _depth(arrival: Arrival) -> int:
    query = Query(arrival.query, "orderbook", COMPLAINTS)
    depth = query.integer("depth")
    if depth is not None and depth < 1:
        raise query.refusal("depth", "too_low")
    return DEPTH if depth is None else depth


def _request(venue: BitExAsiaVenue, body: Body, name: str) -> OrderRequest:
    spec = _spec(venue, body.required_text("pair"))
    word = body.required_text("type")
    kind = body.choice("type", TYPES)
    is_market, is_stop = kind == "market", word == "stop"
    for field, is_wanted in (("price", not is_market), ("stop_price", is_stop)):
        if body.has(field) and not is_wanted:
            raise refusal(400, "invalid_request", f"{field} has no meaning in a {word} order")
    tif: TimeInForce = "ioc" if is_market else "gtc"
    if body.has("time_in_force"):
        tif = body.choice("time_in_force", TIMES_IN_FORCE)
    trigger = Trigger("stop", _price(body, "stop_price", spec)) if is_stop else None
    return OrderRequest(
        account=SPOT,
        market_id=spec.market_id,
        side=body.choice("side", SIDES),
        kind=kind,
        price=0 if is_market else _price(body, "price", spec),
        size=_size(body, spec),
        tif=tif,
        post_only=body.flag("post_only"),
        client_order_id=name,
        trigger=trigger,
    )


def _price(body: Body, name: str, spec: MarketSpec) -> int:
    unit: int = 10 ** (FINEST_DECIMALS - spec.price_decimals)
    price, rest = divmod(body.required_decimal(name, FINEST_DECIMALS), unit)
    if rest:
        raise refusal(400, "bad_tick", f"{name} is finer than the tick size")
    return price


def _size(body: Body, spec: MarketSpec) -> int:
    unit: int = 10 ** (FINEST_DECIMALS - spec.size_decimals)
    exact = body.required_decimal("size", FINEST_DECIMALS)
    if 0 < exact < spec.size_min * unit:
        raise refusal(400, "below_min_size", f"size is below {fixed(spec.size_min, spec.size_decimals)}")
    size, rest = divmod(exact, unit)
    if rest:
        raise refusal(400, "invalid_request", f"size has more than {spec.size_decimals} decimals")
    return size


def _asked(values: Any) -> dict[str, Any]:
    """What a body asks for, with numbers in one form; what the venue does not know is compared as it is."""
    numbers = ("price", "size", "stop_price")
    return {name: _number(value) if name in numbers else value for name, value in values.items() if value is not None}


def _number(value: Any) -> Any:
    text = str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _order(venue: BitExAsiaVenue, arrival: Arrival, *, is_lagging: bool) -> Order:
    name, ledger = arrival.params["id"], venue.served.exchange.ledger
    order = venue.served.reads.order(name, arrival.now_ns) if is_lagging else ledger.orders.get(name)
    if order is None or order.account != SPOT:
        raise refusal(404, "order_not_found", f"there is no order {name[:60]}")
    return order


def _spec(venue: BitExAsiaVenue, pair: str) -> MarketSpec:
    market = venue.served.exchange.state.markets.get(pair)
    if market is None:
        raise refusal(404, "pair_not_found", f"there is no pair {pair[:60]}")
    return market.spec


def _refused(answer: Rejection) -> Refusal:
    status, code = REFUSALS.get(answer.code, (422, answer.code))
    return refusal(status, code, answer.details)


def _weight_of_book(arrival: Arrival) -> int:
    return 5 if _depth(arrival) <= DEPTH else 10


ROWS = (
    Row("GET", "/markets", read_markets, Described("List all trading pairs.", list[MarketAnswer])),
    Row("GET", "/ticker/{pair}", read_ticker, Described("The last trade, the best prices and 24 hours.", TickerAnswer)),
    Row(
        "GET", "/orderbook/{pair}", read_book, Described("The current book.", BookAnswer, query={"depth": "integer"}),
        weight=_weight_of_book,
    ),
    Row(
        "POST", "/orders", place,
        Described("Create a limit, market or stop order.", OrderAnswer, body=OrderBody, statuses=(200, 201)),
        scope="trade",
    ),
    Row("GET", "/orders/{id}", read_order, Described("Status of an order.", OrderAnswer), scope="read"),
    Row("POST", "/orders/{id}/cancel", cancel, Described("Cancel an order; idempotent.", OrderAnswer), scope="trade"),
    Row("GET", "/account/balances", read_balances, Described("Balances by product.", BalancesAnswer), scope="read"),
)  # fmt: skip
"""Weights are assumed: 1, and 5 for a book, 10 for one of more than 100 levels."""


def _endpoint(row: Row) -> Endpoint[BitExAsiaVenue]:
    def answer(venue: BitExAsiaVenue, arrival: Arrival) -> Reply:
        if row.scope is None:
            venue.admit_public(arrival, weight=row.weight(arrival))
        else:
            venue.admit(arrival, scope=row.scope, weight=row.weight(arrival))
        found = row.handler(venue, arrival)
        return found if isinstance(found, Reply) else Reply(found)

    return Endpoint(row.method, row.path, answer)


_PAGE = describe(PREFIX, [(one.method, one.path, one.described, one.scope is not None) for one in ROWS], ErrorAnswer)

REST: RestFace[BitExAsiaVenue] = RestFace(
    prefix=PREFIX,
    endpoints=[*(_endpoint(one) for one in ROWS), Endpoint("GET", DESCRIPTION, lambda _venue, _arrival: Reply(_PAGE))],
    unknown_path=lambda: refusal(404, "path_not_found", "there is no such endpoint"),
    too_many=lambda: refusal(429, "rate_limited", headers={"Retry-After": "1"}),
    failure=lambda status: ErrorAnswer(ErrorDetail("internal", f"failed with {status}")),
    headers=lambda venue, arrival: venue.window(arrival).headers(arrival.now_ns),
    replayed=lambda: refusal(401, "nonce_reused"),
    ip_refused=lambda: refusal(403, "ip_not_allowed", "this address is not on the list of this key"),
)
