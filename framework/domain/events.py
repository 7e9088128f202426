"""Events: everything that enters the kernel. Immutable, and encodable as a msgpack array.

Market data goes to the tape (`market_events`), what concerns orders, money and operators to the journal
(`account_events`). Plugins find all of them under this name, too.
"""

from __future__ import annotations

import msgspec

from framework.domain.account_events import AccountEvent as AccountEvent
from framework.domain.account_events import BalanceReport as BalanceReport
from framework.domain.account_events import CancelAllRequested as CancelAllRequested
from framework.domain.account_events import CancelRequested as CancelRequested
from framework.domain.account_events import CashFlow as CashFlow
from framework.domain.account_events import CashFlowKind as CashFlowKind
from framework.domain.account_events import ControlSaved as ControlSaved
from framework.domain.account_events import ExternalOrderIgnored as ExternalOrderIgnored
from framework.domain.account_events import Fill as Fill
from framework.domain.account_events import FillSource as FillSource
from framework.domain.account_events import FillVoided as FillVoided
from framework.domain.account_events import FundMoveReported as FundMoveReported
from framework.domain.account_events import InstrumentDefined as InstrumentDefined
from framework.domain.account_events import InstrumentPurged as InstrumentPurged
from framework.domain.account_events import InstrumentSettled as InstrumentSettled
from framework.domain.account_events import InstrumentStatusChanged as InstrumentStatusChanged
from framework.domain.account_events import LimitChanged as LimitChanged
from framework.domain.account_events import OrderAdopted as OrderAdopted
from framework.domain.account_events import OrderReport as OrderReport
from framework.domain.account_events import OrderRequested as OrderRequested
from framework.domain.account_events import OrderSnapshot as OrderSnapshot
from framework.domain.account_events import PositionReport as PositionReport
from framework.domain.account_events import ReportKind as ReportKind
from framework.domain.account_events import Scope as Scope
from framework.domain.account_events import ShutdownRequested as ShutdownRequested
from framework.domain.account_events import StrategyQuarantined as StrategyQuarantined
from framework.domain.account_events import StrategySaved as StrategySaved
from framework.domain.account_events import TradingState as TradingState
from framework.domain.account_events import TradingStateChanged as TradingStateChanged
from framework.domain.market_events import MARKET_EVENTS as MARKET_EVENTS
from framework.domain.market_events import BookDelta as BookDelta
from framework.domain.market_events import BookLevel as BookLevel
from framework.domain.market_events import BookSnapshot as BookSnapshot
from framework.domain.market_events import BookStale as BookStale
from framework.domain.market_events import ConnectorStatus as ConnectorStatus
from framework.domain.market_events import Heartbeat as Heartbeat
from framework.domain.market_events import Level as Level
from framework.domain.market_events import LimitsDeclared as LimitsDeclared
from framework.domain.market_events import MarketEvent as MarketEvent
from framework.domain.market_events import MarkPrice as MarkPrice
from framework.domain.market_events import RequestCompleted as RequestCompleted
from framework.domain.market_events import RequestOutcome as RequestOutcome
from framework.domain.market_events import StrategyStarted as StrategyStarted
from framework.domain.market_events import TermsDeclared as TermsDeclared
from framework.domain.market_events import TimerFired as TimerFired
from framework.domain.market_events import TradePrint as TradePrint
from framework.domain.market_events import TurnTaken as TurnTaken
from framework.domain.market_events import VenueClock as VenueClock
from framework.domain.market_events import WindowSeen as WindowSeen

Event = MarketEvent | AccountEvent
"""Every input of the kernel."""

RequestSettled = RequestCompleted
"""The earlier name of `RequestCompleted`, for plugins written with it."""


class _Kinds(dict[type, str]):
    """Class -> tag, filled as classes are met: counting a market event costs one look-up."""

    def __missing__(self, struct: type[msgspec.Struct]) -> str:
        tag = struct.__struct_config__.tag
        if not isinstance(tag, str):
            raise TypeError(f'{struct!r} has no tag of its own; give it one: tag=True, or tag="..." after a renaming')
        self[struct] = tag
        return tag


_KINDS = _Kinds()


def kind_of(struct: msgspec.Struct) -> str:
    """The tag of a struct's class, for example "OrderReport". Raises `TypeError` when the class has no tag."""
    return _KINDS[type(struct)]
