/*-------------------------------------------------------------------------
 *
 * cmd_data.c
 *		upg data: invariants, constraints looked at again, verifications, evidence.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/cmd_data.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <string.h>

#include "exit_codes.h"
#include "log.h"
#include "run.h"

static const UpgColumn check_columns[] = {{"verification", NULL},
										  {"check_no", NULL},
										  {"state", "state"},
										  {"kind", "kind"},
										  {"name", "name"},
										  {"relation", "relation"},
										  {"severity", NULL},
										  {"violations", "violations"},
										  {"coverage", "coverage"},
										  {"message", "message"},
										  {"details", NULL},
										  {"duration", NULL},
										  {NULL, NULL}};
static const UpgColumn recheck_columns[] = {{"state", "state"},
											{"relation", "relation"},
											{"constraint_name", "constraint"},
											{"kind", "kind"},
											{"violations", "violations"},
											{"rows_in_violation", "rows"},
											{"message", NULL},
											{NULL, NULL}};
static const UpgColumn invariant_columns[] = {
	{"name", "name"},   {"kind", "kind"},      {"severity", "severity"},
	{"scope", "scope"}, {"key", NULL},         {"query", "query"},
	{"owner", "owner"}, {"description", NULL}, {"declared_at", NULL},
	{NULL, NULL}};

/* The arguments as a text[] literal; NULL if there are none. */
static const char *
argument_list(const UpgContext *ctx)
{
	return ctx->args.count > 0 ? array_text(ctx->arena, &ctx->args) : NULL;
}

/*
 * end_checks
 *		The exit code that goes with rows of checks, and the error that says why.
 */
static int
end_checks(const UpgRows *rows, const char *what)
{
	int failed = 0;
	int errors = 0;
	int partly = 0;

	for (int i = 0; i < rows_count(rows); i++)
	{
		const char *state = rows_named(rows, i, "state");
		const char *severity = rows_column(rows, "severity") >= 0
								   ? rows_named(rows, i, "severity")
								   : "error";
		const char *coverage =
			rows_column(rows, "coverage") >= 0 ? rows_named(rows, i, "coverage") : "1";

		if (strcmp(state, "failed") == 0 && strcmp(severity, "error") == 0)
			failed++;
		else if (strcmp(state, "error") == 0)
			errors++;
		else if (strcmp(state, "skipped") == 0 ||
				 (coverage != NULL && strcmp(coverage, "1") != 0))
			partly++;
	}
	if (partly > 0)
		log_warning("%d of %d checks were left out or read a part only", partly,
					rows_count(rows));
	if (failed == 0 && errors == 0)
		return UPG_EXIT_OK;
	err_set(UPG_EXIT_VERIFICATION, "UPG-2060",
			"%s: %d of %d checks failed, %d could not "
			"be made",
			what, failed, rows_count(rows), errors);
	err_fix("\"upg data report\" shows all checks of the latest verification with the "
			"rows in violation.");
	return upg_error.exit_code;
}

/* upg data verify */
int
cmd_data_verify(UpgContext *ctx)
{
	const char *params[4];
	UpgRows *rows;
	int64_t budget;
	int code;

	if (!config_number(ctx, OPT_BUDGET, true, -1, &budget) || !ctx_connect(ctx, true))
		return upg_error.exit_code;
	params[0] = argument_list(ctx);
	params[1] = opt_get(ctx, OPT_BASELINE);
	params[2] =
		budget >= 0 ? arena_printf(ctx->arena, "%" PRId64 " milliseconds", budget) : NULL;
	params[3] = opt_on(ctx, OPT_DRY_RUN) ? "true" : "false";
	rows = conn_query(
		ctx->conn,
		"SELECT * FROM @extschema@.upg_verify(CASE WHEN $1::pg_catalog.text[] IS NULL"
		" THEN 'all' ELSE 'touched' END,"
		" ($1::pg_catalog.text[])::pg_catalog.regclass[],"
		" baseline => $2::pg_catalog.int8, budget => $3::pg_catalog.interval,"
		" dry_run => $4::pg_catalog.bool) ORDER BY check_no",
		4, params);
	if (rows == NULL)
		return upg_error.exit_code;
	render_found(ctx, rows, "checks", check_columns, "there is nothing to verify");
	code =
		opt_on(ctx, OPT_DRY_RUN) ? UPG_EXIT_OK : end_checks(rows, "verification failed");
	if (!ctx->json && code == UPG_EXIT_OK && rows_count(rows) > 0 &&
		rows_named(rows, 0, "verification") != NULL)
		render_text(ctx, "verification %s\n", rows_named(rows, 0, "verification"));
	rows_free(rows);
	return code;
}

