"""Write 3,000 random images of 24 x 24 cells in three classes, to try out a data set of one's own: ``FILE.h5``."""

import sys

import h5py
import numpy as np

rng = np.random.default_rng(1)
kind = rng.integers(3, size=3000)  # 0 narrow, 1 wide, 2 stretched
momentum = rng.uniform(10, 60, size=3000)
y, x = np.mgrid[:24, :24] - 11.5
width = np.where(kind == 1, 2.5, 1.5)[:, None, None]
stretch = np.where(kind == 2, 2.0, 1.0)[:, None, None]
profile = np.exp(-((x / (width * stretch)) ** 2 + (y / width) ** 2) / 2)
energy = momentum[:, None, None] * profile / profile.sum(axis=(1, 2), keepdims=True)
energy += rng.normal(0, 0.15, size=energy.shape)
energy[energy < 0.1] = 0  # no hit

with h5py.File(sys.argv[1], "w") as file:
    file["events/pictures"] = energy.astype(np.float32)
    file["events/kind"] = kind
    file["events/track_momentum"] = momentum * rng.normal(1, 0.1, size=3000)
