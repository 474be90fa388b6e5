import subprocess
import sys
from pathlib import Path


def test_attention_is_measured_in_both_precisions() -> None:
    few = ("--batch", "4", "--tokens", "3", "--rounds", "1")
    program = (sys.executable, "-m", "tests.benchmarks.bench_attention", *few)
    done = subprocess.run(program, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for precision in ("float32", "bfloat16"):
        assert f"the framework's own, {precision}" in done.stdout
        assert f"written out, {precision}" in done.stdout
