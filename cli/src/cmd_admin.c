/*-------------------------------------------------------------------------
 *
 * cmd_admin.c
 *		Commands around the ledger: init, repair, audit, version.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/cmd_admin.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "fsutil.h"
#include "log.h"
#include "run.h"

/* upg init */
int
cmd_init(UpgContext *ctx)
{
	const char *version;
	const char *schema = opt_get(ctx, OPT_SCHEMA);
	const char *state;
	bool dry_run = opt_on(ctx, OPT_DRY_RUN);

	if (!ctx_connect(ctx, false) || !conn_find_extension(ctx->conn, &version))
		return upg_error.exit_code;
	if (version == NULL)
	{
		state = dry_run ? "would be installed" : "installed";
		if (!dry_run && schema != NULL &&
			!conn_run(ctx->conn,
					  arena_printf(ctx->arena, "CREATE SCHEMA IF NOT EXISTS %s",
								   quote_identifier(ctx->arena, schema)),
					  0, NULL))
			return upg_error.exit_code;
		if (!dry_run &&
			!conn_run(ctx->conn,
					  arena_printf(ctx->arena, "CREATE EXTENSION upg VERSION '%s'%s%s",
								   UPG_VERSION, schema ? " SCHEMA " : "",
								   schema ? quote_identifier(ctx->arena, schema) : ""),
					  0, NULL))
		{
			/* somebody else was faster: that is what was wanted */
			if (strcmp(upg_error.sqlstate, "42710") != 0 &&
				strcmp(upg_error.sqlstate, "23505") != 0)
			{
				if (strcmp(upg_error.sqlstate, "58P01") == 0 ||
					strcmp(upg_error.sqlstate, "0A000") == 0 ||
					strcmp(upg_error.sqlstate, "22023") == 0)
					err_fix("Install upg %s on the server first: \"make install\", or "
							"its package.",
							UPG_VERSION);
				return upg_error.exit_code;
			}
			err_clear();
			state = "already there";
		}
	}
	else if (strcmp(version, UPG_VERSION) != 0 && opt_on(ctx, OPT_UPDATE))
	{
		state = dry_run ? "would be updated" : "updated";
		if (!dry_run &&
			!conn_run(ctx->conn,
					  arena_printf(ctx->arena, "ALTER EXTENSION upg UPDATE TO '%s'",
								   UPG_VERSION),
					  0, NULL))
			return upg_error.exit_code;
	}
	else
		state = "already there";
	if (!dry_run && !conn_handshake(ctx->conn, NULL))
		return upg_error.exit_code;
	render_start(ctx);
	if (ctx->json)
	{
		json_string(render_doc(), "database", conn_database(ctx->conn));
		json_string(render_doc(), "state", state);
		json_string(render_doc(), "version", UPG_VERSION);
	}
	render_text(ctx, "extension upg %s in %s: %s\n", UPG_VERSION,
				conn_describe(ctx->conn), state);
	return UPG_EXIT_OK;
}

/* upg repair */
int
cmd_repair(UpgContext *ctx)
{
	const char *params[3];
	UpgRows *rows;
	UpgOutcome outcome;

	memset(&outcome, 0, sizeof(outcome));
	params[0] = ctx_arg(ctx, 0);
	params[1] = opt_get(ctx, OPT_MARK);
	params[2] = opt_get(ctx, OPT_REASON);
	if (params[1] == NULL || params[2] == NULL)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "\"upg repair\" needs --mark and --reason");
		err_why("A person decides what became of the statement, and says how it was "
				"found out.");
		err_next("Try \"upg repair --help\" for more information.");
		return upg_error.exit_code;
	}
	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	if (opt_on(ctx, OPT_DRY_RUN))
	{
		render_start(ctx);
		render_text(ctx, "would mark \"%s\" as %s\n", params[0], params[1]);
		return UPG_EXIT_OK;
	}
	if (!ctx_confirm(
			ctx, arena_printf(ctx->arena, "Mark \"%s\" as %s?", params[0], params[1])))
		return upg_error.exit_code;
	rows = conn_query(ctx->conn,
					  "SELECT " ROW_COLUMNS " FROM @extschema@.upg_repair($1, $2, $3)", 3,
					  params);
	if (rows == NULL)
		return upg_error.exit_code;
	run_outcome(ctx, rows, 0, &outcome);
	rows_free(rows);
	render_start(ctx);
	if (ctx->json)
		json_array(render_doc(), "migrations");
	render_outcome(ctx, &outcome);
	if (ctx->json)
		json_array_end(render_doc());
	list_free(&outcome.warnings);
	return UPG_EXIT_OK;
}

