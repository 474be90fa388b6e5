"""`--help` lists networks and normalisations, and must do so without importing heavy libraries."""

import subprocess
import sys

HEAVY = {"dask", "h5py", "keras", "numba", "sklearn", "tensorflow", "torch", "xarray", "zarr"}
MODULES = ("train.model.networks", "train.model.specification", "train.model.weights", "train.baselines.cli")


def test_models_and_baselines_import_nothing_heavy() -> None:
    code = f"import sys, {', '.join(MODULES)}; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr
