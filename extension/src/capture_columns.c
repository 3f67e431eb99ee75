/*-------------------------------------------------------------------------
 *
 * capture_columns.c
 *		A copy of the values of dropped columns.
 *
 * DROP COLUMN leaves the values where they are, in rows that were written
 * before.  They are gone with the next UPDATE of a row, and with the next
 * rewrite of the table.  The copy outlives both.  It holds, of each row, the
 * dropped values and the primary key, or the rest of the row where there is
 * none: equal rows are interchangeable.
 *
 * A copy costs what reading the table costs, under the lock that DROP COLUMN
 * holds, so it is made up to a size (upg.undo_copy_limit); beyond that the
 * values stay in place only.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/capture_columns.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "capture_internal.h"
#include "upg.h"

/* The columns that the step dropped and whose values are stored. */
static List *
stored_columns(UpgUndoLog *log, Oid relation)
{
	List *result = NIL;
	ListCell *lc;

	foreach (lc, upg_dropped_columns(log->catalogs, relation))
		if (((Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(lc)))->attgenerated == '\0')
			result = lappend(result, lfirst(lc));
	return result;
}

/* Was this column there before, as it is now? */
static bool
was_there(UpgUndoLog *log, Oid relation, AttrNumber attnum)
{
	ListCell *lc;

	foreach (lc, upg_change_list(log->catalogs, AttributeRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_attribute after;

		if (change->after == NULL)
			continue;
		after = (Form_pg_attribute) GETSTRUCT(change->after);
		if (after->attrelid == relation && after->attnum == attnum)
			return change->before != NULL;
	}
	return true;
}

/*
 * upg_columns_primary_key
 *		Columns of a table's primary key, or none.
 */
int
upg_columns_primary_key(Relation rel, int16 *columns)
{
	Oid index = upg_primary_key_index(rel);
	HeapTuple tuple;
	Form_pg_index form;
	int n;

	if (!OidIsValid(index))
		return 0;
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	form = (Form_pg_index) GETSTRUCT(tuple);
	n = form->indimmediate && form->indisvalid ? form->indnkeyatts : 0;
	for (int i = 0; i < n; i++)
		columns[i] = form->indkey.values[i];
	ReleaseSysCache(tuple);
	return n;
}

/* By which columns a row will be found again. */
static void
choose_key(UpgUndoLog *log, Relation rel, UpgKeptColumns *kept)
{
	TupleDesc desc = RelationGetDescr(rel);

	kept->key = palloc(sizeof(int16) * (desc->natts + INDEX_MAX_KEYS));
	kept->nkey = upg_columns_primary_key(rel, kept->key);
	kept->unique = kept->nkey > 0;
	for (int i = 0; i < kept->nkey; i++)
	{
		if (!was_there(log, kept->relation, kept->key[i]))
			kept->unique = false;
	}
	if (kept->unique)
		return;
	kept->nkey = 0;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && att->attgenerated == '\0' &&
			was_there(log, kept->relation, att->attnum))
			kept->key[kept->nkey++] = att->attnum;
	}
}

/*
 * upg_missing_value
 *		What rows that are older than a column have in it, by its row in
 *		pg_attribute.
 */
bool
upg_missing_value(HeapTuple attribute, Datum *value)
{
	Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT(attribute);
	Relation rel;
	Datum array;
	bool isnull;
	int one = 1;

	if (!att->atthasmissing)
		return false;
	rel = table_open(AttributeRelationId, AccessShareLock);
	array = heap_getattr(attribute, Anum_pg_attribute_attmissingval,
						 RelationGetDescr(rel), &isnull);
	if (!isnull)
		*value = array_get_element(array, 1, &one, -1, att->attlen, att->attbyval,
								   att->attalign, &isnull);
	table_close(rel, AccessShareLock);
	return !isnull;
}

/*
 * upg_columns_table_bytes
 *		What copying columns of a table reads: the table with its toasted values.
 */
uint64
upg_columns_table_bytes(Relation rel)
{
	uint64 blocks = RelationGetNumberOfBlocks(rel);

	if (OidIsValid(rel->rd_rel->reltoastrelid))
	{
		Relation toast = table_open(rel->rd_rel->reltoastrelid, AccessShareLock);

		blocks += RelationGetNumberOfBlocks(toast);
		table_close(toast, NoLock);
	}
	return blocks * BLCKSZ;
}

/* Put one value into the row to be kept, with everything inside. */
static void
take_value(Datum *values, bool *nulls, Form_pg_attribute att, Datum value)
{
	int i = att->attnum - 1;

	if (att->attlen == -1 && VARATT_IS_EXTERNAL(DatumGetPointer(value)))
		value = PointerGetDatum(
			detoast_external_attr((struct varlena *) DatumGetPointer(value)));
	values[i] = value;
	nulls[i] = false;
}

