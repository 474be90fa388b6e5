"""An environment for GPUs has one framework; the tests of the other are not collected there."""

import importlib.util
import os
from collections.abc import Iterator

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_torch_*.py"]

# cuBLAS gives the same bits each time only with this setting, which it reads when it is first used.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture
def exact() -> Iterator[None]:
    """Let PyTorch use only operations that give the same bits each time."""
    import torch

    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = before
