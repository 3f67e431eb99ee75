/*-------------------------------------------------------------------------
 *
 * undo_down.c
 *		SQL entry points: the down of a migration as SQL that a person can read.
 *
 * The exact form is for a server with upg: it says in words what goes back and
 * calls upg_rollback(), guarded by the digest of the undo log.  The portable
 * form is plain DDL and DML; each statement says whether it gives back what was
 * there, which is known because it was run (undo_down_run.c).
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_down.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#include "apply.h"
#include "compat.h"
#include "errors.h"
#include "ledger.h"
#include "undo_down.h"

PG_FUNCTION_INFO_V1(upg_down);
PG_FUNCTION_INFO_V1(upg_down_statements);

/* Names of the account's numbers, and how a person says them. */
static const struct
{
	const char *key;
	const char *what;
} account[] = {{"restored", "put back"},
			   {"removed", "taken out"},
			   {"merged", "merged with what was written since"},
			   {"kept", "written since and kept"},
			   {"set_aside", "set aside"},
			   {"stay_deleted", "deleted since and left so"},
			   {"discarded", "given up"},
			   {"conflicts", "in conflict"}};

static UpgMigration *
find_migration(const char *name)
{
	UpgMigration *migration = upg_ledger_find(name);

	if (migration == NULL)
		ereport(ERROR, (errcode(ERRCODE_UPG_MIGRATION_NOT_FOUND),
						errmsg("migration \"%s\" is not in the books", name),
						errhint("upg_status() lists what is.")));
	return migration;
}

/* Add a comment; a name may hold line breaks, and must not end the comment. */
static void
append_comment(StringInfo script, const char *prefix, const char *text)
{
	appendStringInfo(script, "-- %s", prefix);
	for (const char *p = text; *p != '\0'; p++)
		appendStringInfoChar(script, *p == '\n' || *p == '\r' ? ' ' : *p);
	appendStringInfoChar(script, '\n');
}

/* A statement that cannot be run, as comment lines. */
static void
append_commented(StringInfo script, const char *text)
{
	appendStringInfoString(script, "-- ");
	for (const char *p = text; *p != '\0'; p++)
	{
		if (*p == '\r')
			continue;
		appendStringInfoChar(script, *p);
		if (*p == '\n')
			appendStringInfoString(script, "-- ");
	}
	appendStringInfoChar(script, '\n');
}

/*
 * summary
 *		What the rollback changes in the schema, as a list of texts.
 */
static List *
summary(UpgDownRun *run)
{
	Oid types[] = {JSONBOID, JSONBOID};
	Datum values[] = {run->now.image, run->before.image};
	MemoryContext caller = CurrentMemoryContext;
	List *lines = NIL;

	SPI_connect();
	if (SPI_execute_with_args("SELECT object, line FROM upg.down_summary($1, $2)", 2,
							  types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "the effect of a rollback cannot be described");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char *object = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		char *line = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);
		MemoryContext oldcxt = MemoryContextSwitchTo(caller);

		if (line != NULL)
			lines = lappend(lines, list_make2(pstrdup(object), pstrdup(line)));
		MemoryContextSwitchTo(oldcxt);
	}
	SPI_finish();
	return lines;
}

/* A field of the account of one table. */
static JsonbValue *
field(Jsonb *json, const char *name, JsonbValue *buffer)
{
	return getKeyJsonValueFromContainer(&json->root, name, strlen(name), buffer);
}

