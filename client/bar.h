/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* bar.h - how progress looks: one line of a terminal, or one line of a log. Pure. */
#ifndef CLIENT_BAR_H
#define CLIENT_BAR_H

#include "base/buf.h"

/* "report.pdf   ########--------  65 %  Processing page 13 of 20", at most `columns` wide, no line
 * feed. Name and message may be unsafe. */
void bar_draw(struct buf *b, const char *name, double percent, const char *message, size_t columns,
              bool unicode);

/* "report.pdf: Processing page 13 of 20 (65.0 %)" and a line feed. A negative percent is left out.
 */
void bar_line(struct buf *b, const char *name, double percent, const char *message);

#endif
