from pathlib import Path

import numpy as np
import pytest

from store.stream import BatchStream
from tests.benchmarks import billion
from tests.benchmarks.images import Images, rows_of
from tests.benchmarks.write_store import write_store


def test_the_linked_store_is_a_store_that_repeats_another(tmp_path: Path) -> None:
    showers = billion.full_shards(300)
    images = Images(count=showers)
    large = billion.link_store(write_store(tmp_path / "small.zarr", images), tmp_path / "large.zarr", 4)
    seen = []
    for batch in BatchStream(large, split="train", batch_size=128, shuffle="full"):
        assert np.array_equal(rows_of(batch.image), batch.sample % showers)
        assert np.array_equal(batch.label, images.labels()[batch.sample % showers])
        seen += batch.sample.tolist()
    assert sorted(seen) == list(range(4 * showers))


@pytest.mark.slow
def test_both_stores_are_measured(tmp_path: Path) -> None:
    words = ["--few", "300", "--many", "1200", "--starts", "1", "--rounds", "1", "--batches", "2"]
    figures = billion.main([*words, "--folder", str(tmp_path)])
    assert list(figures) == ["320", "1,280"]
    assert all(set(figures[name]) >= set(billion.HEADINGS) for name in figures)
    assert figures["1,280"]["ratio"] > 0
    assert not list(tmp_path.iterdir())
