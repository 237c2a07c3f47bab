/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* env.c - settings from the environment and a .env file, by a table (env.h).
 *
 * A .env file is a list of KEY=value lines; `export` in front, quotes around, and a comment behind
 * white space and a hash are understood, because people write all of them. Nothing is expanded. The
 * process environment wins. An empty value is the same as none, so `KEY=` gives the default.
 *
 * All bad settings are collected: a person fixes them in one go. */
#include "base/env.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

struct env_value {
    const char *text; /* NULL: unset */
    enum env_source source;
};

struct env_values {
    const struct env_def *defs;
    size_t n;
    struct env_value *values;
};

enum { DOTENV_LIMIT = 1 << 20 };

/* ---- the .env file ---- */

static char *trim(char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    char *end = s + strlen(s);
    while (end > s && isspace((unsigned char)end[-1]))
        *--end = '\0';
    return s;
}

static char *unquote(char *value)
{
    if (*value == '"' || *value == '\'') {
        char *close = strchr(value + 1, *value);
        if (close) {
            *close = '\0';
            return value + 1;
        }
    }
    for (char *p = value; *p; p++)
        if (*p == '#' && isspace((unsigned char)p[-1])) { /* p[-1]: at least the '=' was there */
            *p = '\0';
            break;
        }
    return trim(value);
}

static void take_line(char *line, const struct env_def *defs, size_t n, struct env_value *values)
{
    line = trim(line);
    if (str_starts(line, "export "))
        line = trim(line + 7);
    char *equals = strchr(line, '=');
    if (*line == '#' || !equals)
        return;
    *equals = '\0';
    const char *key = trim(line);
    char *value = unquote(trim(equals + 1));
    for (size_t i = 0; i < n; i++)
        if (strcmp(defs[i].name, key) == 0 && *value)
            values[i] = (struct env_value){.text = value, .source = ENV_FROM_FILE};
}

static enum code read_dotenv(struct ctx *cx, const char *path, const struct env_def *defs, size_t n,
                             struct env_value *values)
{
    FILE *f = path ? fopen(path, "re") : NULL;
    if (!f)
        return !path || errno == ENOENT ? CODE_OK
                                        : ctx_fail(cx, CODE_INVALID_ARGUMENT,
                                                   "could not read %s: %s", path, strerror(errno));
    char *text = ctx_alloc(cx, DOTENV_LIMIT + 1);
    size_t len = text ? fread(text, 1, DOTENV_LIMIT + 1, f) : 0;
    int failed = ferror(f) ? errno : len > DOTENV_LIMIT ? EFBIG : 0;
    fclose(f);
    if (!text)
        return cx->failure.code;
    if (failed)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "could not read %s: %s", path, strerror(failed));
    text[len] = '\0';
    char *save;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        take_line(line, defs, n, values);
    return CODE_OK;
}

/* ---- values ---- */

struct unit {
    const char *name;
    double factor;
};

static const struct unit byte_units[] = {
    {"", 1},    {"b", 1},   {"kb", 1e3}, {"mb", 1e6},     {"gb", 1e9},        {"tb", 1e12},
    {"k", 1e3}, {"m", 1e6}, {"g", 1e9},  {"kib", 1024.0}, {"mib", 1048576.0}, {"gib", 1073741824.0},
};
static const struct unit time_units[] = {
    {"", 1000},     {"s", 1000},    {"ms", 1},       {"m", 60000},
    {"min", 60000}, {"h", 3600000}, {"d", 86400000},
};

static bool parse_unit(const char *text, const struct unit *units, size_t n, int64_t *ret)
{
    char *end;
    if (!isdigit((unsigned char)*text) || strpbrk(text, "xX")) /* strtod reads hexadecimal */
        return false;
    double v = strtod(text, &end);
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(end, units[i].name) == 0 && v * units[i].factor < 9e18) {
            *ret = (int64_t)(v * units[i].factor);
            return true;
        }
    return false;
}

