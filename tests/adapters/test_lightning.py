"""Lightning: a data module over a store, trained, stopped in the middle of an epoch, and resumed."""

import pytest
import torch

from calostream.torch import Loader
from store.stream import BatchStream
from tests.examples import write_store
from tests.pages import example

lightning = pytest.importorskip("lightning", reason="needs Lightning: ./pixiw run -e adapters test-adapters")
loaders = pytest.importorskip("torchdata.stateful_dataloader")

# Lightning's own warnings: deprecated calls of PyTorch, and advice to use more workers.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("lightning") / "store.zarr")


class Showers(lightning.LightningDataModule):
    """The splits of a store."""

    def __init__(self, path, workers=None):
        super().__init__()
        self.path, self.workers = path, workers

    def train_dataloader(self):
        loader = Loader(BatchStream(self.path, split="train", batch_size=16))
        if self.workers is None:
            return loader
        return loaders.StatefulDataLoader(loader, batch_size=None, num_workers=self.workers)

    def val_dataloader(self):
        return Loader(BatchStream(self.path, split="validation", batch_size=16, shuffle="none"))


class Model(lightning.LightningModule):
    """A logistic regression that records which samples it was given; it may stop after some steps."""

    def __init__(self, stop_after=None, hook="on_train_batch_end"):
        super().__init__()
        self.linear = torch.nn.Linear(84, 1)
        self.seen, self.validated, self.stop_after = [], [], stop_after
        setattr(self, hook, self.stop)

    def loss(self, batch):
        image, label = batch
        logit = self.linear(image.flatten(1))[:, 0] / 100
        return torch.nn.functional.binary_cross_entropy_with_logits(logit, label.float())

    def training_step(self, batch, index):
        self.seen.append((self.current_epoch, (batch[0][:, 0, 0, 0].long() - 1).tolist()))  # see tell_tale_images
        return self.loss(batch)

    def stop(self, *_):
        if self.global_step == self.stop_after:
            self.trainer.save_checkpoint(self.trainer.default_root_dir + "/stopped.ckpt")
            raise KeyboardInterrupt

    def validation_step(self, batch, index):
        self.validated += (batch[0][:, 0, 0, 0].long() - 1).tolist()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-3)


def train(folder, data, model, **options):
    trainer = lightning.Trainer(
        default_root_dir=folder,
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(model, data, **options)
    return model


def test_the_data_module_of_the_page_trains(path, tmp_path):
    code = example("docs/python.md", "LightningDataModule").replace("data/electron-photon.zarr", str(path))
    names = {}
    exec(code.replace("batch_size=512", "batch_size=16"), names)
    assert train(tmp_path, names["Showers"](), Model()).seen == expected(path)


def expected(path):
    stream = BatchStream(path, split="train", batch_size=16)
    return [(epoch, stream.plan.at_epoch(epoch)[i].tolist()) for epoch in range(3) for i in range(len(stream))]


def test_each_epoch_has_each_sample_once_and_the_check_before_training_takes_none_away(path, tmp_path):
    model = train(tmp_path, Showers(path), Model())
    assert model.seen == expected(path)
    sanity, epochs = model.validated[:32], model.validated[32:]
    assert sanity == list(range(350, 382)), "two batches before training"
    assert epochs == 3 * list(range(350, 403))


@pytest.mark.parametrize(("workers", "steps"), [(None, 5), (None, 29), (None, 44), (0, 29), (2, 29)])
def test_training_resumes_in_the_middle_of_an_epoch(path, tmp_path, workers, steps):
    with pytest.raises(SystemExit):
        train(tmp_path, Showers(path, workers), Model(steps))
    model = train(tmp_path, Showers(path, workers), Model(), ckpt_path=tmp_path / "stopped.ckpt")
    assert model.seen == expected(path)[steps:]


def test_training_resumes_after_an_epoch(path, tmp_path):
    with pytest.raises(SystemExit):
        train(tmp_path, Showers(path), Model(44, "on_train_epoch_end"))
    # Lightning does not give back the state of a loader here, but sets the epoch.
    model = train(tmp_path, Showers(path), Model(), ckpt_path=tmp_path / "stopped.ckpt")
    assert model.seen == expected(path)[44:]
