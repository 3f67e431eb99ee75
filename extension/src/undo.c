/*-------------------------------------------------------------------------
 *
 * undo.c
 *		Taking a captured step back.
 *
 * Catalog rows come back with their OIDs.  Three passes, with no command
 * counter increment between them, so that nobody sees (and caches) half of
 * it: rows that the migration made go, rows that it changed change back in
 * place, rows that it removed come back.  A changed row is merged column by
 * column: only what the migration changed is changed back, so what others did
 * to the row since survives, and what the server keeps in it (statistics,
 * freeze horizons) too.
 *
 * Columns that the migration added to a table that keeps its file are not
 * deleted but marked as dropped: rows written since still carry the value, and
 * the next column must not inherit it.
 *
 * The same code runs for the proof, inside the migration and to be thrown
 * away.  There it takes no lock and rebuilds no index.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_namespace.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_shdepend.h"
#include "catalog/pg_trigger.h"
#include "catalog/storage.h"
#include "commands/comment.h"
#include "commands/seclabel.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "errors.h"
#include "undo.h"

/* State of one run. */
typedef struct UndoRun
{
	UpgUndoLog *log;
	UpgUndoOptions *options;
	UpgUndoResult *result;
	List *removed;    /* of ObjectAddress */
	List *gone;       /* relations that go away */
	List *trimmed;    /* relations whose old file comes back */
	List *reindex;    /* indexes to build */
	List *versions;   /* of AttributeAddress whose type changes back */
	List *statistics; /* of AttributeAddress without statistics */
	List *toasts;     /* TOAST tables that lose their table */
} UndoRun;

typedef struct AttributeAddress
{
	Oid relation;
	AttrNumber attnum;
} AttributeAddress;

/*
 * upg_class_change
 *		The change of a relation's pg_class row, or NULL.
 */
UpgChange *
upg_class_change(UpgUndoLog *log, Oid relation)
{
	UpgCatalogChanges *classes = upg_changes_of(log->catalogs, RelationRelationId);
	ListCell *lc;

	if (classes)
		foreach (lc, classes->changes)
		{
			UpgChange *change = lfirst(lc);
			HeapTuple row = change->after ? change->after : change->before;

			if (((Form_pg_class) GETSTRUCT(row))->oid == relation)
				return change;
		}
	return NULL;
}

/*
 * upg_class_switched
 *		Was there before and is there still, with another file?
 */
bool
upg_class_switched(UpgChange *change)
{
	return change && change->before && change->after &&
		   ((Form_pg_class) GETSTRUCT(change->before))->relfilenode !=
			   ((Form_pg_class) GETSTRUCT(change->after))->relfilenode;
}

static bool
relkind_keeps_columns(char relkind)
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
	AttributeAddress *address = palloc(sizeof(AttributeAddress));

	address->relation = relation;
	address->attnum = attnum;
	*list = lappend(*list, address);
}

/*
 * becomes_tombstone
 *		Must this added column stay, marked as dropped?
 */
static bool
becomes_tombstone(UndoRun *run, Form_pg_attribute att)
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
	return relkind_keeps_columns(relkind);
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

/* Does a relation from before own this file, so that it must not be dropped? */
static bool
file_wanted(UpgUndoLog *log, Oid filenumber, Oid tablespace)
{
	UpgCatalogChanges *classes = upg_changes_of(log->catalogs, RelationRelationId);
	ListCell *lc;

	foreach (lc, classes->changes)
	{
		UpgChange *change = lfirst(lc);
		Form_pg_class form;

		if (change->before == NULL)
			continue;
		form = (Form_pg_class) GETSTRUCT(change->before);
		if (form->relfilenode == filenumber && form->reltablespace == tablespace)
			return true;
	}
	return false;
}

/* Drop the present file of a relation, at commit. */
static void
drop_file(Oid relation)
{
	Relation rel = relation_open(relation, AccessExclusiveLock);

	RelationDropStorage(rel);
	relation_close(rel, NoLock);
}

/*
 * successor
 *		The relation that the migration made and that took over this file.
 */
