import re
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from store.opening import open_store
from tests.examples import run_ingest, showers, write_hdf5

(JETS,) = (Path(__file__).parent / "jets").glob("*.parquet")


def write_chunks(folder):
    """Return two files of one chunk each, 16 MB, and the options to ingest them."""
    options = {"chunks": (2000, 32, 32, 2), "compression": "gzip"}
    return [write_hdf5(folder / f"{label}.hdf5", showers(2000, label), label, **options) for label in (0, 1)]


def write_row_group(folder):
    """Return a file of one row group, and the options to ingest it."""
    pq.write_table(pq.read_table(JETS), folder / "jets.parquet")
    return [folder / "jets.parquet", "--dataset", "quark-gluon"]


@pytest.mark.parametrize("write", [write_chunks, write_row_group])
def test_the_message_about_too_little_memory_names_the_flag_and_a_number_that_is_enough(tmp_path, write):
    words = [*write(tmp_path), "--output", tmp_path / "out.zarr"]
    outcome = run_ingest(*words, "--memory", "1MiB")
    doing = f"(?:reading {words[0]}|writing a shard)"
    message = rf"^error: memory=1048576 is too small: {doing} takes (\d+) MiB; give --memory \1MiB$"
    (enough,) = re.findall(message, outcome.err, re.MULTILINE)
    less = run_ingest(*words, "--memory", f"{int(enough) - 1}MiB")
    assert f"give --memory {enough}MiB" in less.err
    assert not (tmp_path / "out.zarr").exists()
    outcome = run_ingest(*words, "--memory", f"{enough}MiB")
    assert outcome.status == 0, outcome.err
    assert open_store(tmp_path / "out.zarr").image.shape[0]


def test_rows_that_are_cut_need_no_space_on_the_disk(tmp_path, monkeypatch):
    pair = [write_hdf5(tmp_path / f"{label}.hdf5", showers(40, label), label) for label in (0, 1)]
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=40 * 8192))
    words = [*pair, "--output", tmp_path / "out.zarr"]
    outcome = run_ingest(*words)
    assert outcome.status == 1
    assert "the disk is too small" in outcome.err
    outcome = run_ingest(*words, "--where", "source_row < 10")
    assert outcome.status == 0, outcome.err
