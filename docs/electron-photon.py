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
# **Without the real files this page shows a Geant4 simulation in their layout, not CMS data.** It uses the store and
# the networks of `./pixiw run demo`, and trains those that are missing; everything takes a few minutes on two cores.
# With the real files in `data/raw` (`./pixiw run fetch`), make `SOURCES` and `SETTINGS` below empty, and give other
# names to `STORE` and `RUNS`.

# %%
import json
import os
import subprocess
from pathlib import Path

import h5py
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import LogNorm, SymLogNorm

import calostream as cs
from calostream.torch import Loader

STORE = Path("data/demo.zarr")
RUNS = {"torch": Path("runs/demo-torch"), "keras": Path("runs/demo-keras")}
WORK = Path("data/notebook")  # for the other files of this page
SOURCES = ["--sample"]  # [] for the real files
SETTINGS = ["--batch-size", "64"]  # suits so few showers; [] for the real files


# The programs shall not draw into the notebook, nor colour and animate what they print.
PLAIN = {"MPLBACKEND": "agg", "TERM": "dumb", "FORCE_COLOR": "", "CLICOLOR_FORCE": ""}


def run(*words):
    """Run one of the project's programs and show the last lines that it prints."""
    environment = {name: value for name, value in (os.environ | PLAIN).items() if value}
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, env=environment)
    print("\n".join((done.stderr + done.stdout).strip().splitlines()[-16:]))
    done.check_returncode()


# %% [markdown]
# ## The data
#
# `ingest` reads the files once, in order, and shuffles them out of core into one chunked store. It takes 70 % of each
# class for training, 10 % for validation, which chooses the weights, and 20 % for the test, which is evaluated once.

# %%
run("ingest", *SOURCES, "--output", STORE, "--overwrite")

# %%
dataset = cs.open_dataset(STORE)
print("origin:", dataset.attrs["simulated"] or "no source says that they are simulated")
print("split:", dataset.attrs["split_ranges"])
print(dataset)

# %% [markdown]
# Spectra by class, of the training split alone: the energy of a shower, its number of hits, and R9, the fraction of the
# energy in the 3 x 3 crystals around the seed. Each step has its statistical error. Electrons spread their energy over
# more crystals, so their R9 is lower; the total energy hardly tells the classes apart.

# %%
training = cs.open_dataset(STORE, split="train")
energy = training.calo.energy()
cells = training.calo.cells("energy")
near = slice(-1, 1)
central = cells.sel(ieta=near, iphi=near).sum(("ieta", "iphi"), dtype=float).load()
r9 = central.where(energy > 0) / energy.where(energy > 0)  # a few images are empty
hits = (cells > 0).sum(("ieta", "iphi")).load()
quantities = {
    "energy (GeV)": (energy, np.linspace(0, 100, 41)),
    "number of hits": (hits, np.linspace(0, 120, 41)),
    "R9": (r9, np.linspace(0, 1, 41)),
}
figure, panels = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
for axes, (label, (quantity, edges)) in zip(panels, quantities.items(), strict=True):
    spectrum = training.calo.spectrum(quantity, bins=edges)
    for name in spectrum.class_name.values:
        one = spectrum.sel(class_name=name)
        (line,) = axes.step(one.bin, one.content, where="mid", label=name)
        axes.errorbar(one.bin, one.content, one.error, fmt="none", ecolor=line.get_color())
    axes.set(xlabel=label, ylabel="showers per bin", yscale="log")
panels[0].legend()
figure.suptitle(f"training split, {dataset.attrs['simulated']}")
plt.show()

# %% [markdown]
# The average shower of each class, on a logarithmic scale, because its energies span four orders of magnitude.

# %%
mean = training.calo.mean_image("energy")
scale = LogNorm(vmin=1e-3, vmax=float(mean.max()))
grid = mean.plot(col="class_name", norm=scale, cmap="viridis", figsize=(10, 4), cbar_kwargs={"label": "energy (GeV)"})
grid.set_axis_labels("iphi from the seed", "ieta from the seed")
grid.set_titles("mean {value}")
plt.show()

# %% [markdown]
# The average electron minus the average photon: electrons have less energy in the seed and more along phi.

# %%
difference = mean.sel(class_name="electron") - mean.sel(class_name="photon")
largest = float(abs(difference).max())
figure, axes = plt.subplots(figsize=(5.6, 4.4), layout="constrained")
scale = SymLogNorm(linthresh=1e-2, vmin=-largest, vmax=largest)
difference.plot(ax=axes, norm=scale, cmap="RdBu_r", cbar_kwargs={"label": "energy (GeV)"})
axes.set(xlabel="iphi from the seed", ylabel="ieta from the seed", title="mean electron - mean photon")
plt.show()

# %% [markdown]
# ## A selection
#
# A cut on anything that has a value per shower selects showers. These have spread more than a fifth of their energy
# outside the 3 x 3 crystals: more of them are electrons.

