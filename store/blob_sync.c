/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* blob_sync.c - whether one syncfs(2) may stand for the fsyncs of many new files (blob.h).
 *
 * fsynced one by one, each small file costs its file system some five writes and two flushes of the
 * disk's cache, one after the other; of those that are synced together most are the same few. But
 * syncfs(2) writes whatever is dirty, be it other people's, and what it promises is up to the file
 * system. So it is used only
 *  - on file systems that are known to write everything and to wait for it, and since Linux 5.8,
 *    when it began to report what could not be written;
 *  - while little is dirty on this host: nobody waits for the copy of a disk image. When more is
 * and uploads are many, it is synced once on the side, every few seconds at most. ext4 without a
 * journal flushes the disk's cache before it has written all of its metadata: only with the fsync
 * of the root behind it (blob_sync_root) it is durable.
 *
 * Figures of the host are looked at every few milliseconds at most, by whoever asks first. */
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clk.h"
#include "store/blob.h"

enum {
    LOOK_EVERY_MS = 20,
    LITTLE_KB = 32 * 1024,
    BUSY_FROM = 8, /* uploads between two looks */
    ASIDE_EVERY_MS = 5000,
};

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

static void *sync_now(void *arg)
{
    int fd = open(arg, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)syncfs(fd); /* for its effect: nobody waits for it */
        close(fd);
    }
    free(arg);
    return NULL;
}

/* What is dirty may lie there for half a minute by itself. Nobody waits meanwhile. */
static void sync_aside(const char *root)
{
    char *copy = strdup(root);
    pthread_t thread;
    if (copy && pthread_create(&thread, NULL, sync_now, copy) == 0)
        pthread_detach(thread);
    else
        free(copy);
}

bool blob_syncs_together(const char *root)
{
    static _Atomic int64_t look_ms, aside_ms;
    static atomic_int asked; /* since the last look */
    static atomic_bool little;
    if (!file_system_can(root))
        return false;
    int64_t now = clk_mono_ms(), due = atomic_load(&look_ms);
    atomic_fetch_add(&asked, 1);
    if (now >= due && atomic_compare_exchange_strong(&look_ms, &due, now + LOOK_EVERY_MS)) {
        bool busy = atomic_exchange(&asked, 0) >= BUSY_FROM && now < due + LOOK_EVERY_MS;
        bool is_little = dirty_kb() <= LITTLE_KB;
        atomic_store(&little, is_little);
        if (busy && !is_little && now >= atomic_load(&aside_ms)) {
            atomic_store(&aside_ms, now + ASIDE_EVERY_MS);
            sync_aside(root);
        }
    }
    return atomic_load(&little);
}
