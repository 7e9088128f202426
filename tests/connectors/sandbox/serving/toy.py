"""A tiny venue that is as unlike Kalshi as the frame allows. It shows what a venue has to write.

HMAC with nonces, windows of requests, errors with code and message, pages by number and from an id, a stream without
numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from connectors.sandbox.engine.events import Event, TradePrint
from connectors.sandbox.engine.model import NS_PER_S, OrderRequest, Rejection, Side
from connectors.sandbox.serving.command import option
from connectors.sandbox.serving.decimals import trimmed
from connectors.sandbox.serving.faults import COMMON_KINDS, FAULT_KINDS
from connectors.sandbox.serving.fields import Query, Reason, decode_body
from connectors.sandbox.serving.keys import UsedOnce, hmac_is_valid, kept_secret
from connectors.sandbox.serving.limits import RequestWindow
from connectors.sandbox.serving.pages import by_number, clamped, from_id
from connectors.sandbox.serving.rest import Arrival, Refusal, Reply, RestFace, Route, guarded
from connectors.sandbox.serving.server import Design, SandboxServer
from connectors.sandbox.serving.subscriptions import Publication, Subscription, data_frame
from connectors.sandbox.serving.venue import ServedVenue
from connectors.sandbox.serving.websocket import Frame, StreamFace, StreamRules, StreamSession
from tests.connectors.sandbox.serving.listed import SPOT

PAIR = SPOT.market_id
SIDES: dict[str, Side] = {"buy": "bid", "sell": "ask"}
PAGE_MAX = 3


def refusal(status: int, code: str, **headers: str) -> Refusal:
    return Refusal(status, {"error": {"code": code, "message": code.replace("_", " ")}}, headers=headers)


class Complaints:
    """One shape for whatever is wrong with a field; the message names it."""

    def not_json(self, text: str) -> Refusal:
        return refusal(400, f"not_json_{text}")

    def wrong_type(self, where: str, name: str, *, value: object, wanted: str) -> Refusal:
        return refusal(400, f"{name or where}_is_no_{wanted}")

    def missing(self, where: str, name: str) -> Refusal:
        return refusal(400, f"{name}_missing")

    def invalid(self, where: str, name: str, *, value: object) -> Refusal:
        return refusal(400, f"{name}_invalid")

    def bad_query(self, where: str, name: str, *, reason: Reason) -> Refusal:
        return refusal(400, f"{name}_{reason}")


@dataclass(frozen=True)
class ToyOptions:
    directory: Path
    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    speed: float = 0.0
    read_lag_ms: int = 0
    dialect: str = option("old", "generation of the interface", choices=["old", "new"])


class ToyVenue:
    """The exchange with one key, one window of five requests a second, and the nonces that were used."""

    def __init__(self, served: ServedVenue) -> None:
        self.served = served
        self.secret = ""
        self.window = RequestWindow(5, NS_PER_S)
        self.nonces = UsedOnce(60 * NS_PER_S)

    def report(self) -> dict[str, Any]:
        return {}


class ToyConversation:
    """A connection that gets trades once it has asked for them, of one pair or of all."""

    def __init__(self, session: StreamSession) -> None:
        self._session = session
        self._subscriptions: list[Subscription] = []

    def handle(self, text: str) -> None:
        asked = msgspec.json.decode(text)
        pairs = [asked["pair"]] if "pair" in asked else None
        self._subscriptions.append(Subscription(len(self._subscriptions) + 1, asked["op"], pairs))
        self.send({"ok": True})

    def send(self, message: dict[str, Any]) -> None:
        self._session.offer(Frame(message))

    def publish(self, trade: Publication) -> None:
        for one in trade.audience(self._subscriptions, None, session=self._session):
            message = trade.message_for(one, None)
            self._session.offer(data_frame(message, one, kind=trade.kind, market=trade.market))


class ToyCall(NamedTuple):
    """A request that passed signature, nonce and window."""

    venue: ToyVenue
    arrival: Arrival


def admit(venue: ToyVenue, arrival: Arrival, route: Route[ToyCall]) -> ToyCall:
    if route.scope is None:
        return ToyCall(venue, arrival)
    nonce = arrival.headers.get("X-Nonce", "")
    text = "\n".join((arrival.method, arrival.path_and_query, arrival.raw.decode(), nonce))
    if not hmac_is_valid(venue.secret.encode(), text.encode(), arrival.headers.get("X-Sign", "")):
        raise refusal(401, "bad_signature")
    if not venue.nonces.take(nonce, arrival.now_ns):
        raise refusal(401, "nonce_reused")
    if not venue.window.take(route.cost or 1, arrival.now_ns):
        raise refusal(429, "rate_limited", **{"Retry-After": str(venue.window.resets_s(arrival.now_ns))})
    return ToyCall(venue, arrival)


def place(call: ToyCall) -> Reply:
    venue, arrival = call
    body = decode_body(arrival.raw, "order", Complaints())
    request = OrderRequest(
        account="member",
        market_id=body.required_text("pair"),
        side=body.choice("side", SIDES),
        price=body.required_decimal("price", SPOT.price_decimals),
        size=body.required_decimal("size", SPOT.size_decimals),
    )
    answer = venue.served.exchange.submit(request, arrival.now_ns)
    venue.served.publish_events()
    if isinstance(answer, Rejection):
        raise refusal(422, answer.code)
    return Reply({"id": answer.order.order_id, "filled": trimmed(answer.order.filled, SPOT.size_decimals)}, 201)


def orders(call: ToyCall) -> Reply:
    venue, arrival = call
    query = Query(arrival.query, "orders", Complaints())
    asked, page = query.bounded("size", 2, 100), query.integer("page") or 0
    size = clamped(asked, PAGE_MAX, faults=venue.served.faults, listing="orders")
    listed = venue.served.reads.orders(["member"], arrival.now_ns)
    rows = [one.order_id for one in by_number(listed, page, size=size)]
    return Reply({"total": len(listed), "page_size": size, "data": rows})


def fills(call: ToyCall) -> Reply:
    venue, arrival = call
    first = Query(arrival.query, "fills", Complaints()).integer("from_id")
    listed = venue.served.reads.fills(["member"], arrival.now_ns)
    rows = from_id(list(enumerate(listed)), first, size=PAGE_MAX)
    return Reply([trimmed(one.size, SPOT.size_decimals) for one in rows])


def clock(call: ToyCall) -> Reply:
    venue, arrival = call
    return Reply({"server_time": venue.served.clock.ms(arrival.now_ns)})


ROUTES = (
    Route("GET", "/time", clock, None),
    Route("POST", "/orders", place, "trade"),
    Route("GET", "/orders", orders),
    Route("GET", "/fills", fills, cost=2),
)
REST: RestFace[ToyVenue] = RestFace(
    prefix="/v1",
    endpoints=guarded(ROUTES, admit),
    unknown_path=lambda: refusal(404, "no_such_path"),
    too_many=lambda: refusal(429, "rate_limited"),
    failure=lambda status: {"error": {"code": f"failed_{status}"}},
    headers=lambda venue, arrival: venue.window.headers(arrival.now_ns),
    replayed=lambda: refusal(401, "nonce_reused"),
    ip_refused=lambda: refusal(403, "ip_not_allowed"),
)
STREAM: StreamFace[ToyVenue, ToyConversation] = StreamFace(
    StreamRules("/ws", heartbeat="beat", heartbeat_s=0.05, queue_frames_max=100),
    lambda _venue, _arrival: ToyConversation,
)


def tape(_venue: ToyVenue, events: list[Event]) -> Iterator[Publication]:
    for one in events:
        if isinstance(one, TradePrint):
            price, size = trimmed(one.price, SPOT.price_decimals), trimmed(one.size, SPOT.size_decimals)
            yield Publication("trades", "trade", {"price": price, "size": size}, one.market_id)


def toy(options: ToyOptions, *, now_ns: Callable[[], int] = time.time_ns) -> SandboxServer[ToyVenue, ToyConversation]:
    """The whole venue; its secret is kept in the directory."""
    secrets: list[str] = []

    def fresh() -> ToyVenue:
        kinds = COMMON_KINDS | {kind: FAULT_KINDS[kind] for kind in ("replay_refusal", "ip_refused")}
        venue = ToyVenue(ServedVenue(seed=options.seed, now_ns=now_ns, fault_kinds=kinds))
        venue.served.exchange.add_market(SPOT, now_ns())
        venue.served.open_account("member", {"USDC": 100_000 * 10**6, "BTC": 2 * 10**4})
        venue.served.start_flow(options.speed, {PAIR: 3_000_000})
        venue.secret = secrets[0] if secrets else ""
        return venue

    def make_keys(directory: Path) -> dict[str, str]:
        secrets.append(kept_secret(directory / "toy.secret", lambda: "toy secret"))
        server.venue.secret = secrets[0]
        return {"secret_path": str(directory / "toy.secret"), "dialect": options.dialect}

    server: SandboxServer[ToyVenue, ToyConversation] = SandboxServer(
        Design("toy", fresh, make_keys, REST, STREAM, tape), options, now_ns=now_ns
    )
    return server
