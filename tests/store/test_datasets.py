import dataclasses
import re
import tomllib

import pytest

from store.datasets import (
    BUILT_IN,
    DATASETS,
    ELECTRON_PHOTON,
    QUARK_GLUON,
    Channel,
    DatasetSpec,
    Variable,
    find_dataset,
    read_dataset,
    stored_dataset,
)
from store.errors import ConfigError
from tests.examples import shape_spec

MUONS = """
name = "muons"
title = "Muons"
variables = [{ name = "eta" }]
[image]
keys = ["hits"]
shape = [16, 12, 1]
channels = [{ name = "adc" }]
[label]
key = "charge"
classes = ["minus", "plus"]
"""


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
    with pytest.raises(ConfigError, match=r"image\.channels = \['a'\]: must name 2 channels"):
        DatasetSpec(
            name="odd", title="", image_keys=("X",), label_key="y", image_shape=(4, 4, 2),
            channels=(Channel(name="a", long_name="a", comment="a"),), classes=("a", "b"), seed=(2, 2),
        )  # fmt: skip


@pytest.mark.parametrize("classes", [(), ("one",), tuple(map(str, range(256)))])
def test_a_data_set_has_2_to_255_classes(classes):
    with pytest.raises(ConfigError, match=r"label\.classes = .*: must be a list of 2 to 255 names"):
        dataclasses.replace(find_dataset("quark-gluon"), classes=classes)


def test_a_description_can_have_classes_values_weights_and_a_network():
    text = MUONS.replace('["minus", "plus"]', '["minus", "none", "plus"]\nvalues = [-1, 0, 1]')
    values = tomllib.loads(text + '\n[weight]\nkey = "w"\n[train]\nmodel = "resnet15"\n')
    spec = DatasetSpec.from_dict(values)
    assert spec.classes == ("minus", "none", "plus")
    assert (spec.label_values, spec.weight_key, spec.model) == ((-1, 0, 1), "w", "resnet15")
    assert DatasetSpec.from_dict(spec.to_dict()) == spec


def test_the_jets_are_described():
    spec = find_dataset("quark-gluon")
    assert spec.image_shape == (125, 125, 3)
    assert spec.image_keys == ("X_jets", "X")
    assert spec.classes == ("gluon", "quark"), "label 1 is the quark"
    assert [channel.name for channel in spec.channels] == ["tracks", "ecal", "hcal"]
    assert [(variable.name, variable.units) for variable in spec.variables] == [("pt", "GeV"), ("m0", "GeV")]
    assert spec.seed == (62, 62)
    assert not find_dataset("electron-photon").variables


def test_the_built_in_data_sets_are_files_like_any_other():
    assert [path.stem for path in sorted(BUILT_IN.iterdir())] == list(DATASETS)
    for name, spec in DATASETS.items():
        assert find_dataset(BUILT_IN / f"{name}.toml") == spec


@pytest.mark.parametrize("spec", [ELECTRON_PHOTON, QUARK_GLUON, shape_spec((1, 1, 1))])
def test_a_spec_survives_its_description(spec):
    assert DatasetSpec.from_dict(spec.to_dict()) == spec


def test_what_a_file_leaves_out_has_a_default(tmp_path):
    path = tmp_path / "any.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MUONS.replace("\n", "\r\n").encode())
    assert find_dataset(str(path)) == DatasetSpec(
        name="muons", title="Muons", image_keys=("hits",), label_key="charge", image_shape=(16, 12, 1),
        channels=(Channel(name="adc", long_name="adc"),), classes=("minus", "plus"), seed=(8, 6),
        variables=(Variable(name="eta", long_name="eta", units="1", key="eta"),),
    )  # fmt: skip


