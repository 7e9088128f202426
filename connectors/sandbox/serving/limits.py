"""Rate limits of a venue, in exact integers: token buckets with continuous refill, and windows of requests.

The frame asks none of them: a venue draws on its own in the answers of its endpoints.
"""

from collections.abc import Sequence

from connectors.sandbox.engine.model import NS_PER_S


class TokenBucket:
    """`refill_rate` tokens a second, up to `capacity`; full at `now_ns`.

    `accepted` and `refused` count the draws. Times are nanoseconds of any one clock; a time before the newest one seen
    refills nothing.
    """

    def __init__(self, refill_rate: int, capacity: int, *, now_ns: int) -> None:
        self.refill_rate = refill_rate
        self.capacity = capacity
        self.accepted = 0
        self.refused = 0
        # Billionths of a token: a nanosecond refills `refill_rate` of them, so no fraction is lost between two looks.
        self._nanotokens = capacity * NS_PER_S
        self._updated_ns = now_ns

    def take(self, cost: int, now_ns: int) -> bool:
        """Draw `cost` tokens. False, and nothing is drawn, when fewer are there."""
        self._refill(now_ns)
        if cost * NS_PER_S > self._nanotokens:
            self.refused += 1
            return False
        self._nanotokens -= cost * NS_PER_S
        self.accepted += 1
        return True

    def tokens(self, now_ns: int) -> int:
        """Whole tokens there at `now_ns`, from 0 to the capacity."""
        self._refill(now_ns)
        return self._nanotokens // NS_PER_S

    def _refill(self, now_ns: int) -> None:
        elapsed_ns = now_ns - self._updated_ns
        if elapsed_ns > 0:
            self._nanotokens = min(self.capacity * NS_PER_S, self._nanotokens + elapsed_ns * self.refill_rate)
            self._updated_ns = now_ns


def take_from_all(buckets: Sequence[TokenBucket], cost: int, *, now_ns: int) -> bool:
    """Draw `cost` tokens from every bucket, or from none when one of them has too few."""
    if any(bucket.tokens(now_ns) < cost for bucket in buckets):
        return False
    for bucket in buckets:
        bucket.take(cost, now_ns)
    return True


class RateLimits:
    """The buckets of all accounts: `pools` gives (refill_rate, capacity) by pool name, each account gets its own."""

    def __init__(self, pools: dict[str, tuple[int, int]]) -> None:
        self.pools = dict(pools)
        self._buckets: dict[tuple[str, str], TokenBucket] = {}

    def bucket(self, account: str, pool: str, *, now_ns: int) -> TokenBucket:
        """The bucket of an account in a pool, made full when first used. Raises `KeyError` for an unknown pool."""
        bucket = self._buckets.get((account, pool))
        if bucket is None:
            refill_rate, capacity = self.pools[pool]
            bucket = self._buckets[account, pool] = TokenBucket(refill_rate, capacity, now_ns=now_ns)
        return bucket

    def take(self, account: str, pool: str, *, cost: int, now_ns: int) -> bool:
        """Charge one request of `cost` tokens; False means that the venue answers 429.

        Raises `KeyError` for an unknown pool.
        """
        return self.bucket(account, pool, now_ns=now_ns).take(cost, now_ns)

    def counts(self) -> dict[str, dict[str, int]]:
        """How many requests each bucket accepted and refused so far, by "account/pool"."""
        return {
            f"{account}/{pool}": {"accepted": bucket.accepted, "refused": bucket.refused}
            for (account, pool), bucket in sorted(self._buckets.items())
        }


class RequestWindow:
    """`limit` of weight in each window of `period_ns`; windows follow one another on the venue's clock, from 0.

    `accepted` and `refused` count the draws. Times are nanoseconds of any one clock.
    """

    def __init__(self, limit: int, period_ns: int) -> None:
        self.limit = limit
        self.accepted = 0
        self.refused = 0
        self._period_ns = period_ns
        self._window = -1
        self._used = 0

    def take(self, weight: int, now_ns: int) -> bool:
        """Draw `weight`. False, and nothing is drawn, when the window has less left."""
        if weight > self.remaining(now_ns):
            self.refused += 1
            return False
        self._used += weight
        self.accepted += 1
        return True

    def remaining(self, now_ns: int) -> int:
        """What is left in the window of `now_ns`."""
        window = now_ns // self._period_ns
        if window > self._window:
            self._window, self._used = window, 0
        return self.limit - self._used

    def resets_s(self, now_ns: int) -> int:
        """Whole seconds until the next window, at least 1."""
        return max(1, -(-(self._period_ns - now_ns % self._period_ns) // NS_PER_S))

    def headers(self, now_ns: int, prefix: str = "X-RateLimit") -> dict[str, str]:
        """`-Limit`, `-Remaining` and `-Reset` (seconds) under a prefix, as most venues write them."""
        return {
            f"{prefix}-Limit": str(self.limit),
            f"{prefix}-Remaining": str(self.remaining(now_ns)),
            f"{prefix}-Reset": str(self.resets_s(now_ns)),
        }
