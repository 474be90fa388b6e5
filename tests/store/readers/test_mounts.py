from pathlib import Path
from types import SimpleNamespace

import pytest

from store.readers import mounts


@pytest.fixture
def mounted(monkeypatch):
    """Return a function that sets what is mounted: pairs of folder and type, in the order of mounting."""

    def mount(*pairs):
        partitions = [SimpleNamespace(mountpoint=folder, fstype=kind) for folder, kind in pairs]
        monkeypatch.setattr(mounts.psutil, "disk_partitions", lambda all: partitions)

    return mount


@pytest.mark.parametrize(
    "kind",
    ["nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "ceph", "beegfs", "9p", "fuse", "fuse.sshfs", "fuse.eosd"],
)
def test_network_file_systems_are_known(mounted, kind, tmp_path):
    mounted(("/", "ext4"), (str(tmp_path), kind))
    assert mounts.on_network(tmp_path / "a.zarr" / "image")
    assert not mounts.on_network(tmp_path.parent)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "apfs", "fuseblk", ""])
def test_other_file_systems_are_local(mounted, kind, tmp_path):
    mounted(("/", "nfs"), (str(tmp_path), kind))
    assert not mounts.on_network(tmp_path / "a.zarr")


def test_the_innermost_mount_counts_and_the_last_one_of_several_on_the_same_folder(mounted, tmp_path):
    inner = tmp_path / "inner"
    mounted((str(inner), "autofs"), (str(tmp_path), "nfs4"), ("/", "overlay"), (str(inner), "ext4"))
    assert mounts.file_system(inner / "x") == "ext4"
    assert mounts.file_system(tmp_path / "inner2") == "nfs4"
    assert mounts.file_system(Path("/")) == "overlay"


def test_a_link_is_followed(mounted, tmp_path):
    (tmp_path / "remote").mkdir()
    (tmp_path / "here").symlink_to(tmp_path / "remote")
    mounted(("/", "ext4"), (str(tmp_path / "remote"), "nfs4"))
    assert mounts.on_network(tmp_path / "here" / "a.zarr")


def test_a_system_that_does_not_tell_is_taken_as_local(monkeypatch, mounted, tmp_path):
    mounted()
    assert mounts.file_system(tmp_path) == ""
    monkeypatch.setattr(mounts.psutil, "disk_partitions", lambda all: (_ for _ in ()).throw(PermissionError()))
    assert not mounts.on_network(tmp_path)


def test_this_system_tells(tmp_path):
    assert mounts.file_system(tmp_path)
