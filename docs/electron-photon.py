# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Electrons and photons in a calorimeter
#
# The same classifier in PyTorch and in Keras, from the files to the ROC curve, and how to use the trained model.
#
# An image is 32 x 32 crystals around the seed of a shower, with two channels: hit energy and hit time. An electron
# radiates bremsstrahlung photons in the tracker, which spread its energy along phi; a photon does not, unless it
# converts. That difference is all there is to learn, and some of it is hidden for good.
#
# **Without the real files this page shows a Geant4 simulation in their layout, not CMS data**, and a training that is
# over in minutes on any machine. With the real files in `data/raw` (`./pixiw run fetch`), empty `SOURCES` and
# `SETTINGS` below and run it again.

# %%
import json
import os
import subprocess
from pathlib import Path

import h5py
import matplotlib.pyplot as plt
import numpy as np
import torch

import store
from evaluate import auc, roc
from store.plotting import plot_shower
from store.predictions import Predictions
from train.pytorch.model import load_model

WORK = Path(os.environ.get("CALOSTREAM_NOTEBOOK", "data/notebook"))
SOURCES = ["--sample"]  # [] for the real files
SETTINGS = ["--batch-size", "64"]  # so few showers want small batches; [] for the real files


# Programs are not to draw into the notebook, nor to move and colour what they print.
OWN = {"MPLBACKEND": "agg", "TERM": "dumb", "FORCE_COLOR": "", "CLICOLOR_FORCE": ""}


def run(*words):
    """Run one of the project's programs and show how it ends."""
    environment = {name: value for name, value in (os.environ | OWN).items() if value}
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, env=environment)
    print("\n".join((done.stderr + done.stdout).strip().splitlines()[-10:]))
    done.check_returncode()


# %% [markdown]
# ## The data
#
# `ingest` reads the files once, in order, and shuffles them out of core into one chunked store: 70 % of each class to
# train on, 10 % to choose the weights by, 20 % to be looked at once, at the end.

# %%
showers = WORK / "showers.zarr"
run("ingest", *SOURCES, "--output", showers, "--overwrite")

# %%
dataset = store.open_dataset(showers)
print("origin:", dataset.attrs["simulated"] or "no source says that it is simulated")
print("split:", dataset.attrs["split_ranges"])
print(dataset)

# %% [markdown]
# The average electron minus the average photon: electrons have less in the middle and more along phi.

# %%
mean = store.open_statistics(showers)["mean_image"].sel(channel="energy")
difference = mean.isel({"class": 1}) - mean.isel({"class": 0})
difference.plot(vmin=-0.01, vmax=0.01, cmap="RdBu_r")
plt.title("mean energy, electron - photon")
plt.show()

# %% [markdown]
# One photon and one electron. Most cells are empty; energy is in units of 50 GeV and time in units of 50 ns.

# %%
training = store.open_dataset(showers, split="train")
photon, electron = (int(np.argmax(training.label.values == label)) for label in (0, 1))
plot_shower(training, photon)

# %%
plot_shower(training, electron)

# %% [markdown]
# ## Training
#
# One description of the network, the same initial weights and the same batches for both frameworks; each runs in a
# process of its own. All but the size of a batch is the default: the model `shower`, 24 epochs of AdamW with a learning
# rate that falls along a cosine, images mirrored in ieta at random, and a running mean of the weights, which is what is
# judged. The epoch with the lowest validation loss is kept.

# %%
run("train-torch", "--store", showers, "--run", WORK / "torch", "--overwrite", *SETTINGS)

# %%
run("train-keras", "--store", showers, "--run", WORK / "keras", "--overwrite", *SETTINGS)

# %%
figure, panels = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for framework, colour in (("torch", "tab:blue"), ("keras", "tab:orange")):
    epochs = [json.loads(line) for line in (WORK / framework / "history.jsonl").read_text().splitlines()]
    number = [epoch["epoch"] for epoch in epochs]
    for axes, quantity in zip(panels, ("loss", "accuracy"), strict=True):
        axes.plot(number, [epoch[f"validation_{quantity}"] for epoch in epochs], "o-", c=colour, label=framework)
        axes.plot(number, [epoch[f"train_{quantity}"] for epoch in epochs], "o:", c=colour)
        axes.set(xlabel="epoch", ylabel=f"{quantity} (dotted: training)")
panels[0].legend()
plt.show()

# %% [markdown]
# ## Results
#
# Area under the ROC curve with DeLong's standard error, which covers the finite test set, not the luck of a training.

# %%
figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
for framework in ("torch", "keras"):
    for split in ("train", "validation", "test"):
        predictions = Predictions.load(WORK / framework / "predictions" / f"{split}.npz")
        area = auc(predictions.label, predictions.score)
        accuracy = np.mean((predictions.score >= 0.5) == predictions.label)
        print(f"{framework} {split:10}  AUC {area.value:.4f} +- {area.standard_error:.4f}  accuracy {accuracy:.4f}")
    curve = roc(predictions.label, predictions.score)
    axes.plot(curve.background, curve.signal, label=f"{framework}, AUC {area.value:.3f} ± {area.standard_error:.3f}")
axes.plot([0, 1], [0, 1], ":", color="grey")
axes.set(xlabel="photon efficiency", ylabel="electron efficiency", title=f"Test split. {dataset.attrs['simulated']}")
axes.legend()
plt.show()

# %% [markdown]
# `evaluate` writes the whole report: calibration, rejection, the same by energy and hits, single showers, a paired test
# of the two models, and a model card for each.

# %%
run("evaluate", WORK / "torch", WORK / "keras", "--output", WORK / "report")

# %% [markdown]
# ## Using the trained model
#
# The model takes images as they are in the files; its normalisation is its first layer. In PyTorch the run directory
# holds `model.safetensors` and `architecture.json`:

# %%
model = load_model(WORK / "torch")
images = store.open_dataset(showers, split="test").image[:5].values
with torch.inference_mode():
    print(model.score(torch.from_numpy(images)).numpy())

# %% [markdown]
# In Keras it is one file, which loads without this project:
#
# ```python
# import keras
#
# model = keras.models.load_model("runs/shower-keras/model.keras")
# score = model.predict(images)[:, 0]
# ```
#
# And without writing code, for a file that nobody has seen, with labels or without:

# %%
hidden = WORK / "hidden.hdf5"
test = store.open_dataset(showers, split="test").isel(sample=slice(2000))
with h5py.File(hidden, "w") as file:
    file["X"], file["y"] = test.image.values, test.label.values
run("evaluate", "score", WORK / "keras", hidden, "--output", WORK / "scores.csv")
