/*-------------------------------------------------------------------------
 *
 * dump.c
 *		The schema of a database as pg_dump shows it, without what differs between two
 *		dumps of the same schema.
 *
 *	pg_dump is run as a child process, connected by its environment, so that no
 *	password shows in the list of processes.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/dump.c
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dump.h"
#include "exit_codes.h"
#include "interrupt.h"
#include "log.h"

static void clean_dump(UpgBuf *text);

/* What is kept of the lines before the first object. */
static const char *const kept_settings[] = {"SET client_encoding",
											"SET standard_conforming_strings",
											"SELECT pg_catalog.set_config('search_path'",
											"SET check_function_bodies",
											"SET xmloption",
											"SET row_security",
											"SET default_",
											NULL};

/*
 * run_child
 *		In the child: become pg_dump.
 */
static void
run_child(UpgConn *conn, const char *const *args, int out, int err)
{
	int null = open("/dev/null", O_RDONLY);

	if (null >= 0)
		dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	signal(SIGPIPE, SIG_DFL);
	conn_environment(conn);
	execvp(args[0], (char *const *) (uintptr_t) args);
	dprintf(STDERR_FILENO, "could not run \"%s\": %s\n", args[0], strerror(errno));
	_exit(127);
}

/*
 * collect_child
 *		Read both pipes of the child until it closes them.
 *
 * On a signal or after the deadline the child is ended; what is left is read, too.
 */
static void
collect_child(const UpgContext *ctx, pid_t pid, int out_fd, int err_fd, UpgBuf *out,
			  UpgBuf *err)
{
	struct pollfd fds[2] = {{out_fd, POLLIN, 0}, {err_fd, POLLIN, 0}};
	UpgBuf *bufs[2] = {out, err};
	int open_fds = 2;
	bool ended = false;

	while (open_fds > 0)
	{
		if (!ended &&
			(upg_interrupted != 0 || (ctx->deadline != 0 && now_ms() >= ctx->deadline)))
		{
			kill(pid, SIGTERM);
			ended = true;
		}
		if ((ended ? poll(fds, 2, 500) : interrupt_poll(fds, 2, 500)) <= 0)
			continue;
		for (int i = 0; i < 2; i++)
		{
			ssize_t got;

			if (fds[i].fd < 0 || fds[i].revents == 0)
				continue;
			buf_reserve(bufs[i], 65536);
			got = read(fds[i].fd, bufs[i]->data + bufs[i]->len, 65536);
			if (got > 0)
			{
				bufs[i]->len += (size_t) got;
				bufs[i]->data[bufs[i]->len] = '\0';
			}
			else if (got == 0 || errno != EINTR)
			{
				fds[i].fd = -1;
				open_fds--;
			}
		}
	}
}

/*
 * dump_failed
 *		Set the error for a pg_dump that did not succeed.
 */
static bool
dump_failed(const UpgContext *ctx, const char *program, int status, const UpgBuf *err)
{
	if (upg_interrupted != 0)
		return err_set(128 + upg_interrupted, "UPG-2020",
					   "interrupted while pg_dump ran");
	if (ctx->deadline != 0 && now_ms() >= ctx->deadline)
		return err_set(UPG_EXIT_DEADLINE, "UPG-2019", "time is over while pg_dump ran");
	err_set(UPG_EXIT_FAILED, "UPG-2035", "pg_dump failed");
	if (err->len > 0)
		err_why("%.*s", (int) (err->len > 2000 ? 2000 : err->len), err->data);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		err_fix("Install the client programs of PostgreSQL, or name the program with "
				"--pg-dump.");
	else if (strstr(err->data, "server version mismatch") != NULL)
		err_fix("Name the pg_dump of the server's version, or of a later one, with "
				"--pg-dump.");
	else
		err_fix("\"%s\" must be able to read the whole database.", program);
	return false;
}

/*
 * dump_database
 *		What pg_dump shows of the database of ctx->conn; false with the error set.
 *
 * The books of upg are left out.
 */
