"""The venue as its servers see it: engine, listings, clock, keys, limits, faults, and the member's accounts.

Everything that REST and the stream share is here, without any socket. `publish_events` is called after every act on the
engine, with no await in between, so that the stream reports an act before anything else can happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from connectors.kalshi.sandbox import errors, words
from connectors.kalshi.sandbox.auth import KeyRing
from connectors.kalshi.sandbox.buckets import Buckets, Tier
from connectors.kalshi.sandbox.groups import OrderGroups
from connectors.kalshi.sandbox.listings import Catalog, Listings
from connectors.kalshi.sandbox.render.market_view import MarketView
from connectors.sandbox.engine import audit_report
from connectors.sandbox.engine.model import Order
from connectors.sandbox.seeding import stable_uuid
from connectors.sandbox.serving.candles import Candles
from connectors.sandbox.serving.venue import ServedVenue

MEMBER = "member"
# The highest subaccount number; 0 is the primary (vendor docs).
SUBACCOUNTS_MAX = 63


class Venue:
    """One exchange with one member, whose subaccount n is the engine's account `member/n` (`member` for 0).

    `buckets` limit the member's requests. `public_buckets` limit unsigned reads: a bucket of their own (*assumption*).
    `no_orders` are the ids of orders that were given in terms of NO, as only the older generation can.
    """

    def __init__(self, served: ServedVenue, tier: Tier) -> None:
        self.served = served
        self.exchange, self.clock, self.faults = served.exchange, served.clock, served.faults
        self.reads, self.publish_events = served.reads, served.publish_events
        self.groups = OrderGroups(served.exchange)
        self.catalog = Catalog()
        self.tier = tier
        self.markets = MarketView(self.exchange, self.catalog, clock=self.clock)
        self.keys = KeyRing()
        self.user_id = stable_uuid("user", MEMBER)
        self.buckets = Buckets(tier, self.clock.engine_ns())
        self.public_buckets = Buckets(tier, self.clock.engine_ns())
        self.no_orders: set[str] = set()
        self.candles = Candles(self.exchange)
        served.listen(self.candles.note)

    def report(self) -> Mapping[str, Any]:
        """The audit report of the engine, and what the server saw, in the engine's integers."""
        orders = [_order(one) for one in self.exchange.ledger.orders.values() if one.account in self.served.member_ids]
        seen = {"faults_struck": dict(self.faults.struck), "refused_signatures": self.keys.refused_signatures}
        return audit_report.report(self.exchange) | self.served.observed.shown() | seen | {"orders": orders}

    def subaccount_of(self, account: str) -> int:
        """The subaccount number (0: the primary) of one of the member's accounts, by its account id."""
        return int(account.partition("/")[2] or 0)

    def account_id(self, subaccount: int) -> str:
        """The engine's account id of a subaccount. Raises `Refusal` `user_not_found` when it was never opened."""
        account_id = _account_id(subaccount)
        if account_id not in self.served.member_ids:
            raise errors.nested(f"user_not_found: {self.user_id}")
        return account_id

    def open_subaccount(self, cash: dict[str, int]) -> int:
        """Open the next subaccount, at first the primary (0), with cash by cash account, as money; its number."""
        number = len(self.served.member_ids)
        self.served.open_account(_account_id(number), cash)
        return number

    def list_markets(self, listings: Listings) -> None:
        """List markets, with their series and events. Raises `ValueError` for a market that is listed already."""
        self.catalog.add(listings)
        for listing in listings.markets:
            self.exchange.add_market(listing.spec, self.clock.engine_ns())


def _account_id(subaccount: int) -> str:
    return MEMBER if subaccount == 0 else f"{MEMBER}/{subaccount}"


def _order(order: Order) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(order)
    return shown | {"status": words.status_of(order), "reason": words.reason_of(order)}
