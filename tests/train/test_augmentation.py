from dataclasses import replace

import numpy as np
import pytest

import store
from store.datasets import DATASETS
from store.errors import ConfigError
from store.stream import Batch
from tests.examples import shape_spec
from train.augmentation import Augmentation, default_augmentation

IMAGES = np.random.default_rng(0).normal(size=(400, 8, 6, 2)).astype(np.float32)
LABELS = np.zeros(400, np.uint8)


def flipped(flips: Augmentation, samples: np.ndarray, epoch: int = 0) -> np.ndarray:
    image = IMAGES[samples]
    flips(Batch(image, LABELS[samples], samples), epoch)
    return image


def test_a_square_is_turned_and_mirrored_in_all_ways_equally_often() -> None:
    images = np.random.default_rng(0).normal(size=(1600, 5, 5, 2)).astype(np.float32)
    turns = [np.rot90(images, k, axes=(1, 2)) for k in range(4)]
    wanted = {"rotations": turns, "flips-rotations": [*turns, *(turn.transpose(0, 2, 1, 3) for turn in turns)]}
    for name, ways in wanted.items():
        got = images.copy()
        Augmentation(name=name, spec=shape_spec((5, 5, 2)), seed=3)(
            Batch(got, np.zeros(1600, np.uint8), np.arange(1600)), 0
        )
        matches = np.array([(got == way).all(axis=(1, 2, 3)) for way in ways])
        assert (matches.sum(0) == 1).all(), "each image is one of them"
        expected = 1600 / len(ways)
        # chi-square of three and of seven degrees of freedom, 1 in 10,000
        assert ((matches.sum(1) - expected) ** 2 / expected).sum() < {4: 21.1, 8: 29.9}[len(ways)]


@pytest.mark.parametrize(
    ("shape", "seed", "possible"),
    [
        ((8, 6, 2), (4, 3), "flips"),
        ((32, 32, 2), (16, 16), "flips"),
        ((5, 5, 2), (2, 1), "flip-ieta"),
        ((5, 5, 2), (1, 2), "none"),
    ],
)
def test_only_a_square_about_its_seed_is_turned(
    shape: tuple[int, int, int], seed: tuple[int, int], possible: str
) -> None:
    spec = replace(shape_spec(shape), seed=seed)
    message = (
        f"'rotations' needs square images with the seed cell in the middle, .* has {shape[0]} x {shape[1]} with .* "
        f"use {possible}$"
    )
    with pytest.raises(ConfigError, match=message):
        Augmentation(name="rotations", spec=spec, seed=0)


def test_only_an_axis_with_its_seed_in_the_middle_is_flipped() -> None:
    for ieta, name in ((2, "none"), (3, "flip-ieta"), (4, "flip-ieta"), (5, "none")):
        spec = replace(shape_spec((8, 7, 1)), seed=(ieta, 1))
        assert default_augmentation(spec) == name
        with pytest.raises(ConfigError, match=f"in the middle of i.*, .* has it in cell . of .; use {name}"):
            Augmentation(name="flips", spec=spec, seed=0)
    with pytest.raises(
        ConfigError, match=r"'flip-ieta' needs the seed cell in the middle of ieta, .* in cell 5 of 8; use"
    ):
        Augmentation(name="flip-ieta", spec=spec, seed=0)


@pytest.mark.parametrize("dataset", DATASETS)
def test_built_in_data_sets_are_flipped_in_ieta_by_default(dataset: str) -> None:
    assert default_augmentation(DATASETS[dataset]) == "flip-ieta"


def mirrored(image: np.ndarray, axis: int, seed: int) -> np.ndarray:
    size = image.shape[axis]
    return np.take(image, [(2 * seed - i) % size for i in range(size)], axis=axis)


@pytest.fixture
def flips() -> Augmentation:
    return Augmentation(name="flips", spec=shape_spec((8, 6, 2)), seed=3)


def test_each_image_is_one_of_four_and_all_four_come_equally_often(flips: Augmentation) -> None:
    ieta, iphi = flips.spec.seed
    got = flipped(flips, np.arange(400))
    counts = np.zeros(4)
    for image, changed_image in zip(IMAGES, got, strict=True):
        ways = [image, mirrored(image, 0, ieta), mirrored(image, 1, iphi), mirrored(mirrored(image, 0, ieta), 1, iphi)]
        counts[next(way for way, wanted in enumerate(ways) if np.array_equal(changed_image, wanted))] += 1
    assert ((counts - 100) ** 2 / 100).sum() < 21.1  # chi-square of three degrees of freedom, 1 in 10,000


def test_in_ieta_alone_about_half_are_mirrored(flips: Augmentation) -> None:
    one = Augmentation(name="flip-ieta", spec=flips.spec, seed=3)
    got = flipped(one, np.arange(400))
    mirrors = mirrored(IMAGES, 1, flips.spec.seed[0])
    changed = [np.array_equal(changed_image, mirror) for changed_image, mirror in zip(got, mirrors, strict=True)]
    assert all(
        change or np.array_equal(changed_image, image)
        for change, changed_image, image in zip(changed, got, IMAGES, strict=True)
    )
    assert 150 < sum(changed) < 250


def test_the_draw_depends_on_sample_epoch_and_seed_alone(flips: Augmentation) -> None:
    order = np.random.default_rng(1).permutation(400)
    whole = flipped(flips, np.arange(400))
    assert np.array_equal(flipped(flips, order), whole[order])
    assert not np.array_equal(flipped(flips, np.arange(400), epoch=1), whole)
    assert not np.array_equal(flipped(Augmentation(name="flips", spec=flips.spec, seed=4), np.arange(400)), whole)


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_seed_crystal_stays(dataset: str) -> None:
    spec = DATASETS[dataset]
    rows, columns, channels = spec.image_shape
    image = np.zeros((40, rows, columns, channels), np.float32)
    image[:, *spec.seed] = 1
    image[:, 0, 0] = 2  # may have no mirror image if the seed is not in the middle, but must stay inside the image
    batch = Batch(image, np.zeros(40, np.uint8), np.arange(40))
    Augmentation(name="flips", spec=spec, seed=0)(batch, 0)
    assert np.all(image[:, *spec.seed] == 1)
    assert np.all(image.sum(axis=(1, 2, 3)) == 3 * channels)


def test_a_stream_flips_what_it_decodes(showers, flips: Augmentation) -> None:
    spec = store.open_store(showers).spec
    flips = Augmentation(name="flips", spec=spec, seed=0)
    options = {"split": "train", "batch_size": 50, "seed": 1}
    plain, changed = store.BatchStream(showers, **options), store.BatchStream(showers, **options, transform=flips)
    for epoch in range(2):
        for one, other in zip(plain, changed, strict=True):
            assert np.array_equal(one.sample, other.sample)
            flips(one, epoch)
            assert np.array_equal(one.image, other.image)
