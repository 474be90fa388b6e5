"""Links in the pages lead to existing files and headings, and paths named in the pages are in the repository."""

import re
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT

LINK = re.compile(r"""\]\(([^)\s]+)\)|(?:src|href)="([^"]+)\"""")
PACKAGES = ("calostream", "ingest", "store", "train", "evaluate", "tests", "docs")
NAMED = re.compile(rf"`((?:{'|'.join(PACKAGES)})/[\w./-]+)`")


def links(page: Path) -> list[str]:
    return [first or second for first, second in LINK.findall(page.read_text(encoding="utf-8"))]


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_links() -> None:
    assert "docs/tutorial.md" in links(ROOT / "README.md")
    assert "docs/pictures/showers.png" in links(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name} links to {link}, which does not exist"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {link}, a heading that does not exist"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_that_a_page_names_exist(page: Path) -> None:
    for path in NAMED.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), f"{page.name} names {path}, which does not exist"
