"""The faults that are states of the venue rather than strikes on one answer: skew, lag, pauses, settlements.

`StandingFaults.apply` brings the venue in line with the plan; the server's timer calls it, and each change of the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from connectors.sandbox.engine.model import NS_PER_MS, Market, Phase
from connectors.sandbox.serving.decimals import parse_decimal
from connectors.sandbox.serving.faults import FaultRequestError
from connectors.sandbox.serving.venue import ServedVenue

PAUSE_SCOPES = ("trading", "exchange", "market")


class StandingFaults:
    """Applies the standing faults of one venue's plan, and undoes those that ended.

    `read_lag_ms` is how far reads lag while no fault sets another lag.
    """

    def __init__(self, venue: ServedVenue, *, read_lag_ms: int = 0) -> None:
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
        self._apply_phase({fault["params"].get("scope", "trading") for fault in pauses})
        self._apply_market_pauses([fault for fault in pauses if fault["params"].get("scope") == "market"])
        venue.exchange.state.cancel_delay_ns = _ns(listed, "slow_cancel", name="delay_ms")
        if any(fault["kind"] == "settle" for fault in listed):
            self._settle()
        if any(fault["kind"] in ("mark_jump", "funding_now", "liquidate") for fault in listed):
            self._strike_perpetuals()
        venue.publish_events()

    def _apply_phase(self, scopes: set[str]) -> None:
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
        wanted = {name for name in markets if any(fnmatchcase(name, pattern) for pattern in patterns)}
        for name in wanted - self._paused_markets:
            venue.exchange.set_market(name, "pause", now_ns=venue.clock.engine_ns())
        for name in self._paused_markets - wanted:
            venue.exchange.set_market(name, "resume", now_ns=venue.clock.engine_ns())
        self._paused_markets = wanted

    def _settle(self) -> None:
        venue = self._venue
        for name, market in venue.exchange.state.markets.items():
            if market.status == "finalized":
                continue
            fault = venue.faults.take("settle", market=name)
            if fault is not None:
                value = settle_value(fault.params, market)
                venue.exchange.set_market(name, "settle", now_ns=venue.clock.engine_ns(), value=value)

    def _strike_perpetuals(self) -> None:
        """Each strike is for one market; what the exchange refuses, as without a mark or a position, is used up."""
        exchange, faults, now_ns = self._venue.exchange, self._venue.faults, self._venue.clock.engine_ns()
        for name, market in exchange.state.markets.items():
            if market.spec.kind != "perpetual":
                continue
            if (fault := faults.take("mark_jump", market=name)) is not None:
                price = parse_decimal(str(fault.params.get("price")), market.spec.price_decimals)
                exchange.set_mark(name, price or 0, now_ns=now_ns)
            if (fault := faults.take("funding_now", market=name)) is not None:
                exchange.fund(name, now_ns=now_ns, rate_ppm=fault.params.get("rate_ppm"))
            if faults.take("liquidate", market=name) is not None:
                for account in self._venue.member_ids:
                    exchange.liquidate(account, name, now_ns=now_ns)


def settle_value(params: Mapping[str, Any], market: Market) -> int | None:
    """The price per YES that a settlement fault names, in price units; None leaves it to the engine.

    Raises `FaultRequestError` for anything but "yes", "no", a price of the market, or none.
    """
    value, one = params.get("value"), market.spec.one
    if value in ("yes", "no"):
        return one if value == "yes" else 0
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= one):
        return value
    raise FaultRequestError(f'value is {value!r}; give "yes", "no" or a whole number from 0 to {one}')


def check_fault(description: Mapping[str, Any], venue: ServedVenue) -> None:
    """Check the parameters of a described fault. Raises `FaultRequestError` for one that cannot be applied."""
    for name in ("delay_ms", "skew_ms", "lag_ms", "status", "size", "rate_ppm"):
        value = description.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int):
            raise FaultRequestError(f"{name} is {value!r}; give a whole number")
    scope = description.get("scope", "trading")
    if scope not in PAUSE_SCOPES:
        raise FaultRequestError(f"scope is {scope!r}; use one of {', '.join(PAUSE_SCOPES)}")
    if description.get("kind") == "mark_jump" and parse_decimal(str(description.get("price")), 18) is None:
        raise FaultRequestError(f"price is {description.get('price')!r}; give a decimal as text")
    if description.get("kind") == "settle":
        for market in venue.exchange.state.markets.values():
            settle_value(description, market)


def _ns(listed: list[dict[str, Any]], kind: str, *, name: str) -> int:
    """The milliseconds that the first standing fault of `kind` asks for, as nanoseconds; 0 without one."""
    return next((int(fault["params"].get(name, 0)) * NS_PER_MS for fault in listed if fault["kind"] == kind), 0)
