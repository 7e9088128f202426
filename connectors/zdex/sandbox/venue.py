"""One venue: the exchange, its dialect, its keys and limits, and the numbers by which orders and trades are known."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from connectors.sandbox.engine.events import Event, FillEvent, OrderChange, PositionChange, TradePrint
from connectors.sandbox.engine.model import NS_PER_MS, NS_PER_S, Fill, MarketSpec, Position
from connectors.sandbox.engine.rules import Rules
from connectors.sandbox.serving.candles import Candles
from connectors.sandbox.serving.faults import FAULT_KINDS
from connectors.sandbox.serving.limits import RequestWindow
from connectors.sandbox.serving.rest import Refusal
from connectors.sandbox.serving.venue import ServedVenue

MEMBER = "member"
RULES = Rules(lists_maker_fills=False)
"""Fills of resting orders are in no list (vendor docs); an account may trade with itself (*assumption*)."""
FIRST_NUMBER = 100_000_000
_TRADES_KEPT = 200_000
HOLDINGS_KEPT = 200
"""Positions of a market that are shown, closed ones too: no limit is documented."""


class Dialect(NamedTuple):
    """A generation of the venue as its pages describe it. `sends_all`: four channels of every market go to everybody;
    `idle_ns`: a stream whose client says nothing for so long is cut, 0 for never."""

    name: str
    drift_ns: int
    book_ns: int
    idle_ns: int = 0
    refuses_replays: bool = False
    has_client_ids: bool = False
    sends_all: bool = False

    @property
    def is_v2(self) -> bool:
        """Whether answers have the members that v2 added."""
        return self.name == "v2"


DIALECTS = {
    "v1": Dialect("v1", 30 * NS_PER_S, 200 * NS_PER_MS),
    "v2": Dialect("v2", 5 * NS_PER_S, 250 * NS_PER_MS, 30 * NS_PER_S, True, True, True),
}
COMMON_FAULTS = {kind: text for kind, text in FAULT_KINDS.items() if kind not in ("slow_cancel", "replay_refusal")}
"""A cancel that is under way has no word here; only v2 tells a replay from a wrong key."""


class Limits(NamedTuple):
    """What the venue takes of an account in a window of `window_s` seconds."""

    requests: int
    orders: int
    window_s: int


class Windows:
    """The windows of one account: every request is counted, new orders and closes once more by themselves."""

    def __init__(self, limits: Limits) -> None:
        period_ns = limits.window_s * NS_PER_S
        self.pools = {
            "all": RequestWindow(limits.requests, period_ns),
            "orders": RequestWindow(limits.orders, period_ns),
            "batch": RequestWindow(max(limits.orders // 3, 1), period_ns),
            "close": RequestWindow(limits.orders, period_ns),
        }

    def take(self, pool: str, now_ns: int) -> RequestWindow | None:
        """Count a request; the window that is full when one is."""
        for name in dict.fromkeys(("all", pool)):
            if not self.pools[name].take(1, now_ns):
                return self.pools[name]
        return None


@dataclass
class Holding:
    """A position from flat to flat: the how manieth of its market, and what had been realized and funded there before.

    `closed` is the position as it was left, None while it is open.
    """

    number: int
    realized: int
    funding: int
    closed: Position | None = None


class ZdexVenue:
    """The state behind REST, stream and admin. A reset makes another one with the same keys."""

    def __init__(self, served: ServedVenue, dialect: Dialect, limits: Limits) -> None:
        self.served = served
        self.dialect = dialect
        self.windows = Windows(limits)
        self.public: dict[str, RequestWindow] = {}
        self._limits = limits
        self.margin_types: dict[str, str] = {}
        self.candles = Candles(served.exchange)
        self._orders: dict[str, int] = {}
        self._trades: dict[str, int] = {}
        self._own_trades: dict[str, int] = {}
        self.holdings: dict[str, list[Holding]] = {}
        """By market, the oldest first, `HOLDINGS_KEPT` of them."""
        self.realized: dict[tuple[str, str], int] = {}
        """By trade and order of the account: the profit that its fill made, without fees."""
        self._filled: dict[str, Fill] = {}
        self._realized: dict[str, int] = {}
        self._next_trade = FIRST_NUMBER
        served.listen(self._note)
        served.listen(self.candles.note)

    @property
    def account_id(self) -> str:
        """The account as the venue names it."""
        return f"acct_{MEMBER}"

    def report(self) -> Mapping[str, Any]:
        """No words of its own: the administrator sees the neutral ones."""
        return {}

    def spec(self, symbol: str | None) -> MarketSpec:
        """A listed market. Raises `Refusal` for a symbol that is none."""
        market = self.served.exchange.state.markets.get(symbol or "")
        if market is None:
            raise self.refusal(400, f"Invalid symbol: {symbol or '(none)'}")
        return market.spec

    def refusal(
        self, status: int, text: str, *, code: str = "", headers: Mapping[str, str] | None = None, **more: str
    ) -> Refusal:
        """An error as the dialect writes it: v2 adds `errorId`, and a `code` where there is one."""
        body: dict[str, Any] = {"ok": False, "error": text} | more
        if self.dialect.is_v2:
            body |= {"errorId": uuid.uuid4().hex} | ({"code": code} if code else {})
        return Refusal(status, body, headers=headers)

    def public_window(self, address: str) -> RequestWindow:
        """The window of requests without a key, by address."""
        return self.public.setdefault(address, RequestWindow(self._limits.requests, self._limits.window_s * NS_PER_S))

    def too_many(self, window: RequestWindow, now_ns: int) -> Refusal:
        """The refusal of a request for which its window has no room."""
        after_s = window.resets_s(now_ns)
        headers = window.headers(now_ns, "x-ratelimit") | {"retry-after": str(after_s)}
        return self.refusal(429, "Rate limit exceeded, retry in 1 minute", headers=headers)

    def order_number(self, order_id: str) -> int:
        """The number of an order at the venue behind the gateway."""
        return self._orders.setdefault(order_id, FIRST_NUMBER + len(self._orders))

    def trade_number(self, trade_id: str) -> int:
        """The number of a trade, that of both its sides."""
        return self._own_trades.get(trade_id) or self._trades.get(trade_id, 0)

    def _note(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, OrderChange):
                self.order_number(event.order.order_id)
            elif isinstance(event, TradePrint):
                self._number(event.trade_id)
            elif isinstance(event, FillEvent):
                self._own_trades[event.fill.trade_id] = self._number(event.fill.trade_id)
                if event.fill.order_id:
                    self._filled[event.fill.market_id] = event.fill
            elif isinstance(event, PositionChange):
                self._hold(event)

    def _hold(self, event: PositionChange) -> None:
        """Note what a fill has realized, and where a position begins and ends. An order's fill comes before its
        change of position."""
        name, before = event.market_id, self._realized.get(event.market_id, 0)
        self._realized[name] = event.realized
        if (fill := self._filled.pop(name, None)) is not None:
            self.realized[fill.trade_id, fill.order_id] = event.realized - before
        known = self.holdings.setdefault(name, [])
        held = self.served.exchange.state.accounts[MEMBER].position(name)
        if event.net and (not known or known[-1].closed is not None):
            known.append(Holding(known[-1].number + 1 if known else 0, before, held.funding))
            del known[:-HOLDINGS_KEPT]
        elif not event.net and known and known[-1].closed is None:
            known[-1].closed = msgspec.structs.replace(
                held, net=0, cost=0, margin=0, realized=event.realized, updated_ns=event.ns
            )

    def _number(self, trade_id: str) -> int:
        if trade_id not in self._trades:
            self._next_trade += 1
            self._trades[trade_id] = self._next_trade
            if len(self._trades) > _TRADES_KEPT:
                del self._trades[next(iter(self._trades))]
        return self._trades[trade_id]
