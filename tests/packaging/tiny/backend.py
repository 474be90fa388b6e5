"""The smallest build backend that pip accepts: it makes an empty wheel, and records each request for one."""

import time
import zipfile
from pathlib import Path

TINY = """Provides-Extra: extra
Provides-Extra: absent
Requires-Dist: no-such-package-anywhere; extra == 'absent'
Provides-Extra: indexed
Requires-Dist: special; extra == 'indexed'
"""


def write_wheel(folder, name, version, about=""):
    wheel = f"{name}-{version}-py3-none-any.whl"
    inside = f"{name}-{version}.dist-info/"
    with zipfile.ZipFile(Path(folder) / wheel, "w") as file:
        file.writestr(inside + "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{about}")
        file.writestr(inside + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(inside + "RECORD", "")
    return wheel


def build_editable(folder, config_settings=None, metadata_directory=None):
    with Path("builds").open("a") as note:
        note.write("built\n")
    if Path("endless").exists():
        with Path("endless").open("w"):
            time.sleep(3600)
    return write_wheel(folder, "tiny", "1", TINY)
