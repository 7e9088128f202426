"""A venue's gateway that does as it is told and keeps what it was asked for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count

from framework.domain.account_events import Fill, OrderReport, OrderSnapshot, PositionReport, ReportKind
from framework.domain.errors import Retryable
from framework.domain.events import Event
from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order
from framework.domain.ports import Clock
from framework.domain.terms import FillListing, PositionListing, VenueTerms
from framework.domain.venue import IsClaimed, LastWord, UnreadableRow, nothing_against, nothing_claimed
from framework.domain.verdicts import Approved, Signed

Answer = BaseException | Sequence[Event] | Callable[[Approved], Sequence[Event]]
"""What a request is answered with: an error, events, or events that follow from it."""


class ScriptedGateway:
    """Implements `Gateway`. `answers` are used up first; without one, every request is granted."""

    def __init__(self, venue: str, clock: Clock) -> None:
        self._venue = venue
        self._clock = clock
        self._numbers = count(1)
        self.read_lag_ms = 100
        self.terms = VenueTerms()
        self.answers: deque[Answer] = deque()
        self.sign_errors: deque[BaseException] = deque()
        self.signed: list[Signed] = []
        self.sent: list[Approved] = []
        self.looked_up: list[str] = []
        self.is_claimed: IsClaimed = nothing_claimed
        self.fills_asked_since: list[int] = []
        self.orders_there: dict[str, OrderSnapshot] = {}
        self.fills_there: list[Fill] = []
        self.positions_there: list[PositionReport] = []
        self.unreadable_rows: tuple[UnreadableRow, ...] = ()
        """Rows that the lists leave out."""
        self.lookup_errors: deque[BaseException] = deque()
        self.unreadable: set[str] = set()
        """Client order ids whose look-up is not answered."""
        self.meanwhile: Callable[[], object] | None = None
        """Happens once, after the venue has read what it answers and before the answer is there."""
        self._may_leave = asyncio.Event()
        self._may_leave.set()
        self._may_answer = asyncio.Event()
        self._may_answer.set()
        self._held: list[Callable[[], None]] | None = None

    @property
    def sent_names(self) -> list[tuple[str, str]]:
        """Kind of intent and client order id of each request, in the order in which they left."""
        return [(type(approved.intent).__name__, approved.client_order_id) for approved in self.sent]

    def jam(self) -> None:
        """No connection is free from now on."""
        self._may_leave.clear()

    def unjam(self) -> None:
        """Connections are free again."""
        self._may_leave.set()

    def hold(self) -> None:
        """Keep every answer back from now on."""
        self._may_answer.clear()

    def release(self) -> None:
        """Answer what was held."""
        self._may_answer.set()

    def hold_next(self, held: list[Callable[[], None]]) -> None:
        """Keep back the answer of the next request; `held` gets a function that lets it go."""
        self._held = held

    def sign(self, approved: Approved, _order: Order | None, /) -> Signed:
        if self.sign_errors:
            raise self.sign_errors.popleft()
        signed = Signed(approved, f"stamp-{self._clock.now_ns()}-{next(self._numbers)}", "0" * 64)
        self.signed.append(signed)
        return signed

    async def send(self, signed: Signed, /, *, last_word: LastWord = nothing_against) -> tuple[Event, ...]:
        await self._may_leave.wait()
        if (reason := last_word()) is not None:
            raise Retryable(reason)
        self.sent.append(signed.approved)
        answer = self.answers.popleft() if self.answers else self.grant
        await self._may_answer.wait()
        if self._held is not None:
            held, self._held = self._held, None
            may_answer = asyncio.Event()
            held.append(may_answer.set)
            await may_answer.wait()
        if isinstance(answer, BaseException):
            raise answer
        return tuple(answer(signed.approved) if callable(answer) else answer)

    async def find_order(self, order: Order, /, *, is_claimed: IsClaimed) -> OrderSnapshot | None:
        self.looked_up.append(order.client_order_id)
        self.is_claimed = is_claimed
        if self.lookup_errors:
            raise self.lookup_errors.popleft()
        if order.client_order_id in self.unreadable:
            raise Retryable("no answer")
        found = self.orders_there.get(order.client_order_id)
        self._let_happen()
        return found

    async def open_orders(self) -> tuple[OrderSnapshot, ...] | None:
        if self.lookup_errors:
            raise self.lookup_errors.popleft()
        if not self.terms.open_orders:
            return None
        listed = tuple(one for one in self.orders_there.values() if one.is_open)
        self._let_happen()
        return listed

    async def fills(self, since_ns: int, /) -> tuple[Fill, ...] | None:
        self.fills_asked_since.append(since_ns)
        return None if self.terms.fills is FillListing.BY_ORDER else tuple(self.fills_there)

    async def positions(self) -> tuple[PositionReport, ...] | None:
        return None if self.terms.positions is PositionListing.NONE else tuple(self.positions_there)

    def grant(self, approved: Approved) -> tuple[OrderReport, ...]:
        """What a kind venue answers."""
        intent = approved.intent
        if isinstance(intent, CancelAll):
            return ()
        if isinstance(intent, CancelOrder):
            return (self.report(approved, ReportKind.CANCELLED),)
        if isinstance(intent, AmendOrder):
            return (self.report(approved, ReportKind.AMENDED, price=intent.price, size=intent.size),)
        assert isinstance(intent, NewOrder)
        return (self.report(approved, ReportKind.ACCEPTED),)

    def report(
        self,
        approved: Approved,
        kind: ReportKind,
        *,
        code: str = "",
        price: Price | None = None,
        size: Size | None = None,
    ) -> OrderReport:
        """One fact about the order that a request is about."""
        return OrderReport(
            venue=self._venue,
            client_order_id=approved.client_order_id,
            kind=kind,
            ts_recv=self._clock.now_ns(),
            venue_order_id=f"v-{approved.client_order_id}",
            code=code,
            price=price,
            size=size,
        )

    def _let_happen(self) -> None:
        event, self.meanwhile = self.meanwhile, None
        if event is not None:
            event()
