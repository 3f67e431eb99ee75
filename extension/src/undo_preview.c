/*-------------------------------------------------------------------------
 *
 * undo_preview.c
 *		SQL entry points around a rollback: what it would do, and rows that it
 *		set aside, put back.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_preview.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "apply.h"
#include "as_owner.h"
#include "audit.h"
#include "compat.h"
#include "errors.h"
#include "ledger.h"
#include "options.h"
#include "spi.h"
#include "undo.h"

PG_FUNCTION_INFO_V1(upg_rollback_preview);
PG_FUNCTION_INFO_V1(upg_rollback_locks);
PG_FUNCTION_INFO_V1(upg_put_back);

/*
 * upg_rollback_preview
 *		What a rollback would do, table by table; takes no lock that stops
 *		anybody and changes nothing.
 */
Datum
upg_rollback_preview(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	UpgOptions *options = upg_options_parse(PG_GETARG_JSONB_P(1), UPG_OPTION_ROLLBACK);
	UpgMigration *migration = upg_ledger_find(name);
	UpgUndoOptions undo = {0};
	UpgUndoResult result;
	UpgEstimate estimate;
	StringInfoData buf;

	upg_require_writable("upg_rollback_preview()");
	if (migration == NULL)
		ereport(ERROR, (errcode(ERRCODE_UPG_MIGRATION_NOT_FOUND),
						errmsg("migration \"%s\" is not in the books", name),
						errhint("upg_status() lists what is.")));
	if (!upg_migration_has_undo(migration))
		ereport(ERROR, (errcode(ERRCODE_UPG_NO_UNDO),
						errmsg("no undo is kept of migration \"%s\"", name),
						errdetail("Its way back is \"%s\".", migration->undo)));
	upg_fills_check(options->fills);
	upg_options_of_undo(options, &undo);
	undo.dry_run = true;
	upg_undo_rollback(migration->id, &undo, &result);
	upg_estimate(&result, &estimate);
	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"migration\": ");
	escape_json(&buf, name);
	appendStringInfo(&buf,
					 ", \"estimated_ms\": %.0f, \"readers_wait_ms\": %.0f, "
					 "\"estimated_by\": \"%s\", %s",
					 estimate.all_ms, estimate.readers_ms,
					 estimate.history ? "history" : "sample",
					 upg_report_json(&result) + 1);
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data)));
}

/*
 * upg_rollback_locks
 *		What a rollback locks, and against whom; by its log, so nothing is locked to
 *		find out.
 */
