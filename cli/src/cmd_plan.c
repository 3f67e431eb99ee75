/*-------------------------------------------------------------------------
 *
 * cmd_plan.c
 *		Commands that judge a directory before anything runs: plan, check.
 * 
 *  Both go on after a fault: whoever mends files wants to see all of them.  A script
 *  that cannot be read is shown with its place; the exit code tells of it at the end.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/cmd_plan.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "interrupt.h"
#include "log.h"
#include "run_internal.h"

/* The faults found so far; the first is the error that the command ends with. */
typedef struct Faults
{
	int count;
	UpgError first;
} Faults;

/*
 * keep_fault
 *		Count the current error and put it aside.
 */
static void
keep_fault(Faults *faults)
{
	if (faults->count++ == 0)
		faults->first = err_take();
	err_clear();
}

/*
 * end_faults
 *		Make the first fault the error again; exit code 2, whatever its own.
 */
static int
end_faults(Faults *faults, int nothing)
{
	if (faults->count == 0)
		return nothing;
	err_put(faults->first);
	if (faults->count > 1)
		log_info("%d faults; the first:", faults->count);
	upg_error.exit_code = UPG_EXIT_USAGE;
	return UPG_EXIT_USAGE;
}

/*
 * is_fatal
 *		Is the current error one after which it makes no sense to go on?
 */
static bool
is_fatal(const UpgContext *ctx)
{
	return conn_lost(ctx->conn) || upg_interrupted != 0 ||
		   upg_error.exit_code == UPG_EXIT_DEADLINE ||
		   upg_error.exit_code == UPG_EXIT_DENIED;
}

/*
 * json_fault
 *		The current error as members of the object that is open.
 */
static void
json_fault(void)
{
	json_string(render_doc(), "code", upg_error.code);
	json_string(render_doc(), "what", upg_error.what);
	json_string(render_doc(), "where", upg_error.where);
	json_string(render_doc(), "why", upg_error.why);
	json_string(render_doc(), "fix", upg_error.fix);
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
					  "SELECT statements, steps, transactional, notes, irreversible,"
					  " pg_catalog.current_setting('upg.undo') AS undo"
					  " FROM @extschema@.upg_script_info($1)",
					  1, params);
	if (rows == NULL && upg_error.line > 0)
		run_locate_error(ctx, entry->name, script);
	if (rows == NULL && upg_error.where == NULL)
		err_where("%s", script->path ? script->path : entry->name);
	return rows;
}

/*
 * check_script
 *		One direction of one entry; false with the error set.
 */
static bool
check_script(UpgContext *ctx, UpgEntry *entry, bool down)
{
	UpgScript script;
	bool ok;

	if (!down && source_problem(entry))
		return false;
	if (!script_load(ctx->source, entry, down, &script))
		return false;
	ok = run_check_driven(ctx, entry, down, &script);
	if (ok && !script.client_driven)
	{
		UpgRows *rows = script_facts(ctx, entry, &script);

		ok = rows != NULL;
		rows_free(rows);
	}
	if (ok && !down && script.statements == 0 && !script.streamed)
		log_info("\"%s\" holds no statement", entry->up.path);
	script_free(&script);
	return ok;
}

/*
 * plan_verification
 *		What would be verified before and after a script; false with the error set.
 */
static bool
plan_verification(UpgContext *ctx, const char *script)
{
	static const UpgColumn columns[] = {
		{"kind", "kind"},         {"name", "name"},       {"relation", "relation"},
		{"coverage", "coverage"}, {"message", "message"}, {NULL, NULL}};
	const char *level = opt_get(ctx, OPT_VERIFY);
	const char *params[3] = {level, NULL, NULL};
	int64_t budget;
	UpgRows *rows;

	if (level == NULL || strcmp(level, "none") == 0)
		return true;
	if (!config_number(ctx, OPT_BUDGET, true, -1, &budget))
		return false;
	if (strcmp(level, "touched") == 0)
		params[1] = script;
	if (budget >= 0)
		params[2] = arena_printf(ctx->arena, "%" PRId64 " milliseconds", budget);
	rows = conn_query(ctx->conn,
					  "SELECT kind, name, relation, coverage, message"
					  " FROM @extschema@.upg_verify($1, script => $2,"
					  " budget => $3::pg_catalog.interval, dry_run => true)"
					  " ORDER BY check_no",
					  3, params);
	if (rows == NULL)
		return false;
	if (ctx->json)
		render_rows(ctx, rows, "verify", columns);
	else
		for (int i = 0; i < rows_count(rows); i++)
		{
			const char *coverage = rows_named(rows, i, "coverage");

			render_text(ctx, "     verify %s %s%s%s: %s%s%s\n",
						rows_named(rows, i, "kind"), rows_named(rows, i, "name"),
						rows_named(rows, i, "relation") ? " of " : "",
						rows_named(rows, i, "relation") ? rows_named(rows, i, "relation")
														: "",
						rows_named(rows, i, "message"),
						strcmp(coverage, "1") == 0 ? "" : ", a part of ",
						strcmp(coverage, "1") == 0 ? "" : coverage);
		}
	rows_free(rows);
	return true;
}

