import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed.protocol.pickle import dumps, loads

from store.datasets import Channel, DatasetSpec, Variable
from store.errors import ConfigError, SourceError
from store.sources.opening import open_source
from store.sources.values import STORED_AS_FLOAT32

TINY = DatasetSpec(
    name="tiny", title="made up", image_keys=("X_jets", "X"), label_key="y", image_shape=(5, 6, 2),
    channels=tuple(Channel(name=name, long_name=name, comment="made up") for name in "ab"),
    classes=("gluon", "quark"), seed=(2, 3), variables=(Variable(name="pt", long_name="pt", units="GeV"),),
)  # fmt: skip
IMAGES = np.random.default_rng(0).standard_normal((25, 5, 6, 2)).astype(np.float32)


def lists(type_):
    return pa.list_(pa.list_(pa.list_(type_)))


LISTS = lists(pa.float64())


def as_lists(images, type_=LISTS):
    return pa.array(np.moveaxis(images, -1, 1).tolist(), type_)


def table(**changes):
    """Return a table of `IMAGES` with some columns changed, or left out if None."""
    columns = {"X_jets": as_lists(IMAGES), "pt": np.arange(25) + 70.5, "y": np.arange(25) % 2.0, **changes}
    return pa.table({name: column for name, column in columns.items() if column is not None})


def write(path, given, groups=(1,) * 25):
    """Write a table in row groups of the given sizes."""
    with pq.ParquetWriter(path, given.schema) as writer:
        for start, size in zip(np.cumsum([0, *groups]), groups, strict=False):
            writer.write_table(given.slice(start, size), row_group_size=size)
    return path


GROUPS = {
    "one row per group": (1,) * 25,
    "several rows per group": (7, 7, 7, 4),
    "groups of unequal size": (3, 1, 11, 2, 8),
    "one group": (25,),
}
FORMS = {"lists": as_lists(IMAGES), "bytes": pa.array([image.tobytes() for image in IMAGES], pa.binary(240))}


