/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* sanitized.h - whether this is a build with a sanitizer that needs more than a locked-in process
 * may. */
#ifndef WORKERS_EXTRACT_SANITIZED_H
#define WORKERS_EXTRACT_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