/*
 * way_back
 *		In words, by what a migration will be taken back.
 */
static const char *
way_back(bool down, const char *undo)
{
	if (undo != NULL && strcmp(undo, "none") != 0)
		return down ? ", undo and a down script" : ", undo";
	return down ? ", down script" : ", no way back";
}

/*
 * goes_without_down
 *		Would "up" apply the migration although its down script cannot be run?  Says so
 *		with a warning; false with the error kept where that script has to be tried, or
 *		cannot even be read and is the only way back.
 */
static bool
goes_without_down(UpgContext *ctx, const UpgEntry *entry, const char *undo)
{
	const char *check = opt_get(ctx, OPT_DOWN_CHECK);

	if ((check != NULL && strcmp(check, "require") == 0) ||
		(upg_error.sqlstate[0] == '\0' && undo != NULL && strcmp(undo, "none") == 0))
		return false;
	log_warning("the down script of migration \"%s\" cannot be run: %s: %s", entry->name,
				upg_error.where ? upg_error.where : entry->down.path, upg_error.what);
	err_clear();
	return true;
}

/*
 * plan_irreversible
 *		Name the statements that no undo takes back, and what comes of them.
 */
static void
plan_irreversible(UpgContext *ctx, const UpgRows *rows, const char *undo)
{
	UpgList found = {NULL, 0, 0};

	if (strcmp(undo, "none") == 0)
		return;
	run_array_items(ctx, rows_named(rows, 0, "irreversible"), &found);
	for (int i = 0; i < found.count; i++)
		render_text(ctx, "     %s\n", found.items[i]);
	if (found.count > 0 && strcmp(undo, "required") == 0)
		render_text(ctx, "     it will be refused, unless it is run with "
						 "--undo=best_effort or --undo=none\n");
	list_free(&found);
}

/*
 * plan_cost
 *		What keeping the values of dropped columns would read; false with the error
 *		set.
 */
static bool
plan_cost(UpgContext *ctx, const char *script, const char *undo)
{
	static const UpgColumn columns[] = {{"line", "line"},     {"table", "table"},
										{"bytes", "bytes"},   {"rows", "rows"},
										{"copied", "copied"}, {NULL, NULL}};
	UpgRows *rows;

	if (undo == NULL || strcmp(undo, "none") == 0)
		return true;
	rows = conn_query(ctx->conn,
					  "SELECT line, \"table\", bytes, rows, copied,"
					  " pg_catalog.pg_size_pretty(bytes) AS size,"
					  " pg_catalog.current_setting('upg.undo_copy_limit') AS most"
					  " FROM @extschema@.upg_undo_cost($1)",
					  1, &script);
	if (rows == NULL)
		return false;
	if (ctx->json)
		render_rows(ctx, rows, "undo_cost", columns);
	else
		for (int i = 0; i < rows_count(rows); i++)
		{
			const char *table = rows_named(rows, i, "table");
			const char *line = rows_named(rows, i, "line");
			const char *size = rows_named(rows, i, "size");
			const char *count = rows_named(rows, i, "rows");

			if (rows_bool(rows, i, "copied"))
				render_text(ctx,
							"     line %s: dropped values of %s are copied: %s to read, "
							"%s%s rows to keep\n",
							line, table, size, count ? "about " : "",
							count ? count : "unknown");
			else
				render_text(
					ctx,
					"     line %s: dropped values of %s stay in place only: %s is "
					"above upg.undo_copy_limit (%s)\n",
					line, table, size, rows_named(rows, i, "most"));
		}
	rows_free(rows);
	return true;
}

