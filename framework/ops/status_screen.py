"""The live status on the terminal, redrawn in place twice a second.

What an operator must not miss stands first: totals, trading states, what needs attention. Rows that don't fit come in
pages. When standard output is not a terminal nothing is drawn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from framework.ops.status import Status
from framework.ops.status_view import notes, quotes_table, readiness, totals, trading_line, venues_table

REDRAW_INTERVAL_MS = 500
"""Time between two redraws, in milliseconds."""

PAGE_S = 4
"""So long each page of rows is shown, in seconds."""

ATTENTION_LINES_MAX = 6
"""Most lines of trading states and notes; `tidegate status` shows all."""

_STOPS = "Ctrl-C stops: cancels what is open, then exits"


class LiveStatus:
    """Draws the status until cancelled. `read` must be quick: it is called on the event loop."""

    def __init__(self, read: Callable[[], Status], *, console: Console | None = None) -> None:
        self._read = read
        self._console = console or Console()
        self._size = self._console.size

    @property
    def is_shown(self) -> bool:
        """Whether there is a terminal to draw on; without one the log goes to standard output instead."""
        return self._console.is_terminal

    async def run(self) -> None:
        """Redraw until cancelled, and once more then; ends when the terminal is closed, and without one waits for the
        cancel. Other output goes above the tables."""
        if not self.is_shown:
            await asyncio.Event().wait()
        with suppress(OSError):
            await self._draw()

    async def _draw(self) -> None:
        # No refresh thread: the loop that trades also draws, so that no half-applied state is shown.
        with Live(self._frame(), console=self._console, auto_refresh=False) as live:
            try:
                while True:
                    await asyncio.sleep(REDRAW_INTERVAL_MS / 1000)
                    self._redraw(live)
            finally:
                # The last frame stays on the terminal: it shows how it ended.
                self._redraw(live)

    def _redraw(self, live: Live) -> None:
        if self._console.size != self._size:
            # The terminal has moved the rows of the last frame: where they are now is not known.
            self._size = self._console.size
            self._console.clear()
        live.update(self._frame(), refresh=True)

    def _frame(self) -> Group:
        # The last row stays empty: the cursor stands there, and a frame that fills it would scroll.
        return render_screen(self._read(), width=self._size.width, height=self._size.height - 1)


def render_screen(status: Status, *, width: int, height: int) -> Group:
    """The status for a terminal of `width` columns, in at most `height` rows."""
    lines = [_one_line(totals(status)), _one_line(readiness(status)), *_attention(status)]
    room = height - len(lines) - len(status.venues) - 3
    parts: list[RenderableType] = [*lines, venues_table(status.venues, width)]
    count = max(1, room)
    pages = max(1, -(-len(status.quotes) // count))
    page = (status.uptime_s or 0) // PAGE_S % pages
    parts.append(quotes_table(status.quotes[page * count : (page + 1) * count], width))
    of_pages = f"page {page + 1} of {pages}, {len(status.quotes)} rows   " if pages > 1 else ""
    parts.append(_one_line(Text(f"{of_pages}{_STOPS}", style="dim")))
    return Group(*parts)


def _attention(status: Status) -> list[Text]:
    found = [*map(trading_line, status.trading), *notes(status)]
    if len(found) > ATTENTION_LINES_MAX:
        more = len(found) - ATTENTION_LINES_MAX + 1
        found = [*found[: ATTENTION_LINES_MAX - 1], Text(f"{more} more; `tidegate status` shows all", style="yellow")]
    return [_one_line(line) for line in found]


def _one_line(line: Text) -> Text:
    """The line cut to the width of the terminal, so that the number of rows is known."""
    line.no_wrap, line.overflow = True, "ellipsis"
    return line
