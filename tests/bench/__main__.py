"""Every figure, one JSON row each: `make bench`, or `make bench ARGS="hot_path records network"`.

`calls` prints tables, and what it counts is the same on every machine.
"""

from __future__ import annotations

import logging
import sys

import structlog

from tests.bench import budget, calls, hot_path, network, records, recovery, refusals

BENCHES = {
    "budget": budget.run,
    "hot_path": hot_path.run,
    "records": records.run,
    "network": network.run,
    "recovery": recovery.run,
    "refusals": refusals.run,
    "calls": calls.run,
}

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

for name in sys.argv[1:] or BENCHES:
    BENCHES[name]()
