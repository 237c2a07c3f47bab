/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rpc_tsan.h - tells ThreadSanitizer that a completion queue event happens after its batch.
 *
 * libgrpc is not instrumented, so the tool cannot see it. Nothing in ordinary builds. */
#ifndef SERVER_RPC_TSAN_H
#define SERVER_RPC_TSAN_H

#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define tsan_acquire(p) __tsan_acquire(p)
#define tsan_release(p) __tsan_release(p)
#else
#define tsan_acquire(p) ((void)(p))
#define tsan_release(p) ((void)(p))
#endif

#endif