/*
 * undo_setting
 *		The setting upg.undo of this session; NULL with the error set.
 */
static const char *
undo_setting(UpgContext *ctx)
{
	UpgRows *rows =
		conn_query(ctx->conn, "SELECT pg_catalog.current_setting('upg.undo')", 0, NULL);
	const char *undo = NULL;

	if (rows != NULL)
		undo = arena_strdup(ctx->arena, rows_get(rows, 0, 0));
	rows_free(rows);
	return undo;
}

/*
 * plan_one
 *		Show one migration of the plan; false with the error set, after showing it.
 */
static bool
plan_one(UpgContext *ctx, const UpgTodo *todo, int no)
{
	UpgEntry *entry = todo->entry;
	UpgScript script;
	UpgRows *rows = NULL;
	bool loaded =
		!source_problem(entry) && script_load(ctx->source, entry, false, &script);
	bool ok = loaded;
	const char *notes = NULL;
	const char *undo = opt_get(ctx, OPT_UNDO) ? opt_get(ctx, OPT_UNDO) : entry->undo;
	bool transactional = !entry->no_transaction;
	bool down = entry_has_down(entry);
	int64_t statements = 0;
	int64_t steps = 1;

	if (ok)
	{
		statements = script.statements;
		ok = run_check_driven(ctx, entry, false, &script);
	}
	if (ok && script.client_driven)
	{
		notes = "{driven by the client}";
		if (undo == NULL)
			undo = undo_setting(ctx);
		ok = undo != NULL;
	}
	else if (ok && (rows = script_facts(ctx, entry, &script)) == NULL)
		ok = false;
	if (rows != NULL)
	{
		statements = rows_int(rows, 0, "statements");
		steps = rows_int(rows, 0, "steps");
		transactional = transactional && rows_bool(rows, 0, "transactional");
		notes = rows_named(rows, 0, "notes");
		if (undo == NULL)
			undo = rows_named(rows, 0, "undo");
	}
	if (notes != NULL && strcmp(notes, "{}") == 0)
		notes = NULL;
	if (ok && down)
	{
		down = check_script(ctx, entry, true);
		ok = down || goes_without_down(ctx, entry, undo);
	}
	if (ctx->json)
	{
		json_object(render_doc(), NULL);
		json_int(render_doc(), "ord", no);
		json_string(render_doc(), "name", todo->name);
		json_string(render_doc(), "file", entry->up.path);
		json_int(render_doc(), "statements", statements);
		json_int(render_doc(), "steps", steps);
		json_bool(render_doc(), "transactional", transactional);
		json_bool(render_doc(), "down", down);
		json_string(render_doc(), "undo", undo);
		render_json_array("irreversible",
						  rows ? rows_named(rows, 0, "irreversible") : NULL);
		json_string(render_doc(), "state", todo->known ? todo->known->state : NULL);
		render_json_array("notes", notes);
		if (ok && rows != NULL)
			ok = plan_cost(ctx, script.text.data, undo) &&
				 plan_verification(ctx, script.text.data);
		if (ok)
			json_null(render_doc(), "fault");
		else
		{
			json_object(render_doc(), "fault");
			json_fault();
			json_object_end(render_doc());
		}
		json_object_end(render_doc());
	}
	else if (!ok)
		render_text(ctx, "%3d  %s  cannot run: %s: %s\n", no, todo->name,
					upg_error.where ? upg_error.where : entry->up.path, upg_error.what);
	else
		render_text(ctx, "%3d  %s  %" PRId64 " statement%s, %s%s%s%s%s\n", no, todo->name,
					statements, statements == 1 ? "" : "s",
					transactional ? "one transaction" : "steps that commit one by one",
					way_back(down, undo), notes ? "  " : "", notes ? notes : "",
					todo->out_of_order ? "  (out of order)" : "");
	if (ok && !ctx->json && rows != NULL)
		plan_irreversible(ctx, rows, undo);
	if (ok && !ctx->json && rows != NULL &&
		!(plan_cost(ctx, script.text.data, undo) &&
		  plan_verification(ctx, script.text.data)))
	{
		render_text(ctx, "     cannot plan its undo and verification: %s\n",
					upg_error.what);
		ok = false;
	}
	rows_free(rows);
	if (loaded)
		script_free(&script);
	return ok;
}