static UpgChange *
successor(UpgUndoLog *log, Form_pg_class before)
{
	UpgCatalogChanges *classes = upg_changes_of(log->catalogs, RelationRelationId);
	ListCell *lc;

	foreach (lc, classes->changes)
	{
		UpgChange *change = lfirst(lc);
		Form_pg_class after;

		if (change->after == NULL)
			continue;
		after = (Form_pg_class) GETSTRUCT(change->after);
		if (after->oid != before->oid && after->relfilenode == before->relfilenode &&
			after->reltablespace == before->reltablespace)
			return change;
	}
	return NULL;
}

/* A new file number, with an empty file behind it. */
static Oid
fresh_file(Form_pg_class form)
{
	UpgRelFileLocator locator;

	UPG_LOCATOR_SPC(locator) =
		OidIsValid(form->reltablespace) ? form->reltablespace : MyDatabaseTableSpace;
	UPG_LOCATOR_DB(locator) = MyDatabaseId;
	UPG_LOCATOR_NUMBER(locator) =
		upg_new_filenumber(form->reltablespace, NULL, form->relpersistence);
	RelationCreateStorage(locator, form->relpersistence, true);
	return UPG_LOCATOR_NUMBER(locator);
}

/* The caretaker's freeze horizons belong to the rows of its file. */
static void
take_horizons(UpgKeptFile *file, Form_pg_class form)
{
	Form_pg_class keeper = (Form_pg_class) GETSTRUCT(upg_keep_caretaker(file));

	if (TransactionIdIsValid(keeper->relfrozenxid))
	{
		form->relfrozenxid = keeper->relfrozenxid;
		form->relminmxid = keeper->relminmxid;
	}
}

/* Was the file vacuumed while it was kept?  Then its indexes are stale. */
static bool
was_vacuumed(UpgUndoLog *log, Oid table)
{
	UpgKeptFile *file = upg_keep_find(log->files, table);

	if (file == NULL)
		return false;
	return ((Form_pg_class) GETSTRUCT(upg_keep_caretaker(file)))->reltuples >= 0;
}

/* The table of an index, as of before the migration. */
static Oid
table_of_index(UpgUndoLog *log, Oid index)
{
	UpgCatalogChanges *indexes = upg_changes_of(log->catalogs, IndexRelationId);
	HeapTuple tuple;
	Oid result = InvalidOid;
	ListCell *lc;

	if (indexes)
		foreach (lc, indexes->changes)
		{
			UpgChange *change = lfirst(lc);

			if (change->before &&
				((Form_pg_index) GETSTRUCT(change->before))->indexrelid == index)
				return ((Form_pg_index) GETSTRUCT(change->before))->indrelid;
		}
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_index) GETSTRUCT(tuple))->indrelid;
		ReleaseSysCache(tuple);
	}
	return result;
}

/*
 * restore_file
 *		Decide which file a relation from before gets; "form" is the row that
 *		will be written, "current" the row of now or NULL.
 */
static void
restore_file(UndoRun *run, Form_pg_class form, Form_pg_class current)
{
	UpgKeptFile *file = upg_keep_find(run->log->files, form->oid);
	UpgChange *heir;

	if (!RELKIND_HAS_STORAGE(form->relkind) || form->oid < FirstNormalObjectId)
		return;
	if (file)
	{
		if (form->relkind == RELKIND_INDEX)
		{
			if (!run->options->proof &&
				was_vacuumed(run->log, table_of_index(run->log, form->oid)))
				run->reindex = lappend_oid(run->reindex, form->oid);
		}
		else
			take_horizons(file, form);
		return;
	}
	if (form->relkind != RELKIND_INDEX)
		return;
	heir = successor(run->log, form);
	if (heir && heir->before == NULL && heir->current)
	{
		form->relfilenode = ((Form_pg_class) GETSTRUCT(heir->current))->relfilenode;
		return;
	}
	if (current)
		return; /* the file of now is good: its table lives on */
	if (run->options->proof)
		return; /* the file of before is still there and good */
	form->relfilenode = fresh_file(form);
	run->reindex = lappend_oid(run->reindex, form->oid);
}

/*
 * leave_toast
 *		A table goes away, or gets back the TOAST table of before: the one of
 *		now goes with it, also if it was made after the migration.
 */
static void
leave_toast(UndoRun *run, Oid toast)
{
	UpgChange *change;

	if (!OidIsValid(toast))
		return;
	change = upg_class_change(run->log, toast);
	if (change == NULL)
		run->toasts = list_append_unique_oid(run->toasts, toast);
}

/*
 * merge_class
 *		Repair the counters and pointers of a merged pg_class row.
 */
