"""Opening a store: as a labelled xarray dataset, or as a `Store` for programs."""

from pathlib import Path

import xarray as xr
import zarr

import store.accessor as _accessor  # noqa: F401  registers `dataset.calo`
from store.attributes import flatten
from store.coordinates import add_coordinates
from store.datasets import FORMAT, FORMAT_VERSION, READABLE_VERSIONS
from store.errors import CorruptStoreError, StoreError
from store.integrity import MANY, check_store, naming
from store.locations import Location, Url, locate
from store.no_store import computing_statistics, describe_absence
from store.opened_store import Store as Store
from store.remote.mirror import open_mirror
from store.remote.zarr_store import MirrorStore
from store.sample_columns import WEIGHT, column_types

COLUMNS = ("label", "class_name", "split", "source_file", "source_row")
AXES = ("ieta", "iphi", "channel", "scale", "unit")


def open_store(path: str | Location) -> Store:
    """Open a store, after checking within milliseconds that it is complete and unchanged since it was made.

    Parameters
    ----------
    path
        Folder or URL of the store.

    Returns
    -------
    Store
        The store.

    Raises
    ------
    StoreError
        If the path contains no store, or one with another format version.
    CorruptStoreError
        If the store is incomplete, or was changed since it was made; see `store.integrity.check_store`.

    Examples
    --------
    >>> cs.open_store("data/electron-photon.zarr").spec.classes
    ('photon', 'electron')
    """
    store = open_unchecked(path)
    check_store(store)
    return store


def open_unchecked(path: str | Location) -> Store:
    """Open a store without the checks of `open_store`, because it is still being made or is about to be verified.

    Raises
    ------
    StoreError
        If the path contains no store, or one with another format version.
    """
    path = locate(path)
    source: Path | MirrorStore
    if isinstance(path, Url):
        mirror = open_mirror(path)
        folder, source = mirror.folder, MirrorStore(mirror)
    else:
        mirror, folder, source = None, path, path
    try:
        group = zarr.open_group(source, mode="r", zarr_format=3, use_consolidated=False)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
        raise StoreError(f"{path}: {describe_absence(folder)}") from None
    except Exception as error:
        raise CorruptStoreError(f"{path / 'zarr.json'}: cannot be read ({type(error).__name__}: {error})") from error
    if group.attrs.get("format") != FORMAT:
        raise StoreError(f"{path}: is a Zarr group, but not a {FORMAT} store")
    version = group.attrs.get("format_version")
    if version not in READABLE_VERSIONS or isinstance(version, bool):
        newer = isinstance(version, int) and version > FORMAT_VERSION
        raise StoreError(
            f"{path}: has format version {version!r:.60}, this program reads "
            f"{' and '.join(map(str, READABLE_VERSIONS))}{'; install a newer calostream' if newer else ''}"
        )
    return Store(path=path, group=group, folder=folder, mirror=mirror)


