/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* frame.h - messages on a stream socket: a 4-byte little-endian length, then that many bytes.
 *
 * Both ends of the talk between a worker and an extractor child use it. The reader believes no
 * length: memory grows with the bytes that really came. */
#ifndef BASE_FRAME_H
#define BASE_FRAME_H

#include "base/ctx.h"

struct frame_reader {
    int fd; /* borrowed; non-blocking or not */
    size_t limit; /* of one frame's payload */
    unsigned char *data;
    size_t len, cap; /* bytes held, room */
    size_t used; /* bytes at the front that belong to the frame handed out last */
};

#define FRAME_READER(fd_, limit_) ((struct frame_reader){.fd = (fd_), .limit = (limit_)})

void frame_reader_done(struct frame_reader *r); /* frees; the fd stays open. For CLEANUP. */

/* The next complete frame; its bytes stay valid until the next call. On a non-blocking fd
 * *ret_got is false when there is none yet. UNAVAILABLE: the other end is closed. TOO_LARGE: the
 * frame is longer than the limit; the stream cannot be used any more. */
enum code frame_read(struct ctx *cx, struct frame_reader *r, bool *ret_got,
                     const unsigned char **ret_data, size_t *ret_len) MUST_CHECK;

/* Sends one frame to a socket whole. UNAVAILABLE: the other end is closed, or a non-blocking socket
 * took nothing for timeout_ms. */
enum code frame_write(struct ctx *cx, int fd, const void *data, size_t len,
                      int timeout_ms) MUST_CHECK;

#endif
