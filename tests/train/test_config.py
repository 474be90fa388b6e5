import json
from pathlib import Path
from typing import Any

import pytest

from store.errors import ConfigError
from train.config import TrainConfig
from train.presets import PRESETS, preset
from train.settings_file import read_settings


def test_the_challenge_is_as_published() -> None:
    config = TrainConfig(run=Path("runs/x"), **preset("challenge"))
    assert (config.model, config.batch_size, config.epochs, config.learning_rate) == ("cnn", 512, 50, 1e-3)
    assert (config.schedule, config.patience, config.optimiser) == ("plateau", 4, "adam")
    assert (config.normalisation, config.augmentation) == ("none", "none")
    assert config.warm_up == config.weight_decay == config.ema_decay == config.clip_norm == 0


def test_survives_json() -> None:
    config = TrainConfig(run=Path("runs/x"), batch_size=3, memory="1GiB", seed=2**32 - 1)
    record = {**json.loads(json.dumps(config.to_dict())), "framework": "torch", "parameters": 1}
    assert TrainConfig.from_dict(record) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": "vgg"}, "unknown model 'vgg'; known: cnn"),
        ({"schedule": "cosinus"}, "unknown schedule 'cosinus'; known: constant, plateau, cosine, cosine-restarts"),
        ({"normalisation": "median"}, "known: auto, none, max, standard, log"),
        ({"shuffle": "half"}, "known: auto, full, window, chunks, none"),
        ({"device": "tpu"}, "known: auto, cpu, cuda"),
        ({"optimiser": "sgd"}, "unknown optimiser 'sgd'; known: adam, adamw"),
        ({"precision": "float64"}, "known: auto, float32, tf32, bfloat16, float16"),
        ({"augmentation": "turns"}, "known: auto, none, flip-ieta, flips"),
        ({"epochs": 0}, "epochs=0 is not between 1 and"),
        ({"batch_size": 0}, "batch_size=0 is not between 1 and"),
        ({"patience": 0}, "patience=0 is not between 1 and"),
        ({"threads": 0}, "threads=0 is not between 1 and"),
        ({"seed": -1}, "seed=-1 is not between 0 and"),
        ({"seed": 2**32}, "seed=4294967296 is not between"),
        ({"warm_up": -0.5}, "warm_up=-0.5 is not between 0 and"),
        ({"clip_norm": float("inf")}, "clip_norm=inf is not between"),
        ({"ema_decay": 1.0}, "ema_decay=1.0 is not between"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 is not between"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"optimiser": "adam"}, "weight_decay=0.3 needs optimiser 'adamw', not 'adam'"),
        ({"class_weights": "even"}, "class_weights='even' is neither none, balanced nor positive numbers"),
        ({"class_weights": "1,-2"}, "class_weights='1,-2' is neither"),
        ({"variables": "pt,,m0"}, "variables='pt,,m0' is neither none nor distinct names"),
        ({"variables": ["pt", "pt"]}, "variables=.'pt', 'pt'. is neither none nor distinct"),
        ({"variables": 3}, "variables=3 is neither none nor"),
        ({"where": "pt >"}, "cut 'pt >' is not an expression"),
        ({"memory": "much"}, "memory='much' is not a size"),
    ],
)
def test_bounds(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(run=Path("runs/x"), **values)


@pytest.mark.parametrize("value", ["1,2.5", [1, 2.5], (1.0, 2.5)])
def test_class_weights_are_numbers(value: Any) -> None:
    config = TrainConfig(run=Path("runs/x"), class_weights=value)
    assert config.class_weights == (1.0, 2.5)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(("value", "names"), [("pt,m0", ("pt", "m0")), (["pt"], ("pt",)), ("none", ()), ([], ())])
def test_variables_are_names(value: Any, names: tuple[str, ...]) -> None:
    config = TrainConfig(run=Path("runs/x"), variables=value)
    assert config.variables == names
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_settings(name: str) -> None:
    assert TrainConfig(run=Path("runs/x"), **preset(name)).model == PRESETS[name]["model"]


def test_a_cut_is_kept_in_one_form() -> None:
    config = TrainConfig(run=Path("runs/x"), where=" pt>100  and (m0 < 30)")
    assert config.where == "pt > 100 and m0 < 30"
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_settings_come_from_a_file(tmp_path: Path) -> None:
    (path := tmp_path / "settings.toml").write_text('model = "cnn"\nepochs = 3\nclass_weights = [1, 2]\n')
    assert read_settings(path) == {"model": "cnn", "epochs": 3, "class_weights": [1, 2]}


@pytest.mark.parametrize("name", ["learning_rate", "learning-rate", "lr"])
def test_settings_in_a_file_may_have_the_names_of_flags(tmp_path: Path, name: str) -> None:
    (path := tmp_path / "settings.toml").write_text(f"{name} = 0.25\n")
    assert read_settings(path) == {"learning_rate": 0.25}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", r"settings.toml: unknown setting 'epoch'; did you mean epochs\?"),
        ("learnin-rate = 3", r"settings.toml: unknown setting 'learnin-rate'; did you mean learning_rate"),
        ("zzz = 3", "settings.toml: unknown setting 'zzz'; known: run, store"),
        ("lr = 0.1\nlearning_rate = 0.1", "the setting 'learning_rate' is given twice, the second time as 'learning_r"),
        ("epochs: 3", "settings.toml: not a readable TOML"),
        ("epochs = 2.5", r"settings.toml: epochs=2\.5 is not a whole number"),
        ("epochs = true", "settings.toml: epochs=True is not a whole number"),
        ('epochs = "five"', "settings.toml: epochs='five' is not a whole number"),
        ('compile = "no"', "settings.toml: compile='no' is not true or false"),
        ("learning_rate = true", "settings.toml: learning_rate=True is not a number"),
        ("model = 3", "settings.toml: model=3 is not text"),
        ("store = 3", "settings.toml: store=3 is not a path"),
        ('memory = "much"', "settings.toml: memory='much' is not a size"),
        ("epochs = " + "[" * 1000 + "]" * 1000, "settings.toml: not a readable TOML file"),
        ("epochs = 0", "settings.toml: epochs=0 is not between 1 and"),
        ('schedule = "cosinus"', "settings.toml: unknown schedule 'cosinus'; known: constant"),
        ('model = "vgg"', "settings.toml: unknown model 'vgg'; known: cnn"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (path := tmp_path / "settings.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_settings(path)


def test_an_older_name_of_a_setting_is_read_from_a_run_and_refused_in_a_file(tmp_path: Path) -> None:
    assert TrainConfig.from_dict({"run": "runs/old", "average": 0.5}).ema_decay == 0.5
    (path := tmp_path / "settings.toml").write_text("average = 0.5\n")
    with pytest.raises(ConfigError, match=r"settings\.toml: the setting 'average' is now called 'ema_decay'"):
        read_settings(path)


def test_refuses_other_json() -> None:
    with pytest.raises(ConfigError, match="not the configuration"):
        TrainConfig.from_dict({"epochs": 3})
