"""The live terminal status: what a person wants to see at a glance, redrawn in place twice a second.

The daemon hands in a callable that describes this moment; nothing here knows the daemon. When standard output is
not a terminal nothing is drawn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

REDRAW_INTERVAL_MS = 500


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
        """Whether there is a terminal to draw on."""
        return self._console.is_terminal

    async def run(self) -> None:
        """Redraw until cancelled; without a terminal wait for the cancel. Log lines go above the tables."""
        if not self.is_shown:
            await asyncio.Event().wait()
        # No refresh thread: the loop that trades also draws, so what is drawn is one consistent moment.
        with Live(render(self._snapshot()), console=self._console, auto_refresh=False) as live:
            while True:
                await asyncio.sleep(REDRAW_INTERVAL_MS / 1000)
                live.update(render(self._snapshot()), refresh=True)


def render(status: StatusSnapshot) -> Group:
    """The picture of one moment."""
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
