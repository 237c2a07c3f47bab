/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* ocr_prep.h - making a gray page fit for OCR: noise, uneven light, skew, orientation. */
#ifndef WORKERS_EXTRACT_OCR_PREP_H
#define WORKERS_EXTRACT_OCR_PREP_H

#include <leptonica/allheaders.h>

#include "doc.h"

/* How a prepared page was turned, to find the way back to the page as it was. Both turns are around
 * the middle, so their order does not matter. */
struct turn {
    int quarters; /* clockwise, 0 to 3 */
    double radians; /* clockwise */
    int width, height; /* of the page before any turn */
};

/* A gray Pix of the raster, whose memory is freed. NULL: no memory. */
PIX *prep_pix(struct raster *r);

/* Cleans a gray page where it is noisy and straightens it. Takes `pix`; NULL: no memory. Fills
 * turn. */
PIX *prep_page(PIX *pix, struct turn *ret_turn);

/* Turns by quarters, clockwise. Takes `pix`. */
PIX *prep_quarters(PIX *pix, int quarters);

/* A box of the prepared page as a box of the page before. */
void prep_box_back(const struct turn *t, double box[4]);

#endif
