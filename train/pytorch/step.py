"""One step of training, of which the host reads nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from train.pytorch.devices import allow_tf32
from train.pytorch.ema import AveragedModel
from train.pytorch.loss import Loss
from train.pytorch.optimiser import Adam

HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class TrainingStep:
    """Forward and backward pass, clipping, optimiser and EMA.

    Numbers that change from step to step are set by `advance`. The rest of a step depends only on tensors, so that it
    can be recorded and replayed, see `train.pytorch.graphs`.

    Parameters
    ----------
    forward
        Computes the logits of the model, in training mode.
    inputs
        Number of inputs of the model.
    loss
        The loss.
    optimiser
        The optimiser.
    average
        EMA of the weights; None if it is disabled.
    precision
        Precision of the forward and backward pass.
    clip_norm
        Largest norm of all gradients together; 0 disables clipping.

    Attributes
    ----------
    scaler
        In float16, it scales the loss and leaves out steps whose gradients overflow, for which the host reads a number
        in each step. Otherwise it does nothing.
    """

    def __init__(
        self,
        forward: Callable[..., Tensor],
        inputs: int,
        loss: Loss,
        optimiser: Adam,
        average: AveragedModel | None,
        precision: str,
        clip_norm: float,
    ) -> None:
        self._forward, self._inputs, self._loss = forward, inputs, loss
        self._optimiser, self._average, self._clip_norm = optimiser, average, clip_norm
        device = optimiser.values.device.type
        self._autocast = torch.autocast(device, HALF.get(precision), enabled=precision in HALF)
        self._tf32 = precision == "tf32"
        self.scaler = torch.amp.GradScaler(device, enabled=precision == "float16")

    def advance(self, rate: float) -> None:
        """Set the learning rate and all other numbers of the next step."""
        self._optimiser.advance(rate)
        if self._average:
            self._average.advance()

    def __call__(self, *tensors: Tensor) -> Tensor:
        """Take a step; return the logits, float32 (batch,) or (batch, K), of its forward pass.

        Collective: every rank must call this.

        Parameters
        ----------
        tensors
            The inputs of the model, the labels (batch,), and the columns of `train.weighting.loss_columns` if there
            are any.
        """
        with self._lowered_precision():
            with self._autocast:
                logit = self._forward(*tensors[: self._inputs]).float()
            self._optimiser.gradients.zero_()
            loss = self._loss(logit, *tensors[self._inputs :])
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self._clip_norm:
            self.scaler.unscale_(self._optimiser)  # type: ignore[arg-type]
            self._optimiser.clip(self._clip_norm)
        if self.scaler.step(self._optimiser) is None:  # type: ignore[arg-type]
            self._optimiser.steps -= 1  # it was left out
        self.scaler.update()
        if self._average:
            self._average.update(self._optimiser.values)
        return logit.detach()

    @contextmanager
    def _lowered_precision(self) -> Iterator[None]:
        """Allow TF32 if it is the configured precision; whatever else is computed stays in float32."""
        if not self._tf32:
            yield
            return
        allow_tf32(True)
        try:
            yield
        finally:
            allow_tf32(False)
