/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* bar.c - how progress looks (bar.h).
 *
 * The columns are shared out as name (a third, at most 32), bar (20, less on a narrow terminal),
 * percent (5) and what is left for the message, so that the bars of several files stand below one
 * another whatever their names are. A bar that is not at 100 never looks full. */
#include "client/bar.h"

#include "client/text.h"

enum { PERCENT_COLUMNS = 5, GAPS = 2, NAME_MOST = 32, BAR_MOST = 20, BAR_LEAST = 5, NARROW = 24 };

static double clamp(double percent)
{
    return percent >= 0 ? MIN(percent, 100.0) : 0; /* NaN is 0 as well */
}

static void cells(struct buf *b, double percent, size_t width, bool unicode)
{
    size_t full = (size_t)(percent / 100 * (double)width);
    for (size_t i = 0; i < width; i++)
        buf_str(b, i < full ? unicode ? "\xe2\x96\x88" : "#" : unicode ? "\xe2\x96\x91" : "-");
}

void bar_draw(struct buf *b, const char *name, double percent, const char *message, size_t columns,
              bool unicode)
{
    CLEANUP(buf_done) struct buf safe_name = BUF_INIT(0);
    CLEANUP(buf_done) struct buf safe_message = BUF_INIT(0);
    text_safe(&safe_name, name);
    text_safe(&safe_message, message);
    percent = clamp(percent);

    if (columns < NARROW) {
        text_fit(b, buf_cstr(&safe_name), columns > PERCENT_COLUMNS ? columns - PERCENT_COLUMNS : 0,
                 true);
        if (columns >= PERCENT_COLUMNS)
            buf_printf(b, "%3d %%", (int)percent);
        return;
    }
    size_t name_columns = MIN(columns / 3, (size_t)NAME_MOST);
    size_t bar_columns = MAX(MIN(columns / 5, (size_t)BAR_MOST), (size_t)BAR_LEAST);
    text_fit(b, buf_cstr(&safe_name), name_columns, true);
    buf_str(b, "  ");
    cells(b, percent, bar_columns, unicode);
    buf_printf(b, " %3d %%", (int)percent);
    size_t used = name_columns + GAPS + bar_columns + 1 + PERCENT_COLUMNS + GAPS;
    if (columns > used + BAR_LEAST && *buf_cstr(&safe_message)) {
        buf_str(b, "  ");
        text_fit(b, buf_cstr(&safe_message), columns - used, false);
    }
}

void bar_line(struct buf *b, const char *name, double percent, const char *message)
{
    text_safe(b, name);
    buf_str(b, ": ");
    text_safe(b, message);
    if (percent >= 0)
        buf_printf(b, " (%.1f %%)", clamp(percent));
    buf_char(b, '\n');
}
