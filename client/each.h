/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* each.h - the same thing for every operand of a command, one after another. */
#ifndef CLIENT_EACH_H
#define CLIENT_EACH_H

#include "client/app.h"

/* Does it for one id in a unit of work of its own; returns the exit status. */
typedef int (*each_one)(const struct app *app, struct ctx *cx, const char *id);

/* One that fails does not keep the others from being done. The exit status is that of the first
 * that failed, or EXIT_INTERRUPTED after a Ctrl-C, which leaves out the rest. */
int each_operand(const struct app *app, each_one one);

/* Ends each_one: the server's answer as JSON, or its message as a line unless -q. */
int each_said(const struct app *app, const ProtobufCMessage *answer, const char *message);

#endif