/* upg finalize */
int
cmd_finalize(UpgContext *ctx)
{
	const char *params[1];
	UpgRows *rows;

	params[0] = ctx_arg(ctx, 0);
	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	if (!opt_on(ctx, OPT_DRY_RUN))
	{
		if (!ctx_confirm(ctx, arena_printf(ctx->arena,
										   "Give up the recorded way back of \"%s\"?",
										   params[0])))
			return upg_error.exit_code;
		rows = conn_query(ctx->conn, "SELECT @extschema@.upg_finalize($1)", 1, params);
		if (rows == NULL)
			return upg_error.exit_code;
		rows_free(rows);
	}
	render_start(ctx);
	if (ctx->json)
	{
		json_string(render_doc(), "migration", params[0]);
		json_string(render_doc(), "state",
					opt_on(ctx, OPT_DRY_RUN) ? "planned" : "finalized");
	}
	render_text(ctx, "%s \"%s\"\n",
				opt_on(ctx, OPT_DRY_RUN) ? "would finalize" : "finalized", params[0]);
	return UPG_EXIT_OK;
}

/* upg audit log */
int
cmd_audit_log(UpgContext *ctx)
{
	static const UpgColumn columns[] = {
		{"seq", "seq"},       {"at", "at"},         {"actor", "actor"}, {"role", "role"},
		{"action", "action"}, {"object", "object"}, {NULL, NULL}};
	const char *params[2];

	params[0] = ctx_arg(ctx, 0);
	params[1] = opt_count(ctx, OPT_LIMIT, "100", INT32_MAX);
	if (params[1] == NULL || !ctx_connect(ctx, true))
		return upg_error.exit_code;
	return ctx_list(ctx,
					"SELECT seq, at, actor, role, action, object, before, after,"
					" application_name, client_addr, pid FROM upg.audit_log"
					" WHERE $1::pg_catalog.text IS NULL"
					" OR object OPERATOR(pg_catalog.=) $1::pg_catalog.text"
					" ORDER BY seq DESC LIMIT $2::pg_catalog.int8",
					2, params, "log", columns, "no entries");
}

/* upg audit verify */
int
cmd_audit_verify(UpgContext *ctx)
{
	const char *path = opt_get(ctx, OPT_CHECKPOINT);
	const char *params[1] = {NULL};
	UpgBuf text;
	UpgRows *rows;

	buf_init(&text);
	if (path != NULL)
	{
		if (!fs_read(path, &text, 1024 * 1024))
		{
			buf_free(&text);
			return upg_error.exit_code;
		}
		params[0] = text.data;
	}
	rows = ctx_connect(ctx, true)
			   ? conn_query(ctx->conn,
							"SELECT ok, entries, first_bad, reason"
							" FROM @extschema@.upg_audit_verify($1::pg_catalog.jsonb)",
							1, params)
			   : NULL;
	buf_free(&text);
	if (rows == NULL)
		return upg_error.exit_code;
	render_start(ctx);
	if (ctx->json)
		render_json_rows(rows, "result");
	if (rows_bool(rows, 0, "ok"))
		render_text(ctx, "the audit trail is intact: %s entries%s\n",
					rows_named(rows, 0, "entries"),
					path ? ", in agreement with the checkpoint" : "");
	else
	{
		const char *bad = rows_named(rows, 0, "first_bad");
		const char *reason = rows_named(rows, 0, "reason");

		err_set(UPG_EXIT_VERIFICATION, "UPG-2024", "the audit trail does not verify");
		err_why("%s%s%s", bad ? "First bad entry: " : "", bad ? bad : "",
				reason ? arena_printf(ctx->arena, "%s%s", bad ? "; " : "", reason) : "");
		err_fix("Keep the database as it is and compare with an export made earlier.");
	}
	rows_free(rows);
	return upg_error.exit_code;
}

