"""Tensors that lie one after the other in one piece of memory, so that one operation changes all of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

ALIGNMENT = 64  # values, 256 bytes: what fast kernels ask of an address


class FlatTensors:
    """Moves tensors into one flat tensor, of which they become views.

    They keep their values and their order of dimensions in memory, such as channels-last. Values between them are zero.

    Parameters
    ----------
    tensors
        float32 tensors on one device, without gaps or overlaps.
    alignment
        Each starts at a multiple of this many values.

    Attributes
    ----------
    values
        float32 (n,), all of them.
    """

    def __init__(self, tensors: Sequence[Tensor], alignment: int = ALIGNMENT) -> None:
        self._layouts: list[tuple[torch.Size, tuple[int, ...], int]] = []
        size = 0
        for tensor in tensors:
            self._layouts.append((tensor.shape, tensor.stride(), size))
            size += -(-tensor.numel() // alignment) * alignment
        self.values = torch.zeros(size, device=tensors[0].device)
        for tensor, view in zip(tensors, self.views(self.values), strict=True):
            view.copy_(tensor.data)
            tensor.data = view

    def views(self, flat: Tensor) -> list[Tensor]:
        """Return the part of another flat tensor (n,) that belongs to each tensor, in the shape of that one."""
        return [flat.as_strided(shape, stride, start) for shape, stride, start in self._layouts]
