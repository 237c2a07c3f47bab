/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* log.c - one line an event (log.h).
 *
 * The line is built in one buffer and written with one write(2), so lines of several threads and of
 * several processes that share the stream do not mix. Text that is not UTF-8 or holds control
 * characters is escaped: a hostile file name cannot forge a line. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clk.h"
#include "base/str.h"

static const char *const level_names[] = {"debug", "info", "warning", "error"};

static struct {
    pthread_mutex_t lock;
    const char *program;
    char path[4096];
    enum log_level level;
    enum log_format format;
    int fd;
} logger = {.lock = PTHREAD_MUTEX_INITIALIZER,
            .program = "localrag",
            .level = LOG_LEVEL_INFO,
            .format = LOG_FORMAT_TEXT,
            .fd = STDERR_FILENO};

static int open_path(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

bool log_open(const char *program, enum log_level level, enum log_format format, const char *path)
{
    int fd = STDERR_FILENO;
    if (path && *path) {
        fd = open_path(path);
        if (fd < 0)
            return false;
    }
    pthread_mutex_lock(&logger.lock);
    snprintf(logger.path, sizeof(logger.path), "%s", fd == STDERR_FILENO ? "" : path);
    if (logger.fd != STDERR_FILENO)
        close(logger.fd);
    logger.program = program;
    logger.level = level;
    logger.format = format;
    logger.fd = fd;
    pthread_mutex_unlock(&logger.lock);
    return true;
}

void log_reopen(void)
{
    pthread_mutex_lock(&logger.lock);
    if (logger.path[0]) {
        int fd = open_path(logger.path);
        if (fd >= 0) {
            close(logger.fd);
            logger.fd = fd;
        }
    }
    pthread_mutex_unlock(&logger.lock);
}

bool log_level_parse(const char *name, enum log_level *ret_level)
{
    for (unsigned i = 0; i < ARRAY_LEN(level_names); i++)
        if (strcasecmp(name, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    return false;
}

static void line_json(struct buf *b, const struct ctx *cx, enum log_level level, const char *time,
                      const char *message)
{
    buf_printf(b, "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"pid\":%d", time,
               level_names[level], logger.program, (int)getpid());
    if (cx && cx->job_id) {
        buf_str(b, ",\"job_id\":");
        str_json(b, cx->job_id);
    }
    if (cx && cx->request_id) {
        buf_str(b, ",\"request_id\":");
        str_json(b, cx->request_id);
    }
    buf_str(b, ",\"message\":");
    str_json(b, message);
    buf_str(b, "}\n");
}

/* Controls (C1 too) and bytes that are not UTF-8 as \xNN. */
static void escaped(struct buf *b, const char *text)
{
    size_t n = strlen(text);
    while (n) {
        const unsigned char *p = (const unsigned char *)text;
        size_t k = str_utf8_prefix(text, MIN(n, (size_t)4)); /* at least one character, if valid */
        if (!k || *p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0)) {
            buf_printf(b, "\\x%02x", *p);
            k = 1;
        } else {
            k = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
            buf_add(b, text, k);
        }
        text += k;
        n -= k;
    }
}

static void line_text(struct buf *b, const struct ctx *cx, enum log_level level, const char *time,
                      const char *message)
{
    buf_printf(b, "%s %-7s %s: ", time, level_names[level], logger.program);
    escaped(b, message);
    if (cx && cx->job_id) {
        buf_str(b, " job=");
        escaped(b, cx->job_id);
    }
    if (cx && cx->request_id) {
        buf_str(b, " request=");
        escaped(b, cx->request_id);
    }
    buf_char(b, '\n');
}

void log_event(const struct ctx *cx, enum log_level level, const char *fmt, ...)
{
    if (level < logger.level)
        return;
    char message[2048], time[32];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    int64_t now = clk_wall_us();
    clk_print_rfc3339(now / 1000000, (int32_t)(now % 1000000) * 1000, time);

    CLEANUP(buf_done) struct buf b = BUF_INIT(64 * 1024);
    if (logger.format == LOG_FORMAT_JSON)
        line_json(&b, cx, level, time, message);
    else
        line_text(&b, cx, level, time, message);
    if (buf_failed(&b))
        return;
    pthread_mutex_lock(&logger.lock);
    ssize_t n;
    do
        n = write(logger.fd, b.data, b.len);
    while (n < 0 && errno == EINTR);
    pthread_mutex_unlock(&logger.lock);
}

void log_failure(const struct ctx *cx, enum log_level level, const char *what)
{
    const char *file = cx->failure.file ? cx->failure.file : "?";
    const char *slash = strrchr(file, '/');
    log_event(cx, level, "%s: %s (%s, %s:%d)", what, ctx_message(cx), code_name(cx->failure.code),
              slash ? slash + 1 : file, cx->failure.line);
}
