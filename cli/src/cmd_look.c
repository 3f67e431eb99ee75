/*-------------------------------------------------------------------------
 *
 * cmd_look.c
 *		Commands that only look at the ledger: status, history, show, progress, wait, lock.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/cmd_look.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exit_codes.h"
#include "fsutil.h"
#include "interrupt.h"
#include "log.h"
#include "run.h"

static const UpgColumn status_columns[] = {
	{"state", "state"},   {"migration", "migration"}, {"applied_at", "applied at"},
	{"applied_by", "by"}, {"undo", "way back"},       {NULL, NULL}};
static const UpgColumn history_columns[] = {
	{"at", "at"},           {"direction", "direction"},
	{"state", "state"},     {"migration", "migration"},
	{"name", "migration"},  {"step", "step"},
	{"line", "line"},       {"sqlstate", "sqlstate"},
	{"message", "message"}, {NULL, NULL}};
static const UpgColumn progress_columns[] = {{"migration", "migration"},
											 {"direction", "direction"},
											 {"state", "state"},
											 {"step", "step"},
											 {"steps", "of"},
											 {"pid", "pid"},
											 {"since", "since"},
											 {"statement", "statement"},
											 {NULL, NULL}};
static const UpgColumn scan_columns[] = {{"task", "task"},
										 {"relation", "relation"},
										 {"step", "step"},
										 {"steps", "of"},
										 {"percent", "percent"},
										 {"elapsed", "elapsed"},
										 {"remaining", "left"},
										 {"pid", "pid"},
										 {"blocks_done", NULL},
										 {"blocks_total", NULL},
										 {NULL, NULL}};
static const UpgColumn statement_columns[] = {
	{"n", "n"},     {"object", "object"}, {"statement", "statement"},
	{"tag", "tag"}, {"reason", "reason"}, {NULL, NULL}};
static const UpgColumn lock_columns[] = {
	{"object", "object"}, {"mode", "mode"},           {"state", "state"}, {"pid", "pid"},
	{"usename", "role"},  {"migration", "migration"}, {"since", "since"}, {NULL, NULL}};

/*
 * status_query
 *		The question of "upg status": for people only what is shown or compared.
 */
static const char *
status_query(const UpgContext *ctx)
{
	return ctx->json ? "SELECT * FROM @extschema@.upg_status()"
					 : "SELECT state, migration, applied_at, applied_by,"
					   " CASE WHEN undo OPERATOR(pg_catalog.=) ANY ('{exact,inexact}')"
					   " AND down_sha256 IS NOT NULL"
					   " THEN undo OPERATOR(pg_catalog.||) ', given' ELSE undo END"
					   " AS undo, sha256, meaning FROM @extschema@.upg_status()";
}

/*
 * what_changed
 *		In words, how the file of an applied migration differs.
 */
static const char *
what_changed(UpgContext *ctx, const UpgTodo *todo)
{
	int changed;

	if (todo->entry->problem != NULL)
		return arena_printf(ctx->arena, "the file cannot be read: %s",
							todo->entry->problem);
	changed = run_check_changed(ctx, todo);
	if (changed < 0)
		err_clear();
	return changed == 0 ? "only comments or layout differ from what was applied"
						: "the file differs from what was applied";
}

/*
 * status_once
 *		One look at the ledger and the directory.
 */
static int
status_once(UpgContext *ctx)
{
	UpgCompare compare;
	UpgRows *rows;

	if (!ctx->asked && !conn_send(ctx->conn, status_query(ctx)))
		return upg_error.exit_code;
	ctx->asked = false;
	rows = conn_receive(ctx->conn);
	if (rows == NULL)
		return upg_error.exit_code;
	render_start(ctx);
	if (ctx->json)
		json_string(render_doc(), "database", conn_database(ctx->conn));
	if (rows_count(rows) > 0 || ctx->json)
		render_rows(ctx, rows, "ledger", status_columns);
	if (!run_compare(ctx, &compare, false, rows))
	{
		run_compare_free(&compare);
		return upg_error.exit_code;
	}
	if (ctx->json)
	{
		json_int(render_doc(), "applied", compare.applied);
		if (ctx->source != NULL)
		{
			json_string(render_doc(), "directory", ctx->source->dir);
			json_string(render_doc(), "layout", ctx->source->layout);
			json_array(render_doc(), "pending");
			for (int i = 0; i < compare.todo_count; i++)
				if (compare.todo[i].action == UPG_ACT_APPLY)
					json_string(render_doc(), NULL, compare.todo[i].name);
			json_array_end(render_doc());
			json_array(render_doc(), "changed");
			for (int i = 0; i < compare.todo_count; i++)
				if (compare.todo[i].action == UPG_ACT_CHANGED)
					json_string(render_doc(), NULL, compare.todo[i].name);
			json_array_end(render_doc());
			json_array(render_doc(), "vanished");
			for (int i = 0; i < compare.vanished.count; i++)
				json_string(render_doc(), NULL, compare.vanished.items[i]);
			json_array_end(render_doc());
		}
		run_compare_free(&compare);
		return UPG_EXIT_OK;
	}
	for (int i = 0; i < compare.todo_count; i++)
	{
		const UpgTodo *todo = &compare.todo[i];

		if (todo->action == UPG_ACT_APPLY && todo->known == NULL)
			render_text(ctx, "pending     %s%s\n", todo->name,
						todo->out_of_order ? "  (out of order)" : "");
		else if (todo->action == UPG_ACT_CHANGED)
			render_text(ctx, "changed     %s  (%s)\n", todo->name,
						what_changed(ctx, todo));
	}
	for (int i = 0; i < compare.orphans.count; i++)
		render_text(ctx, "vanished    %s  (half done, not in the directory)\n",
					compare.orphans.items[i]);
	for (int i = 0; i < compare.vanished.count; i++)
		render_text(ctx, "vanished    %s  (applied, not in the directory)\n",
					compare.vanished.items[i]);
	render_text(ctx, "%" PRId64 " applied", compare.applied);
	if (ctx->source != NULL)
		render_text(ctx, ", %d pending in \"%s\" (%s)", compare.pending, ctx->source->dir,
					ctx->source->layout_text);
	render_text(ctx, "\n");
	run_compare_free(&compare);
	return UPG_EXIT_OK;
}

