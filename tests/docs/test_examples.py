"""The Python examples of README.md and docs run unchanged; those that need a trained model are run by other tests."""

import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from store import open_dataset
from store.descriptions import ChannelTable, Description, ImageTable, LabelTable, TrainTable, VariableTable, WeightTable
from tests.evaluate.conftest import write_run
from tests.examples import showers as images
from tests.examples import write_hdf5
from tests.jets import write_jet_store
from tests.pages import PAGES, ROOT, example, examples

PAGE = "docs/python.md"
DATA_SETS = Path(__file__).parents[2] / "docs" / "data-sets.md"
STORE = Path("data/electron-photon.zarr")
RUN_IN = {
    "print(ds)": "test_xarray_opens_a_store",
    "to_netcdf": "test_a_physicist_types_what_the_page_says",
    "plot_showers": "test_showers_are_drawn_and_their_energies_are_in_gev",
    "stream.state_dict()": "test_batches_are_streamed",
    "sparse=True": "test_sparse_batches_are_streamed",
    "my_plan": "test_a_plan_of_ones_own_is_streamed",
    'balance="class",': "test_a_cut_and_balanced_classes_are_streamed",
    "optimiser = ": "test_a_plain_loop_of_pytorch_trains",
    "SLURMCluster": "test_jobs_of_batch_systems_start_workers_with_a_cache",
    "HTCondorCluster": "test_jobs_of_batch_systems_start_workers_with_a_cache",
    'file["X"][:]': "test_a_notebook_that_loads_whole_files_takes_batches_of_a_store_instead",
    "cs.find_dataset": "test_a_notebook_that_loads_whole_files_takes_batches_of_a_store_instead",
    'where="pt > 100", balance="class"': "test_a_cut_keeps_some_jets",
    "cs.Predictions.load": "test_an_auc_is_written_in_latex",
    'xr.open_zarr("s3:': "tests/remote/test_remote_stores.py::test_plain_xarray_reads_the_same_store",
    'shuffle="window"': "test_a_store_at_a_url_is_opened_and_streamed",
    'cs.BatchStream("data/demo.zarr"': "test_the_readme_streams_batches",
    "LightningDataModule": "tests/adapters/test_lightning.py::test_the_data_module_of_the_page_trains",
    "cs.torch.load_model": "tests/train/test_trainers.py::test_documented_examples_give_the_predictions_again",
    "keras.models.load_model": "tests/train/test_trainers.py::test_documented_examples_give_the_predictions_again",
}
"""The test that runs each example, in this file or in another one, by a text of the example."""


