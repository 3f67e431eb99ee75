/*-------------------------------------------------------------------------
 *
 * cmd_verify.c
 *		upg verify: is every migration as the books say?
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/cmd_verify.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "fsutil.h"
#include "interrupt.h"
#include "log.h"
#include "run.h"

/* What was found so far. */
typedef struct Verify
{
	int faults;
	int verified;  /* verify scripts that passed */
	int looked;    /* migrations */
	int objects;   /* differences of the schema */
	UpgList names; /* of those with a fault, each once */
} Verify;

/*
 * fault
 *		One migration that is not in order.
 */
static void
fault(UpgContext *ctx, Verify *verify, const char *name, const char *check,
	  const char *what, const char *where, const char *fix)
{
	verify->faults++;
	if (!list_has(&verify->names, name))
		list_add(&verify->names, name);
	if (ctx->json)
	{
		json_object(render_doc(), NULL);
		json_string(render_doc(), "migration", name);
		json_string(render_doc(), "check", check);
		json_string(render_doc(), "what", what);
		json_string(render_doc(), "where", where);
		json_string(render_doc(), "fix", fix);
		json_object_end(render_doc());
		return;
	}
	render_text(ctx, "%-8s %s: %s\n", check, name, what);
	if (where != NULL)
		render_text(ctx, "%9sat: %s\n", "", where);
	if (fix != NULL)
		render_text(ctx, "%9sdo: %s\n", "", fix);
}

/*
 * verify_records
 *		Rows of upg_ledger_verify(): records that contradict themselves or are half done.
 */
static bool
verify_records(UpgContext *ctx, Verify *verify)
{
	UpgRows *rows = conn_query(
		ctx->conn, "SELECT migration, fault, fix FROM @extschema@.upg_ledger_verify()", 0,
		NULL);

	if (rows == NULL)
		return false;
	for (int i = 0; i < rows_count(rows); i++)
		fault(ctx, verify, arena_strdup(ctx->arena, rows_get(rows, i, 0)), "record",
			  rows_get(rows, i, 1), NULL, rows_get(rows, i, 2));
	rows_free(rows);
	return true;
}

/*
 * verify_file
 *		Is the file of an applied migration what was applied?
 */
static bool
verify_file(UpgContext *ctx, Verify *verify, const UpgTodo *todo)
{
	const UpgEntry *entry = todo->entry;
	int changed;

	if (entry->problem != NULL)
	{
		fault(ctx, verify, todo->name, "file", entry->problem,
			  entry->problem_where ? entry->problem_where : entry->up.path,
			  entry->problem_fix);
		return true;
	}
	if (todo->action != UPG_ACT_CHANGED)
		return true;
	changed = run_check_changed(ctx, todo);
	if (changed < 0 && upg_error.exit_code != UPG_EXIT_USAGE)
		return false;
	if (changed < 0)
	{
		fault(ctx, verify, todo->name, "file", upg_error.what,
			  upg_error.where ? upg_error.where : entry->up.path, upg_error.fix);
		err_clear();
		return true;
	}
	if (changed > 0)
		fault(ctx, verify, todo->name, "file",
			  arena_printf(ctx->arena,
						   "changed after it was applied (SHA-256 %.12s..., applied: "
						   "%.12s...)",
						   entry->sha256, todo->known->sha256),
			  entry->up.path,
			  "restore the file, and put the change into a new migration");
	return true;
}

/*
 * verify_script
 *		Run the verify script of an applied migration.
 */
static bool
verify_script(UpgContext *ctx, Verify *verify, const UpgTodo *todo)
{
	if (todo->entry->verify == NULL)
		return true;
	log_progress("verifying %s", todo->name);
	if (run_verify_script(ctx, todo->entry, false))
	{
		verify->verified++;
		return true;
	}
	if (conn_lost(ctx->conn) || upg_interrupted != 0 ||
		upg_error.exit_code == UPG_EXIT_DEADLINE)
		return false;
	fault(ctx, verify, todo->name, "verify", upg_error.what,
		  upg_error.where ? upg_error.where : todo->entry->verify,
		  "find out what was changed since, by whom: upg history, upg audit export");
	err_clear();
	return true;
}

/*
 * verify_directory
 *		Files and verify scripts.
 */
