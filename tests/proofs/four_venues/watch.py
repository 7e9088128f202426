"""What a running daemon says of itself, looked at about once a second."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

import msgspec

from tests.support.daemon import Daemon

ACCEPTED = "accepted"


class Sample(msgspec.Struct, frozen=True):
    """One look. `orders` are those that each venue has accepted so far, `limited` its answers of 429."""

    at_s: float
    up: Mapping[str, bool]
    not_ready: tuple[str, ...]
    orders: Mapping[str, int]
    fills: int
    limited: Mapping[str, int]
    unknown_age_s: float
    loop_late_s: float
    rss_bytes: int

    def trouble(self, venue: str) -> str:
        """Why the venue is not traded at now; empty when it is."""
        if not self.up[venue]:
            return "not connected"
        return next((reason for reason in self.not_ready if venue in reason), "")


class Watch:
    """Looks at one daemon, and keeps what it saw."""

    def __init__(self, daemon: Daemon, venues: Iterable[str]) -> None:
        self._daemon = daemon
        self._venues = list(venues)
        self.samples: list[Sample] = []

    @property
    def last(self) -> Sample:
        """The newest look."""
        return self.samples[-1]

    def look(self) -> Sample:
        """Look once. Raises `AssertionError` when the daemon has ended."""
        assert not self._daemon.has_ended, f"the daemon ended by itself\n{self._daemon.tail}"
        metrics = self._daemon.metrics()

        def total(name: str, **labels: str) -> float:
            wanted = set(labels.items())
            return sum(value for (found, has), value in metrics.items() if found == name and wanted <= set(has))

        self.samples.append(
            Sample(
                at_s=time.monotonic(),
                up={name: total("tidegate_connector_up", venue=name) == 1 for name in self._venues},
                not_ready=tuple(self._daemon.not_ready()),
                orders={
                    name: int(total("tidegate_orders_total", venue=name, outcome=ACCEPTED)) for name in self._venues
                },
                fills=int(total("tidegate_fills_total")),
                limited={name: int(total("tidegate_rate_limited_total", venue=name)) for name in self._venues},
                unknown_age_s=total("tidegate_orders_unknown_age_seconds"),
                loop_late_s=total("tidegate_loop_lag_seconds_sum"),
                rss_bytes=self._daemon.rss_bytes,
            )
        )
        return self.last

    def between(self, begin_s: float, end_s: float) -> list[Sample]:
        """The looks from one moment to another."""
        return [one for one in self.samples if begin_s <= one.at_s <= end_s]

    def memory(self, warm_up_s: float) -> Mapping[str, float]:
        """The memory in MiB once it is warm, at the end, and the most; and how many orders and fills came between the
        first two, which are kept. Medians of a fifth of the looks since then, so that one collection more or less does
        not count."""
        warm = [one for one in self.samples if one.at_s >= self.samples[0].at_s + warm_up_s] or self.samples[-1:]
        share = max(len(warm) // 5, 1)
        return {
            "warm": _mib(warm[:share]),
            "end": _mib(warm[-share:]),
            "most": round(max(one.rss_bytes for one in self.samples) / 2**20, 1),
            "rows": _rows(warm[-1]) - _rows(warm[0]),
        }


def _rows(sample: Sample) -> int:
    return sum(sample.orders.values()) + sample.fills


def _mib(samples: list[Sample]) -> float:
    return round(sorted(one.rss_bytes for one in samples)[len(samples) // 2] / 2**20, 1)
