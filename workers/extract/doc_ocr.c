/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* doc_ocr.c - reading a page's pixels with Tesseract (doc_ocr.h); the only file that calls it.
 *
 * zygote.c opens the models, child.c reads. Automatic layout (psm 3) first; it reads pages that lie
 * on their side as well. When it finds little or is unsure, the orientation model says how the page
 * stands, and a page upside down is turned and read again; the better reading counts. A reading is
 * judged by the confidence of the words kept, times their number: mean confidence alone is high
 * on pages where nothing was read. Short words below JUNK_CONFIDENCE are specks and ruled lines;
 * long ones are names and addresses that the language model did not expect.
 *
 * Debian's Tesseract is built with OpenMP and is nine times slower when that is left alone; main.c
 * and ocr_open() both switch it off. A failed allocation inside C++ ends the process with a status
 * of its own, through the new-handler, instead of an abort nobody can tell from a bug. */
#include "doc_ocr.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <tesseract/capi.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/str.h"
#include "ocr_prep.h"

#define DEFAULT_TESSDATA "/usr/share/tesseract-ocr/5/tessdata"

enum { JUNK_CONFIDENCE = 30, WORD_LETTERS = 3, LANGUAGES_MAX = 200 };

static const double unsure = 0.60;
static const float orientation_sure = 1.0f;

/* std::set_new_handler and the one OpenMP call, which have no C header everywhere. */
typedef void new_handler(void);
new_handler *cxx_set_new_handler(new_handler *h) __asm__("_ZSt15set_new_handlerPFvvE");
void omp_set_max_active_levels(int levels);

struct ocr {
    TessBaseAPI *text, *orientation; /* orientation: NULL when not installed */
    char tessdata[512];
    char loaded[LANGUAGES_MAX];
};

/* ---- models ---- */

static void out_of_memory(void)
{
    _exit(EXTRACT__V1__EXIT_STATUS__EXIT_OUT_OF_MEMORY);
}

static bool model_path(const struct ocr *o, const char *name, size_t len, char out[1024])
{
    return snprintf(out, 1024, "%s/%.*s.traineddata", o->tessdata, (int)len, name) < 1024;
}

static void package_of(const char *name, size_t len, char out[64])
{
    size_t i = 0;
    for (; i < len && i < 63; i++)
        out[i] = name[i] == '_' ? '-' : (char)tolower((unsigned char)name[i]);
    out[i] = '\0';
}

static enum code check_language(struct ctx *cx, const struct ocr *o, const char *name, size_t len)
{
    bool valid = len > 0 && len < 32;
    for (size_t i = 0; i < len && valid; i++)
        valid = isalnum((unsigned char)name[i]) || name[i] == '_' || name[i] == '-';
    if (!valid)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "\"%.*s\" is not a name of an OCR language",
                        (int)MIN(len, (size_t)64), name);
    char path[1024], package[64];
    if (model_path(o, name, len, path) && access(path, R_OK) == 0)
        return CODE_OK;
    package_of(name, len, package);
    return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                    "OCR language \"%.*s\" is not installed: install the Debian package "
                    "tesseract-ocr-%s",
                    (int)len, name, package);
}

static enum code check_languages(struct ctx *cx, const struct ocr *o, const char *languages)
{
    if (strlen(languages) >= LANGUAGES_MAX)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "too many OCR languages");
    const char *at = languages;
    for (;;) {
        size_t len = strcspn(at, "+");
        TRY(check_language(cx, o, at, len));
        if (!at[len])
            return CODE_OK;
        at += len + 1;
    }
}

static void end(TessBaseAPI **api)
{
    if (*api) {
        TessBaseAPIEnd(*api);
        TessBaseAPIDelete(*api);
    }
    *api = NULL;
}

