/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* ingest_files.h - the files of a directory batch that are in work, as bars below that of the
 * batch. */
#ifndef CLIENT_INGEST_FILES_H
#define CLIENT_INGEST_FILES_H

#include "client/conn.h"
#include "client/screen.h"

enum { INGEST_FILES_MOST = 64 };

struct ingest_files;

/* Watches the jobs of the batch in a thread of its own, using INGEST_FILES_MOST slots of the screen
 * from `first`. NULL when it could not be started: the bars are an extra, nothing depends on them.
 */
struct ingest_files *ingest_files_start(struct conn *conn, const char *batch_id,
                                        struct screen *screen, size_t first);
void ingest_files_stopp(struct ingest_files **files);

#endif
