"""Attention written out beside that of the framework: ``python -m tests.benchmarks.bench_attention --framework keras``.

Forward and backward pass of one layer on one thread of a CPU, without its projections, in samples per second. By
default, the layer is that of ``shower-transformer``: 31 tokens, and 2 heads of 32 values.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from store.arrays import Float32Array
from tests.benchmarks.interleave import Figures, Timed, interleave, show
from tests.benchmarks.step_worker import THREADS

PRECISIONS = ("float32", "bfloat16")
OWN, WRITTEN = "the framework's own", "written out"


def main(words: Sequence[str] | None = None) -> Figures:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=("torch", "keras"), default="torch")
    parser.add_argument("--batch", type=int, default=256, help="samples (default %(default)s)")
    parser.add_argument("--tokens", type=int, default=31, help="tokens per sample (default %(default)s)")
    parser.add_argument("--heads", type=int, default=2, help="heads, which share 64 values (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="measured rounds (default %(default)s)")
    options = parser.parse_args(words)
    os.environ |= dict.fromkeys(THREADS, "1")
    random = np.random.default_rng(0)
    inputs = random.normal(size=(3, options.batch, options.tokens, options.heads, 64 // options.heads)).astype(
        np.float32
    )
    steps = torch_steps if options.framework == "torch" else keras_steps
    figures: Figures = {}
    for precision in PRECISIONS:
        contenders: dict[str, Any] = {
            f"{name}, {precision}": Timed(run=run) for name, run in steps(inputs, precision).items()
        }
        measured = interleave(contenders, reference := f"{OWN}, {precision}", options.rounds)
        show(measured, reference, "samples")
        figures |= measured
    return figures


def torch_steps(inputs: Float32Array, precision: str) -> dict[str, Callable[[], float]]:
    """Return a forward and backward pass of each kind, which returns the number of samples."""
    import torch
    from torch.nn import functional

    from train.pytorch.layers import attend_written_out
    from train.pytorch.memory import keep_memory

    torch.set_num_threads(1)
    keep_memory()
    leaves = [torch.from_numpy(array).to(getattr(torch, precision)).requires_grad_() for array in inputs]

    def step(attend: Callable[..., torch.Tensor]) -> float:
        output = attend(*(leaf.transpose(1, 2) for leaf in leaves)).transpose(1, 2).flatten(2)
        torch.autograd.grad(output.float().square().sum(), leaves)
        return float(inputs.shape[1])

    kinds = {OWN: functional.scaled_dot_product_attention, WRITTEN: attend_written_out}
    return {name: lambda attend=attend: step(attend) for name, attend in kinds.items()}  # type: ignore[misc]


def keras_steps(inputs: Float32Array, precision: str) -> dict[str, Callable[[], float]]:
    """Return a forward and backward pass of each kind, which returns the number of samples."""
    import keras
    import tensorflow as tf

    from train.keras.token_layers import attend

    variables = [tf.Variable(tf.cast(array, precision)) for array in inputs]

    def compiled(attend: Callable[..., Any]) -> Callable[[], float]:
        @tf.function  # type: ignore[untyped-decorator]
        def gradients() -> Any:
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(tf.cast(attend(*(tf.identity(x) for x in variables)), "float32")))
            return tf.reduce_sum(tf.stack(tape.gradient(loss, variables)))

        def step() -> float:
            gradients().numpy()  # waits for the result
            return float(inputs.shape[1])

        return step

    kinds = {OWN: keras.ops.dot_product_attention, WRITTEN: attend}
    return {name: compiled(kind) for name, kind in kinds.items()}


if __name__ == "__main__":
    main()
