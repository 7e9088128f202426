"""`tidegate halt|reduce|resume|cancel|external-orders …|reconcile|transfer|withdraw`: requests to a running daemon over
its socket."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from framework.cli import ledger as cli_ledger
from framework.cli.ledger import state_directory
from framework.cli.tables import print_json, print_lines
from framework.domain.account_events import Scope, TradingState
from framework.domain.errors import EXIT_FAILED, ConfigurationError, suggestion
from framework.domain.loading import load_late
from framework.domain.operator_requests import (
    BY_THE_OPERATOR,
    NAME_ONE,
    SOCKET_NAME,
    AdoptExternalOrder,
    Answer,
    CancelExternalOrder,
    CancelOrders,
    Flatten,
    IgnoreExternalOrder,
    MoveFunds,
    Reconcile,
    Request,
    SetTradingState,
    ShowFundMove,
)
from framework.domain.plausibility import in_plain_text
from framework.runtime.unix_socket import NoServer, ask

STATES = {
    "halt": TradingState.HALTED,
    "reduce": TradingState.REDUCING,
    "stop-entry": TradingState.REDUCING,
    "resume": TradingState.ACTIVE,
}
OFFLINE = "framework.cli.dry_run:dry_run"

_LOOK_S = 2
"""How often it is asked what has become of a move of funds, in seconds."""

_ANSWER_S_MAX = 65.0
"""Longer than the daemon's own 60 s for an answer: so the daemon's reason arrives, not a time-out of this side."""


def set_trading_state(options: argparse.Namespace) -> int:
    """Halt, reduce or resume: everything, or the one scope that the options name.

    Raises `ConfigurationError` for a resume without a reason and for more than one scope, `NoServer` when no daemon
    answers.
    """
    if options.verb == "resume" and not options.reason.strip():
        raise ConfigurationError('resume: say why, it is recorded: --reason "positions agree again"')
    scope, target = _one_scope(options)
    return ask_daemon(
        options,
        SetTradingState(
            scope=scope,
            target=target,
            state=STATES[options.verb],
            reason=options.reason,
            is_cancelling=getattr(options, "cancel", False),
            for_ms=round(1000 * (getattr(options, "for_s", None) or 0)),
            is_dry_run=options.dry_run,
            is_kill=getattr(options, "kill", False),
        ),
    )


def _one_scope(options: argparse.Namespace) -> tuple[Scope, str]:
    scopes = {Scope.VENUE: options.venue, Scope.INSTRUMENT: options.instrument, Scope.STRATEGY: options.strategy}
    named = [(scope, target) for scope, target in scopes.items() if target]
    if len(named) > 1:
        raise ConfigurationError(f"{options.verb}: name one of --venue, --instrument and --strategy, not several")
    return named[0] if named else (Scope.GLOBAL, "")


def flatten(options: argparse.Namespace) -> int:
    """Work the positions of a scope out, or of all.

    Raises `ConfigurationError` unless one scope is named or `--all`, `NoServer` when no daemon answers.
    """
    scope, target = _one_scope(options)
    if (scope is Scope.GLOBAL) is not options.all:
        raise ConfigurationError("flatten: name one of --venue, --instrument, --strategy and --all")
    question = Flatten(
        scope=scope,
        target=target,
        reason=options.reason or BY_THE_OPERATOR,
        time_ms=round(1000 * options.time),
        collar_bps=options.collar,
        is_dry_run=options.dry_run,
    )
    return ask_daemon(options, question)


def cancel(options: argparse.Namespace) -> int:
    """Cancel one order, those of a strategy, venue or instrument, or all.

    Raises `ConfigurationError` unless exactly one of the five is named, `NoServer` when no daemon answers.
    """
    request = CancelOrders(
        order=options.order,
        strategy=options.strategy,
        venue=options.venue,
        instrument=options.instrument,
        is_all=options.all,
        reason=options.reason or BY_THE_OPERATOR,
        with_external=options.external,
        is_dry_run=options.dry_run,
    )
    if not request.names_one:
        raise ConfigurationError(NAME_ONE)
    return ask_daemon(options, request)


def external_orders(options: argparse.Namespace) -> int:
    """List the open orders at the venues that are not ours, or adopt, cancel or ignore one.

    Raises `ConfigurationError` for an unknown action or one without an order, `NoServer` when no daemon answers.
    """
    if not options.action:
        return cli_ledger.list_external_orders(options)
    make = EXTERNAL_ORDER_ACTIONS.get(options.action)
    if make is None:
        remedy = suggestion(options.action, EXTERNAL_ORDER_ACTIONS)
        raise ConfigurationError(f'{options.verb}: there is no action "{options.action}"; {remedy}')
    if not options.order:
        raise ConfigurationError(
            f"{options.verb} {options.action}: name the order by the venue's id; `tidegate {options.verb}` lists"
        )
    return ask_daemon(options, make(options))


def reconcile(options: argparse.Namespace) -> int:
    """Compare with the venues: through the daemon, or, a dry run, also without one. `EXIT_FAILED` when they differ.

    Raises `NoServer` when no daemon answers and it is no dry run; without a daemon, what `dry_run` raises.
    """
    directory = state_directory(options)
    try:
        answer = request(directory, Reconcile(is_dry_run=options.dry_run))
    except NoServer:
        if not options.dry_run:
            raise
        # Late: it loads plugins and connectors, which no other verb of this file needs.
        answer = load_late(OFFLINE)(options)
    _show(options, answer)
    if options.dry_run and not options.json:
        print_lines(["dry run: nothing was done"])
    return EXIT_FAILED if answer.data or not answer.is_ok else 0


def move_funds(options: argparse.Namespace) -> int:
    """Have the daemon transfer or withdraw, once the amount was typed again, and ask until nothing more is to come;
    with `--id` only ask. Raises `ConfigurationError` for what can't be asked for, `NoServer` when no daemon answers."""
    directory = state_directory(options)
    if not options.venue:
        raise ConfigurationError(f"{options.verb}: name the account: --venue NAME")
    if options.id:
        question = ShowFundMove(venue=options.venue, verb=options.verb, id=options.id)
        answer = request(directory, question)
    else:
        move = MoveFunds(
            venue=options.venue,
            verb=options.verb,
            asset=options.asset,
            amount=options.amount,
            to=getattr(options, "to", ""),
            chain_id=getattr(options, "chain", 0),
            is_again=options.again,
        )
        _confirm_amount(move, options)
        answer = request(directory, move)
    if answer.is_ok:
        answer = _until_final(directory, options, answer)
    _show(options, answer)
    return 0 if answer.is_ok else EXIT_FAILED


