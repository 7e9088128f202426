"""`tidegate keys` on the account of a venue's local exchange."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from framework.cli.main import main
from tests.support.command_line import Capsys

Keys: TypeAlias = Callable[..., int]


def configured(folder: Path, venue: str, settings: Mapping[str, Any]) -> list[str]:
    """The options of a command that name an account of this venue alone."""
    rows = "\n".join(f"{name} = {json.dumps(value)}" for name, value in ({"markets": ["*"]} | dict(settings)).items())
    file = folder / f"{venue}.toml"
    file.write_text(
        "[venues.kalshi]\nenabled = false\n[strategies.mm]\nenabled = false\n"
        f'[venues.{venue}]\nuse = "connectors.{venue}.plugin"\nembedded_sandbox = false\n'
        f"[venues.{venue}.settings]\n{rows}\n"
    )
    return ["-c", "sandbox", "-c", str(file)]


def keys_of(folder: Path, venue: str, settings: Mapping[str, Any]) -> Keys:
    """`tidegate keys …` on that account."""
    options = [*configured(folder, venue, settings), "--venue", venue]
    return lambda *words: main(["keys", *words, *options])


def listed(keys: Keys, capsys: Capsys, *words: str) -> list[dict[str, Any]]:
    """The keys as the command lists them for programs."""
    capsys.readouterr()
    assert keys("list", "--json", *words) == 0, capsys.readouterr().err
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def complaint(capsys: Capsys) -> str:
    """The one line of standard error."""
    (line,) = capsys.readouterr().err.splitlines()
    return line
