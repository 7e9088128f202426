"""The board: when a condition is an alert, how often it is said, and what an acknowledgement changes. Time by hand."""

from __future__ import annotations

import msgspec
import pytest

from framework.domain.account_events import Scope
from framework.ops.alerts.alert import Alert, AlertKind, AlertLevel, Condition, Notice, NoticeStatus
from framework.ops.alerts.board import ALERTS_MAX, GONE_S, RESTORED_S, AlertBoard
from framework.runtime.clock import ManualClock

S = 1_000_000_000
START_NS = 1_700_000_000 * S
REPEAT_S = 300
HALT = Condition(AlertKind.HALTED, Scope.GLOBAL, "", "everything is halted")
DOWN = Condition(AlertKind.VENUE_DOWN, Scope.VENUE, "tide", "venue tide is not connected")
ALARM = Condition(AlertKind.ALARM, Scope.GLOBAL, "1a2b3c", "a fill was taken back")


class Run:
    """A board, and what it says as time passes."""

    def __init__(self, *, repeat_s: int = REPEAT_S, restored: tuple[Alert, ...] = ()) -> None:
        self.clock = ManualClock(wall_ns=START_NS, monotonic_ns=7 * S)
        self.board = AlertBoard(self.clock, repeat_s=repeat_s, restored=restored)

    def look(self, *conditions: Condition) -> list[str]:
        """What is said now, as `status name`."""
        return [f"{one.status.value} {one.alert.name}" for one in self.notices(*conditions)]

    def notices(self, *conditions: Condition) -> list[Notice]:
        return self.board.look(conditions)

    def during(self, seconds: float, *conditions: Condition) -> list[str]:
        """What is said in so many seconds, looking twice a second, the last time at their end."""
        said = []
        for _ in range(round(seconds * 2)):
            self.clock.advance(S // 2)
            said += self.look(*conditions)
        return said


def acknowledged(alert: Alert) -> Alert:
    return msgspec.structs.replace(alert, acknowledged_by="ann", acknowledged_ns=1)


def test_condition_when_it_begins_then_it_is_said_at_once_and_not_again_while_it_holds() -> None:
    run = Run()
    assert run.look(HALT) == ["firing halted"]
    assert run.during(REPEAT_S - 1, HALT) == []
    assert [alert.since_ns for alert in run.board.alerts] == [START_NS]


def test_condition_when_its_kind_waits_then_it_is_said_once_it_has_held_so_long_and_since_it_began() -> None:
    run = Run()
    assert run.look(DOWN) == []
    assert run.during(2.5, DOWN) == []
    assert run.during(0.5, DOWN) == ["firing venue_down:tide"]
    assert [alert.since_ns for alert in run.board.alerts] == [START_NS]


def test_condition_when_it_is_over_before_then_nothing_is_said() -> None:
    run = Run()
    run.look(DOWN)
    assert run.during(2.5, DOWN) + run.during(60) == []
    assert run.board.alerts == ()


def test_condition_when_it_comes_and_goes_then_it_is_one_alert() -> None:
    run, said = Run(), list[str]()
    for _ in range(20):
        said += run.during(2, DOWN) + run.during(GONE_S - 1)
    assert said == ["firing venue_down:tide"]


def test_alert_when_nobody_acknowledges_it_then_it_is_repeated_until_somebody_does() -> None:
    run = Run()
    run.look(HALT)
    assert run.during(3 * REPEAT_S, HALT) == ["firing halted"] * 3
    assert [alert.name for alert in run.board.acknowledge("halted", by="ann", reason="seen")] == ["halted"]
    assert run.during(3 * REPEAT_S, HALT) == []
    (alert,) = run.board.alerts
    assert (alert.acknowledged_by, alert.reason) == ("ann", "seen")


def test_alert_when_nothing_is_to_be_repeated_then_it_is_said_once() -> None:
    run = Run(repeat_s=0)
    assert run.look(HALT) + run.during(3_600, HALT) == ["firing halted"]


@pytest.mark.parametrize("by", ["", "ann"])
def test_alert_when_it_is_over_then_that_is_said_once_whoever_acknowledged_it(by: str) -> None:
    run = Run()
    run.look(HALT)
    if by:
        run.board.acknowledge("halted", by=by, reason="")
    assert run.during(GONE_S - 0.5) == []
    assert run.during(0.5) == ["resolved halted"]
    assert run.during(3 * REPEAT_S) == []
    assert run.board.alerts == ()


def test_alert_when_it_comes_again_after_it_was_over_then_it_is_a_new_one() -> None:
    run = Run()
    run.look(HALT)
    run.board.acknowledge("halted", by="ann", reason="")
    run.during(GONE_S)
    assert run.look(HALT) == ["firing halted"]


def test_alert_when_its_text_changes_then_it_is_the_same_and_the_next_message_has_the_new_one() -> None:
    run = Run()
    run.look(HALT)
    changed = msgspec.structs.replace(HALT, text="everything is halted twice")
    assert run.during(REPEAT_S - 1, changed) == []
    run.clock.advance(S)
    (notice,) = run.notices(changed)
    assert (notice.alert.text, notice.number) == ("everything is halted twice", 2)


def test_alerts_when_they_are_about_different_things_then_each_is_one_of_its_own() -> None:
    run = Run()
    of_a, of_b = (Condition(AlertKind.HALTED, Scope.INSTRUMENT, one, one) for one in ("tide:A", "tide:B"))
    of_venue = Condition(AlertKind.HALTED, Scope.VENUE, "tide:A", "a venue of that name")
    assert run.look(of_a, of_a, of_b) == ["firing halted:tide:A", "firing halted:tide:B"]
    assert run.look(of_a, of_b, of_venue) == ["firing halted:tide:A"]


def test_event_when_it_has_happened_then_it_stays_until_it_is_acknowledged_and_is_then_over_without_a_word() -> None:
    run = Run()
    assert run.look(ALARM) == ["firing alarm:1a2b3c"]
    assert run.during(2 * REPEAT_S) == ["firing alarm:1a2b3c"] * 2
    run.board.acknowledge("alarm:1a2b3c", by="ann", reason="")
    assert run.during(2 * REPEAT_S) == []
    assert run.board.alerts == ()


def test_event_when_it_goes_on_after_it_was_acknowledged_then_it_is_not_said_again() -> None:
    run = Run()
    run.look(ALARM)
    run.board.acknowledge("", by="ann", reason="")
    assert run.during(REPEAT_S, ALARM) == []


def test_acknowledgement_when_it_is_of_all_then_those_of_others_stay_as_they_are() -> None:
    run = Run()
    run.look(HALT, ALARM)
    run.board.acknowledge("halted", by="bob", reason="mine")
    assert [alert.name for alert in run.board.acknowledge("", by="ann", reason="")] == ["alarm:1a2b3c"]
    assert {alert.name: alert.acknowledged_by for alert in run.board.alerts} == {"halted": "bob", "alarm:1a2b3c": "ann"}
    assert run.board.acknowledge("nothing", by="ann", reason="") == []


def test_sent_when_two_outputs_take_a_message_then_it_counts_once() -> None:
    run = Run()
    (notice,) = run.notices(HALT)
    run.board.count_sent(notice)
    run.board.count_sent(notice)
    run.clock.advance(REPEAT_S * S)
    (again,) = run.notices(HALT)
    run.board.count_sent(again)
    (alert,) = run.board.alerts
    assert (alert.sent, alert.sent_ns) == (2, START_NS + REPEAT_S * S)


def test_sent_when_the_alert_is_over_then_nothing_is_counted() -> None:
    run = Run()
    (notice,) = run.notices(HALT)
    run.during(GONE_S)
    run.board.count_sent(notice)
    assert run.board.alerts == ()


RESTORED = Alert(
    kind=AlertKind.HALTED, scope=Scope.GLOBAL, target="", text="before", since_ns=START_NS - 50 * S,
    sent=3, sent_ns=START_NS - 40 * S,
)  # fmt: skip


def test_restart_when_an_alert_was_acknowledged_then_it_is_not_said_again() -> None:
    run = Run(restored=(acknowledged(RESTORED),))
    assert run.during(RESTORED_S - 1) == []  # until a comparison shows it again
    assert run.during(3 * REPEAT_S, HALT) == []
    (alert,) = run.board.alerts
    assert (alert.since_ns, alert.acknowledged_by, alert.text) == (RESTORED.since_ns, "ann", HALT.text)


def test_restart_when_an_alert_was_not_acknowledged_then_it_is_repeated_when_it_is_due_and_not_before() -> None:
    run = Run(restored=(RESTORED,))
    assert run.during(259.5, HALT) == []
    assert run.during(0.5, HALT) == ["firing halted"]


def test_restart_when_no_output_had_taken_an_alert_then_it_is_said_at_once() -> None:
    run = Run(restored=(msgspec.structs.replace(RESTORED, sent=0, sent_ns=0),))
    assert run.look(HALT) == ["firing halted"]


def test_restart_when_an_alert_does_not_come_back_then_it_is_over_after_a_while() -> None:
    run = Run(restored=(RESTORED, acknowledged(msgspec.structs.replace(RESTORED, kind=AlertKind.REDUCING))))
    assert run.during(RESTORED_S - 0.5) == []
    assert sorted(run.during(0.5)) == ["resolved halted", "resolved reducing"]


def test_restart_when_an_event_was_not_acknowledged_then_it_is_still_there() -> None:
    event = msgspec.structs.replace(RESTORED, kind=AlertKind.ALARM, target="1a2b3c")
    run = Run(restored=(event,))
    assert run.during(RESTORED_S + 150) == ["firing alarm:1a2b3c"]
    assert [alert.name for alert in run.board.alerts] == ["alarm:1a2b3c"]


def test_restart_when_the_wall_clock_was_set_back_then_a_repetition_waits_one_interval_at_most() -> None:
    run = Run(restored=(msgspec.structs.replace(RESTORED, sent_ns=START_NS + 3_600 * S),))
    assert run.during(REPEAT_S, HALT) == ["firing halted"]


def test_alerts_when_there_are_too_many_then_the_newest_are_dropped_and_counted_once_until_there_is_room() -> None:
    run = Run()
    many = [Condition(AlertKind.ALARM, Scope.GLOBAL, str(number), "x") for number in range(ALERTS_MAX + 3)]
    for _ in range(3):
        run.look(*many)
    assert (len(run.board.alerts), run.board.dropped) == (ALERTS_MAX, 3)
    run.board.acknowledge("", by="ann", reason="")
    run.during(GONE_S)
    assert run.look(many[-1]) == [f"firing alarm:{ALERTS_MAX + 2}"]


def test_version_when_something_is_worth_keeping_then_it_grows_and_else_it_stays() -> None:
    run = Run()
    versions = [run.board.version]
    (notice,) = run.notices(HALT)
    versions.append(run.board.version)
    run.look(HALT)
    assert run.board.version == versions[-1]
    run.board.count_sent(notice)
    versions.append(run.board.version)
    run.board.acknowledge("halted", by="ann", reason="")
    versions.append(run.board.version)
    run.during(GONE_S)
    versions.append(run.board.version)
    assert len(set(versions)) == len(versions) == 5


def test_levels_when_compared_then_each_kind_has_one_and_both_are_used() -> None:
    assert {kind.level for kind in AlertKind} == set(AlertLevel)
    assert NoticeStatus("firing") is NoticeStatus.FIRING
