/*-------------------------------------------------------------------------
 *
 * run.c
 *		Going up and down: runs over a directory or over the ledger.
 * 
 *  The state of a run is in the ledger alone; it says there what it plans before it
 *  begins, and how it ended.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/run.c
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

/*
 * start_upgrade
 *		Tell the ledger what is planned; its number, or 0 with the error set.
 */
static int64_t
start_upgrade(UpgContext *ctx, const char *direction, const UpgList *plan)
{
	UpgBuf names;
	UpgBuf client;
	UpgJson json;
	const char *params[4];
	UpgRows *rows;
	char *said = NULL;
	int wait = 20;
	int64_t id = 0;

	buf_init(&names);
	array_literal(&names, plan);
	buf_init(&client);
	json_start(&json, &client);
	json_object(&json, NULL);
	json_string(&json, "program", "upg");
	json_string(&json, "version", UPG_VERSION);
	json_int(&json, "pid", getpid());
	if (ctx->source != NULL)
	{
		json_string(&json, "directory", ctx->source->dir);
		json_string(&json, "layout", ctx->source->layout);
	}
	json_object_end(&json);
	params[0] = direction;
	params[1] = names.data;
	params[2] = opt_get(ctx, OPT_TO);
	params[3] = client.data;
	conn_show_notices(ctx->conn, true);
	for (;;)
	{
		rows = conn_query(
			ctx->conn,
			"SELECT @extschema@.upg_upgrade_start($1, $2::pg_catalog.text[], $3,"
			" $4::pg_catalog.jsonb) AS upgrade",
			4, params);
		if (rows != NULL || strcmp(upg_error.code, "UPG-0004") != 0 ||
			!run_wait_for_other(ctx, &said, &wait))
			break;
	}
	conn_show_notices(ctx->conn, false);
	if (rows != NULL)
		id = rows_int(rows, 0, "upgrade");
	rows_free(rows);
	free(said);
	buf_free(&names);
	buf_free(&client);
	return id;
}

/*
 * finish_upgrade
 *		Tell the ledger how the run ended.  Keeps the current error.
 */
static void
finish_upgrade(UpgContext *ctx, int64_t upgrade, const char *state, const char *version)
{
	char id[32];
	const char *params[4];
	UpgError saved;
	bool shield;

	if (upgrade == 0 || conn_lost(ctx->conn))
		return;
	saved = err_take();
	shield = conn_shield(ctx->conn, true);
	snprintf(id, sizeof(id), "%" PRId64, upgrade);
	params[0] = id;
	params[1] = state;
	params[2] = saved.what;
	params[3] = version;
	if (!conn_run(
			ctx->conn,
			"SELECT @extschema@.upg_upgrade_finish($1::pg_catalog.int8, $2, $3, $4)", 4,
			params))
	{
		if (saved.exit_code == 0)
			saved = err_take();
		else
			log_warning("could not close the run in the ledger: %s", upg_error.what);
	}
	err_put(saved);
	conn_shield(ctx->conn, shield);
}

/*
 * end_state
 *		How a run that failed is called in the ledger.
 */
static const char *
end_state(void)
{
	if (upg_error.exit_code == 0)
		return "completed";
	if (upg_error.exit_code == UPG_EXIT_SIGINT ||
		upg_error.exit_code == UPG_EXIT_SIGTERM ||
		upg_error.exit_code == UPG_EXIT_DEADLINE)
		return "cancelled";
	return "failed";
}

/*
 * take_back
 *		--on-fail=rollback: take this run's migrations back, latest first.
 *
 * Keeps the error of the failure and sets the exit code: 3 all taken back, 4 not.
 */
