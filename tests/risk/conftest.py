from __future__ import annotations

import pytest

from framework.domain.instruments import Instrument
from framework.domain.intents import AmendOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side
from framework.domain.views import Proposal
from risk.order_proposal import propose_amend, propose_new
from tests.support.risk_view import BINARY, Propose, StaticView, new_order


@pytest.fixture
def view() -> StaticView:
    return StaticView()


@pytest.fixture
def propose(view: StaticView) -> Propose:
    """A new order as the checks see it."""

    def make(
        instrument: Instrument = BINARY, side: Side = Side.BUY, price: int = 5_000, size: int = 1_000, **terms: object
    ) -> Proposal:
        return propose_new(new_order(instrument, side, price, size, **terms), instrument, view)

    return make


@pytest.fixture
def propose_change(view: StaticView) -> Propose:
    """An amend of an order as the checks see it."""

    def make(order: Order, *, price: int = 5_000, size: int = 1_000, instrument: Instrument = BINARY) -> Proposal:
        intent = AmendOrder(
            strategy=order.strategy, client_order_id=order.client_order_id, price=Price(price), size=Size(size)
        )
        return propose_amend(intent, order, instrument, view)

    return make
