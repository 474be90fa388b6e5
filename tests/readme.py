"""The examples of README.md."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def example(word: str) -> str:
    """Return the Python of the one example that holds a word."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    (found,) = [block for block in blocks if word in block]
    return str(found)
