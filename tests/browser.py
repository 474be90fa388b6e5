"""Pages in a real browser: Debian's chromium, driven from the command line."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--v=0",
)
DARK = "--blink-settings=preferredColorScheme=0"
ARTIFACTS = Path(os.environ.get("CALOSTREAM_ARTIFACTS", Path(__file__).parent / "artifacts"))
"""Pictures of pages, where people can look at them; git ignores the default folder."""
NARROWEST, HIGHEST = 500, 14000  # pixels: a window cannot be narrower, a picture should not be higher
FRAME = """<!doctype html>
<title>a page in a frame, which may be narrower than a window</title>
<style>body { margin: 0; } iframe { border: 0; display: block; width: WIDTHpx; height: 900px; }</style>
<iframe src="PAGE"></iframe>
<script>
onload = () => {
  const frame = document.querySelector("iframe"), page = frame.contentDocument;
  const style = element => frame.contentWindow.getComputedStyle(element);
  const scrolls = element =>
    element && (/auto|scroll|hidden/.test(style(element).overflowX) || scrolls(element.parentElement));
  const wide = [...page.body.querySelectorAll("*")].filter(
    element => element.getBoundingClientRect().right > WIDTH + 1 && !scrolls(element.parentElement)
  );
  const height = page.documentElement.scrollHeight;
  frame.style.height = `${height}px`;
  console.info(`measured ${JSON.stringify({
    height,
    overflow: page.documentElement.scrollWidth - WIDTH,
    wide: wide.map(element => element.outerHTML.slice(0, 80)),
    paper: style(page.body).backgroundColor,
  })}`);
};
</script>
"""


def browse(page: Path, tmp_path: Path, *flags: str) -> tuple[str, list[str]]:
    """Return what the browser wrote to standard output, and the lines of the page's console."""
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


def photograph(page: Path, name: str, width: int, tmp_path: Path, *flags: str) -> dict[str, Any]:
    """Keep a picture of a whole page in `ARTIFACTS`, and return what was measured.

    Parameters
    ----------
    page
        The page; a page with it in a frame is written beside it.
    name
        Name of the picture, without ``.png``.
    width
        Width of the page, in pixels.
    tmp_path
        For the browser's profile.
    flags
        More flags of the browser, such as `DARK`.

    Returns
    -------
    dict
        ``height`` of the page; ``overflow``, by how much it is wider than `width`; the elements that are ``wide``,
        except inside elements that scroll; and the colour of the ``paper``.
    """
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    framed, picture = page.with_name("framed.html"), ARTIFACTS / f"{name}.png"
    framed.write_text(FRAME.replace("WIDTH", str(width)).replace("PAGE", page.name))
    size = f"--window-size={max(width, NARROWEST)},{HIGHEST}"
    _, lines = browse(framed, tmp_path, "--allow-file-access-from-files", size, f"--screenshot={picture}", *flags)
    measured = [match for line in lines if (match := re.search(r'measured (\{.*\})", source', line))]
    assert len(lines) == len(measured) == 1, lines
    found: dict[str, Any] = json.loads(measured[0][1])
    with Image.open(picture) as image:
        image.crop((0, 0, width, min(found["height"], HIGHEST))).save(picture)
    return found
