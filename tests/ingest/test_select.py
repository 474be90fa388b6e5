import shutil
from pathlib import Path

import numpy as np
import pytest

import store
from ingest import select
from ingest.executors import ThreadExecutor
from store.digests import read_digests
from store.opening import open_store
from tests.examples import run_ingest

JETS_DIGEST = "eb8e5d3300209ccf5971eb4a40f6cdbe28e9e0f6255baf70819100803238bfce"
BUNDLED = Path(__file__).parents[2] / "ingest" / "sample" / "quark-gluon" / "quark-gluon_pythia_n400.hdf5"


@pytest.fixture(scope="module")
def jets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("jets") / "jets.zarr"
    outcome = run_ingest(BUNDLED, "--dataset", "quark-gluon", "--output", output)
    assert outcome.status == 0, outcome.err
    return output


def test_a_store_is_opened_once_however_many_shards_are_written(jets, tmp_path, monkeypatch):
    monkeypatch.setattr("store.layout.CHUNK_BYTES", 1)
    monkeypatch.setattr("store.layout.SHARD_BYTES", 1)
    opened = []
    monkeypatch.setattr(select, "open_store", lambda path: (opened.append(path), open_store(path))[1])
    threads = 2  # each may be the first
    select.select(
        select.Selection(store=jets, where="m0 < 40", output=tmp_path / "cut.zarr"), ThreadExecutor(count=threads)
    )
    assert len(list((tmp_path / "cut.zarr" / "image").glob("c.*"))) > 100
    assert len(opened) <= 1 + threads


def test_a_selection_is_a_store_of_its_own(jets, tmp_path):
    output = tmp_path / "cut.zarr"
    outcome = run_ingest("select", jets, "--where", "pt > 100 and m0 < 40", "--output", output)
    assert outcome.status == 0, outcome.err
    whole, part = store.open_dataset(jets), store.open_dataset(output)
    passed = np.flatnonzero((whole.pt.values > 100) & (whole.m0.values < 40))
    assert 0 < passed.size < whole.sizes["sample"]
    for name in ("image", "label", "pt", "m0", "split", "source_file", "source_row"):
        np.testing.assert_array_equal(part[name].values, whole[name].isel(sample=passed).values)
    test = [batch.sample for batch in store.BatchStream(output, split="test", batch_size=16)]
    np.testing.assert_array_equal(np.sort(np.concatenate(test)), np.flatnonzero(part.split.values == 2))
    images = whole.image.isel(sample=passed).values[part.split.values == 0].astype(np.float64)
    label = part.label.values[part.split.values == 0]
    expected = [images[label == code].mean((0, 1, 2)) for code in (0, 1)]
    np.testing.assert_allclose(store.open_statistics(output)["mean"].values, expected, rtol=1e-9)
    selection = store.open_store(output).attributes["selection"]
    counts = {"before": whole.sizes["sample"], "after": passed.size}
    assert selection == {"from": whole.attrs["content_digest"], "where": "pt > 100 and m0 < 40", **counts}
    text = run_ingest("info", output).out
    assert f"pt > 100 and m0 < 40: {passed.size} of {whole.sizes['sample']} samples" in text
    assert part.attrs["content_digest"] != whole.attrs["content_digest"]
    verified = run_ingest("verify", output, BUNDLED)
    assert verified.status == 0, verified.err
    assert f"{passed.size:,} images equal to their sources" in verified.out
    assert read_digests(output)


def test_a_selection_of_a_selection_says_both_cuts(pair, tmp_path):
    whole, first, second = (tmp_path / name for name in ("whole.zarr", "first.zarr", "second.zarr"))
    assert run_ingest(*pair, "--output", whole).status == 0
    for source, where, output in ((whole, "source_row > 3", first), (first, "source_row < 50", second)):
        outcome = run_ingest("select", source, "--where", where, "--output", output)
        assert outcome.status == 0, outcome.err
    selection = store.open_store(second).attributes["selection"]
    assert (selection["from"], selection["where"]) == (store.open_store(first).digest, "source_row < 50")
    assert selection["earlier"] == store.open_store(first).attributes["selection"]
    assert "source_row > 3: 132 of 140 samples" in outcome.out
    assert "source_row < 50: 92 of 132 samples" in outcome.out


def test_the_content_of_the_bundled_jets_is_the_promised_one(jets):
    assert store.open_store(jets).digest == JETS_DIGEST


def test_everything_selected_has_the_same_images_in_the_same_shards(jets, tmp_path):
    outcome = run_ingest("select", jets, "--where", "pt > 0", "--output", tmp_path / "all.zarr")
    assert outcome.status == 0, outcome.err
    assert store.open_store(tmp_path / "all.zarr").digest == store.open_store(jets).digest


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("pt > 1e9", "where='pt > 1e9' leaves no sample of class gluon in split 'train'"),
        ("label == 1", "leaves no sample of class gluon in split 'train'"),
        ("energy > 1", "no column 'energy'; known: label, split, source_file, source_row, pt, m0"),
        ("pt", "'pt' is not a comparison"),
        ("__import__('os').abort() > pt", "is neither a column"),
    ],
)
def test_a_cut_that_cannot_be_made_leaves_nothing_behind(jets, tmp_path, where, message):
    outcome = run_ingest("select", jets, "--where", where, "--output", tmp_path / "none.zarr")
    assert outcome.status == 1
    assert message in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_replaced_only_when_told(jets, tmp_path):
    output = tmp_path / "cut.zarr"
    for words, status in (((), 0), ((), 1), (("--overwrite",), 0)):
        outcome = run_ingest("select", jets, "--where", "pt > 90", "--output", output, *words)
        assert outcome.status == status, outcome.err


def test_a_damaged_store_is_not_selected_from(jets, tmp_path):
    copy = Path(shutil.copytree(jets, tmp_path / "copy.zarr"))
    next((copy / "image").glob("c.*")).unlink()
    outcome = run_ingest("select", copy, "--where", "pt > 90", "--output", tmp_path / "cut.zarr")
    assert outcome.status == 1
    assert "copy.zarr: incomplete, image/c." in outcome.err
