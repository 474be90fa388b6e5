"""Settings of a training run in a TOML file, which has those of the command line by their names."""

import difflib
import tomllib
from pathlib import Path
from typing import Any

from store.errors import ConfigError
from train.config import RENAMED, SETTINGS, check_setting

NAMES = {
    alias.strip("-"): name for name, field in SETTINGS.items() for alias in (name, *field.metadata.get("aliases", ()))
}
"""The name of each setting by all names that it has in a file, such as ``lr`` and ``learning_rate``."""


def read_settings(path: Path) -> dict[str, Any]:
    """Read settings by name from a TOML file, which may have the names of the flags: ``learning-rate`` or ``lr``.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not TOML, has an unknown setting or a value that is not allowed; the message
        names the file.
    """
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not a readable TOML file ({error})") from None
    settings: dict[str, Any] = {}
    for key, value in values.items():
        name = NAMES.get(key.replace("-", "_"))
        if key in RENAMED:
            raise ConfigError(f"{path}: the setting {key!r} is now called {RENAMED[key]!r}")
        if name is None:
            raise ConfigError(f"{path}: unknown setting {key!r}; {suggest_names(key)}")
        if name in settings:
            raise ConfigError(f"{path}: the setting {name!r} is given twice, the second time as {key!r}")
        try:
            check_setting(name, value)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None
        settings[name] = value
    return settings


def suggest_names(key: str) -> str:
    """Return the names of the settings that are most like a misspelled one, or of all settings if none is."""
    nearest = dict.fromkeys(
        NAMES[name] for name in difflib.get_close_matches(key.replace("-", "_"), NAMES, cutoff=0.65)
    )
    return f"did you mean {' or '.join(nearest)}?" if nearest else f"known: {', '.join(SETTINGS)}"
