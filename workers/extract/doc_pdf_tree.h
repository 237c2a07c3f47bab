/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* doc_pdf_tree.h - the page tree of a PDF: counting with suspicion, mending, labels.
 *
 * For doc_pdf.c only. All calls may throw, so they are made inside its fz_try. */
#ifndef WORKERS_EXTRACT_DOC_PDF_TREE_H
#define WORKERS_EXTRACT_DOC_PDF_TREE_H

#include <mupdf/fitz.h>
#include <mupdf/pdf.h>
#include <stdbool.h>

enum { PDF_LABEL_BYTES = 64 };

/* Number of pages. What the document claims is believed only when it has that many objects; else
 * its tree is walked, at most to max_pages + 1 (0: no limit). When the tree is gone but page
 * objects are still there, a new tree is made of them, in the order of the file's object numbers.
 * 0: no page. */
int pdf_tree_count(fz_context *fz, pdf_document *doc, int max_pages);

/* The label a reader shows for the page ("iv", "A-3"), "" when the document defines none. */
void pdf_tree_label(fz_context *fz, pdf_document *doc, int index, char out[PDF_LABEL_BYTES]);

/* 0, 90, 180 or 270. */
int pdf_tree_rotation(fz_context *fz, pdf_page *page);

/* Whether the page names content, or resources, that are not there. */
bool pdf_tree_lost_content(fz_context *fz, pdf_page *page);

#endif
