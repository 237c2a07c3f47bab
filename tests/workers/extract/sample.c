/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* sample.c - small documents made in memory for tests (sample.h).
 *
 * The cross-reference table is written honestly, so what is broken in a test is broken on purpose.
 */
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CATALOG = 1, TREE, FONT, IMAGE, FIRST_PAGE, MAX_OBJECTS = 4096 };

static void begin(struct buf *b, size_t offsets[], int number)
{
    offsets[number] = b->len;
    buf_printf(b, "%d 0 obj\n", number);
}

static void write_pages(struct buf *b, size_t offsets[], const char *const *contents, int n)
{
    for (int i = 0; i < n; i++) {
        int page = FIRST_PAGE + 2 * i;
        begin(b, offsets, page);
        buf_printf(b,
                   "<</Type/Page/Parent %d 0 R/MediaBox[0 0 612 792]/Contents %d 0 R"
                   "/Resources<</Font<</F1 %d 0 R>>/XObject<</I1 %d 0 R>>>>>>\nendobj\n",
                   TREE, page + 1, FONT, IMAGE);
        begin(b, offsets, page + 1);
        buf_printf(b, "<</Length %zu>>stream\n%s\nendstream\nendobj\n", strlen(contents[i]),
                   contents[i]);
    }
}

void sample_pdf(struct buf *b, const char *const *contents, int n, const char *tree)
{
    size_t *offsets = calloc(MAX_OBJECTS, sizeof(*offsets));
    buf_str(b, "%PDF-1.4\n");
    begin(b, offsets, CATALOG);
    buf_printf(b, "<</Type/Catalog/Pages %d 0 R/PageLabels<</Nums[0<</S/r>>]>>>>\nendobj\n", TREE);
    begin(b, offsets, TREE);
    if (tree) {
        buf_str(b, tree);
    } else {
        buf_str(b, "<</Type/Pages/Kids[");
        for (int i = 0; i < n; i++)
            buf_printf(b, "%d 0 R ", FIRST_PAGE + 2 * i);
        buf_printf(b, "]/Count %d>>", n);
    }
    buf_str(b, "\nendobj\n");
    begin(b, offsets, FONT);
    buf_str(b, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>\nendobj\n");
    begin(b, offsets, IMAGE);
    buf_str(b, "<</Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray"
               "/BitsPerComponent 8/Length 1>>stream\n\x20\nendstream\nendobj\n");
    write_pages(b, offsets, contents, n);
    size_t xref = b->len;
    int objects = FIRST_PAGE + 2 * n;
    buf_printf(b, "xref\n0 %d\n0000000000 65535 f \n", objects);
    for (int i = 1; i < objects; i++)
        buf_printf(b, "%010zu 00000 n \n", offsets[i]);
    buf_printf(b, "trailer<</Size %d/Root %d 0 R>>\nstartxref\n%zu\n%%%%EOF\n", objects, CATALOG,
               xref);
    free(offsets);
}

void sample_content(struct buf *b, const char *const *lines, int n)
{
    for (int i = 0; i < n; i++)
        buf_printf(b, "BT /F1 24 Tf 60 %d Td (%s) Tj ET\n", 700 - 40 * i, lines[i]);
}

int sample_fd(const void *data, size_t len)
{
    int fd = memfd_create("sample", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, len) != (ssize_t)len) {
        perror("memfd");
        abort();
    }
    return fd;
}
