/*-------------------------------------------------------------------------
 *
 * interrupt.c
 *		SIGINT and SIGTERM: noted once, and seen by whoever waits.
 *
 * A program that tests a flag and then blocks does not notice the signal that
 * arrives in between.  So what waits, waits here: the signals are held back while
 * the flag is tested and let in by the very call that waits.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/interrupt.c
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "interrupt.h"

volatile int upg_interrupted = 0;

/*
 * on_signal
 *		Note the first SIGINT or SIGTERM; leave at once on the second.
 *
 * After the second the server finishes or rolls back by itself; its books stay
 * right either way, which is why leaving is safe.
 */
static void
on_signal(int signo)
{
	static const char detached[] =
		"\nupg: detached; the server ends the statement by itself, see \"upg status\"\n";

	if (upg_interrupted != 0)
	{
		ssize_t ignored = write(STDERR_FILENO, detached, sizeof(detached) - 1);

		(void) ignored;
		_exit(128 + signo);
	}
	upg_interrupted = signo;
}

/*
 * interrupts_install
 *		Handle SIGINT and SIGTERM; have SIGPIPE reported as a write error.
 */
void
interrupts_install(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sigemptyset(&sa.sa_mask);
	sa.sa_handler = on_signal; /* no SA_RESTART: what waits must return */
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

/*
 * interrupt_poll
 *		poll() that a signal ends, whenever it came: -1 with EINTR.
 *
 * "timeout_ms": -1 for no limit.  What is wound up after a signal waits by poll().
 */
int
interrupt_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	struct timespec limit = {timeout_ms / 1000, (long) (timeout_ms % 1000) * 1000000};
	sigset_t held;
	sigset_t before;
	int rc = -1;
	int saved = EINTR;

	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigprocmask(SIG_BLOCK, &held, &before);
	if (upg_interrupted == 0)
	{
		rc = ppoll(fds, count, timeout_ms < 0 ? NULL : &limit, &before);
		saved = errno;
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	return rc;
}

/*
 * interrupt_read_line
 *		Read a line from a terminal, without its end; false when interrupted.
 *
 * The end of the input is an empty line.
 */
bool
interrupt_read_line(int fd, char *line, size_t size)
{
	struct pollfd input = {fd, POLLIN, 0};
	ssize_t len;

	line[0] = '\0';
	while (interrupt_poll(&input, 1, -1) < 0)
	{
		if (upg_interrupted != 0 || errno != EINTR)
			return false;
	}
	len = read(fd, line, size - 1);
	if (len < 0)
		return false;
	line[len] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	return true;
}
