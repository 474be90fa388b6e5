"""Loads compiled functions once, in the process from which the others are forked."""

import numpy as np

import store.compiled.permutation
import store.compiled.source_values
import store.image_statistics
from store.datasets import ELECTRON_PHOTON

images = np.zeros((1, *ELECTRON_PHOTON.image_shape), np.float32)
store.compiled.source_values.all_finite(images.reshape(-1).view(np.uint32))
store.compiled.permutation.permutation(1, store.compiled.permutation.make_keys(0))
store.image_statistics.ImageStatistics.zero(ELECTRON_PHOTON).update(images, np.zeros(1, np.uint8))
