/*-------------------------------------------------------------------------
 *
 * undo_rows.c
 *		Putting the rows of the catalogs back.
 *
 * A changed row is merged column by column: only what the migration changed is
 * changed back, so what others did to the row since survives, and what the
 * server keeps in it (statistics, freeze horizons) too.
 *
 * Columns that the migration added to a table that keeps its file are not
 * deleted but marked as dropped: rows written since still carry the value, and
 * the next column must not inherit it.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_rows.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_shdepend.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

#include "undo_internal.h"

bool
upg_relkind_keeps_columns(char relkind)
{
	switch (relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_MATVIEW:
		case RELKIND_COMPOSITE_TYPE:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_FOREIGN_TABLE:
			return true;
		default:
			return false;
	}
}

static void
note_attribute(List **list, Oid relation, AttrNumber attnum)
{
	UpgAttributeAddress *address = palloc(sizeof(UpgAttributeAddress));

	address->relation = relation;
	address->attnum = attnum;
	*list = lappend(*list, address);
}

/*
 * becomes_tombstone
 *		Must this added column stay, marked as dropped?
 */
static bool
becomes_tombstone(UpgUndoRun *run, Form_pg_attribute att)
{
	UpgChange *change = upg_class_change(run->log, att->attrelid);
	char relkind;

	if (att->attnum <= 0)
		return false;
	if (change && change->before == NULL)
		return false;
	if (upg_class_switched(change) && upg_keep_find(run->log->files, att->attrelid))
		return false;
	relkind = change ? ((Form_pg_class) GETSTRUCT(change->after))->relkind
					 : get_rel_relkind(att->attrelid);
	return upg_relkind_keeps_columns(relkind);
}

/* The row of a column, marked as the server marks a dropped one. */
static HeapTuple
tombstone(HeapTuple row, TupleDesc desc)
{
	Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT(row);
	Datum values[Natts_pg_attribute];
	bool nulls[Natts_pg_attribute];
	NameData name;
	HeapTuple result;

	heap_deform_tuple(row, desc, values, nulls);
	memset(&name, 0, sizeof(name));
	snprintf(NameStr(name), NAMEDATALEN, "........pg.dropped.%d........", att->attnum);
	values[Anum_pg_attribute_attname - 1] = NameGetDatum(&name);
	values[Anum_pg_attribute_atttypid - 1] = ObjectIdGetDatum(InvalidOid);
	values[Anum_pg_attribute_attisdropped - 1] = BoolGetDatum(true);
	values[Anum_pg_attribute_attnotnull - 1] = BoolGetDatum(false);
	values[Anum_pg_attribute_attgenerated - 1] = CharGetDatum('\0');
	values[Anum_pg_attribute_attidentity - 1] = CharGetDatum('\0');
	values[Anum_pg_attribute_atthasdef - 1] = BoolGetDatum(false);
	values[Anum_pg_attribute_atthasmissing - 1] = BoolGetDatum(false);
	nulls[Anum_pg_attribute_attmissingval - 1] = true;
	nulls[Anum_pg_attribute_attacl - 1] = true;
	nulls[Anum_pg_attribute_attfdwoptions - 1] = true;
	upg_set_no_stattarget(values, nulls);
	result = heap_form_tuple(desc, values, nulls);
	result->t_self = row->t_self;
	return result;
}

/* Is this relation one that the log brings back?  Others may have dropped it since. */
static bool
comes_back(UpgUndoRun *run, Oid relation)
{
	UpgChange *change = upg_class_change(run->log, relation);

	return change && change->before && change->after == NULL;
}

/*
 * merge_class
 *		Repair the counters and pointers of a merged pg_class row.
 */
