/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* sniff.h - the type of a document from its first bytes, by a table of signatures; no parser. */
#ifndef BASE_SNIFF_H
#define BASE_SNIFF_H

#include "base/defs.h"

enum { SNIFF_BYTES = 64 * 1024 };

/* The media type when it is one this project reads, else NULL and *ret_what says what it seems to
 * be (for people). `data` are the first bytes of the file, at most SNIFF_BYTES are looked at;
 * `whole` when they are all of it. */
const char *sniff_type(const unsigned char *data, size_t len, bool whole, const char **ret_what);

#endif
