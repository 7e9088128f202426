"""The `tidegate` command: its verbs and options. What a verb does is loaded when it is used, so that help is quick.

Exit codes: 0 done, else one of `framework.domain.errors` (`EXIT_FAILED` and the others).
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from framework.domain.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_NOT_SUPPORTED,
    EXIT_PIPE_CLOSED,
    EXIT_USAGE,
    ConfigurationError,
    NotSupported,
    TidegateError,
    closest,
    describe_error,
    hint,
)
from framework.domain.loading import load_late
from framework.runtime.standard_streams import discard_output
from framework.runtime.stop_signals import StopSignals

_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

COMMANDS = {
    "run": "framework.cli.run:check_and_run",
    "check-config": "framework.cli.preflight:check_config",
    "healthcheck": "framework.cli.run:healthcheck",
    "show-config": "framework.cli.config:show_config",
    "list": "framework.cli.list:list_plugins",
    "new-strategy": "framework.cli.new_strategy:new_strategy",
    "sandbox": "framework.cli.run:run_sandbox",
    "orders": "framework.cli.ledger:orders",
    "fills": "framework.cli.ledger:fills",
    "positions": "framework.cli.positions:positions",
    "refusals": "framework.cli.ledger:refusals",
    "external-orders": "framework.cli.operator:external_orders",
    "orphans": "framework.cli.operator:external_orders",
    "status": "framework.cli.status:status",
    "alerts": "framework.cli.alerts:alerts",
    "ack": "framework.cli.alerts:acknowledge",
    "cancel": "framework.cli.operator:cancel",
    "halt": "framework.cli.operator:set_trading_state",
    "reduce": "framework.cli.operator:set_trading_state",
    "stop-entry": "framework.cli.operator:set_trading_state",
    "resume": "framework.cli.operator:set_trading_state",
    "flatten": "framework.cli.operator:flatten",
    "limit": "framework.cli.limit:limit",
    "reconcile": "framework.cli.operator:reconcile",
    "kill": "framework.cli.kill:kill",
    "guard": "framework.cli.guard:guard",
    "journal": "framework.cli.journal:journal",
    "keys": "framework.cli.keys:keys",
    "transfer": "framework.cli.operator:move_funds",
    "withdraw": "framework.cli.operator:move_funds",
    "venue": "framework.cli.venue:operate",
}
"""Verb -> the function that does it: takes the parsed options, returns the exit code. `orphans` is the earlier name of
`external-orders`, kept for scripts; `stop-entry` is another word for `reduce`."""

_LISTS = {
    "orders": "List the newest orders.",
    "fills": "List the newest fills.",
    "positions": "List positions.",
    "refusals": "List the newest refusals of the risk gate.",
}
_FUND_VERBS = {
    "transfer": "Have the daemon transfer funds to another account of the venue; the amount is typed again.",
    "withdraw": "Have the daemon withdraw funds from the venue; the amount is typed again.",
}
_STATES = {
    "halt": "Let no order leave but cancels; survives a restart. Without a scope: everything.",
    "reduce": "Let only orders leave that reduce a position, and cancels; survives a restart.",
    "resume": "Let orders leave again; needs a reason.",
}


def main(argv: Sequence[str] | None = None, *, signals: StopSignals | None = None) -> int:
    """Run one command line and return its exit code. Without `argv`: that of this process. `run` hears `signals`.

    A `TidegateError` is printed to standard error, one line per problem, and becomes an exit code; argparse leaves by
    `SystemExit` for `--help`, `--version` and an option whose value it can't read. Any other exception is a defect: one
    line, and its traceback with `--debug`. When the reader of the output has gone, as `head` does, it ends without a
    word, with the code that a shell shows for that.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        try:
            return _main(arguments, signals or StopSignals())
        except SystemExit:
            sys.stdout.flush()
            raise
    except BrokenPipeError:
        discard_output()
        return EXIT_PIPE_CLOSED


