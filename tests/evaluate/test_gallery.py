import numpy as np
import pytest
from matplotlib.colors import to_hex

import store
from evaluate import gallery
from evaluate.results import GallerySample
from store.average_images import condense
from store.datasets import ELECTRON_PHOTON
from store.pages.style import PANEL
from store.predictions import Predictions
from tests.evaluate.sheets import pictures_of, texts_of


def chosen(label, score):
    predictions = Predictions(
        sample=100 + np.arange(len(label)), label=np.array(label, np.uint8), score=np.array(score, float)
    )
    return gallery.choose_samples(predictions)


def test_samples_are_chosen_by_how_sure_the_model_is_of_their_class():
    result = chosen([1, 0, 1, 0, 1, 0, 1], [0.9, 0.05, 0.2, 0.97, 0.5, 0.45, 0.99])
    rows = {kind: [sample.sample - 100 for sample in getattr(result, kind)] for kind in gallery.KINDS}
    assert rows == {"right": [1, 5, 6, 0, 4], "wrong": [3, 2], "uncertain": [5, 1, 3, 4, 2, 0, 6]}
    assert result.wrong[0] == GallerySample(sample=103, label=0, score=0.97)


def test_a_perfect_model_is_never_wrong():
    assert chosen([1, 0], [0.9, 0.1]).wrong == []


@pytest.mark.parametrize("count", [1, 4])
def test_showers_are_drawn_as_they_are(count, real_store):
    rows = [GallerySample(sample=3 * index + 1, label=0, score=0.25) for index in range(count)]
    figure = gallery.draw_samples(real_store, ELECTRON_PHOTON, rows, "title")
    image = store.open_dataset(real_store).image
    panels = pictures_of(figure)
    assert len(panels) == 2 * count
    for index, panel in enumerate(panels):
        sample, channel = rows[index // 2].sample, index % 2
        np.testing.assert_array_equal(panel.get_array().filled(0), 50 * image[sample, ..., channel])
        left, right, bottom, top = panel.get_extent()
        assert (left, right - left, bottom - top) == pytest.approx(
            (index // 2 * (gallery.PANEL + gallery.GAP), gallery.PANEL, gallery.PANEL)
        )
        assert to_hex(panel.cmap.get_bad()) == PANEL
    assert {"0.2500", "photon\nieta", "energy (GeV)", "time (ns)"} <= set(texts_of(figure))


def test_each_class_has_rows_of_its_own(real_store):
    rows = [GallerySample(sample=index, label=label, score=0.25) for index, label in enumerate([0, 1, 1])]
    figure = gallery.draw_samples(real_store, ELECTRON_PHOTON, rows, "title")
    panels = pictures_of(figure)
    heights = [panel.get_extent()[3] for panel in panels]
    assert len(panels) == 6
    assert heights[0] < heights[1] < heights[2] < heights[3]
    assert heights[2:4] == heights[4:]
    assert {"photon\nieta", "electron\nieta"} <= set(texts_of(figure))
    assert panels[0].norm is panels[2].norm  # energies of both classes


def test_samples_of_several_classes_are_chosen_by_their_largest_probability():
    score = [[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9], [0.34, 0.33, 0.33], [0, 0.05, 0.95]]
    result = chosen([0, 1, 2, 1, 0, 2], score)
    rows = {kind: [sample.sample - 100 for sample in getattr(result, kind)] for kind in gallery.KINDS}
    assert rows == {"right": [0, 4, 1, 5], "wrong": [3, 2], "uncertain": [4, 0, 1, 3, 2, 5]}
    assert result.wrong[0] == GallerySample(sample=103, label=1, probabilities=[0.05, 0.05, 0.9])
    assert gallery.verdict(result.wrong[0], ["qcd", "top", "w"]) == "w 0.9000"


def test_the_name_of_a_class_is_shortened_above_a_panel():
    sample = GallerySample(sample=0, label=0, probabilities=[0.5, 0.3, 0.2])
    assert gallery.verdict(sample, ["a class with a long name", "b", "c"]) == "a class …ng name 0.5000"


def test_a_very_large_image_is_condensed_to_its_strongest_cells():
    image = np.zeros((1000, 3), np.float32)
    image[4, 1], image[6, 2], image[999, 0] = 2, -3, 1
    small = condense(image, 4)
    assert small.shape == (250, 1)
    assert (small[1, 0], small[249, 0], np.count_nonzero(small)) == (-3, 1, 2)
    np.testing.assert_array_equal(condense(image, 1), image)


def test_single_images_of_three_classes_say_the_most_probable_one(class_store):
    rows = [GallerySample(sample=5, label=1, probabilities=[0.25, 0.25, 0.5])]
    figure = gallery.draw_samples(class_store, store.open_store(class_store).spec, rows, "title")
    (panel,) = pictures_of(figure)
    assert {"w 0.5000", "top\nieta"} <= set(texts_of(figure))
    assert panel.get_array().shape == (5, 9)
    left, right, bottom, top = panel.get_extent()
    assert (bottom - top) / (right - left) == pytest.approx(5 / 9)
