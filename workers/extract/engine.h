/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* engine.h - whether a page's own text is good or the page has to be read by OCR.
 *
 * Pure functions on what a page of a document showed while it was drawn. */
#ifndef WORKERS_EXTRACT_ENGINE_H
#define WORKERS_EXTRACT_ENGINE_H

#include "base/arena.h"
#include "extract/v1/extract.pb-c.h"

struct signals {
    unsigned chars; /* all, also spaces */
    unsigned spaces;
    unsigned invisible; /* drawn with no ink */
    unsigned unmapped; /* no Unicode value: U+FFFD or private use */
    unsigned paths, images;
    double image_cover; /* share of the page under images, 0 to 1; 0 until images were asked for */
    double text_cover; /* share of the page under text lines, 0 to 1 */
};

/* Whether images must be looked at (they cost time) before engine_decide can judge. */
bool engine_wants_images(const struct signals *s);

/* TEXT, NEEDS_OCR, BLANK or LAYER, and a short reason for people. */
Extract__V1__Verdict engine_decide(struct arena *a, const struct signals *s,
                                   const char **ret_reason);

#endif
