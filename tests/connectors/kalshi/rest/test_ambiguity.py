"""A cancel's answer says what was taken off, not what traded: when that does not add up, no end is claimed."""

from __future__ import annotations

import pytest

from connectors.kalshi.wire.account_messages import OrderAck
from connectors.kalshi.wire.decode_acks import cancelled
from framework.domain.account_events import ReportKind
from framework.domain.errors import OutcomeUnknown
from framework.domain.intents import CancelOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order
from tests.connectors.kalshi.support import approved, order
from tests.connectors.support import START_NS

CANCEL = approved(CancelOrder(strategy="mm", client_order_id="tg-1"))


def ack(reduced_by: str | None) -> OrderAck:
    return OrderAck(order_id="97ec18b7-10d3-4557-9de0-8598aad625f0", reduced_by=reduced_by, ts_ms=1_781_159_364_112)


@pytest.mark.parametrize("known", [order(), None])
def test_cancel_when_all_that_we_believed_left_was_taken_off_then_the_order_has_ended(known: Order | None) -> None:
    (report,) = cancelled(CANCEL, ack("10.00"), ts_recv=START_NS, order=known)
    assert report.kind is ReportKind.CANCELLED


@pytest.mark.parametrize("reduced_by", ["6.00", "0.00", "15.00"])
def test_cancel_when_another_number_was_taken_off_then_nothing_is_claimed(reduced_by: str) -> None:
    assert cancelled(CANCEL, ack(reduced_by), ts_recv=START_NS, order=order()) == ()


def test_cancel_when_an_amend_is_unanswered_then_nothing_is_claimed_though_the_numbers_agree() -> None:
    amended = order(amend_price=Price(5600), amend_size=Size(1200))
    # Of the 12 contracts that it may have had by then, 2 may have traded.
    assert cancelled(CANCEL, ack("10.00"), ts_recv=START_NS, order=amended) == ()


def test_cancel_when_the_answer_does_not_say_how_much_then_the_order_has_ended() -> None:
    (report,) = cancelled(CANCEL, ack(None), ts_recv=START_NS, order=order())
    assert report.kind is ReportKind.CANCELLED


def test_cancel_when_the_number_cannot_be_read_then_the_outcome_is_unknown() -> None:
    with pytest.raises(OutcomeUnknown, match="can't be read"):
        cancelled(CANCEL, ack("ten"), ts_recv=START_NS, order=order())