Datum
upg_rollback_locks(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	UpgMigration *migration = upg_ledger_find(name);
	UpgUndoLocks locks;
	ListCell *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (migration == NULL)
		ereport(ERROR, (errcode(ERRCODE_UPG_MIGRATION_NOT_FOUND),
						errmsg("migration \"%s\" is not in the books", name),
						errhint("upg_status() lists what is.")));
	if (!upg_migration_has_undo(migration))
		return (Datum) 0;
	upg_undo_locks_of(upg_undo_units(migration->id), &locks);
	foreach (lc, locks.all)
	{
		bool alone = list_member_oid(locks.alone, lfirst_oid(lc));
		Datum values[3];
		bool nulls[3] = {0};

		values[0] = CStringGetTextDatum(upg_qualified_name(lfirst_oid(lc)));
		values[1] = CStringGetTextDatum(alone ? "AccessExclusiveLock" : "ExclusiveLock");
		values[2] = CStringGetTextDatum(alone ? "readers" : "writers");
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* ---------------------------------------------------------------------
 * Putting rows back that were set aside
 * ---------------------------------------------------------------------
 */

/* One row, as read from the books. */
typedef struct KeptRow
{
	char *table;
	bool whole; /* else values of a row */
	Datum key;  /* jsonb, or 0 */
	Datum data; /* jsonb */
	List *keys; /* of char *: columns of the key */
	List *columns;
} KeptRow;

/* Names in an array of text. */
static List *
names_in(Datum array)
{
	Datum *elems;
	int n;
	List *names = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elems,
					  NULL, &n);
	for (int i = 0; i < n; i++)
		names = lappend(names, TextDatumGetCString(elems[i]));
	return names;
}

static List *
read_kept(int64 migration)
{
	static UpgQuery query = {
		"SELECT table_name, kind OPERATOR(pg_catalog.=) 'r', key, data,"
		" ARRAY(SELECT pg_catalog.jsonb_object_keys(key)),"
		" ARRAY(SELECT pg_catalog.jsonb_object_keys(data))"
		" FROM upg.kept_rows WHERE migration OPERATOR(pg_catalog.=) $1"
		" ORDER BY log, table_name, kind",
		SPI_OK_SELECT,
		1,
		{INT8OID}};
	MemoryContext caller = CurrentMemoryContext;
	Datum value = Int64GetDatum(migration);
	UpgBooks books;
	List *rows = NIL;

	upg_books_open(&books);
	upg_query_latest(&query, &value, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		char *table = upg_result_text(i, 1);
		bool whole = DatumGetBool(upg_result_datum(i, 2, &isnull));
		Datum key = upg_result_datum(i, 3, &isnull);
		bool keyless = isnull;
		Datum data = upg_result_datum(i, 4, &isnull);
		Datum keys = upg_result_datum(i, 5, &isnull);
		Datum columns = upg_result_datum(i, 6, &isnull);
		MemoryContext oldcxt = MemoryContextSwitchTo(caller);
		KeptRow *row = palloc0(sizeof(KeptRow));

		row->table = pstrdup(table);
		row->whole = whole;
		row->key = keyless ? (Datum) 0 : PointerGetDatum(PG_DETOAST_DATUM_COPY(key));
		row->data = PointerGetDatum(PG_DETOAST_DATUM_COPY(data));
		row->keys = keyless ? NIL : names_in(keys);
		row->columns = names_in(columns);
		rows = lappend(rows, row);
		MemoryContextSwitchTo(oldcxt);
	}
	upg_books_close(&books);
	return rows;
}

static void
append_names(StringInfo buf, const char *prefix, List *names)
{
	ListCell *lc;

	foreach (lc, names)
		appendStringInfo(buf, "%s%s%s", lc == list_head(names) ? "" : ", ", prefix,
						 quote_identifier(lfirst(lc)));
}

/* Leave out columns that are computed; complain of those that are gone. */
static List *
writable_columns(Oid relation, KeptRow *row)
{
	List *result = NIL;
	ListCell *lc;

	foreach (lc, row->columns)
	{
		AttrNumber attnum = get_attnum(relation, lfirst(lc));

		if (attnum == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of table %s does not exist",
							(char *) lfirst(lc), row->table),
					 errhint("Apply the migration again before its rows are put back.")));
		if (get_attgenerated(relation, attnum) == '\0')
			result = lappend(result, lfirst(lc));
	}
	return result;
}

/* The value that a person gave for a column, as an expression; or NULL. */
static char *
fill_for(List *fills, KeptRow *row, Form_pg_attribute att)
{
	const char *value = upg_fill_value(fills, att->attrelid, NameStr(att->attname));

	if (value == NULL)
		return NULL;
	return psprintf("CAST(%s AS %s)", quote_literal_cstr(value),
					format_type_with_typemod(att->atttypid, att->atttypmod));
}

/*
 * check_columns
 *		Refuse before the first row is written what has no value for a column.
 */
static void
check_columns(Oid relation, KeptRow *row, List *fills)
{
	Relation rel = table_open(relation, NoLock);
	TupleDesc desc = RelationGetDescr(rel);

	for (int i = 0; row->whole && i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || !att->attnotnull || att->atthasdef ||
			att->attidentity != '\0' ||
			upg_name_in(row->columns, NameStr(att->attname)) ||
			fill_for(fills, row, att) != NULL)
			continue;
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_LATER_CHANGES),
			 errmsg("rows that were set aside have no value for column \"%s\" of "
					"table %s",
					NameStr(att->attname), row->table),
			 errdetail("The column came later, must have a value and has no default."),
			 errhint("Say what they get there: the option {\"fill\": {\"%s.%s\": "
					 "\"value\"}}, or --fill. Nothing was changed.",
					 row->table, quote_identifier(NameStr(att->attname)))));
	}
	table_close(rel, NoLock);
}

