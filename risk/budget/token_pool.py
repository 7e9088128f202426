"""One pool of a venue, and who has part of it; pools of one owner are one, whichever venue of the daemon asks."""

from __future__ import annotations

from collections.abc import Mapping

from framework.domain.rate_limits import Pool, PoolScope, PoolShape
from risk.budget.fair_share import FairShare
from risk.budget.levels import PPM, TOKEN, QuerySavings, RequestWindow, TokenBucket

WHOLE = 16
"""The flow in parts: so many are ours while nobody else spends."""

QUIET_NS, STEP_NS, STEP = 60_000_000_000, 5_000_000_000, 2
"""After a minute without a 429, so many parts are tried again every five seconds."""

BURST_PART = 100
"""Of a window whose connector does not say how much of it may be used at once, this part of it may: the rest flows.
What is kept for cancels and for strategies that are idle is kept of this part, and so never used."""

BURST_NS = 500_000_000
"""And what it allows in so many nanoseconds: as long requests may be under way, and until then they are not free."""

BURST_REQUESTS = 8
"""And the dearest request at least so often."""

KEPT_PERCENT = range(25, 61)
"""Part of a pool's capacity that queries leave to orders, but for what they have saved: at least the first, and what
strategies have saved up to the last."""


class TokenPool:
    """A pool's level, and what is taken from it in advance: `held` by approved requests that are not completed,
    `started` the part of it whose bytes may be on the way. Units as in `risk.budget.levels`.

    `level_at`, and `urgent_at` for what must not wait for the flow of a window, never exceed what the venue's own
    counter leaves plus what the venue has charged and we have not yet booked; see `risk.budget.venue_budget` for the
    argument. `share` divides the pool among strategies, None where that is not needed. `queries` is what the
    connector's queries have saved of the flow: orders leave it alone; None where the pool is not for both. Both are set
    by the budgets that use the pool. `ours` is how much of the flow nobody else takes, in parts of `WHOLE`.
    """

    __slots__ = (
        "_full_rate",
        "_good",
        "_level",
        "_next_ns",
        "book",
        "has_queries",
        "held",
        "level_at",
        "name",
        "ours",
        "queries",
        "share",
        "started",
        "urgent_at",
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
        self.ours = self._good = WHOLE
        self._next_ns = 0
        self._follow(TokenBucket(capacity=0, rate=0, level=0, at_ns=at_ns))

    def declare(self, declared: Pool, *, clock_drift_ppm: int, dearest: int, at_ns: int) -> None:
        """Take over what the venue declares; the level is kept. Of one that was not known before nothing is there.
        `dearest` is what the dearest request takes: so much at least may be used at once."""
        limit, old = declared.capacity * TOKEN, self._level
        per_million = PPM - clock_drift_ppm
        if declared.shape is PoolShape.BUCKET:
            rate = declared.refill * TOKEN * per_million // (declared.period_ns * PPM)
            level = old.level_at(at_ns) if isinstance(old, TokenBucket) else 0
            self._follow(TokenBucket(capacity=limit, rate=rate, level=level, at_ns=at_ns))
            self._flow(at_ns)
            return
        period_ns = -(-declared.period_ns * PPM // per_million)
        burst = declared.burst * TOKEN or max(limit // BURST_PART, limit * BURST_NS // period_ns)
        capacity = min(max(burst, BURST_REQUESTS * dearest), limit)
        if isinstance(old, RequestWindow):
            old.flow(0, at_ns)
            old.resize(limit, capacity, period_ns)
            self._follow(old)
        else:
            self._follow(RequestWindow(limit=limit, capacity=capacity, period_ns=period_ns, at_ns=at_ns))
        self._flow(at_ns)

    def _follow(self, level: TokenBucket | RequestWindow) -> None:
        # Bound once: these are asked in the step of each order.
        self._level, self._full_rate = level, level.rate
        self.level_at, self.book, self.urgent_at = level.level_at, level.book, level.level_at
        if isinstance(level, RequestWindow):
            self.urgent_at = level.urgent_at

    def _flow(self, at_ns: int) -> None:
        self._level.flow(self._full_rate * self.ours // WHOLE, at_ns)

    def raise_to(self, units: int, monotonic_ns: int) -> None:
        """So many units are known to be there at a time: the level is no lower then."""
        level = self._level
        if isinstance(level, TokenBucket):
            level.raise_to(units, monotonic_ns)
        else:
            level.see(units, 0, 0)

    @property
    def capacity(self) -> int:
        """The most units that may be used at once."""
        return self._level.capacity

    @property
    def rate(self) -> int:
        """Units that come back in a nanosecond, in the long run."""
        level = self._level
        return level.rate or (level.limit // level.period_ns if isinstance(level, RequestWindow) else 0)

    @property
    def is_feeling(self) -> bool:
        """Whether a request is under way whose answer shows how far we may go: where others spend, too, requests but
        for cancels leave one after the other, so that one is refused and not a burst of them."""
        return self.ours < WHOLE and self.started > 0

    @property
    def limit(self) -> int:
        """The most units that what must not wait may use at once."""
        level = self._level
        return level.limit if isinstance(level, RequestWindow) else level.capacity

    def returns_in(self, within_ns: int) -> int:
        """Units of a window that have come back after so many nanoseconds, whatever was used. Of a bucket none: what is
        kept of it is not lost to others in the long run."""
        level = self._level
        return level.limit * (within_ns // level.period_ns) if isinstance(level, RequestWindow) else 0

    def urgent_wait_ns(self, shortage: int, monotonic_ns: int) -> int:
        """Nanoseconds until `shortage` units more may be there for what must not wait; 0 when nothing is short."""
        level = self._level
        wait_ns = level.urgent_wait_ns if isinstance(level, RequestWindow) else level.wait_ns
        return wait_ns(shortage, monotonic_ns)

    def wait_ns(self, shortage: int, monotonic_ns: int) -> int:
        """Nanoseconds until `shortage` units more are there, if nothing else happens; 0 when nothing is short."""
        return self._level.wait_ns(shortage, monotonic_ns) if shortage > 0 else 0

    def see(self, left: int, until_ns: int) -> None:
        """Take over what an answer showed of a window (`RequestWindow.see`); nothing follows for a bucket."""
        if isinstance(self._level, RequestWindow):
            self._level.see(left, self.started, until_ns)

    def empty(self, monotonic_ns: int) -> None:
        """Nothing is left, as far as is known."""
        self._level.empty(monotonic_ns)

    def limited(self, units: int, monotonic_ns: int, until_ns: int) -> bool:
        """The venue has answered 429 to a request of `units`: nothing is left, and nothing comes before `until_ns`.
        Where there was enough by our count, somebody else spends here: half of the flow that we have used since the
        last 429 is taken to be theirs. Whether the flow has changed: not for requests that were under way together.
        """
        is_news = self.level_at(monotonic_ns) >= units
        self._level.empty(monotonic_ns, until_ns)
        if is_news:
            self._good = self._good if self.ours > self._good else max(self.ours // 2, 1)
            self.ours = self._good
            self._next_ns = max(monotonic_ns, until_ns) + QUIET_NS
            self._flow(monotonic_ns)
        return is_news

    def recover(self, monotonic_ns: int) -> bool:
        """Take back some of the flow when there was no 429 for long enough. Whether the flow has changed."""
        has_changed = False
        while 0 < self._next_ns <= monotonic_ns:
            self.ours = min(self.ours + STEP, WHOLE)
            self._flow(self._next_ns)
            self._next_ns = self._next_ns + STEP_NS if self.ours < WHOLE else 0
            has_changed = True
        return has_changed

    def query_wait_ns(self, units: int, floor: int, monotonic_ns: int) -> int:
        """Nanoseconds until a query may take `units`: what queries have saved they may use as soon as it is there, down
        to `floor`; more only while `KEPT_PERCENT` of the pool stays for orders. Changes nothing."""
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
