"""Answers as reports: what they state, and never a fill."""

from __future__ import annotations

import msgspec
import pytest

from connectors.client.wire.reports import (
    Ack,
    accepted,
    amended,
    decoded_ack,
    order_to_change,
    refused,
    report,
)
from framework.domain.account_events import OrderReport, ReportKind
from framework.domain.errors import OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, Intent
from framework.domain.numbers import Price, Size
from framework.domain.orders import TimeInForce
from tests.connectors.support import approved, new_order, order

ACK = Ack("v-1", 9, 7)
NEW = new_order(time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)
AMEND = AmendOrder(strategy="mm", client_order_id="tg-1", price=Price(5500), size=Size(1500))
CANCEL = CancelOrder(strategy="mm", client_order_id="tg-1")


def test_report_when_made_then_it_names_the_order_by_both_ids_and_both_times() -> None:
    assert report(approved(CANCEL), ReportKind.CANCEL_PENDING, ACK, detail="received") == OrderReport(
        venue="tide",
        client_order_id="tg-1",
        kind=ReportKind.CANCEL_PENDING,
        ts_recv=9,
        ts_venue=7,
        venue_order_id="v-1",
        detail="received",
    )


@pytest.mark.parametrize(
    ("filled", "remaining", "kinds"),
    [
        (None, None, ["accepted"]),
        (Size(0), Size(1000), ["accepted"]),
        (Size(400), Size(600), ["accepted"]),
        (Size(1000), Size(0), ["accepted"]),
        (Size(400), Size(0), ["accepted", "cancelled"]),
        (Size(0), Size(0), ["accepted", "cancelled"]),
        (Size(400), None, ["accepted"]),
        (None, Size(0), ["accepted"]),
    ],
)
def test_new_order_when_answered_then_its_end_is_reported_only_where_the_answer_shows_it(
    filled: Size | None, remaining: Size | None, kinds: list[str]
) -> None:
    events = accepted(approved(NEW), NEW, ACK, filled=filled, remaining=remaining)
    assert [event.kind.value for event in events] == kinds
    assert [event.filled for event in events] == [filled] * len(kinds)


def test_amend_when_done_then_price_and_total_are_those_asked_for() -> None:
    (event,) = amended(approved(AMEND), AMEND, ACK)
    assert (event.kind, event.price, event.size, event.filled) == (ReportKind.AMENDED, 5500, 1500, None)


@pytest.mark.parametrize(
    ("intent", "kind"),
    [
        (NEW, ReportKind.REJECTED),
        (AMEND, ReportKind.AMEND_REFUSED),
        (CANCEL, ReportKind.CANCEL_REFUSED),
        (CancelAll(strategy="", venue="tide"), ReportKind.CANCEL_REFUSED),
    ],
)
def test_refusal_when_reported_then_its_kind_is_that_of_the_request(intent: Intent, kind: ReportKind) -> None:
    (event,) = refused(approved(intent), RefusedByVenue("not_found: 7", "no such order"), ts_recv=9)
    assert (event.kind, event.code, event.detail, event.ts_recv) == (
        kind,
        "not_found",
        "no such order",
        9,
    )


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"id":7}', b"\xff\xfe"])
def test_answer_when_it_can_not_be_read_then_the_outcome_is_unknown(body: bytes) -> None:
    with pytest.raises(OutcomeUnknown, match="can't be read"):
        decoded_ack(body, msgspec.json.Decoder(dict[str, str]).decode)


def test_change_when_the_order_or_its_id_is_not_known_then_it_is_not_sent() -> None:
    assert order_to_change(approved(CANCEL), order()) == order()
    with pytest.raises(Retryable, match="look the order up"):
        order_to_change(approved(CANCEL), order(venue_order_id=""))
    with pytest.raises(RefusedByVenue, match="nothing is known"):
        order_to_change(approved(CANCEL), None)
