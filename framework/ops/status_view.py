"""A status as lines and tables for a terminal of any width: shared by the live screen and `tidegate status`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from framework.ops.status import QuoteStatus, Status, StrategyStatus, TradingStatus, VenueStatus

WIDE = 100
"""From so many columns on, columns of tables are two spaces apart instead of one."""

NAME_MIN = 8
"""Least room for a name, in characters."""

_STYLES = {"halted": "bold red", "reducing": "yellow"}
_QUOTE_COLUMNS = ("bid", "ask", "our bid", "our ask", "position", "P&L")


def totals(status: Status) -> Text:
    """Counts and cash in one line; of a daemon that does not run only what its records hold."""
    cash = [f"cash {one.venue} {one.amount} {one.currency}{_of_time(one.reported_ns)}" for one in status.cash]
    if status.uptime_s is None:
        return Text("   ".join([f"open orders {status.open_orders}", *cash]))
    minutes, seconds = divmod(status.uptime_s, 60)
    hours, minutes = divmod(minutes, 60)
    counts = [f"open orders {status.open_orders}", f"fills {status.fills}", f"refusals {status.refusals}"]
    return Text("   ".join([f"up {hours:d}:{minutes:02d}:{seconds:02d}", *counts, *cash]))


def _of_time(reported_ns: int) -> str:
    """Cash is told now and then: how old it is must be seen."""
    return f" of {datetime.fromtimestamp(reported_ns // 1_000_000_000, UTC):%H:%M:%S}" if reported_ns else ""


def readiness(status: Status) -> Text:
    """Ready, or every reason why not."""
    if not status.not_ready:
        return Text("ready", style="green")
    return Text(f"not ready: {'; '.join(status.not_ready)}", style="red")


def trading_line(row: TradingStatus) -> Text:
    """One trading state: what is halted or reducing, why, by whom, since when."""
    where = f"{row.scope} {row.target}" if row.target else "everything"
    by = f", by {row.by}" if row.by else ""
    since = f", since {_second_of(row.since_ns)}" if row.since_ns else ""
    until = f", until {_second_of(row.until_ns)}" if row.until_ns else ""
    return Text(f"{row.state.upper()} {where}: {row.reason}{by}{since}{until}", style=_STYLES.get(row.state, ""))


def _second_of(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%Y-%m-%d %H:%M:%SZ}"


def notes(status: Status) -> list[Text]:
    """A line for each kind of thing that needs attention."""
    lines = list(status.alerts)
    for what in dict.fromkeys(one.what for one in status.orders_in_question):
        ages_ms = [one.age_ms for one in status.orders_in_question if one.what == what]
        lines.append(f"orders {what}: {len(ages_ms)}, the oldest for {max(ages_ms) / 1000:.1f} s")
    lines += [
        f"strategy {one.strategy} is {one.state}: {one.reason}" for one in status.strategies if not one.is_running
    ]
    lines += [f"differs: {text}" for text in status.differences]
    lines += [
        f"external orders at {one.venue}: {one.external_orders}; `tidegate external-orders` lists them"
        for one in status.venues
        if one.external_orders
    ]
    lines += [sentence for one in status.venues for sentence in one.not_known]
    return [Text(line, style="yellow") for line in lines]


def strategies_table(strategies: Sequence[StrategyStatus], width: int) -> Table:
    """One row per strategy: whether it runs, and else for what it waits or why it is quarantined."""
    table = _table(width)
    for title in ("strategy", "state", "instruments", "open orders", "faults", "why"):
        table.add_column(title, justify="right" if title in ("instruments", "open orders", "faults") else "left")
    for one in strategies:
        state = Text(one.state, style="green" if one.is_running else "yellow")
        counts = (str(one.instruments), str(one.open_orders), str(one.faults))
        table.add_row(Text(one.strategy), state, *counts, Text(one.reason))
    return table


def venues_table(venues: Sequence[VenueStatus], width: int, *, wraps: bool = False) -> Table:
    """One row per venue: up or why not, its books, its clock, what is left of its rate limit. A row that `wraps` shows
    all of a long reason."""
    table = _table(width)
    for title in ("venue", "streams", "books fresh", "feed age", "clock", "rate limit left"):
        is_number = title in ("books fresh", "feed age", "clock")
        table.add_column(title, justify="right" if is_number else "left", no_wrap=is_number or not wraps)
    for venue in venues:
        up = Text("up", style="green") if venue.is_up else Text(f"down: {venue.reason}", style="red")
        left = ", ".join(f"{tokens} {pool}" for pool, tokens in venue.rate_limit_left.items())
        clock = "" if venue.clock_offset_ms is None else f"{venue.clock_offset_ms:+.0f} ms"
        books = f"{venue.books_fresh} of {venue.books}"
        table.add_row(Text(venue.venue), up, books, _age(venue.feed_age_ms), clock, Text(left))
    return table


def quotes_table(quotes: Sequence[QuoteStatus], width: int) -> Table:
    """One row per strategy and instrument. Names that don't fit are cut in the middle, so that they differ still."""
    numbers = [(one.bid, one.ask, one.own_bid, one.own_ask, one.position, one.pnl) for one in quotes]
    strategies, instruments = _name_cells(quotes, numbers, width)
    table = _table(width)
    table.add_column("strategy", no_wrap=True)
    table.add_column("instrument", no_wrap=True)
    for title in _QUOTE_COLUMNS:
        table.add_column(title, justify="right", no_wrap=True)
    for strategy, instrument, row in zip(strategies, instruments, numbers, strict=True):
        bid, ask, own_bid, own_ask, position, pnl = row
        own = (Text(own_bid, style="cyan"), Text(own_ask, style="cyan"))
        profit = Text(pnl, style="red" if pnl.startswith("-") else "green")
        table.add_row(Text(strategy), Text(instrument), bid, ask, *own, position, profit)
    return table


def elided(names: Sequence[str], width: int) -> list[str]:
    """Names cut to `width` characters in the middle, where different names stay different if that is possible."""
    cut = [name for name in names if len(name) > width]
    if not cut:
        return list(names)
    room = max(width, 3) - 1
    for head in (room // 3, room // 2, room * 2 // 3, 1, room - 1):
        shown = [name if len(name) <= width else f"{name[:head]}…{name[len(name) - room + head :]}" for name in names]
        if len(set(shown)) == len(set(names)):
            return shown
    return shown


def _name_cells(
    quotes: Sequence[QuoteStatus], numbers: Sequence[Sequence[str]], width: int
) -> tuple[list[str], list[str]]:
    """Names of strategies and instruments in the room that the numbers leave."""
    columns = [*zip(_QUOTE_COLUMNS, *numbers, strict=True)]
    taken = sum(max(len(cell) for cell in column) for column in columns)
    room = width - taken - _gap(width) * (len(_QUOTE_COLUMNS) + 1)
    strategies = [one.strategy for one in quotes]
    longest = max((len(name) for name in strategies), default=0)
    strategy_width = max(NAME_MIN, min(longest, room // 3))
    instruments = elided([one.instrument for one in quotes], max(NAME_MIN, room - strategy_width))
    return elided(strategies, strategy_width), instruments


def _table(width: int) -> Table:
    return Table(box=None, header_style="dim", pad_edge=False, padding=(0, _gap(width), 0, 0))


def _gap(width: int) -> int:
    return 2 if width >= WIDE else 1


def _age(age_ms: int | None) -> Text:
    return Text("none", style="red") if age_ms is None else Text(f"{age_ms / 1000:.1f} s")
