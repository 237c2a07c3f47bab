/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* doc_pdf_text.c - the text device (doc_pdf_text.h); doc_pdf.c runs pages through it.
 *
 * The same line and word rules as MuPDF's structured text (distance to the pen along and across the
 * line, in units of the font size), but straight to UTF-8 with no memory per character: text comes
 * out in content order, word for word as from stext, in less time. On the way it counts the signals
 * that engine.c judges by. Coverage is a 32 x 32 bit grid of the page, so overlaps count once.
 *
 * Pitfalls kept in mind: fill and stroke of one text object arrive as two calls; a "character" of
 * -1 is an empty slot and a glyph of -1 a further character of the glyph before; fake bold draws
 * everything twice; ignored text is invisible text except for Type 3 glyphs, which MuPDF has drawn
 * already. Nothing is thrown here on purpose: limits abort through the cookie. */
#include "doc_pdf_text.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct device {
    fz_device super;
    struct pdf_text *out;
    fz_cookie *cookie;
    fz_rect page;
    double grid_x, grid_y; /* grid cells a point */
    bool started; /* there is a pen */
    bool new_object; /* nothing was drawn since the text object began */
    int wmode, last_char;
    fz_point pen, line_start, dir;
    const fz_text *last; /* kept */
};

enum kind { VISIBLE, INVISIBLE };
enum gap { GAP_REPEAT, GAP_NONE, GAP_SPACE, GAP_LINE, GAP_PARAGRAPH };

struct run { /* what is the same for all characters of a span */
    fz_font *font;
    int wmode;
    enum kind kind;
    double size;
    fz_point advance; /* of one em */
    fz_point dir; /* unit vector */
    fz_point ascent, descent;
};

void pdf_text_done(struct pdf_text *t)
{
    buf_done(&t->text);
    free(t->lines);
    t->lines = NULL;
    t->n_lines = t->cap_lines = 0;
}

static void too_much(struct device *d)
{
    d->out->too_much = true;
    if (d->cookie)
        d->cookie->abort = 1;
}

/* ---- the grid ---- */

static int cell(double v)
{
    return v <= 0 ? 0 : v >= PDF_GRID - 1 ? PDF_GRID - 1 : (int)v;
}

static void cover(const struct device *d, uint32_t grid[PDF_GRID], fz_rect r)
{
    r = fz_intersect_rect(r, d->page);
    if (fz_is_empty_rect(r))
        return;
    int x0 = cell((r.x0 - d->page.x0) * d->grid_x),
        x1 = cell((r.x1 - d->page.x0) * d->grid_x - 0.01);
    int y0 = cell((r.y0 - d->page.y0) * d->grid_y),
        y1 = cell((r.y1 - d->page.y0) * d->grid_y - 0.01);
    x1 = MAX(x0, x1);
    uint32_t bits = (uint32_t)(((UINT64_C(1) << (x1 - x0 + 1)) - 1) << x0);
    for (int y = y0; y <= MAX(y0, y1); y++)
        grid[y] |= bits;
}

static double covered(const uint32_t grid[PDF_GRID])
{
    int cells = 0;
    for (int y = 0; y < PDF_GRID; y++)
        cells += __builtin_popcount(grid[y]);
    return cells / (double)(PDF_GRID * PDF_GRID);
}

/* ---- lines ---- */

static void end_line(struct device *d)
{
    struct pdf_text *t = d->out;
    if (!t->n_lines)
        return;
    struct pdf_line *l = &t->lines[t->n_lines - 1];
    l->end = t->text.len;
    cover(d, t->text_grid, l->box);
}

static bool begin_line(struct device *d, bool paragraph)
{
    struct pdf_text *t = d->out;
    end_line(d);
    if (t->n_lines == t->cap_lines) {
        size_t cap = t->cap_lines ? t->cap_lines * 2 : 128;
        struct pdf_line *lines =
            cap > PDF_MAX_LINES ? NULL : realloc(t->lines, cap * sizeof(*lines));
        if (!lines) {
            too_much(d);
            return false;
        }
        t->lines = lines;
        t->cap_lines = cap;
    }
    if (t->n_lines)
        buf_str(&t->text, paragraph ? "\n\n" : "\n");
    t->lines[t->n_lines++] = (struct pdf_line){.start = t->text.len,
                                               .end = t->text.len,
                                               .box = {FLT_MAX, FLT_MAX, -FLT_MAX, -FLT_MAX}};
    return true;
}

static void widen(fz_rect *box, fz_point p)
{
    if (!isfinite(p.x) || !isfinite(p.y))
        return;
    box->x0 = MIN(box->x0, p.x);
    box->x1 = MAX(box->x1, p.x);
    box->y0 = MIN(box->y0, p.y);
    box->y1 = MAX(box->y1, p.y);
}

/* ---- characters ---- */

static int as_space(int c)
{
    switch (c) {
    case 0xA0:
    case 0x1680:
    case 0x180E:
    case 0x202F:
    case 0x205F:
    case 0x3000:
        return ' ';
    default:
        return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x2000 && c <= 0x200A) ? ' ' : c;
    }
}

