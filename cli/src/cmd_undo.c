/*-------------------------------------------------------------------------
 *
 * cmd_undo.c
 *		What a rollback would do, what it set aside, what its possibility costs:
 *		"upg down --dry-run", "upg retention", "upg put-back", "upg expire".
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/cmd_undo.c
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
#include "run_internal.h"

static const UpgColumn preview_columns[] = {{"table", "table"},
											{"kind", "file"},
											{"restored", "restored"},
											{"removed", "removed"},
											{"merged", "merged"},
											{"kept", "kept"},
											{"set_aside", "set aside"},
											{"stay_deleted", "stay deleted"},
											{"discarded", "lost"},
											{"conflicts", "conflicts"},
											{NULL, NULL}};
static const UpgColumn conflict_columns[] = {{"table", "conflict in"},
											 {"key", "key"},
											 {"column", "column"},
											 {"before", "before"},
											 {"application", "now"},
											 {"what", "what"},
											 {NULL, NULL}};
static const UpgColumn lock_columns[] = {{"migration", "rollback of"},
										 {"relation", "locks"},
										 {"against", "against"},
										 {NULL, NULL}};
static const UpgColumn retention_columns[] = {
	{"migration", "migration"}, {"state", "state"},     {"size", "size"}, {"age", "age"},
	{"xid_age", "xid age"},     {"kept_by", "kept by"}, {NULL, NULL}};

/*
 * fill_option
 *		Write the values of --fill=TABLE.COLUMN=VALUE into options; false with the
 *		error set.
 */
static bool
fill_option(UpgContext *ctx, UpgJson *json)
{
	const char *given = opt_get(ctx, OPT_FILL);
	char *next;

	if (given == NULL)
		return true;
	json_object(json, "fill");
	for (char *one = arena_strdup(ctx->arena, given); one != NULL; one = next)
	{
		char *value = one;
		bool quoted = false;

		next = strchr(one, FILL_SEPARATOR);
		if (next != NULL)
			*next++ = '\0';
		for (; *value != '\0' && (quoted || *value != '='); value++)
			if (*value == '"')
				quoted = !quoted;
		if (*value == '\0' || value == one)
		{
			err_set(UPG_EXIT_USAGE, "UPG-2000", "invalid value of --fill: \"%s\"",
					printable(ctx->arena, one));
			err_fix("Give TABLE.COLUMN=VALUE, such as --fill public.orders.state=new.");
			return false;
		}
		*value++ = '\0';
		json_string(json, one, value);
	}
	json_object_end(json);
	return true;
}

/*
 * rollback_policy
 *		Write --method, --fill and the policies of --on-conflict=POLICY or
 *		POLICY:TABLE, separated by commas, into the options of a rollback; false
 *		with the error set.
 */
bool
rollback_policy(UpgContext *ctx, UpgJson *json)
{
	const char *given = opt_get(ctx, OPT_ON_CONFLICT);
	char *text;
	char *next;

	if (opt_get(ctx, OPT_METHOD) != NULL)
		json_string(json, "method", opt_get(ctx, OPT_METHOD));
	if (!fill_option(ctx, json))
		return false;
	if (given == NULL)
		return true;
	json_object(json, "on_conflict");
	text = arena_strdup(ctx->arena, given);
	for (char *one = text; one != NULL; one = next)
	{
		char *table = strchr(one, ':');

		next = strchr(one, ',');
		if (next != NULL)
			*next++ = '\0';
		if (table != NULL && next != NULL && table > next)
			table = NULL;
		if (table != NULL)
			*table++ = '\0';
		if (strcmp(one, "keep") != 0 && strcmp(one, "strict") != 0 &&
			strcmp(one, "discard") != 0)
		{
			err_set(UPG_EXIT_USAGE, "UPG-2000", "invalid value of --on-conflict: \"%s\"",
					printable(ctx->arena, given));
			err_fix("Give keep, strict or discard, for one table as keep:TABLE, several "
					"separated by commas.");
			return false;
		}
		json_string(json, table != NULL ? table : "", one);
	}
	json_object_end(json);
	return true;
}

/*
 * rollback_preview
 *		Show, table by table, what taking a migration back would do.
 */
