"""What a reconciler needs from the rest of the daemon."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from framework.domain.account_events import OrderSnapshot
from framework.domain.errors import Retryable
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.domain.orders import Order, OrderKind
from framework.domain.ports import Clock
from framework.domain.terms import UNDECLARED, VenueTerms
from framework.domain.venue import Gateway
from framework.reconciliation.differences import Difference
from framework.reconciliation.order_terms import AsOf
from framework.state.accounts import Accounts


def always(_client_order_id: str) -> bool:
    """The default of `is_under_way`, for a caller that does not know it: an answer may come until it is too late."""
    return True


def leave(_instrument: InstrumentId) -> None:
    """The default of `reread`, for a caller that can't read an instrument again."""


def undeclared() -> VenueTerms:
    """The default of `terms`, for a venue that lists everything."""
    return UNDECLARED


def unheard(_text: str) -> None:
    """The default of `on_alarm`, for a caller without an operator."""


class ReconcileDependencies(msgspec.Struct, frozen=True, kw_only=True):
    """What a reconciler of one venue account needs.

    `publish` gives an event to the kernel. `is_ending` says whether an order is to end in any case, `is_under_way`
    whether a request about the order with this client order id may still be answered. `on_pass` gets the differences
    after each pass, `on_trouble` the venue and a sentence when it can't be asked. With `adopt_own`, open orders with
    ids in our format that this journal does not know are adopted in the operator's name. `reread` has an instrument
    read again at the venue, and returns at once. `terms` says what the venue offers now, `on_alarm` gets
    sentences that an operator must see.

    All times in milliseconds: `interval_ms` from one scheduled pass to the next; later than `answer_ms_max` after a
    request no answer comes any more; a position that is apart for `drift_ms_max` halts its instrument (C21).
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
    adopt_own: bool = False
    reread: Callable[[InstrumentId], None] = leave
    terms: Callable[[], VenueTerms] = undeclared
    on_alarm: Callable[[str], None] = unheard

    @property
    def lag_ns(self) -> int:
        """How long the venue's reads may lag behind its writes, in nanoseconds; the gateway knows it."""
        return self.gateway.read_lag_ms * 1_000_000

    async def find_order(self, order: Order) -> OrderSnapshot | None:
        """The order as the venue shows it, None when it shows none. Raises what the gateway raises, and `Retryable` for
        one without an id of ours that may be that of another order like it, whose answer is still awaited."""
        found = await self.gateway.find_order(order, is_claimed=self._is_claimed)
        is_known = order.venue_order_id != "" or self.terms().client_ids
        if found is not None and not is_known and (twin := self._twin_under_way(order)) is not None:
            raise Retryable(f"{found.venue_order_id} may be {order.client_order_id} or {twin.client_order_id}")
        return found

    def _twin_under_way(self, order: Order) -> Order | None:
        """Another order of the same terms that is on its way, and of which the venue's id is not known yet."""
        twins = (one for one in self.accounts.orders.open() if not one.venue_order_id and _are_alike(one, order))
        return next((one for one in twins if one is not order and self.is_under_way(one.client_order_id)), None)

    def _is_claimed(self, venue_order_id: str) -> bool:
        return self.accounts.orders.by_venue_id(self.venue, venue_order_id) is not None

    def as_of(self) -> AsOf:
        """The present with the venue's read lag: take it before asking the venue."""
        return AsOf.of(self.clock, lag_ms=self.gateway.read_lag_ms)


def _are_alike(one: Order, other: Order) -> bool:
    """Whether a venue that shows the content alone shows both as the same: market orders without their price."""
    is_priced, is_sized = other.kind is OrderKind.LIMIT, not other.quote_amount
    return (
        (one.instrument, one.side, one.kind) == (other.instrument, other.side, other.kind)
        and (one.price == other.price or not is_priced)
        and (one.size == other.size or not is_sized)
    )
