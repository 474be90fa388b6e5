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
# An image shows 32 x 32 crystals around the seed of a shower, in two channels: hit energy and hit time. An electron
# radiates bremsstrahlung photons in the tracker, and the magnetic field spreads its energy along phi. A photon does not
# radiate, unless it converts first. That difference is all there is to learn, and no classifier can separate the
# classes completely.
#
# **Without the real files this page shows a Geant4 simulation in their layout, not CMS data**, and the training takes
# minutes on any machine. With the real files in `data/raw` (`./pixiw run fetch`), make `SOURCES` and `SETTINGS` below
# empty and run it again.

# %%
import json
import os
import subprocess
from pathlib import Path

import h5py
import matplotlib.pyplot as plt
import numpy as np
import torch

import calostream as cs

WORK = Path(os.environ.get("CALOSTREAM_NOTEBOOK", "data/notebook"))
SOURCES = ["--sample"]  # [] for the real files
SETTINGS = ["--batch-size", "64"]  # suits so few showers; [] for the real files


# The programs shall not draw into the notebook, nor colour and animate what they print.
PLAIN = {"MPLBACKEND": "agg", "TERM": "dumb", "FORCE_COLOR": "", "CLICOLOR_FORCE": ""}


def run(*words):
    """Run one of the project's programs and show the last lines that it prints."""
    environment = {name: value for name, value in (os.environ | PLAIN).items() if value}
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, env=environment)
    print("\n".join((done.stderr + done.stdout).strip().splitlines()[-10:]))
    done.check_returncode()


# %% [markdown]
# ## The data
#
# `ingest` reads the files once, in order, and shuffles them out of core into one chunked store. It takes 70 % of each
# class for training, 10 % for validation, which chooses the weights, and 20 % for the test, which is evaluated once.

# %%
showers = WORK / "showers.zarr"
run("ingest", *SOURCES, "--output", showers, "--overwrite")

# %%
dataset = cs.open_dataset(showers)
print("origin:", dataset.attrs["simulated"] or "no source says that they are simulated")
print("split:", dataset.attrs["split_ranges"])
print(dataset)

# %% [markdown]
# The average electron minus the average photon: electrons have less energy in the middle and more along phi.

# %%
mean = cs.open_statistics(showers)["mean_image"].sel(channel="energy")
difference = mean.isel({"class": 1}) - mean.isel({"class": 0})
difference.plot(vmin=-0.01, vmax=0.01, cmap="RdBu_r")
plt.title("mean energy, electron - photon")
plt.show()

# %% [markdown]
# One photon and one electron. Most cells are empty.

# %%
training = cs.open_dataset(showers, split="train")
photon, electron = (int(np.argmax(training.label.values == label)) for label in (0, 1))
cs.plot_shower(training, photon)

# %%
cs.plot_shower(training, electron)

# %% [markdown]
# ## Training
#
# Both frameworks use one description of the network, the same initial weights and the same batches; each runs in its
# own process. All settings but the batch size are defaults: the model `shower`, 24 epochs of AdamW with a cosine
# learning-rate schedule, and images mirrored in ieta at random. An exponential moving average (EMA) of the weights is
# validated, and the epoch with the lowest validation loss is kept.

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
# Area under the ROC curve with DeLong's standard error. It accounts for the finite number of samples in a split, but
# not for the randomness of a training.

# %%
figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
for framework in ("torch", "keras"):
    for split in ("train", "validation", "test"):
        predictions = cs.Predictions.load(WORK / framework / "predictions" / f"{split}.npz")
        area = cs.auc(predictions.label, predictions.score)
        accuracy = np.mean((predictions.score >= 0.5) == predictions.label)
        print(f"{framework} {split:10}  AUC {area.value:.4f} +- {area.standard_error:.4f}  accuracy {accuracy:.4f}")
    curve = cs.roc(predictions.label, predictions.score)
    axes.plot(curve.background, curve.signal, label=f"{framework}, AUC {area.value:.3f} ± {area.standard_error:.3f}")
axes.plot([0, 1], [0, 1], ":", color="grey")
axes.set(xlabel="photon efficiency", ylabel="electron efficiency", title=f"Test split. {dataset.attrs['simulated']}")
axes.legend()
plt.show()

# %% [markdown]
# `evaluate` writes the whole report: calibration, background rejection, performance by energy and number of hits,
# single showers, a paired test of the two models, and a model card for each.

# %%
run("evaluate", WORK / "torch", WORK / "keras", "--output", WORK / "report")

# %% [markdown]
# ## Using the trained model
#
# The model takes images as they are in the files; normalisation is its first layer. The run directory of PyTorch holds
# `model.safetensors` and `architecture.json`:

# %%
model = cs.torch.load_model(WORK / "torch")
images = cs.open_dataset(showers, split="test").image[:5].values
with torch.inference_mode():
    print(model.score(torch.from_numpy(images)).numpy())

# %% [markdown]
# The Keras model is one file, which loads without this project:
#
# ```python
# import keras
#
# model = keras.models.load_model("runs/shower-keras/model.keras")
# score = model.predict(images)[:, 0]
# ```
#
# No code is needed to score a new file, with labels or without:

# %%
hidden = WORK / "hidden.hdf5"
test = cs.open_dataset(showers, split="test").isel(sample=slice(2000))
with h5py.File(hidden, "w") as file:
    file["X"], file["y"] = test.image.values, test.label.values
run("evaluate", "score", WORK / "keras", hidden, "--output", WORK / "scores.csv")
