from __future__ import annotations

import asyncio

import msgspec

from framework.domain.intents import CancelOrder
from framework.domain.rate_limits import RequestKind
from framework.execution.request_queue import Outbox, Parcel
from tests.support.state_records import cancel, new
from tests.support.world import settle


def parcel(name: str, kind: RequestKind) -> Parcel:
    approved = cancel(name) if kind is RequestKind.CANCEL else new(name)
    return Parcel(msgspec.structs.replace(approved, request_kind=kind))


def test_outbox_when_several_wait_then_cancels_go_first_and_new_orders_last() -> None:
    outbox = Outbox()
    for kind in (RequestKind.NEW, RequestKind.AMEND, RequestKind.CANCEL, RequestKind.REDUCE):
        outbox.push(parcel(kind.value, kind))

    taken = [outbox.pop() for _ in range(4)]

    assert [one.approved.request_kind for one in taken if one] == [
        RequestKind.CANCEL,
        RequestKind.REDUCE,
        RequestKind.AMEND,
        RequestKind.NEW,
    ]
    assert taken[0] is not None
    assert isinstance(taken[0].approved.intent, CancelOrder)


def test_outbox_when_two_are_as_urgent_then_the_older_goes_first() -> None:
    outbox = Outbox()
    for name in ("first", "second", "third"):
        outbox.push(parcel(name, RequestKind.NEW))

    assert [one.approved.client_order_id for one in (outbox.pop(), outbox.pop()) if one] == ["first", "second"]
    assert len(outbox) == 1


def test_outbox_when_empty_then_there_is_nothing_to_take_or_see() -> None:
    assert Outbox().pop() is None
    assert Outbox().peek() is None


async def test_wait_when_something_is_pushed_then_it_returns() -> None:
    outbox = Outbox()
    waiting = asyncio.create_task(outbox.wait())
    await settle()
    assert not waiting.done()

    outbox.push(parcel("c1", RequestKind.NEW))

    await asyncio.wait_for(waiting, 1)


def test_outbox_when_some_are_taken_out_then_the_others_keep_their_places() -> None:
    outbox = Outbox()
    for name, kind in (
        ("a", RequestKind.NEW),
        ("b", RequestKind.CANCEL),
        ("c", RequestKind.AMEND),
        ("d", RequestKind.NEW),
    ):
        outbox.push(parcel(name, kind))

    taken = outbox.take(lambda one: one.approved.client_order_id in {"a", "c"})
    outbox.push(parcel("e", RequestKind.CANCEL))

    assert [one.approved.client_order_id for one in taken] == ["c", "a"]
    assert [one.approved.client_order_id for one in (outbox.pop(), outbox.pop(), outbox.pop()) if one] == [
        "b",
        "e",
        "d",
    ]
    assert outbox.pop() is None
