"""The closed lists and the encodings of the domain's words."""

from __future__ import annotations

from typing import get_args

import msgspec

from framework.domain.events import AccountEvent, Event, Fill, MarketEvent
from framework.domain.instruments import InstrumentId
from framework.domain.limits import RequestKind
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import OrderStatus, Side
from framework.domain.refusals import Refusal, RefusalCode, refusal_table


def test_refusal_table_when_printed_then_it_has_a_row_for_each_code() -> None:
    rows = refusal_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [code.name for code in RefusalCode]
    assert len({code.value for code in RefusalCode}) == len(RefusalCode)


def test_refusal_when_shown_then_code_and_numbers_are_there() -> None:
    assert repr(Refusal(RefusalCode.ORDER_SIZE_MAX, size=15, limit=10)) == "Refusal(ORDER_SIZE_MAX: size=15 limit=10)"


def test_events_when_encoded_then_the_union_tells_them_apart_again() -> None:
    fill = Fill(
        venue="kalshi",
        instrument=InstrumentId("kalshi:T"),
        fill_id="f",
        venue_order_id="v",
        client_order_id="c",
        side=Side.BUY,
        price=Price(5_200),
        size=Size(100),
        fee=Money(17_500),
        is_maker=False,
        ts_venue=1,
        ts_recv=2,
    )
    assert msgspec.msgpack.Decoder(Event).decode(msgspec.msgpack.encode(fill)) == fill


def test_events_when_classified_then_each_goes_to_the_tape_or_to_the_journal() -> None:
    assert not set(get_args(MarketEvent)) & set(get_args(AccountEvent))
    assert set(get_args(Event)) == set(get_args(MarketEvent)) | set(get_args(AccountEvent))


def test_priorities_when_sorted_then_cancels_go_first_and_queries_last() -> None:
    assert sorted(RequestKind, key=lambda kind: kind.priority) == [
        RequestKind.CANCEL,
        RequestKind.REDUCE,
        RequestKind.AMEND,
        RequestKind.NEW,
        RequestKind.QUERY,
    ]


def test_statuses_when_unknown_or_unsent_then_they_are_neither_final_nor_at_the_venue() -> None:
    for status in (OrderStatus.RECORDED, OrderStatus.SENT, OrderStatus.UNKNOWN):
        assert not status.is_final
        assert not status.is_at_venue
