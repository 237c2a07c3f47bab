/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* main.c - localrag-extract: started by a worker process, never by a person.
 *
 * Reads its few options, makes sure that OpenMP stays off in Tesseract, ties its life to the
 * worker's, and becomes the zygote. The OpenMP limit is read by the library before main(), so a
 * process that was started without it starts itself once more. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/str.h"
#include "zygote.h"

static const char help[] =
    "usage: localrag-extract --control-fd N [--memory BYTES] [--languages eng+deu] [--tessdata "
    "DIR]\n"
    "\n"
    "Parses documents in locked-in child processes. localrag-worker starts it; it is of no use\n"
    "from a shell.\n"
    "\n"
    "  --control-fd N     descriptor of the worker's socket\n"
    "  --memory BYTES     a child may take, besides its document (0: no limit)\n"
    "  --languages L      OCR models to keep loaded (default: eng)\n"
    "  --tessdata DIR     folder of *.traineddata\n"
    "  --help, --version\n";

enum { USAGE = 2 };

static bool number(const char *name, const char *value, int64_t max, int64_t *ret_value)
{
    if (str_parse_int(value, 0, max, ret_value))
        return true;
    fprintf(stderr, "localrag-extract: --%s: \"%s\" is not a number from 0 to %lld\n", name, value,
            (long long)max);
    return false;
}

/* -1: go on; else an exit status. */
static int options(int argc, char **argv, struct zygote_setup *s)
{
    static const struct option longs[] = {{"control-fd", required_argument, NULL, 'c'},
                                          {"memory", required_argument, NULL, 'm'},
                                          {"languages", required_argument, NULL, 'l'},
                                          {"tessdata", required_argument, NULL, 't'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'v'},
                                          {0}};
    int64_t fd = -1;
    int c;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'c' && !number("control-fd", optarg, INT32_MAX, &fd))
            return USAGE;
        if (c == 'm' && !number("memory", optarg, INT64_MAX / 2, &s->memory))
            return USAGE;
        if (c == 'l')
            s->languages = optarg;
        if (c == 't')
            s->tessdata = optarg;
        if (c == 'h') {
            fputs(help, stdout);
            return 0;
        }
        if (c == 'v') {
            puts("localrag-extract " LOCALRAG_VERSION);
            return 0;
        }
        if (c == '?')
            return USAGE;
    }
    if (fd < 0 || optind < argc) {
        fputs("localrag-extract: is started by localrag-worker, see --help\n", stderr);
        return USAGE;
    }
    s->control_fd = (int)fd;
    return -1;
}

static void limit_openmp(char **argv)
{
    const char *limit = getenv("OMP_THREAD_LIMIT");
    if (limit && strcmp(limit, "1") == 0)
        return;
    setenv("OMP_THREAD_LIMIT", "1", 1);
    execv("/proc/self/exe", argv);
    perror("localrag-extract: could not start again");
    exit(1);
}

int main(int argc, char **argv)
{
    struct zygote_setup s = {.languages = "eng"};
    int status = options(argc, argv, &s);
    if (status >= 0)
        return status;
    pid_t worker = getppid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != worker)
        return 1;
    limit_openmp(argv);
    prctl(PR_SET_NAME, "localrag-extract"); /* not "exe", which the second start gave it */
    return zygote_run(&s);
}
