import json
import re
import shutil

import numpy as np
import pytest
import zarr

from store.digests import read_digests, write_digests
from tests.examples import run_ingest, showers, write_hdf5


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with two sources and their store; no test changes it."""
    folder = tmp_path_factory.mktemp("verify")
    for code, name in enumerate(("photons", "electrons")):
        write_hdf5(folder / f"{name}.hdf5", showers(60, code), code, chunks=(7, 32, 32, 2), compression="gzip")
    sources = folder / "photons.hdf5", folder / "electrons.hdf5"
    assert run_ingest(*sources, "--output", folder / "out.zarr").status == 0
    return folder


@pytest.fixture
def copy(made, tmp_path):
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def verify(folder, *sources):
    return run_ingest("verify", folder / "out.zarr", *(folder / source for source in sources))


def errors(outcome):
    return re.findall(r"^error: (.*)$", outcome.err, re.MULTILINE)


def test_a_good_store_is_equal_to_its_sources_and_digests(made):
    outcome = verify(made, "photons.hdf5", "electrons.hdf5")
    assert outcome.status == 0, outcome.err
    files = len(read_digests(made / "out.zarr"))
    assert f"{files:,} files equal to their digests, 120 images equal to their sources" in outcome.out


def test_sources_may_come_in_any_order_or_only_some(made):
    assert "120 images" in verify(made, "electrons.hdf5", "photons.hdf5").out
    assert "60 of 120 images" in verify(made, "electrons.hdf5").out
    assert "no sources given, images not compared" in verify(made).out


def test_every_file_has_a_digest_and_a_flipped_bit_in_any_is_named(copy):
    store = copy / "out.zarr"
    names = sorted(read_digests(store))
    on_disk = {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()}
    assert on_disk - set(names) == {"image/SHA256SUMS"}
    random = np.random.default_rng(0)
    for name in random.choice(names, 8, replace=False):
        whole = (store / name).read_bytes()
        flipped = bytearray(whole)
        flipped[random.integers(len(whole))] ^= 1 << random.integers(8)
        (store / name).write_bytes(flipped)
        outcome = verify(copy)
        assert outcome.status == 1
        assert any(f"{store / name}: sha256" in line for line in errors(outcome)), outcome.err
        (store / name).write_bytes(whole)
    assert verify(copy).status == 0


def test_a_missing_and_a_foreign_file_are_named(copy):
    store = copy / "out.zarr"
    (store / "image" / "c.0.0.0.0").unlink()
    (store / "image" / "c.7.0.0.0").write_text("foreign")
    outcome = verify(copy)
    assert outcome.status == 1
    assert f"{store}/image/c.0.0.0.0: missing" in errors(outcome)
    assert f"{store}/image/c.7.0.0.0: not among the recorded digests" in errors(outcome)


def test_an_image_that_is_not_its_source_row_is_named_although_digests_agree(copy):
    store = copy / "out.zarr"
    image = zarr.open_array(store / "image")
    changed = image[:]
    changed[17, 16, 16, 0] += 1
    image[:] = changed
    write_digests(store)
    outcome = verify(copy, "photons.hdf5", "electrons.hdf5")
    assert outcome.status == 1
    (line,) = errors(outcome)
    assert re.search(r"1 samples differ from .*/(photons|electrons)\.hdf5: 17$", line)


def test_a_label_that_is_not_that_of_its_source_row_is_named(copy):
    store = copy / "out.zarr"
    label = zarr.open_array(store / "label")
    label[3] = 1 - label[3]
    write_digests(store)
    (line,) = errors(verify(copy, "photons.hdf5", "electrons.hdf5"))
    assert re.search(r"1 samples differ from .*: 3$", line)


def test_a_split_that_does_not_agree_with_its_ranges_is_named(copy):
    store = copy / "out.zarr"
    zarr.open_array(store / "split")[0] = 2
    write_digests(store)
    (line,) = errors(verify(copy))
    assert line.endswith("split: does not agree with split_ranges")


def test_an_array_of_another_type_is_named(copy):
    store = copy / "out.zarr"
    metadata = json.loads((store / "label" / "zarr.json").read_text())
    metadata["dimension_names"] = ["row"]
    (store / "label" / "zarr.json").write_text(json.dumps(metadata))
    write_digests(store)
    outcome = verify(copy)
    assert outcome.status == 1
    assert any("label: is" in line and "the format says" in line for line in errors(outcome))


def test_a_file_that_is_no_source_of_the_store_is_refused(copy):
    write_hdf5(copy / "other.hdf5", showers(60, 5), 1)
    outcome = verify(copy, "other.hdf5")
    assert outcome.status == 1
    assert re.search(r"other\.hdf5: sha256 .* matches none of the store's sources \(photons.hdf5, elect", outcome.err)


def test_a_store_without_a_record_of_digests_is_refused(copy):
    (copy / "out.zarr" / "image" / "SHA256SUMS").unlink()
    outcome = verify(copy)
    assert outcome.status == 1
    assert "SHA256SUMS: no readable record of digests" in outcome.err


def test_recomputed_statistics_are_verified_again(copy):
    assert run_ingest("statistics", copy / "out.zarr").status == 0
    assert verify(copy, "photons.hdf5").status == 0
