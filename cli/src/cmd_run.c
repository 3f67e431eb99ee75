/*-------------------------------------------------------------------------
 *
 * cmd_run.c
 *		Commands that run migrations: up, down, apply.
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
		run_handed_over(entry->name, false);
	list_free(&outcome.warnings);
	return upg_error.exit_code;
}
