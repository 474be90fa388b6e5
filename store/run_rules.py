"""What the JSON files of a run directory must contain, for what reads them; see `store.run_folder`."""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from store.datasets import SPLITS, stored_dataset
from store.errors import ConfigError, RunError

STORE_KEYS = ("title", "dataset", "simulated", "sources", "split_scheme", "split_ranges", "seed")
"""Root attributes of the store that ``environment.json`` repeats, beside its path, digest and ``description``."""


def check_config(path: Path, config: Mapping[str, Any]) -> None:
    """Check the content of ``config.json``, which is at `path`.

    Raises
    ------
    RunError
        If a key is missing or its value breaks a rule; the message names the file.
    """
    kinds = {"framework": str, "model": str, "parameters": int}
    require(path, "the file", config, tuple(kinds))
    for key, kind in kinds.items():
        if type(config[key]) is not kind:  # True is an int too
            raise RunError(f"{path}: {key} must be of type {kind.__name__}, got {config[key]!r}")
    if config["parameters"] < 0:
        raise RunError(f"{path}: parameters = {config['parameters']} is below 0")
    variables = config.get("variables", [])
    if not isinstance(variables, list) or not all(isinstance(name, str) for name in variables):
        raise RunError(f"{path}: variables must be a list of names, got {variables!r:.60}")


def check_environment(path: Path, environment: Mapping[str, Any]) -> None:
    """Check the content of ``environment.json``, which is at `path`; raises RunError like `check_config`."""
    require(path, "the file", environment, ("store",))
    store = environment["store"]
    require(path, "store", store, ("path", "digest", *(key for key in STORE_KEYS if key != "sources")))
    require(path, "store.split_ranges", store["split_ranges"], SPLITS)
    for split, limits in store["split_ranges"].items():
        if not isinstance(limits, list) or [type(limit) for limit in limits] != [int, int]:
            raise RunError(f"{path}: split_ranges.{split} must be two numbers, got {limits!r}")
        if not 0 <= limits[0] < limits[1]:
            raise RunError(f"{path}: split_ranges.{split} = {limits} holds no samples")
    ranges = sorted(store["split_ranges"].values())
    if any(later[0] < earlier[1] for earlier, later in itertools.pairwise(ranges)):
        raise RunError(f"{path}: store.split_ranges = {store['split_ranges']} overlap")
    for key in ("path", "digest", "title", "dataset", "simulated", "split_scheme"):
        if not isinstance(store[key], str):
            raise RunError(f"{path}: store.{key} must be text, got {store[key]!r}")
    try:
        stored_dataset(store)
    except ConfigError as error:
        raise RunError(f"{path}: {error}") from None


def finite(text: str) -> float:
    """Return the number that a text in a JSON file stands for; infinities and NaN are none, and cannot be written."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text:.20} is not a finite number")
    return number


def require(path: Path, what: str, value: object, keys: Sequence[str]) -> None:
    """Check that a value is a JSON object with all keys; raises RunError like `check_config`."""
    if not isinstance(value, dict):
        raise RunError(f"{path}: {what} must be a JSON object, got {type(value).__name__}")
    missing = [key for key in keys if key not in value]
    if missing:
        raise RunError(f"{path}: {what} lacks {', '.join(missing)}")
