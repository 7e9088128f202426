"""The stream: books, trades, tickers, candles and marks for everybody; the account for sessions only.

`{"action":"subscribe","channel":…,"symbol":…}`, `unsubscribe`, `auth`, `ping`; v2 sends four channels of every market
to everybody, whatever is subscribed to (vendor docs).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from connectors.sandbox.engine.events import CashFlowEvent, Event, MarkChange, OrderChange, PositionChange, TradePrint
from connectors.sandbox.engine.model import NS_PER_MS, NS_PER_S, Order
from connectors.sandbox.serving.rest import NOT_JSON
from connectors.sandbox.serving.subscriptions import Publication
from connectors.sandbox.serving.websocket import Frame, StreamSession
from connectors.zdex.sandbox import render
from connectors.zdex.sandbox.auth import Keys
from connectors.zdex.sandbox.venue import ZdexVenue

CHANNELS = ("orderbook", "trades", "ticker", "kline", "markprice")
ACCOUNT = "account"
POLL_MS = 2_000
"""A book that has not changed is sent again after so long (*assumption*: the welcome names it)."""
TICKER_NS, KLINE_NS, ACCOUNT_NS = NS_PER_S, 5 * NS_PER_S, 60 * NS_PER_S


class Conversation:
    """One connection: what it has asked for, and whether it is a session's."""

    def __init__(self, venue: ZdexVenue, keys: Keys, session: StreamSession) -> None:
        self._venue = venue
        self._keys = keys
        self._session = session
        self._wanted: set[tuple[str, str]] = set()
        self._last_ns = venue.served.clock.engine_ns()
        self.is_session = False
        shown = CHANNELS[:4] if venue.dialect.sends_all else CHANNELS
        symbols = list(venue.served.exchange.state.markets)
        self._answer(event="connected", channels=list(shown), symbols=symbols, pollIntervalMs=POLL_MS)

    def handle(self, text: str) -> None:
        """Answer one message of the client."""
        self._last_ns = self._venue.served.clock.engine_ns()
        try:
            command = msgspec.json.decode(text)
        except NOT_JSON:
            command = None
        action = command.get("action") if isinstance(command, dict) else None
        if action == "ping":
            self._answer(event="pong", ts=self._venue.served.clock.shown_ns() // NS_PER_MS)
        elif action == "auth":
            self._authenticate(str(command.get("token")))
        elif action in ("subscribe", "unsubscribe"):
            self._subscribe(action, command.get("channel"), command.get("symbol"))
        else:
            self._answer(event="error", error="Unknown action")

    def wants(self, channel: str, symbol: str) -> bool:
        """Whether this connection gets a channel of a market."""
        return (self._venue.dialect.sends_all and channel != "markprice") or (channel, symbol) in self._wanted

    def send(self, channel: str, symbol: str, data: Any) -> None:
        """Queue one message of data, if it is wanted."""
        if not self.wants(channel, symbol):
            return
        target = {"type": channel, "channel": channel, "market": symbol}
        if not self._session.is_muted(target):
            ts = self._venue.served.clock.shown_ns() // NS_PER_MS
            message = {"channel": channel, "symbol": symbol, "data": data, "ts": ts}
            self._session.offer(Frame(message, target, owner=self, is_data=True))

    def publish(self, publication: Publication) -> None:
        """Queue what the engine's events give to this connection."""
        if publication.channel != ACCOUNT:
            self.send(publication.channel, publication.market, publication.message["data"])
        elif self.is_session and not self._session.is_muted({"type": publication.kind, "channel": ACCOUNT}):
            target = {"type": publication.kind, "channel": ACCOUNT}
            self._session.offer(Frame(dict(publication.message), target, owner=self, is_data=True))

    def end_when_idle(self, now_ns: int) -> None:
        """Cut the connection of a client that has said nothing for too long."""
        idle_ns = self._venue.dialect.idle_ns
        if idle_ns and now_ns - self._last_ns > idle_ns:
            self._session.cut()

    def _subscribe(self, action: str, channel: object, symbol: object) -> None:
        markets = self._venue.served.exchange.state.markets
        if channel not in CHANNELS or not isinstance(symbol, str) or symbol not in markets:
            self._answer(event="error", error=f"Unknown channel or symbol: {channel} {symbol}"[:200])
            return
        name = str(channel)
        (self._wanted.add if action == "subscribe" else self._wanted.discard)((name, symbol))
        if self._venue.dialect.is_v2:
            self._answer(event=f"{action}d", channels=[name], symbols=[symbol])
        else:
            self._answer(event=f"{action}d", channel=name, symbol=symbol)
        if action == "subscribe" and name != "trades":
            self.send(name, symbol, data_of(self._venue, name, symbol))

    def _authenticate(self, token: str) -> None:
        self.is_session = self._keys.is_session(token)
        if not self.is_session:
            self._answer(event="error", error="Invalid or expired token")
            return
        self._answer(event="authenticated", accountId=self._venue.account_id, subAccountId="1")
        self.publish(account_state(self._venue))

    def _answer(self, **message: Any) -> None:
        self._session.offer(Frame(message))


class Ticks:
    """What is due by time: books that changed, at most five a second, and all of them every two seconds; tickers,
    candles."""

    def __init__(self) -> None:
        self._books: dict[str, tuple[int, int]] = {}
        self._sent: dict[str, int] = {}

    def due(self, venue: ZdexVenue, now_ns: int) -> Iterator[tuple[str, str]]:
        """Channel and symbol of each message to be sent now."""
        for symbol, market in venue.served.exchange.state.markets.items():
            clock, at_ns = self._books.get(symbol, (-1, 0))
            wait_ns = venue.dialect.book_ns if market.clock != clock else POLL_MS * NS_PER_MS
            if now_ns - at_ns >= wait_ns:
                self._books[symbol] = market.clock, now_ns
                yield "orderbook", symbol
        for channel, every_ns in (("ticker", TICKER_NS), ("kline", KLINE_NS)):
            if self.is_time(channel, every_ns, now_ns):
                yield from ((channel, symbol) for symbol in venue.served.exchange.state.markets)

    def is_time(self, what: str, every_ns: int, now_ns: int) -> bool:
        """Whether so long has passed since this was last true."""
        is_due = now_ns - self._sent.get(what, 0) >= every_ns
        if is_due:
            self._sent[what] = now_ns
        return is_due


def push(venue: ZdexVenue, ticks: Ticks, conversations: list[Conversation], now_ns: int) -> None:
    """Send what is due to whoever wants it; each message is made once."""
    for channel, symbol in ticks.due(venue, now_ns):
        wanting = [one for one in conversations if one.wants(channel, symbol)]
        if wanting:
            data = data_of(venue, channel, symbol)
            for one in wanting:
                one.send(channel, symbol, data)
    state = account_state(venue) if ticks.is_time(ACCOUNT, ACCOUNT_NS, now_ns) else None
    for one in conversations:
        one.end_when_idle(now_ns)
        if state is not None:
            one.publish(state)


def data_of(venue: ZdexVenue, channel: str, symbol: str) -> Any:
    """What a channel says of a market now."""
    now_ns = venue.served.clock.engine_ns()
    if channel == "orderbook":
        return render.book(venue, symbol)
    if channel == "ticker":
        return render.ticker(venue, symbol, now_ns)
    if channel == "kline":
        return render.candles(venue, symbol, now_ns)
    return render.mark(venue, venue.served.exchange.state.markets[symbol])


def publications(venue: ZdexVenue, events: list[Event]) -> Iterator[Publication]:
    """What a batch of events says: trades and marks to everybody, the account's to sessions."""
    is_own = False
    for event in events:
        if isinstance(event, TradePrint):
            one = venue.served.exchange.state.markets[event.market_id].spec
            data = [render.public_trade(venue, event, one)]
            yield Publication("trades", "trades", {"data": data}, event.market_id)
        elif isinstance(event, MarkChange):
            market = venue.served.exchange.state.markets[event.market_id]
            yield Publication("markprice", "markprice", {"data": render.mark(venue, market)}, event.market_id)
        elif isinstance(event, OrderChange | PositionChange | CashFlowEvent):
            is_own = True
            if venue.dialect.is_v2:
                yield from _own_event(venue, event)
    if is_own and not venue.dialect.is_v2:
        yield account_state(venue)


def account_state(venue: ZdexVenue) -> Publication:
    """The whole account; the members of the message are an *assumption*."""
    now_ns = venue.served.clock.engine_ns()
    own = [one for one in venue.served.exchange.ledger.orders.values() if one.account in venue.served.member_ids]
    data = {
        "balances": render.balances(venue, now_ns),
        "positions": render.positions(venue, now_ns, is_open=True),
        "orders": [render.order_row(venue, one) for one in own if one.status != "ended"],
    }
    message = {"channel": ACCOUNT, "data": data, "ts": venue.served.clock.shown_ns() // NS_PER_MS}
    return Publication(ACCOUNT, ACCOUNT, message)


def _own_event(venue: ZdexVenue, event: OrderChange | PositionChange | CashFlowEvent) -> Iterator[Publication]:
    """v2's events. An order that rests and trades makes none: only its position does (vendor docs)."""
    data, kind = None, "order_update"
    if isinstance(event, OrderChange) and not _is_maker_trade(event.order):
        kind = kind if event.order.reason else "order_new"
        data = render.order_row(venue, event.order)
    elif isinstance(event, PositionChange):
        kind, market = "position_update", venue.served.exchange.state.markets[event.market_id]
        held = venue.served.exchange.state.accounts[event.account].position(event.market_id)
        data = render.position_row(venue, market, held)
    if data is not None:
        message = {"event": kind, "data": data, "ts": venue.served.clock.shown_ns() // NS_PER_MS}
        yield Publication(ACCOUNT, kind, message)


def _is_maker_trade(order: Order) -> bool:
    return order.reason in ("traded", "filled") and order.maker_cost > 0
