"""How often something is asked for again."""

from __future__ import annotations

from connectors.client.turns import FIRST_NS, LONGEST_NS, Turns

SECOND = FIRST_NS


def asked_at(seconds: int, *, was_well: bool = False) -> list[int]:
    """When a thing that goes wrong all the time is asked for, looked at four times a second."""
    turns, taken = Turns(), []
    for quarter in range(seconds * 4):
        now_ns = quarter * SECOND // 4
        turns.want("A", now_ns, was_well=was_well)
        if turns.take(now_ns):
            taken.append(quarter // 4)
    return taken


def test_turns_when_it_goes_wrong_all_the_time_then_the_waits_double_up_to_half_a_minute() -> None:
    assert asked_at(130) == [0, 1, 3, 7, 15, 31, 61, 91, 121]
    assert LONGEST_NS == 30 * SECOND


def test_turns_when_it_was_well_for_a_while_then_they_start_anew() -> None:
    turns = Turns()
    for now_s in (0, 1, 3, 7):
        turns.want("A", now_s * SECOND, was_well=False)
        assert turns.take(now_s * SECOND) == ("A",)
    turns.want("A", 30 * SECOND, was_well=True)
    assert turns.take(30 * SECOND) == ("A",)
    turns.want("A", 31 * SECOND, was_well=True)
    assert turns.take(31 * SECOND) == ("A",)


def test_turns_when_several_are_wanted_then_each_has_its_own_and_one_that_came_right_is_left_out() -> None:
    turns = Turns()
    turns.want("B", 0, was_well=True)
    turns.want("A", 0, was_well=True)
    assert (bool(turns), turns.take(0), bool(turns)) == (True, ("A", "B"), False)
    turns.want("A", 1, was_well=True)
    turns.want("B", 1, was_well=True)
    turns.cease("A")
    turns.forget("B")
    turns.want("B", 2, was_well=True)
    assert turns.take(2) == ("B",)
    assert turns.take(5 * SECOND) == ()
