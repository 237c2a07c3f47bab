/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* fuzz_env.c - a .env file that somebody wrote (base/env.h).
 *
 * One setting of each kind; the names are such that no environment has them. Whatever the file
 * says, values that are accepted lie in their bounds, and a secret is never printed with the
 * settings. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/env.h"
#include "base/str.h"
#include "tests/fuzz/fuzz.h"

enum { MEMORY = 16 << 20 };

struct settings {
    const char *text, *choice, *secret, *url;
    bool on;
    int64_t number, time, bytes;
    double ratio;
    char **list;
};

#define AT(member) offsetof(struct settings, member)

static const struct env_def defs[] = {
    {"FZ_T", ENV_STRING, AT(text), NULL, 0, 0, NULL, false, "any text"},
    {"FZ_C", ENV_STRING, AT(choice), "one", 0, 0, "one|two", false, "a choice"},
    {"FZ_S", ENV_STRING, AT(secret), NULL, 0, 0, NULL, true, "a secret"},
    {"FZ_U", ENV_STRING, AT(url), NULL, 0, 0, NULL, false, "a URL with a password"},
    {"FZ_O", ENV_BOOL, AT(on), "true", 0, 0, NULL, false, "on or off"},
    {"FZ_N", ENV_INT, AT(number), "3", -5, 70000, NULL, false, "a number"},
    {"FZ_D", ENV_SECONDS, AT(time), "1m", 0, 86400000, NULL, false, "a time"},
    {"FZ_B", ENV_BYTES, AT(bytes), "1MiB", 1, INT64_MAX, NULL, false, "a size"},
    {"FZ_R", ENV_RATIO, AT(ratio), "0.5", 0, 0, NULL, false, "a ratio"},
    {"FZ_L", ENV_LIST, AT(list), "a,b", 0, 0, NULL, false, "a list"},
};

static void check_settings(const struct settings *s)
{
    FUZZ_CHECK(s->choice && (strcmp(s->choice, "one") == 0 || strcmp(s->choice, "two") == 0));
    FUZZ_CHECK(s->number >= -5 && s->number <= 70000);
    FUZZ_CHECK(s->time >= 0 && s->time <= 86400000);
    FUZZ_CHECK(s->bytes >= 1);
    FUZZ_CHECK(s->ratio >= 0 && s->ratio <= 1);
    FUZZ_CHECK(s->list);
    for (char **item = s->list; *item; item++)
        FUZZ_CHECK(**item);
}

static void check_print(const struct env_values *values)
{
    char *printed = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&printed, &len);
    FUZZ_CHECK(out);
    env_print(values, out);
    fclose(out);
    const char *line = strstr(printed, "\nFZ_S="); /* it is not the first */
    FUZZ_CHECK(line &&
               (str_starts(line + 1, "FZ_S=***  # ") || str_starts(line + 1, "FZ_S=  # unset")));
    free(printed);
}

static void write_file(const char *path, const uint8_t *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[32];
    if (!*path) {
        int fd = memfd_create("env", 0);
        FUZZ_CHECK(fd >= 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    write_file(path, data, size);

    struct ctx cx;
    struct settings s = {0};
    struct env_values *values = NULL;
    ctx_init(&cx, MEMORY);
    enum code code = env_load(&cx, defs, ARRAY_LEN(defs), path, &s, &values);
    FUZZ_CHECK(code == CODE_OK || code == CODE_INVALID_ARGUMENT);
    if (code == CODE_OK)
        check_settings(&s);
    if (values)
        check_print(values);
    ctx_done(&cx);
    return 0;
}