/* Write key and dropped values of every row that is not the step's own. */
static uint64
copy_values(UpgUndoLog *log, const UpgOwnRows *own, Relation rel, UpgKeptColumns *kept,
			List *dropped)
{
	TupleDesc now = RelationGetDescr(rel);
	TupleDesc desc = kept->desc;
	Datum *values = palloc(sizeof(Datum) * desc->natts);
	bool *nulls = palloc(sizeof(bool) * desc->natts);
	Datum *missing = palloc0(sizeof(Datum) * (kept->ncolumns + 1));
	bool *has_missing = palloc0(sizeof(bool) * (kept->ncolumns + 1));
	UpgChunkWriter *writer = upg_chunks_begin("undo_values", log->id, kept->relation);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	MemoryContext rowcxt =
		AllocSetContextCreate(CurrentMemoryContext, "upg value", ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcxt;
	HeapTuple row;
	ListCell *lc;

	foreach (lc, dropped)
		has_missing[foreach_current_index (lc)] =
			upg_missing_value(lfirst(lc), &missing[foreach_current_index (lc)]);
	while ((row = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		HeapTuple copy;

		CHECK_FOR_INTERRUPTS();
		if (upg_own_xid(own, HeapTupleHeaderGetRawXmin(row->t_data)))
			continue;
		oldcxt = MemoryContextSwitchTo(rowcxt);
		memset(nulls, true, sizeof(bool) * desc->natts);
		for (int i = 0; i < kept->nkey; i++)
		{
			bool isnull;
			Datum value = heap_getattr(row, kept->key[i], now, &isnull);

			if (!isnull)
				take_value(values, nulls, TupleDescAttr(desc, kept->key[i] - 1), value);
		}
		for (int i = 0; i < kept->ncolumns; i++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, kept->columns[i] - 1);
			bool isnull;
			Datum value;

			if (HeapTupleHeaderGetNatts(row->t_data) < att->attnum)
			{
				value = missing[i];
				isnull = !has_missing[i];
			}
			else
				value = heap_getattr(row, att->attnum, desc, &isnull);
			if (!isnull)
				take_value(values, nulls, att, value);
		}
		copy = heap_form_tuple(desc, values, nulls);
		MemoryContextSwitchTo(oldcxt);
		upg_chunks_add(writer, InvalidOid, 'V', copy->t_data, copy->t_len);
		kept->rows++;
		kept->bytes += copy->t_len;
		MemoryContextReset(rowcxt);
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	MemoryContextDelete(rowcxt);
	return upg_chunks_end(writer);
}

/*
 * upg_columns_desc
 *		The rows of a table as they were before the step, for reading copies.
 */
TupleDesc
upg_columns_desc(UpgUndoLog *log, Oid relation)
{
	UpgChange *change = upg_class_change(log, relation);
	HeapTuple tuple =
		change ? change->before : SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relation));
	TupleDesc desc;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "relation %u is not known", relation);
	desc = upg_old_desc(log, (Form_pg_class) GETSTRUCT(tuple));
	/* a copy is no value of the table's row type */
	desc->tdtypeid = RECORDOID;
	desc->tdtypmod = -1;
	return desc;
}

/*
 * upg_columns_are_copied
 *		Would the dropped columns of a table of this size be copied?
 */
bool
upg_columns_are_copied(uint64 bytes)
{
	return upg_guc_undo_copy_limit < 0 ||
		   bytes <= (uint64) upg_guc_undo_copy_limit * UINT64CONST(1024);
}

/*
 * upg_capture_columns
 *		Copy the values of the columns that the step dropped from tables that
 *		keep their file; fills log->columns and returns the digest.
 *
 * What is too large for a copy is said in "notes".
 */
uint64
upg_capture_columns(UpgUndoLog *log, const UpgOwnRows *own, List **notes)
{
	uint64 digest = 0;
	ListCell *lc;

	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);
		List *dropped;
		UpgKeptColumns *kept;
		Relation rel;
		uint64 bytes;
		ListCell *lc2;

		if (rows->switched || get_rel_relkind(rows->relation) != RELKIND_RELATION)
			continue;
		dropped = stored_columns(log, rows->relation);
		if (dropped == NIL)
			continue;
		rel = table_open(rows->relation, AccessShareLock);
		bytes = upg_columns_table_bytes(rel);
		/* an empty table, too: the copy says by which key rows of later are new */
		if (!upg_columns_are_copied(bytes))
		{
			*notes = lappend(
				*notes, psprintf("the values of dropped columns of table %s are kept in "
								 "place only: with " UINT64_FORMAT
								 " kB it is above upg.undo_copy_limit",
								 rows->name, bytes / 1024));
			table_close(rel, NoLock);
			continue;
		}
		kept = palloc0(sizeof(UpgKeptColumns));
		kept->relation = rows->relation;
		kept->columns = palloc(sizeof(int16) * list_length(dropped));
		foreach (lc2, dropped)
			kept->columns[kept->ncolumns++] =
				((Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(lc2)))->attnum;
		choose_key(log, rel, kept);
		kept->desc = upg_columns_desc(log, kept->relation);
		digest += copy_values(log, own, rel, kept, dropped);
		log->columns = lappend(log->columns, kept);
		table_close(rel, NoLock);
	}
	return digest;
}
