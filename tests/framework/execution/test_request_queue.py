from __future__ import annotations

import asyncio

import msgspec

from framework.domain.intents import CancelOrder
from framework.domain.rate_limits import RequestKind
from framework.execution.request_queue import QueuedRequest, RequestQueue
from tests.support.state_records import cancel, new
from tests.support.world import settle


def request(name: str, kind: RequestKind) -> QueuedRequest:
    approved = cancel(name) if kind is RequestKind.CANCEL else new(name)
    return QueuedRequest(msgspec.structs.replace(approved, request_kind=kind))


def test_outbox_when_several_wait_then_cancels_go_first_and_new_orders_last() -> None:
    queue = RequestQueue()
    for kind in (RequestKind.NEW, RequestKind.AMEND, RequestKind.CANCEL, RequestKind.REDUCE):
        queue.push(request(kind.value, kind))

    taken = [queue.pop() for _ in range(4)]

    assert [one.approved.request_kind for one in taken if one] == [
        RequestKind.CANCEL,
        RequestKind.REDUCE,
        RequestKind.AMEND,
        RequestKind.NEW,
    ]
    assert taken[0] is not None
    assert isinstance(taken[0].approved.intent, CancelOrder)


def test_outbox_when_two_are_as_urgent_then_the_older_goes_first() -> None:
    queue = RequestQueue()
    for name in ("first", "second", "third"):
        queue.push(request(name, RequestKind.NEW))

    assert [one.approved.client_order_id for one in (queue.pop(), queue.pop()) if one] == ["first", "second"]
    assert len(queue) == 1


def test_outbox_when_empty_then_there_is_nothing_to_take_or_see() -> None:
    assert RequestQueue().pop() is None
    assert RequestQueue().peek() is None


async def test_wait_when_something_is_pushed_then_it_returns() -> None:
    queue = RequestQueue()
    waiting = asyncio.create_task(queue.wait())
    await settle()
    assert not waiting.done()

    queue.push(request("c1", RequestKind.NEW))

    await asyncio.wait_for(waiting, 1)


def test_outbox_when_some_are_taken_out_then_the_others_keep_their_places() -> None:
    queue = RequestQueue()
    for name, kind in (
        ("a", RequestKind.NEW),
        ("b", RequestKind.CANCEL),
        ("c", RequestKind.AMEND),
        ("d", RequestKind.NEW),
    ):
        queue.push(request(name, kind))

    taken = queue.take(lambda one: one.approved.client_order_id in {"a", "c"})
    queue.push(request("e", RequestKind.CANCEL))

    assert [one.approved.client_order_id for one in taken] == ["c", "a"]
    assert [one.approved.client_order_id for one in (queue.pop(), queue.pop(), queue.pop()) if one] == [
        "b",
        "e",
        "d",
    ]
    assert queue.pop() is None