bool
dump_database(UpgContext *ctx, int what, UpgBuf *out)
{
	const char *program = opt_get(ctx, OPT_PG_DUMP);
	const char *args[12];
	int n = 0;
	int out_pipe[2];
	int err_pipe[2];
	int status = 0;
	pid_t pid;
	UpgBuf err;
	bool ok;

	if (program == NULL)
		program = "pg_dump";
	args[n++] = program;
	args[n++] = "--no-password";
	args[n++] = "--encoding=UTF8";
	args[n++] = "--exclude-schema=upg";
	if ((what & UPG_DUMP_OWNERS) == 0)
		args[n++] = "--no-owner";
	if ((what & (UPG_DUMP_OWNERS | UPG_DUMP_RIGHTS)) == 0)
		args[n++] = "--no-privileges";
	args[n++] = (what & UPG_DUMP_DATA) ? "--inserts" : "--schema-only";
	args[n] = NULL;
	if (pipe2(out_pipe, O_CLOEXEC) != 0)
		return err_set(UPG_EXIT_FAILED, "UPG-2035", "could not run pg_dump: %s",
					   strerror(errno));
	if (pipe2(err_pipe, O_CLOEXEC) != 0 || (pid = fork()) < 0)
	{
		err_set(UPG_EXIT_FAILED, "UPG-2035", "could not run pg_dump: %s",
				strerror(errno));
		close(out_pipe[0]);
		close(out_pipe[1]);
		return false;
	}
	if (pid == 0)
		run_child(ctx->conn, args, out_pipe[1], err_pipe[1]);
	close(out_pipe[1]);
	close(err_pipe[1]);
	buf_init(&err);
	collect_child(ctx, pid, out_pipe[0], err_pipe[0], out, &err);
	close(out_pipe[0]);
	close(err_pipe[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	ok = WIFEXITED(status) && WEXITSTATUS(status) == 0 && upg_interrupted == 0;
	if (!ok)
		dump_failed(ctx, program, status, &err);
	else
	{
		if (err.len > 0)
			log_verbose("pg_dump: %s", err.data);
		clean_dump(out);
	}
	buf_free(&err);
	return ok;
}

/*
 * next_object
 *		The heading of the next object from here on, or NULL.
 *
 * A heading is "--", then "-- Name: ..." or "-- Data for Name: ...".
 */
static const char *
next_object(const char *p)
{
	const char *name = strstr(p, "\n--\n-- Name: ");
	const char *data = strstr(p, "\n--\n-- Data for Name: ");

	if (name == NULL || (data != NULL && data < name))
		return data ? data + 1 : NULL;
	return name + 1;
}

/*
 * is_own
 *		Is this the heading of the extension upg itself?
 */
static bool
is_own(const char *heading)
{
	return str_starts(heading, "--\n-- Name: upg; Type: EXTENSION;") ||
		   str_starts(heading, "--\n-- Name: EXTENSION upg; Type: COMMENT;");
}

/*
 * clean_dump
 *		Leave out what tells nothing of the schema: versions, the key of \restrict,
 *		time limits of the session, the extension upg.
 */
static void
clean_dump(UpgBuf *text)
{
	UpgBuf out;
	char *end = NULL;
	const char *p;
	const char *object;

	/* the last line of its kind: a comment may quote one */
	for (char *found = text->data;
		 (found = strstr(found, "\n--\n-- PostgreSQL database dump complete\n--\n"));
		 found++)
		end = found;
	if (end != NULL)
	{
		end[1] = '\0';
		text->len = (size_t) (end + 1 - text->data);
	}
	buf_init(&out);
	object = next_object(text->data);
	for (p = text->data; *p && (object == NULL || p < object);)
	{
		size_t len = strcspn(p, "\n");

		for (int i = 0; kept_settings[i] != NULL; i++)
			if (str_starts(p, kept_settings[i]))
				buf_printf(&out, "%.*s\n", (int) len, p);
		p += len;
		if (*p == '\n')
			p++;
	}
	if (object != NULL)
		buf_addc(&out, '\n');
	while (object != NULL)
	{
		const char *next = next_object(object);
		size_t len = next ? (size_t) (next - object) : strlen(object);

		if (!is_own(object))
			buf_addn(&out, object, len);
		object = next;
	}
	while (out.len > 0 && out.data[out.len - 1] == '\n')
		out.len--;
	out.data[out.len] = '\0';
	buf_addc(&out, '\n');
	buf_free(text);
	*text = out;
}

/*
 * dump_difference
 *		The first line that differs, with the line of each side; false: the same.
 */
bool
dump_difference(const char *a, const char *b, int *line, UpgBuf *in_a, UpgBuf *in_b)
{
	*line = 1;
	if (strcmp(a, b) == 0)
		return false;
	for (;;)
	{
		size_t na = strcspn(a, "\n");
		size_t nb = strcspn(b, "\n");

		if (na != nb || strncmp(a, b, na) != 0 || *a == '\0' || *b == '\0')
		{
			buf_addn(in_a, a, na);
			buf_addn(in_b, b, nb);
			return true;
		}
		a += na + (a[na] == '\n');
		b += nb + (b[nb] == '\n');
		++*line;
	}
}