static void
merge_class(UndoRun *run, UpgChange *change, HeapTuple merged)
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
		relkind_keeps_columns(form->relkind) ? current->relnatts : before->relnatts;

	if (file && upg_class_switched(change))
	{
		form->relfilenode = before->relfilenode;
		if (current->reltoastrelid != before->reltoastrelid)
			leave_toast(run, current->reltoastrelid);
		form->reltoastrelid = before->reltoastrelid;
		form->relnatts = before->relnatts;
		form->relpages = before->relpages;
		form->reltuples = before->reltuples;
		form->relallvisible = before->relallvisible;
		form->relfrozenxid = before->relfrozenxid;
		form->relminmxid = before->relminmxid;
		restore_file(run, form, current);
	}
	else if (upg_class_switched(change) && form->relkind == RELKIND_INDEX &&
			 (before->reltablespace != after->reltablespace ||
			  before->relpersistence != after->relpersistence) &&
			 !run->options->proof)
	{
		drop_file(form->oid);
		form->relfilenode = fresh_file(form);
		run->reindex = lappend_oid(run->reindex, form->oid);
	}
	else if (OidIsValid(before->reltoastrelid) && !OidIsValid(form->reltoastrelid))
		form->reltoastrelid = before->reltoastrelid;
}

/*
 * merge
 *		The row of now with every column that the migration changed put back.
 */
static HeapTuple
merge(UndoRun *run, Relation rel, UpgCatalogInfo *info, UpgChange *change)
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
	if (RelationGetRelid(rel) == RelationRelationId &&
		((Form_pg_class) GETSTRUCT(merged))->oid >= FirstNormalObjectId)
		merge_class(run, change, merged);
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
note_attribute_change(UndoRun *run, UpgChange *change)
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

/* First pass over one catalog: what the migration made or changed. */
static void
take_back_rows(UndoRun *run, UpgCatalogChanges *changes)
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
					drop_file(current->oid);
					run->trimmed = lappend_oid(run->trimmed, current->oid);
				}
			}
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
			leave_toast(run, form->reltoastrelid);
			if (RELKIND_HAS_STORAGE(form->relkind) && OidIsValid(form->relfilenode) &&
				!file_wanted(run->log, after->relfilenode, after->reltablespace))
				drop_file(form->oid);
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
 * trim_columns
 *		Remove the column rows of relations that are gone, and those beyond the
 *		columns that a file from before has.
 */
static void
trim_columns(UndoRun *run)
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
static void
bring_back_rows(UndoRun *run, UpgCatalogChanges *changes)
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
				restore_file(run, (Form_pg_class) GETSTRUCT(row), NULL);
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

/*
 * set_hint_flags
 *		relhastriggers and its like are cleared by VACUUM when a table has none
 *		left.  A trigger that comes back to such a table would never fire.
 */
static void
set_hint_flags(UndoRun *run)
{
	static const Oid catalogs[] = {TriggerRelationId, RewriteRelationId, IndexRelationId,
								   InheritsRelationId};
	Relation pgclass = NULL;

	for (int i = 0; i < lengthof(catalogs); i++)
	{
		UpgCatalogChanges *changes = upg_changes_of(run->log->catalogs, catalogs[i]);
		Relation rel;
		ListCell *lc;

		if (changes == NULL)
			continue;
		rel = table_open(catalogs[i], AccessShareLock);
		foreach (lc, changes->changes)
		{
			UpgChange *change = lfirst(lc);
			Oid second;
			Oid relation;
			HeapTuple tuple;
			Form_pg_class form;
			bool *flag = NULL;

			if (change->before == NULL)
				continue;
			relation = upg_row_relation(catalogs[i], change->before,
										RelationGetDescr(rel), &second);
			tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relation));
			if (!HeapTupleIsValid(tuple))
				continue;
			form = (Form_pg_class) GETSTRUCT(tuple);
			switch (catalogs[i])
			{
				case TriggerRelationId:
					flag = &form->relhastriggers;
					break;
				case RewriteRelationId:
					flag = &form->relhasrules;
					break;
				case IndexRelationId:
					flag = &form->relhasindex;
					break;
				case InheritsRelationId:
					flag = &form->relhassubclass;
					break;
			}
			if (!*flag)
			{
				*flag = true;
				if (pgclass == NULL)
					pgclass = table_open(RelationRelationId, RowExclusiveLock);
				CatalogTupleUpdate(pgclass, &tuple->t_self, tuple);
				CommandCounterIncrement();
			}
		}
		table_close(rel, AccessShareLock);
	}
	if (pgclass)
		table_close(pgclass, NoLock);
}

