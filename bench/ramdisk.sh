#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# ramdisk.sh COMMAND... - runs a benchmark with its databases on a disk that keeps nobody waiting.
#
# A bar on the longest wait of minutes measures the disk as well, and that of a virtual machine may keep a lone
# fdatasync for a second. Here .dev is an ext4 file system on a block device in memory, seen by the command alone:
# journal, fsync and write-back are real, what is not there is other people's traffic. Needs root, 16 GB of
# free memory for bench/history.py, and the programs built.
#
#   bench/ramdisk.sh python3 bench/history.py
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
SIZE=15G

[ $# -gt 0 ] || { echo "usage: ramdisk.sh COMMAND..." >&2; exit 2; }
if [ -z "${RAMDISK_INSIDE:-}" ]; then
    mkdir -p "$ROOT/.dev/bench"
    exec env RAMDISK_INSIDE=1 unshare --mount --propagation private "$0" "$@"
fi

memory=$(mktemp -d)
mount -t tmpfs -o "size=$SIZE" tmpfs "$memory"
truncate -s "$SIZE" "$memory/disk"
device=$(losetup --find --show "$memory/disk")
trap 'umount -R "$ROOT/.dev" || true; losetup --detach "$device"; umount -R "$memory"; rmdir "$memory"' EXIT
mkdir "$memory/results"
mount --bind "$ROOT/.dev/bench" "$memory/results"
mkfs.ext4 -q "$device"
mount "$device" "$ROOT/.dev"
mkdir "$ROOT/.dev/bench"
mount --bind "$memory/results" "$ROOT/.dev/bench"
cd "$ROOT"
"$@"