/* upg plan */
int
cmd_plan(UpgContext *ctx)
{
	UpgCompare compare;
	Faults faults;
	int last = -1;
	int count = 0;
	bool ok;

	memset(&faults, 0, sizeof(faults));
	if (!ctx_open_source(ctx, 0) || !ctx_connect(ctx, true))
		return upg_error.exit_code;
	ok = run_compare(ctx, &compare, opt_get(ctx, OPT_TO) == NULL, NULL);
	if (ok && !compare.up_to_date)
	{
		if (!run_check_changes(ctx, &compare))
		{
			ok = !is_fatal(ctx);
			if (ok)
				keep_fault(&faults);
		}
		ok = ok && run_select(ctx, &compare, &last);
	}
	render_start(ctx);
	if (ctx->json)
	{
		json_string(render_doc(), "directory", ctx->source->dir);
		json_string(render_doc(), "layout", ctx->source->layout);
		json_array(render_doc(), "plan");
	}
	for (int i = 0; ok && i <= last; i++)
	{
		if (compare.todo[i].action != UPG_ACT_APPLY ||
			plan_one(ctx, &compare.todo[i], ++count))
			continue;
		if (is_fatal(ctx))
			ok = false;
		else
			keep_fault(&faults);
	}
	if (ctx->json)
		json_array_end(render_doc());
	else if (ok && count == 0 && faults.count == 0)
		render_text(ctx, "nothing to do: %" PRId64 " applied\n", compare.applied);
	run_compare_free(&compare);
	if (!ok)
		return upg_error.exit_code;
	return end_faults(&faults, count > 0 && opt_on(ctx, OPT_DETAILED_EXITCODE)
								   ? UPG_EXIT_CHANGES
								   : UPG_EXIT_OK);
}

/*
 * check_requires
 *		Does each dependency come before the entry?  False with the error set.
 */
static bool
check_requires(const UpgSource *source, int i)
{
	const UpgEntry *entry = &source->entries[i];

	for (int k = 0; k < entry->requires.count; k++)
	{
		const char *wanted = entry->requires.items[k];
		bool found = false;

		for (int n = 0; n < i && !found; n++)
			found = strcmp(source->entries[n].ledger, wanted) == 0 ||
					strcmp(source->entries[n].name, wanted) == 0;
		if (!found)
		{
			err_set(UPG_EXIT_USAGE, "UPG-0003",
					"migration \"%s\" requires \"%s\", which does not come before it",
					entry->name, wanted);
			err_where("%s", entry->up.path);
			return false;
		}
	}
	return true;
}

/* upg check */
int
cmd_check(UpgContext *ctx)
{
	Faults faults;
	bool ok = true;

	memset(&faults, 0, sizeof(faults));
	if (!ctx_open_source(ctx, 0) || !ctx_connect(ctx, true))
		return upg_error.exit_code;
	render_start(ctx);
	if (ctx->json)
	{
		json_string(render_doc(), "directory", ctx->source->dir);
		json_string(render_doc(), "layout", ctx->source->layout);
		json_array(render_doc(), "faults");
	}
	for (int i = 0; ok && i < ctx->source->count; i++)
	{
		UpgEntry *entry = &ctx->source->entries[i];

		for (int down = 0; ok && down <= (entry_has_down(entry) ? 1 : 0); down++)
		{
			if (check_script(ctx, entry, down) &&
				(down || check_requires(ctx->source, i)))
				continue;
			ok = !is_fatal(ctx);
			if (!ok)
				break;
			if (ctx->json)
			{
				json_object(render_doc(), NULL);
				json_string(render_doc(), "name", entry->name);
				json_fault();
				json_object_end(render_doc());
			}
			else
				render_text(ctx, "%s: %s\n",
							upg_error.where ? upg_error.where : entry->up.path,
							upg_error.what);
			keep_fault(&faults);
		}
	}
	if (ctx->json)
	{
		json_array_end(render_doc());
		json_int(render_doc(), "migrations", ctx->source->count);
	}
	if (!ok)
		return upg_error.exit_code;
	if (faults.count == 0)
		render_text(ctx, "%d migrations, layout %s: no fault found\n", ctx->source->count,
					ctx->source->layout_text);
	return end_faults(&faults, UPG_EXIT_OK);
}