static bool is_unmapped(int c)
{
    return c == 0xFFFD || (c >= 0xE000 && c < 0xF900) || c >= 0xF0000;
}

static void add_char(struct device *d, int c)
{
    static const char *const ligatures[] = {"ff", "fi", "fl", "ffi", "ffl", "st", "st"};
    struct buf *b = &d->out->text;
    if (c >= 0xFB00 && c <= 0xFB06) {
        buf_str(b, ligatures[c - 0xFB00]);
    } else {
        char *at = buf_room(b, 8);
        if (at)
            b->len += (size_t)fz_runetochar(at, c);
    }
    if (buf_failed(b))
        too_much(d);
    d->last_char = c;
}

static enum gap gap_before(const struct device *d, const struct run *r, int c, fz_point p,
                           fz_point q)
{
    if (!d->started || d->wmode != r->wmode || r->dir.x * d->dir.x + r->dir.y * d->dir.y < 0.999f)
        return GAP_PARAGRAPH;
    if (c == d->last_char && fabsf(q.x - d->pen.x) < FLT_EPSILON &&
        fabsf(q.y - d->pen.y) < FLT_EPSILON)
        return GAP_REPEAT;

    double dx = p.x - d->pen.x, dy = p.y - d->pen.y;
    double along = r->dir.x * dx + r->dir.y * dy, across = -r->dir.y * dx + r->dir.x * dy;
    if (fabs(across) < r->size * 0.8) {
        if (fabs(along) < r->size * 0.15)
            return GAP_NONE;
        if (fabs(along) > r->size * 0.8)
            return GAP_LINE;
        return along < 0 || d->last_char == ' ' || r->wmode ? GAP_NONE : GAP_SPACE;
    }
    if (fabs(across) > r->size * 1.5)
        return GAP_PARAGRAPH;
    bool indented = !r->wmode && d->new_object && fabs(p.x - d->line_start.x) > r->size * 0.5;
    return indented ? GAP_PARAGRAPH : GAP_LINE;
}

static void place(fz_context *fz, struct device *d, const struct run *r, int c, int gid, fz_point o)
{
    if (gid < 0 && d->started) { /* a further character of the last glyph */
        add_char(d, c);
        return;
    }
    float adv = gid >= 0 ? fz_advance_glyph(fz, r->font, gid, r->wmode) : 0;
    fz_point step = {adv * r->advance.x, adv * r->advance.y};
    fz_point p = r->wmode ? fz_make_point(o.x - step.x, o.y - step.y) : o;
    fz_point q = r->wmode ? o : fz_make_point(o.x + step.x, o.y + step.y);

    enum gap gap = gap_before(d, r, c, p, q);
    if (gap == GAP_REPEAT)
        return;
    if (gap >= GAP_LINE) {
        if (!begin_line(d, gap == GAP_PARAGRAPH))
            return;
        d->line_start = p;
        d->dir = r->dir;
        d->wmode = r->wmode;
        d->started = true;
    } else if (gap == GAP_SPACE) {
        buf_char(&d->out->text, ' ');
    }
    add_char(d, c);
    fz_rect *box = &d->out->lines[d->out->n_lines - 1].box;
    widen(box, fz_make_point(p.x + r->ascent.x, p.y + r->ascent.y));
    widen(box, fz_make_point(p.x + r->descent.x, p.y + r->descent.y));
    widen(box, fz_make_point(q.x + r->ascent.x, q.y + r->ascent.y));
    widen(box, fz_make_point(q.x + r->descent.x, q.y + r->descent.y));
    d->pen = q;
    d->new_object = false;
}

static void span(fz_context *fz, struct device *d, const fz_text_span *s, fz_matrix ctm,
                 enum kind kind)
{
    fz_matrix tm = s->trm;
    tm.e = tm.f = 0;
    fz_matrix m = fz_concat(tm, ctm);
    float up = fz_font_ascender(fz, s->font), down = fz_font_descender(fz, s->font);
    struct run r = {
        .font = s->font,
        .wmode = (int)s->wmode,
        .kind = kind == INVISIBLE && fz_font_t3_procs(fz, s->font) ? VISIBLE : kind,
        .size = fz_matrix_expansion(m),
        .advance = s->wmode ? fz_make_point(-m.c, -m.d) : fz_make_point(m.a, m.b),
        .ascent = {up * m.c, up * m.d},
        .descent = {down * m.c, down * m.d},
    };
    r.dir = fz_normalize_vector(r.advance);

