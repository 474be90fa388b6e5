"""Training with Lightning, which resumes in the middle of an epoch: ``python lightning_fit.py STORE FOLDER``."""

import sys
from pathlib import Path

import lightning
import torch

import calostream as cs
from calostream.torch import Loader

store, folder = sys.argv[1], Path(sys.argv[2])


class Showers(lightning.LightningDataModule):
    def train_dataloader(self):
        return Loader(cs.BatchStream(store, split="train", batch_size=64, seed=1))

    def val_dataloader(self):
        return Loader(cs.BatchStream(store, split="validation", batch_size=256, shuffle="none"))


class Classifier(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32 * 32 * 2, 64), torch.nn.ReLU())
        self.head = torch.nn.Linear(64, 1)

    def training_step(self, batch, index):
        image, label = batch
        return torch.nn.functional.binary_cross_entropy_with_logits(self.head(self.net(image))[:, 0], label.float())

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


saving = lightning.pytorch.callbacks.ModelCheckpoint(folder, save_last=True, every_n_train_steps=3)
trainer = lightning.Trainer(max_epochs=2, callbacks=[saving], default_root_dir=folder, logger=False)
trainer.fit(Classifier(), Showers(), ckpt_path="last")  # the last checkpoint, if there is one