/* Refuse values for tables and columns that do not get any. */
static void
check_fills(List *fills, List *rows)
{
	ListCell *lc;

	foreach (lc, fills)
	{
		UpgFill *fill = lfirst(lc);
		Oid relation = InvalidOid;
		AttrNumber attnum = InvalidAttrNumber;
		ListCell *lc2;

		foreach (lc2, rows)
		{
			KeptRow *row = lfirst(lc2);

			if (row->whole && strcmp(row->table, fill->table) == 0)
			{
				relation = RangeVarGetRelid(
					makeRangeVarFromNameList(upg_name_list(row->table)), NoLock, true);
				break;
			}
		}
		if (OidIsValid(relation))
			attnum = get_attnum(relation, fill->column);
		if (attnum <= 0 || get_attgenerated(relation, attnum) != '\0')
			ereport(ERROR,
					(errcode(ERRCODE_UPG_INVALID_OPTION),
					 OidIsValid(relation)
						 ? errmsg("option \"fill\": table %s has no column \"%s\" that "
								  "can be given a value",
								  fill->table, fill->column)
						 : errmsg("option \"fill\": no row of table %s is set aside",
								  fill->table),
					 errhint("upg_kept_rows() lists what is set aside.")));
	}
}

/*
 * values_for
 *		What goes into the columns of a row that is inserted; adds columns that
 *		have come since and get a value.
 */
static char *
values_for(Oid relation, KeptRow *row, List *fills, List **columns)
{
	Relation rel = table_open(relation, NoLock);
	TupleDesc desc = RelationGetDescr(rel);
	StringInfoData buf;
	const char *comma = "";
	ListCell *lc;

	initStringInfo(&buf);
	foreach (lc, *columns)
	{
		AttrNumber attnum = get_attnum(relation, lfirst(lc));
		char *fill = fill_for(fills, row, TupleDescAttr(desc, attnum - 1));
		const char *name = quote_identifier(lfirst(lc));

		if (fill)
			appendStringInfo(&buf, "%sCOALESCE(r.%s, %s)", comma, name, fill);
		else
			appendStringInfo(&buf, "%sr.%s", comma, name);
		comma = ", ";
	}
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		char *fill = att->attisdropped ? NULL : fill_for(fills, row, att);

		if (fill == NULL || upg_name_in(row->columns, NameStr(att->attname)))
			continue;
		appendStringInfo(&buf, "%s%s", comma, fill);
		*columns = lappend(*columns, pstrdup(NameStr(att->attname)));
		comma = ", ";
	}
	table_close(rel, NoLock);
	return buf.data;
}

/* The statement that puts such a row back; $1 is its data, $2 its key. */
static char *
statement_for(Oid relation, KeptRow *row, List *fills)
{
	StringInfoData buf;
	List *columns = writable_columns(relation, row);
	ListCell *lc;

	initStringInfo(&buf);
	if (row->whole)
	{
		List *others = NIL;
		char *values = values_for(relation, row, fills, &columns);

		appendStringInfo(&buf, "INSERT INTO %s (", row->table);
		append_names(&buf, "", columns);
		appendStringInfo(&buf, ") OVERRIDING SYSTEM VALUE SELECT %s", values);
		appendStringInfo(&buf,
						 " FROM pg_catalog.jsonb_populate_record(NULL::%s, $1) r"
						 " WHERE $2 IS NULL OR $2 IS NOT NULL",
						 row->table);
		if (row->keys == NIL)
			return buf.data;
		foreach (lc, columns)
		{
			if (!upg_name_in(row->keys, lfirst(lc)))
				others = lappend(others, lfirst(lc));
		}
		appendStringInfoString(&buf, " ON CONFLICT (");
		append_names(&buf, "", row->keys);
		appendStringInfoString(&buf, others ? ") DO UPDATE SET " : ") DO NOTHING");
		foreach (lc, others)
			appendStringInfo(&buf, "%s%s = excluded.%s",
							 lc == list_head(others) ? "" : ", ",
							 pstrdup(quote_identifier(lfirst(lc))),
							 pstrdup(quote_identifier(lfirst(lc))));
		return buf.data;
	}
	appendStringInfo(&buf, "UPDATE ONLY %s t SET ", row->table);
	foreach (lc, columns)
		appendStringInfo(&buf, "%s%s = r.%s", lc == list_head(columns) ? "" : ", ",
						 pstrdup(quote_identifier(lfirst(lc))),
						 pstrdup(quote_identifier(lfirst(lc))));
	appendStringInfo(&buf,
					 " FROM pg_catalog.jsonb_populate_record(NULL::%s, $1) r,"
					 " pg_catalog.jsonb_populate_record(NULL::%s, $2) k WHERE true",
					 row->table, row->table);
	foreach (lc, row->keys)
		appendStringInfo(&buf, " AND t.%s = k.%s", pstrdup(quote_identifier(lfirst(lc))),
						 pstrdup(quote_identifier(lfirst(lc))));
	return buf.data;
}