static bool
verify_directory(UpgContext *ctx, Verify *verify)
{
	UpgCompare compare;
	bool ok = run_compare(ctx, &compare, false, NULL);

	for (int i = 0; ok && i < compare.todo_count; i++)
	{
		const UpgTodo *todo = &compare.todo[i];

		if (todo->action == UPG_ACT_APPLY || todo->known == NULL ||
			strcmp(todo->known->state, "applied") != 0)
			continue;
		verify->looked++;
		ok = verify_file(ctx, verify, todo) && verify_script(ctx, verify, todo);
	}
	for (int i = 0; ok && i < compare.vanished.count; i++)
	{
		verify->looked++;
		fault(ctx, verify, arena_strdup(ctx->arena, compare.vanished.items[i]), "file",
			  "applied, but not in the directory", ctx->source->dir,
			  "put the file back; \"upg squash\" is the way to have fewer");
	}
	run_compare_free(&compare);
	return ok;
}

/*
 * verify_schema
 *		Rows of upg_drift(): what is not as the last migration left it.
 */
static bool
verify_schema(UpgContext *ctx, Verify *verify)
{
	UpgRows *rows = conn_query(
		ctx->conn,
		"SELECT object, change, attribute, recorded, live FROM @extschema@.upg_drift()",
		0, NULL);

	if (rows == NULL)
		return false;
	for (int i = 0; i < rows_count(rows); i++)
	{
		const char *attribute = rows_named(rows, i, "attribute");
		const char *recorded = rows_named(rows, i, "recorded");
		const char *live = rows_named(rows, i, "live");
		char *what = arena_strdup(ctx->arena, rows_named(rows, i, "change"));

		if (attribute != NULL)
			what = arena_printf(ctx->arena, "%s: %s was %s, is %s", what, attribute,
								recorded ? recorded : "not there",
								live ? live : "not there");
		verify->objects++;
		fault(ctx, verify, arena_strdup(ctx->arena, rows_named(rows, i, "object")),
			  "schema", what, NULL, NULL);
	}
	rows_free(rows);
	return true;
}

/* What the error says that "upg verify" ends with. */
static void
end_with_faults(UpgContext *ctx, const Verify *verify)
{
	int migrations = verify->names.count;

	if (verify->objects > 0)
		err_set(UPG_EXIT_VERIFICATION, "UPG-2033",
				"the schema is not as the last migration left it: %d difference%s",
				verify->objects, verify->objects == 1 ? "" : "s");
	else
		err_set(UPG_EXIT_VERIFICATION, "UPG-2033", "%d %s not as the books say",
				migrations, migrations == 1 ? "migration is" : "migrations are");
	err_where("%s", conn_describe(ctx->conn));
	err_next(verify->objects > 0 ? "upg drift" : "upg explain NAME");
}

/* upg verify */
int
cmd_verify(UpgContext *ctx)
{
	Verify verify;
	bool have = ctx_has_directory(ctx, 0);
	bool ok;

	memset(&verify, 0, sizeof(verify));
	if ((have && !ctx_open_source(ctx, 0)) || !ctx_connect(ctx, true))
		return upg_error.exit_code;
	render_start(ctx);
	if (ctx->json)
	{
		json_string(render_doc(), "database", conn_database(ctx->conn));
		json_string(render_doc(), "directory", ctx->source ? ctx->source->dir : NULL);
		json_array(render_doc(), "faults");
	}
	ok = verify_records(ctx, &verify) &&
		 (ctx->source == NULL || verify_directory(ctx, &verify)) &&
		 (ctx->counts[OPT_VERIFY_SCHEMA] == 0 || verify_schema(ctx, &verify));
	if (ctx->json)
	{
		json_array_end(render_doc());
		json_int(render_doc(), "migrations", verify.looked);
		json_int(render_doc(), "verify_scripts", verify.verified);
	}
	if (ok && verify.faults > 0)
		end_with_faults(ctx, &verify);
	else if (ok && ctx->source == NULL)
		render_text(ctx, "the records are in order; no directory was looked at\n");
	else if (ok)
		render_text(ctx, "in order: %d migrations, %d verify scripts\n", verify.looked,
					verify.verified);
	list_free(&verify.names);
	return upg_error.exit_code;
}