static enum code load(struct ctx *cx, struct ocr *o, const char *languages)
{
    TRY(check_languages(cx, o, languages));
    TessBaseAPI *api = TessBaseAPICreate();
    if (!api || TessBaseAPIInit2(api, o->tessdata, languages, OEM_LSTM_ONLY)) {
        end(&api);
        return ctx_fail(cx, CODE_INTERNAL, "could not load the OCR models of \"%s\" from \"%s\"",
                        languages, o->tessdata);
    }
    TessBaseAPISetPageSegMode(api, PSM_AUTO);
    end(&o->text);
    o->text = api;
    strcpy(o->loaded, languages);
    return CODE_OK;
}

static void load_orientation(struct ocr *o)
{
    char path[1024];
    if (!model_path(o, "osd", 3, path) || access(path, R_OK) != 0)
        return;
    o->orientation = TessBaseAPICreate();
    if (o->orientation && TessBaseAPIInit2(o->orientation, o->tessdata, "osd", OEM_TESSERACT_ONLY))
        end(&o->orientation);
}

enum code ocr_open(struct ctx *cx, const char *tessdata, const char *languages,
                   struct ocr **ret_ocr)
{
    omp_set_max_active_levels(0);
    cxx_set_new_handler(out_of_memory);
    struct ocr *o = calloc(1, sizeof(*o));
    if (!o)
        return ctx_oom(cx);
    const char *dir = tessdata ? tessdata : getenv("TESSDATA_PREFIX");
    snprintf(o->tessdata, sizeof(o->tessdata), "%s", dir && *dir ? dir : DEFAULT_TESSDATA);
    enum code code = load(cx, o, languages);
    if (code != CODE_OK) {
        ocr_close(o);
        return code;
    }
    load_orientation(o);
    *ret_ocr = o;
    return CODE_OK;
}

void ocr_close(struct ocr *o)
{
    if (!o)
        return;
    end(&o->text);
    end(&o->orientation);
    free(o);
}

enum code ocr_languages(struct ctx *cx, struct ocr *o, const char *languages)
{
    if (!*languages || strcmp(languages, o->loaded) == 0)
        return CODE_OK;
    return load(cx, o, languages);
}

const char *ocr_loaded(const struct ocr *o)
{
    return o->loaded;
}

/* ---- one reading ---- */

struct reading {
    struct buf text;
    Extract__V1__Line *lines;
    size_t n_lines, cap_lines;
    size_t words;
    double confidence; /* sum over the words kept, 0 to 1 each */
};

static void reading_done(struct reading *r)
{
    buf_done(&r->text);
    free(r->lines);
    *r = (struct reading){0};
}

static double mean(const struct reading *r)
{
    return r->words ? r->confidence / (double)r->words : 0;
}

static bool begin_line(struct reading *r, bool paragraph)
{
    if (r->n_lines == r->cap_lines) {
        size_t cap = r->cap_lines ? r->cap_lines * 2 : 64;
        Extract__V1__Line *lines = realloc(r->lines, cap * sizeof(*lines));
        if (!lines)
            return false;
        r->lines = lines;
        r->cap_lines = cap;
    }
    if (r->n_lines)
        buf_str(&r->text, paragraph ? "\n\n" : "\n");
    Extract__V1__Line *l = &r->lines[r->n_lines++];
    *l = (Extract__V1__Line)EXTRACT__V1__LINE__INIT;
    l->start = l->end = (uint32_t)r->text.len;
    return true;
}

/* Chinese and Japanese are written without spaces, though Tesseract cuts them into words. */
static bool joins(const char *before_end, const char *after)
{
    return (unsigned char)before_end[-3] >= 0xe3 && (unsigned char)before_end[-3] <= 0xe9 &&
           (unsigned char)after[0] >= 0xe3 && (unsigned char)after[0] <= 0xe9;
}

