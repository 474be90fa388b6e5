"""The loss of a step."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy


class Loss:
    """Binary cross-entropy of one logit per sample, softmax cross-entropy of more, as the mean over the samples.

    Parameters
    ----------
    class_weights
        float32 (K,), the weight of each class, on the device; None if all count the same.
    world_size
        Number of ranks.
    """

    def __init__(self, class_weights: Tensor | None, world_size: int) -> None:
        self._class_weights, self._world_size = class_weights, world_size

    def __call__(
        self, logit: Tensor, label: Tensor, weight: Tensor | None = None, target: Tensor | None = None
    ) -> Tensor:
        """Return this rank's part of the loss; its mean over the ranks is the mean over all samples of the step.

        Collective: every rank must call this.

        Parameters
        ----------
        logit
            (n,) or (n, K).
        label
            (n,), classes.
        weight
            (n,), weights of the samples.
        target
            (n,) or (n, K), the probabilities that the logits are compared with, in place of the classes. The weights of
            the classes are those of `label`.
        """
        if self._class_weights is not None:
            of_class = self._class_weights[label.long()]
            weight = of_class if weight is None else weight * of_class
        if logit.ndim == 1:
            expected = label.to(logit.dtype) if target is None else target
            losses = binary_cross_entropy_with_logits(logit, expected, weight, reduction="sum")
        else:
            of_sample = cross_entropy(logit, label.long() if target is None else target, reduction="none")
            losses = (of_sample if weight is None else of_sample * weight).sum()
        if self._world_size == 1:
            return losses / len(label)
        # The last batch may differ between ranks. The number stays on the device, for which the host need not wait.
        samples = torch.full((), float(len(label)), device=logit.device)
        torch.distributed.all_reduce(samples)
        return losses * self._world_size / samples