def open_dataset(path: str | Location, split: str | None = None) -> xr.Dataset:
    """Open a store as a labelled dataset: the images are read when they are used, all columns are loaded.

    In stores of more than `store.integrity.MANY` samples, columns are mapped, read-only, and read when they are used.

    Importing this module also registers the accessor ``dataset.calo``; see `store.accessor.CaloAccessor`.

    Parameters
    ----------
    path
        Folder or URL of the store.
    split
        ``train``, ``validation`` or ``test``. By default the dataset has all samples.

    Returns
    -------
    xarray.Dataset
        ``image`` float32 (sample, ieta, iphi, channel), as in the source files, with dask chunks of about 32 MiB or a
        shard, or larger ones if there were too many; the variables of the data set, float32 or int64 (sample,);
        ``weight`` float32 (sample,), if it has weights; and whatever users have added. The coordinates are ``label``
        uint8, ``class_name`` str, ``split`` uint8, ``source_file`` uint8, uint16 or uint32, and ``source_row`` int64,
        all (sample,); ``ieta`` and ``iphi``, in cells from the seed; ``channel`` str, ``scale`` float64 and ``unit``
        str, all (channel,):
        ``dataset.image * dataset.scale`` is in units of ``dataset.unit``. Variables are in the same order whenever a
        store is opened. Nested attributes are JSON text, which netCDF can hold.

    Raises
    ------
    StoreError
        If the path contains no store that this version reads.
    CorruptStoreError
        If the store is incomplete, or was changed since it was made.
    PlanError
        If there is no such split.

    Examples
    --------
    >>> ds = cs.open_dataset("data/electron-photon.zarr", split="train")
    >>> ds.image.dims
    ('sample', 'ieta', 'iphi', 'channel')
    """
    from store.even_chunks import samples_per_chunk  # imports dask.array, which takes 0.4 s and only this needs

    store = open_store(path)
    samples = slice(None) if split is None else slice(*store.split_range(split))
    with naming(store.path):
        dataset = xr.open_zarr(store.group.store, consolidated=False, chunks=None).isel(sample=samples)
        own = column_types(store.spec, len(store.attributes["sources"])) if store.image.shape[0] > MANY else ()
        for name, variable in dataset.variables.items():
            if name in own:
                variable.data = store.column(str(name), samples.start or 0, samples.stop)
            elif variable.dims == ("sample",):
                variable.load()
        dataset = add_coordinates(_ready_to_write(dataset), store.spec)
        size = samples_per_chunk(store.image)
        arrays = {name: dataset.variables[name] for name in dataset.data_vars}
        lazy = {name: _chunk(array, size) for name, array in arrays.items() if array.dims != ("sample",)}
        dataset = dataset.assign(lazy)
    variables = (variable.name for variable in store.spec.variables)
    return _in_order(dataset, "image", *variables, WEIGHT, *COLUMNS, *AXES)


def _ready_to_write(dataset: xr.Dataset) -> xr.Dataset:
    """Return a dataset that ``to_zarr`` and ``to_netcdf`` take, also after a selection."""
    dataset = dataset.drop_encoding()  # its chunks would have to fit those of each selection
    for variable in dataset.variables.values():
        variable.attrs = flatten(variable.attrs)
    dataset.attrs = flatten(dataset.attrs)
    return dataset


def _chunk(variable: xr.Variable, size: int) -> xr.Variable:
    """Return a variable as a dask array, with chunks of `size` samples."""
    from store.even_chunks import even_chunks

    variable = variable.chunk({"sample": size} if "sample" in variable.dims else {})
    if variable.dims[:1] != ("sample",):
        return variable
    return xr.Variable(variable.dims, even_chunks(variable.data), variable.attrs)


def _in_order(dataset: xr.Dataset, *first: str) -> xr.Dataset:
    """Return a dataset in which the given variables and coordinates come first, and others follow by name."""
    order = sorted(dataset.variables, key=lambda name: (first.index(name) if name in first else len(first), str(name)))
    data, coordinates = (
        {name: dataset.variables[name] for name in order if (name in dataset.coords) is wanted}
        for wanted in (False, True)
    )
    return xr.Dataset(data, coordinates, dataset.attrs)


def open_statistics(path: str | Location) -> xr.Dataset:
    """Read the statistics of the training split of a store.

    Parameters
    ----------
    path
        Folder or URL of the store.

    Returns
    -------
    xarray.Dataset
        All values, loaded; see `store.image_statistics.to_dataset` and `store.variable_statistics.describe_variables`.

    Raises
    ------
    StoreError
        If the path contains no store that this version reads, or the store has no statistics.

    Examples
    --------
    >>> statistics = cs.open_statistics("data/electron-photon.zarr")
    >>> statistics["mean"].dims
    ('class', 'channel')
    """
    return read_statistics(open_store(path))


def read_statistics(store: Store) -> xr.Dataset:
    """Read the statistics of an opened store; see `open_statistics`.

    Raises
    ------
    StoreError
        If the store has none.
    """
    if "statistics" not in store.group:
        raise StoreError(f"{store.path}: no statistics; {computing_statistics(store.path)}")
    with (
        naming(store.path / "statistics"),
        xr.open_zarr(store.folder, group="statistics", consolidated=False, chunks=None) as dataset,
    ):
        statistics = _ready_to_write(dataset.load())
    return _in_order(statistics)
