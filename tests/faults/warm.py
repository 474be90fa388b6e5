"""Loads compiled code once, in the process that the others are forked from."""

import numpy as np

import ingest.values
import store.permutation
import store.statistics
from store.schema import ELECTRON_PHOTON

images = np.zeros((1, *ELECTRON_PHOTON.image_shape), np.float32)
ingest.values._all_finite(images.reshape(-1).view(np.uint32))
store.permutation.permutation(1, store.permutation.make_keys(0))
store.statistics.Statistics.zero(ELECTRON_PHOTON).add(images, np.zeros(1, np.uint8))