/* Put one row back, as the owner of its table; false: there is no such row. */
static bool
put_back(Oid relation, KeptRow *row, List *fills)
{
	Oid types[2] = {JSONBOID, JSONBOID};
	Datum values[2] = {row->data, row->key};
	char nulls[2] = {' ', row->key == (Datum) 0 ? 'n' : ' '};
	bool done;

	if (SPI_execute_with_args(statement_for(relation, row, fills), 2, types, values,
							  nulls, false, 0) < 0)
		elog(ERROR, "rows of table %s cannot be put back", row->table);
	done = SPI_processed > 0 || row->whole;
	return done;
}

/*
 * upg_put_back
 *		Put back into their tables the rows that rollbacks of a migration set
 *		aside; returns how many.
 *
 * Columns that have come since get their default, or what "fill" says.  No
 * trigger fires: what triggers do was done when the application wrote the
 * row.  Foreign keys are checked at the end.
 */
Datum
upg_put_back(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	UpgOptions *options = upg_options_parse(PG_GETARG_JSONB_P(1), UPG_OPTION_PUT_BACK);
	UpgMigration *migration = upg_ledger_find(name);
	List *rows;
	List *relations = NIL;
	ListCell *lc;
	int64 count = 0;
	int nestlevel;

	upg_require_writable("upg_put_back()");
	if (migration == NULL)
		ereport(ERROR, (errcode(ERRCODE_UPG_MIGRATION_NOT_FOUND),
						errmsg("migration \"%s\" is not in the books", name),
						errhint("upg_status() lists what is.")));
	if (migration->state != UPG_STATE_APPLIED)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_ILLEGAL_STATE),
				 errmsg("rows of migration \"%s\" cannot be put back, because it is not "
						"applied",
						name),
				 errdetail("Its state is \"%s\".", upg_state_name(migration->state)),
				 errhint("Apply it again first.")));
	rows = read_kept(migration->id);
	check_fills(options->fills, rows);
	nestlevel = NewGUCNestLevel();
	upg_catalog_first();
	(void) set_config_option("session_replication_role", "replica", PGC_SUSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	foreach (lc, rows)
	{
		KeptRow *row = lfirst(lc);
		Oid relation = RangeVarGetRelid(
			makeRangeVarFromNameList(upg_name_list(row->table)), RowExclusiveLock, true);
		Oid owner;
		Oid saved_user;
		int saved_context;

		CHECK_FOR_INTERRUPTS();
		if (!OidIsValid(relation))
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
							errmsg("table %s does not exist", row->table),
							errhint("Apply the migration again, or give its rows up with "
									"upg_finalize().")));
		owner = upg_relation_owner(relation);
		if (!has_privs_of_role(GetUserId(), owner))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, row->table);
		check_columns(relation, row, options->fills);
		GetUserIdAndSecContext(&saved_user, &saved_context);
		SetUserIdAndSecContext(owner, saved_context | SECURITY_RESTRICTED_OPERATION |
										  SECURITY_NOFORCE_RLS);
		SPI_connect();
		if (put_back(relation, row, options->fills))
			count++;
		SPI_finish();
		SetUserIdAndSecContext(saved_user, saved_context);
		relations = list_append_unique_oid(relations, relation);
	}
	AtEOXact_GUC(false, nestlevel);
	CommandCounterIncrement();
	upg_data_check_keys(relations);
	(void) upg_aside_forget(migration->id);
	upg_audit_add("migration.rows_put_back", name, NULL, NULL);
	PG_RETURN_INT64(count);
}
