/*-------------------------------------------------------------------------
 *
 * squash_scratch.c
 *		Scratch databases: made like the one we are connected to, and empty.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/squash_scratch.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "log.h"
#include "squash.h"

/* The same locale; its name moved between columns of pg_database with time. */
static const char make_query[] =
	"SELECT pg_catalog.format('CREATE DATABASE %I TEMPLATE template0 ENCODING %L"
	" LC_COLLATE %L LC_CTYPE %L%s', $1::pg_catalog.text,"
	" pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,"
	" CASE WHEN j.j OPERATOR(pg_catalog.->>) 'datlocprovider'::pg_catalog.text"
	" OPERATOR(pg_catalog.=) 'i' THEN pg_catalog.format("
	"' LOCALE_PROVIDER icu ICU_LOCALE %L', coalesce("
	"j.j OPERATOR(pg_catalog.->>) 'datlocale'::pg_catalog.text,"
	" j.j OPERATOR(pg_catalog.->>) 'daticulocale'::pg_catalog.text)) ELSE '' END),"
	" pg_catalog.format('DROP DATABASE IF EXISTS %I', $1::pg_catalog.text)"
	" FROM pg_catalog.pg_database d,"
	" LATERAL (SELECT pg_catalog.to_jsonb(d) AS j) j"
	" WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()";

/* What ALTER DATABASE ... SET said; values of lists are written as they are. */
static const char settings_query[] =
	"SELECT pg_catalog.format('ALTER DATABASE %I SET %s TO %s', $1::pg_catalog.text,"
	" s.name, CASE WHEN s.name OPERATOR(pg_catalog.=) ANY ('{search_path,"
	"temp_tablespaces,session_preload_libraries,local_preload_libraries}')"
	" THEN s.value ELSE pg_catalog.quote_literal(s.value) END)"
	" FROM pg_catalog.pg_db_role_setting r JOIN pg_catalog.pg_database d"
	" ON d.oid OPERATOR(pg_catalog.=) r.setdatabase,"
	" LATERAL pg_catalog.unnest(r.setconfig) AS c(c), LATERAL (SELECT"
	" pg_catalog.split_part(c.c, '=', 1), pg_catalog.substr(c.c,"
	" pg_catalog.strpos(c.c, '=') OPERATOR(pg_catalog.+) 1)) AS s(name, value)"
	" WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"
	" AND r.setrole OPERATOR(pg_catalog.=) 0::pg_catalog.oid";

/*
 * install
 *		Connect to the new database and make the extension there, as it is here.
 */
static bool
install(UpgContext *ctx, Scratch *scratch)
{
	UpgContext *inner = &scratch->ctx;
	const char *schema = conn_schema(ctx->conn);

	inner->conn = conn_open_beside(ctx->conn, scratch->name);
	if (inner->conn == NULL)
		return false;
	if (strcmp(schema, "public") != 0 &&
		!conn_run(inner->conn,
				  arena_printf(ctx->arena, "CREATE SCHEMA IF NOT EXISTS %s", schema), 0,
				  NULL))
		return false;
	return conn_run(inner->conn,
					arena_printf(ctx->arena,
								 "CREATE EXTENSION upg VERSION '%s' SCHEMA %s",
								 UPG_VERSION, schema),
					0, NULL) &&
		   conn_handshake(inner->conn, NULL);
}

/*
 * squash_scratch
 *		Make a scratch database; one that a killed run left is dropped first.
 */
bool
squash_scratch(UpgContext *ctx, Scratch *scratch, const char *suffix)
{
	UpgRows *rows = conn_query(ctx->conn,
							   "SELECT d.oid FROM pg_catalog.pg_database d WHERE"
							   " d.datname OPERATOR(pg_catalog.=)"
							   " pg_catalog.current_database()",
							   0, NULL);
	const char *params[1];
	bool ok;

	memset(scratch, 0, sizeof(*scratch));
	if (rows == NULL)
		return false;
	scratch->ctx = *ctx;
	scratch->ctx.conn = NULL;
	scratch->ctx.source = NULL;
	scratch->ctx.values[OPT_UNDO] = "none";
	scratch->ctx.counts[OPT_UNDO] = 1;
	scratch->name =
		arena_printf(ctx->arena, "upg_squash_%s_%s", rows_get(rows, 0, 0), suffix);
	rows_free(rows);
	params[0] = scratch->name;
	rows = conn_query(ctx->conn, make_query, 1, params);
	if (rows == NULL)
		return false;
	ok = conn_run(ctx->conn, rows_get(rows, 0, 1), 0, NULL) &&
		 conn_run(ctx->conn, rows_get(rows, 0, 0), 0, NULL);
	rows_free(rows);
	if (!ok)
	{
		if (strcmp(upg_error.sqlstate, "42501") == 0)
			err_fix("The effect of the migrations is tried in scratch databases: ask for "
					"the attribute CREATEDB.");
		return false;
	}
	scratch->there = true;
	rows = conn_query(ctx->conn, settings_query, 1, params);
	ok = rows != NULL;
	for (int i = 0; ok && i < rows_count(rows); i++)
		ok = conn_run(ctx->conn, rows_get(rows, i, 0), 0, NULL);
	rows_free(rows);
	return ok && install(ctx, scratch);
}

/*
 * squash_scratch_drop
 *		Drop it, whatever happened; keeps the current error.
 */
void
squash_scratch_drop(UpgContext *ctx, Scratch *scratch)
{
	UpgError saved;
	bool shield;

	conn_close(scratch->ctx.conn);
	scratch->ctx.conn = NULL;
	if (!scratch->there || conn_lost(ctx->conn))
		return;
	saved = err_take();
	shield = conn_shield(ctx->conn, true);
	if (!conn_run(ctx->conn,
				  arena_printf(ctx->arena, "DROP DATABASE IF EXISTS \"%s\" WITH (FORCE)",
							   scratch->name),
				  0, NULL))
		log_warning("could not drop the scratch database \"%s\": %s", scratch->name,
					upg_error.what);
	scratch->there = false;
	err_put(saved);
	conn_shield(ctx->conn, shield);
}

/*
 * squash_apply
 *		Apply some entries of a source there.
 */
bool
squash_apply(Scratch *scratch, UpgSource *source, int first, int last)
{
	const char *after = NULL;
	bool ok = true;

	scratch->ctx.source = source;
	for (int i = first; ok && i <= last; i++)
	{
		UpgOutcome outcome;

		memset(&outcome, 0, sizeof(outcome));
		log_progress("trying %s (%d of %d)", source->entries[i].name, i - first + 1,
					 last - first + 1);
		ok = !source_problem(&source->entries[i]) &&
			 run_apply_one(&scratch->ctx, &source->entries[i], source->entries[i].ledger,
						   after, 0, &outcome);
		list_free(&outcome.warnings);
		after = source->entries[i].ledger;
	}
	scratch->ctx.source = NULL;
	return ok;
}
