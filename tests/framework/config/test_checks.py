"""Checks as tables by name: how layers meet, the earlier array form, and the order of the questions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from framework.config.checks import name_of_check, order_of_checks
from framework.config.layers import DEFAULT_FILE, Loaded, load
from framework.config.model import CheckRow
from framework.config.resolve import resolve
from framework.domain.errors import ConfigurationError

ORDER = [
    "trading_state",
    "allow_list",
    "order_grid",
    "max_order_size",
    "max_order_notional",
    "book_freshness",
    "price_collar",
    "max_position",
    "max_open_orders",
    "self_trade",
    "duplicate_order",
    "repeated_execution",
    "rate_budget",
]
TIGHTER = """
[[checks]]
use = "risk.max_position:MaxPosition"
[checks.settings]
max_position = "5"
"""


def over_the_default(folder: Path, *texts: str, overrides: Sequence[str] = ()) -> Loaded:
    files = [folder / f"{number}.toml" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    return load([DEFAULT_FILE, *files], environ={}, overrides=overrides)


def asked(loaded: Loaded) -> list[str]:
    return [name for name, _ in resolve(loaded).checks]


def problem(folder: Path, *texts: str, overrides: Sequence[str] = ()) -> str:
    with pytest.raises(ConfigurationError) as caught:
        resolve(over_the_default(folder, *texts, overrides=overrides))
    return str(caught.value)


def rows(**after: str) -> dict[str, CheckRow]:
    return {name: CheckRow(use="a.b:C", after=place) for name, place in after.items()}


@pytest.mark.parametrize(
    ("use", "name"),
    [
        ("risk.max_position:MaxPosition", "max_position"),
        ("risk.trading_state:TradingStateCheck", "trading_state"),
        ("mine:HTTPLimit2", "http_limit2"),
        ("mine:Check", "check"),
        ("entry-point", "entry_point"),
        ("", "unnamed"),
    ],
)
def test_name_when_a_check_was_given_without_one_then_is_its_class_in_snake_case(use: str, name: str) -> None:
    assert name_of_check(use) == name


@pytest.mark.parametrize("text", [TIGHTER, '[checks.max_position.settings]\nmax_position = "5"\n'])
def test_overlay_when_it_names_one_check_in_either_form_then_that_one_is_tighter_and_the_others_stay(
    tmp_path: Path, text: str
) -> None:
    loaded = over_the_default(tmp_path, text)
    assert asked(loaded) == ORDER
    assert loaded.config.checks["max_position"].settings == {"max_position": "5", "max_strategy_position": "200"}
    assert loaded.origin("checks.max_position.settings.max_position") == str(tmp_path / "0.toml")
    assert loaded.origin("checks.max_position.settings.max_strategy_position") == str(DEFAULT_FILE)


def test_overlay_when_an_array_repeats_a_class_then_the_second_is_a_check_of_its_own(tmp_path: Path) -> None:
    assert asked(over_the_default(tmp_path, TIGHTER + TIGHTER.replace("5", "9") + 'max_strategy_position = "9"')) == [
        *ORDER[:-1],
        "max_position_2",
        "rate_budget",
    ]


@pytest.mark.parametrize("override", ["checks=[{use='risk.max_position:MaxPosition'}]", "checks={}"])
def test_set_when_it_gives_checks_as_a_whole_then_they_are_laid_over_too(tmp_path: Path, override: str) -> None:
    assert asked(over_the_default(tmp_path, overrides=[override])) == ORDER


def test_file_when_it_replaces_the_checks_then_earlier_ones_are_gone_and_that_is_said(tmp_path: Path) -> None:
    first, last = '[checks.late]\nuse = "risk.order_grid:OrderGrid"\n', "replace_checks = true\n" + TIGHTER
    loaded = over_the_default(tmp_path, first, last + 'max_strategy_position = "5"', "[http]\nport = 0\n")
    assert asked(loaded) == ["max_position"]
    (note,) = resolve(loaded).notes
    assert note.startswith(f"{tmp_path}/1.toml: replace_checks: the checks of the files before it are dropped: ")
    assert note.endswith("rate_budget, late")


def test_check_when_switched_off_then_it_is_not_asked_nor_loaded_and_that_is_said(tmp_path: Path) -> None:
    loaded = over_the_default(tmp_path, '[checks.price_collar]\nenabled = false\nuse = "no.such:Thing"\n')
    assert asked(loaded) == [name for name in ORDER if name != "price_collar"]
    assert resolve(loaded).notes == (f"{tmp_path}/0.toml: checks.price_collar.enabled = false: it is switched off",)


@pytest.mark.parametrize(
    ("key", "new"),
    [
        ("checks.7.settings.max_position", "checks.max_position.settings.max_position"),
        ("checks.0.use", "checks.trading_state.use"),
        ("checks.99.use", " or checks.rate_budget.use"),
    ],
)
def test_set_when_it_names_a_check_by_its_number_then_the_new_key_is_told(tmp_path: Path, key: str, new: str) -> None:
    assert new in problem(tmp_path, overrides=[f"{key}=1"])


def test_overlay_when_a_name_is_misspelt_then_the_check_that_was_meant_is_told(tmp_path: Path) -> None:
    text = '[checks.max_positon.settings]\nmax_position = "5"\n[strategies.mn]\ninstruments_max = 1\n'
    found = problem(tmp_path, text)
    assert f'{tmp_path}/0.toml: checks.max_positon.use: is missing; did you mean "max_position"?' in found
    assert "strategies.mn.use: is missing; known: mm; give: " in found


@pytest.mark.parametrize("name", ["Max", "a-b", "a.b", "gate", "kernel"])
def test_name_when_it_can_not_stand_in_a_refusal_then_is_refused(tmp_path: Path, name: str) -> None:
    text = f'[checks."{name}"]\nuse = "risk.order_grid:OrderGrid"\n'
    assert f"{tmp_path}/0.toml: checks.{name}: " in problem(tmp_path, text)


def test_order_when_nothing_is_said_then_first_and_last_have_their_places_and_the_others_appear_in_turn() -> None:
    assert order_of_checks(rows(b="", rate_budget="", a="", trading_state="", c="")) == [
        "trading_state", "b", "a", "c", "rate_budget"
    ]  # fmt: skip


def test_order_when_a_check_is_to_come_after_another_then_it_is_directly_behind_it() -> None:
    found = order_of_checks(rows(a="", b="", late="a", later="late", also="a", trading_state="", z="trading_state"))
    assert found == ["trading_state", "z", "a", "late", "later", "also", "b"]


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ({"abc": "", "x": "abd"}, 'checks.x.after: no check is named "abd"; did you mean "abc"?'),
        ({"a": "b", "b": "a", "c": ""}, "checks: each of a, b is to come after another of them"),
        ({"a": "a"}, "checks: each of a is to come after another of them"),
        ({"a": "", "rate_budget": "a"}, "checks.rate_budget.after: rate_budget is always asked last"),
        ({"a": "", "trading_state": "a"}, "checks.trading_state.after: trading_state is always asked first"),
        ({"rate_budget": "", "a": "rate_budget"}, "checks.a.after: rate_budget is always asked last, nothing comes"),
    ],
)
def test_order_when_it_can_not_be_then_says_which_check_and_why(after: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        order_of_checks(rows(**after))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", ()),
        ("[checks.rate_budget]\nenabled = false\n", ("rate_budget",)),
        ("[checks.trading_state]\nenabled = false\n", ("trading_state",)),
        ('[checks.rate_budget]\nuse = "risk.order_grid:OrderGrid"\n', ("rate_budget",)),
        ('replace_checks = true\n[[checks]]\nuse = "risk.order_grid:OrderGrid"\n', ("trading_state", "rate_budget")),
    ],
)
def test_guards_when_one_is_off_replaced_or_gone_then_it_is_known(
    tmp_path: Path, text: str, missing: tuple[str, ...]
) -> None:
    assert resolve(over_the_default(tmp_path, text)).missing_guards == missing