static void add_word(struct reading *r, const char *word, const double box[4])
{
    Extract__V1__Line *l = &r->lines[r->n_lines - 1];
    bool first = l->end == l->start;
    size_t len = r->text.len - l->start;
    if (!first && !(len >= 3 && joins(r->text.data + r->text.len, word)))
        buf_char(&r->text, ' ');
    buf_str(&r->text, word);
    l->end = (uint32_t)r->text.len;
    l->x0 = first ? (float)box[0] : MIN(l->x0, (float)box[0]);
    l->y0 = first ? (float)box[1] : MIN(l->y0, (float)box[1]);
    l->x1 = first ? (float)box[2] : MAX(l->x1, (float)box[2]);
    l->y1 = first ? (float)box[3] : MAX(l->y1, (float)box[3]);
}

static bool is_junk(const char *word, double sure)
{
    if (word[strspn(word, " \n")] == '\0')
        return true;
    int letters = 0;
    for (const char *p = word; *p; p++)
        letters += isalnum((unsigned char)*p) || (unsigned char)*p >= 0xc0; /* begins a character */
    return sure < JUNK_CONFIDENCE && letters < WORD_LETTERS;
}

/* A line begins with its first kept word, so lines of junk leave nothing behind. */
static bool collect(TessResultIterator *it, const struct turn *turn, struct reading *r)
{
    const TessPageIterator *at = TessResultIteratorGetPageIteratorConst(it);
    bool new_line = true, new_paragraph = false;
    do {
        new_paragraph = new_paragraph || TessPageIteratorIsAtBeginningOf(at, RIL_PARA);
        new_line = new_line || TessPageIteratorIsAtBeginningOf(at, RIL_TEXTLINE);
        double sure = (double)TessResultIteratorConfidence(it, RIL_WORD);
        char *word = TessResultIteratorGetUTF8Text(it, RIL_WORD);
        int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
        bool keep = word && !is_junk(word, sure) &&
                    TessPageIteratorBoundingBox(at, RIL_WORD, &x0, &y0, &x1, &y1);
        if (keep && new_line) {
            if (!begin_line(r, new_paragraph)) {
                TessDeleteText(word);
                return false;
            }
            new_line = new_paragraph = false;
        }
        if (keep) {
            double box[4] = {x0, y0, x1, y1};
            prep_box_back(turn, box);
            add_word(r, word, box);
            r->words++;
            r->confidence += MIN(sure, 100) / 100;
        }
        TessDeleteText(word);
    } while (TessResultIteratorNext(it, RIL_WORD));
    return !buf_failed(&r->text);
}

static enum code recognize(struct ctx *cx, TessBaseAPI *api, PIX *pix, int dpi, int64_t deadline_ms,
                           const struct turn *turn, struct reading *r)
{
    r->text = BUF_INIT(DOC_MAX_PAGE_TEXT);
    TessBaseAPISetImage2(api, pix);
    TessBaseAPISetSourceResolution(api, dpi);
    ETEXT_DESC *monitor = NULL;
    if (deadline_ms) {
        int64_t left = deadline_ms - clk_mono_ms();
        monitor = TessMonitorCreate();
        TessMonitorSetDeadlineMSecs(monitor, (int)MAX(left, 1));
    }
    int failed = TessBaseAPIRecognize(api, monitor);
    bool late = deadline_ms && clk_mono_ms() >= deadline_ms;
    TessMonitorDelete(monitor);
    TessResultIterator *it = failed || late ? NULL : TessBaseAPIGetIterator(api);
    bool ok = !it || collect(it, turn, r);
    TessResultIteratorDelete(it);
    TessBaseAPIClear(api);
    if (late)
        return ctx_fail(cx, CODE_DEADLINE_EXCEEDED, "OCR took too long (PAGE_TIMEOUT)");
    if (failed)
        return ctx_fail(cx, CODE_UNREADABLE, "OCR could not read the page");
    if (!ok)
        return ctx_fail(cx, CODE_OUT_OF_MEMORY, "no memory for the words of the page");
    return CODE_OK;
}

