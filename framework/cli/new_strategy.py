"""`tidegate new-strategy NAME`: a strategy to start from, a test that passes, and the configuration to run it."""

from __future__ import annotations

import argparse
import keyword
import re
import sys
from pathlib import Path

from framework.config.plugins import OWN_PACKAGES
from framework.domain.errors import ConfigurationError
from framework.domain.operator_requests import OPERATOR

_STRATEGY = '''"""{title}: joins the best bid with one order, and waits. Change it into what you want."""

from pydantic import BaseModel, ConfigDict, Field

from framework.domain.instruments import Instrument
from framework.domain.ports import BookView
from framework.domain.strategy import OrderHandle, Strategy


class {title}Settings(BaseModel):
    """What the configuration may set, under [strategies.{name}.settings]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(1, ge=1, description="Contracts per order.")


class {title}(Strategy[{title}Settings]):
    """Keeps one bid in the market."""

    Settings = {title}Settings
    _bid: OrderHandle | None = None

    def on_instrument(self, instrument: Instrument) -> None:
        """A market has opened and is ours to trade, or one of ours has settled: see self.desk.instruments."""

    def on_book(self, book: BookView) -> None:
        """Place one bid when the book is fresh and two-sided."""
        if self._bid is not None and self._bid.is_open:
            return
        if not (book.is_fresh and book.is_two_sided) or book.bid is None:
            return
        instrument = self.desk.instrument(book.instrument)
        self._bid = self.buy(book.instrument, book.bid, instrument.size(self.settings.size), post_only=True)
        if self._bid.refusal is not None:
            self.desk.log("refused", code=self._bid.refusal.code.value, detail=self._bid.refusal.detail)
'''

_TEST = '''"""Run it with: python -m pytest {folder}"""

from pathlib import Path

from framework.config.plugins import Plugins
from framework.testing import TradingHarness

{title} = Plugins([Path(__file__).parent]).strategy("{name}:{title}")


def test_{name}_when_the_book_is_two_sided_then_bids_once():
    harness = TradingHarness()
    harness.add("{name}", {title}, {{"size": 2}})

    harness.venue.quote(bid="0.40", ask="0.44")
    harness.venue.quote(bid="0.41", ask="0.44")

    assert [(order.price, order.size) for order in harness.orders("{name}")] == [(4000, 200)]
    assert harness.refusals == []


def test_{name}_when_nobody_offers_then_stays_out():
    harness = TradingHarness()
    harness.add("{name}", {title})

    harness.venue.quote(bid="0.40")

    assert harness.intents == []
'''

_CONFIG = """# Lay this over a configuration: tidegate run -c sandbox -c {folder}/{name}.toml
plugin_paths = ["."]

[strategies.{name}]
use = "{name}:{title}"
instruments = ["kalshi:*"]
instruments_max = 1

[strategies.{name}.settings]
size = 1
"""


def new_strategy(options: argparse.Namespace) -> int:
    """Write the three files into `options.dir` and print what to do next.

    Raises `ConfigurationError` for a name that can't be a module or stands for something else, when one of the files
    exists (nothing is overwritten), and for a folder that can't be written to.
    """
    name, folder = options.name, options.dir
    _check_name(name)
    texts = {"name": name, "title": "".join(part.capitalize() for part in name.split("_")), "folder": folder.as_posix()}
    files = {folder / f"{name}.py": _STRATEGY, folder / f"test_{name}.py": _TEST, folder / f"{name}.toml": _CONFIG}
    for file in files:
        if file.exists():
            raise ConfigurationError(f"new-strategy: {file} exists already; choose another name, or remove it first")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, template in files.items():
            file.write_text(template.format(**texts), encoding="utf-8")
    except OSError as e:
        raise ConfigurationError(
            f"new-strategy: can't write to {folder} ({e.strerror}); name a folder of yours: --dir FOLDER"
        ) from e
    sys.stdout.write(_next_steps(name, folder, list(files)))
    return 0


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name) or keyword.iskeyword(name):
        raise ConfigurationError(f'new-strategy: "{name}" can\'t name a module; use lower case, as in my_strategy')
    if name in OWN_PACKAGES:
        raise ConfigurationError(f'new-strategy: "{name}" is a package of Tidegate; choose another name')
    if name == OPERATOR or name in sys.stdlib_module_names:
        meaning = "orders that an operator adopts" if name == OPERATOR else "a module of Python"
        raise ConfigurationError(f'new-strategy: "{name}" is the name of {meaning}; choose another name')


def _next_steps(name: str, folder: Path, files: list[Path]) -> str:
    written = "".join(f"wrote {file}\n" for file in files)
    return (
        f"{written}test it:  python -m pytest {folder}\n"
        f"check it: tidegate check-config -c sandbox -c {folder}/{name}.toml\n"
        f"run it:   tidegate run -c sandbox -c {folder}/{name}.toml\n"
    )
