"""Whatever a greedy strategy asks for, another one is served: within twice its fair share's wait."""

from __future__ import annotations

import pytest

from framework.domain.rate_limits import RateLimits, RequestKind
from tests.bench.budget import KINDS, LIMITS, WINDOW, Asker, fair_ms, share

NEW, REDUCE = RequestKind.NEW, RequestKind.REDUCE


@pytest.mark.parametrize("limits", [LIMITS, WINDOW], ids=["bucket", "window"])
@pytest.mark.parametrize("calm", KINDS, ids=lambda kind: f"for-{kind.value}")
@pytest.mark.parametrize("greedy", KINDS, ids=lambda kind: f"beside-{kind.value}")
def test_strategy_when_another_asks_for_anything_without_pause_then_it_waits_at_most_twice_its_fair_share(
    greedy: RequestKind, calm: RequestKind, limits: RateLimits
) -> None:
    for pause_ms, poll_ms in ((0, 1), (0, 20), (500, 1)):
        asker = Asker("calm", calm, pause_ms, poll_ms)
        found = share((Asker("greedy", greedy, 0), asker), seconds=20, limits=limits)
        assert found["calm"].longest_ms <= 2 * fair_ms(asker, 2, limits)


@pytest.mark.parametrize("greedy", [REDUCE, NEW], ids=lambda kind: kind.value)
def test_strategy_when_its_part_is_smaller_than_a_request_then_it_has_its_turn_however_seldom_it_asks(
    greedy: RequestKind,
) -> None:
    calm = Asker("calm", NEW, 0, 100)
    found = share((*(Asker(f"greedy{n}", greedy, 0) for n in range(19)), calm), seconds=40)
    assert found["calm"].longest_ms <= 2 * fair_ms(calm, 20, LIMITS)
    assert found["calm"].served >= 25


def test_strategies_when_all_others_are_idle_then_one_has_all_of_the_flow_and_at_once_its_part_when_they_are_back() -> (
    None
):
    idle = tuple(f"idle{n}" for n in range(9))
    alone = share((Asker("one", NEW, 0),), seconds=60, idle=idle)
    assert alone["one"].served >= 0.99 * 60 * 20

    back = share((Asker("one", NEW, 0), *(Asker(name, NEW, 3_000) for name in idle)), seconds=60)
    assert max(back[name].longest_ms for name in idle) <= 2 * 50
