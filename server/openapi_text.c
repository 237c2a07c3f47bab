/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* openapi_text.c - the comments of the .proto files by the full name of what they describe.
 *
 * Called once by openapi_build. A comment in a descriptor set hangs on a path of field numbers
 * through the file's own descriptor; this file walks the descriptors, which knows the names, and
 * looks for the location of each path. Comments above and behind a line are one text. Lines are
 * joined, because where the source was wrapped means nothing to a reader of the document; an empty
 * line and a list item begin a new line.
 *
 * Everything lives in the caller's arena and is gone with it. */
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/descriptor.pb-c.h"
#include "server/openapi_impl.h"

enum { /* field numbers in descriptor.proto */
       FILE_MESSAGE = 4,
       FILE_ENUM = 5,
       FILE_SERVICE = 6,
       MESSAGE_FIELD = 2,
       MESSAGE_NESTED = 3,
       MESSAGE_ENUM = 4,
       ENUM_VALUE = 2,
       SERVICE_METHOD = 2,
       MAX_PATH = 16,
       TEXT_LIMIT = 16 * 1024,
};

struct comment {
    const char *name, *text;
};

struct openapi_text {
    struct ctx *cx;
    struct comment *all;
    size_t n, cap;
};

struct walk {
    struct openapi_text *text;
    const Google__Protobuf__SourceCodeInfo *source;
    int32_t path[MAX_PATH];
    size_t n;
};

/* ---- one comment ---- */

static void add_lines(struct buf *b, const char *s)
{
    bool glue = false; /* the line before goes on */
    while (s && *s) {
        size_t n = strcspn(s, "\n"), skip = strspn(s, " ");
        const char *line = s + MIN(skip, n);
        size_t len = n - MIN(skip, n);
        s += n + (s[n] == '\n');
        bool item = len > 1 && line[0] == '*' && line[1] == ' ';
        if (!len) {
            glue = false;
            continue;
        }
        if (b->len)
            buf_str(b, glue && !item ? " " : item ? "\n" : "\n\n");
        buf_add(b, line, len);
        glue = true;
    }
}

static const char *comment_at(const struct walk *w)
{
    for (size_t i = 0; w->source && i < w->source->n_location; i++) {
        const Google__Protobuf__SourceCodeInfo__Location *l = w->source->location[i];
        if (l->n_path != w->n || memcmp(l->path, w->path, w->n * sizeof(w->path[0])) != 0)
            continue;
        CLEANUP(buf_done) struct buf b = BUF_INIT(TEXT_LIMIT);
        add_lines(&b, l->leading_comments);
        add_lines(&b, l->trailing_comments);
        return b.len ? ctx_strdup(w->text->cx, buf_cstr(&b)) : NULL;
    }
    return NULL;
}

/* ---- the walk ---- */

static const char *add(struct walk *w, const char *scope, const char *name)
{
    struct openapi_text *t = w->text;
    const char *full = ctx_printf(t->cx, "%s.%s", scope, name), *text = comment_at(w);
    if (full && text && t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 256;
        struct comment *larger = ctx_array(t->cx, cap, sizeof(*larger));
        if (!larger)
            return "";
        if (t->n)
            memcpy(larger, t->all, t->n * sizeof(*larger));
        t->all = larger;
        t->cap = cap;
    }
    if (full && text)
        t->all[t->n++] = (struct comment){full, text};
    return full ? full : "";
}

static bool down(struct walk *w, int32_t field, size_t index)
{
    if (w->n + 2 > MAX_PATH)
        return false;
    w->path[w->n++] = field;
    w->path[w->n++] = (int32_t)index;
    return true;
}

static void up(struct walk *w)
{
    w->n -= 2;
}

static void walk_enum(struct walk *w, const char *scope,
                      const Google__Protobuf__EnumDescriptorProto *e)
{
    const char *full = add(w, scope, e->name);
    for (size_t i = 0; i < e->n_value && down(w, ENUM_VALUE, i); i++, up(w))
        add(w, full, e->value[i]->name);
}

static void walk_message(struct walk *w, const char *scope,
                         const Google__Protobuf__DescriptorProto *m)
{
    const char *full = add(w, scope, m->name);
    for (size_t i = 0; i < m->n_field && down(w, MESSAGE_FIELD, i); i++, up(w))
        add(w, full, m->field[i]->name);
    for (size_t i = 0; i < m->n_nested_type && down(w, MESSAGE_NESTED, i); i++, up(w))
        walk_message(w, full, m->nested_type[i]);
    for (size_t i = 0; i < m->n_enum_type && down(w, MESSAGE_ENUM, i); i++, up(w))
        walk_enum(w, full, m->enum_type[i]);
}

static void walk_service(struct walk *w, const char *scope,
                         const Google__Protobuf__ServiceDescriptorProto *s)
{
    const char *full = add(w, scope, s->name);
    for (size_t i = 0; i < s->n_method && down(w, SERVICE_METHOD, i); i++, up(w))
        add(w, full, s->method[i]->name);
}

static void walk_file(struct openapi_text *t, const Google__Protobuf__FileDescriptorProto *f)
{
    struct walk w = {.text = t, .source = f->source_code_info};
    for (size_t i = 0; i < f->n_message_type && down(&w, FILE_MESSAGE, i); i++, up(&w))
        walk_message(&w, f->package, f->message_type[i]);
    for (size_t i = 0; i < f->n_enum_type && down(&w, FILE_ENUM, i); i++, up(&w))
        walk_enum(&w, f->package, f->enum_type[i]);
    for (size_t i = 0; i < f->n_service && down(&w, FILE_SERVICE, i); i++, up(&w))
        walk_service(&w, f->package, f->service[i]);
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct comment *)a)->name, ((const struct comment *)b)->name);
}

enum code openapi_text_load(struct ctx *cx, const struct openapi_text **ret_text)
{
    struct openapi_text *t = ctx_alloc(cx, sizeof(*t));
    if (!t)
        return CODE_OUT_OF_MEMORY;
    t->cx = cx;
    size_t n = (size_t)(openapi_data_end - openapi_data);
    const Google__Protobuf__FileDescriptorSet *set =
        google__protobuf__file_descriptor_set__unpack(&cx->arena.pb, n, openapi_data);
    if (!set)
        return ctx_fail(cx, CODE_INTERNAL, "could not read the embedded comments of the API");
    for (size_t i = 0; i < set->n_file; i++)
        walk_file(t, set->file[i]);
    if (t->n)
        qsort(t->all, t->n, sizeof(*t->all), compare);
    *ret_text = t;
    return cx->failure.code;
}

const char *openapi_text_of(const struct openapi_text *text, const char *scope, const char *name)
{
    char full[256];
    size_t a = strlen(scope), b = name ? strlen(name) + 1 : 0;
    if (!text->n || a + b >= sizeof(full))
        return NULL;
    memcpy(full, scope, a + 1);
    if (name) {
        full[a] = '.';
        memcpy(full + a + 1, name, b);
    }
    struct comment key = {full, NULL};
    const struct comment *c = bsearch(&key, text->all, text->n, sizeof(*text->all), compare);
    return c ? c->text : NULL;
}
