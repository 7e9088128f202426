"""The form in which checks judge an intent, and what follows from it alone."""

from __future__ import annotations

import msgspec

from framework.domain.instruments import Instrument
from framework.domain.intents import AmendOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side
from framework.domain.rate_limits import RequestKind
from framework.domain.views import ExposureView, Proposal, RiskView


class OrderProposal(msgspec.Struct, frozen=True, kw_only=True):
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


def propose_new(intent: NewOrder, instrument: Instrument, view: RiskView) -> OrderProposal:
    """A new order: all of it could trade."""
    return OrderProposal(
        intent=intent,
        strategy=intent.strategy,
        instrument=instrument,
        side=intent.side,
        price=intent.price,
        open_size=intent.size,
        increase=intent.size,
        order=None,
        is_reducing=_is_reducing(intent.strategy, instrument, intent.side, intent.size, view),
    )


def propose_amend(intent: AmendOrder, order: Order, instrument: Instrument, view: RiskView) -> OrderProposal:
    """An amend: until the venue answers, the worse of the order before and after it could trade."""
    open_size = Size(max(intent.size - order.filled, 0))
    increase = Size(max(open_size - order.remaining_worst, 0))
    return OrderProposal(
        intent=intent,
        strategy=order.strategy,
        instrument=instrument,
        side=order.side,
        price=intent.price,
        open_size=open_size,
        increase=increase,
        order=order,
        is_reducing=_is_reducing(order.strategy, instrument, order.side, increase, view),
    )


def request_kind(proposal: Proposal) -> RequestKind:
    """Priority and price of the request that would carry it. An amend stays AMEND even when it only reduces,
    because the venue charges it as one."""
    if proposal.order is not None:
        return RequestKind.AMEND
    return RequestKind.REDUCE if proposal.is_reducing else RequestKind.NEW


def _is_reducing(strategy: str, instrument: Instrument, side: Side, increase: Size, view: RiskView) -> bool:
    """Whether every order of this side together with this one can at most close the position, in the account and
    in the strategy. Fills of the other side only add to what can be closed."""
    return _only_closes(view.exposure(instrument.id), side, increase) and _only_closes(
        view.strategy_exposure(strategy, instrument.id), side, increase
    )


def _only_closes(exposure: ExposureView, side: Side, increase: Size) -> bool:
    if side is Side.SELL:
        return exposure.position > 0 and exposure.position - exposure.open_sell - increase >= 0
    return exposure.position < 0 and exposure.position + exposure.open_buy + increase <= 0
