"""The site builds without a warning, has every public name and every command, and its links lead somewhere."""

import ast
import html.parser
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.test_commands import PROGRAMS, SUBCOMMANDS
from tests.pages import ROOT
from train.config import SETTINGS

pytestmark = [
    pytest.mark.skipif(
        not all(map(find_spec, ("sphinx", "myst_nb", "pydata_sphinx_theme"))),
        reason="needs the extra docs: pip install 'calostream[docs]'",
    ),
    pytest.mark.skipif(
        not all(map(find_spec, ("torch", "keras", "tensorflow"))),
        reason="the reference of both frameworks needs both: use the default environment",
    ),
]


class Page(html.parser.HTMLParser):
    """The links and anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.links |= {value for name in ("href", "src") if (value := values.get(name))}
        self.anchors |= {value for name in ("id", "name") if (value := values.get(name))}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-d",
        folder / "doctrees",
        "docs",
        folder / "html",
    ]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "default"}
    done = subprocess.run(list(map(str, words)), cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_links_within_the_site_lead_somewhere(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    assert len(pages) > 80
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages[target].anchors if target in pages else set()
            if not target.exists() or (parts.fragment and target in pages and unquote(parts.fragment) not in known):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_the_reference_has_every_public_name(site: Path) -> None:
    names = set()
    for file, module in {"__init__": "calostream", "torch": "calostream.torch", "keras": "calostream.keras"}.items():
        tree = ast.parse((ROOT / "calostream" / f"{file}.py").read_text())  # importing both frameworks takes long
        (public,) = (node.value for node in tree.body if isinstance(node, ast.Assign))
        names |= {f"{module}.{name}" for name in ast.literal_eval(public) if name != "__version__"}
    assert len(names) > 40
    assert not [name for name in names if name not in Page(site / "reference" / "generated" / f"{name}.html").anchors]


def test_the_reference_has_every_setting_with_its_default(site: Path) -> None:
    for page in ("settings.html", "generated/calostream.TrainConfig.html"):
        text = (site / "reference" / page).read_text(encoding="utf-8")
        assert not [name for name in SETTINGS if f"<strong>{name}</strong>" not in text]
        assert text.count("Default: <code") == len(SETTINGS) - 1  # the run directory has none


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_reference_has_every_command(program: str, site: Path) -> None:
    text = (site / "reference" / "generated" / f"{program}.html").read_text(encoding="utf-8")
    assert "Options" in text
    anchors = Page(site / "reference" / "generated" / f"{program}.html").anchors
    assert {f"{program}-{name}" for name in SUBCOMMANDS.get(program, ())} <= anchors
