/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* driver.c - runs a target on files where there is no libFuzzer: any compiler, every preset.
 *
 * usage: fuzz_NAME [-m MUTATIONS] FILE_or_FOLDER...
 *
 * Every file is an input. Then it is spoilt MUTATIONS times by a generator that always begins the
 * same: a test run is a short search too, and finds the same every time. Each input lies in a block
 * of exactly its size, for the address sanitizer. A finding ends the program; the last line names
 * the file and the number of the mutation, which is enough to have it again. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

enum { INPUT_LIMIT = 1 << 20, MAX_CHANGES = 6 };

static uint64_t state = 0x9e3779b97f4a7c15;
static unsigned long runs, mutations;
static char doing[4200];

static size_t pick(size_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? state % below : 0;
}

static void on_abort(int sig)
{
    ssize_t n = write(STDERR_FILENO, doing, strlen(doing));
    (void)n;
    signal(sig, SIG_DFL);
    raise(sig);
}

static void run(const char *path, unsigned long mutation, const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    FUZZ_CHECK(exact);
    memcpy(exact, data, size);
    snprintf(doing, sizeof(doing), "input: \"%s\", mutation %lu\n", path, mutation);
    LLVMFuzzerTestOneInput(size ? exact : exact + 1, size);
    free(exact);
    runs++;
}

/* One change in data[0..size), which has room for one byte more; the new size. */
static size_t change(uint8_t *data, size_t size)
{
    static const uint8_t telling[] = {0, 1, 0x7f, 0x80, 0xff, '\n', '\r', '%', '"', '\\', '-', ';'};
    size_t at = pick(size), n;
    switch (size ? pick(6) : 0) {
    case 0: /* one more */
        memmove(data + at + 1, data + at, size - at);
        data[at] = (uint8_t)pick(256);
        return size + 1;
    case 1: /* one less */
        memmove(data + at, data + at + 1, size - at - 1);
        return size - 1;
    case 2:
        data[at] ^= (uint8_t)(1u << pick(8));
        return size;
    case 3:
        data[at] = telling[pick(sizeof(telling))];
        return size;
    case 4: /* a piece comes again elsewhere */
        n = pick(size - at) + 1;
        memmove(data + at, data + pick(size - n + 1), n);
        return size;
    default:
        return at; /* cut off */
    }
}

static void run_spoilt(const char *path, const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + MAX_CHANGES);
    FUZZ_CHECK(copy);
    for (unsigned long i = 1; i <= mutations; i++) {
        size_t n = size, changes = 1 + pick(MAX_CHANGES);
        memcpy(copy, data, size);
        while (changes--)
            n = change(copy, n);
        run(path, i, copy, n);
    }
    free(copy);
}

static void run_file(const char *path)
{
    FILE *f = fopen(path, "rbe");
    uint8_t *data = malloc(INPUT_LIMIT);
    if (!f || !data) {
        perror(path);
        exit(2);
    }
    size_t size = fread(data, 1, INPUT_LIMIT, f);
    fclose(f);
    run(path, 0, data, size);
    run_spoilt(path, data, size);
    free(data);
}

static int is_shown(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static void run_path(const char *path)
{
    struct stat st;
    struct dirent **entries;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        run_file(path);
        return;
    }
    int n = scandir(path, &entries, is_shown, alphasort);
    for (int i = 0; i < n; i++) {
        char file[4096];
        snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        run_file(file);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    int opt;
    while ((opt = getopt(argc, argv, "m:")) == 'm')
        mutations = strtoul(optarg, NULL, 10);
    if (opt != -1 || optind == argc) {
        fprintf(stderr, "usage: %s [-m MUTATIONS] FILE_or_FOLDER...\n", argv[0]);
        return 2;
    }
    signal(SIGABRT, on_abort);
    for (int i = optind; i < argc; i++)
        run_path(argv[i]);
    printf("%lu inputs, nothing found\n", runs);
    return runs > 0 ? 0 : 2; /* an empty corpus is no test */
}
