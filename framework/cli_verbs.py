"""The options of the verbs that read the records and give a running daemon orders. Nothing but words: quick to load."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
AddOptions: TypeAlias = Callable[[argparse.ArgumentParser], None]

COMMANDS = {
    "orders": "framework.cli_ledger:orders",
    "fills": "framework.cli_ledger:fills",
    "positions": "framework.cli_ledger:positions",
    "refusals": "framework.cli_ledger:refusals",
    "orphans": "framework.cli_operator:orphans",
    "cancel": "framework.cli_operator:cancel",
    "halt": "framework.cli_operator:set_trading_state",
    "reduce": "framework.cli_operator:set_trading_state",
    "resume": "framework.cli_operator:set_trading_state",
    "reconcile": "framework.cli_operator:reconcile",
    "journal": "framework.cli_journal:journal",
}
"""Verb -> the function that does it: takes the parsed options, returns the exit code."""

_LISTS = {
    "orders": "List the newest orders.",
    "fills": "List the newest fills.",
    "positions": "List positions.",
    "refusals": "List the newest refusals of the risk gate.",
}
_STATES = {
    "halt": "Let no order leave but cancels; survives a restart. Without a scope: everything.",
    "reduce": "Let only orders leave that reduce a position, and cancels; survives a restart.",
    "resume": "Let orders leave again; needs a reason.",
}


def add_record_verbs(verbs: Verbs, add_config_options: AddOptions) -> None:
    """Verbs that read the ledger and the journal."""
    for verb, text in _LISTS.items():
        listing = _add(verbs, verb, text, add_config_options)
        _add_list_options(listing)
        listing.add_argument("--strategy", default="", metavar="S", help="only this strategy's")
        if verb == "orders":
            listing.add_argument("--open", action="store_true", help="only orders that have not ended")
    journal = _add(verbs, "journal", "Verify, dump, cut the journal; rebuild the ledger from it.", add_config_options)
    journal.add_argument("action", metavar="ACTION", help="verify, dump, cut or rebuild-ledger")
    journal.add_argument("--first", type=_number, default=1, metavar="N", help="dump: begin with this record")
    journal.add_argument("--after", type=_number, metavar="N", help="cut: the last record to keep; 0 keeps none")
    journal.add_argument("--yes", action="store_true", help="cut: do not ask")
    _add_json(journal)


def add_operator_verbs(verbs: Verbs, add_config_options: AddOptions) -> None:
    """Verbs that speak to a running daemon."""
    for verb, text in _STATES.items():
        state = _add(verbs, verb, text, add_config_options)
        state.add_argument("--venue", default="", metavar="V", help="only this venue")
        state.add_argument("--instrument", default="", metavar="I", help="only this instrument")
        state.add_argument("--strategy", default="", metavar="S", help="only this strategy")
        _add_reason(state)
    cancel = _add(verbs, "cancel", "Cancel one order, a strategy's orders, or all that are ours.", add_config_options)
    cancel.add_argument("order", nargs="?", default="", metavar="ID", help="our id of the order, or the venue's")
    cancel.add_argument("--strategy", default="", metavar="S", help="every open order of this strategy")
    cancel.add_argument("--all", action="store_true", help="every open order")
    _add_reason(cancel)
    orphans = _add(
        verbs, "orphans", "List open orders at the venues that are not ours; adopt, cancel or ignore one.",
        add_config_options,
    )  # fmt: skip
    orphans.add_argument("action", nargs="?", default="", metavar="ACTION", help="adopt, cancel or ignore")
    orphans.add_argument("order", nargs="?", default="", metavar="ID", help="the venue's id, or how it begins")
    orphans.add_argument("--to", default="", metavar="STRATEGY", help="adopt: who gets the order")
    orphans.add_argument("--ignored", action="store_true", help="list those that are to be ignored, too")
    _add_list_options(orphans, has_json=False)
    _add_reason(orphans)
    reconcile = _add(verbs, "reconcile", "Compare with the venues now, and say what differs.", add_config_options)
    reconcile.add_argument("--dry-run", action="store_true", help="only read; works without a running daemon too")
    reconcile.add_argument(
        "--live", action="store_true", help="allow venues outside this machine, as `run --live` does"
    )
    _add_json(reconcile)


def _add(verbs: Verbs, name: str, text: str, add_config_options: AddOptions) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
    add_config_options(parser)
    return parser


def _add_list_options(parser: argparse.ArgumentParser, *, has_json: bool = True) -> None:
    parser.add_argument("--limit", type=_number, default=100, metavar="N", help="at most so many rows (default 100)")
    if has_json:
        _add_json(parser)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="JSON lines instead of text")


def _add_reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", default="", metavar="TEXT", help="why; it is recorded")
    _add_json(parser)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)
