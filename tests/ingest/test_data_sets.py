"""A made-up third data set, added as in docs/data-sets.md: from a file to a store to batches."""

import h5py
import numpy as np

from store.datasets import DATASETS, Channel, DatasetSpec, Variable
from store.opening import open_dataset, open_statistics
from store.stream import BatchStream
from tests.examples import run_ingest

MUONS = DatasetSpec(
    name="muons",
    title="Muons and antimuons, made up",
    image_keys=("hits",),
    label_key="charge",
    image_shape=(16, 16, 1),
    channels=(Channel(name="adc", long_name="pulse height", comment="counts"),),
    classes=("minus", "plus"),
    seed=(8, 8),
    variables=(Variable(name="eta", long_name="pseudorapidity", units="1"),),
)


def test_a_third_data_set_is_a_description_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "muons", MUONS)
    images, random = np.zeros((40, 16, 16, 1), np.float32), np.random.default_rng(0)
    images[:, 8, 8, 0] = random.random(40)
    source, path = tmp_path / "muons.hdf5", tmp_path / "muons.zarr"
    with h5py.File(source, "w") as file:
        file["hits"], file["charge"], file["eta"] = images, np.arange(40) % 2, random.random(40)
    outcome = run_ingest(source, "--dataset", "muons", "--output", path)
    assert outcome.status == 0, outcome.err
    for shown in ("Muons and antimuons", "adc", "eta", "pseudorapidity"):
        assert shown in outcome.out
    assert "40 images equal" in run_ingest("verify", path, source).out
    dataset = open_dataset(path)
    assert np.array_equal(dataset["image"], images[dataset["source_row"]])
    assert open_statistics(path)["variable"].values.tolist() == ["eta"]
    stream = BatchStream(path, split="train", batch_size=8)
    assert stream.reader == "blocks"
    for batch in stream:
        assert np.array_equal(batch.image, images[dataset["source_row"].values[batch.sample]])
        assert np.array_equal(batch.label, dataset["source_row"].values[batch.sample] % 2)
