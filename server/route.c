/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* route.c - which method a verb and a path mean (route.h).
 *
 * A place is a list of segments; the methods of one place differ in their verbs. Looking up
 * compares the path with every place (there are a few dozen) and keeps the most literal one, so
 * "/jobs/statistics" is never taken for a job's id, and a verb that the most literal place does not
 * know is 405 even if a less literal one would. The path is cut at its slashes before it is
 * decoded: a %2F belongs to the value. */
#include "server/route.h"

#include <stdio.h>
#include <string.h>

enum { MAX_VERBS = 8 };

struct segment {
    const char *text; /* the literal, or the field's name */
    bool is_field;
};

struct place {
    struct segment segments[ROUTE_MAX_SEGMENTS];
    size_t n;
    unsigned literals; /* a bit a segment, the first is the highest */
    const struct method *methods[MAX_VERBS];
    size_t n_methods;
    const char *allow;
};

struct route_table {
    struct place *places;
    size_t n;
};

/* ---- compiling ---- */

static enum code parse_template(struct ctx *cx, const struct method *m, struct place *p)
{
    const char *s = m->route;
    while (*s == '/') {
        const char *end = strchrnul(++s, '/');
        size_t len = (size_t)(end - s);
        bool is_field = len > 2 && *s == '{' && end[-1] == '}';
        if (!len || p->n == ROUTE_MAX_SEGMENTS || (!is_field && memchr(s, '{', len)))
            return ctx_fail(cx, CODE_INTERNAL, "the route \"%s\" is not understood", m->route);
        const char *text = is_field ? ctx_strndup(cx, s + 1, len - 2) : ctx_strndup(cx, s, len);
        if (!text)
            return CODE_OUT_OF_MEMORY;
        if (is_field && !protobuf_c_message_descriptor_get_field_by_name(m->input, text))
            return ctx_fail(cx, CODE_INTERNAL, "the route \"%s\" names a field that \"%s\" lacks",
                            m->route, m->input->name);
        p->literals |= is_field ? 0 : 1u << (ROUTE_MAX_SEGMENTS - 1 - p->n);
        p->segments[p->n++] = (struct segment){.text = text, .is_field = is_field};
        s = end;
    }
    if (*s || !p->n)
        return ctx_fail(cx, CODE_INTERNAL, "the route \"%s\" is not understood", m->route);
    return CODE_OK;
}

static bool same_place(const struct place *a, const struct place *b)
{
    if (a->n != b->n || a->literals != b->literals)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!a->segments[i].is_field && strcmp(a->segments[i].text, b->segments[i].text) != 0)
            return false;
    return true;
}

static const struct method *by_verb(const struct place *p, const char *verb)
{
    if (strcmp(verb, "HEAD") == 0)
        verb = "GET";
    for (size_t i = 0; i < p->n_methods; i++)
        if (strcmp(p->methods[i]->verb, verb) == 0)
            return p->methods[i];
    return NULL;
}

/* Names of fields are taken from the first template of a place; others must agree. */
static enum code add_method(struct ctx *cx, struct route_table *t, const struct method *m)
{
    struct place place = {0};
    TRY(parse_template(cx, m, &place));
    if (*m->body && strcmp(m->body, "*") != 0)
        return ctx_fail(cx, CODE_INTERNAL, "the body \"%s\" of \"%s\" is not understood", m->body,
                        m->path);
    struct place *p = t->places;
    while (p < t->places + t->n && !same_place(p, &place))
        p++;
    if (p == t->places + t->n)
        t->places[t->n++] = place;
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->segments[i].text, place.segments[i].text) != 0)
            return ctx_fail(cx, CODE_INTERNAL, "the route \"%s\" names its field differently",
                            m->route);
    if (by_verb(p, m->verb) || p->n_methods == MAX_VERBS)
        return ctx_fail(cx, CODE_INTERNAL, "more than one method for \"%s %s\"", m->verb, m->route);
    p->methods[p->n_methods++] = m;
    return CODE_OK;
}

