"""What is said about a path that holds no store."""

import pytest

from store.errors import StoreError
from store.opening import open_store
from tests.examples import run_ingest, showers, write_hdf5


def message(path):
    with pytest.raises(StoreError) as caught:
        open_store(path)
    return str(caught.value)


def test_a_path_that_does_not_exist_is_offered_as_an_output(tmp_path):
    path = tmp_path / "out.zarr"
    assert message(path) == f"{path}: no store here; `ingest --output {path}` makes one"


def test_a_file_is_never_offered_as_an_output(tmp_path):
    text = tmp_path / "README.md"
    text.write_text("read me")
    assert message(text).startswith(f"{text}: is a file, and a store is a folder")
    source = write_hdf5(tmp_path / "a.hdf5", showers(3), 1)
    assert message(source) == (
        f"{source}: is an HDF5 file, not a store; `ingest {source} --output NEW.zarr` makes a store of it"
    )
    (tmp_path / "a.parquet").write_bytes(b"PAR1...")
    assert "is a Parquet file, not a store" in message(tmp_path / "a.parquet")
    assert "--output" not in message(text)


def test_a_folder_without_a_store_is_called_so(tmp_path):
    assert message(tmp_path).startswith(f"{tmp_path}: is a folder without a store")


def test_an_unfinished_ingest_is_recognised(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    sources = [write_hdf5(tmp_path / f"{label}.hdf5", showers(60, label), label) for label in (0, 1)]
    monkeypatch.setattr("ingest.completion.write_tables", fail)
    assert run_ingest(*sources, "--output", tmp_path / "out.zarr").status == 1
    assert "out.zarr: no store yet: its ingest is running, or was interrupted" in message(tmp_path / "out.zarr")
    for folder in (".out.zarr.ingest", ".out.zarr.ingest/spool"):
        assert "is the temporary folder of an unfinished ingest" in message(tmp_path / folder)
