"""Published statistics of the real files, to compare with those of a store.

Electron and photon showers: all 249,000 images of each class, in the units of the files. The values are from public
notebooks that print them and from the files themselves. The training split of a store of the real files agrees with
them within statistical fluctuations; the Geant4 simulation comes close.
"""

import xarray as xr

from ingest.tables import NumberTable
from store.errors import StoreError

Rows = dict[str, dict[str, float]]

SEED_NEIGHBOURS = {"pixel seed": (0, 0), "pixel phi -1": (0, -1), "pixel phi +1": (0, 1), "pixel eta +1": (1, 0)}

PUBLISHED: dict[str, Rows] = {
    "electron-photon": {
        "photon": {
            "energy mean": 0.0012235,
            "energy std": 0.024789,
            "energy maximum": 1.48494,
            "time mean": -2.370e-4,
            "time std": 0.065457,
            "time minimum": -2.5126,
            "time maximum": 2.2780,
            "sum(E)": 1.2529,
            "sum(E^2)": 0.6308,
            "sum(t^2)": 4.387,
            "pixel seed": 0.702,
            "pixel phi -1": 0.094,
            "pixel phi +1": 0.094,
            "pixel eta +1": 0.061,
        },
        "electron": {
            "energy mean": 0.0012158,
            "energy std": 0.022603,
            "energy maximum": 1.43181,
            "time mean": -2.866e-4,
            "time std": 0.069257,
            "time minimum": -2.5126,
            "time maximum": 2.2757,
            "sum(E)": 1.2450,
            "sum(E^2)": 0.5246,
            "sum(t^2)": 4.912,
            "pixel seed": 0.622,
            "pixel phi -1": 0.120,
            "pixel phi +1": 0.112,
            "pixel eta +1": 0.056,
        },
    },
}


def published_quantities(statistics: xr.Dataset) -> Rows:
    """Return the quantities of `PUBLISHED` for each class, from a store's statistics."""
    pixels = statistics.sizes["ieta"] * statistics.sizes["iphi"]
    rows: Rows = {}
    for c, name in enumerate(statistics["class"].values):
        of_class = statistics.isel({"class": c})
        values = {
            f"{channel} {key}": float(of_class[key].sel(channel=channel))
            for channel in ("energy", "time")
            for key in ("mean", "std", "minimum", "maximum")
        }
        square = pixels * (of_class["std"] ** 2 + of_class["mean"] ** 2)
        values["sum(E)"] = pixels * values["energy mean"]
        values["sum(E^2)"] = float(square.sel(channel="energy"))
        values["sum(t^2)"] = float(square.sel(channel="time"))
        for key, (ieta, iphi) in SEED_NEIGHBOURS.items():
            values[key] = float(of_class["mean_image"].sel(channel="energy", ieta=ieta, iphi=iphi))
        rows[str(name)] = values
    return rows


def compare_published(dataset: str, statistics: xr.Dataset) -> dict[str, dict[str, dict[str, float]]]:
    """Return the published and the measured value of each quantity, by class.

    Raises
    ------
    StoreError
        If nothing is published for the data set.
    """
    if dataset not in PUBLISHED:
        raise StoreError(f"no statistics are published for dataset {dataset!r}, only for {', '.join(PUBLISHED)}")
    measured = published_quantities(statistics)
    return {
        name: {key: {"published": value, "measured": measured[name][key]} for key, value in values.items()}
        for name, values in PUBLISHED[dataset].items()
    }


def reference_table(dataset: str, statistics: xr.Dataset) -> NumberTable:
    """Return a table of published values beside those of a store, class by class.

    Raises
    ------
    StoreError
        If nothing is published for the data set.
    """
    compared = compare_published(dataset, statistics)
    headings = [f"{name}\n{heading}" for name in compared for heading in ("published", "this store")]
    table = NumberTable("published (all real images) and this store (training split)", [""], headings)
    for key in next(iter(compared.values())):
        cells = (f"{value:.5g}" for values in compared.values() for value in values[key].values())
        table.add_row(key, *cells)
    return table
