"""Whether a folder lies on a network share, where SQLite's WAL and file locks are not safe."""

from __future__ import annotations

import contextlib
import ctypes
import subprocess
import sys
from pathlib import Path

_NETWORK_TYPES = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afpfs", "ncpfs", "afs", "9p"),
        *("webdav", "davfs", "davfs2", "fuse.davfs2", "fuse.sshfs", "fuse.rclone"),
        *("glusterfs", "fuse.glusterfs", "ceph", "fuse.ceph", "lustre", "beegfs", "gpfs"),
        *("virtiofs", "vboxsf", "prl_fs", "vmhgfs", "fuse.vmhgfs-fuse"),
    }
)
_DRIVE_REMOTE = 4


def is_network_folder(folder: Path) -> bool:
    """Whether a folder lies on another machine's disk, as far as the system tells."""
    folder = folder.resolve()
    if sys.platform == "win32":
        return _windows_remote(folder)
    mounts: dict[str, str] = {}
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        mounts = _macos_mounts() if sys.platform == "darwin" else _linux_mounts()
    for candidate in (folder, *folder.parents):
        if str(candidate) in mounts:
            return mounts[str(candidate)] in _NETWORK_TYPES
    return False


def _linux_mounts() -> dict[str, str]:
    """File system type by mount point; a later mount hides an earlier one."""
    mounts = {}
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if len(fields) > 2:
            mounts[fields[1].replace("\\040", " ")] = fields[2]
    return mounts


def _macos_mounts() -> dict[str, str]:
    """The same from lines like ``//me@host/share on /Volumes/share (smbfs, nodev)``."""
    shown = subprocess.run(
        ["/sbin/mount"], capture_output=True, text=True, check=True, timeout=5
    )
    mounts = {}
    for line in shown.stdout.splitlines():
        where, _, options = line.partition(" on ")[2].rpartition(" (")
        mounts[where] = options.split(",")[0].rstrip(")")
    return mounts


def _windows_remote(folder: Path) -> bool:
    if str(folder).startswith("\\\\"):
        return True
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - absent on other systems
    return bool(kernel.GetDriveTypeW(folder.anchor) == _DRIVE_REMOTE)