static void
take_back(UpgContext *ctx, const UpgList *applied)
{
	UpgError saved = err_take();
	UpgList plan = {NULL, 0, 0};
	int64_t upgrade;
	int done = 0;

	for (int i = applied->count - 1; i >= 0; i--)
		list_add(&plan, applied->items[i]);
	upgrade = start_upgrade(ctx, "down", &plan);
	for (; upgrade > 0 && done < plan.count; done++)
	{
		UpgOutcome outcome;
		bool ok;

		memset(&outcome, 0, sizeof(outcome));
		ok = run_rollback_one(ctx, plan.items[done], upgrade, &outcome);
		if (ok)
			render_outcome(ctx, &outcome);
		list_free(&outcome.warnings);
		if (!ok)
			break;
	}
	finish_upgrade(ctx, upgrade, end_state(), NULL);
	if (done == plan.count && upg_error.exit_code == 0)
		saved.exit_code = UPG_EXIT_ROLLED_BACK;
	else
	{
		saved.exit_code = UPG_EXIT_INCOMPLETE;
		log_warning("could not take everything back: %s",
					upg_error.what ? upg_error.what : "");
		if (upg_error.fix != NULL)
			log_hint("%s", upg_error.fix);
	}
	err_put(saved);
	list_free(&plan);
}

/*
 * run_passes
 *		Does a failure with this SQLSTATE pass without a change of the script: locks,
 *		time limits, resources?
 */
bool
run_passes(const char *sqlstate)
{
	static const char *const states[] = {"UP004", "UP010", "UP015", "25P03", "25P04",
										 "40001", "40P01", "55P03", "57014", NULL};

	for (int i = 0; states[i] != NULL; i++)
		if (strcmp(states[i], sqlstate) == 0)
			return true;
	return str_starts(sqlstate, "53");
}

/*
 * next_after_failure
 *		What to do after a failure, in words: mend the script, or only try again.
 */
static void
next_after_failure(UpgContext *ctx, const UpgTodo *todo)
{
	const char *on_fail = opt_get(ctx, OPT_ON_FAIL);
	bool stays = !opt_on(ctx, OPT_SINGLE_TRANSACTION) &&
				 (on_fail == NULL || strcmp(on_fail, "rollback") != 0);
	const char *on = stays ? "; it goes on there" : "";

	if (strcmp(upg_error.code, "UPG-2037") == 0)
		err_next("mend %s or its verify script, then run \"upg up %s\" again%s",
				 todo->entry->up.path, ctx->source->dir, on);
	else if (run_passes(upg_error.sqlstate))
		err_next("run \"upg up %s\" again when the cause has passed%s", ctx->source->dir,
				 on);
	else
		err_next("mend %s, then run \"upg up %s\" again%s", todo->entry->up.path,
				 ctx->source->dir, on);
	if (stays && upg_error.exit_code == UPG_EXIT_INCOMPLETE)
		err_next("or take back what is there of it: upg down %s",
				 printable(ctx->arena, todo->name));
}

/*
 * explain_stop
 *		Complete the error of a run that stopped: what is there, what to do.
 */
static void
explain_stop(UpgContext *ctx, const char *name, const UpgTodo *todo, int applied)
{
	if (upg_error.exit_code != UPG_EXIT_CONFLICT && !str_starts(upg_error.code, "UPG-20"))
	{
		UpgBuf text;

		buf_init(&text);
		buf_printf(&text, "migration \"%s\" failed: %s", printable(ctx->arena, name),
				   upg_error.what);
		free(upg_error.what);
		upg_error.what = text.data;
	}
	if (ctx->single == 0)
		log_info("%d applied, stopped at \"%s\"", applied, printable(ctx->arena, name));
	if (upg_error.exit_code == UPG_EXIT_FAILED ||
		upg_error.exit_code == UPG_EXIT_INCOMPLETE)
	{
		next_after_failure(ctx, todo);
		err_next("upg explain %s", printable(ctx->arena, name));
	}
	else if (upg_error.exit_code == UPG_EXIT_DEADLINE && upg_error.sqlstate[0] != '\0')
		err_next("upg explain %s", printable(ctx->arena, name));
}

/*
 * apply_all
 *		Apply the pending migrations up to "last"; number of those applied.
 *
 * "applied" gets their names, and that of one that stopped half-way.
 */