static void
merge_class(UpgUndoRun *run, UpgChange *change, HeapTuple merged)
{
	Form_pg_class before = (Form_pg_class) GETSTRUCT(change->before);
	Form_pg_class after = (Form_pg_class) GETSTRUCT(change->after);
	Form_pg_class current = (Form_pg_class) GETSTRUCT(change->current);
	Form_pg_class form = (Form_pg_class) GETSTRUCT(merged);
	UpgKeptFile *file = upg_keep_find(run->log->files, before->oid);

	form->relpages = current->relpages;
	form->reltuples = current->reltuples;
	form->relallvisible = current->relallvisible;
	form->relfrozenxid = current->relfrozenxid;
	form->relminmxid = current->relminmxid;
	form->relhasindex = current->relhasindex || before->relhasindex;
	form->relhasrules = current->relhasrules || before->relhasrules;
	form->relhastriggers = current->relhastriggers || before->relhastriggers;
	form->relhassubclass = current->relhassubclass || before->relhassubclass;
	form->relchecks = current->relchecks - after->relchecks + before->relchecks;
	form->relfilenode = current->relfilenode;
	form->reltoastrelid = current->reltoastrelid;
	form->relnatts =
		upg_relkind_keeps_columns(form->relkind) ? current->relnatts : before->relnatts;

	if (file && upg_class_switched(change))
	{
		form->relfilenode = before->relfilenode;
		if (current->reltoastrelid != before->reltoastrelid)
			upg_file_leave_toast(run, current->reltoastrelid);
		form->reltoastrelid = before->reltoastrelid;
		form->relnatts = before->relnatts;
		form->relpages = before->relpages;
		form->reltuples = before->reltuples;
		form->relallvisible = before->relallvisible;
		form->relfrozenxid = before->relfrozenxid;
		form->relminmxid = before->relminmxid;
		upg_file_restore(run, form, current);
	}
	else if (upg_class_switched(change) && form->relkind == RELKIND_INDEX &&
			 (before->reltablespace != after->reltablespace ||
			  before->relpersistence != after->relpersistence) &&
			 !run->options->proof)
	{
		upg_file_drop(form->oid);
		form->relfilenode = upg_file_fresh(form);
		run->reindex = lappend_oid(run->reindex, form->oid);
	}
	else if (OidIsValid(before->reltoastrelid) && !OidIsValid(form->reltoastrelid) &&
			 comes_back(run, before->reltoastrelid))
		form->reltoastrelid = before->reltoastrelid;
}

/*
 * merge_system_class
 *		A relation of the server's own keeps the file of now.
 *
 * REINDEX or CLUSTER gave it that, with the same content; the one of before is
 * not kept, and other sessions have written to this one since.
 */
static void
merge_system_class(UpgChange *change, HeapTuple merged)
{
	Form_pg_class current = (Form_pg_class) GETSTRUCT(change->current);
	Form_pg_class form = (Form_pg_class) GETSTRUCT(merged);

	form->relfilenode = current->relfilenode;
	form->reltablespace = current->reltablespace;
	form->relfrozenxid = current->relfrozenxid;
	form->relminmxid = current->relminmxid;
}

/*
 * merge
 *		The row of now with every column that the migration changed put back.
 */
static HeapTuple
merge(UpgUndoRun *run, Relation rel, UpgCatalogInfo *info, UpgChange *change)
{
	TupleDesc desc = RelationGetDescr(rel);
	Bitmapset *changed = upg_catalog_diff(rel, change->before, change->after);
	Datum *values = palloc(sizeof(Datum) * desc->natts);
	bool *nulls = palloc(sizeof(bool) * desc->natts);
	HeapTuple merged;
	int attnum = -1;

	heap_deform_tuple(change->current, desc, values, nulls);
	while ((attnum = bms_next_member(changed, attnum)) >= 0)
	{
		if (bms_is_member(attnum, info->moving))
			continue;
		values[attnum - 1] =
			heap_getattr(change->before, attnum, desc, &nulls[attnum - 1]);
	}
	if (RelationGetRelid(rel) == AttributeRelationId)
	{
		int i = Anum_pg_attribute_attoptions;
		bool bnull;
		bool cnull;
		Datum before = heap_getattr(change->before, i, desc, &bnull);
		Datum current = heap_getattr(change->current, i, desc, &cnull);

		if (bms_is_member(i, changed))
			values[i - 1] =
				upg_attoptions_merge(before, bnull, current, cnull, &nulls[i - 1]);
	}
	merged = heap_form_tuple(desc, values, nulls);
	merged->t_self = change->current->t_self;
	if (RelationGetRelid(rel) == RelationRelationId)
	{
		if (((Form_pg_class) GETSTRUCT(merged))->oid >= FirstNormalObjectId)
			merge_class(run, change, merged);
		else
			merge_system_class(change, merged);
	}
	return merged;
}

