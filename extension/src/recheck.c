/*-------------------------------------------------------------------------
 *
 * recheck.c
 *		Whether the rows that are there meet the constraints of their tables.
 *
 * The server looks at a constraint when a row is written.  Rows that came in
 * with triggers off (session_replication_role, DISABLE TRIGGER ALL, a restore
 * of data only), by a broken index or by an edit of the catalogs are believed
 * ever after.  Here the rows are read again, from the table and not from the
 * index that is in doubt, and those in violation are named by key.
 *
 * The queries are made from the catalogs by upg.recheck_queries(); they run
 * with the caller's rights.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/recheck.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "errors.h"
#include "progress.h"
#include "source.h"
#include "spi.h"
#include "upg.h"
#include "verify.h"

PG_FUNCTION_INFO_V1(upg_constraints_recheck);

/*
 * upg_oid_list
 *		The elements of an array of OIDs; nulls and names of what is gone are refused.
 */
List *
upg_oid_list(ArrayType *array)
{
	Datum *items;
	bool *nulls;
	int n;
	List *oids = NIL;

	deconstruct_array(array, ARR_ELEMTYPE(array), sizeof(Oid), true, TYPALIGN_INT, &items,
					  &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("relations must not contain nulls")));
		if (!SearchSysCacheExists1(RELOID, items[i]))
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
							errmsg("relation with OID %u does not exist",
								   DatumGetObjectId(items[i]))));
		oids = list_append_unique_oid(oids, DatumGetObjectId(items[i]));
	}
	return oids;
}

/*
 * upg_recheck_list
 *		Checks of what the catalog claims about relations and their partitions;
 *		NIL stands for all of the database.
 */
List *
upg_recheck_list(List *relids)
{
	static UpgQuery query = {
		"SELECT relid, relation, name, kind, query, sample_query, heap_only, bytes, skip"
		" FROM upg.recheck_queries($1)",
		SPI_OK_SELECT,
		1,
		{OIDARRAYOID}};
	MemoryContext caller = CurrentMemoryContext;
	Datum *items = palloc(sizeof(Datum) * Max(list_length(relids), 1));
	char nulls = relids == NIL ? 'n' : ' ';
	List *checks = NIL;
	UpgBooks books;
	Datum value;
	ListCell *lc;
	int n = 0;

	foreach (lc, relids)
		items[n++] = ObjectIdGetDatum(lfirst_oid(lc));
	value = PointerGetDatum(
		construct_array(items, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
	upg_books_open(&books);
	upg_query(&query, &value, &nulls);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);
		UpgCheck *check = palloc0(sizeof(UpgCheck));
		bool isnull;

		check->relid = DatumGetObjectId(upg_result_datum(i, 1, &isnull));
		check->relation = upg_result_text(i, 2);
		check->name = upg_result_text(i, 3);
		check->kind = upg_result_text(i, 4);
		check->query = upg_result_text(i, 5);
		check->sample_query = upg_result_text(i, 6);
		check->heap_only = DatumGetBool(upg_result_datum(i, 7, &isnull));
		check->bytes = DatumGetFloat8(upg_result_datum(i, 8, &isnull));
		check->skip = upg_result_text(i, 9);
		check->verdict = UPG_VERDICT_EMPTY;
		check->phase = "now";
		checks = lappend(checks, check);
		MemoryContextSwitchTo(old);
	}
	upg_books_close(&books);
	return checks;
}

/*
 * upg_constraints_recheck
 *		One row for each constraint: whether it holds, and rows in violation.
 */
Datum
upg_constraints_recheck(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	List *relids = PG_ARGISNULL(0) ? NIL : upg_oid_list(PG_GETARG_ARRAYTYPE_P(0));
	bool redact = PG_ARGISNULL(2) ? upg_guc_verify_redact : PG_GETARG_BOOL(2);
	UpgVerification *v;
	Snapshot snapshot;
	List *checks;
	int no = 0;
	ListCell *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(1) || PG_GETARG_INT32(1) < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_rows must be zero or more")));
	if (!PG_ARGISNULL(0) && relids == NIL)
		return (Datum) 0;
	v = upg_verification_create(UPG_VERIFY_ALL, 0, redact);
	v->shown_rows = PG_GETARG_INT32(1);
	checks = upg_recheck_list(relids);
	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	foreach (lc, checks)
	{
		UpgCheck *check = lfirst(lc);
		Datum values[7];
		bool nulls[7] = {false};

		CHECK_FOR_INTERRUPTS();
		upg_progress_task(UPG_TASK_VERIFY, ++no, list_length(checks));
		upg_progress_start(check->relid, 0);
		upg_check_run(v, check, NULL, snapshot);
		upg_progress_end();
		values[0] = CStringGetTextDatum(check->relation);
		values[1] = CStringGetTextDatum(check->name);
		values[2] = CStringGetTextDatum(check->kind);
		values[3] = CStringGetTextDatum(upg_check_state_name(check->state));
		values[4] = Int64GetDatum(check->violations);
		nulls[4] = check->violations < 0;
		nulls[5] = check->details == NULL;
		if (check->details != NULL)
			values[5] = DirectFunctionCall2(
				jsonb_object_field,
				DirectFunctionCall1(jsonb_in, CStringGetDatum(check->details)),
				CStringGetTextDatum("rows"));
		nulls[6] = check->message == NULL;
		if (check->message != NULL)
			values[6] = CStringGetTextDatum(check->message);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	UnregisterSnapshot(snapshot);
	return (Datum) 0;
}
