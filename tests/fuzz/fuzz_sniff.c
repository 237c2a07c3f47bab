/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* fuzz_sniff.c - the first bytes of any upload (base/sniff.h).
 *
 * There is a type or a word for people, never neither, and asking twice gives the same. */
#include <string.h>

#include "base/sniff.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int whole = 0; whole < 2; whole++) {
        const char *what = NULL, *what2 = NULL;
        const char *type = sniff_type(data, size, whole, &what);
        const char *type2 = sniff_type(data, size, whole, &what2);
        FUZZ_CHECK(type ? strchr(type, '/') != NULL : what && *what);
        FUZZ_CHECK(type == type2 && what == what2);
    }
    return 0;
}
