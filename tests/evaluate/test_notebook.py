"""docs/electron-photon: the script in jupytext's format, and the notebook made from it, with its outputs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TEXT = DOCS / "electron-photon.py"
SHOWERS = 200  # showers of each class; a fifth of them are the test split


def cells_of_text():
    """Kind and content of each cell of jupytext's percent format."""
    parts = re.split(r"^# %%(.*)\n", TEXT.read_text(), flags=re.MULTILINE)[1:]
    for kind, content in zip(parts[::2], parts[1::2], strict=True):
        markdown = "[markdown]" in kind
        if markdown:
            content = re.sub(r"^# ?", "", content, flags=re.MULTILINE)
        yield "markdown" if markdown else "code", content.strip()


@pytest.fixture(scope="module")
def notebook():
    return json.loads((DOCS / "electron-photon.ipynb").read_text())


def test_the_notebook_is_its_text(notebook):
    cells = [(cell["cell_type"], "".join(cell["source"]).strip()) for cell in notebook["cells"]]
    assert cells == list(cells_of_text())


def test_the_notebook_holds_what_its_cells_gave(notebook):
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert all(cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    assert "error" not in {output["output_type"] for output in outputs}
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 8
    text = "".join(line for output in outputs for line in output.get("text", []))
    assert "origin: Geant4 simulation" in text
    assert len(re.findall(r"^(?:torch|keras) \w+ +AUC 0\.\d{4} \+- 0\.\d{4}  accuracy 0\.\d{4}$", text, re.M)) == 6
    assert not re.search(r"/(?:home|root|tmp|work)/", text)


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_its_results_are_those_of_the_demo_in_the_readme(notebook, framework):
    text = "".join(
        line for cell in notebook["cells"] for output in cell.get("outputs", []) for line in output.get("text", [])
    )
    (here,) = re.findall(rf"^{framework} test +AUC (0\.\d+)", text, re.M)
    (readme,) = re.findall(rf"^demo-{framework} .* test +(0\.\d+) ± ", (ROOT / "README.md").read_text(), re.M)
    assert float(readme) == round(float(here), len(readme) - 2)


def shorten(text, folder):
    """Return the script with one epoch of a small network on some of the bundled showers."""
    sources = []
    for source in sorted((ROOT / "ingest" / "sample" / "electron-photon").glob("*.hdf5")):
        sources.append(str(folder / source.name))
        with h5py.File(source) as whole, h5py.File(sources[-1], "w") as part:
            part.attrs.update(whole.attrs)
            for name, column in whole.items():
                part[name] = column[:SHOWERS]
    assert len(sources) == 2
    for whole, short in {
        '"--batch-size", "64"': '"--batch-size", "64", "--epochs", "1", "--model", "cnn-small"',
        '["--sample"]': str(sources),
    }.items():
        assert text.count(whole) == 1
        text = text.replace(whole, short)
    return text


@pytest.mark.slow
def test_the_text_runs_from_files_to_scores(tmp_path):
    script = tmp_path / "short.py"
    script.write_text(shorten(TEXT.read_text(), tmp_path))
    environment = os.environ | {"MPLBACKEND": "agg", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "notebook" / "scores.csv").read_text().count("\n") == 1 + 2 * SHOWERS // 5
    assert (tmp_path / "data" / "notebook" / "report" / "index.html").is_file()
