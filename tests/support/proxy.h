/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* proxy.h - stands between a program and the test database, and cuts the connection where it hurts.
 *
 * Needs the fixture. One thread; connections through it are made with proxy_url. */
#ifndef TESTS_SUPPORT_PROXY_H
#define TESTS_SUPPORT_PROXY_H

#include "tests/support/fixture.h"

struct proxy;

struct proxy *proxy_start(void); /* NULL: could not */
void proxy_stop(struct proxy *p); /* cuts what is left */

/* For DATABASE_URL; lives as long as the proxy. */
const char *proxy_url(const struct proxy *p);

/* Once, at the next message of this type ('B' bind, 'Q' simple query) that names `text`:
 * PROXY_BEFORE cuts instead of passing it on; PROXY_AFTER lets the server do it and cuts instead of
 * passing the answer on. `text` is borrowed. */
enum proxy_when { PROXY_BEFORE, PROXY_AFTER };
void proxy_cut(struct proxy *p, char type, const char *text, enum proxy_when when);

void proxy_close_door(struct proxy *p); /* new connections are refused from now on */

int proxy_cuts(struct proxy *p); /* how many there were */

#endif
