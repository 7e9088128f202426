"""Loading of plugins, under the name that programs outside use; it lives in `framework.config.plugins`."""

from framework.config.plugins import ConnectorPlugin, Plugins, entry_points

__all__ = ["ConnectorPlugin", "Plugins", "entry_points"]