WRONG = {
    'title = "Muons"': {
        "": "title is missing: it must be text of at most 300 characters",
        "title = 5": "title = 5: must be text of at most 300 characters",
        'titel = "Muons"': "unknown key 'titel'; did you mean title?",
        'title = "Muons"\nxyz = 1': "unknown key 'xyz'; known: name, title, image, label, variables",
        'title = "a\\nb"': r"title = 'a\nb': must be printable text on one line",
        'title = "Muons': "not a readable TOML file",
        "title = " + "[" * 10_000: "not a readable TOML file",
        "title = " + "1" * 10_000: "not a readable TOML file",
        "title.a" + ".a" * 10 + " = 1": "title = {'a': {'a': ",
        "title.a" + ".a" * 100_000 + " = 1": "not a readable TOML file (keys are nested too deeply)",
        "title" + ' . "a"' * 40_000 + " = 1": "not a readable TOML file (keys are nested too deeply)",
        "title = " + "a" * 200_000: "not a readable TOML file",
        "title = 0x" + "f" * 100_000: "title = a int that is too large to show: must be text",
        "title = '" + "a" * 300_000 + "'": "not a readable TOML file (it is larger than 262,144 bytes",
    },
    'name = "muons"': {
        'name = "../muons"': "name = '../muons': must be at most 60 letters, digits,",
        'name = "quark-gluon"': "name = 'quark-gluon': is the name of a built-in data set",
    },
    "shape = [16, 12, 1]": {
        "shape = [16, 12]": "image.shape = [16, 12]: must be three whole numbers from 1 to 32768",
        "shape = [16, 0, 1]": "image.shape[1] = 0: must be three whole numbers from 1",
        "shape = [16, 12.5, 1]": "image.shape[1] = 12.5: must be three whole numbers from 1",
        "shape = [30000, 30000, 1]": "image.shape = [30000, 30000, 1]: an image has 3,600,000,000 bytes as float32",
        "shape = [16, 12, 1]\nseed = [16, 6]": "image.seed = [16, 6]: must be the indices of a cell, from [0, 0] to",
        "shape = [16, 12, 1]\nlayout = 'first'": "image.layout = 'first': must be 'channel-last' or 'channel-first'",
        "shpae = [16, 12, 1]": "unknown key 'image.shpae'; did you mean image.shape?",
    },
    '{ name = "adc" }': {
        '{ name = "adc", scale = 0 }': "image.channels[0].scale = 0: must be a number above 0",
        '{ name = "adc", scale = nan }': "image.channels[0].scale = nan: must be a number above 0",
        '{ name = "adc", published = [2, 1] }': "image.channels[0].published = [2.0, 1.0]: the first number",
        '{ name = "adc", sacle = 1 }': "unknown key 'image.channels[0].sacle'; did you mean image.channels[0].scale?",
        '{ unit = "GeV" }': "image.channels[0].name is missing: it must be the name of a channel",
        "5": "image.channels[0] = 5: must be a list of tables, one per channel",
    },
    '{ name = "eta" }': {
        '{ name = "label" }': "variables[0].name = 'label': is taken; choose another name, and give the file's as key",
        '{ name = "not" }': "variables[0].name = 'not': is taken",
        '{ name = "p t" }': "variables[0].name = 'p t': must be at most 60 letters, digits and underscores",
        '{ name = "a" }, { name = "a" }': "variables = 'a': is there twice; names must differ",
    },
    '["minus", "plus"]': {
        '["a", "b"]\nvalues = [1]': "label.values = [1]: must have one value per class, 2",
        '["a", "b"]\nvalues = [1, "b"]': "label.values = [1, 'b']: must be all whole numbers or all texts",
        '["a", "b"]\nvalues = [1, 1]': "label.values = 1: is there twice",
        '["a", "b"]\nvalues = [0.5, 1]': "label.values[0] = 0.5: must be a list of whole numbers or of texts",
        '["a", "a"]': "label.classes = 'a': is there twice",
        '"ab"': "label.classes = 'ab': must be a list of 2 to 255 names",
    },
}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [(old, new, message) for old, changes in WRONG.items() for new, message in changes.items()],
    ids=[message[:40] for changes in WRONG.values() for message in changes.values()],
)
def test_a_mistake_is_one_line_with_file_key_value_and_rule(tmp_path, old, new, message):
    path = tmp_path / "muons.toml"
    assert old in MUONS
    path.write_text(MUONS.replace(old, new))
    with pytest.raises(ConfigError, match=re.escape(f"{path}: {message}")) as caught:
        find_dataset(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: no such file"):
        find_dataset(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r": is not a file"):
        read_dataset(tmp_path)


def test_a_stored_description_is_used_and_a_name_only_without_one():
    described = DatasetSpec.from_dict({**tomllib.loads(MUONS), "name": "quark-gluon"})
    assert stored_dataset({"dataset": "quark-gluon", "description": described.to_dict()}) == described
    assert stored_dataset({"dataset": "quark-gluon"}) == QUARK_GLUON
    with pytest.raises(ConfigError, match="unknown dataset 'muons'"):
        stored_dataset({"dataset": "muons"})
    with pytest.raises(ConfigError, match="the description is of 'quark-gluon', the attribute dataset says 'muons'"):
        stored_dataset({"dataset": "muons", "description": described.to_dict()})
