/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* log.h - one line an event, JSON for machines or text for people.
 *
 * error: someone must look. warning: an oddity that was handled, the message ends with what is done
 * about it. info: the life of processes and jobs. debug: the rest. Document text, passwords and
 * keys are never logged. Thread-safe; a line is one write. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/ctx.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_JSON, LOG_FORMAT_TEXT };

/* `program` is borrowed for ever. `path` NULL: stderr. False when the file cannot be opened. */
bool log_open(const char *program, enum log_level level, enum log_format format, const char *path);

/* Opens the file again (after rotation). Safe to call from any thread, not from a signal handler.
 */
void log_reopen(void);

/* False when `name` is none of debug, info, warning, error. */
bool log_level_parse(const char *name, enum log_level *ret_level);

/* cx may be NULL; its job and request ids become fields of the line. */
void log_event(const struct ctx *cx, enum log_level level, const char *fmt, ...) PRINTF(3, 4);
#define log_debug(cx, ...) log_event((cx), LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(cx, ...) log_event((cx), LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(cx, ...) log_event((cx), LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(cx, ...) log_event((cx), LOG_LEVEL_ERROR, __VA_ARGS__)

/* The recorded failure with code and origin, once, at the edge that handles it. */
void log_failure(const struct ctx *cx, enum log_level level, const char *what);

#endif