# %%
spread = training.isel(sample=r9.values < 0.8)
for name in ("photon", "electron"):
    kept, total = (int((part.class_name == name).sum()) for part in (spread, training))
    print(f"{name:8}  {kept:5,} of {total:,} have R9 < 0.8: {kept / total:.1%}")
spread.calo.plot_showers(n=8)

# %% [markdown]
# Columns of the store can be cut on without reading an image: `ingest select --where` writes another store of the
# samples that pass, and `BatchStream(where=...)` streams them alone. Here, the first half of each file:

# %%
half = "source_row < 2750"
stream = cs.BatchStream(STORE, split="train", batch_size=128, where=half)
print(f"{stream.sample_count:,} of {training.sizes['sample']:,} training showers pass the cut {half!r}")

# %% [markdown]
# One photon and one electron in both channels. Most cells are empty.

# %%
photon, electron = (int(np.argmax(training.label.values == label)) for label in (0, 1))
cs.plot_shower(training, photon)

# %%
cs.plot_shower(training, electron)

# %% [markdown]
# ## Your own training loop
#
# `Loader` gives the batches of a stream to any PyTorch code, as tensors that are the batch's own memory; each epoch has
# another order. (`calostream.keras.Dataset` does the same for Keras.) A small network, the sum of the energies along
# ieta, and six epochs. The networks of the next section see the whole image and reach more.

# %%
torch.manual_seed(0)
network = torch.nn.Sequential(
    *(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
)
optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)


def logits(image):
    """Return the logit of an electron, (batch,), for images (batch, ieta, iphi, channel)."""
    profile = image[..., 0].clamp(min=0).sum(1)  # GeV / 50
    return network(torch.log10(1e-3 + profile))[:, 0]


batches = Loader(cs.BatchStream(STORE, split="train", batch_size=128, seed=0))
validation = Loader(cs.BatchStream(STORE, split="validation", batch_size=512, shuffle="none"))
for epoch in range(1, 7):
    for image, label in batches:
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits(image), label.float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.inference_mode():
        outputs = [(label.numpy(), logits(image).sigmoid().numpy()) for image, label in validation]
    area = cs.auc(*map(np.concatenate, zip(*outputs, strict=True)))
    print(f"epoch {epoch}  validation AUC {area.value:.3f} +- {area.standard_error:.3f}")

# %% [markdown]
# ## Training the networks of this project
#
# Both frameworks use one description of the network, the same initial weights and the same batches; each runs in a
# process of its own. All settings but the batch size are defaults: the model `shower`, 24 epochs of AdamW with a cosine
# learning-rate schedule, and images mirrored in ieta at random. An exponential moving average (EMA) of the weights is
# validated, and the epoch with the lowest validation loss is kept. These are the runs of `./pixiw run demo`, whose
# results are in the README as well; they are trained here only if they are not complete.

# %%
for framework, path in RUNS.items():
    if not (path / "predictions" / "test.npz").exists():
        run(f"train-{framework}", "--store", STORE, "--run", path, "--overwrite", *SETTINGS)
    settings = json.loads((path / "config.json").read_text())
    best = min(map(json.loads, (path / "history.jsonl").open()), key=lambda epoch: epoch["validation_loss"])
    print(f"{path}: {settings['parameters']:,} parameters, batches of {settings['batch_size']}, best epoch", end=" ")
    print(f"{best['epoch']} of {settings['epochs']} with a validation loss of {best['validation_loss']:.4f}")

# %%
figure, panels = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for framework, colour in (("torch", "tab:blue"), ("keras", "tab:orange")):
    epochs = [json.loads(line) for line in (RUNS[framework] / "history.jsonl").read_text().splitlines()]
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
        predictions = cs.Predictions.load(RUNS[framework] / "predictions" / f"{split}.npz")
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
run("evaluate", *RUNS.values(), "--output", WORK / "report")

# %% [markdown]
# ## Using the trained model
#
# The model takes images as they are in the files; normalisation is its first layer. The run directory of PyTorch holds
# `model.safetensors` and `architecture.json`:

# %%
model = cs.torch.load_model(RUNS["torch"])
images = cs.open_dataset(STORE, split="test").image[:5].values
with torch.inference_mode():
    print(model.score(torch.from_numpy(images)).numpy())

# %% [markdown]
# The Keras model is one file, which loads without this project:
#
# ```python
# import keras
#
# model = keras.models.load_model("runs/demo-keras/model.keras")
# score = model.predict(images)[:, 0]
# ```
#
# No code is needed to score a new file, with labels or without:

# %%
hidden = WORK / "hidden.hdf5"
WORK.mkdir(parents=True, exist_ok=True)
test = cs.open_dataset(STORE, split="test").isel(sample=slice(2000))
with h5py.File(hidden, "w") as file:
    file["X"], file["y"] = test.image.values, test.label.values
run("evaluate", "score", RUNS["keras"], hidden, "--output", WORK / "scores.csv", "--overwrite")
