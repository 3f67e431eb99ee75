/*-------------------------------------------------------------------------
 *
 * cmd_look.c
 *		Commands that only look: status, plan, check, history, show, progress, wait, lock.
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
#include "log.h"
#include "run.h"

static const UpgColumn status_columns[] = {
	{"state", "state"},   {"migration", "migration"}, {"applied_at", "applied at"},
	{"applied_by", "by"}, {"undo", "way back"},       {NULL, NULL}};
static const UpgColumn history_columns[] = {{"at", "at"},
											{"direction", "direction"},
											{"state", "state"},
											{"migration", "migration"},
											{"name", "migration"},
											{"line", "line"},
											{"sqlstate", "sqlstate"},
											{"message", "message"},
											{NULL, NULL}};
static const UpgColumn progress_columns[] = {{"migration", "migration"},
											 {"direction", "direction"},
											 {"state", "state"},
											 {"step", "step"},
											 {"steps", "of"},
											 {"pid", "pid"},
											 {"since", "since"},
											 {"statement", "statement"},
											 {NULL, NULL}};
static const UpgColumn lock_columns[] = {
	{"object", "object"}, {"mode", "mode"},           {"state", "state"}, {"pid", "pid"},
	{"usename", "role"},  {"migration", "migration"}, {"since", "since"}, {NULL, NULL}};

/*
 * query_rows
 *		Run a query and print its rows.
 */
static int
query_rows(UpgContext *ctx, const char *sql, int nparams, const char *const *params,
		   const char *key, const UpgColumn *columns, const char *nothing)
{
	UpgRows *rows = conn_query(ctx->conn, sql, nparams, params);

	if (rows == NULL)
		return upg_error.exit_code;
	render_start(ctx);
	if (rows_count(rows) == 0 && !ctx->json)
		render_text(ctx, "%s\n", nothing);
	else
		render_rows(ctx, rows, key, columns);
	rows_free(rows);
	return UPG_EXIT_OK;
}

/*
 * ask_status
 *		Send the question, so that the server works while the directory is read.
 */
static bool
ask_status(UpgContext *ctx)
{
	ctx->asked = conn_send(
		ctx->conn, ctx->json
					   ? "SELECT * FROM @extschema@.upg_status()"
					   : "SELECT state, migration,"
						 " pg_catalog.date_trunc('second', applied_at) AS applied_at,"
						 " applied_by, undo, sha256, meaning, ord"
						 " FROM @extschema@.upg_status()");
	return ctx->asked;
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

	if (!ctx->asked && !ask_status(ctx))
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
			render_text(ctx, "changed     %s  (the file differs from what was applied)\n",
						todo->name);
	}
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
		if (!opt_on(ctx, OPT_WATCH) || rc != UPG_EXIT_OK || ctx->json ||
			upg_interrupted != 0)
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
	bool have = ctx_arg(ctx, 0) != NULL || getenv("UPG_DIR") != NULL ||
				vars_get(&ctx->config, "dir") != NULL || fs_is_dir("migrations");

	if (!ctx_connect(ctx, true) || !ask_status(ctx) || (have && !ctx_open_source(ctx, 0)))
		return upg_error.exit_code;
	return repeat(ctx, status_once);
}

/*
 * script_facts
 *		Statements, steps and notes of a script, by the server's parser.
 */
static UpgRows *
script_facts(UpgContext *ctx, const UpgEntry *entry, const UpgScript *script)
{
	const char *params[1];
	UpgRows *rows;

	params[0] = script->text.data;
	rows = conn_query(ctx->conn,
					  "SELECT statements, steps, transactional, notes"
					  " FROM @extschema@.upg_script_info($1)",
					  1, params);
	if (rows == NULL && upg_error.where == NULL)
		err_where("%s", script->path ? script->path : entry->name);
	return rows;
}

