"""The faults that are states of the venue rather than strikes on one answer: skew, lag, pauses, settlements.

`StandingFaults.apply` brings the venue in line with the plan; the server's timer calls it, and each change of the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from connectors.kalshi.sandbox.venue import Venue
from connectors.kalshi.sandbox.wire import PRICE_ONE
from connectors.sandbox.engine.model import NS_PER_MS, Phase
from connectors.sandbox.serving.faults import FaultRequestError

PAUSE_SCOPES = ("trading", "exchange", "market")


class StandingFaults:
    """Applies the standing faults of one venue's plan, and undoes those that ended.

    `read_lag_ms` is how far reads lag while no fault sets another lag.
    """

    def __init__(self, venue: Venue, *, read_lag_ms: int = 0) -> None:
        self._venue = venue
        self._read_lag_ms = read_lag_ms
        self._paused_markets: set[str] = set()

    def apply(self) -> None:
        """Set clock, read lag, phase and markets to what the plan holds now, and publish the events of that."""
        venue = self._venue
        listed = venue.faults.listed()
        venue.clock.skew_ns = _ns(listed, "clock_skew", name="skew_ms")
        lag_ns = _ns(listed, "read_lag", name="lag_ms") or self._read_lag_ms * NS_PER_MS
        if lag_ns != venue.reads.lag_ns:
            venue.reads.set_lag(lag_ns)
        pauses = [fault for fault in listed if fault["kind"] == "pause"]
        self._apply_phase(pauses)
        self._apply_market_pauses([fault for fault in pauses if fault["params"].get("scope") == "market"])
        if any(fault["kind"] == "settle" for fault in listed):
            self._settle()
        venue.publish_events()

    def _apply_phase(self, pauses: list[dict[str, Any]]) -> None:
        scopes = {fault["params"].get("scope", "trading") for fault in pauses}
        # The stricter pause wins; an exchange pause also pauses trading.
        wanted: Phase = "open"
        if "exchange" in scopes:
            wanted = "exchange_paused"
        elif "trading" in scopes:
            wanted = "trading_paused"
        exchange = self._venue.exchange
        if exchange.state.phase != wanted:
            exchange.set_phase(wanted, self._venue.clock.engine_ns())

    def _apply_market_pauses(self, pauses: list[dict[str, Any]]) -> None:
        venue = self._venue
        patterns = [fault["match"].get("market", "*") for fault in pauses]
        markets = venue.exchange.state.markets
        wanted = {ticker for ticker in markets if any(fnmatchcase(ticker, pattern) for pattern in patterns)}
        for ticker in wanted - self._paused_markets:
            venue.exchange.set_market(ticker, "pause", now_ns=venue.clock.engine_ns())
        for ticker in self._paused_markets - wanted:
            venue.exchange.set_market(ticker, "resume", now_ns=venue.clock.engine_ns())
        self._paused_markets = wanted

    def _settle(self) -> None:
        venue = self._venue
        for ticker, market in venue.exchange.state.markets.items():
            if market.status == "finalized":
                continue
            fault = venue.faults.take("settle", market=ticker)
            if fault is not None:
                value = settle_value(fault.params)
                venue.exchange.set_market(ticker, "settle", now_ns=venue.clock.engine_ns(), value=value)


def settle_value(params: Mapping[str, Any]) -> int | None:
    """The price per YES that a settlement fault names: "yes", "no" or 10^-4 dollars; None leaves it to the engine.

    Raises `FaultRequestError` for anything else.
    """
    value = params.get("value")
    if value in ("yes", "no"):
        return PRICE_ONE if value == "yes" else 0
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= PRICE_ONE):
        return value
    raise FaultRequestError(f'value is {value!r}; give "yes", "no" or a whole number from 0 to {PRICE_ONE}')


def check_fault(description: Mapping[str, Any]) -> None:
    """Check the parameters of a described fault. Raises `FaultRequestError` for one that cannot be applied."""
    for name in ("delay_ms", "skew_ms", "lag_ms", "status"):
        value = description.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int):
            raise FaultRequestError(f"{name} is {value!r}; give a whole number")
    scope = description.get("scope", "trading")
    if scope not in PAUSE_SCOPES:
        raise FaultRequestError(f"scope is {scope!r}; use one of {', '.join(PAUSE_SCOPES)}")
    if description.get("kind") == "settle":
        settle_value(description)


def _ns(listed: list[dict[str, Any]], kind: str, *, name: str) -> int:
    """The milliseconds that the first standing fault of `kind` asks for, as nanoseconds; 0 without one."""
    return next((int(fault["params"].get(name, 0)) * NS_PER_MS for fault in listed if fault["kind"] == kind), 0)