/* The account of one table's rows in words, or NULL if nothing happens to them. */
static char *
rows_line(const char *json, char **table)
{
	Jsonb *entry = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
	JsonbValue buffer;
	JsonbValue *name = field(entry, "table", &buffer);
	StringInfoData line;
	int n = 0;

	*table = pnstrdup(name->val.string.val, name->val.string.len);
	initStringInfo(&line);
	appendStringInfo(&line, "table %s: rows", *table);
	for (int i = 0; i < lengthof(account); i++)
	{
		JsonbValue *value = field(entry, account[i].key, &buffer);
		int64 count = value ? DatumGetInt64(DirectFunctionCall1(
								  numeric_int8, NumericGetDatum(value->val.numeric)))
							: 0;

		if (count > 0)
			appendStringInfo(&line, "%s " INT64_FORMAT " %s", n++ > 0 ? "," : "", count,
							 account[i].what);
	}
	name = field(entry, "kind", &buffer);
	if (name->val.string.len == strlen("gets back its file") &&
		strncmp(name->val.string.val, "gets back its file", name->val.string.len) == 0)
		appendStringInfo(&line, "%s all come back with its old file", n++ > 0 ? "," : "");
	return n > 0 ? line.data : NULL;
}

/* The call that takes the migration back, guarded by the log's digest. */
static char *
rollback_call(UpgMigration *migration, Oid schema)
{
	StringInfoData options;

	initStringInfo(&options);
	appendStringInfo(&options, "{\"undo_digest\": \"%s\"}",
					 upg_undo_guard(migration->id));
	return psprintf("SELECT migration, state, warnings FROM %s.upg_rollback(%s,"
					" options => %s)",
					quote_identifier(get_namespace_name(schema)),
					quote_literal_cstr(migration->name),
					quote_literal_cstr(options.data));
}

/* Where the statements go: a script, or rows. */
typedef struct Sink
{
	StringInfo script; /* or NULL */
	Oid schema;        /* that the functions of upg are in */
	ReturnSetInfo *rsinfo;
	int n;
} Sink;

/* One row of upg_down_statements(). */
static void
put_row(Sink *sink, const char *object, const char *statement, const char *tag,
		const char *reason)
{
	const char *texts[] = {object, statement, tag, reason};
	Datum values[5];
	bool nulls[5] = {false};

	values[0] = Int32GetDatum(++sink->n);
	for (int i = 0; i < lengthof(texts); i++)
	{
		nulls[i + 1] = texts[i] == NULL;
		values[i + 1] = texts[i] ? CStringGetTextDatum(texts[i]) : (Datum) 0;
	}
	tuplestore_putvalues(sink->rsinfo->setResult, sink->rsinfo->setDesc, values, nulls);
}

/* The exact form. */
static void
write_exact(UpgMigration *migration, Sink *sink, const char *given)
{
	UpgDownRun *run = upg_down_look(migration->id, false);
	char *call = rollback_call(migration, sink->schema);
	List *lines = summary(run);
	ListCell *lc;

	foreach (lc, run->done.tables)
	{
		char *table;
		char *line = rows_line(lfirst(lc), &table);

		if (line != NULL)
			lines = lappend(lines, list_make2(psprintf("table %s", table), line));
	}
	if (sink->script == NULL)
	{
		foreach (lc, lines)
			put_row(sink, linitial(lfirst(lc)), NULL, "exact", lsecond(lfirst(lc)));
		put_row(sink, NULL, call, "exact", NULL);
		return;
	}
	append_comment(sink->script, "upg: down of migration ", migration->name);
	append_comment(
		sink->script, "",
		"For psql, on the server that holds its undo log. It was tried just now "
		"and given up.");
	append_comment(sink->script, "", "");
	foreach (lc, lines)
		append_comment(sink->script, "", lsecond(lfirst(lc)));
	foreach (lc, run->done.notes)
		append_comment(sink->script, "note: ", lfirst(lc));
	appendStringInfo(sink->script, "BEGIN;\n-- exact\n%s;\nCOMMIT;\n", call);
	if (given != NULL)
	{
		append_comment(sink->script, "",
					   "The down script that came with it, which the option {\"method\": "
					   "\"given\"} runs instead:");
		append_commented(sink->script, given);
	}
}

