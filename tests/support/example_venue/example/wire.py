"""Example's words and requests, and what its answers mean. Pure. All of it is documented, but for `assumptions`."""

from __future__ import annotations

import msgspec

from connectors.client.request_clock import RequestClock
from connectors.client.rest import Sign, request_of
from connectors.client.usual.connector import UsualVenue
from connectors.client.usual.reads import Lists
from connectors.client.window_headers import WindowHeaders
from connectors.client.wire.answers import NO_TRADING, ErrorShape, Meaning, Rule, Verdicts
from connectors.client.wire.calls import Call, path_part
from connectors.client.wire.decimals import NS_PER_S, plain_text
from connectors.client.wire.dialect import OrderStates
from connectors.client.wire.hmac_sign import HmacKey
from connectors.client.wire.json_text import SmallCount
from connectors.client.wire.rows import Row, RowWords
from connectors.transport.ports import HttpRequest
from framework.domain.instruments import Instrument, InstrumentStatus
from framework.domain.intents import NewOrder
from framework.domain.orders import OrderKind
from framework.domain.rate_limits import Cost, Pool, PoolShape, RateLimits, RequestKind
from framework.domain.terms import PositionListing, VenueTerms

WORDS = RowWords(
    states=OrderStates(frozenset({"open"}), frozenset({"done"}), frozenset({"cancelling"})),
    statuses={"soon": InstrumentStatus.UNOPENED, "open": InstrumentStatus.ACTIVE, "paused": InstrumentStatus.PAUSED},
    market={"symbol": "market", "notional_min": "value_min"},
    order={"id": "order", "reason": "why"},
    fill={"id": "fill", "order_id": "order", "role": "is_maker"},
    trade={"id": "trade"},
    balance={"currency": "asset", "available": "free"},
)
VERDICTS = Verdicts(
    "check key_id, secret_path, and the addresses that the key allows",
    (
        Rule(meaning=Meaning.CLOCK, codes=("stale_time",)), Rule(meaning=Meaning.RETRYABLE, codes=("replayed",)),
        Rule(meaning=Meaning.ACCOUNT, codes=("address_refused",)),
        Rule(meaning=Meaning.REFUSED, codes=("unknown_order",), code="not_found"),
        Rule(meaning=Meaning.REFUSED, codes=("read_only_key",), remedy=NO_TRADING),
    ),
)  # fmt: skip
TERMS = VenueTerms(
    positions=PositionListing.NONE, amend=False, reduce_only=False, good_till_date=False, order_kinds=tuple(OrderKind)
)


class Page(msgspec.Struct, frozen=True):
    """One page of any list."""

    rows: tuple[Row, ...]
    page: SmallCount
    page_size: SmallCount
    total: SmallCount


def example(requests: int) -> UsualVenue:
    """Everything about the venue, at a limit of so many requests in ten seconds."""
    pool = Pool("requests", requests, requests, 10 * NS_PER_S, PoolShape.WINDOW)
    free = Cost(RequestKind.QUERY, pool.name, 0, "/time")
    return UsualVenue(
        name="example",
        assumptions=("A 4xx with a reason of Example's own, and every 429, mean that nothing of a request was done.",),
        terms=TERMS,
        limits=RateLimits((pool,), (*(Cost(kind, pool.name, 1) for kind in RequestKind), free)),
        words=WORDS,
        lists=Lists(page=Page),
        verdicts=VERDICTS,
        errors=ErrorShape(path=("failure",), code="reason", message="text"),
        place=place,
        cancel=lambda order_id: Call("DELETE", f"/orders/{path_part(order_id)}", is_urgent=True),
        taken_code="client_id_taken",
        window=WindowHeaders(pool=pool.name),
    )


def signing(key_id: str, secret: HmacKey, stamps: RequestClock) -> Sign:
    """Signs time, method, target and body, joined by line breaks."""

    def sign(call: Call) -> HttpRequest:
        stamp = str(stamps.next_ms())
        signature = secret.hex(f"{stamp}\n{call.method}\n{call.target}\n".encode() + call.body)
        return request_of(call, (("X-Key", key_id), ("X-Time", stamp), ("X-Sign", signature)))

    return sign


def place(client_id: str, intent: NewOrder, one: Instrument) -> Call:
    """A new order; of a market order `price` is the worst one."""
    body = {
        "client_id": client_id, "market": one.symbol, "side": intent.side.value, "type": intent.kind.value,
        "lasts": intent.time_in_force.value, "price": plain_text(intent.price, one.price_decimals),
        "size": plain_text(intent.size, one.size_decimals), "post_only": intent.post_only,
    }  # fmt: skip
    return Call("POST", "/orders", msgspec.json.encode(body))
