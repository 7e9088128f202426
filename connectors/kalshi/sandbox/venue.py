"""The venue as its servers see it: the engine, its words, its keys and limits, and who is who.

Everything that REST and the stream share lives here, without any socket. `settle_events` is called after every act on
the engine, so that the stream tells of an act before anything else can happen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.kalshi.sandbox import errors, wire
from connectors.kalshi.sandbox.auth import KeyRing
from connectors.kalshi.sandbox.buckets import Buckets, Tier
from connectors.kalshi.sandbox.reads import Reads
from connectors.kalshi.sandbox.render.candles import Candles
from connectors.kalshi.sandbox.render.market_view import Catalog, MarketView
from connectors.kalshi.sandbox.wire import VenueClock
from connectors.sandbox.accounts import Account
from connectors.sandbox.events import Event
from connectors.sandbox.exchange import Exchange
from connectors.sandbox.faults import FaultPlan

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
        self.markets = MarketView(exchange, catalog, clock=clock)
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


def account_id(subaccount: int) -> str:
    """The engine's name for a subaccount of the member."""
    return MEMBER if subaccount == 0 else f"{MEMBER}/{subaccount}"
