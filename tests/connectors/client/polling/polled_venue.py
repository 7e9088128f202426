"""A spot venue without a stream, for tests of what polls: its books, trades, orders and fills are lists that a test
writes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from connectors.client.instruments import InstrumentRegistry, ListedInstrument, Selection
from connectors.client.polling.account import ACCOUNT, AccountPace, AccountPoll
from connectors.client.polling.market import MARKET, MarketPoll, PollHealth, PollPace
from connectors.client.status import POLL, VenueStatus
from connectors.client.venue_time import VenueTime
from framework.domain.account_events import Fill, OrderSnapshot
from framework.domain.events import Event
from framework.domain.instruments import Instrument, InstrumentId, InstrumentKind, TickBand, instrument_id
from framework.domain.market_events import BookSnapshot, TradePrint
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Side
from tests.connectors.support import START_NS, LoopClock

SECOND_NS = 1_000_000_000
PAGE = 3


def spot(symbol: str) -> Instrument:
    return Instrument(
        id=instrument_id("tide", symbol),
        venue="tide",
        symbol=symbol,
        kind=InstrumentKind.SPOT,
        price_decimals=2,
        size_decimals=3,
        tick_bands=(TickBand(Price(1), Price(1_000_000), Price(1)),),
        lot=Size(1),
        size_min=Size(1),
        base_currency="BTC",
        quote_currency="USD",
    )


def order(number: int, *, price: int = 100, filled: int = 0, is_open: bool = True) -> OrderSnapshot:
    return OrderSnapshot(
        venue="tide",
        venue_order_id=f"o{number}",
        client_order_id="",
        instrument=instrument_id("tide", "A"),
        side=Side.BUY,
        price=Price(price),
        size=Size(10),
        filled=Size(filled),
        is_open=is_open,
        ts_recv=0,
    )


def fill(number: int, *, ts_venue: int = START_NS) -> Fill:
    return Fill(
        venue="tide",
        instrument=instrument_id("tide", "A"),
        fill_id=f"f{number}",
        venue_order_id="o1",
        client_order_id="",
        side=Side.BUY,
        price=Price(100),
        size=Size(1),
        fee=Money(0),
        is_maker=True,
        ts_venue=ts_venue,
        ts_recv=0,
    )


class PolledVenue:
    """What the venue would answer, what it was asked, and what was published of it and when (seconds)."""

    def __init__(
        self, clock: LoopClock, *symbols: str, market: PollPace | None = None, has_vague_ends: bool = False
    ) -> None:
        self.clock = clock
        self.registry = InstrumentRegistry("tide", Selection(("*",)), followed_max=50)
        for symbol in symbols:
            self.registry.define(ListedInstrument(spot(symbol)), ts_recv=1)
        self.registry.follow(symbols)
        self.bid: dict[str, int] = dict.fromkeys(symbols, 100)
        self.trades: dict[str, list[int]] = {symbol: [] for symbol in symbols}
        self.open: list[OrderSnapshot] | None = []
        self.orders: dict[str, OrderSnapshot] = {}
        self.fills: list[Fill] = []
        self.fills_since: list[int] = []
        self.errors: dict[str, Exception] = {}
        self.slow_s = 0.0
        self.asked: list[tuple[float, str]] = []
        self.events: list[Event] = []
        self.times_s: list[float] = []
        status = VenueStatus("tide", self.publish, (POLL,))
        self.health = PollHealth(status, (MARKET, ACCOUNT), clock=clock, silence_ns_max=3 * SECOND_NS)
        self.market = MarketPoll(
            "tide",
            self,
            self.registry,
            self.health,
            clock=clock,
            time=VenueTime(clock),
            publish=self.publish,
            pace=market or PollPace(),
        )
        self.account = AccountPoll(
            "tide",
            self,
            self.health,
            clock=clock,
            time=VenueTime(clock),
            publish=self.publish,
            pace=AccountPace(),
            has_vague_ends=has_vague_ends,
        )

    @property
    def now_s(self) -> float:
        return self.clock.monotonic_ns() / SECOND_NS

    def publish(self, event: Event, _now_ns: int = 0, _monotonic_ns: int = 0, /) -> None:
        self.events.append(event)
        self.times_s.append(self.now_s)

    def take(self, *kinds: type) -> list[Event]:
        taken = [event for event in self.events if isinstance(event, kinds)]
        self.events.clear()
        return taken

    def count(self, what: str) -> int:
        return sum(one == what for _, one in self.asked)

    async def _answer(self, what: str) -> None:
        self.asked.append((self.now_s, what))
        await asyncio.sleep(self.slow_s)
        if what in self.errors:
            raise self.errors[what]

    async def read_book(self, instrument: Instrument, /) -> BookSnapshot:
        bid = self.bid[instrument.symbol]
        await self._answer(f"book {instrument.symbol}")
        return BookSnapshot(instrument.id, 0, 0, ((Price(bid), Size(1)),), ((Price(bid + 2), Size(1)),))

    async def read_trades(self, instrument: Instrument, page: int, /) -> Sequence[TradePrint]:
        await self._answer(f"trades {instrument.symbol}")
        newest_first = self.trades.get(instrument.symbol, [])[::-1][page * PAGE : (page + 1) * PAGE]
        return [trade(instrument.id, number) for number in newest_first]

    async def list_open(self) -> Sequence[OrderSnapshot] | None:
        await self._answer("open")
        return self.open

    async def read_order(self, venue_order_id: str, /) -> OrderSnapshot | None:
        await self._answer(f"order {venue_order_id}")
        return self.orders.get(venue_order_id)

    async def list_fills(self, since_ns: int, /) -> Sequence[Fill] | None:
        await self._answer("fills")
        self.fills_since.append(since_ns)
        return [one for one in self.fills if one.ts_venue >= since_ns]

    async def for_seconds(self, seconds: float) -> None:
        """Poll everything that long."""
        tasks = [asyncio.create_task(one.run()) for one in (self.market, self.account)]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        for done in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(done, asyncio.CancelledError), done


def trade(instrument: InstrumentId, number: int) -> TradePrint:
    return TradePrint(instrument, number, number, f"t{number}", Price(100), Size(1), Side.BUY)