/* Every relation that a changed row is part of forgets what it knew. */
static void
invalidate(UndoRun *run)
{
	List *relations = NIL;
	ListCell *lc;

	foreach (lc, run->log->catalogs)
	{
		UpgCatalogChanges *changes = lfirst(lc);
		Relation rel;
		ListCell *lc2;

		if (changes->catalog == PublicationRelationId ||
			changes->catalog == PublicationNamespaceRelationId)
			CacheInvalidateRelcacheAll();
		rel = table_open(changes->catalog, AccessShareLock);
		foreach (lc2, changes->changes)
		{
			UpgChange *change = lfirst(lc2);
			HeapTuple rows[2] = {change->before, change->after};

			for (int i = 0; i < 2; i++)
			{
				Oid second;
				Oid first;

				if (rows[i] == NULL)
					continue;
				first = upg_row_relation(changes->catalog, rows[i], RelationGetDescr(rel),
										 &second);
				if (OidIsValid(first))
					relations = list_append_unique_oid(relations, first);
				if (OidIsValid(second))
					relations = list_append_unique_oid(relations, second);
			}
		}
		table_close(rel, AccessShareLock);
	}
	foreach (lc, relations)
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lfirst_oid(lc))))
			CacheInvalidateRelcacheByRelid(lfirst_oid(lc));
}

