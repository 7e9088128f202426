"""Messages of wrong plugin settings."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from framework.cli.list import checks, strategies, venues
from framework.config.errors import (
    WORDS,
    in_our_words,
    is_secret_key,
    known_keys,
    nearest_origin,
    origin_of,
    parse_settings,
    suggestion,
)
from framework.config.model import Configuration
from framework.config.plugins import Plugins
from framework.domain.errors import ConfigurationError
from risk.limit_table import Limit


class Band(BaseModel):
    """A part of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ticks: int | None = Field(None, gt=0, description="Width in ticks.")

    @model_validator(mode="after")
    def _has_width(self) -> Band:
        if self.ticks is None:
            raise ValueError("no width is given")
        return self


class Settings(BaseModel):
    """Settings of a plugin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Decimal = Field(gt=0, description="Size of each quote.")
    api_secret: str = Field("unset-secret", min_length=8, description="The key.")
    band: Band | None = Field(None, description="How far.")
    overrides: dict[str, Band] = Field(default_factory=dict, description="Exceptions.")
    bands: tuple[Band, ...] = Field((), description="Several.")


class Explosive(BaseModel):
    """Its validator has a bug."""

    size: int = 1

    @field_validator("size")
    @classmethod
    def _explode(cls, value: int) -> int:
        raise KeyError(value)


def problem(raw: dict[str, object], model: type[BaseModel] | None = Settings) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_settings(model, raw, key="strategies.mm.settings", origins={"strategies.mm.settings.size": "my.toml"})
    return str(caught.value)


def test_parse_settings_when_right_then_is_the_model() -> None:
    found = parse_settings(Settings, {"size": "1.5"}, key="k", origins={})
    assert isinstance(found, Settings)
    assert found.size == Decimal("1.5")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"size": 1, "bnad": {}}, 'my.toml: strategies.mm.settings.bnad: unknown key "bnad"; did you mean "band"?'),
        (
            {"size": 1, "band": {"tick": 1}},
            'strategies.mm.settings.band.tick: unknown key "tick"; did you mean "ticks"?',
        ),
        ({"size": 1, "overrides": {"a": {"tick": 1}}}, 'overrides.a.tick: unknown key "tick"; did you mean "ticks"?'),
        ({"size": 1, "bands": [{"tick": 1}]}, 'bands.0.tick: unknown key "tick"; did you mean "ticks"?'),
        ({}, "strategies.mm.settings.size: is missing; give: Size of each quote."),
        ({"size": -1}, "my.toml: strategies.mm.settings.size: -1: is not above 0; give: Size of each"),
        ({"size": 1, "band": {}}, "strategies.mm.settings.band: no width is given; give: How far."),
    ],
)
def test_parse_settings_when_wrong_then_names_place_value_and_remedy(raw: dict[str, object], message: str) -> None:
    assert message in problem(raw)


def test_parse_settings_when_a_secret_is_wrong_then_does_not_show_it() -> None:
    assert "hunter2" not in problem({"size": 1, "api_secret": "hunter2"})
    assert "(its value is not shown)" in problem({"size": 1, "api_secret": "hunter2"})


def test_parse_settings_when_a_value_is_long_then_is_cut() -> None:
    assert len(problem({"size": "x" * 5_000})) < 400


def test_parse_settings_when_the_plugin_has_no_settings_then_takes_none() -> None:
    assert parse_settings(None, {}, key="k", origins={}) is None
    assert "strategies.mm.settings.size: this plugin has no settings; remove it" in problem({"size": 1}, model=None)


def test_parse_settings_when_partial_then_missing_is_fine_and_wrong_is_not() -> None:
    assert parse_settings(Settings, {}, key="k", origins={}, is_partial=True) is None
    with pytest.raises(ConfigurationError, match="unknown key"):
        parse_settings(Settings, {"sise": 1}, key="k", origins={}, is_partial=True)


def test_parse_settings_when_the_plugins_validator_ends_the_program_then_is_a_configuration_error() -> None:
    class Leaving(BaseModel):
        size: int

        @field_validator("size")
        @classmethod
        def leave(cls, _: int) -> int:
            raise SystemExit(3)

    message = problem({"size": 3}, model=Leaving)
    assert "SystemExit: 3 at " in message
    assert f"{__file__}:" in message


def test_parse_settings_when_the_plugins_validator_breaks_then_is_a_configuration_error() -> None:
    assert "KeyError: 3" in problem({"size": 3}, model=Explosive)


@pytest.mark.parametrize("name", ["api_secret", "secret", "password", "api_key", "token", "wallet_private_key"])
def test_is_secret_key_when_it_holds_a_secret_then_yes(name: str) -> None:
    assert is_secret_key(name)


@pytest.mark.parametrize("name", ["private_key_path", "secret_file", "api_key_id", "tokens", "size", "key_id"])
def test_is_secret_key_when_it_only_points_to_one_then_no(name: str) -> None:
    assert not is_secret_key(name)


def test_origins_when_a_key_was_not_set_then_default_and_the_nearest_are_its_neighbours() -> None:
    origins = {"http.port": "a.toml", "http.allowed_hosts": "b.toml"}
    assert origin_of("http.port", origins) == "a.toml"
    assert origin_of("http.allowed_hosts.0", origins) == "b.toml"
    assert origin_of("http.host", origins) == "default"
    assert nearest_origin("http.host", origins) == "a.toml, b.toml"
    assert nearest_origin("log.level", origins) == "default"


def test_known_keys_when_the_place_does_not_exist_then_none() -> None:
    assert known_keys(Settings, ["nowhere", "at", "all"]) == []
    assert known_keys(Settings, ["size", "deeper"]) == []


def test_suggestion_when_nothing_is_known_then_says_so() -> None:
    assert suggestion("x", []) == "none is known here"


WRONG: tuple[Any, ...] = (
    None, True, 0, -1, 10**30, 1.5, "", "x", "x" * 5_000, "nan", "9" * 500, [], ["x"], [[]], [None], {}, {"a": 1},
    {"a": []}, Decimal("Infinity"), Decimal("1e-40"), b"\xff",
)  # fmt: skip


def models() -> Iterator[type[BaseModel]]:
    """Every model of the configuration and of the settings that ship, those inside others included."""
    plugins = Plugins()
    listed = [*checks(plugins), *strategies(plugins), *venues(plugins)]
    waiting: list[Any] = [Configuration, Everything, *(one.settings for one in listed)]
    seen: set[Any] = set()
    while waiting:
        found = waiting.pop()
        if isinstance(found, type) and issubclass(found, BaseModel) and found not in seen:
            seen.add(found)
            yield found
            waiting += [field.annotation for field in found.model_fields.values()]
        waiting += get_args(found)


class Colour(Enum):
    """Two."""

    RED = "red"
    BLUE = "blue"


class Everything(BaseModel):
    """What a plugin's settings may be made of."""

    colour: Colour = Colour.RED
    ratio: float = Field(0.5, multiple_of=0.25, allow_inf_nan=False)
    exact: Decimal = Field(Decimal(1), max_digits=3, decimal_places=1)
    word: str = Field("ab", min_length=2, max_length=3)
    names: set[str] = Field(set(), max_length=2)
    few: tuple[int, ...] = Field((1, 2), min_length=2)
    pair: tuple[int, int] = (1, 2)
    place: Path = Path("x")


