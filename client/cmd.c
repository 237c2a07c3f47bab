/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd.c - the table of commands (cmd.h).
 *
 * A new command is a file cmd_*.c that defines its entry, a declaration in cmd.h and a line here;
 * help, suggestions and completion follow. Sorted, which a test holds. The global options may stand
 * anywhere on the command line. */
#include "client/cmd.h"

#include <string.h>

#include "base/str.h"

const struct cmd *const cmd_all[] = {
    &cmd_completion,     &cmd_documents_chunks, &cmd_documents_delete,
    &cmd_documents_list, &cmd_documents_pages,  &cmd_documents_reprocess,
    &cmd_documents_show, &cmd_documents_text,   &cmd_health,
    &cmd_help,           &cmd_ingest,           &cmd_jobs_cancel,
    &cmd_jobs_cleanup,   &cmd_jobs_list,        &cmd_jobs_result,
    &cmd_jobs_retry,     &cmd_jobs_stats,       &cmd_jobs_status,
    &cmd_jobs_watch,     &cmd_upload,           &cmd_workers_start,
    &cmd_workers_status, &cmd_workers_stop,
};
const size_t cmd_all_count = ARRAY_LEN(cmd_all);

const struct cmd_group cmd_groups[] = {
    {"documents", "what was read: documents, their pages, chunks and text"},
    {"jobs", "list, follow, cancel and retry jobs"},
    {"workers", "the background workers"},
};
const size_t cmd_groups_count = ARRAY_LEN(cmd_groups);

const struct arg_option cmd_global_options[] = {
    {"server", 0, ARG_TEXT, "HOST:PORT", NULL,
     "the server to talk to (LOCALRAG_SERVER; default localhost:50051)"},
    {"api-key", 0, ARG_TEXT, "KEY", NULL, "API key (LOCALRAG_API_KEY)"},
    {"tls-ca", 0, ARG_FILE, "FILE", NULL, "use TLS; FILE holds the CA certificate (PEM)"},
    {"timeout", 0, ARG_SECONDS, "S", NULL,
     "seconds to wait for an answer (default 30); ends a watch too"},
    {"json", 0, ARG_FLAG, NULL, NULL, "print JSON: one document, or one a line for lists"},
    {"no-color", 0, ARG_FLAG, NULL, NULL, "no colors (NO_COLOR)"},
    {"quiet", 'q', ARG_FLAG, NULL, NULL, "no progress and no hints"},
    {"help", 'h', ARG_FLAG, NULL, NULL, "show this help"},
    {"version", 0, ARG_FLAG, NULL, NULL, "show the version"},
};
const size_t cmd_global_options_count = ARRAY_LEN(cmd_global_options);

const struct cmd *cmd_find(const char *first, const char *second)
{
    size_t n = strlen(first);
    for (size_t i = 0; i < cmd_all_count; i++) {
        const char *name = cmd_all[i]->name;
        if (!str_starts(name, first))
            continue;
        if (second ? name[n] == ' ' && strcmp(name + n + 1, second) == 0 : name[n] == '\0')
            return cmd_all[i];
    }
    return NULL;
}

const struct cmd_group *cmd_find_group(const char *name)
{
    for (size_t i = 0; i < cmd_groups_count; i++)
        if (strcmp(cmd_groups[i].name, name) == 0)
            return &cmd_groups[i];
    return NULL;
}