/* What hangs on a removed object without a row of ours: comments and the like. */
static void
sweep_removed(UndoRun *run)
{
	ListCell *lc;

	foreach (lc, run->toasts)
	{
		ObjectAddress toast;

		ObjectAddressSet(toast, RelationRelationId, lfirst_oid(lc));
		deleteDependencyRecordsFor(RelationRelationId, lfirst_oid(lc), false);
		CommandCounterIncrement();
		performDeletion(&toast, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	}
	foreach (lc, run->removed)
	{
		ObjectAddress *address = lfirst(lc);

		deleteDependencyRecordsFor(address->classId, address->objectId, false);
		deleteSharedDependencyRecordsFor(address->classId, address->objectId, 0);
		DeleteComments(address->objectId, address->classId, 0);
		DeleteSecurityLabel(address);
		if (address->classId == RelationRelationId)
			RemoveStatistics(address->objectId, 0);
	}
	foreach (lc, run->statistics)
	{
		AttributeAddress *address = lfirst(lc);

		if (!list_member_oid(run->gone, address->relation))
			RemoveStatistics(address->relation, address->attnum);
	}
}

/*
 * renew_versions
 *		Columns whose type changed back get a new attribute version, on servers
 *		that have them: values built meanwhile must be refused, not misread.
 */
static void
renew_versions(UndoRun *run)
{
	/* the name of the hidden option tells that this minor release has them */
#ifdef ATTRIBUTE_VERSION_ATTOPTION
	ListCell *lc;

	foreach (lc, run->versions)
	{
		AttributeAddress *address = lfirst(lc);
		char relkind = get_rel_relkind(address->relation);
		Relation rel;

		if (relkind == '\0' ||
			(!relkind_keeps_columns(relkind) && relkind != RELKIND_VIEW))
			continue;
		rel = relation_open(address->relation, AccessExclusiveLock);
		if (address->attnum <= RelationGetNumberOfAttributes(rel))
			SetAttributeVersions(rel, address->attnum, GetNextAttributeVersion());
		relation_close(rel, NoLock);
		CommandCounterIncrement();
	}
#endif
}

/*
 * enum_indexes
 *		Indexes over an enum type that loses a label: pages of theirs may still
 *		hold the label's OID, which could no longer be compared.
 */
static void
enum_indexes(UndoRun *run)
{
	UpgCatalogChanges *changes = upg_changes_of(run->log->catalogs, EnumRelationId);
	List *types = NIL;
	Relation rel;
	SysScanDesc scan;
	HeapTuple tuple;
	ListCell *lc;

	if (changes == NULL || run->options->proof)
		return;
	foreach (lc, changes->changes)
	{
		UpgChange *change = lfirst(lc);

		if (change->before == NULL && change->after)
		{
			Oid type = ((Form_pg_enum) GETSTRUCT(change->after))->enumtypid;

			if (get_typtype(type) == TYPTYPE_ENUM)
				types = list_append_unique_oid(types, type);
		}
	}
	if (types == NIL)
		return;
	rel = table_open(AttributeRelationId, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT(tuple);
		Oid type = att->atttypid;

		if (!OidIsValid(type) || att->attnum <= 0)
			continue;
		if (OidIsValid(get_element_type(type)))
			type = get_element_type(type);
		type = getBaseType(type);
		if (list_member_oid(types, type) &&
			get_rel_relkind(att->attrelid) == RELKIND_INDEX)
			run->reindex = list_append_unique_oid(run->reindex, att->attrelid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* Build the indexes that came back without content. */
static void
rebuild_indexes(UndoRun *run)
{
	ListCell *lc;

	foreach (lc, run->reindex)
	{
		Oid index = lfirst_oid(lc);
		HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
		ReindexParams params = {0};
		bool valid;

		if (!HeapTupleIsValid(tuple))
			continue;
		valid = ((Form_pg_index) GETSTRUCT(tuple))->indisvalid;
		ReleaseSysCache(tuple);
		/* an invalid one was left by a failed build, which would fail again */
		if (!valid)
		{
			Relation rel = index_open(index, AccessExclusiveLock);

			index_close(rel, NoLock);
			continue;
		}
		upg_reindex_index(index, get_rel_persistence(index), &params);
		CommandCounterIncrement();
		run->result->indexes_rebuilt++;
		run->result->actions =
			lappend(run->result->actions,
					psprintf("index \"%s\" is rebuilt", get_rel_name(index)));
	}
}

/*
 * upg_undo_perform
 *		Take the logged step back.
 *
 * Locks and checks are behind us; log->catalogs hold the current rows.
 */
void
upg_undo_perform(UpgUndoLog *log, UpgUndoOptions *options, UpgUndoResult *result)
{
	UndoRun run = {0};
	ListCell *lc;

	run.log = log;
	run.options = options;
	run.result = result;

	/* rows that the migration wrote into files that stay */
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);

		if (!rows->switched && rows->inserted > 0)
			upg_data_remove(log, rows, options, result);
	}
	CommandCounterIncrement();

	/* catalogs, in one go */
	foreach (lc, log->catalogs)
		take_back_rows(&run, lfirst(lc));
	trim_columns(&run);
	foreach (lc, log->catalogs)
		bring_back_rows(&run, lfirst(lc));
	foreach (lc, log->files)
		upg_keep_release(lfirst(lc));
	CommandCounterIncrement();
	invalidate(&run);
	CommandCounterIncrement();
	set_hint_flags(&run);
	sweep_removed(&run);
	CommandCounterIncrement();

	/* rows that the migration removed, in the files that they belong to */
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);

		if (rows->switched && rows->inserted > 0)
			upg_data_remove(log, rows, options, result);
	}
	CommandCounterIncrement();
	enum_indexes(&run);
	if (!options->proof)
		rebuild_indexes(&run);
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);

		if (rows->deleted > 0)
			upg_data_restore(log, rows, options, result);
	}
	CommandCounterIncrement();

	upg_undo_check_references(log);
	if (!options->proof)
	{
		renew_versions(&run);
		upg_sequences_restore(log, result);
		upg_data_revalidate(log, log->relations, result);
	}
}

static void
append_list(StringInfo buf, List *list, int max)
{
	int n = 0;
	ListCell *lc;

	foreach (lc, list)
	{
		if (++n > max)
		{
			appendStringInfo(buf, "\nand %d more", list_length(list) - max);
			return;
		}
		appendStringInfo(buf, "%s%s", n > 1 ? "\n" : "", (char *) lfirst(lc));
	}
}

