"""A venue of perpetuals, as small as the frame allows: the query is signed, a signature counts once, and the fills of
resting orders are in no list.

Its stream sends whole books of every market to everybody, asked for or not; marks only to who has asked. Nothing is
cancelled at once for all, and an order does not say how much of it is filled.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from connectors.sandbox.engine.events import Event, MarkChange, TradePrint
from connectors.sandbox.engine.model import (
    NS_PER_MS,
    NS_PER_S,
    Accepted,
    FeeModel,
    Market,
    MarketSpec,
    Order,
    OrderRequest,
    PriceBand,
    Rejection,
    Side,
    Trigger,
)
from connectors.sandbox.engine.perpetual import entry_price, liquidation_price
from connectors.sandbox.engine.rules import Rules
from connectors.sandbox.serving.command import option, run_sandbox
from connectors.sandbox.serving.decimals import fixed, trimmed
from connectors.sandbox.serving.faults import FAULT_KINDS
from connectors.sandbox.serving.fields import OneComplaint, Query, decode_body
from connectors.sandbox.serving.keys import UsedOnce, hmac_is_valid, kept_secret
from connectors.sandbox.serving.limits import RequestWindow
from connectors.sandbox.serving.pages import by_offset, clamped, from_id
from connectors.sandbox.serving.rest import Arrival, Endpoint, Refusal, Reply, RestFace
from connectors.sandbox.serving.server import Design, SandboxServer
from connectors.sandbox.serving.subscriptions import Publication
from connectors.sandbox.serving.venue import ServedVenue
from connectors.sandbox.serving.websocket import Frame, StreamFace, StreamRules, StreamSession

SIDES: dict[str, Side] = {"BUY": "bid", "SELL": "ask"}
WORD = {"bid": "BUY", "ask": "SELL"}
MEMBER = "member"
DRIFT_NS = 5 * NS_PER_S
REPEAT_NS = NS_PER_S
DEPTH = 50
RULES = Rules(triggers=("stop",), lists_maker_fills=False)
OPENING = {"BTCUSDT": 700_000, "ETHUSDT": 350_000, "SOLUSDT": 15_000}


def spec(symbol: str, price_decimals: int) -> MarketSpec:
    """A perpetual whose prices and sizes have four decimals together, like all that share a balance."""
    return MarketSpec(
        market_id=symbol,
        kind="perpetual",
        price_decimals=price_decimals,
        size_decimals=4 - price_decimals,
        bands=(PriceBand(1, 10**8, 1),),
        size_max=10**6,
        fees=FeeModel(formula="notional", taker_ppm=500, maker_ppm=200, balance_step=1, rounding="up"),
        cash_account="USDT",
        notional_min=5 * 10**4,
    )


SPECS = {one.market_id: one for one in (spec("BTCUSDT", 1), spec("ETHUSDT", 2), spec("SOLUSDT", 2))}


def refusal(status: int, text: str, headers: dict[str, str] | None = None) -> Refusal:
    return Refusal(status, {"ok": False, "error": text, "errorId": "e"}, headers=headers)


COMPLAINTS = OneComplaint(lambda text: refusal(400, text))


@dataclass(frozen=True)
class PerpOptions:
    directory: Path
    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    speed: float = 1.0
    read_lag_ms: int = 0
    window_requests: int = option(1_000_000, "requests in a window of two seconds")


class PerpVenue:
    """The exchange, its keys by id with what each may do, its window, and the signatures that were used."""

    def __init__(self, served: ServedVenue, keys: dict[str, tuple[bytes, bool]], requests: int) -> None:
        self.served = served
        self.keys = keys
        self.window = RequestWindow(requests, 2 * NS_PER_S)
        self.signatures = UsedOnce(60 * NS_PER_S)

    def report(self) -> dict[str, Any]:
        return {}


class Talk:
    """A connection: it gets all books and trades, and the marks that it has asked for."""

    def __init__(self, venue: PerpVenue, session: StreamSession) -> None:
        self._venue = venue
        self._session = session
        self._marks: set[str] = set()
        self._sent: dict[str, tuple[int, int]] = {}

    def handle(self, text: str) -> None:
        command = msgspec.json.decode(text)
        if command["action"] == "ping":
            self._session.offer(Frame({"event": "pong", "ts": self._venue.served.clock.shown_ns() // NS_PER_MS}))
            return
        symbol, channel = command["symbol"], command["channel"]
        self._session.offer(Frame({"event": "subscribed", "channel": channel, "symbol": symbol}))
        if channel == "markprice":
            self._marks.add(symbol)
            market = self._venue.served.exchange.state.markets[symbol]
            self.send("markprice", symbol, mark_object(market, SPECS[symbol]))

    def send(self, channel: str, symbol: str, data: Any) -> None:
        target = {"type": channel, "channel": channel, "market": symbol}
        if not self._session.is_muted(target):
            ts = self._venue.served.clock.shown_ns() // NS_PER_MS
            frame = {"channel": channel, "symbol": symbol, "data": data, "ts": ts}
            self._session.offer(Frame(frame, target, owner=self, is_data=True))

    def push(self, now_ns: int) -> None:
        """Send each book that has changed, and the others once a second all the same."""
        state = self._venue.served.exchange.state
        for symbol, market in state.markets.items():
            number, at_ns = self._sent.get(symbol, (-1, 0))
            if market.clock != number or now_ns - at_ns >= REPEAT_NS:
                self._sent[symbol] = market.clock, now_ns
                self.send("orderbook", symbol, {"lastUpdateId": market.clock} | book_sides(self._venue, symbol))

    def publish(self, publication: Publication) -> None:
        symbol, channel = publication.market, publication.channel
        if channel != "markprice" or symbol in self._marks:
            self.send(channel, symbol, publication.message["data"])


def publications(venue: PerpVenue, events: list[Event]) -> Iterator[Publication]:
    for event in events:
        if isinstance(event, TradePrint):
            yield Publication("trades", "trades", {"data": [trade_object(event)]}, event.market_id)
        elif isinstance(event, MarkChange):
            market = venue.served.exchange.state.markets[event.market_id]
            data = mark_object(market, SPECS[event.market_id])
            yield Publication("markprice", "markprice", {"data": data}, event.market_id)


def trade_object(event: TradePrint) -> dict[str, Any]:
    one = SPECS[event.market_id]
    return {
        "id": event.trade_id,
        "price": trimmed(event.price, one.price_decimals),
        "qty": trimmed(event.size, one.size_decimals),
        "time": event.ns // NS_PER_MS,
        "isBuyerMaker": event.taker_side == "ask",
    }


def book_sides(venue: PerpVenue, symbol: str) -> dict[str, list[list[str]]]:
    book, one = venue.served.exchange.state.books[symbol], SPECS[symbol]
    sides: dict[str, Side] = {"bids": "bid", "asks": "ask"}
    return {
        name: [
            [trimmed(price, one.price_decimals), trimmed(size, one.size_decimals)]
            for price, size in book.levels(side, DEPTH)
        ]
        for name, side in sides.items()
    }


def mark_object(market: Market, one: MarketSpec) -> dict[str, Any]:
    return {
        "symbol": market.market_id,
        "markPrice": trimmed(market.mark_price, one.price_decimals),
        "indexPrice": trimmed(market.index_price, one.price_decimals),
        "fundingRate": fixed(market.funding_rate_ppm, 6),
        "nextFundingTime": market.next_funding_ns // NS_PER_MS,
    }


Answer = Callable[[PerpVenue, Arrival], Reply]


def signed(answer: Answer, *, trades: bool = False) -> Answer:
    """The endpoint behind the signature of the query, whose time must be close and which counts once, and the limit."""

    def checked(venue: PerpVenue, arrival: Arrival) -> Reply:
        text, _, signature = arrival.path_and_query.partition("?")[2].rpartition("&signature=")
        secret, may_trade = venue.keys.get(arrival.headers.get("X-API-KEY", ""), (b"", False))
        if not secret or not hmac_is_valid(secret, text.encode(), signature):
            raise refusal(401, "Invalid API key or signature")
        shown_ns = venue.served.clock.shown_ns()
        if abs(int(arrival.query.get("timestamp", "0")) * NS_PER_MS - shown_ns) > DRIFT_NS:
            raise refusal(401, "Timestamp outside the window")
        if not venue.signatures.take(signature, arrival.now_ns):
            raise refusal(401, "Signature replayed")
        if trades and not may_trade:
            raise refusal(403, "Permission denied: TRADE")
        if not venue.window.take(1, arrival.now_ns):
            again = {"Retry-After": str(venue.window.resets_s(arrival.now_ns))}
            raise refusal(429, "Rate limit exceeded", again)
        return answer(venue, arrival)

    return checked


def order_object(venue: PerpVenue, order: Order) -> dict[str, Any]:
    one = SPECS[order.market_id]
    kind = "STOP" if order.trigger is not None else order.kind.upper()
    return {
        "id": order.order_id,
        "symbol": order.market_id,
        "side": WORD[order.side],
        "type": kind,
        "quantity": trimmed(order.initial, one.size_decimals),
        "price": trimmed(order.price, one.price_decimals),
        "status": word_of(order),
        "clientOrderId": order.client_order_id,
        "createdAt": venue.served.clock.ms(order.arrival_ns),
    }


def word_of(order: Order) -> str:
    if order.status == "ended":
        return "FILLED" if order.filled == order.initial else "CANCELED"
    if order.status == "cancelling":
        return "PENDING_CANCEL"
    return "PARTIALLY_FILLED" if order.filled else "NEW"


def place(venue: PerpVenue, arrival: Arrival) -> Reply:
    body = decode_body(arrival.raw, "order", COMPLAINTS)
    exchange, client_id = venue.served.exchange, body.text("clientOrderId") or ""
    known = exchange.ledger.order_by_client(MEMBER, client_id) if client_id else None
    if known is not None:
        return Reply({"ok": True, "order": order_object(venue, known), "idempotent": True})
    one = body.choice("symbol", SPECS)
    kind = body.choice("type", {"LIMIT": "limit", "MARKET": "market", "STOP": "stop"})
    stop = body.decimal("stopPrice", one.price_decimals)
    request = OrderRequest(
        account=MEMBER,
        market_id=one.market_id,
        side=body.choice("side", SIDES),
        price=0 if kind == "market" else body.required_decimal("price", one.price_decimals),
        size=body.required_decimal("quantity", one.size_decimals),
        tif="ioc" if kind == "market" else "gtc",
        kind="market" if kind == "market" else "limit",
        trigger=Trigger("stop", stop) if kind == "stop" and stop else None,
        client_order_id=client_id,
        reduce_only=body.flag("reduceOnly"),
    )
    return taken(venue, exchange.submit(request, arrival.now_ns), 201)


def taken(venue: PerpVenue, answer: Accepted | Rejection, status: int = 200) -> Reply:
    venue.served.publish_events()
    if isinstance(answer, Rejection):
        raise refusal(404 if answer.code == "not_found" else 400, f"{answer.code}: {answer.details}")
    return Reply({"ok": True, "order": order_object(venue, answer.order)}, status)


def cancel(venue: PerpVenue, arrival: Arrival) -> Reply:
    order_id = arrival.params["id"]
    known = venue.served.exchange.ledger.orders.get(order_id)
    if known is not None and known.status in ("ended", "cancelling"):
        raise refusal(400, f"Order is already {word_of(known)}")
    return taken(venue, venue.served.exchange.cancel(MEMBER, order_id, now_ns=arrival.now_ns))


def read_order(venue: PerpVenue, arrival: Arrival) -> Reply:
    order = venue.served.reads.order(arrival.params["id"], arrival.now_ns)
    if order is None:
        raise refusal(404, "Order not found")
    return Reply({"ok": True, "order": order_object(venue, order)})


def list_orders(venue: PerpVenue, arrival: Arrival) -> Reply:
    query = Query(arrival.query, "orders", COMPLAINTS)
    status, symbol = query.text("status"), query.text("symbol")
    shown = [order_object(venue, one) for one in venue.served.reads.orders([MEMBER], arrival.now_ns)]
    shown = [one for one in shown if status in (None, one["status"]) and symbol in (None, one["symbol"])]
    size = clamped(query.bounded("limit", 50, 200), 200, faults=venue.served.faults, listing="orders")
    rows = by_offset(shown, query.integer("offset") or 0, size=size)
    return Reply({"ok": True, "orders": rows, "total": len(shown)})


def list_trades(venue: PerpVenue, arrival: Arrival) -> Reply:
    query = Query(arrival.query, "trades", COMPLAINTS)
    symbol, reads, clock = query.text("symbol"), venue.served.reads, venue.served.clock
    one = SPECS[symbol or "BTCUSDT"]
    # Liquidations and fills of resting orders are in no list; their numbers are left out.
    rows = [
        {
            "id": number,
            "trade": fill.trade_id,
            "orderId": fill.order_id,
            "price": trimmed(fill.price, one.price_decimals),
            "qty": trimmed(fill.size, one.size_decimals),
            "side": WORD[fill.side],
            "time": clock.ms(fill.ns),
        }
        for number, fill in enumerate(reads.fills([MEMBER], arrival.now_ns))
        if fill.market_id == one.market_id
    ]
    size = clamped(500, 500, faults=venue.served.faults, listing="fills")
    return Reply({"ok": True, "data": from_id([(row["id"], row) for row in rows], query.integer("fromId"), size=size)})


def list_flows(venue: PerpVenue, arrival: Arrival) -> Reply:
    first = Query(arrival.query, "income", COMPLAINTS).integer("fromId") or 0
    flows = [one for one in venue.served.exchange.ledger.cash_flows if one.account == MEMBER]
    rows = [
        {
            "id": number,
            "flow": one.flow_id,
            "type": one.kind.upper(),
            "symbol": one.market_id,
            "asset": one.currency,
            "amount": fixed(one.amount, 4),
            "time": venue.served.clock.ms(one.ns),
        }
        for number, one in enumerate(flows)
    ]
    return Reply({"ok": True, "data": from_id([(row["id"], row) for row in rows], first, size=100)})


def list_positions(venue: PerpVenue, arrival: Arrival) -> Reply:
    rows = []
    for symbol, held in venue.served.reads.positions(MEMBER, arrival.now_ns).items():
        one, market = SPECS[symbol], venue.served.exchange.state.markets[symbol]
        if held.net:
            prices = {"avgEntryPrice": entry_price(held), "markPrice": market.mark_price}
            prices["liquidationPrice"] = liquidation_price(one, held)
            texts = {name: trimmed(value, one.price_decimals) for name, value in prices.items()}
            margin, leverage = fixed(held.margin, 4), held.leverage or one.perpetual.leverage_default
            rows.append(
                {
                    "symbol": symbol,
                    "quantity": trimmed(held.net, one.size_decimals),
                    "initialMargin": margin,
                    "leverage": leverage,
                }
                | texts
            )
    return Reply({"ok": True, "positions": rows})


def balance(venue: PerpVenue, arrival: Arrival) -> Reply:
    total = venue.served.exchange.state.accounts[MEMBER].cash["USDT"]
    available = venue.served.reads.balances(MEMBER, arrival.now_ns)["USDT"]
    row = {"asset": "USDT", "walletBalance": fixed(total, 4), "availableBalance": fixed(max(available, 0), 4)}
    return Reply({"ok": True, "balances": {"assets": [row]}})


def symbols(venue: PerpVenue, _arrival: Arrival) -> Reply:
    words = {"active": "TRADING", "inactive": "HALT", "initialized": "PENDING"}
    markets = venue.served.exchange.state.markets
    rows = [
        {
            "symbol": name,
            "status": words.get(markets[name].status, "CLOSED"),
            "tickSize": trimmed(1, one.price_decimals),
            "stepSize": trimmed(1, one.size_decimals),
            "maxPrice": trimmed(one.bands[0].end, one.price_decimals),
            "maxQty": trimmed(one.size_max, one.size_decimals),
            "minNotional": "5",
        }
        for name, one in SPECS.items()
    ]
    return Reply({"ok": True, "data": rows})


REST: RestFace[PerpVenue] = RestFace(
    prefix="/v2",
    endpoints=[
        Endpoint("GET", "/market/symbols", symbols),
        Endpoint("POST", "/orders", signed(place, trades=True)),
        Endpoint("GET", "/orders", signed(list_orders)),
        Endpoint("GET", "/orders/{id}", signed(read_order)),
        Endpoint("DELETE", "/orders/{id}", signed(cancel, trades=True)),
        Endpoint("GET", "/positions", signed(list_positions)),
        Endpoint("GET", "/futures/balance", signed(balance)),
        Endpoint("GET", "/futures/myTrades", signed(list_trades)),
        Endpoint("GET", "/futures/income", signed(list_flows)),
    ],
    unknown_path=lambda: refusal(404, "Not found"),
    too_many=lambda: refusal(429, "Rate limit exceeded"),
    failure=lambda status: {"ok": False, "error": f"failed {status}"},
    headers=lambda venue, arrival: venue.window.headers(arrival.now_ns, "x-ratelimit"),
    replayed=lambda: refusal(401, "Signature replayed"),
    ip_refused=lambda: refusal(403, "IP address is not whitelisted"),
)
STREAM: StreamFace[PerpVenue, Talk] = StreamFace(
    StreamRules("/ws"), lambda venue, _arrival: lambda session: Talk(venue, session)
)


def perp(options: PerpOptions, *, now_ns: Callable[[], int] = time.time_ns) -> SandboxServer[PerpVenue, Talk]:
    """The whole venue; its secrets are kept in the directory."""
    keys: dict[str, tuple[bytes, bool]] = {}

    def fresh() -> PerpVenue:
        served = ServedVenue(seed=options.seed, now_ns=now_ns, fault_kinds=FAULT_KINDS, rules=RULES)
        for name, one in SPECS.items():
            served.exchange.add_market(one, now_ns())
            served.exchange.set_mark(name, OPENING[name], now_ns=now_ns())
        served.open_account(MEMBER, {"USDT": 100_000 * 10**4})
        served.start_flow(options.speed, OPENING)
        return PerpVenue(served, keys, options.window_requests)

    def make_keys(directory: Path) -> dict[str, str]:
        made = {"key_id": "zd_trader"}
        for name, member, trades in (("zd_trader", "secret_path", True), ("zd_reader", "read_only_path", False)):
            path = directory / f"{name}.secret"
            keys[name] = kept_secret(path, lambda name=name: f"secret-of-{name}").encode(), trades  # type: ignore[misc]
            made[member] = str(path)
        return made

    def step(_venue: PerpVenue, at_ns: int) -> None:
        for talk in server.conversations:
            talk.push(at_ns)

    design = Design("perp_venue", fresh, make_keys, REST, STREAM, publications, step)
    server: SandboxServer[PerpVenue, Talk] = SandboxServer(design, options, now_ns=now_ns)
    return server


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it until a signal."""
    return run_sandbox("perp_venue", PerpOptions, perp, arguments)


if __name__ == "__main__":
    sys.exit(main())
