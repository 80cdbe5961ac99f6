"""Settings: one table of what can be set, read from the environment into one frozen object."""

from pecia_service.settings.model import Settings, SettingsError
from pecia_service.settings.parsers import is_loopback
from pecia_service.settings.table import (
    CLIENT_VARIABLES,
    LARGEST_PROMPT_BYTES,
    MEBIBYTE,
    SETTINGS,
    Setting,
)

__all__ = [
    "CLIENT_VARIABLES",
    "LARGEST_PROMPT_BYTES",
    "MEBIBYTE",
    "SETTINGS",
    "Setting",
    "Settings",
    "SettingsError",
    "is_loopback",
]
