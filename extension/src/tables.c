/*-------------------------------------------------------------------------
 *
 * tables.c
 *		Tables of the books, read and written below SQL.
 *
 * What every migration does to the books is a look-up by name and three
 * inserts.  Planning, starting and ending a statement for each costs more than
 * all else upg does, so these go straight to table and index.
 *
 * That passes over rights, triggers and defaults: the caller fills in every
 * column, and columns that the install script did not make are an error, not a
 * guess.  Unique indexes are obeyed, and serializable transactions see the
 * writes.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/tables.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/sequence.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "errors.h"
#include "spi.h"
#include "tables.h"

/*
 * upg_relation_oid
 *		OID of a relation in schema "upg"; if it is missing, InvalidOid or an
 *		error that says the books are damaged.
 */
Oid
upg_relation_oid(const char *name, bool missing_ok)
{
	Oid nsp = get_namespace_oid("upg", true);
	Oid rel = OidIsValid(nsp) ? get_relname_relid(name, nsp) : InvalidOid;

	if (!OidIsValid(nsp) && !missing_ok)
		(void) upg_books_owner(); /* says that the schema is gone */
	if (!OidIsValid(rel) && !missing_ok)
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_LEDGER_DAMAGED),
			 errmsg("relation \"upg.%s\" does not exist", name),
			 errdetail("It is part of the extension upg."),
			 errhint(
				 "Restore it from a backup, or drop and create the extension anew.")));
	return rel;
}

/*
 * upg_table_open
 *		Open and lock a table; refuse one whose columns somebody has changed.
 */
Relation
upg_table_open(const UpgTable *table, LOCKMODE mode)
{
	Relation rel = table_open(upg_relation_oid(table->name, false), mode);
	TupleDesc desc = RelationGetDescr(rel);
	bool ok = desc->natts == table->columns && rel->rd_rel->relkind == RELKIND_RELATION;

	for (int i = 0; ok && i < table->columns; i++)
		ok = TupleDescAttr(desc, i)->atttypid == table->types[i] &&
			 !TupleDescAttr(desc, i)->attisdropped;
	if (!ok)
		ereport(ERROR, (errcode(ERRCODE_UPG_LEDGER_DAMAGED),
						errmsg("table \"upg.%s\" has been altered", table->name),
						errdetail("Its columns are not those that the extension made."),
						errhint("Undo the change, or restore the table from a backup.")));
	return rel;
}

/*
 * upg_table_insert
 *		Insert a row and its index entries, without triggers and without
 *		asking for rights on the table.
 *
 * The row is visible to this transaction from the next command on.  Between the
 * statements of a worker there may be no snapshot, and values that are moved out
 * of line need one.
 */
void
upg_table_insert(Relation rel, Datum *values, bool *nulls)
{
	EState *estate = CreateExecutorState();
	ResultRelInfo *target = makeNode(ResultRelInfo);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	bool snapshot = !ActiveSnapshotSet();

	if (snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	InitResultRelInfo(target, rel, 1, NULL, 0);
	ExecOpenIndices(target, false);

	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, RelationGetDescr(rel)->natts * sizeof(Datum));
	memcpy(slot->tts_isnull, nulls, RelationGetDescr(rel)->natts * sizeof(bool));
	ExecStoreVirtualTuple(slot);

	table_tuple_insert(rel, slot, GetCurrentCommandId(true), 0, NULL);
	if (target->ri_NumIndices > 0)
		upg_exec_insert_index_tuples(target, slot, estate);

	ExecCloseIndices(target);
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
	if (snapshot)
		PopActiveSnapshot();
}

/*
 * upg_table_find
 *		The row whose text column, the first of a unique index, has a value; NULL
 *		if there is none.
 *
 * It is read with a snapshot of this moment at every isolation level, and is a
 * copy in the current memory context.
 */
HeapTuple
upg_table_find(Relation rel, const char *index, AttrNumber column, Datum key)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan;
	ScanKeyData condition;
	HeapTuple tuple;

	ScanKeyEntryInitialize(&condition, 0, column, BTEqualStrategyNumber, InvalidOid,
						   TupleDescAttr(RelationGetDescr(rel), column - 1)->attcollation,
						   F_TEXTEQ, key);
	scan = systable_beginscan(rel, upg_relation_oid(index, false), true, snapshot, 1,
							  &condition);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	return tuple;
}

/*
 * upg_sequence_next
 *		The next number of a sequence of the books.
 */
int64
upg_sequence_next(const char *name)
{
	return nextval_internal(upg_relation_oid(name, false), false);
}
