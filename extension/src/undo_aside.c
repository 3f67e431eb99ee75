/*-------------------------------------------------------------------------
 *
 * undo_aside.c
 *		What a rollback writes down: rows set aside, conflicts, the account.
 *
 * These books hold values of the application's as text, because the types that
 * they had may go away with the migration.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_aside.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "access/xact.h"
#include "utils/timestamp.h"

#include "undo_merge.h"

static Datum
jsonb_of(const char *text)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
}

/*
 * upg_aside_add
 *		Set a row ('r') or values of a row ('v') aside.
 */
void
upg_aside_add(UpgUndoLog *log, Oid relation, const char *name, char kind, const char *key,
			  const char *data)
{
	Datum values[7];
	bool nulls[7] = {0};

	values[0] = Int64GetDatum(log->migration);
	values[1] = Int64GetDatum(log->id);
	values[2] = CStringGetTextDatum(name);
	values[3] = CharGetDatum(kind);
	nulls[4] = key == NULL;
	values[4] = key ? jsonb_of(key) : (Datum) 0;
	values[5] = jsonb_of(data);
	values[6] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	upg_undo_insert("kept_rows", values, nulls);
}

static Datum
text_or_null(const char *text, bool *isnull)
{
	*isnull = text == NULL;
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}

/*
 * upg_conflicts_write
 *		Write the conflicts of a rollback into the books.
 */
void
upg_conflicts_write(UpgMerge *merge)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "upg conflict", ALLOCSET_SMALL_SIZES);
	ListCell *lc;

	foreach (lc, merge->conflicts)
	{
		UpgMergeConflict *conflict = lfirst(lc);
		MemoryContext oldcxt = MemoryContextSwitchTo(cxt);
		Datum values[9];
		bool nulls[9] = {0};

		values[0] = Int64GetDatum(merge->log->migration);
		values[1] = Int64GetDatum(merge->log->id);
		values[2] = CStringGetTextDatum(conflict->table);
		nulls[3] = conflict->key == NULL;
		values[3] = conflict->key ? jsonb_of(conflict->key) : (Datum) 0;
		values[4] = text_or_null(conflict->column, &nulls[4]);
		values[5] = text_or_null(conflict->before, &nulls[5]);
		values[6] = text_or_null(conflict->application, &nulls[6]);
		values[7] = CStringGetTextDatum(conflict->what);
		values[8] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
		upg_undo_insert("rollback_conflicts", values, nulls);
		MemoryContextSwitchTo(oldcxt);
		MemoryContextReset(cxt);
	}
	MemoryContextDelete(cxt);
}

/* Delete the rows of a migration from one of these books. */
static int64
forget_in(const char *name, int64 migration)
{
	Relation rel = upg_undo_table(name, RowExclusiveLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	int64 count = 0;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(migration));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		CatalogTupleDelete(rel, &tuple->t_self);
		count++;
	}
	systable_endscan(scan);
	table_close(rel, RowExclusiveLock);
	return count;
}

/*
 * upg_aside_forget
 *		Give up what rollbacks of a migration set aside; returns how many rows.
 */
int64
upg_aside_forget(int64 migration)
{
	int64 count = forget_in("kept_rows", migration);

	(void) forget_in("rollback_conflicts", migration);
	CommandCounterIncrement();
	return count;
}
