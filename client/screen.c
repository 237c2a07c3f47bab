/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* screen.c - progress of several files (screen.h).
 *
 * On a terminal the bars of files in work are a block at the bottom that is drawn over itself: the
 * cursor goes up by the lines drawn before, every line ends with "erase to the right". A file that
 * ended is drawn once more above the block and then belongs to the terminal's history, so any
 * number of files needs no more rows than there are. The size is asked for at every draw: a resized
 * window costs one crooked frame.
 *
 * The cursor is never hidden and no mode is changed, so nothing has to be put back after a crash.
 */
#include "client/screen.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/bar.h"

enum { NAME_BYTES = 256, MESSAGE_BYTES = 256 };

enum row_state { ROW_UNSEEN, ROW_ACTIVE, ROW_ENDED, ROW_DONE };

struct row {
    enum row_state state;
    double percent;
    char name[NAME_BYTES], message[MESSAGE_BYTES];
};

struct screen {
    pthread_mutex_t lock;
    enum screen_mode mode;
    bool unicode, dirty;
    size_t drawn; /* lines of the block */
    size_t n_rows;
    struct row rows[];
};

struct screen *screen_open(const struct app *app, size_t n_files)
{
    struct screen *s = calloc(1, sizeof(*s) + n_files * sizeof(s->rows[0]));
    if (!s)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    s->mode = app->json || app->quiet ? SCREEN_OFF : app->tty ? SCREEN_BARS : SCREEN_LINES;
    s->unicode = app->unicode;
    s->n_rows = n_files;
    return s;
}

void screen_closep(struct screen **screen)
{
    if (!*screen)
        return;
    pthread_mutex_destroy(&(*screen)->lock);
    free(*screen);
    *screen = NULL;
}

static void write_out(const struct buf *b)
{
    fwrite(buf_cstr(b), 1, b->len, stdout);
    fflush(stdout);
}

static void print_line(const struct row *row)
{
    CLEANUP(buf_done) struct buf line = BUF_INIT(0);
    bar_line(&line, row->name, row->percent, row->message);
    write_out(&line);
}

void screen_update(struct screen *s, size_t slot, const char *name, double percent,
                   const char *message)
{
    if (s->mode == SCREEN_OFF || slot >= s->n_rows)
        return;
    struct row *row = &s->rows[slot];
    pthread_mutex_lock(&s->lock);
    bool same = row->state == ROW_ACTIVE && row->percent == percent &&
                strncmp(row->name, name, NAME_BYTES - 1) == 0 &&
                strncmp(row->message, message, MESSAGE_BYTES - 1) == 0;
    if (!same) {
        snprintf(row->name, sizeof(row->name), "%s", name);
        snprintf(row->message, sizeof(row->message), "%s", message);
        row->percent = percent;
        row->state = ROW_ACTIVE;
        s->dirty = true;
        if (s->mode == SCREEN_LINES)
            print_line(row);
    }
    pthread_mutex_unlock(&s->lock);
}

void screen_end(struct screen *s, size_t slot)
{
    if (s->mode == SCREEN_OFF || slot >= s->n_rows)
        return;
    pthread_mutex_lock(&s->lock);
    if (s->rows[slot].state == ROW_ACTIVE)
        s->rows[slot].state = ROW_ENDED;
    s->dirty = true;
    pthread_mutex_unlock(&s->lock);
}

void screen_drop(struct screen *s, size_t slot)
{
    if (s->mode == SCREEN_OFF || slot >= s->n_rows)
        return;
    pthread_mutex_lock(&s->lock);
    s->dirty = s->dirty || s->rows[slot].state == ROW_ACTIVE;
    s->rows[slot].state = ROW_UNSEEN;
    pthread_mutex_unlock(&s->lock);
}

static void draw_row(const struct screen *s, struct buf *b, const struct row *row, size_t columns)
{
    bar_draw(b, row->name, row->percent, row->message, columns, s->unicode);
    buf_str(b, "\x1b[K\n");
}

static void draw(struct screen *s)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    size_t columns, rows, lines = 0;
    app_size(&columns, &rows);
    columns = columns > 1 ? columns - 1 : columns; /* the last column makes some terminals wrap */
    if (s->drawn)
        buf_printf(&b, "\x1b[%zuA\r", s->drawn);
    for (size_t i = 0; i < s->n_rows; i++) {
        if (s->rows[i].state != ROW_ENDED)
            continue;
        draw_row(s, &b, &s->rows[i], columns);
        s->rows[i].state = ROW_DONE;
    }
    for (size_t i = 0; i < s->n_rows && lines + 2 < rows; i++) {
        if (s->rows[i].state != ROW_ACTIVE)
            continue;
        draw_row(s, &b, &s->rows[i], columns);
        lines++;
    }
    buf_str(&b, "\x1b[J");
    s->drawn = lines;
    write_out(&b);
}

void screen_draw(struct screen *s)
{
    if (s->mode != SCREEN_BARS)
        return;
    pthread_mutex_lock(&s->lock);
    if (s->dirty)
        draw(s);
    s->dirty = false;
    pthread_mutex_unlock(&s->lock);
}