def assert_same_bits(images, expected):
    assert (images.dtype, images.flags.c_contiguous) == (np.float32, True)
    assert np.array_equal(images.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("batch", [1, 4, 1_000])
@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize("form", FORMS)
def test_any_range_of_rows_is_read_bit_for_bit_from_any_row_groups(tmp_path, monkeypatch, form, groups, batch):
    monkeypatch.setattr("store.sources.parquet.BATCH_BYTES", batch * TINY.sample_bytes)
    source = open_source(write(tmp_path / "a.parquet", table(X_jets=FORMS[form]), groups), TINY)
    assert source.rows == 25
    for start, stop in ((0, 25), (0, 1), (24, 25), (3, 4), (2, 19), (13, 14), (7, 14)):
        assert_same_bits(source.read(start, stop), IMAGES[start:stop])
    assert np.array_equal(source.labels(), np.arange(25) % 2)
    assert np.array_equal(source.variables()["pt"], np.arange(25, dtype=np.float32) + 70.5)


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize("form", FORMS)
def test_any_range_of_rows_comes_in_pieces_smaller_than_a_row_group(tmp_path, monkeypatch, form, groups):
    monkeypatch.setattr("store.sources.parquet.PIECE_BYTES", 3 * TINY.sample_bytes)
    source = open_source(write(tmp_path / "a.parquet", table(X_jets=FORMS[form]), groups), TINY)
    assert source.block == max(groups)
    for start, stop in ((0, 25), (3, 4), (2, 19), (7, 14)):
        pieces = list(source.pieces(start, stop))
        assert max(map(len, pieces)) <= 3
        assert_same_bits(np.concatenate(pieces), IMAGES[start:stop])


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize("form", FORMS)
def test_a_scan_gives_all_rows_in_parts_of_the_asked_size(tmp_path, form, groups):
    source = open_source(write(tmp_path / "a.parquet", table(X_jets=FORMS[form]), groups), TINY)
    parts = list(source.scan(4))
    assert [len(part) for part in parts] == [4] * 6 + [1]
    for number, part in enumerate(parts):
        assert_same_bits(part, IMAGES[4 * number : 4 * number + 4])


TYPES = {
    "float": lists(pa.float32()),
    "large lists": pa.large_list(pa.large_list(pa.large_list(pa.float64()))),
    "lists of fixed size": pa.list_(pa.list_(pa.list_(pa.float64(), 6), 5), 2),
}


@pytest.mark.parametrize("type_", TYPES.values(), ids=TYPES)
def test_lists_of_any_kind_are_read(tmp_path, type_):
    source = open_source(write(tmp_path / "a.parquet", table(X_jets=as_lists(IMAGES, type_)), (10, 15)), TINY)
    assert np.array_equal(source.read(4, 20), IMAGES[4:20])


@pytest.mark.parametrize("type_", [pa.float32(), pa.int64(), pa.uint8(), pa.bool_()], ids=str)
def test_labels_may_have_any_numeric_type(tmp_path, type_):
    labels = pa.array([row % 2 for row in range(25)]).cast(type_)
    source = open_source(write(tmp_path / "a.parquet", table(y=labels)), TINY)
    assert np.array_equal(source.labels(), np.arange(25) % 2)


def test_a_file_is_known_by_its_content_and_the_other_key_is_taken(tmp_path):
    other = table().rename_columns(["X", "pt", "y"])
    source = open_source(write(tmp_path / "a.hdf5", other), TINY)
    assert source.image_key == "X"
    assert np.array_equal(source.read(0, 25), IMAGES)


def test_that_double_becomes_float_is_said_and_a_declared_simulation_found(tmp_path):
    declared = table().replace_schema_metadata({"simulation": "Pythia simulation"})
    source = open_source(write(tmp_path / "a.parquet", declared), TINY)
    assert source.note.endswith(f"a.parquet: X_jets is double; {STORED_AS_FLOAT32}")
    assert source.simulated == "Pythia simulation"
    single = table(X_jets=as_lists(IMAGES, TYPES["float"]))
    assert open_source(write(tmp_path / "b.parquet", single), TINY).note == ""
    assert open_source(write(tmp_path / "b_pythia.parquet", single), TINY).simulated == "Pythia simulation"


def test_a_source_goes_to_another_process(tmp_path):
    source = open_source(write(tmp_path / "a.parquet", table()), TINY)
    source.read(0, 3)
    assert len(dumps(source)) < 5_000, "without its footer, which may be large"
    assert np.array_equal(loads(dumps(source)).read(3, 20), IMAGES[3:20])


def changed(value):
    """Return the images with one value changed, in nested lists."""
    images = np.moveaxis(IMAGES, -1, 1).tolist()
    images[7][1][4][5] = value
    return pa.array(images, LISTS)


def without(depth):
    """Return the images with one list missing."""
    images = np.moveaxis(IMAGES, -1, 1).tolist()
    if depth == 0:
        images[7] = None
    else:
        images[7][1] = images[7][1][:4]
    return pa.array(images, LISTS)


WRONG = {
    "no images": ({"X_jets": None}, r"no column 'X_jets'; the file has 'pt', 'y'$"),
    "no labels": ({"y": None}, r"no column 'y'; the file has 'X_jets', 'pt'; if it has no labels, --label"),
    "no variable": ({"pt": None}, r"no column 'pt'; the file has 'X_jets', 'y'$"),
    "text in place of images": (
        {"X_jets": ["quark"] * 25},
        r"X_jets has type string, expected numbers in nested or flat lists or Arrow tensors of \(5, 6, 2\)",
    ),
    "lists in lists": (
        {"X_jets": pa.array(IMAGES.reshape(25, 5, 12).tolist())},
        r"X_jets has type list<.*, expected numbers in nested or flat lists",
    ),
    "short flat lists": (
        {"X_jets": pa.array(IMAGES.reshape(25, -1)[:, 1:].tolist())},
        r"X_jets\[0\] has length 59, expected 60 values, which are an image of 5 x 6 x 2",
    ),
    "lists of another fixed size": (
        {"X_jets": pa.array(IMAGES[:, :4].tolist(), pa.list_(pa.list_(pa.list_(pa.float32(), 2), 6), 4))},
        r"X_jets has shape \(25, 4, 6, 2\), expected rows of \(2, 5, 6\) or \(60,\)$",
    ),
    "another name": ({"y": ["charm"] * 25}, r"y\[0\] = 'charm'; labels must be 'gluon', 'quark'"),
    "channel last": (
        {"X_jets": pa.array(IMAGES.tolist(), LISTS)},
        r"X_jets\[0\] has length 5, expected nested lists \(2, 5, 6\); image.layout = .channel-last. may fit",
    ),
    "a short image": ({"X_jets": without(1)}, r"X_jets\[7, 1\] has length 4, expected nested lists \(2, 5, 6\)"),
    "a missing image": ({"X_jets": without(0)}, r"X_jets\[7\] is missing"),
    "a missing value": ({"X_jets": changed(None)}, r"X_jets\[7, 1, 4, 5\] is missing"),
    "an infinite value": ({"X_jets": changed(-np.inf)}, r"X_jets\[7, 1, 4, 5\] = -inf is not finite"),
    "an inexact value": ({"X_jets": changed(0.1)}, r"X_jets\[7, 1, 4, 5\] = 0.1 is not exact in float32"),
    "a missing image in bytes": (
        {"X_jets": pa.array([IMAGES[0].tobytes(), None] * 12 + [None], pa.binary(240))},
        r"X_jets\[1\] is missing",
    ),
    "too few bytes": (
        {"X_jets": pa.array([bytes(120)] * 25, pa.binary(120))},
        r"X_jets has 120 bytes per row, expected 240 for float32 \(5, 6, 2\)",
    ),
    "bytes that are not finite": (
        {"X_jets": pa.array([np.full(60, np.inf, "<f4").tobytes()] * 25, pa.binary(240))},
        r"X_jets\[0, 0, 0, 0\] = inf is not finite",
    ),
    "another label": ({"y": np.full(25, 2)}, r"y\[0\] = 2; labels must be 0 \(gluon\), 1 \(quark\)"),
    "a missing label": ({"y": pa.array([1.0] * 24 + [None])}, r"y\[24\] = nan; labels must be"),
    "a variable that is not finite": ({"pt": [1.0] * 24 + [np.nan]}, r"pt\[24\] = nan is not finite"),
    "a variable too large for float32": ({"pt": [1.0] * 24 + [1e39]}, r"pt\[24\] = 1e\+39 is not finite"),
}


@pytest.mark.parametrize("groups", [(1,) * 25, (25,)], ids=["one row per group", "one group"])
@pytest.mark.parametrize(("columns", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_refused_with_the_rule_and_the_value(tmp_path, columns, message, groups):
    path = write(tmp_path / "a.parquet", table(**columns), groups)

    def use():
        source = open_source(path, TINY)
        source.labels(), source.variables(), source.read(0, 25)

    with pytest.raises(SourceError, match=f"^{path}: {message}"):
        use()


def test_a_file_without_rows_or_cut_short_or_no_longer_readable_is_refused(tmp_path):
    path = write(tmp_path / "a.parquet", table(), ())
    with pytest.raises(SourceError, match=r"a\.parquet: X_jets has no rows"):
        open_source(path, TINY)
    whole = write(path, table()).read_bytes()
    path.write_bytes(whole[:-7])
    with pytest.raises(SourceError, match=r"a\.parquet: not a readable Parquet file \(.*footer"):
        open_source(path, TINY)
    path.write_bytes(b"PAR1" + bytes(len(whole) // 2) + whole[len(whole) // 2 + 4 :])
    source = open_source(path, TINY)
    with pytest.raises(OSError, match=r"a\.parquet: rows 0 to 4 cannot be read \("):
        source.read(0, 5)
    with pytest.raises(OSError, match=r"a\.parquet: y cannot be read \("):
        source.labels()
    with pytest.raises(OSError, match=r"a\.parquet: columns of numbers cannot be read \("):
        source.variables()


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet", table())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"a\.parquet: pyarrow is not installed; .*'calostream\[parquet\]'"):
        open_source(path, TINY)