/* upg audit export */
int
cmd_audit_export(UpgContext *ctx)
{
	const char *params[2];
	UpgRows *rows;

	params[0] = opt_get(ctx, OPT_FORMAT) ? opt_get(ctx, OPT_FORMAT) : "jsonl";
	params[1] = opt_count(ctx, OPT_FROM, "1", INT64_MAX);
	if (params[1] == NULL || !ctx_connect(ctx, true))
		return upg_error.exit_code;
	rows = conn_query(
		ctx->conn, "SELECT * FROM @extschema@.upg_audit_export($1, $2::pg_catalog.int8)",
		2, params);
	if (rows == NULL)
		return upg_error.exit_code;

	/* the export is machine-readable by itself; --json changes nothing about it */
	ctx->json = false;
	for (int i = 0; i < rows_count(rows); i++)
	{
		const char *line = rows_get(rows, i, 0);

		if (line != NULL)
			render_raw(line, strlen(line));
		render_raw("\n", 1);
	}
	rows_free(rows);
	return UPG_EXIT_OK;
}

/* upg audit checkpoint */
int
cmd_audit_checkpoint(UpgContext *ctx)
{
	const char *params[1];
	UpgRows *rows;

	params[0] = opt_get(ctx, OPT_NOTE);
	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	rows =
		conn_query(ctx->conn, "SELECT @extschema@.upg_audit_checkpoint($1)", 1, params);
	if (rows == NULL)
		return upg_error.exit_code;
	ctx->json = false; /* what is printed is the document to keep */
	if (rows_get(rows, 0, 0) != NULL)
		render_raw(rows_get(rows, 0, 0), strlen(rows_get(rows, 0, 0)));
	render_raw("\n", 1);
	rows_free(rows);
	return UPG_EXIT_OK;
}

/* upg version */
int
cmd_version(UpgContext *ctx)
{
	bool asked = ctx->json || ctx->values[OPT_DBNAME] != NULL ||
				 ctx->values[OPT_HOST] != NULL || upg_verbosity > 0;
	bool reached = false;
	const char *script = NULL;

	render_start(ctx);
	render_text(ctx, "upg %s\n", UPG_VERSION);
	if (asked)
	{
		reached = ctx_connect(ctx, false) && conn_find_extension(ctx->conn, &script);
		/* the connection forgets it when it asks again */
		script = script ? arena_strdup(ctx->arena, script) : NULL;
		if (reached && script != NULL && !conn_handshake(ctx->conn, NULL))
			log_warning("%s", upg_error.what);
		if (!reached)
			log_verbose("%s: %s", upg_error.what, upg_error.why ? upg_error.why : "");
		err_clear();
	}
	if (ctx->json)
	{
		json_string(render_doc(), "program", UPG_VERSION);
		json_string(render_doc(), "library",
					reached ? conn_library_version(ctx->conn) : NULL);
		json_string(render_doc(), "script", script);
		json_int(render_doc(), "server_version_num",
				 reached ? conn_server_version(ctx->conn) : 0);
	}
	if (reached)
		render_text(ctx, "library %s, install script %s, PostgreSQL %d\n",
					conn_library_version(ctx->conn) ? conn_library_version(ctx->conn)
													: "none",
					script ? script : "none", conn_server_version(ctx->conn) / 10000);
	return UPG_EXIT_OK;
}
