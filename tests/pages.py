"""The pages for people: README.md, CONTRIBUTING.md and those in docs, and their Python examples."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if not {"generated", "_build"} & set(page.parts)),
)


def examples(page: Path) -> list[str]:
    """Return the Python code blocks of a page."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def example(page: str, text: str) -> str:
    """Return the one Python code block of a page that contains a text; `page` is relative to the repository."""
    (block,) = (block for block in examples(ROOT / page) if text in block)
    return block
