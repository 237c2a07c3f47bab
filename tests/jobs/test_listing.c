/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_listing.c - which files a directory batch gets (jobs/listing.h), and which paths it may
 * (jobs/roots.h).
 *
 * On a real tree in the test's own folder: order, patterns, links in and out, cycles, what the
 * store wrote, depth; and paths whose bytes are no text. */
#include "tests/support/fixture.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clk.h"
#include "jobs/listing.h"
#include "jobs/roots.h"

static char root[PATH_MAX]; /* the only root, without links */
static char *roots[] = {root, NULL};

static const char *at(const char *name)
{
    return ctx_printf(&fx.cx, "%s/%s", root, name);
}

static void folder(const char *name)
{
    assert_int_equal(mkdir(at(name), 0755), 0);
}

static void file(const char *name)
{
    int fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
}

static void link_to(const char *target, const char *name)
{
    assert_int_equal(symlink(target, at(name)), 0);
}

/* A new empty root for each test. */
static int setup(void **state)
{
    static int number;
    char path[PATH_MAX];
    int failed = fixture_empty(state);
    snprintf(path, sizeof(path), "%s/tree-%d", fx.folder, ++number);
    if (mkdir(path, 0755) != 0 || !realpath(path, root))
        return -1;
    fx.settings.ingest_roots = roots;
    fx.settings.uploads_path = at("uploads");
    return failed;
}

static enum code add_name(struct ctx *cx, void *arg, const char *path, const char *name)
{
    (void)cx;
    (void)name;
    buf_printf(arg, "%s ", path + strlen(root) + 1);
    return CODE_OK;
}

static const char *list(const char *directory, const char *const *patterns, bool recursive)
{
    struct listing what = {.settings = &fx.settings, .patterns = patterns, .recursive = recursive};
    CLEANUP(buf_done) struct buf b = BUF_INIT(1 << 20);
    int64_t n = -1, counted = -1;
    OK(&fx.cx, roots_resolve(&fx.cx, &fx.settings, directory, &what.directory));
    OK(&fx.cx, listing_walk(&fx.cx, &what, add_name, &b, &n));
    OK(&fx.cx, listing_walk(&fx.cx, &what, NULL, NULL, &counted));
    assert_int_equal(n, counted);
    return ctx_strdup(&fx.cx, buf_cstr(&b));
}

static void readable_files_in_the_order_of_their_names(void **state)
{
    (void)state;
    folder("b");
    folder(".hidden");
    file("c.txt");
    file("a.PDF");
    file("b/2.tiff");
    file("b/1.JPeG");
    file("b.png");
    file("notes.docx");
    file(".secret.txt");
    file(".hidden/x.txt");
    assert_int_equal(mkfifo(at("pipe.txt"), 0644), 0);
    assert_string_equal(list(root, NULL, true), "a.PDF b/1.JPeG b/2.tiff b.png c.txt ");
    assert_string_equal(list(root, NULL, false), "a.PDF b.png c.txt ");
    const char *const patterns[] = {"*.doc?", ".secret*", "[ab].*", NULL};
    assert_string_equal(list(root, patterns, true), ".secret.txt a.PDF b.png notes.docx ");
    assert_string_equal(list("b", NULL, true), "b/1.JPeG b/2.tiff ");
}

static void links_are_followed_inside_the_roots_only_and_once(void **state)
{
    (void)state;
    folder("in");
    folder("beside");
    file("in/a.txt");
    file("beside/b.txt");
    file("beside/blob");
    link_to("a.txt", "in/again.txt");
    link_to("..", "in/up");
    link_to(".", "in/self");
    link_to("../beside", "in/z");
    link_to("../beside/blob", "in/named.txt");
    link_to("/etc/hostname", "in/hostname.txt");
    link_to("/etc", "in/etc");
    link_to("nowhere", "in/nowhere.txt");
    link_to("loop.txt", "in/loop.txt");
    assert_int_equal(link(at("in/a.txt"), at("in/hard.txt")), 0);
    assert_string_equal(list("in", NULL, true), "in/a.txt beside/blob beside/b.txt ");
}

static void what_the_store_wrote_is_left_out(void **state)
{
    (void)state;
    const char *id = "uploads/0b1c2d3e-0000-4000-8000-000000000001";
    folder("uploads");
    folder("uploads/.incoming");
    folder("uploads/mine");
    folder(id);
    file("uploads/.incoming/x.txt");
    file(ctx_printf(&fx.cx, "%s/stored.pdf", id));
    file("uploads/mine/a.txt");
    file("uploads/dropped.txt");
    link_to(ctx_printf(&fx.cx, "%s/%s", root, id), "way-in");
    assert_string_equal(list(root, NULL, true), "uploads/dropped.txt uploads/mine/a.txt ");
    assert_string_equal(list(id, NULL, true), "");
}

