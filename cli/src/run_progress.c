/*-------------------------------------------------------------------------
 *
 * run_progress.c
 *		The progress line: how far a run and a long statement are, and the time that is
 *		left where it can be known.
 *
 *	Only on a terminal; elsewhere each migration has its line when it is done.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/run_progress.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "run_internal.h"

/* Not more often than this is the server asked how far a statement is. */
#define ASK_MS 1000

/* How far a statement was when its phase was first seen; rates are taken from there. */
static char phase[64];
static double phase_done;
static int64_t phase_at;
static int64_t asked_at;
static char shown[96];

/*
 * time_left
 *		", about 1:05 left".
 */
static void
time_left(char *out, size_t size, double ms)
{
	int64_t seconds = (int64_t) (ms / 1000 + 0.5);

	if (seconds >= 3600)
		snprintf(out, size, ", about %" PRId64 ":%02d:%02d left", seconds / 3600,
				 (int) (seconds / 60 % 60), (int) (seconds % 60));
	else
		snprintf(out, size, ", about %d:%02d left", (int) (seconds / 60),
				 (int) (seconds % 60));
}

/*
 * run_show_progress
 *		Which migration of the run; the time left is that of the ones before.
 */
void
run_show_progress(const char *name, int done, int total, int64_t started)
{
	double elapsed = (double) (now_ms() - started);
	char left[48] = "";

	phase[0] = '\0';
	shown[0] = '\0';
	asked_at = 0;
	if (done >= 2 && elapsed >= 1000)
		time_left(left, sizeof(left), elapsed / done * (total - done));
	log_progress("applying %s (%d of %d%s)", name, done + 1, total, left);
}

/*
 * ask_server
 *		What the server says of a long statement of this process; keeps no error.
 */
static void
ask_server(UpgContext *ctx, const char *pid)
{
	const char *params[1] = {pid};
	UpgRows *rows;
	const char *now_phase;
	double done;
	double total;
	int64_t now = now_ms();
	char left[48] = "";

	if (asked_at != 0 && now - asked_at < ASK_MS)
		return;
	asked_at = now;
	rows = conn_query(ctx->conn,
					  "SELECT phase, CASE WHEN blocks_total OPERATOR(pg_catalog.>) 0"
					  " THEN blocks_done ELSE tuples_done END,"
					  " CASE WHEN blocks_total OPERATOR(pg_catalog.>) 0"
					  " THEN blocks_total ELSE tuples_total END"
					  " FROM pg_catalog.pg_stat_progress_create_index"
					  " WHERE pid OPERATOR(pg_catalog.=) $1::pg_catalog.int4"
					  " UNION ALL SELECT phase, heap_blks_scanned, heap_blks_total"
					  " FROM pg_catalog.pg_stat_progress_vacuum"
					  " WHERE pid OPERATOR(pg_catalog.=) $1::pg_catalog.int4"
					  " UNION ALL SELECT 'waits for ' OPERATOR(pg_catalog.||)"
					  " pg_catalog.string_agg('process ' OPERATOR(pg_catalog.||) a.pid"
					  " OPERATOR(pg_catalog.||) COALESCE(' (' OPERATOR(pg_catalog.||)"
					  " NULLIF(a.application_name, '') OPERATOR(pg_catalog.||) ')', ''),"
					  " ', '), NULL, NULL FROM pg_catalog.pg_stat_activity a"
					  " WHERE a.pid OPERATOR(pg_catalog.=) ANY ("
					  "pg_catalog.pg_blocking_pids($1::pg_catalog.int4))"
					  " HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0",
					  1, params);
	shown[0] = '\0';
	if (rows == NULL)
	{
		/* a lost connection is found again by the question that matters */
		if (!conn_lost(ctx->conn))
			err_clear();
		return;
	}
	now_phase = rows_count(rows) > 0 ? rows_get(rows, 0, 0) : NULL;
	if (now_phase != NULL && rows_get(rows, 0, 2) != NULL)
	{
		done = strtod(rows_get(rows, 0, 1), NULL);
		total = strtod(rows_get(rows, 0, 2), NULL);
		if (strcmp(phase, now_phase) != 0 || done < phase_done)
		{
			snprintf(phase, sizeof(phase), "%s", now_phase);
			phase_done = done;
			phase_at = now;
		}
		else if (done > phase_done && now > phase_at)
			time_left(left, sizeof(left),
					  (total - done) / (done - phase_done) * (double) (now - phase_at));
		if (total > 0)
			snprintf(shown, sizeof(shown), "  %s: %d%%%s", now_phase,
					 (int) (done * 100 / total), left);
	}
	else if (now_phase != NULL)
		snprintf(shown, sizeof(shown), "  %s", now_phase);
	rows_free(rows);
}

/*
 * run_show_step
 *		Which step of a migration that a worker runs, and how far its statement is.
 */
void
run_show_step(UpgContext *ctx, const char *name, int64_t step, int64_t steps,
			  const char *statement, const char *pid)
{
	if (!log_progress_wanted())
		return;
	if (pid != NULL)
		ask_server(ctx, pid);
	log_progress("%s: step %" PRId64 " of %" PRId64 "%s  %s", name, step, steps, shown,
				 statement ? statement : "");
}
