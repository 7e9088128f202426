"""The kinds of alerts: what the page says of them, and how an operator calls one."""

from __future__ import annotations

import re
from pathlib import Path

from framework.domain.account_events import Scope
from framework.ops.alerts.alert import Alert, AlertKind, alert_table


def test_page_when_its_table_is_read_then_it_is_that_of_the_kinds() -> None:
    found = re.search(r"<!-- alerts -->\n(.*?)\n<!-- /alerts -->", Path("docs/alerts.md").read_text(), re.DOTALL)
    assert found
    assert found[1] == alert_table()


def test_name_when_it_is_about_something_then_it_says_what() -> None:
    alert = Alert(kind=AlertKind.VENUE_DOWN, scope=Scope.VENUE, target="kalshi", text="down", since_ns=1)
    assert alert.name == "venue_down:kalshi"
    alert = Alert(kind=AlertKind.LEDGER_DOWN, scope=Scope.GLOBAL, target="", text="full", since_ns=1)
    assert alert.name == "ledger_down"
