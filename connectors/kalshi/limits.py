"""What Kalshi offers, and the rate limits of the account as the venue declares them."""

from __future__ import annotations

from collections.abc import Callable

from connectors.client.rest import SignedRest
from connectors.client.wire.answers import UnreadableAnswer
from connectors.kalshi.rest import queries
from connectors.kalshi.rest.rate_limits import CostTable, documented_costs, rate_limits, tier_limits
from connectors.kalshi.settings import Tier
from framework.domain.errors import RefusedByVenue
from framework.domain.events import Event
from framework.domain.market_events import LimitsDeclared
from framework.domain.ports import Clock
from framework.domain.rate_limits import RateLimits
from framework.domain.terms import CancelAllScope, VenueTerms

TERMS = VenueTerms(cancel_all=CancelAllScope.ACCOUNT)
"""What Kalshi offers (vendor docs): limit orders with every time in force and flag; no market orders, no triggers."""


class AccountRates:
    """The account's rate limits: read and published."""

    def __init__(
        self, venue: str, rest: SignedRest, tier: Tier, *, clock: Clock, publish: Callable[[Event], None]
    ) -> None:
        self._venue = venue
        self._rest = rest
        self._tier = tier
        self._clock = clock
        self._publish = publish
        self._is_known = False

    def assume(self) -> None:
        """Publish the documented limits of the setting `tier`, for the reads until the account's own are known."""
        if not self._is_known:
            self._declare(rate_limits(tier_limits(self._tier), documented_costs()))

    async def declare(self) -> None:
        """Publish the account's rate limits.

        Where the venue refuses to state them, or states what can't be read, the documented ones of the setting `tier`
        are used.
        """
        try:
            costs = CostTable(await queries.get_endpoint_costs(self._rest))
        except (RefusedByVenue, UnreadableAnswer):
            costs = documented_costs()
        try:
            account = await queries.get_account_limits(self._rest)
        except (RefusedByVenue, UnreadableAnswer):
            account = tier_limits(self._tier)
        self._declare(rate_limits(account, costs))
        self._is_known = True

    def _declare(self, limits: RateLimits) -> None:
        self._publish(LimitsDeclared(self._venue, limits, self._clock.now_ns()))
