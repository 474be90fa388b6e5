"""What a resumed training may change, and what it must share with the run that it continues."""

import json
from collections.abc import Mapping
from typing import Any

from store.errors import RunError
from store.run_folder import RunFolder
from train.config import AUTO, TrainConfig
from train.model.specification import Specification

FREE_ON_RESUME = {"epochs", "patience", "device", "memory", "threads", "save_every"}


def resumed_config(folder: RunFolder, framework: str, changes: Mapping[str, Any]) -> TrainConfig:
    """Return the configuration of a resumed run: the recorded one with changes that do not affect the result.

    Raises
    ------
    RunError
        If there is no run in the folder, it is one of the other framework, or a change would make it another run.
    """
    recorded = folder.framework
    if recorded is None:
        raise RunError(f"{folder.path}: no run to resume here; leave out --resume to start one")
    if recorded != framework:
        raise RunError(f"{folder.path}: is a run of {recorded}; train-{recorded} --resume continues it")
    config = folder.read_config()
    before = TrainConfig.from_dict(config)
    # Settings that are `auto` by default were resolved when the run was started.
    changes = {name: value for name, value in changes.items() if value != AUTO or name == "device"}
    after = TrainConfig.from_dict({**config, **changes, "run": folder.path})
    for name in sorted(changes.keys() - FREE_ON_RESUME - {"run", "store"}):
        if getattr(before, name) != getattr(after, name):
            raise RunError(
                f"{folder.path}: was started with {name}={getattr(before, name)} and cannot continue with "
                f"{getattr(after, name)}; leave it out, or start another --run"
            )
    return after


def check_specification(folder: RunFolder, specification: Specification) -> None:
    """Raise RunError if a run folder records another model than this one."""
    path = folder.path / "architecture.json"
    if path.exists() and folder.read_specification() != json.loads(json.dumps(specification.to_dict())):
        raise RunError(f"{path}: the run was started with another model; start another --run")
