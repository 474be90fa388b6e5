"""Write the training images of a store of showers to an HDF5 file, for choices that must not see the other splits.

Run: ``python docs/results/training_images.py showers.zarr training-images.hdf5``, then ``ingest training-images.hdf5
--split 0.512,0.046,0.442 --simulation "Geant4 simulation" --output choosing.zarr``.
"""

import sys

import h5py

import calostream as cs

dataset = cs.open_dataset(sys.argv[1], split="train")
with h5py.File(sys.argv[2], "x") as file:
    images = file.create_dataset(
        "X", dataset.image.shape, "f4", chunks=(512, *dataset.image.shape[1:]), compression="gzip", compression_opts=1
    )
    for start in range(0, len(images), 8192):
        images[start : start + 8192] = dataset.image[start : start + 8192]
    file["y"] = dataset.label.astype("f4")
