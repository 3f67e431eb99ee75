/*-------------------------------------------------------------------------
 *
 * cmd_run.c
 *		Commands that change the database through migrations: up, down, apply, register,
 *		adopt.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/cmd_run.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "log.h"
#include "run.h"

/* upg up */
int
cmd_up(UpgContext *ctx)
{
	bool whole = opt_get(ctx, OPT_TO) == NULL;

	if (!(whole ? ctx_connect_asking(ctx, run_digest_query) : ctx_connect(ctx, true)) ||
		!ctx_open_source(ctx, 0))
		return upg_error.exit_code;
	return run_up(ctx);
}

/* upg down */
int
cmd_down(UpgContext *ctx)
{
	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	return run_down(ctx);
}

/* upg apply */
int
cmd_apply(UpgContext *ctx)
{
	UpgEntry *entry;
	UpgOutcome outcome;
	int64_t above;
	const char *requires = opt_get(ctx, OPT_REQUIRES);
	bool ok;
	UpgCompare one;
	UpgTodo todo;

	if (!config_number(ctx, OPT_STREAM_ABOVE, false, SOURCE_STREAM_ABOVE, &above))
		return upg_error.exit_code;
	ctx->source =
		source_single(ctx_arg(ctx, 0), opt_get(ctx, OPT_NAME), &ctx->vars, above);
	if (ctx->source == NULL)
		return upg_error.exit_code;
	entry = &ctx->source->entries[0];
	while (requires != NULL)
	{
		size_t n = strcspn(requires, "\n");

		list_add(&entry->requires, arena_strndup(ctx->arena, requires, n));
		requires = requires[n] ? requires + n + 1 : NULL;
	}
	memset(&one, 0, sizeof(one));
	memset(&todo, 0, sizeof(todo));
	memset(&outcome, 0, sizeof(outcome));
	todo.entry = entry;
	todo.name = entry->name;
	todo.action = UPG_ACT_APPLY;
	one.todo = &todo;
	one.todo_count = 1;
	if (!run_preflight(ctx, &one, 0) || !ctx_connect(ctx, true))
		return upg_error.exit_code;
	render_start(ctx);
	if (ctx->json)
		json_array(render_doc(), "migrations");
	if (opt_on(ctx, OPT_DRY_RUN))
	{
		outcome.name = entry->name;
		outcome.state = "planned";
		ok = true;
	}
	else
		ok = run_apply_one(ctx, entry, entry->name, NULL, 0, &outcome);
	if (ok)
		render_outcome(ctx, &outcome);
	if (ctx->json)
		json_array_end(render_doc());
	if (ok && strcmp(outcome.state, "queued") == 0)
	{
		err_set(UPG_EXIT_WAITING, "UPG-2022", "migration \"%s\" runs in the background",
				entry->name);
		err_next("upg wait %s", entry->name);
	}
	list_free(&outcome.warnings);
	return upg_error.exit_code;
}

/*
 * record_all
 *		Call a recording function for each entry up to --to.
 */
static int
record_all(UpgContext *ctx, const char *function, const char *only_state)
{
	UpgCompare compare;
	int last = -1;
	int count = 0;
	bool dry_run = opt_on(ctx, OPT_DRY_RUN);
	bool ok;

	if (!ctx_open_source(ctx, 0) || !ctx_connect(ctx, true))
		return upg_error.exit_code;
	ok = run_compare(ctx, &compare, false, NULL) && run_check_changes(ctx, &compare) &&
		 run_select(ctx, &compare, &last);
	for (int i = 0; ok && i <= last; i++)
		if (compare.todo[i].action == UPG_ACT_APPLY &&
			source_problem(compare.todo[i].entry))
			ok = false;
	if (ok && only_state != NULL && !dry_run)
		ok = ctx_confirm(ctx, "Record these migrations as applied without running them?");
	render_start(ctx);
	if (ctx->json)
		json_array(render_doc(), "migrations");
	for (int i = 0; ok && i <= last; i++)
	{
		UpgTodo *todo = &compare.todo[i];
		UpgOutcome outcome;
		UpgScript up;
		UpgScript down;
		UpgBuf requires;
		char *options;
		const char *params[5];
		UpgRows *rows;
		bool has_down = entry_has_down(todo->entry);

		if (todo->action != UPG_ACT_APPLY)
			continue;
		memset(&outcome, 0, sizeof(outcome));
		if (dry_run)
		{
			outcome.name = todo->name;
			outcome.state = "planned";
			render_outcome(ctx, &outcome);
			continue;
		}
		memset(&down, 0, sizeof(down));
		ok = script_load(ctx->source, todo->entry, false, &up);
		if (ok && has_down && !script_load(ctx->source, todo->entry, true, &down))
		{
			script_free(&up);
			ok = false;
		}
		if (!ok)
			break;
		buf_init(&requires);
		array_literal(&requires, &todo->entry->requires);
		options = run_options(ctx, todo->entry, NULL, 0, todo->entry->up.path);
		params[0] = todo->name;
		params[1] = up.text.data;
		params[2] = has_down ? down.text.data : NULL;
		params[3] = requires.data;
		params[4] = options;
		rows = conn_query(
			ctx->conn,
			arena_printf(ctx->arena,
						 "SELECT migration, state, statements, steps, undo, warnings,"
						 " pg_catalog.date_part('epoch', duration) AS seconds"
						 " FROM @extschema@.%s($1, $2, $3, $4::pg_catalog.text[],"
						 " $5::pg_catalog.jsonb)",
						 function),
			5, params);
		ok = rows != NULL;
		if (ok)
		{
			run_outcome(ctx, rows, 0, &outcome);
			outcome.ms = 0;
			render_outcome(ctx, &outcome);
			count++;
		}
		rows_free(rows);
		list_free(&outcome.warnings);
		free(options);
		buf_free(&requires);
		script_free(&up);
		if (has_down)
			script_free(&down);
	}
	if (ctx->json)
	{
		json_array_end(render_doc());
		json_int(render_doc(), "recorded", count);
	}
	else if (ok && count == 0 && !dry_run)
		render_text(ctx, "nothing to record\n");
	run_compare_free(&compare);
	return upg_error.exit_code;
}

/* upg register */
int
cmd_register(UpgContext *ctx)
{
	return record_all(ctx, "upg_register", NULL);
}

/* upg adopt */
int
cmd_adopt(UpgContext *ctx)
{
	return record_all(ctx, "upg_adopt", "applied");
}
