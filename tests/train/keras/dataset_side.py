"""A dataset on one backend of Keras: ``python -m tests.train.keras.dataset_side SHOWERS JETS THREE`` prints JSON."""

import json
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from calostream.keras import Dataset
from store.errors import CalostreamError
from store.stream import Batch, BatchStream

Array = np.ndarray[Any, Any]
WEIGHTS = np.random.default_rng(0).normal(size=(2048, 1)) / 50


class Losses(keras.callbacks.Callback):
    """Keeps what Keras says after each batch: the mean loss of the epoch so far."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.values.append(float((logs or {})["loss"]))


def showers(split: str = "train", **options: Any) -> BatchStream:
    return BatchStream(sys.argv[1], split=split, **({"batch_size": 50, "seed": 3} | options))


def jets(**options: Any) -> BatchStream:
    return BatchStream(sys.argv[2], split="train", batch_size=7, shuffle="none", columns=("pt", "m0"), **options)


def make_model() -> keras.Model:
    """Return a model whose weights stay as they are, so that the loss of a batch says which batch it is."""
    model = keras.Sequential([keras.Input((32, 32, 2)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.set_weights([WEIGHTS, np.zeros(1)])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss=loss, weighted_metrics=[])
    return model


def losses_of(batch: Batch) -> Array:
    """Return the loss of each sample."""
    logit = batch.image.reshape(len(batch.label), -1).astype(np.float64) @ WEIGHTS[:, 0]
    return np.logaddexp(0, np.where(batch.label == 1, -logit, logit))


def running_losses(batches: list[Batch]) -> list[float]:
    """Return the mean loss of the first batch, of the first two batches, and so on."""
    losses = [losses_of(batch) for batch in batches]
    return [float(np.concatenate(losses[: end + 1]).mean()) for end in range(len(losses))]


def difference(one: Any, two: Any) -> float:
    one, two = np.asarray(one), np.asarray(two)
    assert one.shape == two.shape, f"{one.shape} and {two.shape}"
    return float(np.abs(one - two).max())


def fit_in_order() -> float:
    """Fit twice, two epochs each: the second fit begins where the first ended."""
    model, dataset, seen, stream = make_model(), Dataset(showers()), Losses(), showers()
    model.fit(dataset, epochs=2, verbose=0, callbacks=[seen])
    model.fit(dataset, epochs=1, verbose=0, callbacks=[seen], validation_data=Dataset(showers("validation")))
    return difference(seen.values, [loss for _ in range(3) for loss in running_losses(list(stream))])


def fit_in_steps() -> float:
    """Divide an epoch of six batches into three of two steps, and go on with the next."""
    model, dataset, seen, stream = make_model(), Dataset(showers(batch_size=40)), Losses(), showers(batch_size=40)
    model.fit(dataset, steps_per_epoch=2, epochs=4, verbose=0, callbacks=[seen])
    batches = [batch for _ in range(2) for batch in stream][:8]
    assert (dataset.epoch, dataset.state_dict()["batch"]) == (1, 2)
    return difference(seen.values, [loss for k in range(0, 8, 2) for loss in running_losses(batches[k : k + 2])])


def fit_after_resuming() -> float:
    model, dataset, seen, stream = make_model(), Dataset(showers()), Losses(), showers()
    items = iter(dataset)
    for _ in range(2):
        next(items)
    resumed = Dataset(showers())
    resumed.load_state_dict(json.loads(json.dumps(dataset.state_dict())))
    model.fit(resumed, steps_per_epoch=len(resumed) - 2, verbose=0, callbacks=[seen])
    model.fit(resumed, verbose=0, callbacks=[seen])
    rest, whole = list(stream)[2:], list(stream)
    return difference(seen.values, running_losses(rest) + running_losses(whole))


def evaluate_with_weights() -> dict[str, float]:
    """Return how far the weighted losses of Keras are from sums over the samples."""
    model, batches = make_model(), list(showers("test"))
    loss, label = (np.concatenate(column) for column in zip(*((losses_of(b), b.label) for b in batches), strict=True))
    row = np.concatenate([batch.columns["source_row"] for batch in showers("test", columns="source_row")])
    of_class = np.array([0.5, 3.0])[label]
    options: dict[str, tuple[dict[str, Any], Array]] = {
        "none": ({}, np.ones(len(loss))),
        "column": ({"weight": "source_row"}, row),
        "class": ({"class_weight": {0: 0.5, 1: 3.0}}, of_class),
        "both": ({"weight": "source_row", "class_weight": {0: 0.5, 1: 3.0}}, row * of_class),
    }
    report = {}
    for name, (arguments, weight) in options.items():
        stream = showers("test", columns=("source_row",) if "weight" in arguments else ())
        value = model.evaluate(Dataset(stream, **arguments), verbose=0)
        report[name] = abs(float(value) / float(np.mean(weight * loss)) - 1)
    return report


def evaluate_three_classes() -> float:
    """Return how far the weighted loss of Keras is from the sum over the samples, with three classes."""
    inputs = keras.Input((40, 56, 8))
    model = keras.Model(inputs, keras.layers.Dense(3, use_bias=False)(keras.layers.GlobalAveragePooling2D()(inputs)))
    kernel = 1000 * np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    model.set_weights([kernel])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, weighted_metrics=[])
    stream = BatchStream(sys.argv[3], split="test", batch_size=15, columns="weight")
    value = model.evaluate(Dataset(stream, weight="weight", class_weight={0: 0.5, 2: 3.0}), verbose=0)
    total = 0.0
    for batch in stream:
        logit = batch.image.mean((1, 2), dtype=np.float64) @ kernel
        losses = np.log(np.exp(logit).sum(1)) - logit[np.arange(len(logit)), batch.label]
        total += losses @ (batch.columns["weight"] * np.array([0.5, 1.0, 3.0])[batch.label])
    return abs(float(value) / (total / stream.sample_count) - 1)


def predict_in_order() -> float:
    stream, model = showers("test", shuffle="none"), make_model()
    images = np.concatenate([batch.image for batch in showers("test", shuffle="none")])
    return difference(model.predict(Dataset(stream), verbose=0), model.predict(images, verbose=0))


def predict_with_variables() -> float:
    image, variables = keras.Input((125, 125, 3)), keras.Input((2,))
    total = keras.ops.sum(image, axis=(1, 2, 3))[:, None]
    model = keras.Model([image, variables], keras.ops.concatenate([total, variables], axis=1))
    expected = [np.column_stack([b.image.sum((1, 2, 3)), b.columns["pt"], b.columns["m0"]]) for b in jets()]
    expected = np.concatenate(expected)
    return difference(model.predict(Dataset(jets()), verbose=0) / expected, np.ones_like(expected))


def shares_memory() -> bool:
    """Return whether the tensors that Keras gets begin at a page boundary, as the batches do and copies do not."""
    dataset = Dataset(showers())
    match keras.backend.backend():
        case "tensorflow":
            address = np.asarray(memoryview(next(iter(dataset.get_tf_dataset()))[0])).ctypes.data  # .numpy() copies
        case "torch":
            address = next(iter(dataset.get_torch_dataloader()))[0].data_ptr()
        case _:
            address = next(iter(dataset.get_jax_iterator()))[0].ctypes.data
    return bool(address % 4096 == 0)


def refusal(call: Callable[[], Any], kind: type[Exception] = CalostreamError) -> str:
    try:
        call()
    except kind as error:
        return str(error)
    return "nothing"


def labels(dataset: Dataset) -> list[list[int]]:
    return [dataset[index][1].tolist() for index in range(len(dataset))]


def use_directly() -> dict[str, Any]:
    """Use a dataset without a model."""
    dataset, stream = Dataset(showers(), workers=4, use_multiprocessing=True), showers()
    epochs = [[batch.label.tolist() for batch in stream] for _ in range(3)]
    report: dict[str, Any] = {"is": isinstance(dataset, keras.utils.PyDataset), "len": len(dataset)}
    report["by number"] = labels(dataset) == epochs[0]
    dataset.on_epoch_end()
    report["next by number"] = labels(dataset) == epochs[1]
    report["iterated"] = [label.tolist() for _, label in dataset] == epochs[1]
    dataset.on_epoch_end()
    report["once"] = (dataset.epoch, [label.tolist() for _, label in dataset] == epochs[2])
    dataset.set_epoch(0)
    first = iter(dataset)
    next(first)
    report["middle"] = (dataset.state_dict()["epoch"], dataset.state_dict()["batch"])
    report["left"] = next(iter(dataset))[1].tolist() == epochs[0][0]
    ended = Dataset(showers())
    ended.load_state_dict({**ended.state_dict(), "batch": 5})
    report["ended"] = (ended.state_dict()["epoch"], ended.state_dict()["batch"])
    report["second"] = refusal(lambda: next(first))
    report["sparse"] = refusal(lambda: Dataset(showers(sparse=True)))
    report["index"] = refusal(lambda: dataset[5], IndexError)
    report["epoch"] = refusal(lambda: dataset.set_epoch(-1))
    report["weight"] = refusal(lambda: Dataset(showers(), weight="weight"))
    report["class"] = refusal(lambda: Dataset(showers(), class_weight={2: 1.0}))
    report["negative"] = refusal(lambda: Dataset(showers(), class_weight={1: -1.0}))
    report["fit"] = refusal(lambda: make_model().fit(dataset, class_weight={0: 1.0, 1: 2.0}, verbose=0))
    return report


def main() -> None:
    report = {
        "fit": fit_in_order(),
        "steps": fit_in_steps(),
        "resumed": fit_after_resuming(),
        "weights": {**evaluate_with_weights(), "three classes": evaluate_three_classes()},
        "predict": predict_in_order(),
        "variables": predict_with_variables(),
        "memory": shares_memory(),
        "direct": use_directly(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