    struct signals *g = &d->out->signals;
    for (int i = 0; i < s->len && !d->out->too_much; i++) {
        int c = s->items[i].ucs;
        if (c == -1)
            continue;
        if (c < 0 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
            c = 0xFFFD;
        g->chars++;
        g->invisible += r.kind == INVISIBLE;
        g->unmapped += is_unmapped(c);
        c = as_space(c);
        g->spaces += c == ' ';
        fz_point o = fz_transform_point_xy(s->items[i].x, s->items[i].y, ctm);
        place(fz, d, &r, c, s->items[i].gid, o);
    }
}

static void text(fz_context *fz, fz_device *dev, const fz_text *t, fz_matrix ctm, enum kind kind)
{
    struct device *d = (struct device *)dev;
    if (t == d->last)
        return;
    d->new_object = true;
    for (const fz_text_span *s = t->head; s; s = s->next)
        if (s->len)
            span(fz, d, s, ctm, kind);
    fz_drop_text(fz, d->last);
    d->last = fz_keep_text(fz, t);
}

/* ---- callbacks ---- */

static void fill_text(fz_context *fz, fz_device *dev, const fz_text *t, fz_matrix ctm,
                      fz_colorspace *cs, const float *color, float alpha, fz_color_params cp)
{
    (void)cs, (void)color, (void)alpha, (void)cp;
    text(fz, dev, t, ctm, VISIBLE);
}

static void stroke_text(fz_context *fz, fz_device *dev, const fz_text *t, const fz_stroke_state *ss,
                        fz_matrix ctm, fz_colorspace *cs, const float *color, float alpha,
                        fz_color_params cp)
{
    (void)ss, (void)cs, (void)color, (void)alpha, (void)cp;
    text(fz, dev, t, ctm, VISIBLE);
}

static void clip_text(fz_context *fz, fz_device *dev, const fz_text *t, fz_matrix ctm,
                      fz_rect scissor)
{
    (void)scissor;
    text(fz, dev, t, ctm, VISIBLE); /* how text filled with a pattern arrives */
}

static void clip_stroke_text(fz_context *fz, fz_device *dev, const fz_text *t,
                             const fz_stroke_state *ss, fz_matrix ctm, fz_rect scissor)
{
    (void)ss, (void)scissor;
    text(fz, dev, t, ctm, VISIBLE);
}

static void ignore_text(fz_context *fz, fz_device *dev, const fz_text *t, fz_matrix ctm)
{
    text(fz, dev, t, ctm, INVISIBLE);
}

static void fill_path(fz_context *fz, fz_device *dev, const fz_path *p, int even_odd, fz_matrix ctm,
                      fz_colorspace *cs, const float *color, float alpha, fz_color_params cp)
{
    (void)fz, (void)p, (void)even_odd, (void)ctm, (void)cs, (void)color, (void)alpha, (void)cp;
    ((struct device *)dev)->out->signals.paths++;
}

static void image(fz_context *fz, fz_device *dev, fz_matrix ctm)
{
    struct device *d = (struct device *)dev;
    d->out->signals.images++;
    fz_rect r = fz_transform_rect(fz_unit_rect, ctm);
    cover(d, d->out->image_grid, fz_intersect_rect(r, fz_device_current_scissor(fz, dev)));
}

static void fill_image(fz_context *fz, fz_device *dev, fz_image *im, fz_matrix ctm, float alpha,
                       fz_color_params cp)
{
    (void)im, (void)alpha, (void)cp;
    image(fz, dev, ctm);
}

static void fill_image_mask(fz_context *fz, fz_device *dev, fz_image *im, fz_matrix ctm,
                            fz_colorspace *cs, const float *color, float alpha, fz_color_params cp)
{
    (void)im, (void)cs, (void)color, (void)alpha, (void)cp;
    image(fz, dev, ctm);
}

static void close_device(fz_context *fz, fz_device *dev)
{
    (void)fz;
    struct device *d = (struct device *)dev;
    struct pdf_text *t = d->out;
    end_line(d);
    if (t->n_lines)
        buf_char(&t->text, '\n');
    t->signals.text_cover = covered(t->text_grid);
    t->signals.image_cover = covered(t->image_grid);
}

static void drop_device(fz_context *fz, fz_device *dev)
{
    fz_drop_text(fz, ((struct device *)dev)->last);
}

fz_device *pdf_text_device(fz_context *fz, struct pdf_text *out, fz_rect page, fz_cookie *cookie,
                           bool with_images)
{
    struct device *d = (struct device *)fz_new_device_of_size(fz, sizeof(*d));
    buf_clear(&out->text);
    out->n_lines = 0;
    out->signals = (struct signals){0};
    memset(out->text_grid, 0, sizeof(out->text_grid));
    memset(out->image_grid, 0, sizeof(out->image_grid));
    out->too_much = false;

    d->out = out;
    d->cookie = cookie;
    d->page = page;
    d->last_char = ' ';
    d->grid_x = PDF_GRID / MAX((double)page.x1 - page.x0, 1e-3);
    d->grid_y = PDF_GRID / MAX((double)page.y1 - page.y0, 1e-3);
    d->super.fill_text = fill_text;
    d->super.stroke_text = stroke_text;
    d->super.clip_text = clip_text;
    d->super.clip_stroke_text = clip_stroke_text;
    d->super.ignore_text = ignore_text;
    d->super.fill_path = fill_path;
    d->super.close_device = close_device;
    d->super.drop_device = drop_device;
    if (with_images) {
        d->super.fill_image = fill_image;
        d->super.fill_image_mask = fill_image_mask;
    }
    return &d->super;
}
