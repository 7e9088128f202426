"""The second level of the throttle (C8): a strategy that is refused without pause does not fill the journal.

Refusals are records, so that a replay can compare them. A strategy that answers each refusal with the next request
makes tens of thousands a second, and its neighbours' orders would wait for the disk behind them. So of each strategy
the first `SINGLY_MAX` in a window of a second are journaled one by one, and the rest as one count per code when the
window ends. What the strategy hears stays the same. Everything here follows from steps and their times: a replay
counts alike.
"""

from __future__ import annotations

from framework.domain.verdicts import RefusalCode, RefusalsCounted, Refused

SINGLY_MAX = 50
"""Refusals of one strategy in one window that are journaled one by one."""
WINDOW_NS = 1_000_000_000
BURST_S = 5
"""Seconds' worth of allowed refusals that a strategy may have at once before it counts as a storm."""
_NEVER_NS = 2**63 - 1


class RefusalThrottle:
    """Counts the refusals of all strategies of one run. `per_second_max` is what a strategy may be refused for good, in
    refusals a second; `due_ns` the monotonic time at which the window ends that is open, far away while none is.
    """

    __slots__ = ("_counts", "_loads_ns", "_per_refusal_ns", "_singly", "due_ns")

    def __init__(self, per_second_max: int) -> None:
        self.due_ns = _NEVER_NS
        self._per_refusal_ns = WINDOW_NS // per_second_max
        self._singly: dict[str, int] = {}
        self._counts: dict[tuple[str, RefusalCode], tuple[int, int, int]] = {}
        self._loads_ns: dict[str, int] = {}

    def count(self, refused: Refused, step: int, monotonic_ns: int) -> bool:
        """Count a refusal of this step. True when it is to be journaled by itself."""
        strategy = refused.intent.strategy
        if self.due_ns == _NEVER_NS:
            self.due_ns = monotonic_ns + WINDOW_NS
        # How far ahead of the allowed pace it is: each refusal adds its time, and time takes it off.
        self._loads_ns[strategy] = max(self._loads_ns.get(strategy, 0), monotonic_ns) + self._per_refusal_ns
        singly = self._singly.get(strategy, 0)
        if singly < SINGLY_MAX:
            self._singly[strategy] = singly + 1
            return True
        count, first, _ = self._counts.get((strategy, refused.code), (0, step, step))
        self._counts[strategy, refused.code] = (count + 1, first, step)
        return False

    def is_storm(self, strategy: str, monotonic_ns: int) -> bool:
        """Whether the strategy has been refused more than `per_second_max` times a second, for longer than `BURST_S`
        seconds or by as much."""
        return self._loads_ns.get(strategy, 0) > monotonic_ns + BURST_S * WINDOW_NS

    def forgive(self, strategy: str) -> None:
        """Begin anew with a strategy that is let in again."""
        self._loads_ns.pop(strategy, None)

    def close_window(self, now_ns: int) -> list[RefusalsCounted]:
        """End the window; what was not journaled one by one, as counts. `now_ns` is the wall time of the step."""
        counted = [
            RefusalsCounted(strategy=strategy, code=code, count=count, first_step=first, last_step=last, ts_ns=now_ns)
            for (strategy, code), (count, first, last) in self._counts.items()
        ]
        self._singly.clear()
        self._counts.clear()
        self.due_ns = _NEVER_NS
        return counted
