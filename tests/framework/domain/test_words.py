"""The closed lists and the encodings of the domain's words."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from framework.domain.account_events import AccountEvent, Fill
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import MarketEvent
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import OrderStatus, Side
from framework.domain.rate_limits import RequestKind
from framework.domain.verdicts import OLD_SPELLINGS, Refusal, RefusalCode, Refused, refusal_table
from framework.persistence.journal.records import decode_record, encode_record

OLD_REFUSAL = (
    b"\x94\x03\x05\x07\x96\xa7Refused\x93\xabCancelOrder\xa2mm\xa0\xd9L"
    b"The intent is not one: a wrong type, a float, a negative or a missing value.\xa5why=x\xa4gate\x05"
)
"""A record as it was written when the value of a code was its sentence."""


def test_refusal_table_when_printed_then_it_has_a_row_for_each_code() -> None:
    rows = refusal_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [code.value for code in RefusalCode]
    assert len({code.meaning for code in RefusalCode if code.meaning}) == len(RefusalCode)


def test_refusal_code_when_written_then_it_is_its_own_name() -> None:
    assert [code.value for code in RefusalCode] == [code.name for code in RefusalCode]


@pytest.mark.parametrize(("old", "code"), OLD_SPELLINGS.items())
def test_refusal_code_when_it_was_written_in_an_old_spelling_then_it_is_read(old: str, code: str) -> None:
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=RefusalCode)
    assert decoded.value == code


def test_refusal_codes_when_old_spellings_are_counted_then_each_code_of_then_has_its_sentence() -> None:
    sentences = [old for old in OLD_SPELLINGS if old.endswith(".")]
    assert len(sentences) == len({OLD_SPELLINGS[old] for old in sentences}) == 28


def test_refusal_code_when_the_spelling_is_unknown_then_it_is_not_guessed() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'"Because."', type=RefusalCode)
    with pytest.raises(ValueError, match="Because"):
        RefusalCode("Because.")


def test_refusal_when_its_record_holds_a_sentence_then_it_is_read_and_written_again_as_a_code() -> None:
    entry = decode_record(3, OLD_REFUSAL)
    assert isinstance(entry.record.body, Refused)
    assert (entry.record.body.code, entry.record.body.detail) == (RefusalCode.INVALID_INTENT, "why=x")
    assert b"\xaeINVALID_INTENT\xa5why=x" in encode_record(entry.record)


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
