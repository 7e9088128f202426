"""How strategies share one pool: each has an account of its own, and what full accounts spill is for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush

from risk.token_pool import NEVER_NS


class _Account:
    """What one strategy has saved. `full_ns` is when it will be full, -1 once it is; `queued_ns` when that is
    looked at next: never later, so that using the account need not touch the queue."""

    __slots__ = ("at_ns", "capacity", "full_ns", "level", "queued_ns", "rate")

    def __init__(self, *, capacity: int, rate: int, at_ns: int) -> None:
        self.capacity = capacity
        self.rate = rate
        self.level = 0
        self.at_ns = at_ns
        self.full_ns = NEVER_NS
        self.queued_ns = NEVER_NS

    def level_at(self, monotonic_ns: int) -> int:
        return min(self.level + (monotonic_ns - self.at_ns) * self.rate, self.capacity)


class FairShare:
    """The pool's refill is split by weight into the strategies' accounts; an account holds at most the same part
    of the pool's capacity (but always one request). What flows to a full account spills into a common one.

    So while others are idle their accounts are full and one strategy may use the whole flow; as soon as they
    want theirs, each is left with its weight's part of the flow and what it saved. Exact integers in the pool's
    units; a decision costs O(1), and O(log strategies) when an account has become full since the last one.
    Reading settles what has flowed; it does not matter how often that is done.
    """

    __slots__ = ("_accounts", "_common", "_common_at_ns", "_common_capacity", "_filling", "_spill_rate")

    def __init__(
        self, weights: Mapping[str, int], *, capacity: int, rate_per_weight: int, request_max: int, at_ns: int
    ) -> None:
        total = sum(weights.values())
        self._common = 0
        self._common_at_ns = at_ns
        self._common_capacity = capacity
        self._spill_rate = 0
        self._filling: list[tuple[int, str]] = []
        self._accounts = {
            strategy: _Account(
                capacity=max(capacity * weight // total, request_max), rate=rate_per_weight * weight, at_ns=at_ns
            )
            for strategy, weight in weights.items()
        }
        for strategy, account in self._accounts.items():
            self._schedule(strategy, account)

    def available(self, strategy: str, monotonic_ns: int) -> int:
        """Units that the strategy may use: its own and the common ones. A debt of its own is paid first."""
        self._flow(monotonic_ns)
        account = self._accounts.get(strategy)
        return self._common + (account.level_at(monotonic_ns) if account else 0)

    def wait_ns(self, strategy: str, shortage: int, monotonic_ns: int) -> int:
        """Time until `shortage` more units are there, if no other account becomes full before."""
        if shortage <= 0:
            return 0
        self._flow(monotonic_ns)
        account = self._accounts.get(strategy)
        rate = self._spill_rate + (account.rate if account and account.full_ns >= 0 else 0)
        return -(-shortage // rate) if rate else NEVER_NS

    def take(self, strategy: str, units: int, monotonic_ns: int, *, common_max: int) -> None:
        """Use units: own ones first, then common ones. `common_max`: what is physically left after it; the common
        account may not promise more, or a burst of the past would be paid out again when others come back."""
        self._flow(monotonic_ns)
        own = 0
        account = self._accounts.get(strategy)
        if account:
            own = min(max(account.level_at(monotonic_ns), 0), units)
            self._change(strategy, account, -own, monotonic_ns)
        self._common = max(min(self._common - (units - own), common_max), 0)

    def owe(self, strategy: str, units: int, monotonic_ns: int, *, common_max: int) -> None:
        """Use units that may not be refused: the account goes into debt, at most as deep as it is high."""
        self._flow(monotonic_ns)
        account = self._accounts.get(strategy)
        if account:
            room = account.level_at(monotonic_ns) + account.capacity
            self._change(strategy, account, -min(units, room), monotonic_ns)
        self._common = max(min(self._common, common_max), 0)

    def give_back(self, strategy: str, units: int, monotonic_ns: int) -> None:
        """Return units that were never spent; what does not fit is common."""
        self._flow(monotonic_ns)
        account = self._accounts.get(strategy)
        own = min(account.capacity - account.level_at(monotonic_ns), units) if account else 0
        if account:
            self._change(strategy, account, own, monotonic_ns)
        self._common = min(self._common + units - own, self._common_capacity)

    def _change(self, strategy: str, account: _Account, units: int, monotonic_ns: int) -> None:
        account.level = account.level_at(monotonic_ns) + units
        account.at_ns = monotonic_ns
        if account.full_ns < 0 and account.level < account.capacity:
            self._spill_rate -= account.rate
            self._schedule(strategy, account)
        elif account.full_ns >= 0:
            self._schedule(strategy, account)

    def _schedule(self, strategy: str, account: _Account) -> None:
        if not account.rate:
            return
        account.full_ns = account.at_ns + -(-(account.capacity - account.level) // account.rate)
        if account.full_ns < account.queued_ns:
            account.queued_ns = account.full_ns
            heappush(self._filling, (account.full_ns, strategy))

    def _flow(self, monotonic_ns: int) -> None:
        """Bring the common account up to a time, account by account as they become full."""
        while self._filling and self._filling[0][0] <= monotonic_ns:
            queued_ns, strategy = heappop(self._filling)
            account = self._accounts[strategy]
            if queued_ns != account.queued_ns:
                continue  # An earlier entry took its place.
            account.queued_ns = NEVER_NS
            if account.full_ns > queued_ns:
                self._schedule(strategy, account)  # It was used since: look again when it will be full.
            else:
                self._become_full(account)
        self._spill(monotonic_ns)

    def _become_full(self, account: _Account) -> None:
        self._spill(account.full_ns)
        surplus = account.level + (account.full_ns - account.at_ns) * account.rate - account.capacity
        self._common = min(self._common + surplus, self._common_capacity)
        account.level, account.at_ns, account.full_ns = account.capacity, account.full_ns, -1
        self._spill_rate += account.rate

    def _spill(self, monotonic_ns: int) -> None:
        elapsed_ns = monotonic_ns - self._common_at_ns
        if elapsed_ns > 0:
            self._common = min(self._common + elapsed_ns * self._spill_rate, self._common_capacity)
            self._common_at_ns = monotonic_ns