/* upg data recheck */
int
cmd_data_recheck(UpgContext *ctx)
{
	const char *params[2];
	UpgRows *rows;
	int code;

	params[0] = argument_list(ctx);
	params[1] = opt_count(ctx, OPT_LIMIT, "20", INT32_MAX);
	if (params[1] == NULL || !ctx_connect(ctx, true))
		return upg_error.exit_code;
	rows =
		conn_query(ctx->conn,
				   "SELECT * FROM @extschema@.upg_constraints_recheck("
				   "($1::pg_catalog.text[])::pg_catalog.regclass[], $2::pg_catalog.int4)"
				   " ORDER BY state = 'passed', relation, kind, constraint_name",
				   2, params);
	if (rows == NULL)
		return upg_error.exit_code;
	render_found(ctx, rows, "constraints", recheck_columns, "there are no constraints");
	code = end_checks(rows, "rows are against their constraints");
	rows_free(rows);
	return code;
}

/* upg data damage */
int
cmd_data_damage(UpgContext *ctx)
{
	static const UpgColumn columns[] = {
		{"relation", "relation"}, {"place", "place"},     {"key", "key"},
		{"sqlstate", "sqlstate"}, {"message", "message"}, {NULL, NULL}};
	const char *params[2] = {ctx_arg(ctx, 0),
							 opt_get(ctx, OPT_MODE) ? opt_get(ctx, OPT_MODE) : "strict"};
	UpgRows *rows;
	int64_t damaged;

	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	rows = conn_query(
		ctx->conn,
		"SELECT r.checksum, r.damaged, r.damage, d.relation, CASE WHEN d.ctid IS NULL"
		" THEN pg_catalog.concat('block ', d.block) ELSE pg_catalog.concat('row ', "
		"d.ctid)"
		" END AS place, d.key, d.sqlstate, d.message"
		" FROM @extschema@.upg_table_checksum_readable($1::pg_catalog.regclass,"
		" mode => $2) r LEFT JOIN LATERAL pg_catalog.jsonb_to_recordset(r.damage) AS d("
		"relation pg_catalog.text, block pg_catalog.text, ctid pg_catalog.text,"
		" key pg_catalog.text, sqlstate pg_catalog.text, message pg_catalog.text) ON "
		"true",
		2, params);
	if (rows == NULL)
		return upg_error.exit_code;
	damaged = rows_int(rows, 0, "damaged");
	render_start(ctx);
	if (ctx->json)
	{
		json_string(render_doc(), "table", params[0]);
		json_string(render_doc(), "checksum", rows_named(rows, 0, "checksum"));
		json_int(render_doc(), "damaged", damaged);
		json_raw(render_doc(), "damage", rows_named(rows, 0, "damage"));
	}
	else if (damaged > 0)
		render_rows(ctx, rows, "damage", columns);
	render_text(ctx, "checksum of %s: %s\n", damaged > 0 ? "the rest" : "all rows",
				rows_named(rows, 0, "checksum"));
	if (damaged > 0)
	{
		err_set(UPG_EXIT_VERIFICATION, "UPG-2062",
				"%" PRId64 " place%s of table \"%s\" cannot be read", damaged,
				damaged == 1 ? "" : "s", printable(ctx->arena, params[0]));
		if (damaged > rows_count(rows))
			err_why("The first %d are listed.", rows_count(rows));
		err_fix("Take these rows from a backup or a standby before the damage spreads.");
	}
	rows_free(rows);
	return upg_error.exit_code;
}

