"""What `POST /admin/act` can make happen at a venue: deterministic acts of a counterparty, an operator, and a hand.

An act is an object with `act` and its fields; prices, sizes and amounts are decimals as text, `instrument` is the
venue's own symbol. Each answers with what it made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connectors.sandbox.engine.lifecycle import MarketAct
from connectors.sandbox.engine.model import Accepted, MarketSpec, OrderRequest, Rejection, Side, TimeInForce
from connectors.sandbox.serving.decimals import fixed, parse_decimal
from connectors.sandbox.serving.venue import ServedVenue

SIDE_OF: dict[str, Side] = {"buy": "bid", "sell": "ask"}
TIMES_IN_FORCE: dict[str, TimeInForce] = {"gtc": "gtc", "ioc": "ioc", "fok": "fok"}


class ActRequestError(ValueError):
    """An act was described wrongly, or the exchange refused it; the message names the field or the reason."""


def perform(venue: ServedVenue, described: Mapping[str, Any]) -> dict[str, Any]:
    """Do one act. The caller publishes the events. Raises `ActRequestError` when it can't be done."""
    act = ACTS.get(str(described.get("act")))
    if act is None:
        raise ActRequestError(f"act is {described.get('act')!r}; use one of {', '.join(ACTS)}")
    return act(venue, _Fields(venue, described))


class _Fields:
    """The fields of one act, read against the markets of the venue."""

    def __init__(self, venue: ServedVenue, values: Mapping[str, Any]) -> None:
        self._venue = venue
        self._values = values
        self.now_ns = venue.clock.engine_ns()

    def text(self, name: str, default: str | None = None) -> str:
        """A string; without a default it must be there."""
        value = self._values.get(name, default)
        if not isinstance(value, str):
            raise ActRequestError(f"{name} is {value!r}; give a string")
        return value

    def spec(self) -> MarketSpec:
        """The market that `instrument` names."""
        name = self._values.get("instrument")
        market = self._venue.exchange.state.markets.get(str(name))
        if market is None:
            listed = ", ".join(list(self._venue.exchange.state.markets)[:5])
            raise ActRequestError(f"instrument is {name!r}; use one that is listed, such as {listed}")
        return market.spec

    def side(self) -> Side:
        """`side` as the engine names it."""
        side = self._values.get("side")
        if not isinstance(side, str) or side not in SIDE_OF:
            raise ActRequestError(f"side is {side!r}; use buy or sell")
        return SIDE_OF[side]

    def decimal(self, name: str, decimals: int) -> int:
        """A decimal as text, in units of 10^-decimals."""
        return _decimal(name, self._values.get(name), decimals=decimals)

    def levels(self, name: str, spec: MarketSpec) -> list[tuple[int, int]]:
        """Pairs of price and size, as the market counts them; absent means none."""
        pairs = self._values.get(name, [])
        if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise ActRequestError(f"{name} is {pairs!r}; give a list of [price, size]")
        return [
            (_decimal(name, at, decimals=spec.price_decimals), _decimal(name, size, decimals=spec.size_decimals))
            for at, size in pairs
        ]

    def time_in_force(self) -> TimeInForce:
        """`time_in_force`, or good till cancelled."""
        wanted = self.text("time_in_force", "gtc")
        if wanted not in TIMES_IN_FORCE:
            raise ActRequestError(f"time_in_force is {wanted!r}; use one of {', '.join(TIMES_IN_FORCE)}")
        return TIMES_IN_FORCE[wanted]

    def account(self) -> str:
        """`account`, or the member's first."""
        name = self.text("account", self._venue.member_ids[0])
        if name not in self._venue.member_ids:
            raise ActRequestError(f"account is {name!r}; use one of {', '.join(self._venue.member_ids)}")
        return name


def _quiet(venue: ServedVenue, fields: _Fields) -> dict[str, Any]:
    venue.counterparty.quiet(fields.now_ns)
    return {}


