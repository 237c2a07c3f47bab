/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* stats_view.h - the statistics of jobs as text. Pure. */
#ifndef CLIENT_STATS_VIEW_H
#define CLIENT_STATS_VIEW_H

#include "base/buf.h"
#include "base/ctx.h"
#include "localrag/v1/job.pb-c.h"

enum code stats_view(struct ctx *cx, struct buf *b,
                     const Localrag__V1__JobStatistics *statistics) MUST_CHECK;

#endif
