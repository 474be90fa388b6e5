"""Floating-point operations of a network: those of its convolutions and matrix products, two per multiplication."""

import math
from collections.abc import Iterable, Iterator

from train.model.architecture import Architecture
from train.model.graph import Node, Residual, trace_layers
from train.model.layers import Conv, Dense, Shape
from train.model.token_layers import Attention, Patches


def forward_operations(node: Node) -> int:
    """Return the operations of a layer per sample, in a forward pass; a residual is not a layer here."""
    match node.layer:
        case Attention():
            tokens, width = node.input_shape
            return 2 * tokens * width * (4 * width + 2 * tokens)
        case Conv() | Patches():
            positions = node.output_shape[:-1]
            return 2 * math.prod(positions) * math.prod(node.layer.weight_specs(node.input_shape)["kernel"].shape)
        case Dense(units=units):
            return 2 * math.prod(node.input_shape) * units
    return 0


def training_operations(architecture: Architecture, image_shape: Shape) -> int:
    """Return the operations of an architecture per sample and training step.

    The backward pass computes the gradient of the weights and that of the input of each layer, each with as many
    operations as the forward pass. The first layer with weights needs no gradient of its input.
    """
    nodes = flatten(architecture.nodes(image_shape))
    counts = [count for count in map(forward_operations, nodes) if count]
    return 3 * sum(counts) - counts[0]


def flatten(nodes: Iterable[Node]) -> Iterator[Node]:
    """Yield the nodes, with those of both branches in place of a residual."""
    for node in nodes:
        if isinstance(node.layer, Residual):
            for branch in (node.layer.body, node.layer.shortcut):
                yield from flatten(trace_layers(branch, node.input_shape))
        else:
            yield node
