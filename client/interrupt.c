/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* interrupt.c - Ctrl-C (interrupt.h).
 *
 * The handler sets a flag and writes one byte into a pipe that nobody ever reads, so the pipe stays
 * readable and wakes every thread that waits on it, now and later. What a Ctrl-C means (stop
 * watching, say how to resume, never cancel a job) is decided by the commands, not here. */
#include "client/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clk.h"

static atomic_bool pending;
static int wake[2] = {-1, -1};

static void on_sigint(int signo UNUSED)
{
    int saved = errno;
    atomic_store(&pending, true);
    ssize_t n UNUSED = write(wake[1], "!", 1);
    errno = saved;
}

void interrupt_install(void)
{
    if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0)
        return; /* Ctrl-C then ends the program at once, as without us */
    struct sigaction action = {.sa_handler = on_sigint, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
}

bool interrupt_pending(void)
{
    return atomic_load(&pending);
}

bool interrupt_wait(int64_t ms)
{
    int64_t end = clk_mono_ms() + ms;
    while (!interrupt_pending()) {
        int64_t left = end - clk_mono_ms();
        if (left <= 0)
            break;
        struct pollfd p = {.fd = wake[0], .events = POLLIN};
        poll(&p, 1, (int)MIN(left, 60000));
    }
    return interrupt_pending();
}
