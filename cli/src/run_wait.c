/*-------------------------------------------------------------------------
 *
 * run_wait.c
 *		Waiting and failing: for workers, for others, for the server to come back.
 * 
 *  Waiting for others is done outside of any transaction.  What went wrong is completed
 *  here with the place in the script, from the record of the attempt.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/run_wait.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exit_codes.h"
#include "interrupt.h"
#include "log.h"
#include "run_internal.h"

#define RECONNECT_MS  60000
#define EXCERPT_BYTES 120 /* of a long line that an error shows */

/*
 * run_sleep
 *		Sleep, but not through a signal.
 */
void
run_sleep(int ms)
{
	(void) interrupt_poll(NULL, 0, ms);
}

/*
 * run_interrupted
 *		Was a signal received, or is the time over?  Sets the error.
 */
bool
run_interrupted(const UpgContext *ctx)
{
	if (upg_interrupted != 0)
		err_set(128 + upg_interrupted, "UPG-2020", "interrupted by signal %d",
				upg_interrupted);
	else if (ctx->deadline != 0 && now_ms() >= ctx->deadline)
		err_set(UPG_EXIT_DEADLINE, "UPG-2019", "time is over");
	else
		return false;
	err_why("What was committed stays; the ledger shows it.");
	err_next("upg status");
	return true;
}

/*
 * in_character
 *		Is this a byte of a UTF-8 character, but not its first?
 */
static bool
in_character(const char *p)
{
	return ((unsigned char) *p & 0xC0) == 0x80;
}

/*
 * excerpt
 *		The line of a script, or what is around the column, with a caret under it.
 *
 * The server counts columns in characters.
 */
static void
excerpt(const char *text, int line, int col)
{
	const char *from = text;
	const char *to;
	const char *at;
	UpgBuf out;

	for (int i = 1; i < line && from != NULL; i++)
		from = (from = strchr(from, '\n')) ? from + 1 : NULL;
	if (from == NULL || line < 1 || col < 1)
		return;
	to = from + strcspn(from, "\r\n");
	at = from;
	for (int i = 1; i < col && at < to; i++)
		do
			at++;
		while (in_character(at));
	if (to - from > EXCERPT_BYTES)
	{
		if (at - from > EXCERPT_BYTES / 2)
			from = at - EXCERPT_BYTES / 2;
		while (in_character(from))
			from++;
		if (to - from > EXCERPT_BYTES)
			to = from + EXCERPT_BYTES;
		while (in_character(to))
			to--;
	}
	buf_init(&out);
	buf_addn(&out, from, (size_t) (to - from));
	buf_addc(&out, '\n');
	for (; from < at; from++)
		if (!in_character(from))
			buf_addc(&out, *from == '\t' ? '\t' : ' ');
	buf_addc(&out, '^');
	free(upg_error.excerpt);
	upg_error.excerpt = out.data;
}

/*
 * run_locate_error
 *		Add to the current error where it happened, from the attempt's record.
 */
void
run_locate_error(UpgContext *ctx, const char *name, const UpgScript *script)
{
	UpgRows *rows = NULL;
	UpgJsonDoc *doc = NULL;

	if (upg_error.line == 0)
	{
		UpgError saved = err_take();
		const char *params[1] = {name};
		bool shield = conn_shield(ctx->conn, true);

		rows = conn_query(ctx->conn,
						  "SELECT attempt FROM @extschema@.upg_migration_state($1)", 1,
						  params);
		conn_shield(ctx->conn, shield);
		err_put(saved);
		if (rows != NULL && rows_count(rows) > 0 && rows_get(rows, 0, 0) != NULL)
			doc = json_parse(rows_get(rows, 0, 0));
	}
	if (doc != NULL)
	{
		char number[32];
		const char *state = json_get(doc, "sqlstate", number, sizeof(number));
		const char *text;

		if (state != NULL &&
			(upg_error.sqlstate[0] == '\0' || strcmp(state, upg_error.sqlstate) == 0))
		{
			if ((text = json_get(doc, "statement", number, sizeof(number))) != NULL)
			{
				free(upg_error.statement);
				upg_error.statement = xstrdup(text);
			}
			if ((text = json_get(doc, "line", number, sizeof(number))) != NULL)
				upg_error.line = (int) strtol(text, NULL, 10);
			if ((text = json_get(doc, "col", number, sizeof(number))) != NULL)
				upg_error.col = (int) strtol(text, NULL, 10);
		}
		json_free(doc);
	}
	rows_free(rows);
	if (upg_error.line > 0 && script != NULL)
	{
		const char *file;
		int file_line;

		script_position(script, upg_error.line, &file, &file_line);
		err_where("%s:%d:%d", file, file_line, upg_error.col);
		if (script->text.data != NULL)
			excerpt(script->text.data, upg_error.line, upg_error.col);
	}
}

