/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* conn_channel.c - sets up the gRPC channel of a conn (conn_channel.h).
 *
 * Address, certificate, key and options; nothing here touches the network, so a server out of
 * reach is found out by the first call. Called once, by conn_open, before any thread starts. The
 * server's name is checked against its certificate by core; there is no option to skip that. */
#include "client/conn_channel.h"

#include <errno.h>
#include <grpc/grpc_security.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum {
    MAX_CA_BYTES = 1 << 20,
    MAX_ANSWER_BYTES = 64 << 20,
    KEEPALIVE_MS = 30 * 1000,
    KEEPALIVE_TIMEOUT_MS = 10 * 1000,
};

static void fclosep(FILE **f)
{
    if (*f)
        fclose(*f);
}

static enum code read_ca(struct ctx *cx, const char *path, char **ret_pem)
{
    CLEANUP(fclosep) FILE *f = fopen(path, "re");
    if (!f)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "could not open certificate file \"%s\": %s",
                        path, strerror(errno));
    char *pem = ctx_alloc(cx, MAX_CA_BYTES + 1);
    if (!pem)
        return ctx_oom(cx);
    size_t n = fread(pem, 1, MAX_CA_BYTES, f);
    if (ferror(f) || !strstr(pem, "-----BEGIN "))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "certificate file \"%s\" is not PEM", path);
    pem[n] = '\0';
    *ret_pem = pem;
    return CODE_OK;
}

/* "localhost" becomes "localhost:50051"; what is no address at all is refused. */
static enum code target_of(struct ctx *cx, const char *server, char **ret_target)
{
    if (!*server || strstr(server, "://") || strpbrk(server, " \t\r\n"))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                        "server \"%s\" is not an address: write HOST:PORT", server);
    const char *bracket = strrchr(server, ']');
    bool has_port = strchr(bracket ? bracket : server, ':') != NULL;
    *ret_target = ctx_printf(cx, has_port ? "%s" : "%s:50051", server);
    return *ret_target ? CODE_OK : ctx_oom(cx);
}

/* A proxy of the environment is for the world outside, not for this machine. */
static bool is_local(const char *target)
{
    return str_starts(target, "localhost:") || str_starts(target, "127.") ||
           str_starts(target, "[::1]") || str_starts(target, "unix:");
}

static grpc_channel *make_channel(const char *target, const char *pem)
{
    grpc_arg args[] = {
        {GRPC_ARG_STRING,
         (char *)GRPC_ARG_PRIMARY_USER_AGENT_STRING,
         {.string = (char *)"localrag-cli/" LOCALRAG_VERSION}},
        {GRPC_ARG_INTEGER,
         (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
         {.integer = MAX_ANSWER_BYTES}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_KEEPALIVE_TIME_MS, {.integer = KEEPALIVE_MS}},
        {GRPC_ARG_INTEGER,
         (char *)GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
         {.integer = KEEPALIVE_TIMEOUT_MS}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, {.integer = 0}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_ENABLE_HTTP_PROXY, {.integer = !is_local(target)}},
    };
    grpc_channel_args list = {ARRAY_LEN(args), args};
    grpc_channel_credentials *creds = pem ? grpc_ssl_credentials_create_ex(pem, NULL, NULL, NULL)
                                          : grpc_insecure_credentials_create();
    grpc_channel *channel = creds ? grpc_channel_create(target, creds, &list) : NULL;
    if (creds)
        grpc_channel_credentials_release(creds);
    return channel;
}

enum code conn_channel_open(struct ctx *cx, const struct conn_settings *settings,
                            grpc_channel **ret_channel)
{
    char *target = NULL, *pem = NULL;
    TRY(target_of(cx, settings->server, &target));
    if (settings->tls_ca)
        TRY(read_ca(cx, settings->tls_ca, &pem));
    grpc_channel *channel = make_channel(target, pem);
    if (!channel)
        return ctx_fail(cx, CODE_INTERNAL, "could not set up the connection to \"%s\"",
                        settings->server);
    *ret_channel = channel;
    return CODE_OK;
}

enum code conn_channel_key(struct ctx *cx, const char *api_key, char **ret_header)
{
    if (!api_key) {
        *ret_header = NULL;
        return CODE_OK;
    }
    char *header = NULL;
    if (asprintf(&header, "Bearer %s", api_key) < 0)
        return ctx_oom(cx);
    if (!grpc_header_nonbin_value_is_legal(grpc_slice_from_static_string(header))) {
        free(header);
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "the API key has characters that no key has");
    }
    *ret_header = header;
    return CODE_OK;
}
