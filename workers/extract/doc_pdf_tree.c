/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* doc_pdf_tree.c - the page tree of a PDF (doc_pdf_tree.h); called by doc_pdf.c.
 *
 * The tree is outside input like everything else: /Count may claim two thousand million pages,
 * /Kids may contain itself, labels may nest for ever. Walks are bounded in depth, in number and by
 * the count of the file's objects. Broken references resolve to null in MuPDF, so a walk goes on
 * past them. Documents cut off in the middle lose their catalogue but keep page objects: those are
 * collected under a new one. Nothing here draws or decodes pages. */
#include "doc_pdf_tree.h"

#include <stdio.h>
#include <string.h>

#include "base/defs.h"
#include "base/str.h"

enum { MAX_DEPTH = 64, MAX_LABEL_RANGES = 100 * 1000 };

/* ---- counting ---- */

/* *visits: nodes that may still be looked at; a tree that contains itself would never end. */
static int walk(fz_context *fz, pdf_obj *node, int depth, int have, int limit, int *visits)
{
    if (--*visits < 0 || depth > MAX_DEPTH)
        return have;
    pdf_obj *kids = pdf_dict_get(fz, node, PDF_NAME(Kids));
    if (!pdf_is_array(fz, kids))
        return pdf_is_dict(fz, node) ? have + 1 : have;
    int n = pdf_array_len(fz, kids);
    for (int i = 0; i < n && have<limit && * visits> 0; i++)
        have = walk(fz, pdf_array_get(fz, kids, i), depth + 1, have, limit, visits);
    return have;
}

/* ---- mending ---- */

static bool is_page(fz_context *fz, pdf_obj *obj)
{
    return pdf_is_dict(fz, obj) &&
           pdf_name_eq(fz, pdf_dict_get(fz, obj, PDF_NAME(Type)), PDF_NAME(Page));
}

static int mend(fz_context *fz, pdf_document *doc, int limit)
{
    pdf_obj *pages = pdf_add_new_dict(fz, doc, 4);
    pdf_dict_put(fz, pages, PDF_NAME(Type), PDF_NAME(Pages));
    pdf_obj *kids = pdf_dict_put_array(fz, pages, PDF_NAME(Kids), 16);
    int found = 0, n = pdf_xref_len(fz, doc);
    for (int i = 1; i < n && found < limit; i++) {
        pdf_obj *ref = pdf_new_indirect(fz, doc, i, 0);
        if (is_page(fz, ref)) {
            pdf_array_push(fz, kids, ref);
            if (!pdf_is_dict(fz, pdf_dict_get(fz, ref, PDF_NAME(Parent))))
                pdf_dict_put(fz, ref, PDF_NAME(Parent), pages);
            found++;
        }
        pdf_drop_obj(fz, ref);
    }
    pdf_dict_put_int(fz, pages, PDF_NAME(Count), found);
    pdf_obj *root = pdf_add_new_dict(fz, doc, 2);
    pdf_dict_put(fz, root, PDF_NAME(Type), PDF_NAME(Catalog));
    pdf_dict_put(fz, root, PDF_NAME(Pages), pages);
    pdf_dict_put(fz, pdf_trailer(fz, doc), PDF_NAME(Root), root);
    pdf_drop_obj(fz, root);
    pdf_drop_obj(fz, pages);
    return found;
}

int pdf_tree_count(fz_context *fz, pdf_document *doc, int max_pages)
{
    int objects = pdf_xref_len(fz, doc);
    int limit = max_pages ? max_pages + 1 : objects + 1;
    int claimed = pdf_count_pages(fz, doc);
    if (claimed > objects) {
        pdf_obj *root = pdf_dict_get(fz, pdf_trailer(fz, doc), PDF_NAME(Root));
        int visits = objects;
        claimed = walk(fz, pdf_dict_get(fz, root, PDF_NAME(Pages)), 0, 0, limit, &visits);
    }
    return claimed > 0 ? claimed : mend(fz, doc, limit);
}

int pdf_tree_rotation(fz_context *fz, pdf_page *page)
{
    int r = pdf_to_int(fz, pdf_dict_get_inheritable(fz, page->obj, PDF_NAME(Rotate))) % 360;
    r = r < 0 ? r + 360 : r;
    return r % 90 ? 0 : r;
}

static bool is_lost(fz_context *fz, pdf_obj *obj)
{
    return pdf_is_indirect(fz, obj) && pdf_is_null(fz, pdf_resolve_indirect(fz, obj));
}