/* Quarters clockwise that set the page upright; 0 when that is not known. */
static int quarters_to_upright(TessBaseAPI *api, PIX *pix, int dpi)
{
    int degrees = 0;
    float sure = 0, script_sure = 0;
    const char *script = NULL;
    TessBaseAPISetImage2(api, pix);
    TessBaseAPISetSourceResolution(api, dpi);
    bool known =
        TessBaseAPIDetectOrientationScript(api, &degrees, &sure, &script, &script_sure) != 0;
    TessBaseAPIClear(api);
    return known && sure >= orientation_sure ? (360 - degrees % 360) / 90 % 4 : 0;
}

/* Reads a turned copy into `again`; false when there is no reason to. */
static enum code read_turned(struct ctx *cx, struct ocr *o, PIX *pix, int dpi, int64_t deadline_ms,
                             struct turn turn, struct reading *again)
{
    int quarters = o->orientation ? quarters_to_upright(o->orientation, pix, dpi) : 0;
    if (!quarters)
        return CODE_OK;
    PIX *turned = prep_quarters(pixClone(pix), quarters);
    if (!turned)
        return ctx_fail(cx, CODE_OUT_OF_MEMORY, "no memory to turn the page");
    turn.quarters = quarters;
    enum code code = recognize(cx, o->text, turned, dpi, deadline_ms, &turn, again);
    pixDestroy(&turned);
    return code;
}

/* ---- the page ---- */

static enum code finish(struct ctx *cx, struct reading *r, double dpi, Extract__V1__Page *out)
{
    if (r->text.len)
        buf_char(&r->text, '\n');
    out->text = ctx_strndup(cx, buf_cstr(&r->text), r->text.len);
    Extract__V1__Line *lines = ctx_array(cx, r->n_lines, sizeof(*lines));
    out->lines = ctx_array(cx, r->n_lines, sizeof(Extract__V1__Line *));
    if (!out->text || !lines || !out->lines)
        return cx->failure.code;
    float scale = (float)(72 / dpi);
    for (size_t i = 0; i < r->n_lines; i++) {
        lines[i] = r->lines[i];
        lines[i].x0 *= scale;
        lines[i].y0 *= scale;
        lines[i].x1 *= scale;
        lines[i].y1 *= scale;
        out->lines[i] = &lines[i];
    }
    out->n_lines = r->n_lines;
    bool blank = r->words == 0;
    out->verdict = blank ? EXTRACT__V1__VERDICT__VERDICT_BLANK : EXTRACT__V1__VERDICT__VERDICT_OCR;
    out->reason = (char *)(uintptr_t)(blank ? "OCR found no words" : "");
    out->confidence = blank ? -1 : mean(r);
    return CODE_OK;
}

static enum code read_pix(struct ctx *cx, struct ocr *o, PIX *pix, const struct turn *turn,
                          double dpi, int64_t deadline_ms, Extract__V1__Page *out)
{
    CLEANUP(reading_done) struct reading first = {0};
    CLEANUP(reading_done) struct reading again = {0};
    TRY(recognize(cx, o->text, pix, (int)dpi, deadline_ms, turn, &first));
    if (mean(&first) < unsure)
        TRY(read_turned(cx, o, pix, (int)dpi, deadline_ms, *turn, &again));
    struct reading *best = again.confidence > first.confidence ? &again : &first;
    return finish(cx, best, dpi, out);
}

enum code ocr_read(struct ctx *cx, struct ocr *o, struct raster *raster, int timeout_ms,
                   Extract__V1__Page *out)
{
    int64_t deadline_ms = timeout_ms ? clk_mono_ms() + timeout_ms : 0;
    double dpi = raster->dpi;
    out->width = raster->width_pt;
    out->height = raster->height_pt;
    omp_set_max_active_levels(0); /* it is per thread */
    struct turn turn;
    PIX *pix = prep_pix(raster);
    if (pix)
        pix = prep_page(pix, &turn);
    if (!pix)
        return ctx_fail(cx, CODE_OUT_OF_MEMORY, "no memory for the page's pixels");
    enum code code = read_pix(cx, o, pix, &turn, dpi, deadline_ms, out);
    pixDestroy(&pix);
    return code;
}
