"""The board of alerts: from what is so now to what has to be said, once, again, and at the end. No output, no file.

A condition is an alert once it has held as long as its kind asks. It is said again until somebody acknowledges it, and
once more when it is over. What is gone for a moment only (`GONE_S`) was never gone: a venue that comes and goes is one
alert.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from framework.domain.ports import Clock
from framework.ops.alerts.alert import Alert, AlertKey, Condition, Notice, NoticeStatus

GONE_S = 5
"""A condition that has not been so for so many seconds is over."""

RESTORED_S = 120
"""An alert of the run before is over when it has not come back so many seconds after the start: a venue must be up, and
compared with, before its differences are known."""

ALERTS_MAX = 200
"""More alerts than that are not kept at a time: they are counted as dropped."""

_S = 1_000_000_000


class _Entry:
    """A condition: since when it is so and when it is over unless it is seen again, its alert once it is one, when that
    is due again, how often this run has said it, the last of these that an output took, and whether this run has seen
    it. Monotonic times."""

    __slots__ = ("alert", "due_ns", "first_ns", "gone_ns", "is_seen", "number", "taken_number")

    def __init__(self, now_ns: int, *, alert: Alert | None = None, due_ns: int = 0, gone_ns: int = 0) -> None:
        self.first_ns = now_ns
        self.gone_ns = gone_ns
        self.alert = alert
        self.due_ns = due_ns
        self.is_seen = False
        self.number = self.taken_number = 0


class AlertBoard:
    """All alerts of one daemon. `restored` are those of the run before; `repeat_s` 0 repeats nothing.

    `version` grows with each change that is worth keeping. `dropped` counts alerts that found no room.
    """

    def __init__(self, clock: Clock, *, repeat_s: int, restored: Iterable[Alert] = ()) -> None:
        self.version = 0
        self.dropped = 0
        self._clock = clock
        self._repeat_ns = repeat_s * _S
        self._entries: dict[AlertKey, _Entry] = {}
        self._refused: set[AlertKey] = set()
        now_ns, monotonic_ns = clock.now_ns(), clock.monotonic_ns()
        for alert in restored:
            # By wall time, which may have been set since: never later than a whole interval from now.
            left_ns = min(max(0, alert.sent_ns + self._repeat_ns - now_ns), self._repeat_ns)
            gone_ns = monotonic_ns + (0 if alert.kind.is_event else RESTORED_S * _S)
            entry = _Entry(monotonic_ns, alert=alert, due_ns=monotonic_ns + left_ns, gone_ns=gone_ns)
            self._entries[alert.key] = entry

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """All that hold, the oldest first."""
        found = [entry.alert for entry in self._entries.values() if entry.alert is not None]
        return tuple(sorted(found, key=lambda alert: alert.since_ns))

    def look(self, conditions: Iterable[Condition]) -> list[Notice]:
        """Take in all that is so now, and return what has to be said of it, in the order in which it became so."""
        monotonic_ns = self._clock.monotonic_ns()
        notices = [notice for one in conditions for notice in self._take(one, monotonic_ns)]
        for key, entry in list(self._entries.items()):
            notices += self._pass_time(key, entry, monotonic_ns)
        return notices

    def acknowledge(self, name: str, *, by: str, reason: str) -> list[Alert]:
        """Acknowledge the alerts of this name, or, with an empty one, all that nobody has acknowledged; return them as
        they are now. An event is over by that."""
        changed = []
        for entry in self._entries.values():
            alert = entry.alert
            if alert is None or (alert.name != name if name else alert.is_acknowledged):
                continue
            entry.alert = msgspec.structs.replace(
                alert, acknowledged_by=by, acknowledged_ns=self._clock.now_ns(), reason=reason
            )
            changed.append(entry.alert)
        self.version += bool(changed)
        return changed

    def count_sent(self, notice: Notice) -> None:
        """Count what an output took, once however many did; of an alert that is over by now nothing is counted."""
        entry = self._entries.get(notice.alert.key)
        if entry is not None and entry.alert is not None and notice.number > entry.taken_number:
            alert = entry.alert
            entry.alert = msgspec.structs.replace(alert, sent=alert.sent + 1, sent_ns=self._clock.now_ns())
            entry.taken_number = notice.number
            self.version += 1

    def _take(self, condition: Condition, monotonic_ns: int) -> Sequence[Notice]:
        key, kind = condition.key, condition.kind
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= ALERTS_MAX:
                self._drop(key)
                return ()
            entry = self._entries[key] = _Entry(monotonic_ns)
        entry.is_seen, entry.gone_ns = True, monotonic_ns + GONE_S * _S
        if entry.alert is not None:
            if entry.alert.text != condition.text:
                entry.alert = msgspec.structs.replace(entry.alert, text=condition.text)
            return ()
        held_ns = monotonic_ns - entry.first_ns
        if held_ns < (kind.hold_s if condition.hold_s is None else condition.hold_s) * _S:
            return ()
        since_ns = self._clock.now_ns() - held_ns
        entry.alert = Alert(kind=kind, scope=key.scope, target=key.target, text=condition.text, since_ns=since_ns)
        self.version += 1
        return (self._say(entry, entry.alert, monotonic_ns),)

    def _pass_time(self, key: AlertKey, entry: _Entry, monotonic_ns: int) -> Sequence[Notice]:
        """What is due of an entry: that it is over, or that it still holds. An event is over when it is acknowledged,
        which needs no saying."""
        alert, is_event = entry.alert, key.kind.is_event
        is_kept = is_event and alert is not None and not alert.is_acknowledged
        if monotonic_ns >= entry.gone_ns and not is_kept:
            del self._entries[key]
            self._refused.clear()
            if alert is None:
                return ()
            self.version += 1
            return () if is_event else (Notice(NoticeStatus.RESOLVED, alert, self._clock.now_ns()),)
        is_due = self._repeat_ns and monotonic_ns >= entry.due_ns and (entry.is_seen or is_event)
        if alert is None or alert.is_acknowledged or not is_due:
            return ()
        return (self._say(entry, alert, monotonic_ns),)

    def _say(self, entry: _Entry, alert: Alert, monotonic_ns: int) -> Notice:
        entry.due_ns = monotonic_ns + self._repeat_ns
        entry.number += 1
        return Notice(NoticeStatus.FIRING, alert, number=entry.number)

    def _drop(self, key: AlertKey) -> None:
        """Count an alert that finds no room, once until there is some."""
        if key not in self._refused and len(self._refused) < ALERTS_MAX:
            self._refused.add(key)
            self.dropped += 1
