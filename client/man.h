/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* man.h - the manual page localrag(1), from the table of commands. Pure but for its date. */
#ifndef CLIENT_MAN_H
#define CLIENT_MAN_H

#include "base/buf.h"

/* The date is SOURCE_DATE_EPOCH's, else today. */
void man_write(struct buf *b);

#endif