/*
 * repeat
 *		Do it once, or with --watch until interrupted.
 */
static int
repeat(UpgContext *ctx, int (*once)(UpgContext *ctx))
{
	int64_t interval;
	int rc;

	if (!config_number(ctx, OPT_INTERVAL, true, 2000, &interval))
		return upg_error.exit_code;
	for (;;)
	{
		if (opt_on(ctx, OPT_WATCH) && !ctx->json && isatty(STDOUT_FILENO))
			render_raw("\033[H\033[2J", 7);
		rc = once(ctx);
		if (!opt_on(ctx, OPT_WATCH) || rc != UPG_EXIT_OK || upg_interrupted != 0)
			return rc;
		if (!render_finish(ctx, rc))
			return upg_error.exit_code;
		run_sleep((int) interval);
		if (upg_interrupted != 0 || (ctx->deadline != 0 && now_ms() >= ctx->deadline))
			return UPG_EXIT_OK;
	}
}

/* upg status */
int
cmd_status(UpgContext *ctx)
{
	bool have = ctx_has_directory(ctx, 0);

	if (!ctx_connect_asking(ctx, status_query(ctx)) || (have && !ctx_open_source(ctx, 0)))
		return upg_error.exit_code;
	return repeat(ctx, status_once);
}

/* upg history */
int
cmd_history(UpgContext *ctx)
{
	const char *params[2];

	params[0] = ctx_arg(ctx, 0);
	params[1] = opt_count(ctx, OPT_LIMIT, "100", INT32_MAX);
	if (params[1] == NULL || !ctx_connect(ctx, true))
		return upg_error.exit_code;
	return ctx_list(ctx, "SELECT * FROM @extschema@.upg_history($1, $2::pg_catalog.int4)",
					2, params, "history", history_columns, "nothing has run");
}

/* progress_once: one look at what runs. */
static int
progress_once(UpgContext *ctx)
{
	UpgRows *runs =
		conn_query(ctx->conn, "SELECT * FROM @extschema@.upg_progress()", 0, NULL);
	UpgRows *scans = NULL;

	if (runs != NULL)
		scans = conn_query(
			ctx->conn,
			"SELECT task, relation, step, steps, pg_catalog.round(percent::"
			"pg_catalog.numeric, 1) AS percent, pg_catalog.date_trunc('milliseconds',"
			" elapsed) AS elapsed, pg_catalog.date_trunc('milliseconds', remaining)"
			" AS remaining, pid, blocks_done, blocks_total"
			" FROM @extschema@.upg_scan_progress() ORDER BY pid",
			0, NULL);
	if (scans == NULL)
	{
		rows_free(runs);
		return upg_error.exit_code;
	}
	render_start(ctx);
	if (rows_count(runs) == 0 && rows_count(scans) == 0 && !ctx->json)
		render_text(ctx, "nothing is running\n");
	if (rows_count(runs) > 0 || ctx->json)
		render_rows(ctx, runs, "progress", progress_columns);
	if (rows_count(scans) > 0 || ctx->json)
		render_rows(ctx, scans, "scans", scan_columns);
	rows_free(runs);
	rows_free(scans);
	return UPG_EXIT_OK;
}

/* upg progress */
int
cmd_progress(UpgContext *ctx)
{
	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	return repeat(ctx, progress_once);
}

