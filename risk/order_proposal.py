"""The form in which checks judge an intent, and what follows from it alone."""

from __future__ import annotations

import msgspec

from framework.domain.account_events import Scope, TradingState
from framework.domain.instruments import Instrument
from framework.domain.intents import AmendOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side, Trigger
from framework.domain.rate_limits import RequestKind
from framework.domain.views import ExposureView, Proposal, RiskView


class OrderProposal(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A new order or an amend, as it would be if approved; implements `framework.domain.views.Proposal`.

    Prices and sizes are scaled by the instrument's decimals; `order` is None for a new order.
    """

    intent: NewOrder | AmendOrder
    strategy: str
    instrument: Instrument
    side: Side
    price: Price
    open_size: Size
    increase: Size
    order: Order | None
    is_reducing: bool


def propose_new(intent: NewOrder, instrument: Instrument, view: RiskView, *, is_counted: bool = False) -> OrderProposal:
    """A new order: all of it could trade. `is_counted`: it was approved before; the exposures hold it already, and the
    increase is 0."""
    increase = Size(0) if is_counted else intent.size
    return OrderProposal(
        intent=intent,
        strategy=intent.strategy,
        instrument=instrument,
        side=intent.side,
        price=intent.price,
        open_size=intent.size,
        increase=increase,
        order=None,
        is_reducing=_closes_both(intent.strategy, instrument, intent.side, increase, view),
    )


def propose_amend(
    intent: AmendOrder, order: Order, instrument: Instrument, view: RiskView, *, is_counted: bool = False
) -> OrderProposal:
    """An amend: until the venue answers, the worse of the order before and after it could trade. `is_counted` as in
    `propose_new`."""
    open_size = Size(max(intent.size - order.filled, 0))
    increase = Size(0) if is_counted else Size(max(open_size - order.remaining_worst, 0))
    return OrderProposal(
        intent=intent,
        strategy=order.strategy,
        instrument=instrument,
        side=order.side,
        price=intent.price,
        open_size=open_size,
        increase=increase,
        order=order,
        is_reducing=_closes_both(order.strategy, instrument, order.side, increase, view),
    )


def trigger_of(proposal: Proposal) -> Trigger | None:
    """The condition on which the order goes to the book: of a new order its own, of an amend that of the order."""
    if isinstance(proposal.intent, NewOrder):
        return proposal.intent.trigger
    return None if proposal.order is None else proposal.order.trigger


def request_kind(proposal: Proposal) -> RequestKind:
    """Priority and price of the request that would carry it. An amend stays AMEND even when it only reduces,
    because the venue charges it as one. What closes a strategy's position and opens one of the account is NEW, also
    while the strategy is REDUCING: the reserve is there to make the account smaller."""
    if proposal.order is not None:
        return RequestKind.AMEND
    return RequestKind.REDUCE if proposal.is_reducing else RequestKind.NEW


def passes_reducing(strategy: str, instrument: Instrument, side: Side, increase: Size, view: RiskView) -> bool:
    """The rule of REDUCING (C14), for an order of which `increase` more could trade (scaled by the size decimals).

    Each scope that is REDUCING is judged in its own position: a strategy in the strategy's, and an instrument, a venue
    or everything in the account's. There the order, with all open ones of its side, can at most close the position; the
    strictest scope wins. True when no scope is REDUCING.
    """
    account_scopes = ((Scope.GLOBAL, ""), (Scope.VENUE, instrument.venue), (Scope.INSTRUMENT, instrument.id))
    if any(view.is_set(scope, target, TradingState.REDUCING) for scope, target in account_scopes) and (
        not _only_closes(view.exposure(instrument.id), side, increase)
    ):
        return False
    return not view.is_set(Scope.STRATEGY, strategy, TradingState.REDUCING) or _only_closes(
        view.strategy_exposure(strategy, instrument.id), side, increase
    )


def closes_strategy(proposal: Proposal, view: RiskView) -> bool:
    """Whether it is an exit of its strategy: with all the strategy's open orders of its side it can at most close
    the strategy's position, whatever the account holds."""
    exposure = view.strategy_exposure(proposal.strategy, proposal.instrument.id)
    return _only_closes(exposure, proposal.side, proposal.increase)


def shrinks(proposal: Proposal) -> bool:
    """Whether it is an amend after which less could trade than now, at whatever price: the worst case is smaller."""
    return proposal.order is not None and proposal.open_size < proposal.order.remaining_worst


def _closes_both(strategy: str, instrument: Instrument, side: Side, increase: Size, view: RiskView) -> bool:
    """Whether every order of this side together with this one can at most close the position, in the account and
    in the strategy. Fills of the other side only add to what can be closed."""
    return _only_closes(view.exposure(instrument.id), side, increase) and _only_closes(
        view.strategy_exposure(strategy, instrument.id), side, increase
    )


def _only_closes(exposure: ExposureView, side: Side, increase: Size) -> bool:
    if side is Side.SELL:
        return exposure.position > 0 and exposure.position - exposure.open_sell - increase >= 0
    return exposure.position < 0 and exposure.position + exposure.open_buy + increase <= 0
