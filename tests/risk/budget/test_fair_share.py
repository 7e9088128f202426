from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from risk.budget.fair_share import FairShare

ACTS = st.tuples(
    st.integers(0, 40),
    st.sampled_from(["take", "owe", "give_back", "reduce"]),
    st.sampled_from("abx"),
    st.integers(0, 150),
)


@given(st.lists(ACTS, max_size=40), st.integers(0, 300))
def test_accounts_when_used_in_any_way_then_their_sum_is_what_is_kept_as_sum(
    acts: list[tuple[int, str, str, int]], capacity: int
) -> None:
    share = FairShare({"a": 2, "b": 5}, capacity=capacity, rate_per_weight=1, at_ns=0, reserve=14, request=5)
    now_ns = 0
    for after_ns, act, strategy, units in acts:
        now_ns += after_ns
        if act == "reduce":
            room = 20 + share._reserve + share._saved
            allowed = max(share.available_reducing(strategy, room, now_ns), 0)
            share.take_reducing(strategy, min(units, allowed), room, now_ns)
        else:
            getattr(share, act)(strategy, units, now_ns)
        share.available("a", 100, now_ns)
        accounts = share._accounts.values()
        assert share._saved == sum(each.level_at(now_ns) for each in accounts)
        assert all(-each.capacity - each.credit <= each.level_at(now_ns) <= each.capacity for each in accounts)
        assert all(0 <= each.lent_at(now_ns) <= each.credit for each in accounts)


def test_room_when_split_then_everybody_has_its_own_and_what_is_common_and_a_stranger_the_common_part() -> None:
    share = FairShare({"a": 1, "b": 3}, capacity=100, rate_per_weight=1, at_ns=0)
    assert [share.available(name, 60, 8) for name in "abx"] == [8 + 28, 24 + 28, 28]
    assert [share.available(name, 20, 8) for name in "abx"] == [8, 20, 0], "less is there than was saved"
    assert [share.available(name, 100, 50) for name in "abx"] == [25, 75, 0]


def test_wait_when_estimated_then_own_flow_and_common_flow_are_counted() -> None:
    share = FairShare({"a": 1, "b": 1}, capacity=40, rate_per_weight=1, at_ns=0)
    assert share.wait_ns("a", 10, 0, 0) == 10
    assert share.wait_ns("a", 10, 20, 10) == 0
    share.take("a", 20, 30)
    assert share.wait_ns("a", 10, 20, 30) == 5, "b is full: its flow is common"
    assert share.wait_ns("a", 10, 16, 30) == 7, "four units are missing before anything is common"
    assert share.wait_ns("a", 10, 0, 30) == 10, "by its own flow it is there sooner"
