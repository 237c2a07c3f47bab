/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* footprint.c - gives back the memory that only the start of the server needed (footprint.h).
 *
 * Two thirds of what is resident after a start are pages of our program and its thirty libraries
 * that nothing uses again: the relocations, constructors of TLS and Kerberos libraries, tables that
 * the core registers. They are only let go of: each is still in the page cache, from where a touch
 * maps it again without reading, and what the first calls need comes back like that. Only segments
 * that cannot be written are let go, so every page is as it is in its file; what the loader wrote
 * into and then protected lies in writable ones. A breakpoint that a debugger has set before this
 * is lost; set it again.
 *
 * Called by main. It does not know what the pages hold. */
#include "server/footprint.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static int let_go(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size;
    uintptr_t page = *(const uintptr_t *)arg;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &object->dlpi_phdr[i];
        if (h->p_type != PT_LOAD || h->p_flags & PF_W)
            continue;
        uintptr_t from = (object->dlpi_addr + h->p_vaddr) & ~(page - 1);
        uintptr_t to = (object->dlpi_addr + h->p_vaddr + h->p_memsz + page - 1) & ~(page - 1);
        madvise((void *)from, to - from, MADV_DONTNEED); /* refused (the vdso is): it stays */
    }
    return 0;
}

void footprint_begin(void)
{
    /* Threads wait for one another here far more than they allocate at the same time; an arena each
     * would keep what each of them once needed. */
    mallopt(M_ARENA_MAX, 1);
}

void footprint_settle(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    malloc_trim(0);
    dl_iterate_phdr(let_go, &page);
}