bool
rollback_preview(UpgContext *ctx, const char *name, const char *options)
{
	const char *params[2] = {name, options};
	UpgRows *rows =
		conn_query(ctx->conn,
				   "SELECT p::pg_catalog.text AS preview,"
				   " p OPERATOR(pg_catalog.->>) 'readers_wait_ms' AS readers_ms,"
				   " (SELECT pg_catalog.string_agg(l, ', ') FROM "
				   "pg_catalog.jsonb_array_elements_text("
				   "p OPERATOR(pg_catalog.->) 'exclusive_locks') l WHERE l NOT LIKE "
				   "'pg_toast.%') AS readers,"
				   " p OPERATOR(pg_catalog.->>) 'estimated_ms' AS ms,"
				   " (SELECT pg_catalog.string_agg(l, ', ') FROM "
				   "pg_catalog.jsonb_array_elements_text("
				   "p OPERATOR(pg_catalog.->) 'exclusive_locks' OPERATOR(pg_catalog.||)"
				   " (p OPERATOR(pg_catalog.->) 'write_locks')) l WHERE l NOT LIKE "
				   "'pg_toast.%') AS writers"
				   " FROM @extschema@.upg_rollback_preview($1, $2::pg_catalog.jsonb) p",
				   2, params);
	const char *preview;
	UpgRows *tables;

	if (rows == NULL)
		return false;
	preview = rows_get(rows, 0, 0);
	if (ctx->json)
	{
		json_raw(render_doc(), "preview", preview);
		rows_free(rows);
		return true;
	}
	params[0] = preview;
	tables =
		conn_query(ctx->conn,
				   "SELECT * FROM pg_catalog.jsonb_to_recordset($1::pg_catalog.jsonb"
				   " OPERATOR(pg_catalog.->) 'tables') AS t(\"table\" text, kind text,"
				   " restored int8, removed int8, merged int8, kept int8, set_aside int8,"
				   " stay_deleted int8, discarded int8, conflicts int8)",
				   1, params);
	if (tables != NULL && rows_count(tables) > 0)
		render_rows(ctx, tables, "tables", preview_columns);
	rows_free(tables);
	tables =
		conn_query(ctx->conn,
				   "SELECT * FROM pg_catalog.jsonb_to_recordset($1::pg_catalog.jsonb"
				   " OPERATOR(pg_catalog.->) 'conflicts') AS t(\"table\" text, key text,"
				   " \"column\" text, before text, application text, what text)",
				   1, params);
	if (tables != NULL && rows_count(tables) > 0)
		render_rows(ctx, tables, "conflicts", conflict_columns);
	rows_free(tables);
	if (rows_get(rows, 0, 2) != NULL)
		render_text(ctx, "locked against readers for at most %s ms: %s\n",
					rows_get(rows, 0, 1), rows_get(rows, 0, 2));
	if (rows_get(rows, 0, 4) != NULL)
		render_text(ctx, "locked against writers for at most %s ms: %s\n",
					rows_get(rows, 0, 3), rows_get(rows, 0, 4));
	rows_free(rows);
	return true;
}

/*
 * rollback_locks
 *		Show what each of several rollbacks locks.
 */
void
rollback_locks(UpgContext *ctx, const UpgList *names)
{
	const char *params[1];
	UpgRows *rows;
	UpgBuf text;
	UpgJson json;

	buf_init(&text);
	json_start(&json, &text);
	json_array(&json, NULL);
	for (int i = 0; i < names->count; i++)
		json_string(&json, NULL, names->items[i]);
	json_array_end(&json);
	params[0] = text.data;
	rows = conn_query(
		ctx->conn,
		"SELECT n.migration, l.relation, l.against"
		" FROM pg_catalog.jsonb_array_elements_text($1::pg_catalog.jsonb)"
		" WITH ORDINALITY AS n (migration, ord),"
		" @extschema@.upg_rollback_locks(n.migration) l"
		" WHERE l.relation NOT LIKE 'pg_toast.%' ORDER BY n.ord, l.against, l.relation",
		1, params);
	if (rows != NULL && (ctx->json || rows_count(rows) > 0))
		render_rows(ctx, rows, "locks", lock_columns);
	rows_free(rows);
	buf_free(&text);
}