static void a_path_is_judged_by_where_it_leads(void **state)
{
    (void)state;
    const char *real;
    folder("in");
    file("in/a.txt");
    link_to("/", "out");
    link_to("in", "same");
    OK(&fx.cx, roots_resolve(&fx.cx, &fx.settings, at("same/"), &real));
    assert_string_equal(real, at("in"));
    OK(&fx.cx, roots_resolve(&fx.cx, &fx.settings, ".", &real));
    assert_string_equal(real, root);
#define REFUSED(code, path) FAILS(&fx.cx, code, roots_resolve(&fx.cx, &fx.settings, path, &real))
    REFUSED(CODE_PERMISSION_DENIED, "/");
    REFUSED(CODE_PERMISSION_DENIED, "out");
    REFUSED(CODE_PERMISSION_DENIED, "out/etc");
    REFUSED(CODE_PERMISSION_DENIED, "/does/not/exist");
    REFUSED(CODE_PERMISSION_DENIED, ctx_printf(&fx.cx, "%s-2", root));
    REFUSED(CODE_INVALID_ARGUMENT, "");
    REFUSED(CODE_INVALID_ARGUMENT, "..");
    REFUSED(CODE_INVALID_ARGUMENT, "in/../in");
    REFUSED(CODE_INVALID_ARGUMENT, "missing");
    REFUSED(CODE_INVALID_ARGUMENT, "in/a.txt");
    OK(&fx.cx, roots_resolve(&fx.cx, &fx.settings, "in", &real));
    int fd = open(at("in/a.txt"), O_RDONLY | O_CLOEXEC),
        other = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
    OK(&fx.cx, roots_check_file(&fx.cx, &fx.settings, fd));
    FAILS(&fx.cx, CODE_PERMISSION_DENIED, roots_check_file(&fx.cx, &fx.settings, other));
    close(fd);
    close(other);
}

static void too_deep_is_said(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf path = BUF_INIT(PATH_MAX);
    for (int i = 0; i < LISTING_MAX_DEPTH + 1; i++) {
        buf_str(&path, i ? "/d" : "d");
        folder(buf_cstr(&path));
        if (i == LISTING_MAX_DEPTH - 1)
            file(ctx_printf(&fx.cx, "%s/last.txt", buf_cstr(&path)));
    }
    struct listing what = {.settings = &fx.settings, .directory = root, .recursive = true};
    int64_t n;
    CONTAINS(FAILS(&fx.cx, CODE_INVALID_ARGUMENT, listing_walk(&fx.cx, &what, NULL, NULL, &n)),
             "deeper");
    assert_int_equal(rmdir(at(buf_cstr(&path))), 0);
    OK(&fx.cx, listing_walk(&fx.cx, &what, NULL, NULL, &n));
    assert_int_equal(n, 1);
}

static void a_deadline_ends_it(void **state)
{
    (void)state;
    struct listing what = {.settings = &fx.settings, .directory = root};
    int64_t n;
    for (int i = 0; i < 300; i++)
        file(ctx_printf(&fx.cx, "%d.txt", i));
    fx.cx.deadline_ms = clk_mono_ms() - 1;
    FAILS(&fx.cx, CODE_DEADLINE_EXCEEDED, listing_walk(&fx.cx, &what, NULL, NULL, &n));
    fx.cx.deadline_ms = 0;
    OK(&fx.cx, listing_walk(&fx.cx, &what, NULL, NULL, &n));
    assert_int_equal(n, 300);
}

static void any_path_can_be_kept_as_text(void **state)
{
    (void)state;
    static const char *const paths[] = {"/in/a b.txt", "/in/100%25.txt",
                                        "/in/gr\xc3\xbc\xc3\x9f.txt", "/in/\xff%41\n.txt", "/\x80"};
    for (unsigned i = 0; i < ARRAY_LEN(paths); i++) {
        const char *text = roots_path_text(&fx.cx, paths[i]);
        assert_non_null(text);
        assert_string_equal(roots_path_bytes(&fx.cx, text), paths[i]);
    }
    assert_string_equal(roots_path_text(&fx.cx, paths[2]), paths[2]);
    assert_string_equal(roots_path_text(&fx.cx, paths[3]), "file:///in/%FF%2541\n.txt");
    assert_string_equal(roots_path_bytes(&fx.cx, "file:///a%zz%"), "/a%zz%");
}

static void bad_patterns_are_named(void **state)
{
    (void)state;
    const char *const *list_of;
    char *many[LISTING_MAX_PATTERNS + 1];
    char slash[] = "a/*.pdf", any[] = "**/*.pdf", empty[] = "";
    char *one[] = {slash};
    for (unsigned i = 0; i < ARRAY_LEN(many); i++)
        many[i] = any;
    CONTAINS(FAILS(&fx.cx, CODE_INVALID_ARGUMENT, listing_check_patterns(&fx.cx, one, 1, &list_of)),
             slash);
    one[0] = empty;
    FAILS(&fx.cx, CODE_INVALID_ARGUMENT, listing_check_patterns(&fx.cx, one, 1, &list_of));
    FAILS(&fx.cx, CODE_INVALID_ARGUMENT,
          listing_check_patterns(&fx.cx, many, LISTING_MAX_PATTERNS + 1, &list_of));
    OK(&fx.cx, listing_check_patterns(&fx.cx, many, LISTING_MAX_PATTERNS, &list_of));
    assert_string_equal(list_of[LISTING_MAX_PATTERNS - 1], "*.pdf");
    assert_null(list_of[LISTING_MAX_PATTERNS]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(readable_files_in_the_order_of_their_names, setup),
        cmocka_unit_test_setup(links_are_followed_inside_the_roots_only_and_once, setup),
        cmocka_unit_test_setup(what_the_store_wrote_is_left_out, setup),
        cmocka_unit_test_setup(a_path_is_judged_by_where_it_leads, setup),
        cmocka_unit_test_setup(too_deep_is_said, setup),
        cmocka_unit_test_setup(a_deadline_ends_it, setup),
        cmocka_unit_test_setup(any_path_can_be_kept_as_text, setup),
        cmocka_unit_test_setup(bad_patterns_are_named, setup),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
