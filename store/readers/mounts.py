"""Telling whether a file lies on a network file system, where another computer may shorten it while it is mapped."""

from pathlib import Path

import psutil

NETWORK = {
    "9p", "acfs", "afpfs", "afs", "beegfs", "ceph", "cifs", "gfs2", "gpfs", "lustre", "macfuse", "ncpfs", "nfs", "nfs4",
    "ocfs2", "orangefs", "osxfuse", "panfs", "prl_fs", "pvfs2", "smb", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs",
    "webdav", "wekafs",
}  # fmt: skip
FUSE = "fuse"  # also sshfs, EOS, GlusterFS, rclone and others: their types are `fuse.NAME`; `fuseblk` is a local disk


def on_network(path: Path) -> bool:
    """Return whether a file or folder lies on a network file system, or on one of FUSE, which may be one."""
    kind = file_system(path)
    return kind in NETWORK or kind == FUSE or kind.startswith(f"{FUSE}.")


def file_system(path: Path) -> str:
    """Return the type of the file system of a file or folder, such as ``ext4``; empty if the system does not tell."""
    try:
        mounts = psutil.disk_partitions(all=True)
    except OSError:
        return ""
    resolved = path.resolve()
    holding = [mount for mount in mounts if resolved.is_relative_to(mount.mountpoint)]
    # Of several file systems that are mounted on the same folder, the last one is visible.
    visible = max(enumerate(holding), key=lambda pair: (len(pair[1].mountpoint), pair[0]), default=None)
    return visible[1].fstype.lower() if visible else ""