static int
apply_all(UpgContext *ctx, UpgCompare *compare, int last, int64_t upgrade,
		  UpgList *applied)
{
	int count = 0;
	int total = 0;
	int64_t started = now_ms();
	const char *after = NULL;
	bool versioned = false;

	for (int i = 0; i <= last; i++)
		total += compare->todo[i].action == UPG_ACT_APPLY;
	for (int i = 0; i <= last; i++)
	{
		UpgTodo *todo = &compare->todo[i];
		UpgOutcome outcome;

		if (todo->action == UPG_ACT_APPLY)
		{
			bool ok;

			if (!run_between(ctx, todo->entry, &versioned))
				return count;

			memset(&outcome, 0, sizeof(outcome));
			run_show_progress(todo->name, count, total, started);
			ok = run_apply_one(ctx, todo->entry, todo->name, after, upgrade, &outcome);
			if (ok)
			{
				run_show_outcome(ctx, &outcome);
				if (strcmp(outcome.state, "applied") == 0)
				{
					list_add(applied, todo->name);
					count++;
				}
				count += strcmp(outcome.state, "adopted") == 0;
			}
			list_free(&outcome.warnings);
			if (!ok)
			{
				/* its steps that are done are to go with the others */
				if (upg_error.exit_code == UPG_EXIT_INCOMPLETE)
					list_add(applied, todo->name);
				explain_stop(ctx, todo->name, todo, count);
				return count;
			}
			if (strcmp(outcome.state, "queued") == 0)
			{
				run_handed_over(todo->name, false);
				return count;
			}
		}
		after = todo->name;
	}
	return count;
}

/*
 * run_up
 *		Bring the database to what the directory says.
 */
int
run_up(UpgContext *ctx)
{
	UpgCompare compare;
	UpgList plan = {NULL, 0, 0};
	UpgList applied = {NULL, 0, 0};
	int last = -1;
	int64_t upgrade = 0;
	const char *version = opt_get(ctx, OPT_RELEASE);
	const char *on_fail = opt_get(ctx, OPT_ON_FAIL);
	bool ok = run_compare(ctx, &compare, opt_get(ctx, OPT_TO) == NULL, NULL);
	bool dry_run = opt_on(ctx, OPT_DRY_RUN);
	int count = 0;

	if (ok && !compare.up_to_date)
		ok = run_check_changes(ctx, &compare) && run_select(ctx, &compare, &last) &&
			 run_preflight(ctx, &compare, last);
	render_start(ctx);
	if (ctx->json)
	{
		json_string(render_doc(), "database", conn_database(ctx->conn));
		json_string(render_doc(), "directory", ctx->source->dir);
		json_string(render_doc(), "layout", ctx->source->layout);
		json_bool(render_doc(), "dry_run", dry_run);
		json_array(render_doc(), "migrations");
	}
	for (int i = 0; ok && i <= last; i++)
		if (compare.todo[i].action == UPG_ACT_APPLY)
			list_add(&plan, compare.todo[i].name);
	if (ok && dry_run)
		for (int i = 0; i < plan.count; i++)
		{
			UpgOutcome outcome = {plan.items[i], "planned", NULL, 0, 0, 0,
								  {NULL, 0, 0},  NULL};

			render_outcome(ctx, &outcome);
		}
	else if (ok && (plan.count > 0 || version != NULL))
	{
		upgrade = run_callbacks(ctx, "beforeMigrate", false)
					  ? start_upgrade(ctx, "up", &plan)
					  : 0;
		if (upgrade > 0)
		{
			if (run_single_begin(ctx))
				count = apply_all(ctx, &compare, last, upgrade, &applied);
			if (!run_single_end(ctx))
			{
				list_free(&applied);
				count = 0;
			}
			run_show_held(ctx, count > 0);
			finish_upgrade(ctx, upgrade, end_state(),
						   upg_error.exit_code == 0 ? version : NULL);
			if (upg_error.exit_code != 0 && upg_interrupted == 0 &&
				!conn_lost(ctx->conn) && upg_error.exit_code != UPG_EXIT_WAITING &&
				!opt_on(ctx, OPT_SINGLE_TRANSACTION) && on_fail != NULL &&
				strcmp(on_fail, "rollback") == 0)
				take_back(ctx, &applied);
		}
		run_end_callbacks(ctx, count);
	}
	else if (ok && !dry_run && run_callbacks(ctx, "beforeMigrate", false))
		run_end_callbacks(ctx, 0);
	if (ctx->json)
	{
		json_array_end(render_doc());
		if (upgrade > 0)
			json_int(render_doc(), "upgrade", upgrade);
		json_int(render_doc(), "applied", count);
		json_int(render_doc(), "pending", plan.count - (dry_run ? 0 : count));
	}
	else if (ok && plan.count == 0)
		render_text(ctx, "nothing to do: %" PRId64 " applied\n", compare.applied);
	else if (ok && upg_error.exit_code == 0 && !dry_run && upg_verbosity >= 0)
		render_text(ctx, "%d applied%s%s\n", count, version ? ", version " : "",
					version ? version : "");
	list_free(&plan);
	list_free(&applied);
	run_compare_free(&compare);
	return upg_error.exit_code;
}

