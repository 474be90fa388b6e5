import dataclasses

import pytest

from store.datasets import Channel, DatasetSpec, find_dataset
from store.errors import ConfigError
from tests.examples import shape_spec


def test_the_electron_photon_images_are_described():
    spec = find_dataset("electron-photon")
    assert spec.image_shape == (32, 32, 2)
    assert spec.sample_bytes == 8_192
    assert spec.classes == ("photon", "electron"), "label 0 is the photon"
    assert [channel.name for channel in spec.channels] == ["energy", "time"]
    assert spec.seed == (16, 16)


def test_values_are_not_called_gev_without_their_scale():
    assert find_dataset("electron-photon").channels[0].comment == "value = energy / 50 GeV"
    assert find_dataset("electron-photon").channels[1].comment == "value = time / 50 ns"


def test_an_unknown_data_set_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown dataset 'muons'; known: .*electron-photon"):
        find_dataset("muons")


def test_a_spec_counts_the_bytes_of_a_sample():
    assert shape_spec((125, 125, 3)).sample_bytes == 187_500


def test_a_spec_names_every_channel():
    with pytest.raises(ConfigError, match=r"odd: expected 2 channels as in image_shape, got 1"):
        DatasetSpec(
            name="odd", title="", image_keys=("X",), label_key="y", image_shape=(4, 4, 2),
            channels=(Channel(name="a", long_name="a", comment="a"),), classes=("a", "b"), seed=(2, 2),
        )  # fmt: skip


@pytest.mark.parametrize("classes", [("one",), ("one", "two", "three")])
def test_a_data_set_has_two_classes(classes):
    with pytest.raises(ConfigError, match=f"quark-gluon: expected exactly 2 classes, got {len(classes)}: "):
        dataclasses.replace(find_dataset("quark-gluon"), classes=classes)


def test_the_jets_are_described():
    spec = find_dataset("quark-gluon")
    assert spec.image_shape == (125, 125, 3)
    assert spec.image_keys == ("X_jets", "X")
    assert spec.classes == ("gluon", "quark"), "label 1 is the quark"
    assert [channel.name for channel in spec.channels] == ["tracks", "ecal", "hcal"]
    assert [(variable.name, variable.units) for variable in spec.variables] == [("pt", "GeV"), ("m0", "GeV")]
    assert spec.seed == (62, 62)
    assert not find_dataset("electron-photon").variables
