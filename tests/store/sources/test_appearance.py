"""Images that look unlike their data set are noticed, and good ones are not."""

import functools
from pathlib import Path

import h5py
import numpy as np
import pytest

from store.datasets import DATASETS, ELECTRON_PHOTON, QUARK_GLUON
from store.sources import appearance, describe_oddities, open_source
from store.sources.appearance import FEWEST_IMAGES, find_oddities
from tests.examples import shape_spec

ROOT = Path(__file__).parents[3]
SAMPLES = sorted([*ROOT.glob("ingest/sample/*/*.hdf5"), *ROOT.glob("tests/ingest/jets/*n20.*")])
SPOILED = {
    "reshape for transpose": lambda images: np.moveaxis(images, -1, 1).reshape(images.shape),
    "channels reversed": lambda images: images[..., ::-1],
    "first two channels swapped": lambda images: images[..., [1, 0, 2][: images.shape[-1]]],
    "rolled by half in both axes": lambda images: np.roll(images, (images.shape[1] // 2, images.shape[2] // 2), (1, 2)),
    "rolled by half in eta": lambda images: np.roll(images, images.shape[1] // 2, 1),
    "rolled by half in phi": lambda images: np.roll(images, images.shape[2] // 2, 2),
    "times 1000": lambda images: images * 1000,
    "in GeV": lambda images: images * 50,
    "divided by 1000": lambda images: images / 1000,
    "negated": np.negative,
    "first channel empty": lambda images: images * (np.arange(images.shape[-1]) > 0),
}


def dataset_of(path):
    return QUARK_GLUON if "gluon" in path.name else ELECTRON_PHOTON


@functools.cache
def images_of(path, rows=200):
    source = open_source(path, dataset_of(path))
    return np.concatenate(list(source.pieces(0, min(rows, source.rows))))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_simulated_images_look_as_described(path):
    assert describe_oddities(open_source(path, dataset_of(path))) == ""


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_images_that_were_mixed_up_are_noticed(path, spoil):
    assert find_oddities(spoil(images_of(path)), dataset_of(path)) != []


def write(path, images):
    with h5py.File(path, "w") as file:
        file.create_dataset("X", data=images, chunks=(50, 32, 32, 2))
        file["y"] = np.zeros(len(images))
    return open_source(path, ELECTRON_PHOTON)


def sample():
    return images_of(next(path for path in SAMPLES if "Photon" in path.name)).copy()


def test_the_warning_is_one_line_with_the_file_and_the_numbers(tmp_path):
    images = sample()
    warning = describe_oddities(write(tmp_path / "a.hdf5", -images))
    assert "\n" not in warning
    assert warning.startswith(
        f"warning: {tmp_path / 'a.hdf5'}: 200 images look unlike those of electron-photon: energy is"
    )
    low = images[..., 0].max()
    assert f"energy is {-low:.4g} to 0, published 0 to 1.485" in warning
    assert "the largest energy is in the cell (16, 16) in only 0%" in warning


def test_the_end_of_a_file_is_looked_at_too(tmp_path):
    images = np.concatenate([sample()] * 6)
    assert describe_oddities(write(tmp_path / "good.hdf5", images)) == ""
    images[-200:] *= -1
    assert "warning: " in describe_oddities(write(tmp_path / "bad.hdf5", images))


def test_few_and_empty_images_say_nothing_about_what_is_usual():
    rolled = np.roll(sample(), 16, 1)
    assert find_oddities(rolled[: FEWEST_IMAGES - 1], ELECTRON_PHOTON) == []
    assert find_oddities(rolled[:FEWEST_IMAGES], ELECTRON_PHOTON) != []
    mostly_empty = sample()
    mostly_empty[FEWEST_IMAGES:] = 0
    assert find_oddities(mostly_empty, ELECTRON_PHOTON) == []


def test_some_showers_may_have_their_largest_energy_elsewhere():
    images = sample()
    images[::4] = np.roll(images[::4], 1, 2)
    assert find_oddities(images, ELECTRON_PHOTON) == []


def test_what_cannot_be_read_is_left_to_the_reading_of_all_images(tmp_path):
    images = sample()
    images[3, 4, 5, 1] = np.nan
    assert describe_oddities(write(tmp_path / "a.hdf5", images)) == ""


def test_a_data_set_that_describes_no_values_is_not_judged():
    images = np.full((50, 6, 7, 2), -1e6, np.float32)
    assert find_oddities(images, shape_spec((6, 7, 2))) == []


def test_only_a_small_part_of_a_large_file_is_read(tmp_path, monkeypatch):
    images, rows = sample(), []
    source = write(tmp_path / "a.hdf5", np.concatenate([images] * 10))

    def pieces(self, start, stop):
        rows.append(stop - start)
        yield images[:50]

    monkeypatch.setattr(type(source), "pieces", pieces)
    describe_oddities(source)
    assert rows == [appearance.MOST_IMAGES] * 2


def test_every_built_in_data_set_describes_its_values():
    for spec in DATASETS.values():
        assert spec.core is not None
        assert all(channel.published is not None for channel in spec.channels)
