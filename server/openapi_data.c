/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* openapi_data.c - the API's own .proto files with their comments, as a descriptor set, in the
 * program.
 *
 * Used by openapi_text.c only, at start. It is a set of its own because reflection must not carry
 * the comments and because it needs none of the imports. The file name API_DOC comes from CMake. */
#include "server/openapi_impl.h"

/* clang-format off */
__asm__(".section .rodata\n"
        ".balign 16\n"
        ".global openapi_data\n"
        "openapi_data:\n"
        ".incbin \"" API_DOC "\"\n"
        ".global openapi_data_end\n"
        "openapi_data_end:\n"
        ".byte 0\n"
        ".previous\n");
