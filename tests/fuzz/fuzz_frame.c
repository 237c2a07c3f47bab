/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* fuzz_frame.c - what an extractor child that was taken over may say to its worker.
 *
 * The input is the stream of the socket: frames of replies, or anything else. It is sent in two
 * pieces, cut where the first byte says, and read with the very function the worker uses
 * (box_receive; its file is included because a child without a process cannot be made from
 * outside). What is accepted must keep the promises that read_pages.c builds on. */
#include "workers/box_child.c"

#include "base/str.h"
#include "tests/fuzz/fuzz.h"

enum { MEMORY = 4 << 20, MAX_STREAM = 64 * 1024 };

static void check_page(const Extract__V1__Page *p)
{
    size_t len = strlen(p->text);
    FUZZ_CHECK(p->page > 0 && p->width >= 0 && p->height >= 0);
    FUZZ_CHECK(str_utf8_prefix(p->text, len) == len);
    for (size_t i = 0; i < p->n_lines; i++)
        FUZZ_CHECK(p->lines[i]->start <= p->lines[i]->end && p->lines[i]->end <= len);
}

static void check_reply(const Extract__V1__Reply *r)
{
    if (r->kind_case == EXTRACT__V1__REPLY__KIND_OPENED)
        FUZZ_CHECK(r->opened->page_count > 0 && r->opened->title && r->opened->content_type);
    else if (r->kind_case == EXTRACT__V1__REPLY__KIND_PAGE)
        check_page(r->page);
    else if (r->kind_case == EXTRACT__V1__REPLY__KIND_FAILED)
        FUZZ_CHECK(r->failed->message && code_from_name(r->failed->code) != CODE_OK);
    else
        FUZZ_CHECK(r->kind_case == EXTRACT__V1__REPLY__KIND_DONE);
}

/* Reads until there is nothing more to read; false when the talk is over. */
static bool receive_all(struct box_child *c)
{
    struct ctx cx;
    enum code code;
    bool got = false;
    do {
        Extract__V1__Reply *reply = NULL;
        ctx_init(&cx, MEMORY);
        code = box_receive(&cx, c, &got, &reply);
        if (code == CODE_OK && got)
            check_reply(reply);
        ctx_done(&cx);
    } while (code == CODE_OK && got);
    return code == CODE_OK;
}

static void send_all(int fd, const uint8_t *data, size_t size)
{
    if (size)
        FUZZ_CHECK(send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size || size > MAX_STREAM)
        return 0;
    int fd[2];
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) == 0);
    struct box_child c = {.fd = fd[0],
                          .status_fd = -1,
                          .pidfd = -1,
                          .reaped = true, /* exited with 0 */
                          .in = FRAME_READER(fd[0], FRAME_LIMIT)};
    size_t cut = MIN((size_t)data[0], size - 1);
    send_all(fd[1], data + 1, cut);
    if (receive_all(&c)) {
        send_all(fd[1], data + 1 + cut, size - 1 - cut);
        close(fd[1]);
        FUZZ_CHECK(!receive_all(&c)); /* at the latest because it is closed */
    } else {
        close(fd[1]);
    }
    frame_reader_done(&c.in);
    close(fd[0]);
    return 0;
}
