"""Resolution: every plugin loaded, every table of settings checked, every problem told at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from framework.config.layers import load
from framework.config.resolve import Resolved, resolve
from framework.domain.errors import ConfigurationError
from framework.domain.turns import no_limits
from framework.runtime.clock import ManualClock, seeded_rng

PLUGINS = {
    "venue/__init__.py": "",
    "venue/plugin.py": """
from pydantic import BaseModel, ConfigDict
class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    url: str
    markets: tuple[str, ...] = ()
def create(name, settings, *, clock, rng):
    return (name, settings.url, settings.markets, clock.now_ns())
SANDBOX = "venue.sandbox"
def sandbox_settings(ready):
    return {"url": ready["rest_url"]}
""",
    "bare/__init__.py": "",
    "bare/plugin.py": """
from pydantic import BaseModel
class Settings(BaseModel): ...
def create(name, settings, *, clock, rng): ...
""",
    "quoter.py": """
from pydantic import BaseModel, ConfigDict, Field
from framework.domain.strategy import Strategy
class QuoterSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    size: int = Field(gt=0, description="Contracts.")
class Quoter(Strategy[QuoterSettings]):
    Settings = QuoterSettings
""",
    "limit.py": """
from pydantic import BaseModel, ConfigDict
class Limit(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    most: int
    def check(self, proposal, view):
        return None
""",
}
CONFIG = """
[venues.here]
use = "venue.plugin"
embedded_sandbox = true
[venues.here.settings]
markets = ["A"]
[strategies.quoter]
use = "quoter:Quoter"
instruments = ["here:*"]
[strategies.quoter.settings]
size = 3
[[checks]]
use = "limit:Limit"
[checks.settings]
most = 4
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in PLUGINS.items():
        file = tmp_path / "plugins" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def resolved(folder: Path, text: str = CONFIG) -> Resolved:
    file = folder / "my.toml"
    file.write_text(f'plugin_paths = ["{folder}/plugins"]\n{text}')
    return resolve(load([file], environ={}))


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        resolved(folder, text)
    return [line.removeprefix(f"{folder}/my.toml: ") for line in str(caught.value).splitlines()]


def test_resolve_when_all_is_right_then_has_everything_in_order(folder: Path) -> None:
    found = resolved(folder)
    (venue,), (strategy,), ((name, check),) = found.venues, found.strategies, found.checks
    assert (venue.name, strategy.name, name) == ("here", "quoter", "limit")
    assert strategy.settings is not None
    assert strategy.settings.model_dump() == {"size": 3}
    assert cast(Any, check).most == 4


def test_venue_when_its_sandbox_is_ready_then_the_connector_gets_address_and_own_settings(folder: Path) -> None:
    (venue,) = resolved(folder).venues
    assert venue.settings is None
    connector = venue.connector(clock=ManualClock(wall_ns=9), rng=seeded_rng(1), sandbox_ready={"rest_url": "u"})
    assert cast(object, connector) == ("here", "u", ("A",), 9)
    module, arguments = venue.sandbox_command(folder)
    assert (module, venue.plugin.folders) == ("venue.sandbox", (folder / "plugins",))
    assert arguments == ["--port", "0", "--dir", str(folder), "--seed", "7", "--markets", "4", "--speed", "1"]


PROXIED = CONFIG.replace('use = "venue.plugin"', 'use = "venue.plugin"\nproxy = "http://me:s3cret@proxy:3128"')


def test_venue_when_it_has_a_proxy_then_a_connector_that_takes_one_gets_it(folder: Path) -> None:
    plugin = PLUGINS["venue/plugin.py"].replace("clock, rng)", 'clock, rng, proxy="")')
    (folder / "plugins" / "venue" / "plugin.py").write_text(plugin.replace("settings.markets,", "proxy,"))
    found = resolved(folder, PROXIED)
    ready = {"rest_url": "u"}
    connector = found.venues[0].connector(clock=ManualClock(wall_ns=9), rng=seeded_rng(1), sandbox_ready=ready)
    assert cast(object, connector) == ("here", "u", "http://me:s3cret@proxy:3128", 9)
    assert found.loaded.secret_values() == ["s3cret"]


def test_venue_when_its_connector_takes_turns_then_it_gets_those_of_the_daemon(folder: Path) -> None:
    plugin = PLUGINS["venue/plugin.py"].replace("clock, rng)", "clock, rng, turn=None)")
    (folder / "plugins" / "venue" / "plugin.py").write_text(plugin.replace("settings.markets,", "turn,"))
    (venue,), clock, ready = resolved(folder).venues, ManualClock(wall_ns=9), {"rest_url": "u"}
    connector = venue.connector(clock=clock, rng=seeded_rng(1), sandbox_ready=ready, turn=no_limits)
    assert cast(object, connector) == ("here", "u", no_limits, 9)


def test_venue_when_it_has_a_proxy_and_its_connector_takes_none_then_the_key_is_refused(folder: Path) -> None:
    assert "venues.here.proxy: venue.plugin can't use a proxy" in problems(folder, PROXIED)[0]


@pytest.mark.parametrize(
    "proxy",
    [
        "proxy:1",
        "https://proxy:1",
        "http://me:s3cret@proxy",
        "http://me:s3cret@proxy:1/a",
        "me:s3cret@proxy:1",
        "http://me:s3cret",
        "http://s3cret",
        "http://me:s3cret/@proxy:1",
        "http://me:s3cret#@proxy:1",
        "http://me:[s3cret@proxy:1",
        "http://me:s3cret@proxy:99999",
        "http://me:s3cret@pro\u2100xy:1",
        "http://me:s3cret x@proxy:1",
        "http://me:s3cret<@proxy:1",
        "http://me:s3cret'@proxy:1",
    ],
)
def test_venue_when_its_proxy_is_no_address_of_one_then_the_form_is_shown_and_no_password(
    folder: Path, proxy: str
) -> None:
    text = CONFIG.replace('use = "venue.plugin"', f'use = "venue.plugin"\nproxy = "{proxy}"')
    (line,) = problems(folder, text)
    assert "venues.here.proxy" in line
    assert "must be http://[user:password@]host:port" in line
    assert "s3cret" not in line
    assert "(its value is not shown)" in line


def test_venue_when_its_sandbox_is_not_ready_then_can_not_be_built(folder: Path) -> None:
    (venue,) = resolved(folder).venues
    with pytest.raises(ConfigurationError, match="incomplete until the embedded sandbox is ready"):
        venue.connector(clock=ManualClock(), rng=seeded_rng(1))


def test_venue_when_not_embedded_then_its_settings_must_be_complete(folder: Path) -> None:
    text = CONFIG.replace("embedded_sandbox = true", "")
    assert problems(folder, text) == ["venues.here.settings.url: is missing; see the example in config/"]


def test_venue_when_embedded_then_unknown_settings_are_still_refused(folder: Path) -> None:
    text = CONFIG.replace("markets =", "marktes =")
    assert problems(folder, text) == ['venues.here.settings.marktes: unknown key "marktes"; did you mean "markets"?']


def test_venue_when_it_ships_no_sandbox_then_can_not_be_embedded(folder: Path) -> None:
    text = CONFIG.replace("venue.plugin", "bare.plugin")
    assert "venues.here.embedded_sandbox: bare.plugin ships no sandbox" in problems(folder, text)[0]


def test_venues_when_one_is_embedded_and_one_is_an_account_then_they_are_refused(folder: Path) -> None:
    text = CONFIG + '[venues.there]\nuse = "venue.plugin"\n[venues.there.settings]\nurl = "u"\nmarkets = ["A"]\n'
    (found,) = problems(folder, text)
    assert found.startswith("venues.here.embedded_sandbox: an embedded sandbox begins anew at each start, the account ")
    assert "of there does not" in found
    assert "a state_dir each" in found


@pytest.mark.parametrize("embedded", [True, False])
def test_venues_when_all_are_embedded_or_none_then_it_is_known_which(folder: Path, embedded: bool) -> None:
    text = CONFIG.replace("= true", f"= {str(embedded).lower()}").replace("markets =", 'url = "u"\nmarkets =')
    assert resolved(folder, text).is_embedded is embedded


def test_resolve_when_much_is_wrong_then_tells_all_of_it(folder: Path) -> None:
    text = (
        CONFIG.replace("quoter:Quoter", "quoter:Quotter")
        .replace("most = 4", 'most = "many"')
        .replace("here:*", "there:*")
    )
    found = problems(folder, text)
    assert len(found) == 3
    assert found[0].startswith(
        'strategies.quoter.instruments: "there:*": no venue is named there; did you mean "here"?'
    )
    assert found[1].startswith("strategies.quoter.use: quoter:Quotter: ")
    assert found[2].startswith("checks.limit.settings.most: 'many': is not a whole number")


def test_strategy_when_its_settings_are_wrong_then_names_key_value_and_remedy(folder: Path) -> None:
    assert problems(folder, CONFIG.replace("size = 3", "size = 0")) == [
        "strategies.quoter.settings.size: 0: is not above 0; give: Contracts."
    ]


@pytest.mark.parametrize("pattern", ["*:A", "h*:B?", "here:KX-[1]"])
def test_instruments_when_the_pattern_fits_a_venue_then_are_taken(folder: Path, pattern: str) -> None:
    assert resolved(folder, CONFIG.replace("here:*", pattern)).strategies[0].row.instruments == (pattern,)


def test_instruments_when_the_pattern_has_no_venue_then_shows_how(folder: Path) -> None:
    assert problems(folder, CONFIG.replace("here:*", "KXBTC")) == [
        'strategies.quoter.instruments: "KXBTC" names no venue; write it like "kalshi:*"'
    ]


@pytest.mark.parametrize("table", ["venues.here", "strategies.quoter"])
def test_table_when_switched_off_then_it_is_as_if_it_were_not_there_and_that_is_said(folder: Path, table: str) -> None:
    text = CONFIG.replace(f"[{table}]\n", f"[{table}]\nenabled = false\n")
    if table == "venues.here":
        text = text.replace("here:*", "there:*") + '[venues.there]\nuse = "venue.plugin"\nembedded_sandbox = true\n'
    found = resolved(folder, text)
    assert [venue.name for venue in found.venues] == (["there"] if table == "venues.here" else ["here"])
    assert len(found.strategies) == (1 if table == "venues.here" else 0)
    assert found.notes == (f"{folder}/my.toml: {table}.enabled = false: it is switched off",)


def test_strategy_when_its_venue_is_switched_off_then_one_line_says_so(folder: Path) -> None:
    text = CONFIG.replace("embedded_sandbox = true", "enabled = false")
    text += '[venues.there]\nuse = "venue.plugin"\nembedded_sandbox = true\n'
    assert problems(folder, text) == [
        'strategies.quoter.instruments: "here:*": the venue here is switched off; switch strategies.quoter off too '
        "(enabled = false), or it on"
    ]


def test_venues_when_all_are_switched_off_then_refuses(folder: Path) -> None:
    found = problems(folder, CONFIG.replace("embedded_sandbox = true", "enabled = false"))
    assert "venues: none is switched on; a daemon needs one" in found


def test_strategy_when_it_has_a_name_that_records_use_then_it_is_refused(folder: Path) -> None:
    found = problems(folder, CONFIG.replace("strategies.quoter", "strategies.operator"))
    assert found == [
        "strategies.operator: this name is reserved: orders that an operator adopts are recorded under it; "
        "choose another name"
    ]


def test_settings_when_they_name_a_path_then_it_counts_from_the_file(folder: Path) -> None:
    plugin = PLUGINS["venue/plugin.py"].replace("    url: str", "    key: Path | None = None\n    url: str")
    (folder / "plugins" / "venue" / "plugin.py").write_text("from pathlib import Path\n" + plugin)
    (venue,) = resolved(folder, CONFIG.replace("markets =", 'url = "u"\nkey = "keys/k.pem"\nmarkets =')).venues
    assert venue.settings is not None
    assert venue.settings.model_dump()["key"] == folder / "keys" / "k.pem"
    assert venue.row.settings["key"] == str(folder / "keys" / "k.pem")


def test_plugin_folder_when_it_is_missing_then_says_what_relative_paths_count_from(folder: Path) -> None:
    (folder / "my.toml").write_text(f'plugin_paths = ["plugin"]\n{CONFIG}')
    with pytest.raises(ConfigurationError, match=rf"plugin_paths: {folder}/plugin is no folder; a relative"):
        resolve(load([folder / "my.toml"], environ={}))


def test_strategy_when_its_module_is_misspelt_then_the_one_that_was_meant_is_told(folder: Path) -> None:
    assert (
        'there is no module quoterr; did you mean "quoter"?'
        in problems(folder, CONFIG.replace("quoter:Quoter", "quoterr:Quoter"))[0]
    )
    assert (
        'did you mean "strategies.market_maker"?'
        in problems(folder, CONFIG.replace("quoter:Quoter", "strategies.market_makr:MarketMaker"))[0]
    )


def test_connector_when_its_plugin_breaks_then_file_and_line_are_told(folder: Path) -> None:
    plugin = folder / "plugins" / "venue" / "plugin.py"
    plugin.write_text(plugin.read_text().replace("return (name", "return 1 / 0, (name"))
    (venue,) = resolved(folder, CONFIG.replace("markets =", 'url = "u"\nmarkets =')).venues
    with pytest.raises(
        ConfigurationError, match=rf"^venues\.here\.settings: {plugin}:\d+: ZeroDivisionError: .*; correct this$"
    ):
        venue.connector(clock=ManualClock(), rng=seeded_rng(1))


def test_venue_when_its_sandbox_takes_options_then_they_are_checked_and_on_its_command_line(folder: Path) -> None:
    plugin = folder / "plugins" / "venue" / "plugin.py"
    plugin.write_text(
        plugin.read_text()
        + "from typing import Literal\n"
        + "class SandboxOptions(BaseModel):\n    dialect: Literal['old', 'new'] = 'old'\n    fee_ppm: int = 0\n"
    )
    text = CONFIG.replace("[venues.here.settings]", "[venues.here.sandbox.options]\nDIALECT\n[venues.here.settings]")
    (venue,) = resolved(folder, text.replace("DIALECT", 'dialect = "new"\nfee_ppm = 5')).venues
    assert venue.sandbox_command(folder)[1][-4:] == ["--dialect", "new", "--fee-ppm", "5"]
    assert problems(folder, text.replace("DIALECT", "dialekt = 1")) == [
        'venues.here.sandbox.options.dialekt: unknown key "dialekt"; did you mean "dialect"?'
    ]
