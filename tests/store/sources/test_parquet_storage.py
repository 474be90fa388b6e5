"""Parquet files that promise more than they hold, or hold it in an odd way."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from store.errors import SourceError
from store.sources import parquet_storage
from store.sources.opening import open_source
from tests.fuzz.parquet import image_column
from tests.page_headers import write_number
from tests.store.sources.test_parquet import FORMS, IMAGES, TINY, as_lists, lists, table, write

MANY = np.tile(IMAGES, (80, 1, 1, 1))  # 480 kB


def write_many(path, images=None, **options):
    """Write 2,000 images in one row group."""
    columns = {"X_jets": as_lists(MANY) if images is None else images}
    columns |= {"pt": np.arange(2000) + 70.5, "y": np.arange(2000) % 2.0}
    pq.write_table(pa.table(columns), path, row_group_size=2000, **options)
    return path


def read_all(path):
    source = open_source(path, TINY)
    source.labels(), source.variables()
    assert sum(map(len, source.pieces(0, source.rows))) == source.rows


def check_refused(path, message):
    with pytest.raises(SourceError, match=f"^{re.escape(str(path))}: {message}$"):
        read_all(path)


PLAIN = {"use_dictionary": False, "data_page_size": 1 << 30}
DAMAGED = "; the file is damaged"
PROMISES = {
    "values": ("X_jets", "values", PLAIN, r"the pages promise [\d,]+ values, but the footer 120,000"),
    "values of a column": ("pt", "values", PLAIN, "the pages promise 8,191 values, but the footer 2,000"),
    "a dictionary": ("X_jets", "values", {}, r"a dictionary promises [\d,]+ values in [\d,]+ bytes"),
    "bytes": ("X_jets", "stored", PLAIN, r"the page at byte 4 promises [\d,]+ bytes, but only [\d,]+ remain in .*"),
}


@pytest.mark.parametrize(("column", "number", "options", "message"), PROMISES.values(), ids=PROMISES)
def test_pages_that_promise_more_than_there_is_are_not_read(tmp_path, column, number, options, message):
    few = as_lists(np.arange(MANY.size).reshape(MANY.shape) % 65)
    path = write_many(tmp_path / "a.parquet", few, **options)
    read_all(path)
    write_number(path, column, number)
    check_refused(path, f"{column} in row group 0: {message}{DAMAGED}")


def test_a_page_that_promises_more_than_the_footer_is_not_decompressed(tmp_path, monkeypatch):
    path = write_many(tmp_path / "a.parquet", **PLAIN)
    size = pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size
    monkeypatch.setattr(parquet_storage, "SMALL_PAGE", 0)
    read_all(path)
    promised = write_number(path, "X_jets", "decompressed")
    check_refused(path, f"X_jets in row group 0: a page promises {promised:,} bytes, but the footer {size:,}{DAMAGED}")


def test_a_page_without_a_valid_header_is_refused(tmp_path):
    path = write_many(tmp_path / "a.parquet", **PLAIN)
    data = path.read_bytes()
    for header in (b"\xff" * 20, b"\x18\xff\xff\xff\xff\x0f", b"\x1c" * 20, b"\x19\xf5\xff\xff\xff\x0f"):
        path.write_bytes(data[:4] + header + data[4 + len(header) :])
        check_refused(path, rf"X_jets in row group 0: the page at byte 4 (has no valid header|promises .*){DAMAGED}")


def test_a_small_file_with_very_many_rows_is_refused(tmp_path):
    rows = 1_000_000
    image = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([IMAGES[0].tobytes()], pa.binary(240)))
    zeros = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([0.0]))
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"X_jets": image, "pt": zeros, "y": zeros}), path, store_schema=False)
    size = path.stat().st_size
    assert size < 100_000
    check_refused(path, f"y promises 1,000,000 rows in a file of {size:,} bytes{DAMAGED}")


def test_rows_that_need_more_than_the_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("store.sources.memory.ROW_BYTES", 1 << 40)
    check_refused(write(tmp_path / "a.parquet", table()), r"the columns of its 25 rows need .* GB of memory, .*")


def test_a_footer_without_the_data_is_refused(tmp_path):
    whole = write(tmp_path / "a.parquet", table(), (25,)).read_bytes()
    path = tmp_path / "b.parquet"
    path.write_bytes(b"PAR1" + whole[-8 - int.from_bytes(whole[-8:-4], "little") :])
    check_refused(
        path, r"y in row group 0 is promised at bytes .*, but the file has .* bytes; it is damaged or incomplete"
    )


def test_a_footer_of_other_files_is_refused_with_the_name_of_one(tmp_path):
    metadata = pq.read_metadata(write(tmp_path / "a.parquet", table(), (25,)))
    metadata.set_file_path("a.parquet")
    metadata.write_metadata_file(tmp_path / "_metadata")
    message = r"y in row group 0 is in another file, 'a\.parquet'; give that file as a source instead"
    check_refused(tmp_path / "_metadata", message)


def test_rows_that_a_row_group_promises_and_lacks_are_refused(tmp_path):
    path = write(tmp_path / "a.parquet", table(), (25,))
    whole = path.read_bytes()
    start = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    footer = whole[start:-8].replace(b"\x16\x32", b"\x16\x34")  # 25 and 26, as Thrift writes numbers of 64 bits
    path.write_bytes(whole[:start] + footer + whole[-8:])
    source = open_source(path, TINY)
    assert source.rows == 26
    assert np.array_equal(source.read(3, 20), IMAGES[3:20])
    with pytest.raises(SourceError, match=r"a\.parquet: X_jets has no row 25, but row group 0 promises rows up to 25$"):
        list(source.pieces(0, 26))
    with pytest.raises((SourceError, OSError), match=r"a\.parquet: (y has 25 values|columns of numbers cannot)"):
        source.labels()


def test_row_groups_with_a_wrong_number_of_values_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    images = np.moveaxis(IMAGES, -1, 1).tolist()
    images[7][1][4] *= 1000
    path = write(tmp_path / "a.parquet", table(X_jets=pa.array(images)), (25,))
    check_refused(path, r"X_jets\[7, 1, 4\] has length 6000, expected nested lists \(2, 5, 6\)")
    monkeypatch.setattr(parquet_storage, "MANY_VALUES", 5000)
    check_refused(path, "X_jets in row group 0 has 7,494 values in 25 rows, expected 1,500")


def test_row_groups_are_not_read_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_storage, "BUFFER_BYTES", 1 << 14)
    for name, size in (("PIECE_BYTES", 1 << 14), ("BATCH_BYTES", 1 << 12)):
        monkeypatch.setattr(f"store.sources.parquet.{name}", size)
    images = np.random.default_rng(0).random((20_000, 2, 5, 6), np.float32)
    columns = {"X_jets": image_column(images), "pt": np.zeros(len(images)), "y": np.zeros(len(images))}
    options = {"use_dictionary": False, "data_page_size": 1 << 16, "row_group_size": len(images)}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", **options)
    source = open_source(tmp_path / "a.parquet", TINY)
    source.labels()
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    most = max(pool.bytes_allocated() - before for _ in source.pieces(0, source.rows))
    assert most < images.nbytes / 8


def test_the_memory_for_reading_counts_the_pages_that_are_held_at_once(tmp_path):
    def needed(images, page_bytes):
        columns = {"X_jets": image_column(images), "pt": np.zeros(len(images)), "y": np.zeros(len(images))}
        options = {"use_dictionary": False, "data_page_size": page_bytes, "row_group_size": len(images)}
        pq.write_table(pa.table(columns), tmp_path / "a.parquet", **options)
        return open_source(tmp_path / "a.parquet", TINY).reading_bytes

    images = np.zeros((20_000, 2, 5, 6), np.float32)  # 4.8 MB, in one page or several
    least = needed(images[:1], 1 << 20)
    assert needed(images, 1 << 18) < least + images.nbytes
    assert needed(images, 1 << 30) > least + 3 * images.nbytes


def test_two_columns_of_one_name_are_refused_unless_the_name_is_not_read(tmp_path):
    for name in ("X_jets", "pt", "y"):
        twice = table().append_column(name, pa.array(np.zeros(25)))
        check_refused(
            write(tmp_path / "a.parquet", twice), f"2 columns are called '{name}'; rename or remove all but one"
        )
    twice = table().append_column("weight", pa.array(np.ones(25))).append_column("weight", pa.array(np.ones(25)))
    source = open_source(write(tmp_path / "a.parquet", twice), TINY)
    assert source.read(0, 25).shape == IMAGES.shape
    with pytest.raises(SourceError, match="2 columns are called 'weight'"):
        source.column("weight")


def test_columns_whose_names_begin_alike_are_told_apart(tmp_path):
    names = {"X_jets.pt": np.zeros(25), "y.true": np.ones(25), "pt.raw": np.zeros(25)}
    path = write(tmp_path / "a.parquet", pa.table({**names, **dict(zip(table().column_names, table(), strict=True))}))
    source = open_source(path, TINY)
    assert np.array_equal(source.read(0, 25), IMAGES)
    assert np.array_equal(source.labels(), np.arange(25) % 2)
    assert np.array_equal(source.variables()["pt"], np.arange(25) + np.float32(70.5))


LABELS = pa.array([row % 2 for row in range(25)])
NUMBERS = {
    "dictionary": LABELS.dictionary_encode(),
    "dictionary of double": LABELS.cast(pa.float64()).dictionary_encode(),
    "decimal": LABELS.cast(pa.decimal128(25, 2)),
    "half": LABELS.cast(pa.float16()),
    "unsigned": LABELS.cast(pa.uint64()),
    "extension": pa.ExtensionArray.from_storage(pa.bool8(), LABELS.cast(pa.int8())),
}


@pytest.mark.parametrize("labels", NUMBERS.values(), ids=NUMBERS)
def test_numbers_of_odd_types_are_read(tmp_path, labels):
    source = open_source(write(tmp_path / "a.parquet", table(y=labels)), TINY)
    assert np.array_equal(source.labels(), np.arange(25) % 2)


def test_decimals_without_a_fraction_are_integers(tmp_path):
    events = 2**53 + np.arange(25)
    column = pa.array(events).cast(pa.decimal128(20, 0))
    variable = open_source(write(tmp_path / "a.parquet", table(pt=column)), TINY).variables()["pt"]
    assert variable.dtype == np.int64
    assert np.array_equal(variable, events)
    column = pa.array([1] * 24 + [2**63], pa.decimal128(20, 0))
    with pytest.raises(SourceError, match=r"a\.parquet: pt\[24\] = 9223372036854775808; integers must be at most"):
        open_source(write(tmp_path / "a.parquet", table(pt=column)), TINY).variables()


NO_NUMBERS = {
    "null": (pa.nulls(25), "null"),
    "text": (pa.array(["1"] * 25), "string"),
    "dictionary of text": (pa.array(["1"] * 25).dictionary_encode(), "dictionary<.*string.*>"),
    "time": (pa.array(range(25), pa.timestamp("s")), r"timestamp\[.*\]"),
    "bytes": (pa.array([b"1"] * 25), "binary"),
    "list": (pa.array([[1.0]] * 25), "list<.*>"),
    "struct": (pa.array([{"\x1b[2J": 1.0}] * 25), r"struct<\\x1b\[2J: double>"),
}


@pytest.mark.parametrize(("values", "kind"), NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_what_is_no_number_is_refused_with_its_type(tmp_path, values, kind):
    check_refused(write(tmp_path / "a.parquet", table(pt=values)), f"pt has type {kind}, expected numbers")
    wanted = r"expected numbers in nested or flat lists or Arrow tensors of \(5, 6, 2\), .*"
    expected = r"X_jets\[0\] has length 1, .*" if "list" in kind else f"X_jets has type {kind}, {wanted}"
    check_refused(write(tmp_path / "a.parquet", table(X_jets=values)), expected)


NESTED = {
    "lists": lists(pa.float32()),
    "large lists": pa.large_list(pa.large_list(pa.large_list(pa.float32()))),
    "lists of fixed size": pa.list_(pa.list_(pa.list_(pa.float64(), 6), 5), 2),
}


@pytest.mark.parametrize("kind", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("depth", range(4))
def test_what_is_missing_at_any_depth_is_refused_with_its_place(tmp_path, kind, depth):
    images = np.moveaxis(IMAGES, -1, 1).tolist()
    place = images
    for index in (7, 1, 4, 5)[:depth]:
        place = place[index]
    place[(7, 1, 4, 5)[depth]] = None
    index = ", ".join(map(str, (7, 1, 4, 5)[: depth + 1]))
    for groups in ((1,) * 25, (25,)):
        path = write(tmp_path / "a.parquet", table(X_jets=pa.array(images, kind)), groups)
        check_refused(path, rf"X_jets\[{index}\] is missing")


def test_half_precision_is_stored_without_loss(tmp_path):
    halves = IMAGES.astype(np.float16)
    source = open_source(write(tmp_path / "a.parquet", table(X_jets=as_lists(halves, lists(pa.float16())))), TINY)
    assert np.array_equal(source.read(0, 25), halves.astype(np.float32))


def test_a_damaged_page_with_a_checksum_is_noticed(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(
        table(X_jets=FORMS["bytes"]), path, write_page_checksum=True, use_dictionary=False, compression="none"
    )
    data = bytearray(path.read_bytes())
    data[data.index(IMAGES[3].tobytes()) + 2] ^= 1  # a value changes slightly
    path.write_bytes(data)
    with pytest.raises(OSError, match=r"a\.parquet: rows 0 to 24 cannot be read \(.*CRC"):
        open_source(path, TINY).read(0, 25)


def test_messages_of_pyarrow_are_one_line_without_control_characters():
    with (
        pytest.raises(SourceError, match=r"^a: cannot be read \(two lines \\x1b\[2J\)$"),
        parquet_storage.name_errors("a", "cannot be read", SourceError),
    ):
        raise pa.ArrowInvalid("two\n lines \x1b[2J")