static bool parse_bool(const char *text, bool *ret)
{
    static const char *const yes[] = {"true", "1", "yes", "on"};
    static const char *const no[] = {"false", "0", "no", "off"};
    for (unsigned i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *ret = strcasecmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

static bool in_choices(const char *text, const char *choices)
{
    if (!choices)
        return true;
    size_t n = strlen(text);
    for (const char *p = choices; p; p = strchr(p, '|')) {
        if (*p == '|')
            p++;
        if (strncmp(p, text, n) == 0 && (p[n] == '|' || p[n] == '\0'))
            return n > 0;
    }
    return false;
}

/* "a, b" or ["a", "b"]: the brackets and quotes are taken off, so both are one comma list. */
static char **parse_list(struct ctx *cx, const char *text)
{
    char *copy = ctx_strdup(cx, text);
    char **list = copy ? ctx_array(cx, strlen(copy) + 2, sizeof(*list)) : NULL;
    if (!list)
        return NULL;
    char *s = trim(copy);
    size_t len = strlen(s), n = 0;
    if (len >= 2 && s[0] == '[' && s[len - 1] == ']') {
        s[len - 1] = '\0';
        s++;
    }
    char *save;
    for (char *item = strtok_r(s, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
        item = trim(item);
        size_t k = strlen(item);
        if (k >= 2 && (item[0] == '"' || item[0] == '\'') && item[k - 1] == item[0]) {
            item[k - 1] = '\0';
            item = trim(item + 1);
        }
        if (*item)
            list[n++] = item;
    }
    return list;
}

/* NULL when the value is good; else what is wrong with it. */
static const char *store_value(struct ctx *cx, const struct env_def *def, const char *text,
                               void *at)
{
    static const char wrong_range[] = "is out of range";
    int64_t v = 0;
    switch (def->kind) {
    case ENV_STRING:
        if (text && !in_choices(text, def->choices))
            return "is not one of";
        *(const char **)at = text;
        return NULL;
    case ENV_BOOL:
        if (text && !parse_bool(text, at))
            return "is not true or false";
        return NULL;
    case ENV_RATIO:
        if (text && (!str_parse_double(text, at) || *(double *)at < 0 || *(double *)at > 1))
            return "is not a number from 0 to 1";
        return NULL;
    case ENV_LIST:
        *(char ***)at = parse_list(cx, text ? text : "");
        return *(char ***)at ? NULL : "is too long";
    case ENV_INT:
        if (text && !str_parse_int(text, INT64_MIN, INT64_MAX, &v))
            return "is not a whole number";
        break;
    case ENV_SECONDS:
        if (text && !parse_unit(text, time_units, ARRAY_LEN(time_units), &v))
            return "is not a time (as 5, 0.5, 250ms, 2m, 1h)";
        break;
    case ENV_BYTES:
        if (text && !parse_unit(text, byte_units, ARRAY_LEN(byte_units), &v))
            return "is not a size (as 1048576, 512MiB, 1GB)";
        break;
    }
    if (text && (v < def->min || v > def->max))
        return wrong_range;
    *(int64_t *)at = v;
    return NULL;
}

static void complain(struct buf *b, const struct env_def *def, const char *text, const char *why)
{
    if (b->len)
        buf_char(b, '\n');
    buf_printf(b, "%s=%s %s", def->name, def->secret ? "***" : text, why);
    if (def->kind == ENV_STRING && def->choices)
        buf_printf(b, " %s", def->choices);
    if (strcmp(why, "is out of range") == 0)
        buf_printf(b, " (%lld to %lld%s)", (long long)def->min, (long long)def->max,
                   def->kind == ENV_SECONDS ? " ms" : "");
}

enum code env_load(struct ctx *cx, const struct env_def *defs, size_t n, const char *dotenv,
                   void *settings, struct env_values **ret_values)
{
    struct env_values *all = ctx_alloc(cx, sizeof(*all));
    struct env_value *values = ctx_array(cx, n, sizeof(*values));
    if (!all || !values)
        return cx->failure.code;
    *all = (struct env_values){.defs = defs, .n = n, .values = values};
    TRY(read_dotenv(cx, dotenv, defs, n, values));

    CLEANUP(buf_done) struct buf wrong = BUF_INIT(64 * 1024);
    for (size_t i = 0; i < n; i++) {
        const char *process = getenv(defs[i].name);
        if (process && *process)
            values[i] = (struct env_value){.text = process, .source = ENV_FROM_PROCESS};
        else if (!values[i].text)
            values[i] = (struct env_value){.text = defs[i].fallback, .source = ENV_FROM_DEFAULT};
        const char *why =
            store_value(cx, &defs[i], values[i].text, (char *)settings + defs[i].offset);
        if (why)
            complain(&wrong, &defs[i], values[i].text, why);
    }
    *ret_values = all;
    if (wrong.len)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "%s", buf_cstr(&wrong));
    return CODE_OK;
}

/* ---- showing ---- */

enum env_source env_source_of(const struct env_values *values, size_t i)
{
    return values->values[i].source;
}

/* password=... of a libpq keyword string (quoted or not) or of a URL's query. */
static void print_keywords(const char *text, FILE *out)
{
    static const char key[] = "password";
    const char *p;
    while ((p = strcasestr(text, key))) {
        p += sizeof(key) - 1;
        const char *value = p + strspn(p, " \t");
        if (*value != '=') {
            fprintf(out, "%.*s", (int)(p - text), text);
            text = p;
            continue;
        }
        value += 1 + strspn(value + 1, " \t");
        fprintf(out, "%.*s***", (int)(value - text), text);
        char quote = *value == '\'' ? '\'' : '\0';
        for (text = value + (quote != 0); *text; text++) {
            if (*text == '\\' && text[1])
                text++;
            else if (quote ? *text == quote : *text == ' ' || *text == '\t' || *text == '&')
                break;
        }
        text += quote && *text;
    }
    fputs(text, out);
}

/* scheme://user:password@host and password=...: the password is masked. A Redis URL may have a
 * password and no user. */
static void print_masked(const char *text, FILE *out)
{
    const char *scheme = strstr(text, "://");
    const char *at = scheme ? strrchr(scheme, '@') : NULL;
    const char *secret = at ? memchr(scheme + 3, ':', (size_t)(at - scheme - 3)) : NULL;
    if (!secret && at && (str_starts(text, "redis") || str_starts(text, "unix")))
        secret = scheme + 2;
    if (secret) {
        fprintf(out, "%.*s***", (int)(secret + 1 - text), text);
        text = at;
    }
    print_keywords(text, out);
}

void env_print(const struct env_values *all, FILE *out)
{
    static const char *const sources[] = {"default", ".env", "environment"};
    for (size_t i = 0; i < all->n; i++) {
        const struct env_value *v = &all->values[i];
        fprintf(out, "%s=", all->defs[i].name);
        if (v->text && all->defs[i].secret)
            fputs("***", out);
        else if (v->text)
            print_masked(v->text, out);
        fprintf(out, "  # %s\n", v->text ? sources[v->source] : "unset");
    }
}

void env_print_help(const struct env_def *defs, size_t n, FILE *out)
{
    for (size_t i = 0; i < n; i++)
        fprintf(out, "  %-28s %s%s%s%s\n", defs[i].name, defs[i].help,
                defs[i].fallback ? " (default " : "", defs[i].fallback ? defs[i].fallback : "",
                defs[i].fallback ? ")" : "");
}