/* upg plan */
int
cmd_plan(UpgContext *ctx)
{
	UpgCompare compare;
	int last = -1;
	int count = 0;
	bool ok;

	if (!ctx_open_source(ctx, 0) || !ctx_connect(ctx, true))
		return upg_error.exit_code;
	ok = run_compare(ctx, &compare, opt_get(ctx, OPT_TO) == NULL, NULL);
	if (ok && !compare.up_to_date)
		ok = run_check_changes(ctx, &compare) && run_select(ctx, &compare, &last) &&
			 run_preflight(ctx, &compare, last);
	render_start(ctx);
	if (ctx->json)
	{
		json_string(render_doc(), "directory", ctx->source->dir);
		json_string(render_doc(), "layout", ctx->source->layout);
		json_array(render_doc(), "plan");
	}
	for (int i = 0; ok && i <= last; i++)
	{
		const UpgTodo *todo = &compare.todo[i];
		UpgScript script;
		UpgRows *rows = NULL;
		int64_t statements;
		int64_t steps = 1;
		bool transactional = true;
		const char *notes = NULL;

		if (todo->action != UPG_ACT_APPLY)
			continue;
		ok = script_load(ctx->source, todo->entry, false, &script);
		if (!ok)
			break;
		statements = script.statements;
		if (!script.client_driven)
		{
			rows = script_facts(ctx, todo->entry, &script);
			ok = rows != NULL;
			if (ok)
			{
				statements = rows_int(rows, 0, "statements");
				steps = rows_int(rows, 0, "steps");
				transactional = rows_bool(rows, 0, "transactional");
				notes = rows_named(rows, 0, "notes");
			}
		}
		else
			notes = "{driven by the client}";
		if (ok && todo->entry->no_transaction)
			transactional = false;
		if (ok)
		{
			count++;
			if (ctx->json)
			{
				json_object(render_doc(), NULL);
				json_int(render_doc(), "ord", count);
				json_string(render_doc(), "name", todo->name);
				json_string(render_doc(), "file", todo->entry->up.path);
				json_int(render_doc(), "statements", statements);
				json_int(render_doc(), "steps", steps);
				json_bool(render_doc(), "transactional", transactional);
				json_bool(render_doc(), "down", entry_has_down(todo->entry));
				json_string(render_doc(), "state",
							todo->known ? todo->known->state : NULL);
				json_string(render_doc(), "notes",
							notes && strcmp(notes, "{}") != 0 ? notes : NULL);
				json_object_end(render_doc());
			}
			else
				render_text(ctx, "%3d  %s  %" PRId64 " statement%s, %s%s%s%s%s\n", count,
							todo->name, statements, statements == 1 ? "" : "s",
							transactional ? "one transaction"
										  : "steps that commit one by one",
							entry_has_down(todo->entry) ? "" : ", no down script",
							notes && strcmp(notes, "{}") != 0 ? "  " : "",
							notes && strcmp(notes, "{}") != 0 ? notes : "",
							todo->out_of_order ? "  (out of order)" : "");
		}
		rows_free(rows);
		script_free(&script);
	}
	if (ctx->json)
		json_array_end(render_doc());
	else if (ok && count == 0)
		render_text(ctx, "nothing to do: %" PRId64 " applied\n", compare.applied);
	run_compare_free(&compare);
	if (upg_error.exit_code == 0 && count > 0 && opt_on(ctx, OPT_DETAILED_EXITCODE))
		return UPG_EXIT_CHANGES;
	return upg_error.exit_code;
}

/*
 * check_script
 *		One direction of one entry; false with the error set.
 */
static bool
check_script(UpgContext *ctx, UpgEntry *entry, bool down)
{
	UpgScript script;
	bool ok = script_load(ctx->source, entry, down, &script);

	if (!ok)
		return false;
	if (!script.client_driven)
	{
		UpgRows *rows = script_facts(ctx, entry, &script);

		ok = rows != NULL;
		rows_free(rows);
	}
	else if (!down)
		ok = run_client_check(ctx, entry);
	if (ok && !down && script.statements == 0 && !script.streamed)
		log_info("\"%s\" holds no statement", entry->up.path);
	script_free(&script);
	return ok;
}