enum code route_compile(struct ctx *cx, const struct method *methods, size_t n,
                        struct route_table **ret_table)
{
    struct route_table *t = ctx_alloc(cx, sizeof(*t));
    if (!t)
        return CODE_OUT_OF_MEMORY;
    t->places = ctx_array(cx, n + 1, sizeof(*t->places));
    if (!t->places)
        return CODE_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++)
        if (methods[i].verb)
            TRY(add_method(cx, t, &methods[i]));
    for (size_t i = 0; i < t->n; i++) {
        struct place *p = &t->places[i];
        p->allow = by_verb(p, "GET") ? "GET, HEAD" : "";
        for (size_t k = 0; p->allow && k < p->n_methods; k++)
            if (strcmp(p->methods[k]->verb, "GET") != 0)
                p->allow =
                    ctx_printf(cx, "%s%s%s", p->allow, *p->allow ? ", " : "", p->methods[k]->verb);
        p->allow = p->allow ? ctx_printf(cx, "%s, OPTIONS", p->allow) : NULL;
        if (!p->allow)
            return CODE_OUT_OF_MEMORY;
    }
    *ret_table = t;
    return CODE_OK;
}

/* ---- looking up ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum code route_decode(struct ctx *cx, const char *s, size_t n, const char *what,
                       const char **ret_text)
{
    char *out = ctx_alloc(cx, n + 1), *w = out;
    if (!out)
        return CODE_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '%') {
            int high = n - i > 2 ? hex(s[i + 1]) : -1, low = high >= 0 ? hex(s[i + 2]) : -1;
            if (low < 0)
                return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                                "%s: \"%%\" without two hexadecimal digits", what);
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (!c)
            return ctx_fail(cx, CODE_INVALID_ARGUMENT, "%s: a NUL is not allowed", what);
        *w++ = c;
    }
    *w = '\0';
    *ret_text = out;
    return CODE_OK;
}

/* Cuts the path at its slashes. *ret_n is 0 when it can match nothing. */
static enum code split(struct ctx *cx, const char *path, const char *segments[], size_t *ret_n)
{
    size_t n = 0;
    const char *s = path;
    *ret_n = 0;
    while (*s == '/' && s[1]) {
        const char *end = strchrnul(++s, '/');
        const char *text;
        TRY(route_decode(cx, s, (size_t)(end - s), "path", &text));
        if (!*text || n == ROUTE_MAX_SEGMENTS)
            return CODE_OK;
        segments[n++] = text;
        s = end;
    }
    if (*s == '\0' || strcmp(s, "/") == 0)
        *ret_n = n;
    return CODE_OK;
}

static bool fits(const struct place *p, const char *const segments[], size_t n)
{
    if (p->n != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!p->segments[i].is_field && strcmp(p->segments[i].text, segments[i]) != 0)
            return false;
    return true;
}

enum code route_find(struct ctx *cx, const struct route_table *table, const char *verb,
                     const char *path, struct route_match *ret_match)
{
    const char *segments[ROUTE_MAX_SEGMENTS];
    size_t n;
    TRY(split(cx, path, segments, &n));
    const struct place *best = NULL;
    for (size_t i = 0; n && i < table->n; i++) {
        const struct place *p = &table->places[i];
        if (fits(p, segments, n) && (!best || p->literals > best->literals))
            best = p;
    }
    if (!best)
        return ctx_fail(cx, CODE_NOT_FOUND, "the path \"%.200s\" does not exist", path);
    struct route_match m = {.method = by_verb(best, verb), .allow = best->allow};
    for (size_t i = 0; i < n; i++)
        if (best->segments[i].is_field)
            m.params[m.n_params++] =
                (struct route_param){.name = best->segments[i].text, .value = segments[i]};
    *ret_match = m;
    return CODE_OK;
}
