"""What a reconciler is made of."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from framework.domain.events import Event
from framework.domain.orders import Order
from framework.domain.ports import Clock
from framework.domain.venue import Gateway
from framework.reconciliation.differences import Difference
from framework.reconciliation.order_terms import AsOf
from framework.state.accounts import Accounts


def always(_client_order_id: str) -> bool:
    """Nobody knows what is under way: an answer may come until it is too late for one."""
    return True


class ReconcileDependencies(msgspec.Struct, frozen=True, kw_only=True):
    """What a reconciler needs.

    `interval_ms` is the schedule; later than `answer_ms_max` no answer comes any more; a position that differs for
    longer than `drift_ms_max` halts its instrument (C21). `is_ending` says whether an order is to end in any case,
    `is_under_way` whether a request about an order may still be answered. `on_pass` gets the differences after each
    pass.
    """

    venue: str
    gateway: Gateway
    accounts: Accounts
    publish: Callable[[Event], None]
    clock: Clock
    is_ending: Callable[[Order], bool]
    on_pass: Callable[[tuple[Difference, ...]], None]
    on_trouble: Callable[[str, str], None]
    is_under_way: Callable[[str], bool] = always
    interval_ms: int = 15_000
    answer_ms_max: int = 10_000
    drift_ms_max: int = 10_000

    @property
    def lag_ns(self) -> int:
        """How long the venue's reads may lag behind its writes."""
        return self.gateway.read_lag_ms * 1_000_000

    def as_of(self) -> AsOf:
        """Now, with the venue's read lag."""
        return AsOf.of(self.clock, lag_ms=self.gateway.read_lag_ms)
