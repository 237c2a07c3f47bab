/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* admin.h - the port for machines that look after this one: probes and metrics on HOST:ADMIN_PORT.
 *
 * GET /livez (the process runs), /readyz and /startupz (it should get requests), /metrics
 * (Prometheus text). Nothing here touches the database. */
#ifndef SERVER_ADMIN_H
#define SERVER_ADMIN_H

#include "jobs/settings.h"

struct admin;

/* Not ready until told otherwise. UNAVAILABLE: the port is busy; the message names ADMIN_PORT. */
enum code admin_start(struct ctx *cx, const struct settings *settings,
                      struct admin **ret_admin) MUST_CHECK;

/* `why` is copied; NULL when ready. The first `true` ends /startupz's 503 for good. Thread-safe. */
void admin_set_ready(struct admin *admin, bool ready, const char *why);

void admin_stop(struct admin *admin); /* NULL is fine */

#endif
