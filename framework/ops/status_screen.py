"""The live status on the terminal: read from the kernel's state and redrawn in place twice a second.

`StatusReader` makes a `StatusSnapshot`, `LiveStatus` draws it. When standard output is not a terminal nothing is drawn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.numbers import Price, to_decimal
from framework.domain.orders import Order, Side
from framework.domain.ports import Clock
from framework.engine.kernel import Kernel
from framework.engine.strategy_host import StrategyHost
from framework.runtime.metrics import Metrics
from framework.state.books import AGE_NEVER_NS
from framework.state.positions import profit_and_loss

REDRAW_INTERVAL_MS = 500
"""Time between two redraws, in milliseconds."""


class VenueStatus(msgspec.Struct, frozen=True):
    """One venue. `feed_age_ms` is None before the first event; `budget` reads like `write 87/100`."""

    venue: str
    is_up: bool
    reason: str = ""
    feed_age_ms: int | None = None
    budget: str = ""


class QuoteStatus(msgspec.Struct, frozen=True):
    """One strategy on one instrument, as text: the market, our quotes in it, position and profit and loss."""

    strategy: str
    instrument: str
    bid: str = ""
    ask: str = ""
    own_bid: str = ""
    own_ask: str = ""
    position: str = "0"
    pnl: str = "0"


class StatusSnapshot(msgspec.Struct, frozen=True):
    """What is shown. Counts are since the start; `note` is a line for what needs attention."""

    uptime_s: int
    venues: tuple[VenueStatus, ...]
    quotes: tuple[QuoteStatus, ...]
    fills: int = 0
    refusals: int = 0
    open_orders: int = 0
    note: str = ""


class LiveStatus:
    """Draws the status until cancelled. `snapshot` must be quick: it is called on the event loop."""

    def __init__(self, snapshot: Callable[[], StatusSnapshot], *, console: Console | None = None) -> None:
        self._snapshot = snapshot
        self._console = console or Console()

    @property
    def is_shown(self) -> bool:
        """Whether there is a terminal to draw on; without one the log goes to standard output instead."""
        return self._console.is_terminal

    async def run(self) -> None:
        """Redraw until cancelled; without a terminal wait for the cancel. Other output goes above the tables."""
        if not self.is_shown:
            await asyncio.Event().wait()
        # No refresh thread: the loop that trades also draws, so that no half-applied state is shown.
        with Live(render_status(self._snapshot()), console=self._console, auto_refresh=False) as live:
            while True:
                await asyncio.sleep(REDRAW_INTERVAL_MS / 1000)
                live.update(render_status(self._snapshot()), refresh=True)


def render_status(status: StatusSnapshot) -> Group:
    """The snapshot as tables for a terminal: venues, quotes, totals, and the note where there is one."""
    parts: list[Table | Text] = [_venues(status), _quotes(status), _totals(status)]
    if status.note:
        parts.append(Text(status.note, style="yellow"))
    return Group(*parts)


def _venues(status: StatusSnapshot) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for title in ("venue", "streams", "feed age", "budget left"):
        table.add_column(title, justify="right" if title == "feed age" else "left")
    for venue in status.venues:
        up = Text("up", style="green") if venue.is_up else Text(f"down {venue.reason}".strip(), style="red")
        table.add_row(Text(venue.venue), up, _age(venue.feed_age_ms), Text(venue.budget))
    return table


def _quotes(status: StatusSnapshot) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for title in ("strategy", "instrument"):
        table.add_column(title)
    for title in ("bid", "ask", "our bid", "our ask", "position", "P&L"):
        table.add_column(title, justify="right")
    for row in status.quotes:
        pnl = Text(row.pnl, style="red" if row.pnl.startswith("-") else "green")
        own = (Text(row.own_bid, style="cyan"), Text(row.own_ask, style="cyan"))
        table.add_row(Text(row.strategy), Text(row.instrument), row.bid, row.ask, *own, row.position, pnl)
    return table


def _totals(status: StatusSnapshot) -> Text:
    minutes, seconds = divmod(status.uptime_s, 60)
    hours, minutes = divmod(minutes, 60)
    return Text(
        f"up {hours:d}:{minutes:02d}:{seconds:02d}   fills {status.fills}   open orders {status.open_orders}   "
        f"refusals {status.refusals}   Ctrl-C stops: cancels what is open, then exits",
        style="dim",
    )


def _age(age_ms: int | None) -> Text:
    if age_ms is None:
        return Text("never", style="red")
    return Text(f"{age_ms / 1000:.1f} s", style="red" if age_ms > 5_000 else "")


class StatusReader:
    """Reads snapshots from the kernel's state and the metrics; changes neither."""

    def __init__(self, kernel: Kernel, metrics: Metrics, clock: Clock) -> None:
        self._kernel = kernel
        self._metrics = metrics
        self._clock = clock
        self._started_ns = clock.monotonic_ns()

    def snapshot(self) -> StatusSnapshot:
        """The status as it is now. Quick, without I/O: meant to be called on the event loop."""
        dependencies = self._kernel.dependencies
        quarantined = [host.name for host in self._kernel.hosts.values() if host.is_quarantined]
        return StatusSnapshot(
            uptime_s=(self._clock.monotonic_ns() - self._started_ns) // 1_000_000_000,
            venues=tuple(self._venue(name) for name in dependencies.queues),
            quotes=tuple(
                self._quote(host, instrument)
                for host in self._kernel.hosts.values()
                for instrument in self._shown(host)
            ),
            fills=sum(self._metrics.fills.values.values()),
            refusals=sum(self._metrics.refusals.values.values()),
            open_orders=dependencies.accounts.orders.open_count(),
            note=f"quarantined: {', '.join(quarantined)}" if quarantined else "",
        )

    def _shown(self, host: StrategyHost) -> list[InstrumentId]:
        """The strategy's instruments, then others in which it holds a position or has an open order."""
        accounts, own = self._kernel.dependencies.accounts, host.strategy.desk.instruments
        others = {order.instrument for order in accounts.orders.open(strategy=host.name)}
        others |= {of for (name, of), one in accounts.positions.strategies() if name == host.name and one.size}
        return [*own, *sorted(others.difference(own))]

    def exit_summary(self, reason: str, state_dir: Path) -> str:
        """What a stopped daemon leaves, as text for the terminal: orders that may be open, positions, where records
        are."""
        accounts = self._kernel.dependencies.accounts
        left = [
            f"order may be left: {order.client_order_id} {order.status.value} on {order.instrument}"
            for order in accounts.orders.open()
        ]
        lines = [f"stopped: {reason}", *(left or ["no order left"])]
        for instrument_id, position in accounts.positions.accounts():
            instrument = accounts.instruments.get(instrument_id)
            if position.size and instrument is not None:
                size = to_decimal(position.size, instrument.size_decimals).normalize()
                lines.append(f"position: {size:f} {instrument_id}")
        lines.append(f"records: {state_dir}  (tidegate orders | fills | positions --state-dir {state_dir})")
        return "\n".join(lines) + "\n"

    def _venue(self, name: str) -> VenueStatus:
        books = self._kernel.dependencies.books
        age_ns = books.age_ns(name, self._clock.monotonic_ns())
        tokens = dict(self._metrics.budget_tokens.samples())
        return VenueStatus(
            venue=name,
            is_up=books.is_connected(name),
            feed_age_ms=None if age_ns == AGE_NEVER_NS else age_ns // 1_000_000,
            budget=", ".join(f"{pool} {left:g}" for (venue, pool), left in tokens.items() if venue == name),
        )

    def _quote(self, host: StrategyHost, instrument_id: InstrumentId) -> QuoteStatus:
        dependencies = self._kernel.dependencies
        instrument = dependencies.accounts.instruments[instrument_id]
        book = dependencies.books.get(instrument_id)
        orders = dependencies.accounts.orders.open(strategy=host.name, instrument=instrument_id)
        position = dependencies.accounts.positions.of_strategy(host.name, instrument_id)
        profit = profit_and_loss(position, book)
        return QuoteStatus(
            strategy=host.name,
            instrument=instrument.symbol,
            bid=_price(instrument, None if book is None else book.bid),
            ask=_price(instrument, None if book is None else book.ask),
            own_bid=_best(instrument, orders, Side.BUY),
            own_ask=_best(instrument, orders, Side.SELL),
            position=f"{to_decimal(position.size, instrument.size_decimals).normalize():f}",
            pnl=f"{instrument.money(profit.net):+.4f}"
            + (f" at {profit.mark}" if profit.mark in ("bid", "ask") else ""),
        )


def _price(instrument: Instrument, price: Price | None) -> str:
    return "" if price is None else instrument.price_text(price)


def _best(instrument: Instrument, orders: tuple[Order, ...], side: Side) -> str:
    """Our best price on a side, with its size."""
    own = [order for order in orders if order.side is side]
    if not own:
        return ""
    best = max(own, key=lambda order: order.price * side.sign)
    return f"{instrument.price_text(best.price)} x {to_decimal(best.remaining, instrument.size_decimals).normalize():f}"
