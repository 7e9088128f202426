"""The earlier name of `framework.config.plugins`, for tests of plugins written before it was moved."""

from framework.config.plugins import OWN_PACKAGES, ConnectorPlugin, Plugins, entry_points

__all__ = ["OWN_PACKAGES", "ConnectorPlugin", "Plugins", "entry_points"]
