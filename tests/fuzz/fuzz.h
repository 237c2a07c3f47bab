/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* fuzz.h - what the targets in tests/fuzz share: the entry point, the check that stops, the API's
 * request types. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <protobuf-c/protobuf-c.h>

#include "base/ctx.h"

/* As libFuzzer wants it; always 0. driver.c calls it too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Says what does not hold and aborts, in every build. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #condition))
_Noreturn void fuzz_broken(const char *file, int line, const char *condition);

/* The same for something that prints why. */
void fuzz_check_ok(const struct ctx *cx, enum code code);

/* The type that a first byte picks, over all requests of localrag.v1. (requests.c) */
const ProtobufCMessageDescriptor *fuzz_request(uint8_t pick);

#endif