def test_refusals_when_any_field_of_any_model_is_wrong_then_they_are_in_our_words() -> None:
    seen: dict[str, str] = {}
    for model in models():
        for name in model.model_fields:
            for value in WRONG:
                try:
                    model.model_validate({name: value})
                except ValidationError as e:
                    seen |= {error["type"]: in_our_words(dict(error)) for error in e.errors()}
    own = {"missing", "extra_forbidden", "value_error", "assertion_error"}
    assert set(seen) - own <= set(WORDS)
    assert len(seen) > 20, sorted(seen)
    pydantics = ("Input should", "should have", "validation", "Unable", "valid ")
    assert not [text for kind, text in seen.items() if kind not in own and any(word in text for word in pydantics)]


def test_refusal_when_pydantic_tried_several_types_then_is_one_line_with_the_key_as_one_writes_it() -> None:
    class Either(BaseModel):
        limit: int | tuple[int, ...] = Field(1, description="How many.")
        when: bool | Literal["offered"] = True

    assert problem({"limit": "x", "when": "x"}, model=Either).splitlines() == [
        'my.toml: strategies.mm.settings.limit: \'x\': is not a whole number, and is not a list such as ["a", "b"]; '
        "give: How many.",
        "my.toml: strategies.mm.settings.when: 'x': is not true or false, and is not 'offered'; "
        "see the example in config/",
    ]


def test_refusal_when_a_validator_shows_a_url_then_its_password_is_masked() -> None:
    class Site(BaseModel):
        url: str

        @field_validator("url")
        @classmethod
        def _refuse(cls, value: str) -> str:
            raise ValueError(f"{value} is not an address")

    found = problem({"url": "https://me:hunter2@venue/x?api_token=hunter3"}, model=Site)
    assert "hunter" not in found
    assert found.count("https://********@venue/x?api_token=********") == 2


def test_refusal_when_a_validator_names_the_value_too_then_it_is_said_once() -> None:
    class Site(BaseModel):
        url: str = Field("", description="Where.")
        limit: Limit = Decimal(1)

        @field_validator("url")
        @classmethod
        def _refuse(cls, value: str) -> str:
            raise ValueError(f"{value!r}: has no host")

    key = "my.toml: strategies.mm.settings"
    assert problem({"url": "x"}, model=Site) == f"{key}.url: 'x': has no host; give: Where."
    found = problem({"limit": Decimal("NaN")}, model=Site)
    assert found == f"{key}.limit: 'NaN': is not a finite number above 0; see the example in config/"


def test_refusal_when_a_bool_stands_for_a_number_then_it_is_not_taken_as_1() -> None:
    class Numbers(BaseModel):
        port: int = Field(0, description="A port.")
        is_on: bool = False
        inner: dict[str, Band] = Field(default_factory=dict)

    assert problem({"port": True, "is_on": True}, model=Numbers) == (
        "my.toml: strategies.mm.settings.port: true: is not a number; give: A port."
    )
    found = problem({"inner": {"a": {"ticks": True}}}, model=Numbers)
    assert found == "my.toml: strategies.mm.settings.inner.a.ticks: true: is not a number; give: Width in ticks."


def test_refusal_when_a_key_of_the_plugin_stands_beside_settings_then_says_where_it_belongs() -> None:
    class Row(BaseModel):
        model_config = ConfigDict(extra="forbid")
        use: str = ""
        settings: dict[str, Any] = Field(default_factory=dict)

    found = problem({"max_position": "5"}, model=Row)
    assert found.endswith("known: settings, use; the plugin's own stand under settings")
    assert problem({"usee": "x"}, model=Row).endswith('did you mean "use"?')


def test_refusal_when_a_model_does_not_say_what_becomes_of_unknown_keys_then_they_are_refused() -> None:
    class Plain(BaseModel):
        size: int = 1

    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

    assert problem({"siz": 1}, model=Plain).endswith('unknown key "siz"; did you mean "size"?')
    assert parse_settings(Open, {"any": 1}, key="k", origins={}) is not None
