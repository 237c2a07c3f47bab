/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* workers_view.h - the workers as text, in the fixed layout of `workers status`. Pure. */
#ifndef CLIENT_WORKERS_VIEW_H
#define CLIENT_WORKERS_VIEW_H

#include "base/buf.h"
#include "localrag/v1/worker.pb-c.h"

void workers_view(struct buf *b, const Localrag__V1__WorkerHealth *health);

#endif
