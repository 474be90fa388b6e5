"""A store for tests that read; none of them changes it."""

from pathlib import Path

import pytest

from tests.examples import write_store


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store of 500 tell-tale images: 350 for training, 53 for validation, 97 for the test."""
    return write_store(tmp_path_factory.mktemp("made-up") / "store.zarr")