static void
append_statement(StringInfo script, UpgDownStatement *statement)
{
	if (statement->reason)
		append_comment(script, psprintf("%s: ", statement->tag), statement->reason);
	else
		append_comment(script, statement->tag, "");
	if (statement->text != NULL)
		appendStringInfo(script, "%s;\n", statement->text);
	else if (statement->ways != NIL)
		append_commented(script, psprintf("%s;", (char *) linitial(statement->ways)));
}

static void
write_portable(UpgMigration *migration, Sink *sink)
{
	UpgDownRun *run = upg_down_look(migration->id, true);
	int exact = 0;
	int inexact = 0;
	const char *about = "";
	ListCell *lc;

	upg_down_try(run);
	foreach (lc, run->statements)
	{
		UpgDownStatement *statement = lfirst(lc);

		if (strcmp(statement->tag, "exact") == 0)
			exact++;
		else if (strcmp(statement->tag, "inexact") == 0)
			inexact++;
		if (sink->script == NULL)
			put_row(sink, statement->image,
					statement->text          ? statement->text
					: statement->ways != NIL ? linitial(statement->ways)
											 : NULL,
					statement->tag, statement->reason);
	}
	if (sink->script == NULL)
		return;
	append_comment(sink->script, "upg: portable down of migration ", migration->name);
	append_comment(
		sink->script, "",
		"For psql, on a server without upg. Each statement was run on the state "
		"of now, and what it left compared with what the undo log gives back.");
	append_comment(
		sink->script, "",
		psprintf("%d statements exact, %d inexact, %d impossible; of PostgreSQL %s.",
				 exact, inexact, list_length(run->statements) - exact - inexact,
				 PG_VERSION));
	append_comment(sink->script, "", upg_down_rights(run));
	appendStringInfoString(sink->script, "\nBEGIN;\n");
	upg_down_settings(run, sink->script);
	foreach (lc, run->statements)
	{
		UpgDownStatement *statement = lfirst(lc);

		if (strcmp(about, statement->image) != 0)
		{
			appendStringInfoChar(sink->script, '\n');
			append_comment(sink->script, "", statement->image);
			about = statement->image;
		}
		append_statement(sink->script, statement);
	}
	appendStringInfoString(sink->script, "\nCOMMIT;\n");
}

/*
 * write_down
 *		The way back, whatever it is; false if there is none.
 */
static bool
write_down(UpgMigration *migration, bool portable, Sink *sink)
{
	char *given = upg_ledger_script(migration->id, true);

	/* on a standby and in a copy of the database there is no undo to look at */
	if (upg_migration_has_undo(migration) && !RecoveryInProgress() &&
		upg_undo_log_list(migration->id) != NIL)
	{
		upg_require_writable("upg_down()");
		if (portable)
			write_portable(migration, sink);
		else
			write_exact(migration, sink, given);
		return true;
	}
	if (given == NULL)
		return false;
	if (sink->script == NULL)
		put_row(sink, NULL, given, NULL,
				"the down script that came with the migration; it was not tried");
	else
		appendStringInfoString(sink->script, given);
	return true;
}

/*
 * upg_down
 *		The down of a migration as a script for psql; NULL if there is no way back.
 */
Datum
upg_down(PG_FUNCTION_ARGS)
{
	UpgMigration *migration = upg_ledger_find(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	StringInfoData script;
	Sink sink = {&script, get_func_namespace(fcinfo->flinfo->fn_oid)};

	if (migration == NULL)
		PG_RETURN_NULL();
	initStringInfo(&script);
	if (!write_down(migration, PG_GETARG_BOOL(1), &sink))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(script.data, script.len));
}

/*
 * upg_down_statements
 *		The same, one statement a row.
 */
Datum
upg_down_statements(PG_FUNCTION_ARGS)
{
	UpgMigration *migration = find_migration(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	Sink sink = {NULL, get_func_namespace(fcinfo->flinfo->fn_oid)};

	InitMaterializedSRF(fcinfo, 0);
	sink.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	(void) write_down(migration, PG_GETARG_BOOL(1), &sink);
	return (Datum) 0;
}
