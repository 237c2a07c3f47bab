/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_engine.c - the rule that sends a page to OCR or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "workers/extract/engine.h"

#define TEXT EXTRACT__V1__VERDICT__VERDICT_TEXT
#define OCR EXTRACT__V1__VERDICT__VERDICT_NEEDS_OCR
#define BLANK EXTRACT__V1__VERDICT__VERDICT_BLANK
#define LAYER EXTRACT__V1__VERDICT__VERDICT_LAYER

struct row {
    const char *what;
    struct signals s;
    Extract__V1__Verdict verdict;
    const char *reason; /* a part of it */
    bool wants_images;
};

static const struct row rows[] = {
    {"ordinary page", {.chars = 3000, .spaces = 500, .text_cover = .4}, TEXT, "", false},
    {"scan", {.image_cover = 1}, OCR, "no text", true},
    {"small receipt on a large page", {.image_cover = .2}, OCR, "no text", true},
    {"logo alone", {.image_cover = .02, .images = 1}, BLANK, "", true},
    {"empty", {0}, BLANK, "", true},
    {"only spaces", {.chars = 20, .spaces = 20}, BLANK, "", true},
    {"outlined text", {.paths = 900}, OCR, "outlined", true},
    {"a few rules", {.paths = 20}, BLANK, "", true},
    {"no Unicode map", {.chars = 1000, .unmapped = 900}, OCR, "no Unicode map (900 of 1000", true},
    {"music font", {.chars = 1000, .unmapped = 90, .text_cover = .3}, TEXT, "", false},
    {"earlier OCR",
     {.chars = 3391, .spaces = 400, .invisible = 3391, .image_cover = 1},
     LAYER,
     "earlier OCR",
     true},
    {"invisible without a picture", {.chars = 3391, .invisible = 3391}, TEXT, "", true},
    {"bad layer of an earlier OCR",
     {.chars = 900, .invisible = 900, .unmapped = 800, .image_cover = 1},
     OCR,
     "Unicode",
     true},
    {"stamped scan",
     {.chars = 70, .spaces = 10, .image_cover = 1, .text_cover = .03},
     OCR,
     "only 60 characters",
     true},
    {"slide over a picture",
     {.chars = 160, .spaces = 20, .image_cover = 1, .text_cover = .25},
     TEXT,
     "",
     true},
    {"title page over a picture",
     {.chars = 30, .image_cover = .9, .text_cover = .1},
     OCR,
     "only 30",
     true},
    {"half a page of text, half a photo",
     {.chars = 900, .spaces = 100, .image_cover = .6},
     TEXT,
     "",
     false},
};

static void all_rows(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *reason = NULL;
        Extract__V1__Verdict v = engine_decide(&a, &rows[i].s, &reason);
        if (v != rows[i].verdict || !strstr(reason, rows[i].reason) ||
            engine_wants_images(&rows[i].s) != rows[i].wants_images)
            fail_msg("%s: verdict %d, reason \"%s\"", rows[i].what, (int)v, reason);
    }
    arena_reset(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
