"""The venue as its servers see it: engine, listings, clock, keys, limits, faults, and the member's accounts.

Everything that REST and the stream share is here, without any socket. `publish_events` is called after every act on the
engine, with no await in between, so that the stream reports an act before anything else can happen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.kalshi.sandbox import errors, wire
from connectors.kalshi.sandbox.auth import KeyRing
from connectors.kalshi.sandbox.buckets import Buckets, Tier
from connectors.kalshi.sandbox.catalog import Catalog
from connectors.kalshi.sandbox.groups import OrderGroups
from connectors.kalshi.sandbox.reads import Reads
from connectors.kalshi.sandbox.render.candles import Candles
from connectors.kalshi.sandbox.render.market_view import MarketView
from connectors.kalshi.sandbox.wire import VenueClock
from connectors.sandbox.engine.accounts import Account
from connectors.sandbox.engine.events import Event
from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.serving.faults import FaultPlan

MEMBER = "member"
# The highest subaccount number; 0 is the primary (vendor docs).
SUBACCOUNTS_MAX = 63


@dataclass
class Observed:
    """What the server saw, counted since the start or the last reset. Requests are counted by method and route."""

    requests: Counter[str] = field(default_factory=Counter)
    rate_limited: int = 0
    server_errors: int = 0
    connections: int = 0


class Venue:
    """One exchange with one member, whose subaccount n is the engine's account `member/n` (`member` for 0).

    `buckets` limit the member's requests. `public_buckets` limit unsigned reads: a bucket of their own (*assumption*).
    """

    def __init__(
        self, *, exchange: Exchange, catalog: Catalog, clock: VenueClock, tier: Tier, faults: FaultPlan
    ) -> None:
        self.exchange = exchange
        self.groups = OrderGroups(exchange)
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
        """Call `listener` with every later batch of engine events, in order. It must not act on the engine."""
        self._listeners.append(listener)

    def publish_events(self) -> None:
        """Give the engine's events since the last call to every listener."""
        events = self.exchange.drain()
        if events:
            for listener in self._listeners:
                listener(events)

    def is_member(self, account: str) -> bool:
        """True for the account ids of the member, false for those of the order flow."""
        return account.partition("/")[0] == MEMBER

    def subaccount_of(self, account: str) -> int:
        """The subaccount number (0: the primary) of one of the member's accounts, by its account id."""
        return int(account.partition("/")[2] or 0)

    def account(self, subaccount: int) -> Account:
        """The engine's account of a subaccount. Raises `VenueRefusal` `user_not_found` when there is none."""
        account = self.exchange.state.accounts.get(account_id_of(subaccount))
        if account is None:
            raise errors.nested(f"user_not_found: {self.user_id}")
        return account

    def open_account(self, subaccount: int, cash: dict[str, int]) -> Account:
        """Open a subaccount (0: the primary) with balances by cash account, as money.

        Raises `ValueError` when it is open already.
        """
        account = self.exchange.add_account(account_id_of(subaccount), cash)
        self._member_ids.append(account.account_id)
        return account

    def member_accounts(self) -> list[Account]:
        """All accounts of the member in the order in which they were opened, the primary first."""
        return [self.exchange.state.accounts[name] for name in self._member_ids]


def account_id_of(subaccount: int) -> str:
    """The engine's account id for a subaccount of the member; 0 is the primary."""
    return MEMBER if subaccount == 0 else f"{MEMBER}/{subaccount}"
