"""What leaves is what was approved and recorded (C11): orders, bytes and sizes, each once; else everything stops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec
import pytest

from framework.domain.account_events import OrderReport, ReportKind, TradingStateChanged
from framework.domain.errors import OutcomeUnknown, Retryable
from framework.domain.intents import CANCELS, CancelOrder, NewOrder
from framework.domain.numbers import Size
from framework.domain.orders import Order, OrderStatus
from framework.domain.verdicts import Approved, Signed
from framework.execution.request_queue import QueuedRequest
from framework.execution.send_ledger import SendLedger
from framework.state.accounts import Accounts
from framework.state.books import Books
from framework.state.risk_view import View
from tests.support.state_records import adopted, amend, apply, cancel, listed, new, report
from tests.support.world import Dispatching, Scribe, World, settle, until

K = ReportKind
VIEW = View(books=Books(), accounts=Accounts(), budgets={})


class Desk:
    """A ledger over a state that a test feeds record by record, as the kernel does."""

    def __init__(self, *before: object) -> None:
        self.accounts = Accounts()
        apply(self.accounts, *before)  # type: ignore[arg-type]
        self.ledger = SendLedger(self.accounts.orders)

    def tell(self, *records: object) -> list[TradingStateChanged]:
        """Fold records, and show the ledger what it follows; what it orders."""
        ordered: list[TradingStateChanged] = []
        for record in records:
            apply(self.accounts, record)  # type: ignore[arg-type]
            if type(record) in SendLedger.follows:
                ordered += self.ledger.follow(record, VIEW)  # type: ignore[arg-type]
        return ordered


def sent(digest: str = "d1", name: str = "c1") -> OrderReport:
    return msgspec.structs.replace(report(K.SENT, name), detail=digest)


def signed(approved: Approved, digest: str = "d1") -> Signed:
    return Signed(approved, b"", digest)


def test_order_when_its_bytes_are_recorded_then_they_are_written_once() -> None:
    desk = Desk()
    assert desk.tell(new(), sent()) == []
    assert desk.ledger.why_not(signed(new())) is None
    assert desk.ledger.why_not(signed(new())) == "c1: its bytes are in no record, or were written before"


def test_order_when_it_is_tried_again_with_a_record_of_its_own_then_it_is_written_again() -> None:
    desk = Desk()
    desk.tell(new(), sent())
    assert desk.ledger.why_not(signed(new())) is None
    desk.tell(sent())
    assert desk.ledger.why_not(signed(new())) is None
    desk.tell(sent("d2"))
    assert desk.ledger.why_not(signed(new(), "d1")) is not None
    assert desk.ledger.why_not(signed(new(), "d2")) is None


@pytest.mark.parametrize(
    ("records", "asked", "why"),
    [
        ([], signed(new()), "c1: no approval and no sending of it is recorded"),
        ([new()], signed(new()), "c1: no approval and no sending of it is recorded"),
        ([sent()], signed(new()), "c1: no approval and no sending of it is recorded"),
        ([new(), sent()], signed(new(), "other"), "c1: its bytes are in no record, or were written before"),
        ([new(), sent()], signed(new("c2")), "c2: no approval and no sending of it is recorded"),
        ([new(size=10), sent()], signed(new(size=11)), "c1: a size of 11 is asked for, approved were 10"),
        ([new(), sent(), amend(size=12)], signed(amend(size=12), "d2"), "c1: its bytes are in no record"),
        ([new(), amend(size=12), sent("d2")], signed(amend(size=13), "d2"), "c1: a size of 13 is asked for"),
    ],
)
def test_order_when_it_was_not_approved_or_recorded_like_this_then_it_is_not_written(
    records: list[object], asked: Signed, why: str
) -> None:
    desk = Desk()
    desk.tell(*records)
    assert str(desk.ledger.why_not(asked)).startswith(why)


def test_amend_when_it_is_recorded_then_it_is_written_up_to_its_size() -> None:
    desk = Desk()
    desk.tell(new(), sent(), report(K.ACCEPTED, venue_order_id="v1"), amend(size=15), sent("d2"))
    assert desk.ledger.why_not(signed(amend(size=15), "d2")) is None


@pytest.mark.parametrize("records", [[], [new(), sent(), cancel(), sent("d3")]])
def test_cancel_when_it_is_in_no_record_then_it_is_written_all_the_same(records: list[object]) -> None:
    desk = Desk()
    desk.tell(*records)
    assert desk.ledger.why_not(signed(cancel(), "d2")) is None


def test_order_when_a_cancel_of_it_is_recorded_then_the_cancels_bytes_are_none_of_the_orders() -> None:
    desk = Desk()
    desk.tell(new(), sent(), report(K.ACCEPTED, venue_order_id="v1"), cancel(), sent("d2"))
    assert desk.ledger.why_not(signed(new(), "d2")) is not None


@pytest.mark.parametrize(
    ("records", "is_halted"),
    [
        ([report(K.ACCEPTED, venue_order_id="v1", size=10)], False),
        ([report(K.ACCEPTED, venue_order_id="v1", size=11)], True),
        ([report(K.ACCEPTED, venue_order_id="v1", size=9)], False),
        ([report(K.ACCEPTED, venue_order_id="v1"), listed("", size=10)], False),
        ([report(K.ACCEPTED, venue_order_id="v1"), listed("", size=1_000)], True),
        ([report(K.ACCEPTED, venue_order_id="v1"), listed("", size=1_000, is_open=False)], True),
        ([report(K.ACCEPTED, venue_order_id="v1"), amend(size=20), sent("d2"), listed("", size=20)], False),
        ([report(K.ACCEPTED, venue_order_id="v1"), amend(size=20), sent("d2"), listed("", size=21)], True),
        (
            [
                report(K.ACCEPTED, venue_order_id="v1"),
                amend(size=5),
                sent("d2"),
                report(K.AMENDED, size=5, price=50),
                listed("", size=10),
            ],
            False,
        ),
    ],
)
def test_venue_when_it_states_a_size_then_more_than_was_ever_approved_halts_everything(
    records: list[object], is_halted: bool
) -> None:
    desk = Desk()
    halts = desk.tell(new(size=10), sent(), *records)
    assert bool(halts) is is_halted
    assert all((one.by, one.is_cancelling, one.target) == ("send-ledger", True, "") for one in halts)
    assert all(one.reason.startswith("c1: tide states a size of ") for one in halts)


def test_venue_when_it_states_a_size_of_an_order_that_is_not_ours_then_it_is_not_compared() -> None:
    desk = Desk()
    records = [listed("", venue_order_id="v9", size=5), adopted(strategy="operator"), listed("", size=500)]
    assert desk.tell(*records) == []
    assert desk.tell(cancel("tide/v1"), sent("d1", "tide/v1"), listed("", size=600)) == []


def test_ledger_when_a_run_begins_then_orders_of_before_are_compared_and_not_written_again() -> None:
    desk = Desk(new(size=10), sent(), report(K.ACCEPTED, venue_order_id="v1"), amend(size=12), sent("d2"))
    assert desk.ledger.why_not(signed(amend(size=12), "d2")) is not None
    assert desk.tell(listed("", size=12)) == []
    assert len(desk.tell(listed("", size=13, at=11))) == 1


def test_ledger_when_many_orders_end_then_it_keeps_those_that_are_open() -> None:
    desk = Desk()
    for number in range(3_000):
        name = f"c{number}"
        desk.tell(new(name), sent("d", name))
        assert desk.ledger.why_not(signed(new(name), "d")) is None
        if number % 100:
            desk.tell(report(K.REJECTED, name))
    assert len(desk.ledger._lines) < 600
    assert all(f"c{number}" in desk.ledger._lines for number in range(0, 3_000, 100))


def halts(world: World) -> list[str]:
    found = [entry.record.body for entry in world.entries()]
    return [body.reason for body in found if isinstance(body, TradingStateChanged) and body.by == "send-ledger"]


def larger(one: Signed) -> Signed:
    """The approval that a broken signer brings along asks for ten times as much."""
    intent = one.approved.intent
    assert isinstance(intent, NewOrder)
    approved = msgspec.structs.replace(one.approved, intent=msgspec.structs.replace(intent, size=Size(100)))
    return msgspec.structs.replace(one, approved=approved)


def of_another(one: Signed) -> Signed:
    """A broken signer mixes two orders up."""
    return msgspec.structs.replace(one, approved=msgspec.structs.replace(one.approved, client_order_id="t-1-99"))


@pytest.mark.parametrize("broken", [larger, of_another])
async def test_sender_when_what_is_signed_is_not_what_was_approved_then_nothing_leaves_and_all_stops(
    world: World, scribe: Scribe, broken: Callable[[Signed], Signed]
) -> None:
    sign = world.gateway.sign
    world.gateway.sign = lambda approved, order: broken(sign(approved, order))  # type: ignore[method-assign]
    async with Dispatching(world):
        handle = world.buy(scribe)
        await until(lambda: halts(world))
        await settle()
    assert world.gateway.sent == []
    assert world.order(handle).status is OrderStatus.UNKNOWN, "what became of it is looked up, not concluded"
    assert not world.buy(scribe, 44).is_approved
    assert len(halts(world)) == 1


async def test_sender_when_a_request_is_pushed_twice_then_the_second_has_a_record_of_its_own(
    world: World, scribe: Scribe
) -> None:
    world.gateway.answers.extend([Retryable("no connection"), Retryable("no connection")])
    async with Dispatching(world):
        handle = world.buy(scribe)
        await until(lambda: world.order(handle).status is OrderStatus.WORKING)
    assert halts(world) == []
    assert world.gateway.sent_names == [("NewOrder", handle.client_order_id)] * 3


async def test_sender_when_a_larger_request_than_the_approved_one_is_in_the_queue_then_it_does_not_leave(
    world: World, scribe: Scribe
) -> None:
    handle = world.buy(scribe, size=10)
    request = world.queue.pop()
    assert request is not None
    intent = msgspec.structs.replace(request.approved.intent, size=Size(11))
    world.queue.push(QueuedRequest(msgspec.structs.replace(request.approved, intent=intent)))
    async with Dispatching(world):
        await until(lambda: halts(world))
    assert halts(world) == [f"{handle.client_order_id}: a size of 11 is asked for, approved were 10"]
    assert world.gateway.sent == []


async def test_venue_when_it_has_received_ten_times_the_size_then_everything_stops_and_the_order_is_cancelled(
    world: World, scribe: Scribe
) -> None:
    world.gateway.answers.append(lambda approved: [world.gateway.report(approved, K.ACCEPTED, size=Size(100))])
    async with Dispatching(world):
        handle = world.buy(scribe, size=10)
        await until(lambda: halts(world))
        await until(lambda: world.order(handle).status is OrderStatus.CANCELLED)
    assert halts(world) == [f"{handle.client_order_id}: tide states a size of 100, approved were 10"]
    assert world.gateway.sent_names[-1] == ("CancelOrder", handle.client_order_id)


@pytest.mark.parametrize("seed", range(2))
async def test_sends_when_everything_happens_at_random_then_each_has_one_approval_and_one_record(
    tmp_path: Path, seed: int
) -> None:
    rng, world = Random(seed), World(tmp_path)
    world.start()
    scribe: Scribe = world.add()
    async with Dispatching(world):
        for _ in range(300):
            world.gateway.answers.extend(
                answer
                for answer in (Retryable("no connection"), OutcomeUnknown("reset"), None, None, None)
                if rng.random() < 0.2 and answer is not None
            )
            _act(world, scribe, rng)
            world.clock.advance(10_000_000)
            if rng.random() < 0.5:
                await settle(6)
        await until(lambda: not len(world.queue) and not world.dispatcher.under_way, timeout_s=20)
    assert halts(world) == []
    bodies = [entry.record.body for entry in world.entries()]
    recorded = Counter(one.client_order_id for one in bodies if isinstance(one, OrderReport) and one.kind is K.SENT)
    approved = {
        (type(one.intent), one.client_order_id, getattr(one.intent, "size", 0))
        for one in bodies
        if isinstance(one, Approved)
    }
    written = Counter(one.client_order_id for one in world.gateway.sent)
    assert all(written[name] <= recorded[name] for name in written)
    assert {
        (type(one.intent), one.client_order_id, getattr(one.intent, "size", 0)) for one in world.gateway.sent
    } <= approved
    assert sum(not isinstance(one.intent, CANCELS) for one in world.gateway.sent) > 60
    world.close()


def _act(world: World, scribe: Scribe, rng: Random) -> None:
    own: list[Order] = [one for one in world.accounts.orders.open() if one.status.is_at_venue]
    if not own or rng.random() < 0.5:
        world.buy(scribe, rng.randint(30, 50), rng.randint(1, 20))
        return
    order = rng.choice(own)
    if rng.random() < 0.4:
        intent = CancelOrder(strategy="scribe", client_order_id=order.client_order_id)
        world.do(scribe, lambda: scribe.desk.submit(intent))
    else:
        terms = {"price": rng.randint(30, 50), "size": order.filled + rng.randint(1, 20)}
        change = msgspec.structs.replace(amend(order.client_order_id, **terms).intent, strategy="scribe")
        world.do(scribe, lambda: scribe.desk.submit(change))
