"""Layers that are not PyTorch's own."""

import numpy as np
import torch

from train.model.graph import trace_layers
from train.model.stateless_layers import Crop, ShowerFeatures
from train.pytorch.layers import ComputeFeatures, CropCells, RandomDropout
from train.pytorch.model import build_layers


def test_dropout_keeps_its_share_and_the_mean_while_training_and_all_values_otherwise() -> None:
    torch.manual_seed(0)
    layer, x = RandomDropout(0.3), torch.ones(100, 1000)
    dropped = layer(x)
    assert set(dropped.unique().tolist()) == {0.0, np.float32(1 / 0.7)}
    assert abs((dropped == 0).float().mean().item() - 0.3) < 0.01, "7 standard deviations"
    assert not torch.equal(layer(x), dropped)
    assert layer(x.bfloat16()).dtype == torch.bfloat16
    assert layer.eval()(x) is x


def test_a_crop_after_features_is_made_before_them_and_changes_nothing() -> None:
    layers = ShowerFeatures(), Crop(rows=7, columns=5)
    nodes = list(trace_layers(layers, (16, 17, 2)))
    merged = build_layers(nodes)
    assert [type(layer) for layer in merged] == [ComputeFeatures]
    apart = torch.nn.Sequential(ComputeFeatures(layers[0]), CropCells(layers[1].margins(nodes[1].input_shape)))
    image = torch.rand(3, 2, 16, 17, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(merged(image), apart(image), rtol=0, atol=0)