/* For a dry run: what the rollback would do. */
static void
describe_actions(UpgUndoLog *log, UpgUndoResult *result)
{
	ListCell *lc;

	foreach (lc, log->catalogs)
	{
		UpgCatalogChanges *changes = lfirst(lc);
		Relation rel;
		ListCell *lc2;

		if (changes->catalog == DependRelationId ||
			changes->catalog == SharedDependRelationId)
			continue;
		rel = table_open(changes->catalog, AccessShareLock);
		foreach (lc2, changes->changes)
		{
			UpgChange *change = lfirst(lc2);
			const char *what = change->before == NULL  ? "removed"
							   : change->after == NULL ? "restored"
													   : "changed back";

			result->actions =
				lappend(result->actions,
						psprintf("%s is %s",
								 upg_catalog_describe(changes->catalog,
													  change->before ? change->before
																	 : change->after,
													  RelationGetDescr(rel)),
								 what));
			result->catalog_rows++;
		}
		table_close(rel, AccessShareLock);
	}
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);

		if (rows->switched)
			result->actions = lappend(
				result->actions, psprintf("table %s gets back its file", rows->name));
		if (rows->inserted > 0)
			result->actions = lappend(
				result->actions, psprintf(INT64_FORMAT " rows of table %s are taken out",
										  rows->inserted, rows->name));
		if (rows->deleted > 0)
			result->actions = lappend(
				result->actions, psprintf(INT64_FORMAT " rows of table %s are put back",
										  rows->deleted, rows->name));
		result->data_rows += rows->inserted + rows->deleted;
	}
}

/*
 * upg_undo_rollback
 *		Take a migration's step back, in the present transaction.
 *
 * All or nothing: any conflict is an error (UP022) that names what stands in
 * the way.  Afterwards the log is erased but for its head.
 */
void
upg_undo_rollback(int64 migration, int32 step, UpgUndoOptions *options,
				  UpgUndoResult *result)
{
	UpgUndoLog *log;
	List *conflicts = NIL;
	MemoryContext oldcxt = CurrentMemoryContext;

	memset(result, 0, sizeof(*result));
	if (RecoveryInProgress())
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
						errmsg("cannot roll back on a standby")));
	upg_alias_load();
	log = upg_undo_log_read(migration, step, false);
	if (log == NULL)
		ereport(ERROR, (errcode(ERRCODE_UPG_NO_UNDO),
						errmsg("no undo is kept of migration " INT64_FORMAT ", step %d",
							   migration, step)));

	upg_undo_lock(log);
	upg_undo_locate(log, options, &conflicts);
	upg_undo_check_privileges(log);
	upg_undo_check_dependents(log, &conflicts);
	if (conflicts == NIL)
		upg_undo_check_rows(log, options, &conflicts);
	if (conflicts != NIL)
	{
		StringInfoData detail;

		initStringInfo(&detail);
		append_list(&detail, conflicts, 50);
		ereport(ERROR, (errcode(ERRCODE_UPG_LATER_CHANGES),
						errmsg("later changes stand in the way of the rollback"),
						errdetail("%s", detail.data),
						errhint("Take these back first. Nothing was changed.")));
	}
	if (options->dry_run)
	{
		describe_actions(log, result);
		return;
	}

	PG_TRY();
	{
		upg_undo_perform(log, options, result);
	}
	PG_CATCH();
	{
		ErrorData *edata;

		MemoryContextSwitchTo(oldcxt);
		edata = CopyErrorData();
		if (edata->sqlerrcode != ERRCODE_UNIQUE_VIOLATION &&
			edata->sqlerrcode != ERRCODE_FOREIGN_KEY_VIOLATION &&
			edata->sqlerrcode != ERRCODE_CHECK_VIOLATION)
			PG_RE_THROW();
		FlushErrorState();
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_LATER_CHANGES),
			 errmsg("later changes stand in the way of the rollback"),
			 errdetail("%s%s%s", edata->message, edata->detail ? "\n" : "",
					   edata->detail ? edata->detail : ""),
			 errhint(
				 "A name or key that comes back is taken by now. Nothing was changed.")));
	}
	PG_END_TRY();

	upg_undo_log_erase(log->id);
	upg_undo_log_state(log->id, "rolled_back");
}

/*
 * upg_undo_finalize
 *		Give up the undo of a migration: kept files and row images go.
 */
void
upg_undo_finalize(int64 migration)
{
	List *logs = upg_undo_log_kept(migration);
	ListCell *lc;

	foreach (lc, logs)
	{
		UpgUndoLog *log = lfirst(lc);
		ListCell *lc2;

		foreach (lc2, log->files)
			upg_keep_destroy(lfirst(lc2));
		upg_undo_log_erase(log->id);
		upg_undo_log_state(log->id, "finalized");
	}
}
