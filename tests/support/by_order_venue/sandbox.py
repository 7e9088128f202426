"""A spot venue that lists nothing, as small as the frame allows: neither orders nor fills nor positions.

An order states what of it is filled, and at which average price. Requests are signed with a time and a nonce, which
count once each. The stream numbers the changes of each book, each with the number before it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from connectors.sandbox.engine.events import BookChange, Event, TradePrint
from connectors.sandbox.engine.model import (
    NS_PER_MS,
    NS_PER_S,
    FeeModel,
    MarketSpec,
    Order,
    OrderRequest,
    PriceBand,
    Rejection,
    Side,
)
from connectors.sandbox.serving.command import option, run_sandbox
from connectors.sandbox.serving.decimals import fixed, trimmed
from connectors.sandbox.serving.faults import FAULT_KINDS
from connectors.sandbox.serving.fields import OneComplaint, decode_body
from connectors.sandbox.serving.keys import UsedOnce, hmac_is_valid, kept_secret
from connectors.sandbox.serving.limits import TokenBucket
from connectors.sandbox.serving.rest import Arrival, Endpoint, Refusal, Reply, RestFace
from connectors.sandbox.serving.server import Design, SandboxServer
from connectors.sandbox.serving.subscriptions import Publication
from connectors.sandbox.serving.venue import ServedVenue
from connectors.sandbox.serving.websocket import Frame, StreamFace, StreamRules, StreamSession

SIDES: dict[str, Side] = {"buy": "bid", "sell": "ask"}
WORD = {"bid": "buy", "ask": "sell"}
MEMBER = "member"
DRIFT_NS = 30 * NS_PER_S
OPENING = {"BTC-USD": 7_000_000, "ETH-USD": 350_000}
FEE_ASSETS = ("quote", "received")


def spec(pair: str, fee_asset: Any) -> MarketSpec:
    """A pair with two decimals of prices and four of sizes."""
    return MarketSpec(
        market_id=pair,
        kind="spot",
        price_decimals=2,
        size_decimals=4,
        bands=(PriceBand(1, 10**9, 1),),
        fees=FeeModel(
            formula="notional", taker_ppm=2_000, maker_ppm=1_000, balance_step=1, rounding="up", asset=fee_asset
        ),
        cash_account="USD",
        base=pair.partition("-")[0],
        size_min=1,
    )


def refusal(status: int, code: str, **headers: str) -> Refusal:
    return Refusal(status, {"error": {"code": code, "message": code.replace("_", " ")}}, headers=headers)


COMPLAINTS = OneComplaint(lambda text: refusal(400, text))


@dataclass(frozen=True)
class Options:
    directory: Path
    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    speed: float = 1.0
    read_lag_ms: int = 0
    per_second: int = option(1_000, "requests that come back in a second")
    burst: int = option(10_000, "requests at once")
    fee_asset: str = option("quote", "in which asset fees are paid", choices=FEE_ASSETS)


class ByOrderVenue:
    """The exchange, its keys, and what counts once: nonces and times."""

    def __init__(self, served: ServedVenue, keys: dict[str, tuple[bytes, bool]], options: Options) -> None:
        self.served = served
        self.keys = keys
        self.bucket = TokenBucket(options.per_second, options.burst, now_ns=served.clock.engine_ns())
        self.nonces = UsedOnce(2 * DRIFT_NS)
        self.times = UsedOnce(2 * DRIFT_NS)

    def report(self) -> dict[str, Any]:
        return {}

    def spec(self, pair: str) -> MarketSpec:
        return self.served.exchange.state.markets[pair].spec


class Talk:
    """A connection: for each pair that it has asked for a whole book, then its changes, and trades."""

    def __init__(self, venue: ByOrderVenue, session: StreamSession) -> None:
        self._venue = venue
        self._session = session
        self._seq: dict[str, int] = {}

    def handle(self, text: str) -> None:
        command = msgspec.json.decode(text)
        for channel in command["channels"]:
            if command["op"] == "unsubscribe":
                self._seq.pop(channel["pair"], None)
            else:
                self._begin(channel["pair"])

    def _begin(self, pair: str) -> None:
        book, self._seq[pair] = self._venue.served.exchange.state.books[pair], 1_000
        sides: tuple[tuple[str, Side], ...] = (("bids", "bid"), ("asks", "ask"))
        levels = {name: [[trimmed(p, 2), trimmed(size, 4)] for p, size in book.levels(side)] for name, side in sides}
        self._send("snapshot", pair, {"seq": 1_000} | levels, is_numbered=False)

    def _send(self, kind: str, pair: str, fields: dict[str, Any], *, is_numbered: bool) -> None:
        target = {"type": kind, "channel": kind, "market": pair}
        if not self._session.is_muted(target):
            ts = self._venue.served.clock.shown_ns() // NS_PER_MS
            message = {"type": kind, "pair": pair, "ts": ts} | fields
            self._session.offer(Frame(message, target, owner=self, is_data=True, is_numbered=is_numbered))

    def publish(self, publication: Publication) -> None:
        kind, pair = publication.channel, publication.market
        if pair in self._seq and kind == "update":
            seq = self._seq[pair] = self._seq[pair] + 1
            self._send(kind, pair, {"seq": seq, "prev_seq": seq - 1, **publication.message}, is_numbered=True)
        elif pair in self._seq:
            self._send(kind, pair, dict(publication.message), is_numbered=False)


def publications(_venue: ByOrderVenue, events: list[Event]) -> Iterator[Publication]:
    for event in events:
        if isinstance(event, BookChange):
            change = [WORD[event.side], trimmed(event.price, 2), trimmed(event.total, 4)]
            yield Publication("update", "update", {"changes": [change]}, event.market_id)
        elif isinstance(event, TradePrint):
            fields = {"trade_id": event.trade_id, "price": trimmed(event.price, 2), "size": trimmed(event.size, 4)}
            yield Publication("trade", "trade", fields | {"taker_side": WORD[event.taker_side]}, event.market_id)


Answer = Callable[[ByOrderVenue, Arrival], Reply]


def signed(answer: Answer, *, trades: bool = False) -> Answer:
    """The endpoint behind signature, nonce, time, right and limit."""

    def checked(venue: ByOrderVenue, arrival: Arrival) -> Reply:
        key, stamp, nonce, sign = (
            arrival.headers.get(f"X-Api-{name}", "") for name in ("Key", "Timestamp", "Nonce", "Signature")
        )
        text = "\n".join((arrival.method, arrival.path_and_query, arrival.raw.decode(), stamp, nonce))
        secret, may_trade = venue.keys.get(key, (b"", False))
        if not secret or not hmac_is_valid(secret, text.encode(), sign):
            raise refusal(401, "bad_signature")
        if abs(int(stamp) * NS_PER_MS - venue.served.clock.shown_ns()) > DRIFT_NS:
            raise refusal(401, "timestamp_out_of_range")
        if not venue.nonces.take(nonce, arrival.now_ns) or not venue.times.take(stamp, arrival.now_ns):
            raise refusal(401, "nonce_reused")
        if trades and not may_trade:
            raise refusal(403, "scope")
        if not venue.bucket.take(1, arrival.now_ns):
            raise refusal(429, "rate_limited", **{"Retry-After": "1"})
        return answer(venue, arrival)

    return checked


def order_object(order: Order) -> dict[str, Any]:
    cost, filled = order.taker_cost + order.maker_cost, order.filled
    # Eight digits, rounded: on no grid.
    average = (cost * 10**6 + filled // 2) // filled if filled else 0
    return {
        "id": order.order_id,
        "client_order_id": order.client_order_id,
        "pair": order.market_id,
        "side": WORD[order.side],
        "type": order.kind,
        "price": trimmed(order.price, 2),
        "size": trimmed(order.initial, 4),
        "filled_size": trimmed(filled, 4),
        "remaining_size": trimmed(order.remaining, 4),
        "avg_fill_price": trimmed(average, 8),
        "state": word_of(order),
        "created_at": order.arrival_ns // NS_PER_MS,
    }


def word_of(order: Order) -> str:
    if order.status == "ended":
        return "filled" if order.filled == order.initial else "cancelled"
    return "cancelling" if order.status == "cancelling" else "partially_filled" if order.filled else "open"


def place(venue: ByOrderVenue, arrival: Arrival) -> Reply:
    """A known client id answers with its order, whatever else the request says."""
    body, exchange = decode_body(arrival.raw, "order", COMPLAINTS), venue.served.exchange
    client_id = body.text("client_order_id") or ""
    known = exchange.ledger.order_by_client(MEMBER, client_id) if client_id else None
    if known is not None:
        return Reply(order_object(known))
    pair = body.choice("pair", {name: name for name in exchange.state.markets})
    request = OrderRequest(
        account=MEMBER,
        market_id=pair,
        side=body.choice("side", SIDES),
        price=body.required_decimal("price", 2),
        size=body.required_decimal("size", 4),
        tif=body.choice("time_in_force", {"gtc": "gtc", "ioc": "ioc"}),  # type: ignore[arg-type]
        post_only=body.flag("post_only"),
        client_order_id=client_id,
    )
    answer = exchange.submit(request, arrival.now_ns)
    venue.served.publish_events()
    if isinstance(answer, Rejection):
        raise refusal(422, answer.code)
    return Reply(order_object(answer.order), 201)


def read_order(venue: ByOrderVenue, arrival: Arrival) -> Reply:
    order = venue.served.reads.order(arrival.params["id"], arrival.now_ns)
    if order is None:
        raise refusal(404, "order_not_found")
    return Reply(order_object(order))


def cancel(venue: ByOrderVenue, arrival: Arrival) -> Reply:
    """Of an ended order its state is the answer."""
    exchange, order_id = venue.served.exchange, arrival.params["id"]
    order = exchange.ledger.orders.get(order_id)
    if order is None:
        raise refusal(404, "order_not_found")
    if order.status == "open":
        answer = exchange.cancel(MEMBER, order_id, now_ns=arrival.now_ns)
        venue.served.publish_events()
        if isinstance(answer, Rejection):
            raise refusal(422, answer.code)
    return Reply(order_object(exchange.ledger.orders[order_id]))


def balances(venue: ByOrderVenue, arrival: Arrival) -> Reply:
    cash, free = venue.served.exchange.state.accounts[MEMBER].cash, venue.served.reads.balances(MEMBER, arrival.now_ns)
    decimals = venue.served.exchange.state.decimals
    rows = {
        name: {"total": fixed(total, decimals[name]), "available": fixed(free[name], decimals[name])}
        for name, total in cash.items()
    }
    return Reply({"spot": rows})


def markets(venue: ByOrderVenue, _arrival: Arrival) -> Reply:
    words = {"active": "online", "inactive": "paused", "initialized": "pending"}
    rows = [
        {"pair": name, "status": words.get(one.status, "closed"), "tick_size": "0.01", "min_order_size": "0.0001"}
        for name, one in venue.served.exchange.state.markets.items()
    ]
    return Reply(rows)


REST: RestFace[ByOrderVenue] = RestFace(
    prefix="/v1",
    endpoints=[
        Endpoint("GET", "/markets", markets),
        Endpoint("POST", "/orders", signed(place, trades=True)),
        Endpoint("GET", "/orders/{id}", signed(read_order)),
        Endpoint("POST", "/orders/{id}/cancel", signed(cancel, trades=True)),
        Endpoint("GET", "/account/balances", signed(balances)),
    ],
    unknown_path=lambda: refusal(404, "no_such_path"),
    too_many=lambda: refusal(429, "rate_limited"),
    failure=lambda status: {"error": {"code": f"failed_{status}"}},
    replayed=lambda: refusal(401, "nonce_reused"),
    ip_refused=lambda: refusal(403, "ip_not_allowed"),
)
STREAM: StreamFace[ByOrderVenue, Talk] = StreamFace(
    StreamRules("/ws", heartbeat=b"", gap_type="update"), lambda venue, _arrival: lambda session: Talk(venue, session)
)


def by_order(options: Options, *, now_ns: Callable[[], int] = time.time_ns) -> SandboxServer[ByOrderVenue, Talk]:
    """The whole venue; its secrets are kept in the directory."""
    keys: dict[str, tuple[bytes, bool]] = {}

    def fresh() -> ByOrderVenue:
        served = ServedVenue(seed=options.seed, now_ns=now_ns, fault_kinds=FAULT_KINDS)
        for pair in OPENING:
            served.exchange.add_market(spec(pair, options.fee_asset), now_ns())
        served.open_account(MEMBER, {"USD": 1_000_000 * 10**6, "BTC": 5 * 10**4, "ETH": 50 * 10**4})
        served.start_flow(options.speed, OPENING)
        return ByOrderVenue(served, keys, options)

    def make_keys(directory: Path) -> dict[str, str]:
        made = {"key_id": "trader"}
        for name, member, trades in (("trader", "secret_path", True), ("reader", "read_only_path", False)):
            path = directory / f"{name}.secret"
            keys[name] = kept_secret(path, lambda name=name: f"secret-of-{name}").encode(), trades  # type: ignore[misc]
            made[member] = str(path)
        return made

    design = Design("by_order_venue", fresh, make_keys, REST, STREAM, publications)
    return SandboxServer(design, options, now_ns=now_ns)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it until a signal."""
    return run_sandbox("by_order_venue", Options, by_order, arguments)


if __name__ == "__main__":
    sys.exit(main())
