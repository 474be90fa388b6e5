"""Draw the picture of showers in README.md: ``python docs/pictures/showers.py STORE PICTURE.png``."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, SymLogNorm

import calostream as cs

CENTRE = 10  # largest distance from the seed that is drawn, in crystals


def draw(store: Path, picture: Path) -> None:
    """Draw one photon, one electron, and the mean electron minus the mean photon.

    Parameters
    ----------
    store
        A store of electrons and photons.
    picture
        The file to write; its ending chooses the format.
    """
    test = cs.open_dataset(store, split="test")
    shower, label = test.calo.cells(), test.label.values
    mean = cs.open_statistics(store)["mean_image"].sel(channel="energy") * float(test.scale.sel(channel="energy"))
    photon, electron = (int(np.argmax(label == kind)) for kind in (0, 1))
    figure, panels = plt.subplots(1, 3, figsize=(9, 3), layout="constrained", sharey=True)
    for panel, sample, name in zip(panels, (photon, electron), ("a photon", "an electron"), strict=False):
        energy = shower[sample].load()
        mesh = show(panel, energy.where(energy > 0), cmap="viridis_r", norm=LogNorm(0.05, 50))
        panel.set_title(name)
    figure.colorbar(mesh, ax=panels[1], label="energy, GeV", format="%g")
    difference = mean.isel({"class": 1}) - mean.isel({"class": 0})
    mesh = show(panels[2], difference, cmap="RdBu_r", norm=SymLogNorm(0.01, vmin=-5, vmax=5))
    panels[2].set_title("mean electron - mean photon")
    figure.colorbar(mesh, ax=panels[2], label="energy, GeV", ticks=[-1, -0.1, 0, 0.1, 1], format="%g")
    panels[0].set_ylabel("ieta from the seed")
    figure.suptitle(test.attrs["simulated"], fontsize="medium")
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def show(panel: Axes, image: xr.DataArray, **colours: object) -> ScalarMappable:
    """Draw the middle of an image, phi to the right."""
    near = {name: abs(image[name]) <= CENTRE for name in ("ieta", "iphi")}
    image = image.sel(near)
    panel.set(xlabel="iphi from the seed", aspect="equal")
    return panel.pcolormesh(image["iphi"], image["ieta"], image.transpose("ieta", "iphi"), **colours)


if __name__ == "__main__":
    draw(*map(Path, sys.argv[1:]))