bool pdf_tree_lost_content(fz_context *fz, pdf_page *page)
{
    pdf_obj *contents = pdf_dict_get(fz, page->obj, PDF_NAME(Contents));
    if (is_lost(fz, contents) || is_lost(fz, pdf_dict_get(fz, page->obj, PDF_NAME(Resources))))
        return true;
    int n = pdf_array_len(fz, contents);
    for (int i = 0; i < n; i++)
        if (is_lost(fz, pdf_array_get(fz, contents, i)))
            return true;
    return false;
}

/* ---- labels ---- */

struct range { /* of the number tree /PageLabels that holds the page */
    int start;
    pdf_obj *dict; /* borrowed; NULL: none */
};

static void find_range(fz_context *fz, pdf_obj *node, int depth, int index, int *budget,
                       struct range *best)
{
    pdf_obj *nums = pdf_dict_get(fz, node, PDF_NAME(Nums));
    int n = pdf_array_len(fz, nums);
    for (int i = 0; i + 1 < n && (*budget)-- > 0; i += 2) {
        int start = pdf_array_get_int(fz, nums, i);
        if (start > index) /* they are sorted */
            break;
        if (!best->dict || start >= best->start)
            *best = (struct range){start, pdf_array_get(fz, nums, i + 1)};
    }
    pdf_obj *kids = pdf_dict_get(fz, node, PDF_NAME(Kids));
    n = depth < MAX_DEPTH ? pdf_array_len(fz, kids) : 0;
    for (int i = 0; i < n && (*budget)-- > 0; i++)
        find_range(fz, pdf_array_get(fz, kids, i), depth + 1, index, budget, best);
}

static void roman(int n, bool upper, char *out, size_t size)
{
    static const struct {
        int value;
        const char *lower, *upper;
    } digits[] = {{1000, "m", "M"}, {900, "cm", "CM"}, {500, "d", "D"}, {400, "cd", "CD"},
                  {100, "c", "C"},  {90, "xc", "XC"},  {50, "l", "L"},  {40, "xl", "XL"},
                  {10, "x", "X"},   {9, "ix", "IX"},   {5, "v", "V"},   {4, "iv", "IV"},
                  {1, "i", "I"}};
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LEN(digits) && len + 3 < size; i++)
        for (; n >= digits[i].value && len + 3 < size; n -= digits[i].value)
            len += (size_t)snprintf(out + len, size - len, "%s",
                                    upper ? digits[i].upper : digits[i].lower);
}

static void letters(int n, bool upper, char *out, size_t size)
{
    size_t times = (size_t)(n - 1) / 26 + 1; /* a to z, aa to zz */
    times = MIN(times, size - 1);
    memset(out, (upper ? 'A' : 'a') + (n - 1) % 26, times);
    out[times] = '\0';
}

void pdf_tree_label(fz_context *fz, pdf_document *doc, int index, char out[PDF_LABEL_BYTES])
{
    out[0] = '\0';
    pdf_obj *root = pdf_dict_get(fz, pdf_trailer(fz, doc), PDF_NAME(Root));
    pdf_obj *tree = pdf_dict_gets(fz, root, "PageLabels");
    struct range r = {0, NULL};
    int budget = MAX_LABEL_RANGES;
    if (tree)
        find_range(fz, tree, 0, index, &budget, &r);
    if (!pdf_is_dict(fz, r.dict))
        return;

    int64_t n = (int64_t)MAX(pdf_to_int(fz, pdf_dict_gets(fz, r.dict, "St")), 1) + index - r.start;
    const char *style = pdf_dict_get_name(fz, r.dict, PDF_NAME(S));
    char number[PDF_LABEL_BYTES / 2] = "";
    if (strcmp(style, "D") == 0)
        snprintf(number, sizeof(number), "%lld", (long long)n);
    else if ((*style == 'R' || *style == 'r') && n < 10000)
        roman((int)n, *style == 'R', number, sizeof(number));
    else if ((*style == 'A' || *style == 'a') && n < 10000)
        letters((int)n, *style == 'A', number, sizeof(number));

    const char *prefix = pdf_dict_get_text_string(fz, r.dict, PDF_NAME(P));
    size_t room = PDF_LABEL_BYTES - 1 - strlen(number);
    size_t len = strnlen(prefix, room);
    len = str_utf8_prefix(prefix, len);
    memcpy(out, prefix, len);
    strcpy(out + len, number);
}
