"""The benchmark of GPUs runs in small on the CPU, keeps to its time, and says what it did not measure."""

import json
import time
from pathlib import Path

import pytest

from tests.benchmarks import bench_gpu
from tests.benchmarks.gpu.process import FailedError, processes
from tests.benchmarks.gpu.rows import FULL, SMALL, rows
from tests.benchmarks.gpu.table import gpu_tables

QUICK = ["rates", "feeds", "training", "epochs", "peers"]


@pytest.mark.parametrize(
    ("framework", "sections"),
    [
        ("torch", QUICK),
        pytest.param("torch", ["auc"], marks=pytest.mark.slow),
        pytest.param("keras", [*QUICK, "auc"], marks=pytest.mark.slow),
    ],
)
def test_everything_is_measured_in_small(framework: str, sections: list[str], tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    words = [
        "--small",
        "--device",
        "cpu",
        "--framework",
        framework,
        "--threads",
        "1",
        "--peers",
        "h5py_slices",
        "grain",
    ]
    words += ["--sections", *sections]
    report = bench_gpu.main([*words, "--folder", str(tmp_path), "--report", str(path)])
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]
    assert json.loads(path.read_text())["gpu_figures"] == report["gpu_figures"]
    measured = {(result["section"], result["name"]) for result in report["gpu_figures"]}
    assert not [failed for failed in report["not_measured"] if "grain" not in failed["name"]]
    planned = [row for row in rows(SMALL, [framework], on_gpu=False, peers=["h5py_slices"]) if row.section in sections]
    assert {(row.section, row.name) for row in planned} == measured - {("peers", "electron-photon, grain")}
    assert all(result.get("images_per_second", 1) > 0 for result in report["gpu_figures"])
    assert all(0 <= result.get("waiting_share", 0) <= 1 for result in report["gpu_figures"])
    text = gpu_tables(report)
    assert all(f"| {name} | {framework} |" in text for _, name in measured)


def test_what_does_not_fit_into_the_time_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_gpu, "PACKAGES", {"torch": "torch", "keras": "no_such_package"})
    report = bench_gpu.main(["--small", "--device", "cpu", "--minutes", "0", "--folder", str(tmp_path)])
    assert not report["gpu_figures"]
    assert {failed["reason"] for failed in report["not_measured"]} == {"no time was left"}
    assert report["missing"] == ["no_such_package is not installed: nothing is measured in it"]
    assert "- torch, rates: copy, host to device, pageable; copy on the device" in gpu_tables(report)


def test_the_most_important_is_measured_first() -> None:
    planned = rows(FULL, ["torch", "keras"], on_gpu=True, peers=["litdata"])
    assert len({(row.framework, row.section, row.name) for row in planned}) == len(planned)
    first = next(row for row in planned if row.section == "training")
    assert first.name == "shower, batch 8,192, bfloat16, graph"
    kinds = [row.section for row in planned]
    assert kinds.index("training") < kinds.index("epochs") < kinds.index("auc")
    trained = [row for row in planned if row.section == "training" and row.framework == "torch"]
    assert len(trained) == 4 * 3 * 3 * 2


def test_a_process_that_fails_or_hangs_is_replaced(tmp_path: Path) -> None:
    forever = {"kind": "fill", "amount": 8, "seconds": 1000}
    with processes("cpu", tmp_path, 1) as measuring:
        with pytest.raises(FailedError, match=r"RuntimeError: .*negative"):
            measuring.ask("torch", "rate", {**forever, "amount": -1}, 100)
        began = time.monotonic()
        with pytest.raises(FailedError, match="not finished after 1 s"):
            measuring.ask("torch", "rate", forever, 1)  # in a new process
        assert time.monotonic() - began < 60


def test_without_a_gpu_only_small_measurements_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        bench_gpu.main(["--device", "cpu", "--framework", "torch", "--folder", str(tmp_path)])
    assert end.value.code == 1
    assert "--small measures a little on the CPU" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
