/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* doc_ocr.h - reading a page's pixels with Tesseract.
 *
 * The zygote loads the models once; children inherit them by fork and need no file. */
#ifndef WORKERS_EXTRACT_DOC_OCR_H
#define WORKERS_EXTRACT_DOC_OCR_H

#include "doc.h"

struct ocr;

/* Loads the models of `languages` ("eng+deu"), and those for page orientation when they are there.
 * `tessdata` may be NULL. INVALID_ARGUMENT: a name is not valid or not installed. */
enum code ocr_open(struct ctx *cx, const char *tessdata, const char *languages,
                   struct ocr **ret_ocr) MUST_CHECK;
void ocr_close(struct ocr *o);

/* Makes sure that `languages` are loaded ("": those it was opened with). May read files. */
enum code ocr_languages(struct ctx *cx, struct ocr *o, const char *languages) MUST_CHECK;
const char *ocr_loaded(const struct ocr *o);

/* Fills text, lines, confidence, verdict (OCR or BLANK) and reason of `out`, in cx's arena. Uses up
 * the raster. Stops at timeout_ms (0: never): DEADLINE_EXCEEDED. */
enum code ocr_read(struct ctx *cx, struct ocr *o, struct raster *raster, int timeout_ms,
                   Extract__V1__Page *out) MUST_CHECK;

#endif
