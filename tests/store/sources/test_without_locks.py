"""HDF5 files on a file system without locks, which a preloaded library stands for."""

import errno
import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

LIBRARY = "#include <errno.h>\nint flock(int file, int operation) { errno = %d; return -1; }\n"
PROGRAM = """
import sys
from pathlib import Path
from store.sources.hdf5_storage import opened
path = Path(sys.argv[1])
with opened(path) as file, opened(path) as again:
    print(file["X"][1] + again["X"][...].sum())
"""
compiler = shutil.which("cc")


@pytest.mark.skipif(compiler is None or sys.platform != "linux", reason="needs Linux and a C compiler")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EBADF, errno.EIO])
def test_hdf5_files_are_read_where_there_are_no_locks(tmp_path, number):
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        file["X"] = np.arange(4)
    (tmp_path / "locks.c").write_text(LIBRARY % number)
    library = tmp_path / "locks.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "locks.c"], check=True)
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "file.hdf5"],
        env=os.environ | {"LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if number == errno.EIO:
        assert "unable to lock file" in result.stderr
    else:
        assert result.stdout == "7\n", result.stderr