@pytest.fixture(autouse=True)
def folder(showers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    STORE.parent.mkdir()
    STORE.symlink_to(showers)
    STORE.with_name("demo.zarr").symlink_to(showers)


def test_every_example_is_run_by_some_test() -> None:
    blocks = {block for page in PAGES for block in examples(page)}
    assert not [block for block in blocks if sum(text in block for text in RUN_IN) != 1]
    assert len(blocks) == len(RUN_IN)
    for test in RUN_IN.values():
        path, _, name = test.rpartition("::")
        assert f"def {name}(" in (ROOT / path if path else Path(__file__)).read_text(encoding="utf-8"), test


@pytest.mark.parametrize("system", ["SLURM", "HTCondor"])
def test_jobs_of_batch_systems_start_workers_with_a_cache(system: str) -> None:
    names: dict[str, Any] = {"input": lambda _: None}
    source = re.sub(r"cluster\.scale\(.*?\)", "", example("docs/ingest.md", f"{system}Cluster("))
    # The usual port of the dashboard, 8787, may be taken.
    source = source.replace("Cluster(\n", "Cluster(\n    scheduler_options={'dashboard_address': ':0'},\n")
    exec(source, names)
    with names["cluster"] as cluster:
        script = cluster.job_script()
    assert script.index("export CALOSTREAM_CACHE=$") < script.index("distributed.cli.dask_worker tcp://")


def test_the_readme_streams_batches() -> None:
    names: dict[str, Any] = {}
    exec(example("README.md", "BatchStream").replace("batch_size=512", "batch_size=50"), names)
    assert names["ds"].sizes["sample"] == 240
    assert names["batch"].image.shape == (240 % 50, 32, 32, 2)
    assert example("docs/index.md", "BatchStream") == example("README.md", "BatchStream")


def test_a_store_at_a_url_is_opened_and_streamed(showers: Path) -> None:
    names: dict[str, Any] = {}
    exec(
        example("docs/remote.md", "BatchStream").replace("s3://bucket/showers.zarr", showers.resolve().as_uri()), names
    )
    assert names["dataset"].sizes["sample"] == 80
    assert names["batch"].image.shape[1:] == (32, 32, 2)


def test_xarray_opens_a_store(capsys: pytest.CaptureFixture[str]) -> None:
    exec(example(PAGE, "xr.open_zarr"), {})
    assert "label" in capsys.readouterr().out
    drawn = plt.gca().collections[0].get_array()
    assert np.array_equal(np.ravel(drawn), open_dataset(STORE).image.values[0, ..., 0].ravel())
    plt.close("all")


def test_a_physicist_types_what_the_page_says(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    exec(example(PAGE, "to_netcdf"), names)
    stored = open_dataset(STORE, "train").load()
    assert (tmp_path / "electrons.nc").stat().st_size > 1000
    assert names["electrons"].sizes["sample"] == 120
    np.testing.assert_allclose(names["energy"], 50 * stored.image[..., 0])
    assert names["mean"].class_name.values.tolist() == ["electron", "photon"]
    assert names["hits"].shape == (240, 2)


def test_showers_are_drawn_and_their_energies_are_in_gev(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    exec(example(PAGE, "plot_showers"), names)
    for picture in ("shower.png", "showers.png"):
        assert (tmp_path / picture).stat().st_size > 1000
    assert names["energy"].shape == (240,)
    np.testing.assert_allclose(names["cells"].sum(("ieta", "iphi")), names["energy"], rtol=1e-5)
    assert (names["hard"].calo.energy() > 60).all()
    assert names["spectrum"].content.sum() == (names["energy"] <= 100).sum()


def test_batches_are_streamed() -> None:
    names: dict[str, Any] = {}
    exec(example(PAGE, "stream.state_dict()").replace("batch_size=512", "batch_size=50"), names)
    state = names["stream"].state_dict()
    assert (state["epoch"], state["batch"]) == (1, 0)
    assert len(names["batch"].image) == 240 % 50


def test_sparse_batches_are_streamed() -> None:
    names: dict[str, Any] = {}
    exec(example(PAGE, "sparse=True").replace("batch_size=512", "batch_size=50"), names)
    dense = names["images"].to_dense()
    image, *cells = np.nonzero(dense)
    for name, values in zip(("image", "ieta", "iphi", "channel"), (image, *cells), strict=True):
        assert np.array_equal(names[name], values)
    np.testing.assert_allclose(names["total"], dense.sum((1, 2, 3), np.float64), rtol=1e-5)


def test_a_plan_of_ones_own_is_streamed() -> None:
    names: dict[str, Any] = {}
    exec(example(PAGE, "my_plan"), names)
    (batch,) = names["stream"]
    assert len(batch.label) == 120
    assert batch.label.all()


def test_a_cut_and_balanced_classes_are_streamed(tmp_path: Path) -> None:
    STORE.with_name("jets.zarr").symlink_to(write_jet_store(tmp_path))
    names: dict[str, Any] = {}
    exec(example(PAGE, "balance="), names)
    columns = names["batch"].columns
    assert len(columns["pt"]) == names["stream"].sample_count > 1
    assert (columns["pt"] > 100).all()
    assert (columns["m0"] < 60).all()
    assert np.ptp(np.bincount(names["batch"].label)) <= 1


def test_a_cut_keeps_some_jets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    STORE.with_name("jets.zarr").symlink_to(write_jet_store(tmp_path))
    names: dict[str, Any] = {}
    exec(example("docs/how-to/cuts-and-balance.md", "balance="), names)
    assert f"{(names['jets'].pt > 100).sum().item()} of {names['jets'].sizes['sample']} jets" in capsys.readouterr().out


def test_a_notebook_that_loads_whole_files_takes_batches_of_a_store_instead() -> None:
    page = "docs/how-to/migration.md"
    write_hdf5(Path("showers.hdf5"), images(40), np.arange(40) % 2)
    before: dict[str, Any] = {}
    exec(example(page, 'file["X"][:]'), before)
    after: dict[str, Any] = {}
    exec(example(page, "cs.find_dataset"), after)
    assert len(after["batch"].label) == len(before["y_train"]) == 28
    assert set(map(bytes, after["batch"].image)) <= set(map(bytes, before["X"]))


def test_an_auc_is_written_in_latex(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(Path("runs/shower-torch"))
    exec(example("docs/how-to/latex.md", "cs.Predictions.load"), {})
    assert re.fullmatch(r"AUC = \$0\.\d{4} \\pm 0\.\d{4}\$\n", capsys.readouterr().out)


def test_a_plain_loop_of_pytorch_trains() -> None:
    names: dict[str, Any] = {}
    exec(example(PAGE, "optimiser = ").replace("batch_size=512", "batch_size=50"), names)
    state = names["loader"].state_dict()
    assert (state["epoch"], state["batch"]) == (3, 0)
    assert names["loss"].isfinite()


def test_the_page_lists_all_keys_of_a_description() -> None:
    listed = re.findall(
        r"`((?:[a-z_]+\.)*[a-z_]+)`", "".join(re.findall(r"(?m)^\| (`[^|]+`) \|", DATA_SETS.read_text()))
    )
    tables = {
        "": Description, "image.": ImageTable, "image.channels.": ChannelTable, "label.": LabelTable,
        "variables.": VariableTable, "weight.": WeightTable, "train.": TrainTable,
    }  # fmt: skip
    keys = {f"{prefix}{name}" for prefix, table in tables.items() for name in table.__struct_fields__}
    assert {*listed, "image", "label", "weight", "train"} == keys
    assert len(listed) == len(set(listed))