/* upg lock show */
int
cmd_lock_show(UpgContext *ctx)
{
	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	return ctx_list(ctx, "SELECT * FROM @extschema@.upg_locks()", 0, NULL, "locks",
					lock_columns, "nothing is locked");
}

/* upg wait */
int
cmd_wait(UpgContext *ctx)
{
	UpgOutcome outcome;
	const char *name = ctx_arg(ctx, 0);
	bool ok;

	memset(&outcome, 0, sizeof(outcome));
	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	outcome.name = name;
	ok = run_wait_state(ctx, name, "applied", &outcome);
	render_start(ctx);
	if (!ok && upg_error.exit_code == 0)
	{
		err_set(UPG_EXIT_WAITING, "UPG-2022", "nobody works on migration \"%s\"", name);
		err_fix("Run \"upg up\" again; it goes on where it stopped.");
	}
	if (ctx->json)
		json_array(render_doc(), "migrations");
	if (ok)
		render_outcome(ctx, &outcome);
	if (ctx->json)
		json_array_end(render_doc());
	return upg_error.exit_code;
}

/*
 * ledger_row
 *		What the ledger has of a migration; NULL with the error set if it has nothing.
 */
static UpgRows *
ledger_row(UpgContext *ctx, const char *name)
{
	const char *params[1] = {name};
	UpgRows *rows = conn_query(ctx->conn,
							   "SELECT * FROM @extschema@.upg_status()"
							   " WHERE migration OPERATOR(pg_catalog.=) $1",
							   1, params);

	if (rows == NULL || rows_count(rows) > 0)
		return rows;
	rows_free(rows);
	err_set(UPG_EXIT_FAILED, "UPG-0001", "the ledger holds no migration \"%s\"",
			printable(ctx->arena, name));
	err_next("upg status");
	return NULL;
}

/*
 * down_json
 *		The way back as JSON: statement by statement, and what of it runs as one text.
 */
static void
down_json(const UpgRows *rows)
{
	UpgBuf text;

	buf_init(&text);
	for (int row = 0; row < rows_count(rows); row++)
	{
		const char *statement = rows_get(rows, row, 2);
		const char *tag = rows_get(rows, row, 3);

		if (statement == NULL || (tag != NULL && strcmp(tag, "impossible") == 0))
			continue;
		buf_add(&text, statement);
		if (tag != NULL)
			buf_add(&text, ";\n");
	}
	json_string(render_doc(), "down", text.data);
	buf_free(&text);
}

/*
 * show_down
 *		The SQL that would take a migration back, or that there is none.
 */
static int
show_down(UpgContext *ctx, const char *name)
{
	const char *params[2] = {name, opt_on(ctx, OPT_PORTABLE) ? "true" : "false"};
	UpgRows *rows = conn_query(
		ctx->conn,
		ctx->json ? "SELECT n, object, statement, tag, reason"
					" FROM @extschema@.upg_down_statements($1, $2::pg_catalog.bool)"
				  : "SELECT @extschema@.upg_down($1, $2::pg_catalog.bool) AS down",
		2, params);
	bool none = rows != NULL &&
				(rows_count(rows) == 0 || (!ctx->json && rows_get(rows, 0, 0) == NULL));
	UpgRows *row = none ? ledger_row(ctx, name) : NULL;

	if (rows != NULL && (!none || row != NULL))
	{
		render_start(ctx);
		if (none && ctx->json)
			json_string(render_doc(), "down", NULL);
		else if (ctx->json)
		{
			down_json(rows);
			render_rows(ctx, rows, "statements", statement_columns);
		}
		else if (!none)
			render_text(ctx, "%s%s", rows_get(rows, 0, 0),
						str_ends(rows_get(rows, 0, 0), "\n") ? "" : "\n");
		if (none)
			log_warning("migration \"%s\" has no down script",
						printable(ctx->arena, name));
	}
	rows_free(row);
	rows_free(rows);
	return upg_error.exit_code;
}

/* upg show */
int
cmd_show(UpgContext *ctx)
{
	const char *name = ctx_arg(ctx, 0);
	UpgRows *rows;

	if (opt_on(ctx, OPT_PORTABLE) && !opt_on(ctx, OPT_DOWN))
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "--portable needs --down");
		return upg_error.exit_code;
	}
	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	if (opt_on(ctx, OPT_DOWN))
		return show_down(ctx, name);
	rows = ledger_row(ctx, name);
	if (rows == NULL)
		return upg_error.exit_code;
	render_start(ctx);
	if (ctx->json)
		render_rows(ctx, rows, "migration", status_columns);
	else
		for (int col = 0; col < rows_columns(rows); col++)
			if (rows_get(rows, 0, col) != NULL)
				render_text(ctx, "%-12s %s\n", rows_name(rows, col),
							rows_get(rows, 0, col));
	rows_free(rows);
	return upg_error.exit_code;
}
