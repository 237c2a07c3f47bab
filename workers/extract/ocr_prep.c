/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* ocr_prep.c - making a gray page fit for OCR (ocr_prep.h); for doc_ocr.c.
 *
 * Tesseract binarises well by itself but gives up on noise and on lines that are not level. A rough
 * Otsu copy tells both: very many tiny specks mean noise, and its rows tell the skew. Noise is
 * removed by a blur followed by evening out the background (either one alone makes it worse), and
 * only where the specks are counted, because a clean page loses by it. What is handed on stays
 * gray: Tesseract's own threshold is better on gray than on anything binarised here. */
#include "ocr_prep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SPECK = 3, /* pixels, both ways */
    NOISY_SPECKS = 20000, /* a page; usable scans have up to 2,000 */
    WHOLE_PAGE = 20000, /* tile size for one threshold */
    BLUR = 2, /* 5 x 5 */
};

static const double skew_range = 7, skew_step = 1, skew_end = 0.01; /* degrees */
static const double skew_sure = 1.5, skew_least = 0.05;

PIX *prep_pix(struct raster *r)
{
    PIX *pix = pixCreate(r->width, r->height, 8);
    if (pix) {
        size_t bytes = (size_t)pixGetWpl(pix) * 4;
        for (int y = 0; y < r->height; y++)
            memcpy((char *)pixGetData(pix) + (size_t)y * bytes,
                   r->gray + (size_t)y * (size_t)r->width, (size_t)r->width);
        pixEndianByteSwap(pix);
        pixSetResolution(pix, (int)r->dpi, (int)r->dpi);
    }
    free(r->gray);
    r->gray = NULL;
    return pix;
}

static PIX *binary_copy(PIX *pix)
{
    PIX *binary = NULL;
    if (pixOtsuAdaptiveThreshold(pix, WHOLE_PAGE, WHOLE_PAGE, 0, 0, 0.1f, NULL, &binary))
        return NULL;
    return binary;
}

static bool is_noisy(PIX *binary)
{
    BOXA *boxes = pixConnCompBB(binary, 8);
    if (!boxes)
        return false;
    int specks = 0, n = boxaGetCount(boxes);
    for (int i = 0; i < n; i++) {
        l_int32 w, h;
        if (!boxaGetBoxGeometry(boxes, i, NULL, NULL, &w, &h))
            specks += w <= SPECK && h <= SPECK;
    }
    boxaDestroy(&boxes);
    return specks > NOISY_SPECKS;
}

static PIX *clean(PIX *pix)
{
    PIX *smooth = pixBlockconvGray(pix, NULL, BLUR, BLUR);
    PIX *even = smooth ? pixBackgroundNormSimple(smooth, NULL, NULL) : NULL;
    pixDestroy(&smooth);
    if (!even) /* a page too small for it */
        return pix;
    pixDestroy(&pix);
    return even;
}

static double skew(PIX *binary)
{
    l_float32 angle = 0, sure = 0;
    if (pixFindSkewSweepAndSearch(binary, &angle, &sure, 4, 2, (l_float32)skew_range,
                                  (l_float32)skew_step, (l_float32)skew_end))
        return 0;
    return sure > skew_sure && fabs((double)angle) > skew_least ? (double)angle * M_PI / 180 : 0;
}

PIX *prep_page(PIX *pix, struct turn *ret_turn)
{
    *ret_turn = (struct turn){.width = pixGetWidth(pix), .height = pixGetHeight(pix)};
    PIX *binary = binary_copy(pix);
    if (!binary) /* a page of one gray: nothing to clean or to straighten */
        return pix;
    if (is_noisy(binary))
        pix = clean(pix);
    double radians = skew(binary);
    pixDestroy(&binary);
    if (radians == 0)
        return pix;
    PIX *straight = pixRotate(pix, (l_float32)radians, L_ROTATE_AREA_MAP, L_BRING_IN_WHITE, 0, 0);
    if (!straight)
        return pix;
    pixDestroy(&pix);
    ret_turn->radians = radians;
    return straight;
}

PIX *prep_quarters(PIX *pix, int quarters)
{
    PIX *turned = pixRotateOrth(pix, quarters);
    pixDestroy(&pix);
    return turned;
}

static void point_back(const struct turn *t, double *x, double *y)
{
    bool swapped = t->quarters % 2 != 0;
    double w = swapped ? t->height : t->width, h = swapped ? t->width : t->height;
    double dx = *x - w / 2, dy = *y - h / 2;
    double c = cos(-t->radians), s = sin(-t->radians);
    double px = w / 2 + dx * c - dy * s, py = h / 2 + dx * s + dy * c;
    switch (t->quarters) {
    case 1:
        *x = py;
        *y = t->height - px;
        break;
    case 2:
        *x = t->width - px;
        *y = t->height - py;
        break;
    case 3:
        *x = t->width - py;
        *y = px;
        break;
    default:
        *x = px;
        *y = py;
    }
}

void prep_box_back(const struct turn *t, double box[4])
{
    double out[4] = {INFINITY, INFINITY, -INFINITY, -INFINITY};
    for (int corner = 0; corner < 4; corner++) {
        double x = box[corner & 1 ? 2 : 0], y = box[corner & 2 ? 3 : 1];
        point_back(t, &x, &y);
        out[0] = MIN(out[0], x);
        out[1] = MIN(out[1], y);
        out[2] = MAX(out[2], x);
        out[3] = MAX(out[3], y);
    }
    memcpy(box, out, sizeof(out));
}
