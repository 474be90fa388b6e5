"""Shared by all tests: a store of showers, hypothesis profiles, and options for tests that run only if asked for."""

import os
from pathlib import Path

import hypothesis
import pytest

# No test may open a window; pyplot chooses its backend when it is first imported.
os.environ.setdefault("MPLBACKEND", "agg")
# Two test processes keep two cores busy; more threads in each would only take processor time from the other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# As in train-torch: on a busy machine, OpenMP threads that spin while they wait use ten times the processor time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# No deadline: no test may depend on how busy the machine is. `pytest --hypothesis-profile thorough` tries more.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=50, print_blob=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile("quick")

OPT_IN = {
    "slow": "takes minutes; run with: ./pixiw run test --slow",
    "faults": "interrupts ingest at many points; run with: ./pixiw run faults",
    "fuzz": "tries thousands of damaged inputs, for half an hour or more; run with: ./pixiw run fuzz",
    "gpu": "needs a GPU; run with: ./pixiw run -e gpu-torch test --gpu (or -e gpu-keras)",
}


@pytest.fixture(scope="session")
def showers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store of 200 showers per class: 240 for training, 80 for validation, 80 for the test."""
    from tests.showers import write_shower_store  # `pytest --help` needs none of the libraries

    return write_shower_store(tmp_path_factory.mktemp("showers"), 200)


@pytest.fixture(scope="session")
def three_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store of 60 images of three classes, with weights and with event numbers in int64."""
    from tests.examples import run_ingest
    from tests.three_classes import make_samples, write_description, write_hdf5  # imports pyarrow

    folder = tmp_path_factory.mktemp("three-classes")
    source = write_hdf5(folder / "a.hdf5", make_samples(60, 1))
    store = folder / "three.zarr"
    outcome = run_ingest(source, "--dataset", write_description(folder / "three.toml"), "--output", store)
    assert outcome.status == 0, outcome.err
    return store


def pytest_addoption(parser: pytest.Parser) -> None:
    for marker, reason in OPT_IN.items():
        parser.addoption(f"--{marker}", action="store_true", help=f"also run the tests marked {marker}: {reason}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for marker, reason in OPT_IN.items():
        if not config.getoption(marker):
            for item in items:
                if item.get_closest_marker(marker):
                    item.add_marker(pytest.mark.skip(reason=f"{marker}: {reason}"))
