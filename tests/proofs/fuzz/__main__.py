"""Decoders get every kind of broken input: none raises what nobody catches, and nothing impossible gets in.

    python -m tests.proofs.fuzz [--inputs 200000] [--seed 1] [--only NAME]

Every decoder of a client, every parser of a sandbox and every reader of what is on the disk gets seeded inputs:
messages that it is made for, spoiled in bytes and in values, and first what nests 100,000 deep. Prints one JSON object
and exits 1 when an error is not one of the decoder's own refusals, when a float, a negative price or size, or more than
64 bits come out, or when one input took longer than 50 ms of its own.
"""

from __future__ import annotations

import argparse
import json
import sys

import structlog

from tests.proofs.fuzz.bitexasia_targets import TARGETS as BITEXASIA
from tests.proofs.fuzz.client_targets import TARGETS as CLIENT
from tests.proofs.fuzz.framework_targets import TARGETS as FRAMEWORK
from tests.proofs.fuzz.kalqix_targets import TARGETS as KALQIX
from tests.proofs.fuzz.sandbox_targets import TARGETS as SANDBOX
from tests.proofs.fuzz.target import Fuzzed, fuzz
from tests.proofs.fuzz.zdex_targets import TARGETS as ZDEX

TARGETS = (*CLIENT, *BITEXASIA, *KALQIX, *ZDEX, *SANDBOX, *FRAMEWORK)
SLOWEST_MS_MAX = 50.0


def broken(result: Fuzzed) -> bool:
    """Whether a promise is broken."""
    return bool(result.uncaught or result.wrong or not result.read or result.slowest_ms > SLOWEST_MS_MAX)


def main() -> int:
    """Fuzz every target, print the figures, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    results = {
        one.name: fuzz(one, inputs=options.inputs, seed=options.seed) for one in TARGETS if options.only in one.name
    }
    failed = [name for name, result in results.items() if broken(result)]
    print(json.dumps({"failed": failed, **{name: one.as_json() for name, one in results.items()}}, indent=1))
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
