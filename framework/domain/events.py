"""Events: everything that enters the kernel. Immutable, and encodable as a msgpack array.

Market data goes to the tape (`market_events`), what concerns orders, money and operators to the journal
(`account_events`). Plugins find all of them under this name, too.
"""

from __future__ import annotations

from framework.domain.account_events import (
    AccountEvent,
    BalanceReport,
    CancelRequested,
    ExternalOrderIgnored,
    Fill,
    FillVoided,
    InstrumentDefined,
    InstrumentSettled,
    InstrumentStatusChanged,
    OrderAdopted,
    OrderReport,
    OrderSnapshot,
    PositionReport,
    ReportKind,
    Scope,
    ShutdownRequested,
    StrategyQuarantined,
    StrategySaved,
    TradingState,
    TradingStateChanged,
)
from framework.domain.market_events import (
    MARKET_EVENTS,
    BookDelta,
    BookLevel,
    BookSnapshot,
    BookStale,
    ConnectorStatus,
    Heartbeat,
    Level,
    LimitsDeclared,
    MarketEvent,
    RequestCompleted,
    RequestOutcome,
    StrategyStarted,
    TimerFired,
    TradePrint,
    VenueClock,
)

Event = MarketEvent | AccountEvent
"""Every input of the kernel."""

RequestSettled = RequestCompleted
"""The earlier name of `RequestCompleted`, for plugins written with it."""

__all__ = [
    "MARKET_EVENTS",
    "AccountEvent",
    "BalanceReport",
    "BookDelta",
    "BookLevel",
    "BookSnapshot",
    "BookStale",
    "CancelRequested",
    "ConnectorStatus",
    "Event",
    "ExternalOrderIgnored",
    "Fill",
    "FillVoided",
    "Heartbeat",
    "InstrumentDefined",
    "InstrumentSettled",
    "InstrumentStatusChanged",
    "Level",
    "LimitsDeclared",
    "MarketEvent",
    "OrderAdopted",
    "OrderReport",
    "OrderSnapshot",
    "PositionReport",
    "ReportKind",
    "RequestCompleted",
    "RequestOutcome",
    "RequestSettled",
    "Scope",
    "ShutdownRequested",
    "StrategyQuarantined",
    "StrategySaved",
    "StrategyStarted",
    "TimerFired",
    "TradePrint",
    "TradingState",
    "TradingStateChanged",
    "VenueClock",
]
