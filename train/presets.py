"""Presets: the settings of published trainings, by name."""

from typing import Any

from store.errors import ConfigError
from train.setting_values import NONE

# The published trainings use plain Adam in float32, and no addition that the defaults of `TrainConfig` turn on.
PLAIN: dict[str, Any] = {
    "normalisation": "none",
    "optimiser": "adam",
    "learning_rate": 1e-3,
    "warm_up": 0.0,
    "weight_decay": 0.0,
    "ema_decay": 0.0,
    "augmentation": NONE,
    "precision": "float32",
}
PRESETS: dict[str, dict[str, Any]] = {
    "challenge": {
        **PLAIN,
        "model": "cnn",
        "epochs": 50,
        "patience": 4,
        "batch_size": 512,
        "schedule": "plateau",
    },
    "gsoc-resnet15": {
        **PLAIN,
        "model": "resnet15",
        "epochs": 15,
        "patience": 15,
        "batch_size": 32,
        "schedule": "cosine-restarts",
    },
}


def preset(name: str) -> dict[str, Any]:
    """Return the settings of a preset.

    Raises
    ------
    ConfigError
        If there is no preset of that name.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}; known: {', '.join(PRESETS)}")
    return PRESETS[name]
