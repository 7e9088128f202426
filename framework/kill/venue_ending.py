"""One venue of a kill: end every order that is open there, until the venue shows that none is.

What is open the venue itself lists; where it does not, the journal knows. A cancel that was taken is repeated once the
order has stayed open for a while, one that was refused or lost with the next look. It ends when a look that began
later than reads may lag shows nothing open, or when nothing gets on any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from framework.domain.errors import AccountRefused, OutcomeUnknown, RefusedByVenue, Retryable, TidegateError
from framework.domain.mass_cancel import MassCancel, OpenOrder
from framework.domain.ports import Clock
from framework.domain.terms import CancelAllScope
from framework.runtime.kill_log import KillLog, KillRecord

GIVE_UP_NS = 10_000_000_000
"""After so long without an order that ended, a cancel that was taken or, with nothing open, an answer, it is given
up."""

AGAIN_NS = 1_000_000_000
"""How long a cancel that was taken has to end its order before it is asked for again."""

LOOK_AT_VENUE_S = 0.1
AT_ONCE_MAX = 8
"""Requests that are under way at one venue at most."""

IN_ONE_MIN = 2
"""From so many orders on, one request in place of their cancels is cheaper."""

_FAILURES = (Retryable, OutcomeUnknown, RefusedByVenue)


class KnownOrders(msgspec.Struct, frozen=True):
    """What the journal knows to be open at a venue that lists nothing: orders, and how many have no id of the venue's
    yet, so that they can't be cancelled."""

    orders: tuple[OpenOrder, ...] = ()
    without_id: int = 0


class VenueOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the orders of a venue. `cancelled` are those whose cancel was taken, `is_all_cancelled` says that
    one of all orders was, `by_daemon` are those that the daemon ended. `left` may still be open; None: it is not known.
    `trouble` says what did not work last."""

    venue: str
    cancelled: int = 0
    is_all_cancelled: bool = False
    by_daemon: int = 0
    left: int | None = None
    trouble: str = ""

    @property
    def text(self) -> str:
        """What became of them, in a line."""
        done = [f"{self.by_daemon} ended by the daemon"] * bool(self.by_daemon)
        done += [f"{self.cancelled} cancelled"] * bool(self.cancelled)
        done += ["all cancelled by one request"] * self.is_all_cancelled
        left = "not known what is open" if self.left is None else f"{self.left} open"
        return "; ".join(filter(None, (f"{self.venue}: {left}", ", ".join(done), self.trouble)))

    @property
    def is_ended(self) -> bool:
        """Whether it is known that nothing is open any more."""
        return self.left == 0


class VenueEnding:
    """Ends the orders of one venue. `end` once, with the venue's lease held."""

    def __init__(
        self, account: MassCancel, log: KillLog, clock: Clock, *, known: Callable[[], Awaitable[KnownOrders]]
    ) -> None:
        """`known` reads the journal, for a venue that does not list open orders."""
        self._account = account
        self._log = log
        self._clock = clock
        self._known = known
        self._slots = asyncio.Semaphore(AT_ONCE_MAX)
        self._taken_ns: dict[str, int] = {}
        self._ended: set[str] = set()
        self._journaled: KnownOrders | None = None
        self._progress_ns = clock.monotonic_ns()
        self._left: int | None = None
        self._is_all_cancelled = False
        self._trouble = ""

    def __repr__(self) -> str:
        return f"<VenueEnding {self._account.venue} left={self._left}>"

    async def end(self, *, since_ns: int) -> VenueOutcome:
        """Cancel and look until nothing is open. `since_ns` is the monotonic time since which nobody else can have sent
        an order."""
        proof_ns = since_ns + self._account.read_lag_ms * 1_000_000
        try:
            if self._account.scope is CancelAllScope.ACCOUNT:
                # Before any look: it ends what is not listed yet, too.
                self._note("cancel_all", OpenOrder(venue_order_id="", symbol=""))
                await self._cancel_area("")
            while not self._is_given_up() and not await self._look(proof_ns):  # noqa: ASYNC110 - the venue has no event
                await asyncio.sleep(LOOK_AT_VENUE_S)
        except AccountRefused as e:
            self._trouble = str(e)
        without_id = self._journaled.without_id if self._journaled else 0
        left = None if self._left is None else self._left + without_id
        if without_id and not self._trouble:
            self._trouble = f"the answer to {without_id} of them was lost: the daemon finds them at its next start"
        return VenueOutcome(
            venue=self._account.venue,
            cancelled=len(self._taken_ns),
            is_all_cancelled=self._is_all_cancelled,
            left=left,
            trouble="" if left == 0 else self._trouble,
        )

    def _is_given_up(self) -> bool:
        return self._clock.monotonic_ns() - self._progress_ns > GIVE_UP_NS

    async def _look(self, proof_ns: int) -> bool:
        """Look once, and cancel what is open; whether it is proved that nothing is."""
        asked_ns = self._clock.monotonic_ns()
        try:
            found = await self._open_orders()
        except _FAILURES as e:
            self._trouble = str(e)
            return False
        if self._left is None or len(found) < self._left or not found:
            self._progress_ns = self._clock.monotonic_ns()
        self._left = len(found)
        await self._cancel(found)
        if found or asked_ns >= proof_ns:
            return not found
        await asyncio.sleep((proof_ns - asked_ns) / 1e9)
        return False

    async def _open_orders(self) -> Sequence[OpenOrder]:
        listed = await self._account.open_orders()
        if listed is not None:
            return listed
        if self._journaled is None:
            self._journaled = await self._known()
            return self._journaled.orders
        left = [one for one in self._journaled.orders if one.venue_order_id not in self._ended]
        shown = await asyncio.gather(*(self._in_slot(self._account.is_open(one)) for one in left))
        self._ended.update(one.venue_order_id for one, is_open in zip(left, shown, strict=True) if not is_open)
        return [one for one, is_open in zip(left, shown, strict=True) if is_open]

    async def _cancel(self, orders: Sequence[OpenOrder]) -> None:
        """Ask for the end of orders, where that is due, side by side."""
        now_ns = self._clock.monotonic_ns()
        due = [one for one in orders if now_ns - self._taken_ns.get(one.venue_order_id, -AGAIN_NS) >= AGAIN_NS]
        areas = self._areas(due)
        alone = [one for one in due if self._area_of(one) not in areas]
        if not due:
            return
        self._note("cancel_all", *(OpenOrder(venue_order_id="", symbol=area) for area in areas))
        self._note("cancel", *alone)
        await asyncio.gather(
            *(self._cancel_area(area, due) for area in areas), *(self._cancel_one(order) for order in alone)
        )

    def _areas(self, due: Sequence[OpenOrder]) -> list[str]:
        """The account or the markets in which one request ends several orders."""
        found = [area for one in due if (area := self._area_of(one)) is not None]
        return [area for area in dict.fromkeys(found) if found.count(area) >= IN_ONE_MIN]

    def _area_of(self, order: OpenOrder) -> str | None:
        scope = self._account.scope
        if scope is CancelAllScope.MARKET:
            return order.symbol or None
        return "" if scope is CancelAllScope.ACCOUNT else None

    async def _cancel_area(self, area: str, orders: Sequence[OpenOrder] = ()) -> None:
        taken = await self._ask(self._account.cancel_all(area), OpenOrder(venue_order_id="", symbol=area))
        if taken is not None:
            ended = [one.venue_order_id for one in orders if self._area_of(one) == area]
            self._taken_ns |= dict.fromkeys(ended, self._clock.monotonic_ns())
            self._is_all_cancelled = self._is_all_cancelled or not area

    async def _cancel_one(self, order: OpenOrder) -> None:
        is_ended = await self._ask(self._account.cancel(order), order)
        if is_ended is not None:
            self._taken_ns[order.venue_order_id] = self._clock.monotonic_ns()
        if is_ended:
            self._ended.add(order.venue_order_id)

    async def _ask(self, request: Awaitable[bool | None], about: OpenOrder) -> bool | None:
        """Whether the answer states the end, None when no cancel was taken. Raises `AccountRefused`."""
        action = "cancel" if about.venue_order_id else "cancel_all"
        try:
            is_ended = bool(await self._in_slot(request))
        except _FAILURES as e:
            self._trouble = str(e)
            self._note(action, about, outcome=str(e))
            return None
        except TidegateError as e:
            self._note(action, about, outcome=str(e))
            raise
        self._progress_ns = self._clock.monotonic_ns()
        self._note(action, about, outcome="ended" if is_ended else "taken")
        return is_ended

    async def _in_slot(self, request: Awaitable[bool | None]) -> bool | None:
        async with self._slots:
            return await request

    def _note(self, action: str, *orders: OpenOrder, outcome: str = "") -> None:
        now_ns = self._clock.now_ns()
        records = [
            KillRecord(
                ts_ns=now_ns,
                action=action,
                venue=self._account.venue,
                venue_order_id=one.venue_order_id,
                client_order_id=one.client_order_id,
                symbol=one.symbol,
                outcome=outcome,
            )
            for one in orders
        ]
        try:
            self._log.write(*records)
        except OSError as e:
            self._trouble = f"the kill log can't be written: {e}"  # a cancel waits for no disk