/*
 * must_reinsert
 *		Does the row get back a name that another row may hold until then?
 *
 * Two objects that swapped names cannot be updated one after the other.
 */
static bool
must_reinsert(Relation rel, UpgCatalogInfo *info, UpgChange *change)
{
	Bitmapset *changed = upg_catalog_diff(rel, change->before, change->after);

	return bms_overlap(changed, info->uniques);
}

static void
note_attribute_change(UpgUndoRun *run, UpgChange *change)
{
	Form_pg_attribute after = (Form_pg_attribute) GETSTRUCT(change->after);
	Form_pg_attribute before =
		change->before ? (Form_pg_attribute) GETSTRUCT(change->before) : NULL;

	if (after->attnum <= 0 || after->attrelid < FirstNormalObjectId)
		return;
	if (before == NULL || before->atttypid != after->atttypid ||
		before->atttypmod != after->atttypmod)
		note_attribute(&run->statistics, after->attrelid, after->attnum);
	if (before && !before->attisdropped && !after->attisdropped &&
		before->atttypid != after->atttypid)
		note_attribute(&run->versions, after->attrelid, after->attnum);
}

/* An index that was not valid for a while has missed rows. */
static void
note_index_change(UpgUndoRun *run, UpgChange *change)
{
	Form_pg_index before = (Form_pg_index) GETSTRUCT(change->before);
	Form_pg_index after = (Form_pg_index) GETSTRUCT(change->after);

	if (!run->options->proof && before->indisvalid && !after->indisvalid)
		run->reindex = list_append_unique_oid(run->reindex, before->indexrelid);
}

/* First pass over one catalog: what the migration made or changed. */
void
upg_rows_take_back(UpgUndoRun *run, UpgCatalogChanges *changes)
{
	Relation rel = table_open(changes->catalog, RowExclusiveLock);
	UpgCatalogInfo *info = upg_catalog_info(rel);
	CatalogIndexState indexes = CatalogOpenIndexes(rel);
	ListCell *lc;

	foreach (lc, changes->changes)
	{
		UpgChange *change = lfirst(lc);

		if (change->after == NULL || change->current == NULL)
			continue;
		run->result->catalog_rows++;
		if (changes->catalog == AttributeRelationId)
			note_attribute_change(run, change);

		if (change->before)
		{
			HeapTuple merged;

			if (changes->catalog == RelationRelationId)
			{
				Form_pg_class current = (Form_pg_class) GETSTRUCT(change->current);

				if (upg_class_switched(change) &&
					upg_keep_find(run->log->files, current->oid))
				{
					upg_file_drop(current->oid);
					run->trimmed = lappend_oid(run->trimmed, current->oid);
				}
			}
			if (changes->catalog == IndexRelationId)
				note_index_change(run, change);
			merged = merge(run, rel, info, change);
			change->reinsert = must_reinsert(rel, info, change);
			if (change->reinsert)
			{
				CatalogTupleDelete(rel, &change->current->t_self);
				change->current = merged;
			}
			else
				CatalogTupleUpdateWithInfo(rel, &merged->t_self, merged, indexes);
			continue;
		}

		if (changes->catalog == AttributeRelationId)
		{
			Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT(change->current);

			note_attribute(&run->columns, att->attrelid, att->attnum);
		}
		if (changes->catalog == AttributeRelationId &&
			becomes_tombstone(run, (Form_pg_attribute) GETSTRUCT(change->current)))
		{
			HeapTuple row = tombstone(change->current, RelationGetDescr(rel));

			CatalogTupleUpdateWithInfo(rel, &row->t_self, row, indexes);
			continue;
		}
		if (changes->catalog == RelationRelationId)
		{
			Form_pg_class form = (Form_pg_class) GETSTRUCT(change->current);
			Form_pg_class after = (Form_pg_class) GETSTRUCT(change->after);

			run->gone = lappend_oid(run->gone, form->oid);
			upg_file_leave_toast(run, form->reltoastrelid);
			/* a proof takes no lock on what is committed already */
			if (RELKIND_HAS_STORAGE(form->relkind) && OidIsValid(form->relfilenode) &&
				!(run->options->proof && run->log->merged) &&
				!upg_file_owner(changes, after, true, InvalidOid))
				upg_file_drop(form->oid);
		}
		if (info->oidcol)
		{
			ObjectAddress *address = palloc(sizeof(ObjectAddress));
			bool isnull;

			ObjectAddressSet(
				*address, changes->catalog,
				DatumGetObjectId(heap_getattr(change->current, info->oidcol,
											  RelationGetDescr(rel), &isnull)));
			run->removed = lappend(run->removed, address);
		}
		CatalogTupleDelete(rel, &change->current->t_self);
		if (changes->catalog == RelationRelationId)
			RelationForgetRelation(((Form_pg_class) GETSTRUCT(change->current))->oid);
	}
	CatalogCloseIndexes(indexes);
	table_close(rel, NoLock);
}

