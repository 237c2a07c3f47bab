/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* sandbox.h - a process gives up everything but computing and talking on descriptors it has. */
#ifndef WORKERS_EXTRACT_SANDBOX_H
#define WORKERS_EXTRACT_SANDBOX_H

#include "base/ctx.h"

/* For ever, for this process: no files, no sockets, no programs, no core, and at most `memory`
 * bytes of address space on top of what it has now (0: no limit). Doing what is not allowed ends
 * the process by SIGSYS. UNAVAILABLE: a layer cannot be installed, and the process must not go on.
 * The one exception is a kernel built without landlock: the other layers forbid the same things. */
enum code sandbox_enter(struct ctx *cx, int64_t memory) MUST_CHECK;

/* Its layers, for tests: each is used alone by nobody else. */
enum code sandbox_limits(struct ctx *cx, int64_t memory) MUST_CHECK;
enum code sandbox_landlock(struct ctx *cx) MUST_CHECK;
enum code sandbox_seccomp(struct ctx *cx) MUST_CHECK;

#endif
