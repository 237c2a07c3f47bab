/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* db_args.c - parameters of statements (db.h), arrays among them in PostgreSQL's binary form.
 *
 * A bulk statement takes one array a column (`unnest`), so a thousand rows are one statement with a
 * dozen parameters. The binary form (src/backend/utils/adt/arrayfuncs.c, array_recv): dimensions,
 * null flag, element OID, length, lower bound, then length-prefixed elements, big-endian. It needs
 * no quoting, which is both the fast and the safe way for page texts. */
#include "store/db.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

/* Stable OIDs of src/include/catalog/pg_type.dat. */
enum { OID_BYTEA = 17 };

struct column_type {
    char letter;
    unsigned element, array;
};

static const struct column_type types_known[] = {
    {'b', OID_BYTEA, 1001}, {'l', 20, 1016},  {'i', 23, 1007},
    {'t', 25, 1009},        {'d', 701, 1022}, {'u', 2950, 2951},
};

enum { HEADER_BYTES = 20 };

struct db_array {
    const struct column_type *type;
    int32_t n;
    bool has_null;
    struct buf bytes;
};

struct db_arg db_text(const char *s)
{
    return (struct db_arg){.data = s, .len = s ? (int)strlen(s) : 0};
}

struct db_arg db_null(void)
{
    return (struct db_arg){0};
}

struct db_arg db_int(int64_t v)
{
    struct db_arg a = {0};
    a.len = snprintf(a.local, sizeof(a.local), "%lld", (long long)v);
    return a;
}

struct db_arg db_double(double v)
{
    struct db_arg a = {0};
    a.len = snprintf(a.local, sizeof(a.local), "%.17g", v);
    return a;
}

struct db_arg db_bool(bool v)
{
    struct db_arg a = {.len = 1};
    a.local[0] = v ? 't' : 'f';
    return a;
}

struct db_arg db_bytes(const void *data, size_t len)
{
    return (struct db_arg){.data = data, .len = (int)len, .binary = 1, .type = OID_BYTEA};
}

static void put32(struct buf *b, uint32_t v)
{
    v = htobe32(v);
    buf_add(b, &v, sizeof(v));
}

static void put64(struct buf *b, uint64_t v)
{
    v = htobe64(v);
    buf_add(b, &v, sizeof(v));
}

static const struct column_type *type_of(char letter)
{
    for (unsigned i = 0; i < ARRAY_LEN(types_known); i++)
        if (types_known[i].letter == letter)
            return &types_known[i];
    return NULL;
}

enum code db_columns_init(struct ctx *cx, struct db_columns *c, const char *types)
{
    for (c->n = 0; types[c->n]; c->n++) {
        struct db_array *a = c->n < DB_MAX_COLUMNS ? calloc(1, sizeof(*a)) : NULL;
        if (!a)
            return ctx_oom(cx);
        a->type = type_of(types[c->n]);
        a->bytes = BUF_INIT((size_t)1 << 30);
        if (buf_room(&a->bytes, HEADER_BYTES))
            a->bytes.len = HEADER_BYTES;
        c->column[c->n] = a;
    }
    return CODE_OK;
}

void db_columns_done(struct db_columns *c)
{
    for (int i = 0; i < c->n; i++) {
        buf_done(&c->column[i]->bytes);
        free(c->column[i]);
    }
    c->n = 0;
}

void db_put_null(struct db_columns *c, int i)
{
    put32(&c->column[i]->bytes, UINT32_MAX);
    c->column[i]->has_null = true;
    c->column[i]->n++;
}

void db_put_bytes(struct db_columns *c, int i, const void *data, size_t len)
{
    if (!data) {
        db_put_null(c, i);
        return;
    }
    put32(&c->column[i]->bytes, (uint32_t)len);
    buf_add(&c->column[i]->bytes, data, len);
    c->column[i]->n++;
}

static void put_uuid(struct db_columns *c, int i, const char *s)
{
    unsigned char raw[16];
    for (int k = 0; k < 16; k++) {
        if (*s == '-')
            s++;
        char pair[3] = {s[0], s[1], '\0'};
        raw[k] = (unsigned char)strtoul(pair, NULL, 16);
        s += 2;
    }
    db_put_bytes(c, i, raw, sizeof(raw));
}

void db_put(struct db_columns *c, int i, const char *s)
{
    bool uuid = c->column[i]->type->letter == 'u';
    if (!s || (uuid && !str_is_uuid(s)))
        db_put_null(c, i);
    else if (uuid)
        put_uuid(c, i, s);
    else
        db_put_bytes(c, i, s, strlen(s));
}

void db_put_int(struct db_columns *c, int i, int64_t v)
{
    struct db_array *a = c->column[i];
    if (a->type->letter == 'i') {
        put32(&a->bytes, 4);
        put32(&a->bytes, (uint32_t)(int32_t)v);
    } else {
        put32(&a->bytes, 8);
        put64(&a->bytes, (uint64_t)v);
    }
    a->n++;
}

void db_put_double(struct db_columns *c, int i, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    put32(&c->column[i]->bytes, 8);
    put64(&c->column[i]->bytes, bits);
    c->column[i]->n++;
}

/* A column that outgrew its limit is sent empty: PostgreSQL refuses the statement. */
struct db_arg db_column(const struct db_columns *c, int i)
{
    struct db_array *a = c->column[i];
    struct db_arg arg = {.data = "", .len = 0, .binary = 1, .type = a->type->array};
    if (buf_failed(&a->bytes) || !a->bytes.data)
        return arg;
    uint32_t header[HEADER_BYTES / 4] = {htobe32(a->n ? 1 : 0), htobe32(a->has_null),
                                         htobe32(a->type->element), htobe32((uint32_t)a->n),
                                         htobe32(1)};
    memcpy(a->bytes.data, header, sizeof(header));
    arg.data = a->bytes.data;
    arg.len = a->n ? (int)a->bytes.len : 12; /* no dimensions: the header ends early */
    return arg;
}
