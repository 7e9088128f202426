"""The venues that the suite finds, as the product finds them, and what each says of its own run of the suite."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field

from framework.config.errors import parse_settings
from framework.config.plugins import ConnectorPlugin, Plugins
from framework.domain.errors import ConfigurationError, suggestion

DECLARATION = "conformance.toml"
LIBRARY_SETTING = "stream_library"
"""The setting of a connector whose stream can use one library or another."""


class SandboxTable(BaseModel):
    """`[sandbox]`: how the venue's sandbox is started, beside its port and its folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arguments: tuple[str, ...] = Field((), description="Arguments of the sandbox's command line.")


class Dialect(BaseModel):
    """`[dialects.NAME]`: what differs when the suite plays one of the venue's dialects."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arguments: tuple[str, ...] = Field((), description="Further arguments of the sandbox's command line.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Settings that replace those of `[settings]`.")
    misplaced: dict[str, Any] = Field(
        default_factory=dict, description="Settings by which it is spoken to a server of another dialect."
    )


class Declaration(BaseModel):
    """`conformance.toml`, beside the venue's `plugin.py`. In its texts `{name}` stands for a member of the line that
    the sandbox prints when it is ready."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sandbox: SandboxTable = Field(default_factory=SandboxTable, description="How the sandbox is started.")
    settings: dict[str, Any] = Field(default_factory=dict, description="The connector's settings: short times.")
    impatient: dict[str, Any] = Field(
        default_factory=dict, description="Settings by which a stream that is silent for a second is replaced."
    )
    limited: Dialect | None = Field(None, description="A further sandbox, with rate limits that are reached quickly.")
    requests: dict[str, str] = Field(
        default_factory=dict,
        description='How to know the requests "new", "cancel" and "amend" on the wire: "METHOD path-pattern".',
    )
    wrong_key: dict[str, str] = Field(default_factory=dict, description="Settings with a key that nobody knows.")
    wrong_signature: dict[str, str] = Field(default_factory=dict, description="Settings with another key's secret.")
    read_only: dict[str, str] = Field(default_factory=dict, description="Settings with a key that may not trade.")
    dialects: dict[str, Dialect] = Field(default_factory=dict, description="The venue's dialects by their names.")
    not_staged: dict[str, str] = Field(default_factory=dict, description="Cases that can't be staged, with reasons.")


@dataclass(frozen=True)
class Candidate:
    """A venue to be played: its name, its connector, and its declaration."""

    name: str
    use: str
    plugin: ConnectorPlugin
    declaration: Declaration
    plugin_paths: tuple[Path, ...] = ()

    @property
    def libraries(self) -> tuple[str, ...]:
        """The stream libraries that the connector can use, an empty name where there is no choice."""
        field = self.plugin.settings_model.model_fields.get(LIBRARY_SETTING)
        return tuple(getattr(field.annotation, "__args__", ())) if field is not None else ("",)

    @property
    def dialects(self) -> tuple[str, ...]:
        """The dialects that are played, an empty name where there is only one."""
        return tuple(self.declaration.dialects) or ("",)

    def dialect(self, name: str) -> Dialect:
        """The differences of a dialect. Raises `ConfigurationError` for a name that the venue does not have."""
        if name in self.declaration.dialects:
            return self.declaration.dialects[name]
        if name:
            known = suggestion(name, list(self.declaration.dialects))
            raise ConfigurationError(f"--dialect {name}: {self.name} has no such dialect; {known}")
        return Dialect()


def find_venues(plugin_paths: Sequence[Path] = ()) -> dict[str, Candidate]:
    """Every venue that ships a sandbox, by name: of our own package, of the installed ones, and of the folders.

    Raises `PluginError` for a connector that does not load, `ConfigurationError` for a declaration that is wrong.
    """
    # The configuration of a session lies elsewhere, and relative paths there count from it.
    plugin_paths = [path.absolute() for path in plugin_paths]
    plugins = Plugins(plugin_paths)
    found = {name: (use, plugins.connector(use)) for name, use in plugins.venues().items()}
    return {
        name: Candidate(name, use, plugin, _declaration(plugin), tuple(plugin_paths))
        for name, (use, plugin) in found.items()
        if plugin.sandbox_module
    }


def filled_in(texts: Mapping[str, Any], ready: Mapping[str, Any]) -> dict[str, Any]:
    """Declared settings with the members of the sandbox's ready line in the place of their names. Raises `KeyError`
    for a member that the line lacks."""
    return {name: one.format_map(ready) if isinstance(one, str) else one for name, one in texts.items()}


def _declaration(plugin: ConnectorPlugin) -> Declaration:
    file = Path(inspect.getfile(plugin.create)).with_name(DECLARATION)
    raw = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return cast(Declaration, parse_settings(Declaration, raw, key="", origins={"": str(file)}))
