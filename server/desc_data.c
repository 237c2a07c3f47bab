/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* desc_data.c - the bytes of the descriptor set that protoc made of proto/, in the program itself.
 *
 * Used by desc.c only. The file name API_SET comes from CMake, which also rebuilds this object when
 * the set changes. It is assembly because this compiler has no #embed. */
#include "server/desc_data.h"

/* clang-format off */
__asm__(".section .rodata\n"
        ".balign 16\n"
        ".global desc_data\n"
        "desc_data:\n"
        ".incbin \"" API_SET "\"\n"
        ".global desc_data_end\n"
        "desc_data_end:\n"
        ".byte 0\n"
        ".previous\n");