/* upg check */
int
cmd_check(UpgContext *ctx)
{
	int faults = 0;
	UpgError first;

	memset(&first, 0, sizeof(first));
	if (!ctx_open_source(ctx, 0) || !ctx_connect(ctx, true))
		return upg_error.exit_code;
	render_start(ctx);
	if (ctx->json)
	{
		json_string(render_doc(), "directory", ctx->source->dir);
		json_string(render_doc(), "layout", ctx->source->layout);
		json_array(render_doc(), "faults");
	}
	for (int i = 0; i < ctx->source->count; i++)
	{
		UpgEntry *entry = &ctx->source->entries[i];

		for (int down = 0; down <= (entry_has_down(entry) ? 1 : 0); down++)
		{
			bool ok =
				!(down == 0 && source_problem(entry)) && check_script(ctx, entry, down);

			for (int k = 0; ok && !down && k < entry->requires.count; k++)
			{
				bool found = false;

				for (int n = 0; n < i && !found; n++)
					found = strcmp(ctx->source->entries[n].ledger,
								   entry->requires.items[k]) == 0 ||
							strcmp(ctx->source->entries[n].name,
								   entry->requires.items[k]) == 0;
				if (!found)
				{
					ok = err_set(
						UPG_EXIT_USAGE, "UPG-0003",
						"migration \"%s\" requires \"%s\", which does not come before it",
						entry->name, entry->requires.items[k]);
					err_where("%s", entry->up.path);
				}
			}
			if (ok)
				continue;
			if (conn_lost(ctx->conn) || upg_interrupted != 0)
			{
				if (ctx->json)
					json_array_end(render_doc());
				return upg_error.exit_code;
			}
			faults++;
			if (ctx->json)
			{
				json_object(render_doc(), NULL);
				json_string(render_doc(), "name", entry->name);
				json_string(render_doc(), "code", upg_error.code);
				json_string(render_doc(), "what", upg_error.what);
				json_string(render_doc(), "where", upg_error.where);
				json_object_end(render_doc());
			}
			else
				render_text(ctx, "%s: %s\n",
							upg_error.where ? upg_error.where : entry->up.path,
							upg_error.what);
			if (faults == 1)
			{
				first = upg_error;
				memset(&upg_error, 0, sizeof(upg_error));
			}
			err_clear();
		}
	}
	if (ctx->json)
		json_array_end(render_doc());
	if (faults == 0)
	{
		render_text(ctx, "%d migrations, layout %s: no fault found\n", ctx->source->count,
					ctx->source->layout_text);
		return UPG_EXIT_OK;
	}
	upg_error = first;
	upg_error.exit_code = UPG_EXIT_USAGE;
	return UPG_EXIT_USAGE;
}

/* upg history */
int
cmd_history(UpgContext *ctx)
{
	const char *params[2];

	params[0] = ctx_arg(ctx, 0);
	params[1] = opt_get(ctx, OPT_LIMIT) ? opt_get(ctx, OPT_LIMIT) : "100";
	if (params[1][strspn(params[1], "0123456789")] != '\0' || strlen(params[1]) > 9)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "invalid value \"%s\" of option --limit",
				params[1]);
		return upg_error.exit_code;
	}
	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	return query_rows(ctx,
					  "SELECT * FROM @extschema@.upg_history($1, $2::pg_catalog.int4)", 2,
					  params, "history", history_columns, "nothing has run");
}

/* progress_once: one look at what runs. */
static int
progress_once(UpgContext *ctx)
{
	return query_rows(ctx, "SELECT * FROM @extschema@.upg_progress()", 0, NULL,
					  "progress", progress_columns, "nothing is running");
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
	return query_rows(ctx, "SELECT * FROM @extschema@.upg_locks()", 0, NULL, "locks",
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

/* upg show */
int
cmd_show(UpgContext *ctx)
{
	const char *params[1];
	UpgRows *rows;

	params[0] = ctx_arg(ctx, 0);
	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	if (opt_on(ctx, OPT_DOWN))
	{
		rows =
			conn_query(ctx->conn, "SELECT @extschema@.upg_down($1) AS down", 1, params);
		if (rows == NULL)
			return upg_error.exit_code;
		render_start(ctx);
		if (ctx->json)
			json_string(render_doc(), "down", rows_get(rows, 0, 0));
		else
			render_text(
				ctx, "%s%s", rows_get(rows, 0, 0) ? rows_get(rows, 0, 0) : "",
				rows_get(rows, 0, 0) && str_ends(rows_get(rows, 0, 0), "\n") ? "" : "\n");
		rows_free(rows);
		return UPG_EXIT_OK;
	}
	rows = conn_query(ctx->conn,
					  "SELECT * FROM @extschema@.upg_status()"
					  " WHERE migration OPERATOR(pg_catalog.=) $1",
					  1, params);
	if (rows == NULL)
		return upg_error.exit_code;
	render_start(ctx);
	if (rows_count(rows) == 0)
	{
		err_set(UPG_EXIT_FAILED, "UPG-0001", "the ledger holds no migration \"%s\"",
				printable(ctx->arena, params[0]));
		err_next("upg status");
	}
	else if (ctx->json)
		render_rows(ctx, rows, "migration", status_columns);
	else
		for (int col = 0; col < rows_columns(rows); col++)
			if (rows_get(rows, 0, col) != NULL)
				render_text(ctx, "%-12s %s\n", rows_name(rows, col),
							rows_get(rows, 0, col));
	rows_free(rows);
	return upg_error.exit_code;
}
