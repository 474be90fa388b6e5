"""docs/pictures/showers.png is what docs/pictures/showers.py draws."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from store import open_dataset
from tests.pages import ROOT

PICTURES = ROOT / "docs" / "pictures"


def test_the_picture_of_showers_is_drawn(showers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tmp_path / "showers.png"
    monkeypatch.setattr(sys, "argv", ["showers.py", str(showers), str(picture)])
    runpy.run_path(str(PICTURES / "showers.py"), run_name="__main__")
    drawn, kept = imread(picture), imread(PICTURES / "showers.png")
    assert drawn.shape == kept.shape
    # The showers differ, and so do pixels inside the panels; axes, titles and blank space are the same.
    assert np.mean(drawn == kept) > 0.8
    assert open_dataset(showers).attrs["simulated"] == "Geant4 simulation"
    assert (PICTURES / "showers.png").stat().st_size < 200_000
