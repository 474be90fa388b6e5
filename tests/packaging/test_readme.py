"""What README.md shows of the store runs as it stands there; tests/train runs what it shows of models."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from store import open_dataset
from tests.readme import example

STORE = Path("data/electron-photon.zarr")


@pytest.fixture(autouse=True)
def folder(showers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    STORE.parent.mkdir()
    STORE.symlink_to(showers)


def test_xarray_opens_a_store(capsys: pytest.CaptureFixture[str]) -> None:
    exec(example("xr.open_zarr"), {})
    assert "label" in capsys.readouterr().out
    drawn = plt.gca().collections[0].get_array()
    assert np.array_equal(np.ravel(drawn), open_dataset(STORE).image.values[0, ..., 0].ravel())
    plt.close("all")


def test_a_shower_is_drawn(tmp_path: Path) -> None:
    exec(example("plot_shower"), {})
    assert (tmp_path / "shower.png").stat().st_size > 1000


def test_batches_are_streamed() -> None:
    names: dict[str, Any] = {}
    exec(example("BatchStream").replace("batch_size=512", "batch_size=50"), names)
    state = names["stream"].state_dict()
    assert (state["epoch"], state["batch"]) == (1, 0)
    assert len(names["batch"].image) == 240 % 50
