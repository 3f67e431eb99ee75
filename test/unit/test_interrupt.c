/*-------------------------------------------------------------------------
 *
 * test_interrupt.c
 *		A signal ends what waits, whenever it arrives.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		test/unit/test_interrupt.c
 *
 *-------------------------------------------------------------------------
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "interrupt.h"

#define STRIKES 300

/*
 * reader
 *		The child: say that it is ready, read a line that never comes.
 */
static void
reader(int ready, int input)
{
	char line[16];

	interrupts_install();
	alarm(10); /* ends a reader that did not notice */
	if (write(ready, "x", 1) != 1)
		_exit(2);
	_exit(interrupt_read_line(input, line, sizeof(line)) ? 1 : 100 + upg_interrupted);
}

/* Each strike comes a little later after the child said that it is ready. */
static void
no_moment_is_missed(void **state)
{
	int input[2];

	(void) state;
	assert_int_equal(pipe(input), 0);
	for (int i = 0; i < STRIKES; i++)
	{
		int ready[2];
		int status = 0;
		char byte;
		pid_t pid;

		assert_int_equal(pipe(ready), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			reader(ready[1], input[0]);
		assert_int_equal(read(ready[0], &byte, 1), 1);
		for (volatile int wait = 0; wait < i * 50; wait++)
			continue;
		kill(pid, i % 2 == 0 ? SIGINT : SIGTERM);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 100 + (i % 2 == 0 ? SIGINT : SIGTERM));
		close(ready[0]);
		close(ready[1]);
	}
	close(input[0]);
	close(input[1]);
}

static void
a_line_is_read_without_its_end(void **state)
{
	int fds[2];
	char line[8];

	(void) state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "y\r\n", 3), 3);
	assert_true(interrupt_read_line(fds[0], line, sizeof(line)));
	assert_string_equal(line, "y");
	close(fds[1]);
	assert_true(interrupt_read_line(fds[0], line, sizeof(line)));
	assert_string_equal(line, "");
	close(fds[0]);
	assert_false(interrupt_read_line(fds[0], line, sizeof(line)));
}

static void
a_wait_with_a_limit_ends(void **state)
{
	(void) state;
	assert_int_equal(interrupt_poll(NULL, 0, 10), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_moment_is_missed),
		cmocka_unit_test(a_line_is_read_without_its_end),
		cmocka_unit_test(a_wait_with_a_limit_ends),
	};

	return cmocka_run_group_tests_name("interrupt", tests, NULL, NULL);
}
