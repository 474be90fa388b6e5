import io
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from store import npz
from store.npz import read_npz

GOOD = {
    "numbers": np.arange(6, dtype=np.float32).reshape(2, 3),
    "one": np.array(7, np.int64),
    "text": np.array("ü and more"),
    "none": np.zeros((0, 4), np.uint8),
    "transposed": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "swapped": np.arange(3, dtype=">i4"),
    "flags": np.array([True, False]),
}


def saved(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def with_header(shape: str = "(3,)", kind: str = "'<f8'") -> bytes:
    header = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(24)


def write(path: Path, *members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.NameToInfo.pop(name, None)  # zipfile warns about two members of one name
            archive.writestr(name, content)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_read_as_numpy_reads_them(tmp_path: Path, save: Callable[..., None]) -> None:
    save(tmp_path / "a.npz", **GOOD)
    arrays = read_npz(tmp_path / "a.npz")
    assert list(arrays) == list(GOOD)
    for name, expected in GOOD.items():
        assert arrays[name].dtype == expected.dtype
        np.testing.assert_array_equal(arrays[name], expected)
    assert list(read_npz(tmp_path / "a.npz", ["one"], ["text", "more"])) == ["one", "text"]


def test_arrays_larger_than_a_block_are_read_whole(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random(400_000)
    np.savez(tmp_path / "a.npz", a=values)
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz")["a"], values)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("a.npy", with_header("(100000000000,)"))], r"'a' should have shape \(100000000000,\).* but has 24 bytes"),
        ([("a.npy", with_header("(2,)"))], "but has 24 bytes"),
        ([("a.npy", with_header("(-1,)"))], r"the shape of 'a' is '\(-1,\)'"),
        ([("a.npy", with_header("(2.5,)"))], "the shape of 'a'"),
        ([("a.npy", with_header("((((("))], "the header of 'a' is damaged"),
        ([("a.npy", with_header("'''"))], "the header of 'a' is damaged"),  # TokenError in numpy
        ([("a.npy", with_header(kind="'|O'"))], "'a' has type '|O', expected booleans, numbers or text"),
        ([("a.npy", with_header(kind="[('x', '<f8')]"))], "expected booleans, numbers or text"),
        ([("a.npy", with_header(kind="'<U1000000000'"))], "expected booleans, numbers or text"),
        ([("a.npy", with_header(kind="'<U0'"))], "expected booleans, numbers or text"),
        ([("a.npy", with_header(kind="'<f99'"))], "f99"),
        ([("a.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\x7f")], "'a' has a header of 2147483647 bytes"),
        ([("a.npy", b"hello")], "'a' is no array"),
        ([("a.npy", b"")], "'a' is no array"),
        ([("a.txt", saved(np.zeros(3)))], "'a.txt' is no array"),
        ([("\x1b[2J", saved(np.zeros(3)))], r"'\\x1b\[2J' is no array"),
        ([("a.npy", saved(np.zeros(3)))] * 2, "it has two arrays named 'a'"),
        ([("b.npy", saved(np.zeros(3)))], "it lacks a"),
    ],
)
def test_what_is_no_plain_array_is_refused(tmp_path: Path, members: list[tuple[str, bytes]], message: str) -> None:
    write(tmp_path / "a.npz", *members)
    tracemalloc.start()
    with pytest.raises(ValueError, match=message):
        read_npz(tmp_path / "a.npz", ["a"])
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_small_file_does_not_take_much_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(1 << 17))
    assert read_npz(tmp_path / "a.npz")["a"].size == 1 << 17
    monkeypatch.setattr(npz, "HARMLESS_BYTES", 1 << 18)
    with pytest.raises(ValueError, match=r"would take 1048704 bytes of memory, \d{3} times those of the file"):
        read_npz(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", a=np.zeros(1 << 17))
    assert read_npz(tmp_path / "a.npz")["a"].size == 1 << 17


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_no_other_compression_is_read(tmp_path: Path, method: int) -> None:
    write(tmp_path / "a.npz", ("a.npy", saved(np.zeros(3))), method=method)
    with pytest.raises(ValueError, match="'a' is encrypted or compressed by another method than deflate"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_no_flipped_byte_gives_other_values_or_another_error(tmp_path: Path, save: Callable[..., None]) -> None:
    path = tmp_path / "a.npz"
    save(path, a=np.arange(10), b=np.array("text"))
    good = path.read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for place in range(len(good)):
        content = bytearray(good)
        content[place] ^= 1 << random.integers(8)
        path.write_bytes(content)
        try:
            arrays = read_npz(path, ["a", "b"])
        except ValueError:
            refused += 1
        else:
            assert arrays["a"].tolist() == list(range(10))
            assert str(arrays["b"]) == "text"
    assert refused > len(good) / 2


def test_text_that_is_no_archive_and_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("hello")
    for path in (tmp_path / "a.npz", tmp_path):
        with pytest.raises(ValueError, match=r"not a zip file|directory"):
            read_npz(path)
    with pytest.raises(FileNotFoundError, match=re.escape("b.npz")):
        read_npz(tmp_path / "b.npz")
