"""The market of one case: a counterparty that a case leads, around a middle price, in steps of the grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from framework.domain.instruments import Instrument
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.testing.conformance.findings import expect
from framework.testing.conformance.sandbox import Sandbox
from framework.testing.conformance.session import VenueSession

DEPTH = 3
REACH = 8
"""A case uses prices of so many steps of the grid around the middle."""

Quotes = Sequence[tuple[int, int]]
"""(price, size), scaled, best first."""


class Market:
    """The instrument that a case trades, and the counterparty there. Prices are given as steps from the middle: bids
    rest at -1 and below, asks at 1 and above. Make one with `open_market`."""

    def __init__(self, sandbox: Sandbox, instrument: Instrument, middle: int) -> None:
        self.sandbox = sandbox
        self.instrument = instrument
        self.middle = middle
        self.bids: Quotes = ()
        self.asks: Quotes = ()

    @property
    def lot(self) -> Size:
        """A size that the venue takes at every price here, notional minimum included. Orders are multiples of it."""
        one = self.instrument
        whole = max(one.size_min, 10**one.size_decimals // 100, -(-one.notional_min // self.price(-REACH)))
        return Size(-(-whole // one.lot) * one.lot)

    def price(self, steps: int) -> Price:
        """The price so many steps of the grid above the middle."""
        return Price(self.middle + steps * self.instrument.tick_at(Price(self.middle)))

    async def quote(self, bids: Quotes, asks: Quotes) -> None:
        """Replace what the counterparty rests."""
        self.bids, self.asks = tuple(bids), tuple(asks)
        await self._act("quote", bids=self._texts(bids), asks=self._texts(asks))

    async def quote_around(self, size: int) -> None:
        """Rest `DEPTH` levels of this size on each side, from two steps off the middle outwards."""
        await self.quote(
            [(self.price(-2 - level), size) for level in range(DEPTH)],
            [(self.price(2 + level), size) for level in range(DEPTH)],
        )

    async def take(self, side: Side, steps: int, size: int) -> None:
        """Have the counterparty take what rests up to a price. Raises `AssertionError` when it gets less."""
        one = self.instrument
        answer = await self._act(
            "trade", side=side.value, price=one.price_text(self.price(steps)), size=one.size_text(Size(size))
        )
        expect(one.size(str(answer["filled"])) == size, f"the counterparty wanted {size} and got {answer}")

    async def act(self, act: str, **fields: Any) -> Mapping[str, Any]:
        """Have something done to the instrument. Raises `NotStaged` when the sandbox can't."""
        return await self._act(act, **fields)

    def _texts(self, levels: Quotes) -> list[list[str]]:
        one = self.instrument
        return [[one.price_text(Price(price)), one.size_text(Size(size))] for price, size in levels]

    async def _act(self, act: str, **fields: Any) -> Mapping[str, Any]:
        return await self.sandbox.act(act, instrument=self.instrument.symbol, **fields)


async def open_market(session: VenueSession, sandbox: Sandbox, *, size: int = 50) -> Market:
    """End the seeded flow, and quote around where it was: `size` lots at each level. Return when the book shows it."""
    await session.until(lambda: session.book.is_fresh, "the book never became fresh")
    with suppress(AssertionError):
        # The flow has just begun. Without a price the middle of the grid is taken, and of a wide one nobody can buy.
        await session.until(lambda: session.book.mid_twice is not None, "nobody quotes")
    middle = _middle(session)
    await sandbox.act("quiet")
    market = Market(sandbox, session.instrument, middle)
    await market.quote_around(market.lot * size)
    await until_equal(session, market)
    return market


async def until_equal(session: VenueSession, market: Market) -> None:
    """Wait until the daemon's book is what the counterparty rests. Raises `AssertionError` when it never is."""
    await session.until(lambda: not book_apart(session, market), lambda: book_apart(session, market))


def book_apart(session: VenueSession, market: Market) -> str:
    """Where the daemon's book differs from what the counterparty rests; empty when it is fresh and equal."""
    book, real = session.book, (sorted(market.bids, reverse=True), sorted(market.asks))
    seen = (list(book.depth(Side.BUY, 100)), list(book.depth(Side.SELL, 100)))
    if not book.is_fresh:
        return f"the book is stale: {book.stale_reason}"
    return "" if seen == real else f"the book is {seen}, really {real}"


def _middle(session: VenueSession) -> int:
    """A price of the grid near the market's, with room on both sides."""
    one, twice = session.instrument, session.book.mid_twice
    low, high = one.tick_bands[0].start, one.price_max
    tick = one.tick_at(Price((low + high) // 2))
    wanted = (low + high) // 2 if twice is None else twice // 2
    return one.round_down(Price(min(max(wanted, low + 2 * REACH * tick), high - 2 * REACH * tick)))