/* upg data report */
int
cmd_data_report(UpgContext *ctx)
{
	const char *params[2];
	const char *text;
	UpgRows *rows;

	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	params[0] = ctx_arg(ctx, 0);
	params[1] = ctx->json ? "json" : opt_get(ctx, OPT_AS) ? opt_get(ctx, OPT_AS) : "text";
	rows = conn_query(
		ctx->conn, "SELECT @extschema@.upg_verification_report($1::pg_catalog.int8, $2)",
		2, params);
	if (rows == NULL)
		return upg_error.exit_code;
	text = rows_get(rows, 0, 0);
	if (ctx->json)
	{
		render_start(ctx);
		json_raw(render_doc(), "report", text);
	}
	else
	{
		render_raw(text, strlen(text));
		if (text[0] != '\0' && text[strlen(text) - 1] != '\n')
			render_raw("\n", 1);
	}
	rows_free(rows);
	return UPG_EXIT_OK;
}

/* upg data invariants */
int
cmd_data_invariants(UpgContext *ctx)
{
	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	return ctx_list(ctx,
					"SELECT name, kind, severity, scope, key, query, owner, description,"
					" declared_at FROM upg.invariants ORDER BY name COLLATE \"C\"",
					0, NULL, "invariants", invariant_columns, "no invariant is declared");
}

/* upg data declare */
int
cmd_data_declare(UpgContext *ctx)
{
	const char *params[11];
	const char *kind = opt_get(ctx, OPT_KIND);

	if (kind == NULL)
		kind = opt_get(ctx, OPT_QUERY) != NULL ? "true" : "row_count";
	if (!ctx_connect(ctx, true))
		return upg_error.exit_code;
	params[0] = ctx_arg(ctx, 0);
	params[1] = kind;
	params[2] = opt_get(ctx, OPT_QUERY);
	params[3] = opt_get(ctx, OPT_TABLE);
	params[4] = opt_array(ctx, OPT_COLUMNS);
	params[5] = opt_get(ctx, OPT_REFS);
	params[6] = opt_array(ctx, OPT_REF_COLUMNS);
	params[7] = opt_array(ctx, OPT_KEY);
	params[8] = opt_array(ctx, OPT_SCOPE);
	params[9] = opt_get(ctx, OPT_SEVERITY) ? opt_get(ctx, OPT_SEVERITY) : "error";
	params[10] = opt_get(ctx, OPT_NOTE);
	if (!conn_run(ctx->conn,
				  "SELECT @extschema@.upg_invariant_declare($1, $2, $3,"
				  " $4::pg_catalog.regclass, $5::pg_catalog.text[],"
				  " $6::pg_catalog.regclass, $7::pg_catalog.text[],"
				  " $8::pg_catalog.text[], $9::pg_catalog.text[], $10, $11)",
				  11, params))
		return upg_error.exit_code;
	render_start(ctx);
	if (ctx->json)
		json_string(render_doc(), "declared", params[0]);
	else
		render_text(ctx, "declared  %s\n", params[0]);
	return UPG_EXIT_OK;
}

/* upg data drop */
int
cmd_data_drop(UpgContext *ctx)
{
	const char *params[1] = {ctx_arg(ctx, 0)};

	if (!ctx_connect(ctx, true) ||
		!conn_run(ctx->conn, "SELECT @extschema@.upg_invariant_drop($1)", 1, params))
		return upg_error.exit_code;
	render_start(ctx);
	if (ctx->json)
		json_string(render_doc(), "dropped", params[0]);
	else
		render_text(ctx, "dropped   %s\n", params[0]);
	return UPG_EXIT_OK;
}