/*
 * upg_rows_trim
 *		Remove the column rows of relations that are gone, and those beyond the
 *		columns that a file from before has.
 */
void
upg_rows_trim(UpgUndoRun *run)
{
	Relation rel;
	ListCell *lc;

	if (run->gone == NIL && run->trimmed == NIL)
		return;
	rel = table_open(AttributeRelationId, RowExclusiveLock);
	for (int pass = 0; pass < 2; pass++)
	{
		foreach (lc, pass == 0 ? run->gone : run->trimmed)
		{
			ScanKeyData key;
			SysScanDesc scan;
			HeapTuple tuple;
			int keep = 0;

			if (pass == 1)
				keep = ((Form_pg_class) GETSTRUCT(
							upg_class_change(run->log, lfirst_oid(lc))->before))
						   ->relnatts;
			ScanKeyInit(&key, Anum_pg_attribute_attrelid, BTEqualStrategyNumber, F_OIDEQ,
						ObjectIdGetDatum(lfirst_oid(lc)));
			scan = systable_beginscan(rel, AttributeRelidNumIndexId, true, SnapshotSelf,
									  1, &key);
			while (HeapTupleIsValid(tuple = systable_getnext(scan)))
				if (pass == 0 || ((Form_pg_attribute) GETSTRUCT(tuple))->attnum > keep)
					CatalogTupleDelete(rel, &tuple->t_self);
			systable_endscan(scan);
		}
	}
	table_close(rel, NoLock);
}

/* Last pass over one catalog: what the migration removed. */
void
upg_rows_bring_back(UpgUndoRun *run, UpgCatalogChanges *changes)
{
	Relation rel = table_open(changes->catalog, RowExclusiveLock);
	CatalogIndexState indexes = CatalogOpenIndexes(rel);
	UpgCatalogInfo *info = upg_catalog_info(rel);
	ListCell *lc;

	foreach (lc, changes->changes)
	{
		UpgChange *change = lfirst(lc);
		HeapTuple row;

		if (change->after == NULL)
		{
			if (changes->catalog == SharedDependRelationId &&
				upg_catalog_find(rel, info, change->before, NULL))
				continue;
			row = heap_copytuple(change->before);
			if (changes->catalog == RelationRelationId)
				upg_file_restore(run, (Form_pg_class) GETSTRUCT(row), NULL);
			run->result->catalog_rows++;
		}
		else if (change->reinsert)
			row = heap_copytuple(change->current);
		else
			continue;
		CatalogTupleInsertWithInfo(rel, row, indexes);
	}
	CatalogCloseIndexes(indexes);
	table_close(rel, NoLock);
}