/*
 * choose_down
 *		The migrations to take back, latest first; false with the error set.
 *
 * Those that --cascade finds are rehearsed on the way; "rehearsed" says for how many
 * milliseconds, or is -1.
 */
static bool
choose_down(UpgContext *ctx, UpgList *plan, int64_t *rehearsed)
{
	const char *to = opt_get(ctx, OPT_TO);
	const char *name = ctx_arg(ctx, 0);
	bool all = opt_on(ctx, OPT_ALL);
	UpgRows *rows;

	if ((name != NULL) + (to != NULL) + all > 1)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "NAME, --to and --all exclude each other");
		err_next("Try \"upg down --help\" for more information.");
		return false;
	}
	if (name != NULL)
	{
		const char *params[2] = {name, NULL};
		int64_t start = now_ms();
		UpgBuf text;
		UpgJson json;
		bool ok;

		if (!opt_on(ctx, OPT_CASCADE))
		{
			list_add(plan, name);
			return true;
		}
		buf_init(&text);
		json_start(&json, &text);
		json_object(&json, NULL);
		json_bool(&json, "dry_run", true);
		json_bool(&json, "cascade", true);
		ok = rollback_policy(ctx, &json);
		json_object_end(&json);
		params[1] = text.data;
		rows = !ok ? NULL
				   : conn_query(ctx->conn,
								"SELECT migration FROM @extschema@.upg_rollback($1, NULL,"
								" $2::pg_catalog.jsonb)",
								2, params);
		buf_free(&text);
		if (rows == NULL)
			return false;
		for (int i = 0; i < rows_count(rows); i++)
			list_add(plan, arena_strdup(ctx->arena, rows_get(rows, i, 0)));
		if (rows_count(rows) > 1)
			*rehearsed = now_ms() - start;
		rows_free(rows);
		return true;
	}
	rows = conn_query(
		ctx->conn, "SELECT migration FROM @extschema@.upg_rollback_order($1) migration",
		1, &to);
	for (int i = 0; rows != NULL && i < rows_count(rows); i++)
	{
		list_add(plan, arena_strdup(ctx->arena, rows_get(rows, i, 0)));
		if (to == NULL && !all)
			break;
	}
	rows_free(rows);
	if (to != NULL && (strcmp(upg_error.sqlstate, "UP001") == 0 ||
					   strcmp(upg_error.sqlstate, "UP009") == 0))
	{
		err_set(UPG_EXIT_USAGE, "UPG-2016", "migration \"%s\" is not applied",
				printable(ctx->arena, to));
		err_fix("--to names the migration that stays; \"upg status\" lists them.");
	}
	return upg_error.exit_code == 0;
}

/*
 * name_failure
 *		Say which of several migrations could not be taken back.
 */
static void
name_failure(UpgContext *ctx, const char *name)
{
	UpgBuf text;

	if (upg_error.what == NULL || strstr(upg_error.what, name) != NULL ||
		upg_error.exit_code == UPG_EXIT_CONFLICT || str_starts(upg_error.code, "UPG-20"))
		return;
	buf_init(&text);
	buf_printf(&text, "migration \"%s\" is not taken back: %s",
			   printable(ctx->arena, name), upg_error.what);
	free(upg_error.what);
	upg_error.what = text.data;
}

/* By what a migration is taken back, for people. */
static void
note_method(UpgOutcome *outcome)
{
	if (outcome->undo != NULL && outcome->note == NULL)
		outcome->note =
			strcmp(outcome->undo, "given") == 0 ? "by its down script" : "by its undo";
}

/*
 * run_down
 *		Take migrations back, latest first, each in a transaction of its own.
 */
