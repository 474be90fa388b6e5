import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from store.opening import open_dataset
from store.plotting import plot_shower
from tests.examples import tell_tale_images, tell_tale_labels, write_store


def panels(figure):
    return [axes for axes in figure.axes if axes.get_title()]


def test_a_shower_has_one_panel_per_channel(made_up):
    figure = plot_shower(open_dataset(made_up), 17)
    assert isinstance(figure, Figure)
    assert [axes.get_title() for axes in panels(figure)] == ["c0", "c1"]
    for axes in panels(figure):
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("iphi from the seed", "ieta from the seed")


def test_the_title_says_the_sample_its_class_and_that_it_is_simulated(made_up):
    title = plot_shower(open_dataset(made_up), 17).get_suptitle()
    meaning = ("photon", "electron")[tell_tale_labels(500)[17]]
    assert title == f"sample 17: {meaning} (Geant4 simulation)"


def test_real_data_are_not_called_simulated(tmp_path):
    dataset = open_dataset(write_store(tmp_path / "real.zarr", simulated=""))
    assert plot_shower(dataset, 0).get_suptitle().startswith("sample 0: ")
    assert "(" not in plot_shower(dataset, 0).get_suptitle()


def test_panels_show_the_values_and_leave_cells_without_a_hit_blank(made_up):
    image = tell_tale_images(500)[17]
    figure = plot_shower(open_dataset(made_up), 17)
    for channel, axes in enumerate(panels(figure)):
        shown = axes.collections[0].get_array()
        values = image[..., channel]
        assert np.array_equal(np.ma.getmaskarray(shown).reshape(values.shape), values == 0)
        assert np.array_equal(np.ma.filled(shown, 0).reshape(values.shape), values)


def test_cells_lie_at_their_offset_from_the_seed(made_up):
    axes = panels(plot_shower(open_dataset(made_up), 0))[0]
    assert axes.get_xlim() == (-3.5, 3.5)  # 7 columns, the seed in the fourth
    assert axes.get_ylim() == (-3.5, 2.5)


def test_signed_channels_are_red_above_zero_and_blue_below_as_far_as_there_are_values(made_up):
    dataset = open_dataset(made_up).isel(sample=[17]).load()
    values = dataset["image"].values[0, ..., 1]
    values[:] = 0.0
    values[0, :4] = 10.0, 0.001, -0.001, -0.2
    mesh = panels(plot_shower(dataset, 0))[1].collections[0]
    assert (mesh.norm.vmin, mesh.norm.vmax) == (np.float32(-0.2), 10)
    high, low, below, lowest = (np.array(mesh.to_rgba(value)[:3]) for value in (10.0, 0.001, -0.001, -0.2))
    assert high[0] > 2 * high[2], "red"
    assert lowest[2] > 1.5 * lowest[0], "blue"
    assert min(*low, *below) > 0.7, "little colour"
    assert high.min() < 0.2 < lowest.min(), "values of equal size have colours of equal strength"


def test_a_scale_begins_at_the_smallest_hit_but_not_far_below_the_largest(made_up):
    dataset = open_dataset(made_up).isel(sample=[17]).load()
    values = dataset["image"].values[0, ..., 0]
    for smallest, floor in ((0.5, 0.5), (1e-9, 1e-3)):
        values[:] = 0
        values[0, :2] = 10, smallest
        norm = panels(plot_shower(dataset, 0))[0].collections[0].norm
        assert (norm.vmin, norm.vmax) == (pytest.approx(floor), 10)
        assert 0 <= norm(smallest) <= 1e-6


def test_an_image_without_a_hit_is_drawn(made_up, tmp_path):
    dataset = open_dataset(made_up).isel(sample=[0]).load()
    dataset["image"][:] = 0
    figure = plot_shower(dataset, 0)
    assert len(panels(figure)) == 2
    figure.savefig(tmp_path / "empty.png")


def test_a_figure_can_be_saved(made_up, tmp_path):
    plot_shower(open_dataset(made_up), 3).savefig(tmp_path / "shower.png")
    assert (tmp_path / "shower.png").read_bytes().startswith(b"\x89PNG")


def test_a_dataset_that_plain_xarray_opened_is_drawn(made_up):
    dataset = xr.open_zarr(made_up, chunks=None)
    assert len(panels(plot_shower(dataset, 0))) == 2


def test_a_sample_that_is_not_there_is_an_index_error(made_up):
    with pytest.raises(IndexError):
        plot_shower(open_dataset(made_up, "validation"), 53)
