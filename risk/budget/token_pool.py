"""One pool of a venue, and who has part of it; pools of one owner are one, whichever venue of the daemon asks."""

from __future__ import annotations

from collections.abc import Mapping

from framework.domain.rate_limits import Pool, PoolScope, PoolShape
from risk.budget.fair_share import FairShare
from risk.budget.levels import PPM, TOKEN, QuerySavings, RequestWindow, TokenBucket

KEPT_PERCENT = range(25, 61)
"""Part of a pool's capacity that queries leave to orders, but for what they have saved: at least the first, and what
strategies have saved up to the last."""


class TokenPool:
    """A pool's level, and what is taken from it in advance: `held` by approved requests that are not completed,
    `started` the part of it whose bytes may be on the way. Units as in `risk.budget.levels`.

    `level_at` never exceeds what the venue's own counter leaves plus what the venue has charged and we have not yet
    booked; see `risk.budget.venue_budget` for the argument. `share` divides the pool among strategies, None where that
    is not needed. `queries` is what the connector's queries have saved of the flow: orders leave it alone; None where
    the pool is not for both. Both are set by the budgets that use the pool.
    """

    __slots__ = (
        "_level",
        "book",
        "empty",
        "has_queries",
        "held",
        "level_at",
        "name",
        "queries",
        "share",
        "started",
        "weights",
    )

    def __init__(self, declared: Pool, *, at_ns: int) -> None:
        self.name = declared.name
        self.held = 0
        self.started = 0
        self.share: FairShare | None = None
        self.has_queries = False
        self.queries: QuerySavings | None = None
        self.weights: dict[str, int] = {}
        self._follow(TokenBucket(capacity=0, rate=0, level=0, at_ns=at_ns))

    def declare(self, declared: Pool, *, clock_drift_ppm: int, free: int, at_ns: int) -> None:
        """Take over what the venue declares; the level is kept. Of a window that was not known before `free` units are
        there, and of a bucket nothing."""
        capacity, old = declared.capacity * TOKEN, self._level
        per_million = PPM - clock_drift_ppm
        if declared.shape is PoolShape.BUCKET:
            rate = declared.refill * TOKEN * per_million // (declared.period_ns * PPM)
            level = old.level_at(at_ns) if isinstance(old, TokenBucket) else 0
            self._follow(TokenBucket(capacity=capacity, rate=rate, level=level, at_ns=at_ns))
            return
        period_ns = -(-declared.period_ns * PPM // per_million)
        if isinstance(old, RequestWindow):
            old.resize(capacity, period_ns)
        else:
            self._follow(RequestWindow(capacity=capacity, period_ns=period_ns, level=free, at_ns=at_ns))

    def _follow(self, level: TokenBucket | RequestWindow) -> None:
        # Bound once: these are asked in the step of each order.
        self._level = level
        self.level_at, self.book, self.empty = level.level_at, level.book, level.empty

    def raise_to(self, units: int, monotonic_ns: int) -> None:
        """So many units are known to be there at a time: the level is no lower then."""
        level = self._level
        if isinstance(level, TokenBucket):
            level.raise_to(units, monotonic_ns)
        else:
            level.see(units, 0, 0)

    @property
    def capacity(self) -> int:
        """The most units that the venue allows at once."""
        return self._level.capacity

    @property
    def rate(self) -> int:
        """Units that come back in a nanosecond, in the long run."""
        level = self._level
        return level.rate if isinstance(level, TokenBucket) else level.capacity // level.period_ns

    def wait_ns(self, shortage: int, monotonic_ns: int) -> int:
        """Nanoseconds until `shortage` units more are there, if nothing else happens; 0 when nothing is short."""
        return self._level.wait_ns(shortage, monotonic_ns) if shortage > 0 else 0

    def see(self, left: int, ends_min_ns: int, ends_max_ns: int) -> None:
        """Take over what an answer showed of a window (`RequestWindow.see`); nothing follows for a bucket."""
        if isinstance(self._level, RequestWindow):
            self._level.see(left, ends_min_ns, ends_max_ns)

    def query_wait_ns(self, units: int, floor: int, monotonic_ns: int) -> int:
        """Nanoseconds until a query may take `units`: what queries have saved they may use as soon as it is there, down
        to `floor`; more only while `KEPT_PERCENT` of the pool stays for orders. Of a window that this run has not used
        the first query may have what is there: its answer can show what an earlier run has left. Changes nothing."""
        level = self._level
        is_first = isinstance(level, RequestWindow) and level.is_untouched and not self.held
        if is_first and level.level_at(monotonic_ns) >= units:
            return 0
        room = self.level_at(monotonic_ns) - self.held - floor
        kept = 0
        if self.queries is not None and self.queries.level < min(units, max(self.queries.capacity, 1)):
            least, most = (self.capacity * percent // 100 for percent in (KEPT_PERCENT[0], KEPT_PERCENT[-1]))
            saved = self.share.saved_at(monotonic_ns) if self.share is not None else 0
            kept = min(max(saved, least), most) + self.queries.order
        return self.wait_ns(units + min(kept, max(self.capacity - floor - units, 0)) - room, monotonic_ns)


class Pools:
    """Every pool of a daemon, by scope, owner and name.

    The owner of an IP's pool is the way out of the venue that declares it: `exits` has each venue's, any text that is
    the same for venues that the exchange sees under one address. Of the other scopes it is what the connector says
    (`Pool.owner`), and without that the venue itself.
    """

    def __init__(self, exits: Mapping[str, str] | None = None) -> None:
        self._exits = exits or {}
        self._pools: dict[tuple[PoolScope, str, str], TokenPool] = {}

    def find(self, venue: str, declared: Pool, *, at_ns: int) -> TokenPool:
        """The pool that a venue declares; a new one is empty."""
        exit_name = self._exits.get(venue, venue) if declared.scope is PoolScope.IP else venue
        key = (declared.scope, declared.owner or exit_name, declared.name)
        if key not in self._pools:
            self._pools[key] = TokenPool(declared, at_ns=at_ns)
        return self._pools[key]
