"""What the last run left in doubt: requests that were under way when it ended, whose answers nobody heard."""

from __future__ import annotations

from framework.domain.events import OrderReport, ReportKind
from framework.domain.orders import OrderStatus
from framework.state.accounts import Accounts

RESTART_REPORTS = {
    OrderStatus.RECORDED: ReportKind.UNKNOWN,
    OrderStatus.SENT: ReportKind.UNKNOWN,
    OrderStatus.AMEND_REQUESTED: ReportKind.UNKNOWN,
    OrderStatus.CANCEL_REQUESTED: ReportKind.CANCEL_REFUSED,
}


def doubts_left(accounts: Accounts, now_ns: int) -> list[OrderReport]:
    """What a restart must say of orders whose requests were under way: nobody heard the answer.

    New and amended orders become unknown until the venue tells; a cancel may simply be asked for again.
    """
    return [
        OrderReport(
            venue=order.venue,
            client_order_id=order.client_order_id,
            kind=RESTART_REPORTS[order.status],
            ts_recv=now_ns,
            code="restart",
            detail="under way when an earlier run ended",
        )
        for order in accounts.orders.open()
        if order.status in RESTART_REPORTS
    ]