/*
 * failure_of
 *		Make an error of the last attempt of a migration that background work failed.
 */
static void
failure_of(const UpgRows *rows, const char *name, const char *state)
{
	const char *attempt = rows_named(rows, 0, "attempt");
	UpgJsonDoc *doc = attempt ? json_parse(attempt) : NULL;
	char number[32];
	const char *text = doc ? json_get(doc, "message", number, sizeof(number)) : NULL;
	bool partial = strcmp(state, "partial") == 0;
	bool unknown = strcmp(state, "unknown") == 0;

	err_set(unknown   ? UPG_EXIT_UNKNOWN
			: partial ? UPG_EXIT_INCOMPLETE
					  : UPG_EXIT_FAILED,
			unknown ? "UPG-0011" : "UPG-1000", "%s",
			text ? text : "the migration did not reach the state that was asked for");
	if (doc != NULL)
	{
		if ((text = json_get(doc, "sqlstate", number, sizeof(number))) != NULL)
			snprintf(upg_error.sqlstate, sizeof(upg_error.sqlstate), "%s", text);
		if ((text = json_get(doc, "detail", number, sizeof(number))) != NULL)
			err_why("%s", text);
		if ((text = json_get(doc, "hint", number, sizeof(number))) != NULL)
			err_fix("%s", text);
		if ((text = json_get(doc, "statement", number, sizeof(number))) != NULL)
			upg_error.statement = xstrdup(text);
	}
	json_free(doc);
	if (upg_error.why == NULL)
	{
		if (partial)
			err_why("%" PRId64 " of %" PRId64
					" steps of migration \"%s\" are done; the next run goes on there.",
					rows_int(rows, 0, "steps_done"), rows_int(rows, 0, "steps"), name);
		else
			err_why("The state of migration \"%s\" is \"%s\".", name, state);
	}
	if (unknown)
		err_next("upg repair %s --mark=applied|absent --reason=TEXT", name);
	err_next("upg explain %s", name);
}

/*
 * stop_worker
 *		The user interrupts while a background worker runs: cancel its statement.
 */
static void
stop_worker(UpgContext *ctx, const char *pid)
{
	const char *params[1] = {pid};
	bool shield = conn_shield(ctx->conn, true);

	if (pid != NULL)
		conn_run(ctx->conn, "SELECT pg_catalog.pg_cancel_backend($1::pg_catalog.int4)", 1,
				 params);
	err_clear();
	conn_shield(ctx->conn, shield);
}

/*
 * time_over
 *		Our time is over, but not that of the background worker.
 */
static void
time_over(const char *name)
{
	err_set(UPG_EXIT_DEADLINE, "UPG-2019", "time is over");
	err_why("Migration \"%s\" goes on in the background.", name);
	err_next("upg wait %s", name);
	err_next("upg status");
}

/*
 * run_reconnect
 *		Connect again, trying for a while; false with the error set.
 */
bool
run_reconnect(UpgContext *ctx)
{
	int64_t until = now_ms() + RECONNECT_MS;
	int wait = 100;

	if (ctx->deadline != 0 && ctx->deadline < until)
		until = ctx->deadline;
	log_warning("the connection was lost; connecting again");
	for (;;)
	{
		err_clear();
		if (run_interrupted(ctx))
			return false;
		if (conn_reconnect(ctx->conn))
			return true;
		if (upg_error.exit_code != UPG_EXIT_NO_DATABASE || now_ms() + wait > until)
			return false;
		run_sleep(wait);
		wait = wait < 2000 ? wait * 2 : 2000;
	}
}

/*
 * run_wait_state
 *		Poll until a migration that background work runs has settled.
 *
 * True if it reached "wanted".  False without an error: nobody works on it any more,
 * the caller asks again.
 */
