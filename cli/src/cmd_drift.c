/*-------------------------------------------------------------------------
 *
 * cmd_drift.c
 *		What others changed in the schema: "upg drift", "upg adopt-drift".
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/cmd_drift.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "conn.h"
#include "exit_codes.h"
#include "log.h"
#include "render.h"
#include "run.h"

static const UpgColumn drift_columns[] = {
	{"object", "object"},     {"change", "change"}, {"attribute", "attribute"},
	{"recorded", "recorded"}, {"live", "live"},     {NULL, NULL}};

/* The statements of a direction as a script, in memory of the command. */
static const char *
drift_script(UpgContext *ctx, const char *direction)
{
	const char *params[1] = {direction};
	UpgRows *rows =
		conn_query(ctx->conn, "SELECT @extschema@.upg_drift_script($1)", 1, params);
	const char *script;

	if (rows == NULL)
		return NULL;
	script = arena_strdup(ctx->arena, rows_get(rows, 0, 0));
	rows_free(rows);
	return script;
}

/* upg drift --record */
static int
record(UpgContext *ctx)
{
	UpgRows *rows =
		conn_query(ctx->conn, "SELECT @extschema@.upg_drift_record()", 0, NULL);

	if (rows == NULL)
		return upg_error.exit_code;
	render_start(ctx);
	if (ctx->json)
		json_int(render_doc(), "recorded", strtoll(rows_get(rows, 0, 0), NULL, 10));
	else
		render_text(ctx, "%s objects recorded\n", rows_get(rows, 0, 0));
	rows_free(rows);
	return upg_error.exit_code;
}

/* upg drift */
int
cmd_drift(UpgContext *ctx)
{
	const char *direction = opt_get(ctx, OPT_SCRIPT);
	UpgRows *rows;

	if (direction != NULL && opt_on(ctx, OPT_RECORD))
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "--record and --script exclude each other");
		err_next("Try \"upg drift --help\" for more information.");
		return upg_error.exit_code;
	}
	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	if (opt_on(ctx, OPT_RECORD))
		return record(ctx);
	rows = conn_query(ctx->conn, "SELECT * FROM @extschema@.upg_drift()", 0, NULL);
	if (rows == NULL)
		return upg_error.exit_code;
	if (direction != NULL)
	{
		const char *script = drift_script(ctx, direction);

		if (script != NULL)
		{
			render_start(ctx);
			if (ctx->json)
				json_string(render_doc(), "script", script);
			else
				render_raw(script, strlen(script));
		}
	}
	else
		render_found(ctx, rows, "drift", drift_columns,
					 "the schema is as the last migration left it");
	if (rows_count(rows) > 0 && upg_error.exit_code == UPG_EXIT_OK)
		upg_error.exit_code = UPG_EXIT_VERIFICATION;
	rows_free(rows);
	return upg_error.exit_code;
}

/* The entry of the directory that was not there before. */
static UpgEntry *
new_entry(const UpgSource *before, UpgSource *now)
{
	for (int i = 0; i < now->count; i++)
	{
		bool known = false;

		for (int j = 0; j < before->count && !known; j++)
			known = strcmp(before->entries[j].name, now->entries[i].name) == 0;
		if (!known)
			return &now->entries[i];
	}
	return NULL;
}

/* Book the migration that was written, and accept the schema, in one transaction. */
static bool
book(UpgContext *ctx)
{
	UpgSource *before = ctx->source;
	UpgEntry *entry;
	UpgScript up;
	UpgScript down;
	const char *params[4] = {NULL, NULL, NULL, NULL};
	char *options;
	bool ok;

	if (!ctx_open_source(ctx, 1))
		return false;
	entry = new_entry(before, ctx->source);
	source_close(before);
	if (entry == NULL)
		return err_set(UPG_EXIT_FAILED, "UPG-2006",
					   "the new migration is not found in its directory");
	/* as "upg up" will read them */
	if (!script_load(ctx->source, entry, false, &up))
		return false;
	params[0] =
		arena_strdup(ctx->arena, entry->ledger != NULL ? entry->ledger : entry->name);
	params[1] = arena_strdup(ctx->arena, up.text.data);
	script_free(&up);
	if (entry_has_down(entry))
	{
		if (!script_load(ctx->source, entry, true, &down))
			return false;
		params[2] = arena_strdup(ctx->arena, down.text.data);
		script_free(&down);
	}
	options = run_options(ctx, entry, NULL, 0, NULL);
	params[3] = options;
	ok = conn_run(ctx->conn, "BEGIN", 0, NULL) &&
		 conn_run(ctx->conn,
				  "SELECT FROM @extschema@.upg_adopt($1, $2, $3, options =>"
				  " $4::pg_catalog.jsonb)",
				  4, params) &&
		 conn_run(ctx->conn, "SELECT @extschema@.upg_drift_record()", 0, NULL) &&
		 conn_run(ctx->conn, "COMMIT", 0, NULL);
	free(options);
	if (!ok)
		return false;
	if (ctx->json)
		json_string(render_doc(), "booked", params[0]);
	render_text(ctx, "%s is in the books as applied\n", printable(ctx->arena, params[0]));
	return true;
}

/* upg adopt-drift */
int
cmd_adopt_drift(UpgContext *ctx)
{
	const char *up;
	const char *down;

	if (!ctx_connect(ctx, true) || !ctx_open_source(ctx, 1))
		return upg_error.exit_code;
	up = drift_script(ctx, "adopt");
	down = up != NULL ? drift_script(ctx, "restore") : NULL;
	if (down == NULL)
		return upg_error.exit_code;
	render_start(ctx);
	if (*up == '\0' && *down == '\0')
	{
		if (ctx->json)
		{
			json_array(render_doc(), "files");
			json_array_end(render_doc());
		}
		else
			render_text(ctx, "the schema is as the last migration left it\n");
		return upg_error.exit_code;
	}
	if (new_migration(ctx, ctx_arg(ctx, 0), up, down) && opt_on(ctx, OPT_BOOK) &&
		!opt_on(ctx, OPT_DRY_RUN))
		(void) book(ctx);
	return upg_error.exit_code;
}