def _main(arguments: Sequence[str], signals: StopSignals) -> int:
    parser = build_parser(arguments)
    verb = next((word for word in arguments if not word.startswith("-")), "")
    if not arguments:
        parser.print_help()
        return EXIT_USAGE
    # Before argparse, which would answer a misspelt verb with the list of all of them.
    if verb and verb not in COMMANDS:
        return _complain([f'unknown command "{verb}"{hint(verb, COMMANDS)}; see: tidegate --help'])
    try:
        options, unknown = parser.parse_known_args(arguments)
        if unknown:
            meant = _meant_option(unknown[0].partition("=")[0], options_of(parser, verb))
            return _complain([f'unknown option "{unknown[0]}"{meant}; see: tidegate {verb} --help'])
        options.signals = signals
        return _run_verb(options)
    except TidegateError as e:
        _show_traceback(arguments)
        _complain(str(e).splitlines())
        return _code_of(e)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as e:  # noqa: BLE001 - no traceback reaches a user who has not asked for it
        # A defect of ours, or of a plugin: one line for the user, the traceback for whoever asks for it.
        _show_traceback(arguments)
        _complain([f"unexpected error: {describe_error(e)}; please report it with the output of --debug"])
        return EXIT_FAILED


def _run_verb(options: argparse.Namespace) -> int:
    try:
        code = int(load_late(COMMANDS[options.verb])(options))
    except BrokenPipeError:
        raise
    except OSError:
        # Long output fails while it is printed. Where that was it, one line more fails, too, and is what is said.
        sys.stdout.write("\n")
        _flush_output()
        raise
    _flush_output()
    return code


def _code_of(error: TidegateError) -> int:
    if isinstance(error, NotSupported):
        return EXIT_NOT_SUPPORTED
    return EXIT_USAGE if isinstance(error, ConfigurationError) else EXIT_FAILED


def _show_traceback(arguments: Sequence[str]) -> None:
    if "--debug" in arguments:
        _say(traceback.format_exc())


def _meant_option(word: str, known: Sequence[str]) -> str:
    """The hint at the option that was meant. The dashes are left out: they would make every two options alike."""
    found = closest(word.lstrip("-"), [one.lstrip("-") for one in known])
    return f'; did you mean "--{found}"?' if found else ""


def _flush_output() -> None:
    """Print what is held back, as long as its failure can still be told. Raises `BrokenPipeError` when nobody reads it
    any more, `TidegateError` when it can't be written for another reason, as on a full disk."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as e:
        discard_output()
        raise TidegateError(f"standard output: {e.strerror or e}; what was printed is not complete") from e


def build_parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The whole command line as a parser for `arguments`: every verb of `COMMANDS` with its options and help texts."""
    parser = argparse.ArgumentParser(
        prog="tidegate",
        description="Algorithmic trading daemon: orders flow out only through the risk gate, and the gate fails shut.",
        epilog="Without a configuration it trades on a local exchange: no account, no key, no money.",
        allow_abbrev=False,
    )
    parser.add_argument("--debug", action="store_true", help="show Python tracebacks of errors")
    # Looked up only when it is asked for: that takes as long as everything else here.
    shown = f"tidegate {version()}" if "--version" in arguments else ""
    parser.add_argument("--version", action="version", version=shown)
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    adds = (_add_run, _add_config_verbs, _add_tools, _add_venue_verb, _add_record_verbs, _add_operator_verbs)
    for add in (*adds, _add_keys, _add_funds):
        add(verbs)
    return parser


def version() -> str:
    """The installed version, or 0 when it runs from a folder that was never installed."""
    try:
        return str(load_late("importlib.metadata:version")("tidegate"))
    except ImportError:  # `PackageNotFoundError` is one
        return "0"


