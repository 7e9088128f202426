"""The picture of this moment, for the live terminal status: read from the kernel's state, in words for people."""

from __future__ import annotations

from pathlib import Path

from framework.control.status import QuoteStatus, StatusSnapshot, VenueStatus
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.numbers import Price, to_decimal
from framework.domain.orders import Order, Side
from framework.domain.ports import Clock
from framework.flow.host import StrategyHost
from framework.flow.kernel import Kernel
from framework.runtime.metrics import Metrics
from framework.state.valuation import profit_and_loss


class Picture:
    """Makes the snapshots."""

    def __init__(self, kernel: Kernel, metrics: Metrics, clock: Clock) -> None:
        self._kernel = kernel
        self._metrics = metrics
        self._clock = clock
        self._started_ns = clock.monotonic_ns()

    def snapshot(self) -> StatusSnapshot:
        """What is true now."""
        parts = self._kernel.parts
        quarantined = [host.name for host in self._kernel.hosts.values() if host.is_quarantined]
        return StatusSnapshot(
            uptime_s=(self._clock.monotonic_ns() - self._started_ns) // 1_000_000_000,
            venues=tuple(self._venue(name) for name in parts.outboxes),
            quotes=tuple(
                self._quote(host, instrument)
                for host in self._kernel.hosts.values()
                for instrument in host.strategy.desk.instruments
            ),
            fills=sum(self._metrics.fills.values.values()),
            refusals=sum(self._metrics.refusals.values.values()),
            open_orders=parts.accounts.orders.open_count(),
            note=f"quarantined: {', '.join(quarantined)}" if quarantined else "",
        )

    def farewell(self, reason: str, state_dir: Path) -> str:
        """What a stopped daemon leaves, in a few lines for the terminal: orders that may be open, and positions."""
        accounts = self._kernel.parts.accounts
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
        books = self._kernel.parts.books
        age_ns = books.age_ns(name, self._clock.monotonic_ns())
        tokens = dict(self._metrics.budget_tokens.samples())
        return VenueStatus(
            venue=name,
            is_up=books.is_connected(name),
            feed_age_ms=None if age_ns is None else age_ns // 1_000_000,
            budget=", ".join(f"{pool} {left:g}" for (venue, pool), left in tokens.items() if venue == name),
        )

    def _quote(self, host: StrategyHost, instrument_id: InstrumentId) -> QuoteStatus:
        parts = self._kernel.parts
        instrument = parts.accounts.instruments[instrument_id]
        book = parts.books.of(instrument_id)
        orders = parts.accounts.orders.open(strategy=host.name, instrument=instrument_id)
        position = parts.accounts.positions.of_strategy(host.name, instrument_id)
        profit = profit_and_loss(position, book)
        return QuoteStatus(
            strategy=host.name,
            instrument=instrument.symbol,
            bid=_price(instrument, book.bid),
            ask=_price(instrument, book.ask),
            own_bid=_best(instrument, orders, Side.BUY),
            own_ask=_best(instrument, orders, Side.SELL),
            position=f"{to_decimal(position.size, instrument.size_decimals).normalize():f}",
            pnl=f"{instrument.money(profit.net):+.4f}",
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
