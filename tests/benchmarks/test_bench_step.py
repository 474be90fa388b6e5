from pathlib import Path

from tests.benchmarks import bench_step, tables


def test_steps_are_measured(tmp_path: Path) -> None:
    few = ["--batch", "4", "--size", "64", "--seconds", "0.01", "--rounds", "1", "--networks", "shower"]
    report = tmp_path / "step.json"
    figures = bench_step.main([*few, "--frameworks", "torch", "--report", str(report)])
    assert set(figures) == {
        *(f"matrix product, {precision}" for precision in bench_step.PRECISIONS),
        *(f"shower, torch, {precision}" for precision in bench_step.PRECISIONS),
    }
    figure = figures["shower, torch, float32"]
    assert figure["gflops"] * 1e9 == figure["rate"] * figure["operations"]
    page = tmp_path / "page.md"
    (tmp_path / "benchmarks").mkdir()
    report.rename(tmp_path / "benchmarks" / "step.json")
    page.write_text("<!-- step step.json -->\n<!-- end -->")
    assert f"| shower | torch | float32 | {figure['rate']:,.0f} |" in tables.filled(page)