def options_of(parser: argparse.ArgumentParser, verb: str) -> list[str]:
    """The long options that may follow `verb`, those of the command itself included; for an unknown verb only these."""
    actions = list(parser._actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            actions += action.choices[verb]._actions if verb in action.choices else []
    return [flag for action in actions for flag in action.option_strings if flag.startswith("--")]


def _add_run(verbs: _Verbs) -> None:
    run = _add_configured(
        verbs, "run", "Run the daemon. Without -c: the embedded sandbox, and a market maker on two markets."
    )
    run.add_argument("--duration", type=_seconds, metavar="S", help="stop by itself after S seconds")
    run.add_argument("--live", action="store_true", help="allow venues outside this machine; live = true is needed too")
    run.add_argument("--no-status", action="store_true", help="log lines instead of the live status on a terminal")


def _add_config_verbs(verbs: _Verbs) -> None:
    check = _add_configured(
        verbs, "check-config", "Check the configuration, load every plugin, make every connector and strategy."
    )
    check.add_argument("--connect", action="store_true", help="ask the venues, too; nothing is ordered")
    check.add_argument("--live", action="store_true", help="--connect: allow venues outside this machine")
    _add_configured(verbs, "show-config", "Print the merged configuration and where each value comes from.")


def _add_tools(verbs: _Verbs) -> None:
    _add_configured(verbs, "healthcheck", "Ask the running daemon of a state directory whether its event loop runs.")
    listing = _add_configured(
        verbs, "list", "List venues, strategies, checks and their settings; refusal codes; metrics."
    )
    listing.add_argument("what", nargs="?", default="", help="venues, strategies, checks, refusals or metrics")
    new = _add(verbs, "new-strategy", "Write a strategy to start from, a test that passes, and its configuration.")
    new.add_argument("name", metavar="NAME", help="lower case, as in my_strategy")
    new.add_argument("--dir", type=Path, default=Path("plugins"), help="folder to write to (default: plugins)")
    sandbox = _add_configured(
        verbs, "sandbox", "Run a venue's local exchange by itself: tidegate sandbox kalshi --port 9000"
    )
    sandbox.add_argument("venue", metavar="VENUE", help="one that has a sandbox: tidegate list venues")
    sandbox.add_argument("arguments", nargs=argparse.REMAINDER, help="options of the sandbox; --help lists them")


def _add_venue_verb(verbs: _Verbs) -> None:
    venue = _add_configured(verbs, "venue", "Set what a venue keeps for an account: tidegate venue zdex leverage S N")
    venue.add_argument("--live", action="store_true", help="allow a venue outside this machine, as `run --live` does")
    venue.add_argument("venue", metavar="VENUE", help="its name in the configuration")
    venue.add_argument("words", nargs="+", metavar="WORD", help="what to do; a wrong word lists what the venue has")


def _add_record_verbs(verbs: _Verbs) -> None:
    """Verbs that read the ledger and the journal, with or without a running daemon."""
    for verb, text in _LISTS.items():
        listing = _add_configured(verbs, verb, text)
        _add_list_options(listing)
        listing.add_argument("--strategy", default="", metavar="S", help="only this strategy's")
        if verb == "orders":
            listing.add_argument("--open", action="store_true", help="only orders that have not ended")
    journal = _add_configured(verbs, "journal", "Verify, dump, cut the journal; rebuild the ledger from it.")
    journal.add_argument("action", metavar="ACTION", help="verify, dump, cut or rebuild-ledger")
    journal.add_argument("--first", type=_number, default=1, metavar="N", help="dump: begin with this record")
    journal.add_argument("--after", type=_number, metavar="N", help="cut: the last record to keep; 0 keeps none")
    journal.add_argument("--yes", action="store_true", help="cut: do not ask")
    _add_json(journal)


def _add_operator_verbs(verbs: _Verbs) -> None:
    """Verbs that speak to a running daemon."""
    _add_json(_add_configured(verbs, "status", "Say how the daemon is, or without one what its records say."))
    _add_alert_verbs(verbs)
    _add_states(verbs)
    cancel = _add_configured(verbs, "cancel", "Cancel one order, those of a scope, or all that are ours.")
    cancel.add_argument("order", nargs="?", default="", metavar="ID", help="our id of the order, or the venue's")
    _add_scopes(cancel, "every open order of this {}")
    cancel.add_argument("--all", action="store_true", help="every open order")
    _add_dry_run(cancel)
    cancel.add_argument("--external", action="store_true", help="also those that are not ours; they are adopted first")
    _add_reason(cancel)
    external = _add_configured(
        verbs,
        "external-orders",
        "List open orders at the venues that are not ours; adopt, cancel or ignore one.",
        aliases=("orphans",),
    )
    external.add_argument("action", nargs="?", default="", metavar="ACTION", help="adopt, cancel or ignore")
    external.add_argument("order", nargs="?", default="", metavar="ID", help="the venue's id, or how it begins")
    external.add_argument("--to", default="", metavar="STRATEGY", help="adopt: who gets the order")
    external.add_argument("--ignored", action="store_true", help="list those that are to be ignored, too")
    _add_list_options(external, has_json=False)
    _add_reason(external)
    reconcile = _add_configured(verbs, "reconcile", "Compare with the venues now, and say what differs.")
    reconcile.add_argument("--dry-run", action="store_true", help="only read; works without a running daemon too")
    reconcile.add_argument(
        "--live", action="store_true", help="allow venues outside this machine, as `run --live` does"
    )
    _add_json(reconcile)


def _add_states(verbs: _Verbs) -> None:
    """Verbs that set trading states and limits."""
    for verb, text in _STATES.items():
        state = _add_configured(verbs, verb, text, aliases=("stop-entry",) if verb == "reduce" else ())
        _add_scopes(state, "only this {}")
        if verb == "resume":
            state.add_argument("--kill", action="store_true", help="take the kill latch of this scope away, too")
        else:
            state.add_argument("--cancel", action="store_true", help="also cancel what is open there")
            state.add_argument("--for", dest="for_s", type=_seconds, metavar="S", help="only for S seconds")
        _add_dry_run(state)
        _add_reason(state)
    flatten = _add_configured(verbs, "flatten", "Work positions out by limit orders; what it is for is set reducing.")
    _add_scopes(flatten, "the positions in this {}")
    flatten.add_argument("--all", action="store_true", help="every position")
    flatten.add_argument("--time", type=_seconds, default=20.0, metavar="S", help="for so many seconds (default 20)")
    flatten.add_argument(
        "--collar", type=_number, default=50, metavar="BPS", help="so far beyond the best price (default 50)"
    )
    _add_dry_run(flatten)
    _add_reason(flatten)
    limit = _add_configured(verbs, "limit", "Show the limits of the gate as they are now, or change one while it runs.")
    limit.add_argument("action", metavar="ACTION", help="show, set or reset")
    limit.add_argument("check", nargs="?", default="", metavar="CHECK", help="the check, as in max_position")
    limit.add_argument("key", nargs="?", default="", metavar="KEY", help="its setting, as in overrides.kalshi:KX*")
    limit.add_argument("value", nargs="?", default="", metavar="VALUE", help="set: the new value, as TOML writes it")
    limit.add_argument("--confirm", default="", metavar="WORD", help="the word that the first answer names")
    _add_reason(limit)
    kill = _add_configured(
        verbs, "kill", "Let nothing leave any more, and end every open order at the venues, with or without the daemon."
    )
    kill.add_argument("--venue", default="", metavar="V", help="only this venue")
    _add_reason(kill)
    guard = _add_configured(verbs, "guard", "Watch the daemon, and end every open order when it falls silent.")
    guard.add_argument(
        "--timeout", type=_seconds, default=10.0, metavar="S", help="after so many seconds of silence (10)"
    )


def _add_alert_verbs(verbs: _Verbs) -> None:
    alerts = _add_configured(verbs, "alerts", "List what an operator has to see; test OUTPUT sends it a message.")
    alerts.add_argument("action", nargs="?", default="", metavar="test", help="send a message to an output now")
    alerts.add_argument("output", nargs="?", default="", metavar="OUTPUT", help="its name in the configuration")
    _add_json(alerts)
    ack = _add_configured(verbs, "ack", "Acknowledge an alert: it is not repeated any more; survives a restart.")
    ack.add_argument("name", nargs="?", default="", metavar="NAME", help="as `tidegate alerts` names it")
    ack.add_argument("--all", action="store_true", help="every alert that nobody has acknowledged")
    _add_reason(ack)


def _add_keys(verbs: _Verbs) -> None:
    keys = _add_configured(verbs, "keys", "List, create, generate, update, revoke the API keys of an account.")
    keys.add_argument("action", metavar="ACTION", help="list, create, generate, update or revoke")
    keys.add_argument("key", nargs="?", default="", metavar="KEY", help="update, revoke: its id, or its label")
    _add_venue(keys)
    keys.add_argument("--live", action="store_true", help="allow a venue outside this machine, as `run --live` does")
    keys.add_argument("--label", metavar="TEXT", help="create, generate, update: the key's name at the venue")
    for option, metavar, text in (
        ("--scope", "SCOPE", "what the key may do, in the venue's words; repeat it for several"),
        ("--ip", "ADDRESS", "where the key may be used from; repeat it for several, any: everywhere"),
    ):
        keys.add_argument(option, action="append", metavar=metavar, help=text)
    keys.add_argument(
        "--expires", metavar="DATE", help="when the key ends by itself: 2027-01-31, or with a time in UTC"
    )
    keys.add_argument("--key-type", metavar="TYPE", help="generate: rsa or ed25519, as the venue has it")
    keys.add_argument("--public-key", type=Path, metavar="FILE", help="create: PEM file of a public key of your own")
    keys.add_argument("--subaccount", type=_number, metavar="N", help="lock the key to this subaccount")
    keys.add_argument("--out", type=Path, metavar="FILE", help="write the secret to a new file (0600), do not print it")
    keys.add_argument("--token-file", type=Path, metavar="FILE", help="session token, where the venue wants one")
    keys.add_argument("--yes", default="", metavar="LABEL", help="revoke: the label again, instead of being asked")
    _add_json(keys)


def _add_funds(verbs: _Verbs) -> None:
    """Verbs by which a running daemon moves funds out of an account."""
    for verb, text in _FUND_VERBS.items():
        move = _add_configured(verbs, verb, text)
        _add_venue(move)
        move.add_argument("--asset", default="", metavar="ASSET", help="what is moved, as the venue writes it: USDC")
        move.add_argument("--amount", default="", metavar="N", help="how much of it, a decimal")
        if verb == "transfer":
            move.add_argument("--to", default="", metavar="ACCOUNT", help="the account of the venue that gets it")
        else:
            move.add_argument("--chain", type=_number, default=0, metavar="ID", help="the chain, by its id")
        move.add_argument("--id", default="", metavar="ID", help="only say what has become of the move with this id")
        move.add_argument("--again", action="store_true", help="I have looked what became of the last, unknown one")
        move.add_argument("--wait", type=_number, default=60, metavar="S", help="ask for so long until it is done (60)")
        move.add_argument("--yes", default="", metavar="N", help="the amount again, instead of being asked for it")
        _add_json(move)


def _add_venue(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--venue", default="", metavar="NAME", help="the account: a venue's name in the configuration")


def _add_scopes(parser: argparse.ArgumentParser, text: str) -> None:
    for scope in ("venue", "instrument", "strategy"):
        parser.add_argument(f"--{scope}", default="", metavar=scope[0].upper(), help=text.format(scope))


def _add_configured(verbs: _Verbs, name: str, text: str, *, aliases: Sequence[str] = ()) -> argparse.ArgumentParser:
    parser = _add(verbs, name, text, aliases=aliases)
    _add_config_options(parser)
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


def _add_dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only say what it would do")


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def _add(verbs: _Verbs, name: str, text: str, *, aliases: Sequence[str] = ()) -> argparse.ArgumentParser:
    # No abbreviations: `--re` must not become `--reason` today and be ambiguous with the next option.
    parser = verbs.add_parser(name, aliases=list(aliases), help=text, description=text, allow_abbrev=False)
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _add_config_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c", "--config", action="append", default=[], metavar="FILE",
        help="TOML file; repeat it to lay one over another; `sandbox` is the default that ships with tidegate",
    )  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as in --set http.port=0")
    parser.add_argument("--state-dir", metavar="DIR", help="folder of journal and ledger (default: state)")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _complain(problems: Sequence[str]) -> int:
    _say("".join(f"tidegate: {problem}\n" for problem in problems))
    return EXIT_USAGE


def _say(text: str) -> None:
    """Write to standard error, without the password of an address: what is said may come from anywhere."""
    sys.stderr.write(load_late("framework.runtime.secrets:mask_urls")(text))
