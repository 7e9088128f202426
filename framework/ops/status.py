"""The status of a daemon: what the live screen and `tidegate status` show, as data and from the state's own words."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from framework.domain.numbers import to_decimal
from framework.state.accounts import Accounts


class TradingStatus(msgspec.Struct, frozen=True):
    """One trading state that is set: where, which, why, by whom, and since when (wall nanoseconds, 0 = not known). It
    ends by itself at `until_ns`, 0 for never."""

    scope: str
    target: str
    state: str
    reason: str
    by: str = ""
    since_ns: int = 0
    until_ns: int = 0


class VenueStatus(msgspec.Struct, frozen=True):
    """One venue. `reason` says why it is down. `feed_age_ms` is that of the fresh book which is longest without a
    message, None without a fresh book; `clock_offset_ms` is None until it was measured; `rate_limit_left` is in tokens
    by pool; `not_known` says what can't be compared, since the venue does not list it."""

    venue: str
    is_up: bool
    reason: str = ""
    feed_age_ms: int | None = None
    books: int = 0
    books_fresh: int = 0
    clock_offset_ms: float | None = None
    rate_limit_left: Mapping[str, int] = {}
    external_orders: int = 0
    not_known: tuple[str, ...] = ()


class StrategyStatus(msgspec.Struct, frozen=True):
    """One strategy: `state` is `running`, `waiting` or `quarantined`, `reason` says for what or why."""

    strategy: str
    state: str
    reason: str = ""
    instruments: int = 0
    open_orders: int = 0
    faults: int = 0

    @property
    def is_running(self) -> bool:
        """Whether its hooks are called."""
        return self.state == "running"


class QuestionedOrder(msgspec.Struct, frozen=True):
    """An order to see to: `what` is `unknown`, `cancel pending`, or of a daemon that has ended `open`. `age_ms` counts
    since it became so."""

    client_order_id: str
    strategy: str
    instrument: str
    what: str
    age_ms: int


class CashStatus(msgspec.Struct, frozen=True):
    """What the venue said of an account's cash at `reported_ns` (wall time), as exact decimal text."""

    venue: str
    currency: str
    amount: str
    reported_ns: int = 0


class PositionStatus(msgspec.Struct, frozen=True):
    """One position of the account that is not flat, in contracts as exact decimal text, long > 0."""

    instrument: str
    size: str


class MarkStatus(msgspec.Struct, frozen=True):
    """At what a long and a short position in an instrument are valued, as decimal text, and which price of the book
    that is: `mid`, `bid` or `ask`; both empty where there is none."""

    long: str = ""
    long_at: str = ""
    short: str = ""
    short_at: str = ""


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


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. Counts are since the start. `not_ready` is empty when it is ready to trade. Of a daemon that does not
    run, `ended` says when and how its last run ended, and the rest is what its records say; what they don't is None.
    `alerts` is what is to be said of alerts in general, in sentences."""

    uptime_s: int | None = None
    ended: str = ""
    not_ready: tuple[str, ...] = ()
    trading: tuple[TradingStatus, ...] = ()
    venues: tuple[VenueStatus, ...] = ()
    strategies: tuple[StrategyStatus, ...] = ()
    orders_in_question: tuple[QuestionedOrder, ...] = ()
    differences: tuple[str, ...] = ()
    cash: tuple[CashStatus, ...] = ()
    positions: tuple[PositionStatus, ...] = ()
    quotes: tuple[QuoteStatus, ...] = ()
    fills: int | None = None
    refusals: int | None = None
    open_orders: int = 0
    marks: Mapping[str, MarkStatus] = {}
    alerts: tuple[str, ...] = ()


def trading_of(accounts: Accounts) -> tuple[TradingStatus, ...]:
    """Every trading state that is set and not active."""
    return tuple(
        TradingStatus(row.scope.value, row.target, row.state.value, row.reason, row.by, row.since_ns, row.until_ns)
        for row in accounts.trading.rows()
    )


def cash_of(accounts: Accounts) -> tuple[CashStatus, ...]:
    """The cash of each account, as its venue said last."""
    return tuple(
        CashStatus(one.venue, one.currency, f"{to_decimal(one.amount, one.decimals).normalize():f}", one.ts_recv)
        for one in accounts.balances.values()
    )


def positions_of(accounts: Accounts) -> tuple[PositionStatus, ...]:
    """The positions of the accounts that are not flat."""
    found = [
        (accounts.instruments[instrument], position.size)
        for instrument, position in accounts.positions.accounts()
        if position.size and instrument in accounts.instruments
    ]
    return tuple(PositionStatus(one.id, f"{to_decimal(size, one.size_decimals).normalize():f}") for one, size in found)
