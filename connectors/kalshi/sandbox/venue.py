"""The venue as its servers see it: the engine, its words, its keys and limits, and who is who.

Everything that REST and the stream share lives here, without any socket. `settle_events` is called after every act on
the engine, so that the stream tells of an act before anything else can happen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from connectors.kalshi.sandbox import errors, render_markets, wire
from connectors.kalshi.sandbox.auth import KeyRing
from connectors.kalshi.sandbox.buckets import Buckets, Tier
from connectors.kalshi.sandbox.candles import Candles
from connectors.kalshi.sandbox.catalog import Catalog
from connectors.kalshi.sandbox.reads import Reads
from connectors.kalshi.sandbox.wire import VenueClock
from connectors.sandbox.accounts import Account
from connectors.sandbox.events import Event
from connectors.sandbox.exchange import Exchange
from connectors.sandbox.faults import FaultPlan
from connectors.sandbox.matching import Book
from connectors.sandbox.model import Market

MEMBER = "member"
SUBACCOUNTS_MAX = 63


@dataclass
class Observed:
    """What the server saw, counted since the start or the last reset. Requests are counted by method and route."""

    requests: Counter[str] = field(default_factory=Counter)
    rate_limited: int = 0
    server_errors: int = 0
    connections: int = 0


class Venue:
    """One exchange with one member, whose subaccount n is the engine's account `member/n` (`member` for 0)."""

    def __init__(
        self, *, exchange: Exchange, catalog: Catalog, clock: VenueClock, tier: Tier, faults: FaultPlan
    ) -> None:
        self.exchange = exchange
        self.catalog = catalog
        self.clock = clock
        self.tier = tier
        self.removed_members = False
        self.faults = faults
        self.keys = KeyRing()
        self._member_ids: list[str] = []
        self.observed = Observed()
        self.user_id = wire.stable_uuid("user", MEMBER)
        self.buckets = Buckets(tier, clock.engine_ns())
        self.public_buckets = Buckets(tier, clock.engine_ns())
        self.reads = Reads(exchange, self._member_ids)
        self.candles = Candles(exchange)
        self._listeners: list[Callable[[list[Event]], None]] = [self.reads.note, self.candles.note]
        self._tickers_told: dict[str, dict[str, Any]] = {}

    def listen(self, listener: Callable[[list[Event]], None]) -> None:
        """Have `listener` told of all engine events, in order."""
        self._listeners.append(listener)

    def settle_events(self) -> None:
        """Hand out what the engine says happened since the last call."""
        events = self.exchange.drain()
        if events:
            for listener in self._listeners:
                listener(events)

    def advance(self) -> None:
        """Let time pass in the engine: expiries, openings, closings, settlements."""
        self.exchange.advance(self.clock.engine_ns())
        self.settle_events()

    # Who is who

    def is_member(self, account: str) -> bool:
        """True for the member's own accounts, false for the order flow's."""
        return account.partition("/")[0] == MEMBER

    def subaccount_of(self, account: str) -> int:
        """The subaccount number of one of the member's accounts."""
        return int(account.partition("/")[2] or 0)

    def account(self, subaccount: int) -> Account:
        """The engine's account of a subaccount. Raises `VenueRefusal` when there is none."""
        account = self.exchange.state.accounts.get(account_id(subaccount))
        if account is None:
            raise errors.nested(f"user_not_found: {self.user_id}")
        return account

    def open_account(self, subaccount: int, cash: dict[str, int]) -> Account:
        """Open a subaccount (0: the primary) with `cash` by purse."""
        account = self.exchange.add_account(account_id(subaccount), cash)
        self._member_ids.append(account.account_id)
        return account

    def member_accounts(self) -> list[Account]:
        """All accounts of the member, the primary first."""
        return [self.exchange.state.accounts[name] for name in self._member_ids]

    # Markets

    def market(self, ticker: str) -> Market:
        """A market by its ticker. Raises `VenueRefusal` 404 when there is none."""
        market = self.exchange.state.markets.get(ticker)
        if market is None:
            raise errors.nested("not_found")
        return market

    def book(self, ticker: str) -> Book:
        """The book of a market that exists."""
        return self.exchange.state.books[ticker]

    def shard(self, ticker: str) -> int:
        """The exchange index of a market that exists."""
        return self.exchange.state.markets[ticker].spec.exchange_index

    def market_uuid(self, ticker: str) -> str:
        """The UUID that the stream names a market by."""
        return self.catalog.markets[ticker].market_uuid

    def market_object(self, ticker: str) -> dict[str, Any]:
        """The Market object of a market that exists."""
        market = self.exchange.state.markets[ticker]
        shown = render_markets.market(market, self.catalog.markets[ticker], self.book(ticker), self.clock)
        return shown | render_markets.REMOVED_MEMBERS if self.removed_members else shown

    # What the stream asks (`ws_commands.MarketSource`)

    def knows(self, ticker: str) -> bool:
        """True when the market exists."""
        return ticker in self.exchange.state.markets

    def ticker_of(self, market_id: str) -> str | None:
        """The ticker of a market's UUID, or None."""
        return self.catalog.ticker_of(market_id)

    def snapshot(self, ticker: str, use_yes_price: bool) -> dict[str, Any]:
        """The `msg` of an orderbook_snapshot."""
        market = self.exchange.state.markets[ticker]
        return render_markets.snapshot_message(
            market, self.market_uuid(ticker), self.book(ticker), use_yes_price=use_yes_price
        )

    def ticker_message(self, ticker: str) -> dict[str, Any]:
        """The `msg` of a ticker frame as of now."""
        market = self.exchange.state.markets[ticker]
        return render_markets.ticker_message(
            market, self.market_uuid(ticker), self.book(ticker), self.clock, self.clock.engine_ns()
        )

    def ticker_change(self, ticker: str) -> dict[str, Any] | None:
        """The `msg` of a ticker frame when one of its figures changed since the last call, else None."""
        message = self.ticker_message(ticker)
        figures = {name: value for name, value in message.items() if name not in {"ts", "ts_ms", "time"}}
        if self._tickers_told.get(ticker) == figures:
            return None
        self._tickers_told[ticker] = figures
        return message


def account_id(subaccount: int) -> str:
    """The engine's name for a subaccount of the member."""
    return MEMBER if subaccount == 0 else f"{MEMBER}/{subaccount}"
