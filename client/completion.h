/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* completion.h - completion scripts for shells, from the table of commands. Pure. */
#ifndef CLIENT_COMPLETION_H
#define CLIENT_COMPLETION_H

#include "base/buf.h"

/* False when `shell` is none of bash, zsh, fish. */
bool completion_write(struct buf *b, const char *shell);

#endif
