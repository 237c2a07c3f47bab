/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* charset.h - plain text of any charset as UTF-8. */
#ifndef WORKERS_EXTRACT_CHARSET_H
#define WORKERS_EXTRACT_CHARSET_H

#include "base/buf.h"
#include "base/ctx.h"

/* ret_text points into `data` when that is UTF-8 already (behind its byte order mark), else into
 * `store`, which the caller owns. ret_name is the charset's name. What is broken becomes U+FFFD. */
enum code charset_to_utf8(struct ctx *cx, const unsigned char *data, size_t len, struct buf *store,
                          const char **ret_text, size_t *ret_len, const char **ret_name) MUST_CHECK;

/* Makes ICU load its tables now, while files may still be read. */
void charset_warm(void);

#endif
