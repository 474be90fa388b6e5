import numpy as np
import pytest

import store
from evaluate import gallery
from evaluate.document import GallerySample
from store.datasets import ELECTRON_PHOTON
from store.predictions import Predictions


def chosen(label, score):
    predictions = Predictions(
        sample=100 + np.arange(len(label)), label=np.array(label, np.uint8), score=np.array(score, float)
    )
    return gallery.choose_samples(predictions)


def test_samples_are_chosen_by_how_sure_the_model_is_of_their_class():
    result = chosen([1, 0, 1, 0, 1, 0, 1], [0.9, 0.05, 0.2, 0.97, 0.5, 0.45, 0.99])
    rows = {kind: [sample.sample - 100 for sample in getattr(result, kind)] for kind in gallery.KINDS}
    assert rows == {"right": [6, 1, 0, 5], "wrong": [3, 2], "uncertain": [4, 5, 2, 0]}
    assert result.wrong[0] == GallerySample(sample=103, label=0, score=0.97)


def test_a_perfect_model_is_never_wrong():
    assert chosen([1, 0], [0.9, 0.1]).wrong == []


@pytest.mark.parametrize("count", [1, 4])
def test_showers_are_drawn_as_they_are(count, real_store):
    rows = [GallerySample(sample=3 * index + 1, label=index % 2, score=0.25) for index in range(count)]
    figure = gallery.draw_samples(real_store, ELECTRON_PHOTON, rows, "title")
    image = store.open_dataset(real_store).image
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 2 * count
    for index, axes in enumerate(panels):
        sample, channel = rows[index % count].sample, index // count
        np.testing.assert_array_equal(axes.images[0].get_array().filled(0), image[sample, ..., channel])
    assert panels[0].get_title() == "photon\n0.2500"