bool
run_wait_state(UpgContext *ctx, const char *name, const char *wanted, UpgOutcome *outcome)
{
	const char *params[1] = {name};
	int wait = 20;
	int64_t idle_since = 0;
	int64_t started = now_ms();

	for (;;)
	{
		UpgRows *rows =
			conn_query(ctx->conn,
					   "SELECT state, steps_done, steps, statement, attempt, worker_pid"
					   " FROM @extschema@.upg_migration_state($1)",
					   1, params);
		const char *state;
		const char *pid;

		if (rows == NULL)
		{
			if (conn_lost(ctx->conn) && upg_error.exit_code == UPG_EXIT_NO_DATABASE)
			{
				if (!run_reconnect(ctx))
					return false;
				continue;
			}
			if (upg_error.exit_code == UPG_EXIT_DEADLINE)
				time_over(name); /* what was cancelled is our question, not the work */
			return false;
		}
		state = rows_named(rows, 0, "state");
		pid = rows_named(rows, 0, "worker_pid");
		if (state == NULL)
		{
			err_set(UPG_EXIT_FAILED, "UPG-0001", "the ledger holds no migration \"%s\"",
					name);
			rows_free(rows);
			return false;
		}
		if (strcmp(state, wanted) == 0)
		{
			outcome->state = wanted;
			outcome->steps = rows_int(rows, 0, "steps");
			if (outcome->ms <= 0)
				outcome->ms = (double) (now_ms() - started);
			rows_free(rows);
			return true;
		}
		if (strcmp(state, "queued") != 0 && strcmp(state, "running") != 0)
		{
			failure_of(rows, name, state);
			rows_free(rows);
			return false;
		}
		if (run_interrupted(ctx))
		{
			UpgError saved = err_take();

			if (upg_interrupted != 0)
				stop_worker(ctx, pid);
			err_put(saved);
			if (upg_interrupted == 0)
				time_over(name);
			rows_free(rows);
			return false;
		}
		if (pid != NULL)
			idle_since = 0;
		else if (idle_since == 0)
			idle_since = now_ms();
		else if (now_ms() - idle_since > 3000)
		{
			rows_free(rows);
			return false;
		}
		run_show_step(ctx, name, rows_int(rows, 0, "steps_done") + 1,
					  rows_int(rows, 0, "steps"), rows_named(rows, 0, "statement"), pid);
		rows_free(rows);
		run_sleep(wait);
		wait = wait < 200 ? wait * 2 : 200;
	}
}

/*
 * run_handed_over
 *		--no-wait: a migration goes on in the background, as was asked for.
 */
void
run_handed_over(const char *name, bool down)
{
	err_set(UPG_EXIT_WAITING, "UPG-2022", "migration \"%s\" %s in the background", name,
			down ? "is taken back" : "runs");
	if (down)
		err_next("upg status");
	else
		err_next("upg wait %s", name);
	upg_error.outcome = true;
}

/*
 * run_no_worker
 *		Nobody takes up the work, however often we ask: set the error.
 */
bool
run_no_worker(const char *name)
{
	err_set(UPG_EXIT_WAITING, "UPG-0010",
			"no background worker takes up migration \"%s\"", name);
	err_why("Workers were started, but ended at once.");
	err_fix("The server's log tells why; max_worker_processes may be too small.");
	err_next("upg up");
	return false;
}

/*
 * run_wait_for_other
 *		After a conflict: say for whom we wait, once, and wait a moment.
 */
bool
run_wait_for_other(UpgContext *ctx, char **said, int *wait)
{
	if (opt_on(ctx, OPT_NO_WAIT))
		return false;
	if (*said == NULL || strcmp(*said, upg_error.what) != 0)
	{
		log_info("waiting: %s%s%s", upg_error.what, upg_error.why ? "\n" : "",
				 upg_error.why ? upg_error.why : "");
		free(*said);
		*said = xstrdup(upg_error.what);
	}
	err_clear();
	if (run_interrupted(ctx))
		return false;

	/* spread, so that twenty runs do not knock at the same moment */
	run_sleep(*wait + (int) ((now_ms() ^ getpid()) % 20));
	*wait = *wait < 500 ? *wait * 2 : 500;
	return !run_interrupted(ctx);
}
