import dataclasses

import numpy as np
import xarray as xr

from store.datasets import ELECTRON_PHOTON, QUARK_GLUON
from store.variable_statistics import describe_variables


def test_statistics_are_those_of_each_class_in_float64():
    random = np.random.default_rng(0)
    label = random.integers(0, 2, 301).astype(np.uint8)
    columns = {"m0": random.random(301, np.float32), "pt": (100 + random.random(301)).astype(np.float32)}
    found = describe_variables(columns, label, QUARK_GLUON)
    assert found["variable"].values.tolist() == ["pt", "m0"]
    assert found["variable_units"].values.tolist() == ["GeV", "GeV"]
    for code in (0, 1):
        for k, name in enumerate(("pt", "m0")):
            one, values = found.isel({"class": code, "variable": k}), columns[name][label == code].astype(np.float64)
            np.testing.assert_allclose(one["variable_mean"], values.mean(), rtol=1e-14)
            np.testing.assert_allclose(one["variable_std"], np.sqrt(np.mean((values - values.mean()) ** 2)), rtol=1e-9)
            assert (one["variable_minimum"], one["variable_maximum"]) == (values.min(), values.max())
            ordered = np.sort(values)
            below = [np.mean(ordered <= quantile) for quantile in one["variable_quantile"].values]
            np.testing.assert_allclose(below, [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99], atol=1.01 / len(values))


def test_without_variables_there_is_nothing():
    assert describe_variables({}, np.zeros(3, np.uint8), ELECTRON_PHOTON).identical(xr.Dataset())
    bare = dataclasses.replace(QUARK_GLUON, variables=())
    assert not describe_variables({}, np.zeros(3, np.uint8), bare).sizes
