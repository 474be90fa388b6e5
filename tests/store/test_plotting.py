import io

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from store.errors import ConfigError
from store.opening import open_dataset
from store.plotting import plot_shower, plot_showers
from tests.examples import shape_spec, tell_tale_images, tell_tale_labels, write_store
from tests.jets import write_jet_store


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


@pytest.fixture(scope="module")
def jets(tmp_path_factory):
    return write_jet_store(tmp_path_factory.mktemp("jets"))


def colour_bars(figure):
    """Return the labels and the texts of the ticks of the colour bars of a figure that was drawn."""
    figure.draw_without_rendering()
    bars = [axes for axes in figure.axes if axes.get_ylabel() and not axes.get_xlabel() and not axes.get_title()]
    return [(axes.get_ylabel(), [tick.get_text() for tick in axes.get_yticklabels()]) for axes in bars]


def test_a_shower_is_drawn_in_gev_and_ns(showers):
    ds = open_dataset(showers)
    figure = plot_shower(ds, 3)
    for axes, image in zip(panels(figure), np.moveaxis(ds.image.values[3], -1, 0), strict=True):
        assert np.array_equal(np.ma.filled(axes.collections[0].get_array(), 0), 50 * image)
    (energy, energies), (time, times) = colour_bars(figure)
    assert (energy, time) == ("energy, GeV", "time, ns")
    assert energies == ["0.1", "1", "10"]
    assert times == ["-10", "-1", "-0.1", "0", "0.1", "1", "10"]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.013, 0.4, ["0.02", "0.05", "0.1", "0.2"]),
        (0.9, 2500, ["1", "10", "100", "1000"]),
        (3, 3, []),
        (2e-6, 4e-5, ["2e-06", "5e-06", "1e-05", "2e-05"]),
    ],
)
def test_colour_bars_name_round_numbers(made_up, low, high, ticks):
    dataset = open_dataset(made_up).isel(sample=[0]).load()
    dataset["image"][:] = 0
    dataset["image"].values[0, 0, :2, 0] = low, high
    assert colour_bars(plot_shower(dataset, 0))[0][1] == ticks


