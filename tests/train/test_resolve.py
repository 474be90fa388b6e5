import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from store.errors import ConfigError, RunError
from store.opening import Store, open_store
from store.run_folder import RunFolder
from train.config import TrainConfig
from train.model.architecture import Architecture
from train.model.graph import Layers
from train.model.layers import Conv, Dense
from train.model.stateless_layers import Flatten, GlobalPool
from train.resolve import make_specification, resolve_config, resumed_config


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(path=tmp_path / "run")
    folder.create()
    folder.write_config(TrainConfig(run=folder.path, batch_size=64).to_dict(), framework="torch", parameters=7)
    return folder


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run to resume"):
        resumed_config(RunFolder(path=tmp_path), "torch", {})


def test_continues_with_its_own_settings(run: RunFolder) -> None:
    config = resumed_config(run, "torch", {"epochs": 80, "patience": 9, "threads": 1})
    assert config == TrainConfig(run=run.path, batch_size=64, epochs=80, patience=9, threads=1)
    assert resumed_config(run, "torch", {"batch_size": 64}).batch_size == 64


def test_a_moved_run_continues_in_its_new_folder(run: RunFolder) -> None:
    moved = RunFolder(path=run.path.with_name("moved"))
    run.path.rename(moved.path)
    assert resumed_config(moved, "torch", {}).run == moved.path


@pytest.mark.parametrize(
    "changes", [{"batch_size": 32}, {"learning_rate": 0.1}, {"seed": 1}, {"normalisation": "max"}, {"shuffle": "none"}]
)
def test_does_not_continue_as_another_run(run: RunFolder, changes: dict[str, Any]) -> None:
    (name,) = changes
    with pytest.raises(RunError, match=f"was started with {name}=.* and cannot continue with {changes[name]}"):
        resumed_config(run, "torch", changes)


def test_a_damaged_configuration_is_named(run: RunFolder) -> None:
    config = run.path / "config.json"
    config.write_text(config.read_text().replace('"epochs": ', '"epochs": -'))
    with pytest.raises(RunError, match=r"run/config\.json: epochs=-\d+ is not between 1 and"):
        resumed_config(run, "torch", {})


def test_does_not_continue_in_the_other_framework(run: RunFolder) -> None:
    with pytest.raises(RunError, match="was trained with torch; resume it with train-torch --resume"):
        resumed_config(run, "keras", {})


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ((Flatten(), Dense(units=5)), "ends in 5 logits; for the 3 classes of .* it must end in 3 logits, or in a"),
        ((GlobalPool(),), "ends in one logit; for the 3 classes of .* it must end in 3 logits, or in a dense layer"),
        ((GlobalPool(), Dense(units=2)), r"ends in \(2,\); it must end in one logit, \(1,\), for two classes, or for"),
    ],
)
def test_a_model_that_does_not_end_in_the_classes_is_named(
    three_classes: Path, tmp_path: Path, last: Layers, message: str
) -> None:
    layers = (Conv(filters=1), *last)
    architecture = Architecture(name="mine", source="tests", layers=layers, initialiser="he")
    (path := tmp_path / "mine.json").write_text(json.dumps(architecture.to_dict()))
    config = TrainConfig(run=tmp_path, model=str(path), normalisation="max")
    with pytest.raises(ConfigError, match=rf"mine\.json: model 'mine' {message}"):
        make_specification(config, open_store(three_classes))


@pytest.mark.parametrize("units", [1, 3])
def test_a_model_ends_in_one_logit_or_in_that_of_each_class(three_classes: Path, tmp_path: Path, units: int) -> None:
    layers = (GlobalPool(), Dense(units=units, activation="linear"))
    architecture = Architecture(name="mine", source="tests", layers=layers, initialiser="he")
    (path := tmp_path / "mine.json").write_text(json.dumps(architecture.to_dict()))
    config = TrainConfig(run=tmp_path, model=str(path), normalisation="max")
    assert make_specification(config, open_store(three_classes)).architecture.layers[-1].units == 3


def test_images_that_a_model_does_not_take_get_the_models_that_do(jets: Path) -> None:
    jet_store = open_store(jets)
    with pytest.raises(ConfigError) as caught:
        make_specification(TrainConfig(run=jets, model="shower", normalisation="max"), jet_store)
    message = str(caught.value)
    assert message.startswith(f"{jets}: model 'shower' does not fit images of (125, 125, 3)")
    _, names = message.removesuffix(" fits").split("; --model ")
    assert "jet-cnn-deep" in names
    for name in names.split(" or "):
        make_specification(TrainConfig(run=jets, model=name, normalisation="max"), jet_store)


def test_what_is_auto_follows_the_store(showers: Path, three_classes: Path, tmp_path: Path) -> None:
    of_showers, of_three = (
        resolve_config(TrainConfig(run=tmp_path, store=path), open_store(path)) for path in (showers, three_classes)
    )
    assert (of_showers.model, of_showers.normalisation, of_showers.weight) == ("shower", "none", "none")
    assert (of_three.model, of_three.normalisation, of_three.weight) == ("resnet15", "log", "weight")
    assert {of_showers.augmentation, of_three.augmentation} == {"flip-ieta"}
    given = TrainConfig(run=tmp_path, store=three_classes, model="vit", weight="none", augmentation="flips")
    resolved = resolve_config(given, open_store(three_classes))
    assert (resolved.model, resolved.weight, resolved.augmentation) == ("vit", "none", "flips")


def test_a_model_that_the_data_set_names_and_that_is_unknown_is_refused_by_the_name_of_the_store(
    three_classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(open_store(three_classes).spec, model="vgg")
    monkeypatch.setattr(Store, "spec", property(lambda store: spec))
    message = (
        r"^.*three-classes\.zarr: \[train\] model of the data set is 'vgg', which is unknown; --model cnn or .* fits$"
    )
    with pytest.raises(ConfigError, match=message):
        resolve_config(TrainConfig(run=tmp_path, store=three_classes), open_store(three_classes))
