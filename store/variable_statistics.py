"""Statistics of the variables of samples, by class."""

import numpy as np
import xarray as xr

from store.arrays import UInt8Array, VariableArray
from store.datasets import DatasetSpec
from store.image_statistics import PROBABILITIES


def describe_variables(columns: dict[str, VariableArray], label: UInt8Array, spec: DatasetSpec) -> xr.Dataset:
    """Return the part of a store's group ``statistics`` for the variables of the data set.

    Parameters
    ----------
    columns
        float32 or int64 (n,) by name of variable, for the samples of the training split.
    label
        uint8 (n,), class of each sample, with at least one sample of each class.
    spec
        The data set.

    Returns
    -------
    xarray.Dataset
        By (class, variable): ``variable_mean``, ``variable_std`` (population), ``variable_minimum``,
        ``variable_maximum``, and ``variable_quantile`` (also by ``probability``), all in float64 and in the units given
        by ``variable_units``. Empty if the data set has no variables.
    """
    if not spec.variables:
        return xr.Dataset()
    values = np.stack([columns[variable.name].astype(np.float64) for variable in spec.variables], axis=1)
    parts = [values[label == code] for code in range(len(spec.classes))]
    by = ("class", "variable")
    units = np.array([variable.units for variable in spec.variables], dtype=np.dtypes.StringDType())
    quantiles = np.stack([np.quantile(part, PROBABILITIES, axis=0).T for part in parts])
    return xr.Dataset(
        {
            "variable_mean": (by, np.stack([part.mean(0) for part in parts]), {"long_name": "mean"}),
            "variable_std": (by, np.stack([part.std(0) for part in parts]), {"long_name": "standard deviation"}),
            "variable_minimum": (by, np.stack([part.min(0) for part in parts]), {"long_name": "minimum"}),
            "variable_maximum": (by, np.stack([part.max(0) for part in parts]), {"long_name": "maximum"}),
            "variable_quantile": ((*by, "probability"), quantiles, {"long_name": "quantile"}),
        },
        {
            "variable": np.array([variable.name for variable in spec.variables], dtype=np.dtypes.StringDType()),
            "variable_units": ("variable", units, {"long_name": "units of the variable"}),
        },
    )