def _confirm_amount(move: MoveFunds, options: argparse.Namespace) -> None:
    """Have the amount typed again. Raises `ConfigurationError` when it is another, or the move can't be asked for."""
    if move.flaw:
        raise ConfigurationError(move.flaw)
    typed, source = options.yes, "--yes"
    if not typed:
        to = f"\nto {move.to}" if move.to else ""  # an address fills half a line
        sys.stderr.write(
            f"This moves {move.amount} {move.asset} out of the account at {move.venue}{to}, and can't be undone.\n"
            "Type the amount again: "
        )
        sys.stderr.flush()
        typed, source = sys.stdin.readline().strip(), "what was typed"
    if typed != move.amount:
        raise ConfigurationError(f"{move.verb}: {source} is not the amount, {move.amount}: nothing was done")


def _until_final(directory: Path, options: argparse.Namespace, answer: Answer) -> Answer:
    """The answer once nothing more is to come of the move, else the last good one within `--wait` seconds."""
    question = ShowFundMove(venue=options.venue, verb=options.verb, id=answer.data["id"])
    trouble: tuple[str, ...] = ()
    for _ in range(options.wait // _LOOK_S):
        if answer.data["is_final"]:
            return answer
        asyncio.run(asyncio.sleep(_LOOK_S))
        found = request(directory, question)
        answer, trouble = (found, ()) if found.is_ok else (answer, found.lines)
    if answer.data["is_final"]:
        return answer
    more = f"more is to come; ask again: tidegate {options.verb} --venue {options.venue} --id {question.id}"
    return msgspec.structs.replace(answer, lines=(*answer.lines, *trouble, more))


def request(directory: Path, question: Request, *, timeout_s: float = _ANSWER_S_MAX) -> Answer:
    """Send one request to the daemon of a state directory and return its answer; blocks for up to `timeout_s` seconds.

    Raises `NoServer` when no daemon answers there, and `ConfigurationError` for a name that is no text.
    """
    try:
        line = ask(directory / SOCKET_NAME, _encoded(question), timeout_s=timeout_s)
    except NoServer as e:
        raise NoServer(
            f"no daemon answers in {directory} ({e}); start it, or name the state directory of the one that runs: "
            "--state-dir DIR"
        ) from e
    return msgspec.json.decode(line, type=Answer)


def _encoded(question: Request) -> bytes:
    """A request as it is sent. A terminal may give bytes that are no text: a reason is made plain, so that a halt is
    not lost for it. Raises `ConfigurationError` for such a name."""
    try:
        return msgspec.json.encode(in_plain_text(question))
    except UnicodeEncodeError as e:
        raise ConfigurationError(f"{e.object!a} is no text in UTF-8; type it anew") from e


def _adopt(options: argparse.Namespace) -> Request:
    if not options.to:
        raise ConfigurationError(f"{options.verb} adopt: name the strategy that gets the order: --to STRATEGY")
    return AdoptExternalOrder(order=options.order, strategy=options.to)


def _cancel_external_order(options: argparse.Namespace) -> Request:
    return CancelExternalOrder(order=options.order, reason=options.reason or BY_THE_OPERATOR)


def _ignore(options: argparse.Namespace) -> Request:
    return IgnoreExternalOrder(order=options.order, reason=options.reason or BY_THE_OPERATOR)


EXTERNAL_ORDER_ACTIONS: dict[str, Callable[[argparse.Namespace], Request]] = {
    "adopt": _adopt,
    "cancel": _cancel_external_order,
    "ignore": _ignore,
}


def ask_daemon(options: argparse.Namespace, question: Request) -> int:
    """Send one request to the daemon of a command line, print its answer, and return the exit code. Raises what
    `request` raises."""
    answer = request(state_directory(options), question)
    _show(options, answer)
    return 0 if answer.is_ok else EXIT_FAILED


def _show(options: argparse.Namespace, answer: Answer) -> None:
    if options.json:
        print_json([answer])
    else:
        print_lines(answer.lines if answer.is_ok else [f"tidegate: {line}" for line in answer.lines])
