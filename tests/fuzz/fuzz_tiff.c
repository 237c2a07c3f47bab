/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* fuzz_tiff.c - any bytes as the chain of pages of a TIFF file (workers/extract/tiff.h).
 *
 * The first byte limits the pages. Sizes are what decoding decides by, so those of an accepted page
 * must make sense. */
#include <math.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "workers/extract/tiff.h"

enum { MEMORY = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct ctx cx;
    struct tiff_page *pages = NULL;
    int n = 0, max_pages = data[0] % 16;
    ctx_init(&cx, MEMORY);
    enum code code = tiff_pages(&cx, data + 1, size - 1, max_pages, &pages, &n);
    if (code == CODE_OK) {
        FUZZ_CHECK(tiff_is(data + 1, size - 1));
        FUZZ_CHECK(n > 0 && (!max_pages || n <= max_pages));
        for (int i = 0; i < n; i++)
            FUZZ_CHECK(pages[i].offset < size && isfinite(pages[i].dpi) && pages[i].dpi >= 0 &&
                       pages[i].bits >= 0);
        free(pages);
    } else {
        FUZZ_CHECK(code == CODE_UNREADABLE || code == CODE_TOO_LARGE);
        FUZZ_CHECK(!pages);
    }
    ctx_done(&cx);
    return 0;
}