/* Is all that is kept together more than the limit? */
static void
check_total(UpgContext *ctx, const UpgRows *kept)
{
	const char *params[2] = {opt_get(ctx, OPT_MAX_BYTES), NULL};
	int64_t total = 0;
	UpgRows *rows;
	bool over;

	for (int i = 0; i < rows_count(kept); i++)
		total += strtoll(rows_named(kept, i, "bytes"), NULL, 10);
	params[1] = arena_printf(ctx->arena, "%lld", (long long) total);
	rows = conn_query(
		ctx->conn,
		"SELECT pg_catalog.pg_size_pretty($2::pg_catalog.int8) AS size,"
		" COALESCE($2::pg_catalog.int8 OPERATOR(pg_catalog.>)"
		" pg_catalog.pg_size_bytes(COALESCE($1,"
		" NULLIF(pg_catalog.current_setting('upg.retention_bytes', true), '-1'))), false)"
		" AS over_limit",
		2, params);
	if (rows == NULL)
		return;
	over = strcmp(rows_named(rows, 0, "over_limit"), "t") == 0;
	if (ctx->json)
	{
		json_int(render_doc(), "bytes", total);
		json_bool(render_doc(), "over_limit", over);
	}
	if (over)
	{
		log_warning("all that is kept takes %s, more than the limit allows",
					rows_named(rows, 0, "size"));
		upg_error.exit_code = UPG_EXIT_VERIFICATION;
	}
	rows_free(rows);
}

/* upg retention */
int
cmd_retention(UpgContext *ctx)
{
	const char *limits[2] = {opt_get(ctx, OPT_MAX_AGE), opt_get(ctx, OPT_MAX_XID_AGE)};
	UpgRows *rows;

	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	rows = conn_query(
		ctx->conn,
		"SELECT r.*, pg_catalog.pg_size_pretty(r.bytes) AS size,"
		" COALESCE(r.age OPERATOR(pg_catalog.>) COALESCE($1,"
		" NULLIF(pg_catalog.current_setting('upg.retention_age', true), '-1'))"
		"::pg_catalog.interval, false)"
		" OR COALESCE(r.xid_age OPERATOR(pg_catalog.>) $2::pg_catalog.int4, false) AS "
		"over_limit"
		" FROM @extschema@.upg_retention() r",
		2, limits);
	if (rows == NULL)
		return upg_error.exit_code;
	render_found(ctx, rows, "kept", retention_columns, "nothing is kept");
	for (int i = 0; i < rows_count(rows); i++)
	{
		if (strcmp(rows_named(rows, i, "over_limit"), "t") != 0)
			continue;
		log_warning("migration \"%s\" is kept for longer than the limits allow",
					rows_named(rows, i, "migration"));
		upg_error.exit_code = UPG_EXIT_VERIFICATION;
	}
	check_total(ctx, rows);
	rows_free(rows);
	return upg_error.exit_code;
}

/* upg expire */
int
cmd_expire(UpgContext *ctx)
{
	const char *params[2] = {ctx_arg(ctx, 0),
							 opt_on(ctx, OPT_DRY_RUN) ? "true" : "false"};
	UpgRows *rows;

	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	if (!opt_on(ctx, OPT_DRY_RUN) &&
		!ctx_confirm(ctx, "Give up every way back that is older?"))
		return upg_error.exit_code;
	rows = conn_query(ctx->conn,
					  "SELECT x AS migration FROM @extschema@.upg_expire("
					  "$1::pg_catalog.interval, $2::pg_catalog.bool) x",
					  2, params);
	if (rows == NULL)
		return upg_error.exit_code;
	render_start(ctx);
	if (ctx->json)
	{
		static const UpgColumn columns[] = {{"migration", "migration"}, {NULL, NULL}};

		render_rows(ctx, rows, "finalized", columns);
	}
	else
		for (int i = 0; i < rows_count(rows); i++)
			render_text(ctx, "%s %s\n",
						opt_on(ctx, OPT_DRY_RUN) ? "would finalize" : "finalized",
						rows_get(rows, i, 0));
	rows_free(rows);
	return upg_error.exit_code;
}

/* upg put-back */
int
cmd_put_back(UpgContext *ctx)
{
	const char *params[2] = {ctx_arg(ctx, 0), NULL};
	UpgRows *rows = NULL;
	UpgBuf text;
	UpgJson json;

	buf_init(&text);
	json_start(&json, &text);
	json_object(&json, NULL);
	if (fill_option(ctx, &json) && ctx_connect(ctx, true))
	{
		json_object_end(&json);
		params[1] = text.data;
		rows = conn_query(ctx->conn,
						  "SELECT @extschema@.upg_put_back($1, $2::pg_catalog.jsonb)", 2,
						  params);
	}
	buf_free(&text);
	if (rows == NULL)
		return upg_error.exit_code;
	render_start(ctx);
	if (ctx->json)
	{
		json_string(render_doc(), "migration", params[0]);
		json_int(render_doc(), "rows", strtoll(rows_get(rows, 0, 0), NULL, 10));
	}
	else
		render_text(ctx, "%s rows put back\n", rows_get(rows, 0, 0));
	rows_free(rows);
	return upg_error.exit_code;
}
