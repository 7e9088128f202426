"""`tidegate alerts` and `tidegate ack`: what an operator has to see, and who has taken it over."""

from __future__ import annotations

import argparse
import getpass
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from framework.cli.ledger import state_directory
from framework.cli.operator import ask_daemon, request
from framework.cli.tables import print_json, print_lines
from framework.domain.errors import EXIT_FAILED, ConfigurationError, suggestion
from framework.domain.operator_requests import (
    NAME_ONE_ALERT,
    OPERATOR,
    AcknowledgeAlerts,
    SendTestAlert,
    ShowAlerts,
)
from framework.ops.alerts.alert import Alert, AlertLevel, AlertsShown
from framework.ops.alerts.alert_file import AlertFile
from framework.ops.alerts.messages import sent_text, utc_text
from framework.runtime.files import RealFiles
from framework.runtime.unix_socket import NoServer

WIDE_FROM = 120
"""From so many columns on, the text of an alert has a column; in fewer it has lines of its own."""

_INDENTED = (0, 0, 0, 2)
_STYLES = {AlertLevel.PAGE: "bold red", AlertLevel.TICKET: "yellow"}


def alerts(options: argparse.Namespace) -> int:
    """List the alerts that hold, of a daemon that has ended those that held then; or, with `test OUTPUT`, send one
    output a message now. Raises `ConfigurationError` for another action, `NoServer` when no daemon can send it."""
    if options.action:
        return _send_test(options)
    if options.output:
        raise ConfigurationError("alerts: name the action before the output: tidegate alerts test OUTPUT")
    directory = state_directory(options)
    try:
        answer = request(directory, ShowAlerts())
    except NoServer as e:
        shown, note = _from_file(directory, str(e).partition(";")[0])
    else:
        if not answer.is_ok:
            print_lines(f"tidegate: {line}" for line in answer.lines)
            return EXIT_FAILED
        shown, note = msgspec.convert(answer.data, AlertsShown), ""
    if options.json:
        print_json(_row(alert) for alert in shown.alerts)
        return 0
    console = Console(highlight=False)
    for part in _parts(shown, note, console.width):
        console.print(part)
    return 0


def acknowledge(options: argparse.Namespace) -> int:
    """Acknowledge one alert, or all that nobody has. Raises `ConfigurationError` unless exactly one of the two is
    given, `NoServer` when no daemon answers."""
    if bool(options.name) == options.all:
        raise ConfigurationError(NAME_ONE_ALERT)
    question = AcknowledgeAlerts(name=options.name, is_all=options.all, reason=options.reason, by=_user())
    return ask_daemon(options, question)


def _send_test(options: argparse.Namespace) -> int:
    if options.action != "test":
        raise ConfigurationError(
            f'alerts: there is no action "{options.action}"; {suggestion(options.action, ["test"])}'
        )
    if not options.output:
        raise ConfigurationError("alerts test: name the output, as in [alerts.outputs.NAME]")
    return ask_daemon(options, SendTestAlert(output=options.output))


def _user() -> str:
    """Who types: also behind sudo. A container may have no name for its user."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return OPERATOR


def _from_file(directory: Path, why: str) -> tuple[AlertsShown, str]:
    """What the file says of the last run, and a line that says so."""
    kept, trouble = AlertFile(RealFiles(), directory).read()
    return AlertsShown(kept), f"{why}. {trouble or 'This held when it ended'}"


def _row(alert: Alert) -> dict[str, object]:
    """An alert for a program, under keys that are a format."""
    return {"name": alert.name, "level": alert.kind.level.value, **msgspec.to_builtins(alert)}


def _parts(shown: AlertsShown, note: str, width: int) -> Iterator[RenderableType]:
    if note:
        yield Text(note, style="yellow")
    if not shown.alerts:
        yield Text("no alert")
    elif width >= WIDE_FROM:
        yield _wide_table(shown.alerts)
    else:
        yield from (line for alert in shown.alerts for line in _lines(alert))
    for output in shown.outputs:
        state = f"does not take messages: {output.trouble}" if output.trouble else "takes messages"
        which = "pages" if output.level == AlertLevel.PAGE.value else "pages and tickets"
        yield Text(f"output {output.name} ({which}) {state}", style="red" if output.trouble else "")
    if not note and not shown.outputs:
        yield Text("no output is configured: alerts are sent to nobody", style="dim")


def _wide_table(rows: Sequence[Alert]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("since", "level", "name", "what", "sent", "acknowledged"):
        table.add_column(title, no_wrap=title in ("since", "level"), justify="right" if title == "sent" else "left")
    for one in rows:
        level = Text(one.kind.level.value, style=_STYLES[one.kind.level])
        by = Text(_acknowledged(one) or "-")
        table.add_row(utc_text(one.since_ns), level, Text(one.name), Text(one.text), str(one.sent), by)
    return table


def _lines(alert: Alert) -> Iterator[RenderableType]:
    """An alert in a few lines, for a narrow terminal."""
    level = alert.kind.level
    yield Text.assemble((level.value, _STYLES[level]), " ", alert.name)
    yield Padding(Text(alert.text), _INDENTED)
    acknowledged = f"acknowledged by {_acknowledged(alert)}" if alert.is_acknowledged else "not acknowledged"
    line = f"since {utc_text(alert.since_ns)}, {sent_text(alert.sent)}, {acknowledged}"
    yield Padding(Text(line, style="dim"), _INDENTED)


def _acknowledged(alert: Alert) -> str:
    return f"{alert.acknowledged_by}{f': {alert.reason}' if alert.reason else ''}"
