/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* upload_file.c - sends one file (upload_file.h).
 *
 * One message with what is known about the file, then its bytes in pieces of PIECE_BYTES. A piece
 * is read only when the transport took the one before, so memory stays at one piece whatever the
 * file's size and the server's speed. The server ends the call early when it refuses the file; its
 * reason comes out of the next send. The password goes into the first message and nowhere else. */
#include "client/upload_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "client/interrupt.h"

enum { PIECE_BYTES = 256 * 1024 };

static void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

enum code upload_name(struct ctx *cx, const char *path, char **ret_name)
{
    *ret_name = str_safe_name(&cx->arena, path, strlen(path));
    return *ret_name ? CODE_OK : ctx_oom(cx);
}

/* The caller closes *ret_fd, which is -1 when the file could not be opened, on failure too. */
static enum code open_file(struct ctx *cx, const char *path, int *ret_fd, int64_t *ret_size)
{
    struct stat st;
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (*ret_fd < 0 || fstat(*ret_fd, &st) != 0)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "%s", strerror(errno));
    if (S_ISDIR(st.st_mode))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                        "it is a directory; name the files in it, or see ingest");
    *ret_size = S_ISREG(st.st_mode) ? st.st_size : 0;
    return CODE_OK;
}

static enum code send_metadata(struct ctx *cx, struct conn_stream *stream, const char *path,
                               const struct upload_options *options)
{
    Localrag__V1__UploadMetadata metadata = LOCALRAG__V1__UPLOAD_METADATA__INIT;
    Localrag__V1__UploadDocumentRequest request = LOCALRAG__V1__UPLOAD_DOCUMENT_REQUEST__INIT;
    TRY(upload_name(cx, path, &metadata.filename));
    metadata.metadata = options->metadata;
    metadata.priority = options->priority;
    if (options->password)
        metadata.password = (char *)options->password;
    metadata.languages = options->languages;
    metadata.n_languages = options->n_languages;
    request.payload_case = LOCALRAG__V1__UPLOAD_DOCUMENT_REQUEST__PAYLOAD_METADATA;
    request.metadata = &metadata;
    return conn_send(cx, stream, &request.base);
}

static enum code send_bytes(struct ctx *cx, struct conn_stream *stream, int fd, int64_t size,
                            upload_progress progress, void *user)
{
    uint8_t *piece = ctx_alloc(cx, PIECE_BYTES);
    if (!piece)
        return ctx_oom(cx);
    for (int64_t sent = 0;;) {
        if (interrupt_pending()) /* sends that never wait would never see it */
            return ctx_fail(cx, CODE_CANCELLED, "interrupted");
        ssize_t n = read(fd, piece, PIECE_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ctx_fail(cx, CODE_INVALID_ARGUMENT, "could not read it: %s", strerror(errno));
        if (n == 0)
            return CODE_OK;
        Localrag__V1__UploadDocumentRequest request = LOCALRAG__V1__UPLOAD_DOCUMENT_REQUEST__INIT;
        request.payload_case = LOCALRAG__V1__UPLOAD_DOCUMENT_REQUEST__PAYLOAD_DATA;
        request.data = (ProtobufCBinaryData){.len = (size_t)n, .data = piece};
        TRY(conn_send(cx, stream, &request.base));
        sent += n;
        progress(user, sent, size);
    }
}

enum code upload_file(struct ctx *cx, struct conn *conn, const char *path,
                      const struct upload_options *options, upload_progress progress, void *user,
                      Localrag__V1__UploadDocumentResponse **ret_reply)
{
    CLEANUP(closep) int fd = -1;
    CLEANUP(conn_stream_closep) struct conn_stream *stream = NULL;
    int64_t size = 0;
    ProtobufCMessage *reply = NULL, *more = NULL;
    TRY(open_file(cx, path, &fd, &size));
    progress(user, 0, size);
    TRY(conn_start(cx, conn, &localrag__v1__upload_service__descriptor, "UploadDocument",
                   options->stall_ms, &stream));
    TRY(send_metadata(cx, stream, path, options));
    TRY(send_bytes(cx, stream, fd, size, progress, user));
    TRY(conn_send_end(cx, stream));
    TRY(conn_recv(cx, stream, &reply));
    if (reply)
        TRY(conn_recv(cx, stream, &more)); /* the status: only now it is accepted */
    if (!reply)
        return ctx_fail(cx, CODE_INTERNAL, "the server answered nothing");
    *ret_reply = (Localrag__V1__UploadDocumentResponse *)reply;
    return CODE_OK;
}
