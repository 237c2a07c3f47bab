/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* engine.c - text layer or OCR (engine.h); doc_pdf.c asks for every page.
 *
 * The order of the rules matters. First what makes text worthless (no Unicode map), then earlier
 * OCR (invisible text over a picture is used as it is), then pages with little or no text: those
 * are scans, drawn letters, stamped scans, or empty. Everything else is text. The thresholds lean
 * towards OCR when there is no text at all (a page lost is worse than two seconds) and towards text
 * otherwise (OCR of a good page makes it worse). Nothing here knows about PDF. */
#include "engine.h"

static const double untrusted_share = 0.30; /* music and maths reach 9 % legitimately */
static const double invisible_share = 0.95;
static const double full_picture = 0.50;
static const double some_picture = 0.05; /* a logo is smaller than a receipt */
static const double stamp_cover = 0.08; /* a fax header or page stamp, not a slide */

enum { FEW_CHARS = 200, HARDLY_ANY_CHARS = 50, MANY_PATHS = 200 };

static unsigned ink(const struct signals *s)
{
    return s->chars > s->spaces ? s->chars - s->spaces : 0;
}

static bool untrusted(const struct signals *s)
{
    return ink(s) && s->unmapped > untrusted_share * ink(s);
}

static bool invisible(const struct signals *s)
{
    return ink(s) && s->invisible >= invisible_share * s->chars;
}

bool engine_wants_images(const struct signals *s)
{
    return ink(s) < FEW_CHARS || untrusted(s) || invisible(s);
}

static int percent(double share)
{
    return (int)(share * 100 + 0.5);
}

Extract__V1__Verdict engine_decide(struct arena *a, const struct signals *s,
                                   const char **ret_reason)
{
    unsigned n = ink(s);
    if (untrusted(s)) {
        *ret_reason =
            arena_printf(a, "text has no Unicode map (%u of %u characters)", s->unmapped, n);
        return EXTRACT__V1__VERDICT__VERDICT_NEEDS_OCR;
    }
    if (invisible(s) && s->image_cover > full_picture) {
        *ret_reason = "text layer of an earlier OCR over a picture of the page";
        return EXTRACT__V1__VERDICT__VERDICT_LAYER;
    }
    if (n == 0 && s->image_cover > some_picture) {
        *ret_reason = arena_printf(a, "no text, and pictures cover %d %% of the page",
                                   percent(s->image_cover));
        return EXTRACT__V1__VERDICT__VERDICT_NEEDS_OCR;
    }
    if (n == 0 && s->paths > MANY_PATHS) {
        *ret_reason = arena_printf(a, "no text, but %u drawn shapes (outlined text)", s->paths);
        return EXTRACT__V1__VERDICT__VERDICT_NEEDS_OCR;
    }
    if (n == 0) {
        *ret_reason = "no text and no picture of any size";
        return EXTRACT__V1__VERDICT__VERDICT_BLANK;
    }
    bool stamp = n < FEW_CHARS && s->text_cover < stamp_cover;
    if (s->image_cover > full_picture && (n < HARDLY_ANY_CHARS || stamp)) {
        *ret_reason = arena_printf(a, "only %u characters, and pictures cover %d %% of the page", n,
                                   percent(s->image_cover));
        return EXTRACT__V1__VERDICT__VERDICT_NEEDS_OCR;
    }
    *ret_reason = "";
    return EXTRACT__V1__VERDICT__VERDICT_TEXT;
}
