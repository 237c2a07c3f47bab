/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* screen.h - the progress of several files at once: bars on a terminal, else a line a change.
 *
 * Any thread reports; on a terminal only the thread that calls screen_draw writes. */
#ifndef CLIENT_SCREEN_H
#define CLIENT_SCREEN_H

#include "client/app.h"

struct screen;

enum screen_mode { SCREEN_OFF, SCREEN_LINES, SCREEN_BARS };

/* Bars on a terminal, lines without one, nothing with --json or -q. NULL when out of memory. */
struct screen *screen_open(const struct app *app, size_t n_files);
void screen_closep(struct screen **screen);

/* File `slot` is at `percent` (below 0: not to be shown as a number). The first report makes it
 * visible, also the first of another file in a slot that has ended and been drawn. Texts are
 * copied. */
void screen_update(struct screen *s, size_t slot, const char *name, double percent,
                   const char *message);

/* The file will not change any more: it is drawn once more, then the slot is free. */
void screen_end(struct screen *s, size_t slot);

/* The file is not to be shown any more; its slot is free. */
void screen_drop(struct screen *s, size_t slot);

/* Brings the terminal up to date when something changed. */
void screen_draw(struct screen *s);

#endif
