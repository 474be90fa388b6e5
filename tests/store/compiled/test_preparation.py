"""Everything that a stream of batches runs is compiled before it starts, and the terminal says so."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from store.compiled import decode, permutation, symmetries
from store.compiled.preparation import prepare, prepare_symmetries
from store.datasets import ELECTRON_PHOTON
from store.plans.shuffles import SHUFFLES
from store.stream import BatchStream
from train.augmentation import Augmentation

def signatures():
    functions = [value for module in (decode, permutation, symmetries) for value in vars(module).values()]
    return {f.__name__: f.signatures for f in functions if hasattr(f, "signatures")}

prepare()
prepare_symmetries()
prepared = signatures()
assert prepared["decode_samples"] and prepared["fill_group"] and prepared["apply_random_symmetries"]
change = Augmentation(name="flips", spec=ELECTRON_PHOTON, seed=1)
for shuffle in SHUFFLES:
    list(BatchStream(sys.argv[1], split="test", batch_size=32, shuffle=shuffle, transform=change))
assert signatures() == prepared, (prepared, signatures())
"""


def test_a_stream_runs_what_was_prepared_and_its_compilation_is_announced_once(showers: Path, tmp_path: Path) -> None:
    def run() -> list[str]:
        words = [sys.executable, "-c", SCRIPT, showers]
        done = subprocess.run(
            words, env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}, stderr=subprocess.PIPE, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stderr.splitlines()

    assert [line.split(",")[0] for line in run()] == ["compiling the decoder", "compiling the augmentation"]
    assert run() == []