int
run_down(UpgContext *ctx)
{
	UpgList plan = {NULL, 0, 0};
	int64_t rehearsed = -1;
	bool ok = choose_down(ctx, &plan, &rehearsed);
	bool dry_run = opt_on(ctx, OPT_DRY_RUN);
	const char *previewed = NULL; /* options of what was tried */
	int64_t upgrade = 0;
	int count = 0;

	if (ok && !dry_run && plan.count > 1)
		ok = ctx_confirm(
			ctx, arena_printf(ctx->arena, "Take back %d migrations?", plan.count));
	render_start(ctx);
	if (ctx->json)
	{
		json_string(render_doc(), "database", conn_database(ctx->conn));
		json_bool(render_doc(), "dry_run", dry_run);
		json_array(render_doc(), "migrations");
	}
	if (ok && !dry_run && plan.count > 0)
		upgrade = start_upgrade(ctx, "down", &plan);
	for (int i = 0; ok && i < plan.count && (dry_run || upgrade > 0); i++)
	{
		UpgOutcome outcome = {plan.items[i], "planned", NULL, 0, 0, 0,
							  {NULL, 0, 0},  NULL};

		if (dry_run)
		{
			const char *params[2] = {plan.items[i], NULL};
			UpgRows *row = NULL;
			UpgBuf text;
			UpgJson json;

			buf_init(&text);
			json_start(&json, &text);
			json_object(&json, NULL);
			json_bool(&json, "dry_run", true);
			ok = rollback_policy(ctx, &json);
			json_object_end(&json);
			params[1] = text.data;
			/* only the first can be tried: the others depend on it being gone */
			if (i == 0 && ok)
				row = conn_query(
					ctx->conn,
					"SELECT " ROW_COLUMNS
					" FROM @extschema@.upg_rollback($1, NULL, $2::pg_catalog.jsonb)",
					2, params);
			if (i == 0 && row == NULL)
			{
				name_failure(ctx, plan.items[i]);
				buf_free(&text);
				break;
			}
			if (row != NULL && rows_count(row) > 0)
			{
				run_outcome(ctx, row, 0, &outcome);
				note_method(&outcome);
			}
			if (row != NULL)
				rows_free(row);
			render_outcome(ctx, &outcome);
			list_free(&outcome.warnings);
			if (i == 0 && outcome.undo != NULL &&
				(strcmp(outcome.undo, "exact") == 0 ||
				 strcmp(outcome.undo, "inexact") == 0))
				previewed = arena_strdup(ctx->arena, text.data);
			buf_free(&text);
			continue;
		}
		ok = run_rollback_one(ctx, plan.items[i], upgrade, &outcome);
		if (!ok)
			name_failure(ctx, plan.items[i]);
		if (ok)
		{
			note_method(&outcome);
			render_outcome(ctx, &outcome);
			count++;
		}
		list_free(&outcome.warnings);
		if (ok && strcmp(outcome.state, "queued") == 0)
		{
			run_handed_over(plan.items[i], true);
			ok = false;
		}
		else if (!ok && count > 0)
		{
			log_info("%d taken back, stopped at \"%s\"", count, plan.items[i]);
			if (upg_error.exit_code == UPG_EXIT_FAILED)
				upg_error.exit_code = UPG_EXIT_INCOMPLETE;
		}
	}
	finish_upgrade(ctx, upgrade, end_state(), NULL);
	if (ctx->json)
		json_array_end(render_doc());
	if (previewed != NULL)
		(void) rollback_preview(ctx, plan.items[0], previewed);
	if (ok && dry_run && plan.count > 1)
		rollback_locks(ctx, &plan);
	if (ctx->json)
	{
		if (rehearsed >= 0)
			json_int(render_doc(), "rehearsal_ms", rehearsed);
		if (upgrade > 0)
			json_int(render_doc(), "upgrade", upgrade);
		json_int(render_doc(), "rolled_back", count);
	}
	else if (ok && plan.count == 0)
		render_text(ctx, "nothing to take back\n");
	else if (dry_run && rehearsed >= 0)
		render_text(ctx, "all of it was locked for %lld ms, to try it\n",
					(long long) rehearsed);
	list_free(&plan);
	return upg_error.exit_code;
}
