/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* blob_sync.c - whether one syncfs(2) may stand for the fsyncs of many new files (blob.h).
 *
 * fsynced one by one, each small file costs its file system some five writes and two flushes of the
 * disk's cache, one after the other; of those that are synced together most are the same few. But
 * syncfs(2) writes whatever is dirty, be it other people's, and what it promises is up to the file
 * system. So it is used only
 *  - on file systems that are known to write everything and to wait for it, and since Linux 5.8,
 *    when it began to report what could not be written;
 *  - while hardly anything is dirty on this host: nobody waits for the copy of a disk image.
 * ext4 without a journal flushes the disk's cache before it has written all of its metadata: only
 * with the fsync of the root behind it (blob_sync_root) it is durable.
 *
 * Figures of the host are looked at every few milliseconds at most, by whoever asks first. */
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "base/clk.h"
#include "store/blob.h"

enum { LOOK_EVERY_MS = 10, LITTLE_KB = 16 * 1024 };

/* A root that is not there yet is looked at again. */
static bool file_system_can(const char *root)
{
    static atomic_int known; /* 0: not yet, 1: yes, -1: no */
    struct statfs fs;
    struct utsname host;
    int major = 0, minor = 0;
    if (atomic_load(&known))
        return atomic_load(&known) > 0;
    if (statfs(root, &fs) != 0 || uname(&host) != 0)
        return false;
    (void)sscanf(host.release, "%d.%d", &major, &minor);
    bool reports = major > 5 || (major == 5 && minor >= 8);
    bool waits = fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC;
    atomic_store(&known, reports && waits ? 1 : -1);
    return reports && waits;
}

/* In kB; a huge one if it is not told. */
static long dirty_kb(void)
{
    char text[4096];
    FILE *f = fopen("/proc/meminfo", "re");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = '\0';
    const char *dirty = strstr(text, "\nDirty:"), *writeback = strstr(text, "\nWriteback:");
    if (!dirty || !writeback)
        return LONG_MAX;
    return atol(dirty + strlen("\nDirty:")) + atol(writeback + strlen("\nWriteback:"));
}

bool blob_syncs_together(const char *root)
{
    static _Atomic int64_t look_ms;
    static atomic_bool little;
    if (!file_system_can(root))
        return false;
    int64_t now = clk_mono_ms(), due = atomic_load(&look_ms);
    if (now >= due && atomic_compare_exchange_strong(&look_ms, &due, now + LOOK_EVERY_MS))
        atomic_store(&little, dirty_kb() <= LITTLE_KB);
    return atomic_load(&little);
}
