"""How strategies share one pool: each saves its part of the flow, and what none has saved is common to all. Reducing
requests may borrow beyond that, each strategy's a little, from what its own flow pays back first."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush

from risk.budget.levels import NEVER_NS


class _Account:
    """What one strategy has saved; negative while it owes. `full_ns` is when it will be full, -1 once it is;
    `queued_ns` when that is looked at next: never later than `full_ns`, so that using the account need not touch the
    queue. `lent` is the part of what it owes that its reducing requests borrowed, at most `credit`."""

    __slots__ = ("at_ns", "capacity", "credit", "full_ns", "lent", "lent_ns", "level", "queued_ns", "rate")

    def __init__(self, *, capacity: int, credit: int, rate: int, at_ns: int) -> None:
        self.capacity = capacity
        self.credit = credit
        self.rate = rate
        self.level = self.lent = 0
        self.at_ns = self.lent_ns = at_ns
        self.full_ns = NEVER_NS
        self.queued_ns = NEVER_NS

    def level_at(self, monotonic_ns: int) -> int:
        return min(self.level + (monotonic_ns - self.at_ns) * self.rate, self.capacity)

    def lent_at(self, monotonic_ns: int) -> int:
        """What is borrowed still: the flow pays it back before anything else that is owed."""
        left = self.lent - (monotonic_ns - self.lent_ns) * self.rate
        return min(max(left, 0), max(-self.level_at(monotonic_ns), 0))


class FairShare:
    """The pool's refill is credited by weight to the strategies' accounts, each up to its weight's part of
    `capacity`: what the pool can hold beyond the cancels' reserve and one request. What the pool holds beyond the sum
    of the accounts is common: any strategy may use it.

    So while others are idle, their accounts are full and one strategy may use the whole flow; what they have saved
    stays for them. As soon as they want it, each has its weight's part of the flow and its savings left. A
    strategy whose part is smaller than one request lives from what is common. Where the pool has less than was saved
    (cancels went into debt, the venue said 429), nothing is common until it has caught up.

    Reducing requests have precedence, not impunity. They may use what is the strategy's own and what is common, like
    others; beyond that they borrow from `reserve`, the part of the pool that is kept for them: each strategy its
    weight's part, at least one request of `request` units. So they take from other strategies neither flow nor savings.
    A borrowed token keeps new orders waiting until it is back; so, beyond one request, no more is lent than the
    smallest account can hold beside a request of its own.

    Exact integers in the pool's units. A decision costs O(1), and O(log strategies) when an account has become full
    since the last one. Reading settles what has flowed; how often that is done makes no difference.
    """

    __slots__ = ("_accounts", "_at_ns", "_filling", "_filling_rate", "_kept", "_reserve", "_saved")

    def __init__(
        self,
        weights: Mapping[str, int],
        *,
        capacity: int,
        rate_per_weight: int,
        at_ns: int,
        reserve: int = 0,
        request: int = 0,
    ) -> None:
        total = sum(weights.values())
        least = min((capacity * weight // total for weight in weights.values()), default=0)
        lendable = min(reserve, max(least - request, request))
        self._reserve, self._kept = reserve, reserve - lendable
        self._at_ns = at_ns
        self._saved = 0
        self._filling: list[tuple[int, str]] = []
        self._filling_rate = rate_per_weight * total
        self._accounts = {
            strategy: _Account(
                capacity=capacity * weight // total,
                credit=max(lendable * weight // total, min(lendable, request)),
                rate=rate_per_weight * weight,
                at_ns=at_ns,
            )
            for strategy, weight in weights.items()
        }
        for strategy, account in self._accounts.items():
            self._schedule(strategy, account)

    def available(self, strategy: str, room: int, monotonic_ns: int) -> int:
        """Units of the `room` in the pool that the strategy may use: its own and the common ones."""
        self._flow(monotonic_ns)
        common = room - self._saved
        account = self._accounts.get(strategy)
        own = account.level_at(monotonic_ns) if account else 0
        return min(own + common if common > 0 else own, room)

    def available_reducing(self, strategy: str, room: int, monotonic_ns: int) -> int:
        """Units that the strategy's reducing requests may use, of a pool with `room` beside the cancels' reserve; below
        0 while that is short."""
        self._flow(monotonic_ns)
        common = max(room - self._reserve - self._saved, 0)
        if (account := self._accounts.get(strategy)) is None:
            return min(common, room)
        own = max(account.level_at(monotonic_ns), 0)
        return min(own + common + account.credit - account.lent_at(monotonic_ns), room - self._kept)

    def saved_at(self, monotonic_ns: int) -> int:
        """Units that all accounts have saved at a time, or a little more: accounts that become full until then are
        taken to go on filling. Settles nothing: for those who are not the kernel."""
        return self._saved + max(monotonic_ns - self._at_ns, 0) * self._filling_rate

    def wait_reducing_ns(self, strategy: str, units: int, room: int, monotonic_ns: int) -> int:
        """Nanoseconds until the strategy's reducing requests may use `units`, by its own flow alone: others may make it
        shorter."""
        missing = units - self.available_reducing(strategy, room, monotonic_ns)
        account = self._accounts.get(strategy)
        if missing <= 0:
            return 0
        return -(-missing // account.rate) if account else NEVER_NS

    def wait_ns(self, strategy: str, units: int, room: int, monotonic_ns: int) -> int:
        """Nanoseconds until the strategy may use `units` of a pool with `room` now, if no strategy uses anything
        meanwhile and no account becomes full. The pool itself may need longer."""
        missing = units - self.available(strategy, room, monotonic_ns)
        if missing <= 0:
            return 0
        account = self._accounts.get(strategy)
        rate = account.rate if account and account.full_ns >= 0 else 0
        spill = sum(each.rate for each in self._accounts.values()) - self._filling_rate
        shortage = missing + max(self._saved - room, 0)
        waits = [-(-missing // rate)] if rate else []
        if spill + rate:
            waits.append(-(-shortage // (spill + rate)))
        return min(waits, default=NEVER_NS)

    def take(self, strategy: str, units: int, monotonic_ns: int) -> None:
        """Use units: own ones as far as there are any. The rest was common: it is gone from the pool by itself."""
        self._flow(monotonic_ns)
        account = self._accounts.get(strategy)
        if account:
            level = account.level_at(monotonic_ns)
            self._set(strategy, account, min(level, max(level - units, 0)), monotonic_ns)

    def take_reducing(self, strategy: str, units: int, room: int, monotonic_ns: int) -> None:
        """Use units for a reducing request, of a pool with `room` beside the cancels' reserve: own ones, then common
        ones, and the rest is borrowed."""
        self._flow(monotonic_ns)
        account = self._accounts.get(strategy)
        if account:
            level, lent = account.level_at(monotonic_ns), account.lent_at(monotonic_ns)
            own = min(max(level, 0), units)
            borrowed = max(units - own - max(room - self._reserve - self._saved, 0), 0)
            self._set(strategy, account, level - own - borrowed, monotonic_ns)
            account.lent, account.lent_ns = lent + borrowed, monotonic_ns

    def owe(self, strategy: str, units: int, monotonic_ns: int) -> None:
        """Use units that may not be refused: the account goes into debt, at most as deep as it is high."""
        self._flow(monotonic_ns)
        account = self._accounts.get(strategy)
        if account:
            level = account.level_at(monotonic_ns)
            self._set(strategy, account, min(level, max(level - units, -account.capacity)), monotonic_ns)

    def give_back(self, strategy: str, units: int, monotonic_ns: int) -> None:
        """Return units that were never spent; what does not fit is common by itself."""
        self._flow(monotonic_ns)
        account = self._accounts.get(strategy)
        if account:
            level = account.level_at(monotonic_ns)
            self._set(strategy, account, min(level + units, account.capacity), monotonic_ns)

    def _set(self, strategy: str, account: _Account, level: int, monotonic_ns: int) -> None:
        self._saved += level - account.level_at(monotonic_ns)
        account.level, account.at_ns = level, monotonic_ns
        if account.full_ns < 0:
            if level == account.capacity:
                return
            self._filling_rate += account.rate
        self._schedule(strategy, account)

    def _schedule(self, strategy: str, account: _Account) -> None:
        account.full_ns = account.at_ns + -(-(account.capacity - account.level) // account.rate)
        if account.full_ns < account.queued_ns:
            account.queued_ns = account.full_ns
            heappush(self._filling, (account.full_ns, strategy))

    def _flow(self, monotonic_ns: int) -> None:
        """Bring the sum of the accounts up to a time, account by account as they become full."""
        if monotonic_ns <= self._at_ns:
            return
        while self._filling and self._filling[0][0] <= monotonic_ns:
            queued_ns, strategy = heappop(self._filling)
            account = self._accounts[strategy]
            if queued_ns != account.queued_ns:
                continue  # An earlier entry took its place.
            account.queued_ns = NEVER_NS
            if account.full_ns > queued_ns:
                self._schedule(strategy, account)  # It was used since: look again when it will be full.
            elif account.full_ns >= 0:
                self._become_full(account)
        self._saved += (monotonic_ns - self._at_ns) * self._filling_rate
        self._at_ns = monotonic_ns

    def _become_full(self, account: _Account) -> None:
        surplus = account.level + (account.full_ns - account.at_ns) * account.rate - account.capacity
        self._saved += (account.full_ns - self._at_ns) * self._filling_rate - surplus
        self._at_ns = account.full_ns
        self._filling_rate -= account.rate
        account.level, account.at_ns, account.full_ns = account.capacity, account.full_ns, -1
