"""`python -m framework.testing.conformance VENUE`: play the contract suite against a venue's own sandbox.

Exits 0 when every case passes or is not offered, 1 when one fails, 2 when the arguments can't be used.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import uvloop

from framework.domain.errors import EXIT_USAGE, ConfigurationError, TidegateError, suggestion
from framework.runtime.clock import SystemClock
from framework.runtime.logging import LogFile, configure_logging
from framework.runtime.secrets import SecretRegistry
from framework.testing.conformance.answers import KINDS, answer_of, answers_table, place_of
from framework.testing.conformance.candidates import Candidate, find_venues
from framework.testing.conformance.case import CASES
from framework.testing.conformance.matrix import ANSWERS, MATRIX, column, matrix_table, report_text, write
from framework.testing.conformance.stage import Setting, all_settings
from framework.testing.conformance.suite import Played, play_venue


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's options. Ends the process for one that does not exist."""
    parser = argparse.ArgumentParser(prog="python -m framework.testing.conformance", description=__doc__)
    parser.add_argument("venue", nargs="?", help="the venue's name, as in `tidegate list`")
    parser.add_argument("--plugin-path", type=Path, action="append", default=[], help="a folder with a venue's folder")
    parser.add_argument("--stream-library", default="", help="one of the libraries that the connector can use")
    parser.add_argument("--dialect", default="", help="one of the venue's dialects (default: its first)")
    parser.add_argument("--case", action="append", default=[], metavar="N", help="play this case only, as in 6 or V06")
    parser.add_argument("--list", action="store_true", help="list the cases, and play none")
    parser.add_argument("--write", type=Path, metavar="FILE", help="play everything, and write its tables into a page")
    parser.add_argument("--log", type=Path, default=Path("/dev/null"), help="a file for the daemons' logs")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    options = parse_arguments(arguments)
    if options.list:
        print("\n".join(f"{code} {one.sentence}" for code, one in sorted(CASES.items())))
        return 0
    try:
        settings, codes = {column(one): one for one in _settings(options)}, _codes(options)
        with closing(LogFile(options.log)) as log:
            configure_logging("info", "json", clock=SystemClock(), secrets=SecretRegistry(), stream=log)
            columns = {name: uvloop.run(play_venue(setting, codes)) for name, setting in settings.items()}
        if options.write is not None:
            write(options.write, {MATRIX: matrix_table(columns), ANSWERS: answers_table(_answers(settings, columns))})
    except TidegateError as e:
        print(e, file=sys.stderr)
        return EXIT_USAGE
    return max([_report(name, played) for name, played in columns.items()])


def _settings(options: argparse.Namespace) -> list[Setting]:
    """What is to be played: one venue as asked for, or with `--write` every venue in every way."""
    found = find_venues(options.plugin_path)
    if options.write is not None:
        return [setting for venue in found.values() for setting in all_settings(venue)]
    venue = _venue(found, options.venue)
    venue.dialect(options.dialect)
    return [Setting(venue, options.dialect or venue.dialects[0], options.stream_library or venue.libraries[0])]


def _answers(settings: Mapping[str, Setting], columns: Mapping[str, Sequence[Played]]) -> dict[str, dict[str, str]]:
    """What the program said in each case of bad input, by place."""
    found: dict[str, dict[str, str]] = {code: {} for code in KINDS}
    for name, setting in settings.items():
        for one in columns[name]:
            if one.case.code in KINDS:
                found[one.case.code][place_of(setting)] = answer_of(one, setting.venue.name)
    return found


def _codes(options: argparse.Namespace) -> list[str]:
    codes = [f"V{code.upper().removeprefix('V'):0>2}" for code in options.case]
    for code in codes:
        if code not in CASES:
            raise ConfigurationError(f"--case {code}: there is no such case; {suggestion(code, list(CASES))}")
    return codes


def _venue(found: dict[str, Candidate], name: str | None) -> Candidate:
    if name not in found:
        raise ConfigurationError(f"venue: {name or 'none is named'}; {suggestion(name or '', list(found))}")
    return found[name]


def _report(name: str, played: Sequence[Played]) -> int:
    print(report_text(name, played))
    return 1 if any(one.is_failure for one in played) or not played else 0


if __name__ == "__main__":
    sys.exit(main())
