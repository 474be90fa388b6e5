"""A store of format version 1, made by the last program that wrote them, is read for ever: its bytes are kept here."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ingest.executors import open_executor
from ingest.verify import verify
from store.opening import open_dataset, open_statistics, open_store
from store.stream import BatchStream

KEPT = Path(__file__).with_name("version-1.zip")
SHA256 = {
    "image": "a4218588ca33b6db5895104ad2ff29a3764ddab5b705e7c88e6a89b1deafd8f2",
    "label": "d1b86d9182fe804d8bb1e7d144ef0f68b4df8ab05775bfcd928aed8e0930f5c6",
    "split": "4200bccdad6abe639bd558942154df5a89bfddaf81f5027a4e6de3f04460873d",
    "source_file": "a41d3ff8795f7f1e16455c41f477ee71391e61a32d3564b06fa7d25d638b2427",
    "source_row": "c6edcb3ba3e265862d62099ed54609467984974c2f0c2db556470394007d4241",
    "pt": "add72afd8df8fcbc59e4c495f50faca8f6814ba4df284fb7f939a25e0a1c601e",
}


@pytest.fixture
def kept(tmp_path):
    with zipfile.ZipFile(KEPT) as archive:
        archive.extractall(tmp_path)
    return tmp_path / "version-1.zarr"


def sha256(values):
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


def test_it_has_shards_and_columns_as_they_were(kept):
    store = open_store(kept)
    assert store.attributes["format_version"] == 1
    assert (store.image.shards[0], store.image.chunks[0]) == (4096, 64)
    assert [codec["name"] for codec in store.array("pt").metadata.to_dict()["codecs"]] == ["bytes", "zstd"]


def test_everything_in_it_is_what_it_was(kept):
    dataset = open_dataset(kept)
    assert {name: sha256(dataset[name].values) for name in SHA256} == SHA256
    assert dataset.class_name.values[:3].tolist() == [
        ("photon", "electron")[label] for label in dataset.label.values[:3]
    ]
    store = open_store(kept)
    assert {name: sha256(store.column(name)) for name in SHA256 if name != "image"} == {
        name: digest for name, digest in SHA256.items() if name != "image"
    }
    assert open_statistics(kept).images.values.sum() == 70


@pytest.mark.parametrize("reader", ["map", "pread"])
def test_a_stream_reads_it_block_by_block(kept, monkeypatch, reader):
    monkeypatch.setenv("CALOSTREAM_READER", reader)
    stream = BatchStream(kept, split="train", batch_size=32, columns="pt")
    assert stream.reader.startswith("blocks")
    dataset = open_dataset(kept)
    seen = []
    for batch in stream:
        assert np.array_equal(batch.image, dataset.image.values[batch.sample])
        assert np.array_equal(batch.label, dataset.label.values[batch.sample])
        assert np.array_equal(batch.columns["pt"], dataset.pt.values[batch.sample])
        seen += batch.sample.tolist()
    assert sorted(seen) == list(range(70))


def test_it_passes_verification(kept):
    with open_executor() as executor:
        assert verify(kept, [], executor).problems == ()