def _quote(venue: ServedVenue, fields: _Fields) -> dict[str, Any]:
    spec = fields.spec()
    bids, asks = fields.levels("bids", spec), fields.levels("asks", spec)
    for refused in venue.counterparty.quote(spec.market_id, bids=bids, asks=asks, now_ns=fields.now_ns):
        _done(refused)
    return {}


def _trade(venue: ServedVenue, fields: _Fields) -> dict[str, Any]:
    spec = fields.spec()
    price, size = fields.decimal("price", spec.price_decimals), fields.decimal("size", spec.size_decimals)
    answer = _taken(
        venue.counterparty.trade(spec.market_id, side=fields.side(), price=price, size=size, now_ns=fields.now_ns)
    )
    return {"order_id": answer.order.order_id, "filled": fixed(answer.order.filled, spec.size_decimals)}


def _market(act: MarketAct) -> Callable[[ServedVenue, _Fields], dict[str, Any]]:
    def done(venue: ServedVenue, fields: _Fields) -> dict[str, Any]:
        spec = fields.spec()
        value = fields.decimal("value", spec.price_decimals) if act == "settle" else None
        _done(venue.counterparty.set_market(spec.market_id, act, now_ns=fields.now_ns, value=value))
        return {}

    return done


def _deposit(venue: ServedVenue, fields: _Fields) -> dict[str, Any]:
    decimals = venue.exchange.state.decimals
    currency = fields.text("currency")
    if currency not in decimals:
        raise ActRequestError(f"currency is {currency!r}; use one of {', '.join(decimals)}")
    amount = fields.decimal("amount", decimals[currency])
    _done(venue.counterparty.deposit(fields.account(), currency, amount, now_ns=fields.now_ns))
    return {}


def _mark(venue: ServedVenue, fields: _Fields) -> dict[str, Any]:
    spec = fields.spec()
    price = fields.decimal("price", spec.price_decimals)
    _done(venue.counterparty.mark(spec.market_id, price, now_ns=fields.now_ns))
    return {}


def _order(venue: ServedVenue, fields: _Fields) -> dict[str, Any]:
    """An order of the member that its client did not send."""
    spec = fields.spec()
    request = OrderRequest(
        account=fields.account(),
        market_id=spec.market_id,
        side=fields.side(),
        price=fields.decimal("price", spec.price_decimals),
        size=fields.decimal("size", spec.size_decimals),
        tif=fields.time_in_force(),
        client_order_id=fields.text("client_order_id", ""),
    )
    order = _taken(venue.counterparty.order(request, fields.now_ns)).order
    venue.external.add(order.order_id)
    return {"order_id": order.order_id}


def _cancel(venue: ServedVenue, fields: _Fields) -> dict[str, Any]:
    order_id = fields.text("order_id")
    _taken(venue.counterparty.cancel(order_id, fields.now_ns))
    return {"order_id": order_id}


ACTS: dict[str, Callable[[ServedVenue, _Fields], dict[str, Any]]] = {
    "quiet": _quiet,
    "quote": _quote,
    "trade": _trade,
    "pause": _market("pause"),
    "resume": _market("resume"),
    "close": _market("close"),
    "settle": _market("settle"),
    "mark": _mark,
    "deposit": _deposit,
    "order": _order,
    "cancel": _cancel,
}


def _done(rejection: Rejection | None) -> None:
    if rejection is not None:
        raise ActRequestError(f"{rejection.code}: {rejection.details}".removesuffix(": "))


def _taken(answer: Accepted | Rejection) -> Accepted:
    if isinstance(answer, Rejection):
        _done(answer)
        raise ActRequestError(answer.code)
    return answer


def _decimal(name: str, value: object, *, decimals: int) -> int:
    text = value if isinstance(value, str) else ""
    parsed = parse_decimal(text.removeprefix("-"), decimals)
    if parsed is None:
        raise ActRequestError(f"{name} is {value!r}; give a decimal as text with at most {decimals} digits")
    return -parsed if text.startswith("-") else parsed