def test_showers_are_a_grid_with_one_logarithmic_scale(showers, tmp_path):
    ds = open_dataset(showers)
    figure = ds.calo.plot_showers()
    drawn, images = panels(figure), 50 * ds.image.values[:12, ..., 0]
    assert len(drawn) == 12
    assert len({(p.get_position().y0 // 0.01) for p in drawn}) == 3, "rows"
    smallest, largest = images[images > 0].min(), images.max()
    for axes, image, name in zip(drawn, images, ds.class_name.values, strict=False):
        mesh = axes.collections[0]
        assert np.array_equal(np.ma.filled(mesh.get_array(), 0), image)
        assert isinstance(mesh.norm, LogNorm)
        assert (mesh.norm.vmin, mesh.norm.vmax) == (
            pytest.approx(max(smallest, largest * 1e-4)),
            pytest.approx(largest),
        )
        assert axes.get_aspect() == 1
        assert axes.get_title() == f"{name}, {image.sum(dtype=np.float64):.1f} GeV"
    ((label, ticks),) = colour_bars(figure)
    assert label == "energy, GeV"
    assert ticks == ["0.1", "1", "10"]
    assert figure.get_suptitle() == "Geant4 simulation"
    figure.savefig(tmp_path / "showers.png")


@pytest.mark.parametrize("n", [1, 3, 5, 13])
def test_panels_bars_and_their_texts_do_not_overlap(showers, jets, n):
    for ds, channel in ((open_dataset(showers), None), (open_dataset(showers), "time"), (open_dataset(jets), "ecal")):
        figure = plot_showers(ds, n, channel)
        figure.draw_without_rendering()
        parts = [axes.get_tightbbox() for axes in figure.axes if axes.get_visible()]
        parts += [text.get_window_extent() for text in figure.texts]
        assert len(parts) == n + 4, "panels, colour bar, title and the names of both axes"
        for number, part in enumerate(parts):
            assert not [other for other in parts[:number] if part.overlaps(other)]
            assert -1 <= part.x0 <= part.x1 <= figure.bbox.width + 1
            assert -1 <= part.y0 <= part.y1 <= figure.bbox.height + 1


def test_a_grid_of_jets_takes_a_channel(jets):
    ds = open_dataset(jets)
    titles = [
        f"{name}, sum {value:.3g}" for name, value in zip(ds.class_name.values, ds.calo.energy("hcal"), strict=True)
    ]
    figure = plot_showers(ds, 100, "hcal")
    assert [axes.get_title() for axes in panels(figure)] == titles
    assert colour_bars(figure)[0][0] == "hcal, as in the source files"
    assert colour_bars(plot_showers(ds, 2))[0][0] == "tracks, as in the source files"


def test_times_are_not_summed_in_titles(showers):
    ds = open_dataset(showers)
    assert [axes.get_title() for axes in panels(plot_showers(ds, 4, "time"))] == ds.class_name.values[:4].tolist()


def test_a_selection_and_a_plain_dataset_are_drawn(showers):
    ds = open_dataset(showers)
    electrons = ds.isel(sample=ds.label == 1).sel(channel="energy")
    assert {axes.get_title().split(",")[0] for axes in panels(electrons.calo.plot_showers(n=5))} == {"electron"}
    (single,) = panels(ds.isel(sample=5).calo.plot_showers())
    assert single.get_title() == panels(plot_showers(ds, 6))[5].get_title()
    plain = xr.open_zarr(showers).calo.plot_showers(2)
    assert [axes.get_title() for axes in panels(plain)] == [axes.get_title() for axes in panels(plot_showers(ds, 2))]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n=0 is not a number of samples from 1 to 100"),
        ({"n": 101}, "n=101 is not a number of samples from 1 to 100"),
        ({"n": 2.5}, r"n=2\.5 is not a number of samples from 1 to 100"),
        ({"channel": "ecal"}, "unknown channel 'ecal'; known: energy, time"),
    ],
)
def test_what_cannot_be_drawn_is_named(showers, options, message):
    with pytest.raises(ConfigError, match=message):
        open_dataset(showers).calo.plot_showers(**options)
    with pytest.raises(ConfigError, match="no samples to draw"):
        open_dataset(showers).isel(sample=[]).calo.plot_showers()


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 257, 1), (2, 3, 300)])
def test_images_of_any_size_are_drawn_with_a_sensible_number_of_channels(shape):
    images, spec = np.random.default_rng(0).random((3, *shape), np.float32), shape_spec(shape)
    dataset = xr.Dataset(
        {"image": (("sample", "ieta", "iphi", "channel"), images), "label": ("sample", np.uint8([0, 1, 1]))},
        {
            "ieta": np.arange(shape[0]),
            "iphi": np.arange(shape[1]),
            "channel": [channel.name for channel in spec.channels],
        },
        {"dataset": spec.name, "description": spec.to_dict()},
    )
    figure = plot_shower(dataset, 1)
    assert [axes.get_title() for axes in panels(figure)] == [f"c{k}" for k in range(min(shape[2], 12))]
    assert ("the first 12 of 300 channels" in figure.get_suptitle()) is (shape[2] == 300)
    assert max(figure.get_size_inches()) < 30
    np.testing.assert_array_equal(
        panels(figure)[-1].collections[0].get_array().ravel(), images[1, ..., min(shape[2], 12) - 1].ravel()
    )
    if shape[2] == 1:
        figure.savefig(io.BytesIO())
        plot_showers(dataset).savefig(io.BytesIO())
    else:
        chosen = plot_shower(dataset.sel(channel=["c299", "c7"]), 0)
        assert [axes.get_title() for axes in panels(chosen)] == ["c299", "c7"]
