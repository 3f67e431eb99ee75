/*-------------------------------------------------------------------------
 *
 * undo_check.c
 *		May this step be taken back now?
 *
 * Everything here reads only.  Conflicts are collected, not raised, so that a
 * person sees all of them at once: rows of catalogs that others changed since,
 * objects that others hung on what would go away, rows written since that
 * would be lost.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_check.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/tupdesc_details.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_shdepend.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "errors.h"
#include "undo_merge.h"
#include "verify.h"

/* TIDs of the pg_depend rows that the rollback itself takes away. */
static List *claimed_depends = NIL;
static List *claimed_shdepends = NIL;

/* Columns of pg_class that a rollback computes instead of comparing. */
static bool
class_column_computed(AttrNumber attnum)
{
	return attnum == Anum_pg_class_relfilenode || attnum == Anum_pg_class_relnatts ||
		   attnum == Anum_pg_class_reltoastrelid || attnum == Anum_pg_class_relchecks;
}

/* Has a relation a column, not a dropped one, after its Nth? */
static bool
has_column_beyond(Oid relation, int natts, int now)
{
	for (int i = natts + 1; i <= now; i++)
	{
		HeapTuple tuple =
			SearchSysCache2(ATTNUM, ObjectIdGetDatum(relation), Int16GetDatum(i));
		bool live;

		if (!HeapTupleIsValid(tuple))
			continue;
		live = !((Form_pg_attribute) GETSTRUCT(tuple))->attisdropped;
		ReleaseSysCache(tuple);
		if (live)
			return true;
	}
	return false;
}

/* Did others change a row of ours in a way that matters? */
static char *
row_conflict(Relation rel, UpgCatalogInfo *info, UpgChange *change, bool discard)
{
	TupleDesc desc = RelationGetDescr(rel);
	Bitmapset *since = upg_catalog_diff(rel, change->after, change->current);
	Bitmapset *ours = NULL;
	StringInfoData columns;
	int attnum = -1;

	if (since == NULL)
		return NULL;
	if (change->before)
		ours = upg_catalog_diff(rel, change->before, change->after);
	initStringInfo(&columns);
	while ((attnum = bms_next_member(since, attnum)) >= 0)
	{
		if (bms_is_member(attnum, info->moving))
			continue;
		if (RelationGetRelid(rel) == RelationRelationId)
		{
			if (change->before == NULL && attnum == Anum_pg_class_relnatts)
			{
				if (!has_column_beyond(
						((Form_pg_class) GETSTRUCT(change->after))->oid,
						((Form_pg_class) GETSTRUCT(change->after))->relnatts,
						((Form_pg_class) GETSTRUCT(change->current))->relnatts))
					continue;
				appendStringInfo(&columns, "%scolumns were added",
								 columns.len ? ", " : "");
				continue;
			}
			if (class_column_computed(attnum))
				continue;
		}
		/* a rewrite writes the value that absent columns have into the rows */
		if (RelationGetRelid(rel) == AttributeRelationId &&
			(attnum == Anum_pg_attribute_atthasmissing ||
			 attnum == Anum_pg_attribute_attmissingval))
			continue;
		/* others may change other columns of a row that stays */
		if (change->before && !bms_is_member(attnum, ours))
			continue;
		if (!change->before && discard)
			continue;
		/* privileges on what goes away go with it: nobody has them to lose */
		if (!change->before &&
			TupleDescAttr(desc, attnum - 1)->atttypid == ACLITEMARRAYOID)
			continue;
		appendStringInfo(&columns, "%s%s", columns.len ? ", " : "",
						 NameStr(TupleDescAttr(desc, attnum - 1)->attname));
	}
	if (columns.len == 0)
		return NULL;
	return psprintf("%s was changed since (%s)",
					upg_catalog_describe(RelationGetRelid(rel), change->current, desc),
					columns.data);
}

static char *
qualified(Form_pg_class form)
{
	char *nsp = get_namespace_name(form->relnamespace);

	return quote_qualified_identifier(nsp ? nsp : "?", NameStr(form->relname));
}

/* Is the name that a relation gets back held by one that is not ours? */
static bool
name_is_taken(UpgUndoLog *log, Form_pg_class form)
{
	Oid holder = get_relname_relid(NameStr(form->relname), form->relnamespace);
	UpgChange *change;

	if (!OidIsValid(holder) || holder == form->oid)
		return false;
	change = upg_class_change(log, holder);
	return change == NULL || change->after == NULL;
}

/*
 * updated_in_place
 *		Rows that the server overwrites without a new version and that no lock
 *		on a relation of ours protects.
 */
static bool
updated_in_place(Relation rel, HeapTuple row)
{
	if (RelationGetRelid(rel) == DatabaseRelationId)
		return true;
	return RelationGetRelid(rel) == RelationRelationId &&
		   ((Form_pg_class) GETSTRUCT(row))->oid < FirstNormalObjectId;
}

/*
 * is_of_toast
 *		Is this row part of a TOAST table that the migration made?
 *
 * VACUUM FULL and CLUSTER drop the TOAST table of a table that needs none by
 * then; one that a table gets later is another one, and goes with it.
 */
static bool
is_of_toast(UpgUndoLog *log, Oid catalog, HeapTuple row, TupleDesc desc)
{
	Oid second;
	Oid relation = upg_row_relation(catalog, row, desc, &second);
	UpgChange *class;

	if (catalog == DependRelationId &&
		((Form_pg_depend) GETSTRUCT(row))->classid == RelationRelationId)
		relation = ((Form_pg_depend) GETSTRUCT(row))->objid;
	class = OidIsValid(relation) ? upg_class_change(log, relation) : NULL;
	return class && class->before == NULL && class->after &&
		   ((Form_pg_class) GETSTRUCT(class->after))->relnamespace == PG_TOAST_NAMESPACE;
}

/*
 * upg_undo_locate
 *		Find the current row of every row that the migration left, and list
 *		what others did to it.
 */
void
upg_undo_locate(UpgUndoLog *log, UpgUndoOptions *options, List **conflicts)
{
	ListCell *lc;

	claimed_depends = NIL;
	claimed_shdepends = NIL;
	foreach (lc, log->catalogs)
	{
		UpgCatalogChanges *changes = lfirst(lc);
		Relation rel = table_open(changes->catalog, AccessShareLock);
		UpgCatalogInfo *info = upg_catalog_info(rel);
		List *claimed = NIL;
		ListCell *lc2;

		foreach (lc2, changes->changes)
		{
			UpgChange *change = lfirst(lc2);
			char *conflict;

			if (changes->catalog == RelationRelationId && change->before &&
				!options->proof &&
				name_is_taken(log, (Form_pg_class) GETSTRUCT(change->before)))
				*conflicts = lappend(
					*conflicts,
					psprintf("the name %s is taken by another relation",
							 qualified((Form_pg_class) GETSTRUCT(change->before))));
			if (change->after == NULL)
			{
				if (!info->multiset && upg_catalog_find(rel, info, change->before, NULL))
					*conflicts = lappend(
						*conflicts,
						psprintf("%s exists again",
								 upg_catalog_describe(changes->catalog, change->before,
													  RelationGetDescr(rel))));
				continue;
			}
			change->current = upg_catalog_find(rel, info, change->after, &claimed);
			if (change->current && !options->proof &&
				updated_in_place(rel, change->current))
			{
				/* the server may overwrite this row where it lies: keep it out */
				LockTuple(rel, &change->current->t_self, ExclusiveLock);
				change->current = upg_catalog_find(rel, info, change->after, &claimed);
			}
			if (change->current == NULL &&
				is_of_toast(log, changes->catalog, change->after, RelationGetDescr(rel)))
				continue;
			if (change->current == NULL)
			{
				*conflicts =
					lappend(*conflicts,
							psprintf("%s is gone or was changed since",
									 upg_catalog_describe(changes->catalog, change->after,
														  RelationGetDescr(rel))));
				continue;
			}
			conflict = row_conflict(rel, info, change,
									options->on_conflict == UPG_ON_CONFLICT_DISCARD);
			if (conflict)
				*conflicts = lappend(*conflicts, conflict);
		}
		if (changes->catalog == DependRelationId)
			claimed_depends = claimed;
		else if (changes->catalog == SharedDependRelationId)
			claimed_shdepends = claimed;
		table_close(rel, AccessShareLock);
	}
}

static bool
is_claimed(List *claimed, ItemPointer tid)
{
	ListCell *lc;

	foreach (lc, claimed)
		if (ItemPointerEquals(lfirst(lc), tid))
			return true;
	return false;
}

/* Objects that depend on one that would go away, ours apart. */
static void
check_references_to(Relation depend, Oid classid, Oid objid, int subid, List **conflicts)
{
	ScanKeyData keys[3];
	SysScanDesc scan;
	HeapTuple tuple;
	int nkeys = 2;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(classid));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(objid));
	if (subid != 0)
	{
		ScanKeyInit(&keys[2], Anum_pg_depend_refobjsubid, BTEqualStrategyNumber, F_INT4EQ,
					Int32GetDatum(subid));
		nkeys = 3;
	}
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, nkeys, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress object;
		ObjectAddress reference;

		if (is_claimed(claimed_depends, &tuple->t_self))
			continue;
		/* the TOAST table that a table has got since goes with it */
		if (form->classid == RelationRelationId && form->deptype == DEPENDENCY_INTERNAL &&
			get_rel_relkind(form->objid) == RELKIND_TOASTVALUE)
			continue;
		ObjectAddressSubSet(object, form->classid, form->objid, form->objsubid);
		ObjectAddressSubSet(reference, form->refclassid, form->refobjid,
							form->refobjsubid);
		*conflicts = lappend(
			*conflicts, psprintf("%s depends on %s", getObjectDescription(&object, true),
								 getObjectDescription(&reference, true)));
	}
	systable_endscan(scan);
}

/* Ownership and privileges that hang on a role that would go away. */
static void
check_role_references(Relation shdepend, Oid role, List **conflicts)
{
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&keys[0], Anum_pg_shdepend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(AuthIdRelationId));
	ScanKeyInit(&keys[1], Anum_pg_shdepend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(role));
	scan =
		systable_beginscan(shdepend, SharedDependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (is_claimed(claimed_shdepends, &tuple->t_self))
			continue;
		*conflicts = lappend(*conflicts,
							 psprintf("role \"%s\" owns objects or has privileges by now",
									  GetUserNameFromId(role, true)));
		break;
	}
	systable_endscan(scan);
}

/*
 * upg_undo_check_dependents
 *		List the objects that others made to depend on what would go away.
 */
void
upg_undo_check_dependents(UpgUndoLog *log, List **conflicts)
{
	Relation depend = table_open(DependRelationId, AccessShareLock);
	Relation shdepend = table_open(SharedDependRelationId, AccessShareLock);
	List *found = NIL;
	ListCell *lc;

	foreach (lc, log->catalogs)
	{
		UpgCatalogChanges *changes = lfirst(lc);
		Relation rel = table_open(changes->catalog, AccessShareLock);
		UpgCatalogInfo *info = upg_catalog_info(rel);
		ListCell *lc2;

		foreach (lc2, changes->changes)
		{
			UpgChange *change = lfirst(lc2);
			bool isnull;

			if (change->before || change->current == NULL)
				continue;
			if (changes->catalog == AttributeRelationId)
			{
				Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT(change->current);
				UpgChange *class = upg_class_change(log, att->attrelid);

				if (att->attnum > 0 && (class == NULL || class->before))
					check_references_to(depend, RelationRelationId, att->attrelid,
										att->attnum, &found);
			}
			else if (info->oidcol)
			{
				Oid oid = DatumGetObjectId(heap_getattr(change->current, info->oidcol,
														RelationGetDescr(rel), &isnull));

				if (changes->catalog == AuthIdRelationId)
					check_role_references(shdepend, oid, &found);
				else
					check_references_to(depend, changes->catalog, oid, 0, &found);
			}
		}
		table_close(rel, AccessShareLock);
	}
	table_close(shdepend, AccessShareLock);
	table_close(depend, AccessShareLock);
	list_sort(found, upg_text_cmp); /* not as the catalogs happen to lie */
	*conflicts = list_concat(*conflicts, found);
	upg_undo_check_shapes(log, conflicts);
}

/* Rows written since, and how many of them have no value in a column. */
typedef struct MissingScan
{
	AttrNumber attnum;
	TupleDesc desc;
	int64 missing;
} MissingScan;

static void
count_missing(HeapTuple row, bool own, bool since, void *arg)
{
	MissingScan *scan = arg;

	if (since && (HeapTupleHeaderGetNatts(row->t_data) < scan->attnum ||
				  heap_attisnull(row, scan->attnum, scan->desc)))
		scan->missing++;
}

/*
 * can_fill
 *		Will rows that are new since get a value for a column that comes back?
 *
 * If a value of the caller's would do, the column is noted for the hint.
 */
static bool
can_fill(UpgUndoLog *log, UpgUndoOptions *options, UpgKeptColumns *kept,
		 UpgChange *change)
{
	Form_pg_attribute before = (Form_pg_attribute) GETSTRUCT(change->before);

	switch (upg_policy_of(options, before->attrelid))
	{
		case UPG_ON_CONFLICT_STRICT:
			options->nstrict++;
			return false;
		case UPG_ON_CONFLICT_DISCARD:
			return !before->attnotnull;
		default:
			break;
	}
	/* without a key a row that was changed looks like a new one */
	if (!kept->unique)
		return false;
	if (!before->attnotnull || before->atthasdef || before->attidentity != '\0')
		return true;
	if (upg_fill_value(options->fills, before->attrelid, NameStr(before->attname)) !=
		NULL)
		return true;
	options->unfilled =
		lappend(options->unfilled, psprintf("%s.%s", upg_qualified_name(before->attrelid),
											quote_identifier(NameStr(before->attname))));
	return false;
}

/*
 * check_copied
 *		A column that comes back, and whose values were copied: the rows that
 *		have lost theirs are looked up there.
 */
static void
check_copied(UpgUndoLog *log, UpgUndoOptions *options, UpgChange *change, bool rewritten,
			 List **conflicts)
{
	Form_pg_attribute before = (Form_pg_attribute) GETSTRUCT(change->before);
	UpgKeptColumns *kept = upg_columns_find(log, before->attrelid);
	int64 lost;

	/* all columns of a table share one look-up */
	if (!kept->looked_up)
		kept->unknown = upg_columns_match(log, kept, rewritten);
	kept->looked_up = true;
	lost = kept->unknown;
	if (lost < 0)
		*conflicts = lappend(
			*conflicts,
			psprintf("the columns by which rows of table %s are found were "
					 "changed since, so the values of its column \"%s\" cannot "
					 "be put back",
					 upg_qualified_name(before->attrelid), NameStr(before->attname)));
	else if (lost > 0 && !can_fill(log, options, kept, change))
		*conflicts = lappend(*conflicts,
							 psprintf(INT64_FORMAT " rows of table %s were written since "
												   "and have no value for column \"%s\"",
									  lost, upg_qualified_name(before->attrelid),
									  NameStr(before->attname)));
}

/* Are all columns that come back to a table computed from the others? */
static bool
only_computed(UpgUndoLog *log, Oid relation)
{
	ListCell *lc;

	foreach (lc, upg_dropped_columns(log->catalogs, relation))
		if (((Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(lc)))->attgenerated == '\0')
			return false;
	return true;
}

/* A scan for rows whose values of generated columns are to be computed. */
typedef struct ComputeScan
{
	MissingScan missing;
	bool all; /* the table was rewritten, so no row has kept any */
	UpgKeptColumns *computed;
} ComputeScan;

static void
note_computed(HeapTuple row, bool own, bool since, void *arg)
{
	ComputeScan *scan = arg;
	int64 before = scan->missing.missing;
	ItemPointer tid;

	if (own)
		return; /* goes away */
	count_missing(row, own, since || scan->all, &scan->missing);
	if (scan->missing.missing == before)
		return;
	tid = palloc(sizeof(ItemPointerData));
	*tid = row->t_self;
	scan->computed->strangers = lappend(scan->computed->strangers, tid);
}

/*
 * compute_columns
 *		Note the rows that have no values in the generated columns that come back,
 *		and nothing else to come: they are written again with the other new rows, which
 *		computes them.
 */
static void
compute_columns(UpgUndoLog *log, Relation rel, const UpgTableHead *head,
				AttrNumber attnum, bool rewritten)
{
	ComputeScan scan = {{attnum, RelationGetDescr(rel), 0}, rewritten, NULL};

	scan.computed = palloc0(sizeof(UpgKeptColumns));
	scan.computed->relation = RelationGetRelid(rel);
	scan.computed->unique = true;
	scan.computed->looked_up = true;
	upg_since_scan(rel, log, rewritten ? NULL : head, note_computed, &scan);
	log->columns = lappend(log->columns, scan.computed);
}

/*
 * check_column
 *		Values missing in a column that comes back to a table that keeps its
 *		file.
 */
static void
check_column(UpgUndoLog *log, UpgUndoOptions *options, UpgChange *change,
			 List **conflicts)
{
	Form_pg_attribute before = (Form_pg_attribute) GETSTRUCT(change->before);
	Relation rel = table_open(before->attrelid, NoLock);
	UpgMergeTable *table = upg_merge_find(log, before->attrelid);
	MissingScan scan = {before->attnum, RelationGetDescr(rel), 0};
	char *name = upg_qualified_name(before->attrelid);
	bool rewritten = table == NULL || table->rows == NULL ||
					 table->rows->filenumber != UPG_LOCATOR_NUMBER(UPG_REL_LOCATOR(rel));

	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP ||
		before->attgenerated == 'v' /* virtual, since 18: there is nothing to lose */)
	{
		table_close(rel, NoLock);
		return;
	}
	if (upg_columns_find(log, before->attrelid))
	{
		table_close(rel, NoLock);
		check_copied(log, options, change, rewritten, conflicts);
		return;
	}
	if (upg_policy_of(options, before->attrelid) != UPG_ON_CONFLICT_STRICT &&
		only_computed(log, before->attrelid))
	{
		compute_columns(log, rel, table ? &table->head : NULL, before->attnum, rewritten);
		table_close(rel, NoLock);
		return;
	}
	if (rewritten && RelationGetNumberOfBlocks(rel) > 0)
	{
		*conflicts = lappend(
			*conflicts, psprintf("table %s was rewritten since, so the values of its "
								 "column \"%s\" are gone",
								 name, NameStr(before->attname)));
		table_close(rel, NoLock);
		return;
	}
	upg_since_scan(rel, log, table ? &table->head : NULL, count_missing, &scan);
	table_close(rel, NoLock);
	if (scan.missing > 0 &&
		(upg_policy_of(options, before->attrelid) != UPG_ON_CONFLICT_DISCARD ||
		 before->attnotnull))
		*conflicts = lappend(*conflicts,
							 psprintf(INT64_FORMAT " rows of table %s were written since "
												   "and have no value for column \"%s\"",
									  scan.missing, name, NameStr(before->attname)));
}

/*
 * upg_undo_check_rows
 *		List the rows written since that a rollback would lose, and those of
 *		the migration that are not as it left them.
 */
void
upg_undo_check_rows(UpgUndoLog *log, UpgUndoOptions *options, List **conflicts)
{
	List *found = NIL;
	ListCell *lc;

	upg_merge_plan(log, options, conflicts);

	foreach (lc, upg_change_list(log->catalogs, AttributeRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_attribute att;
		UpgChange *class;

		if (change->current == NULL)
			continue;
		att = (Form_pg_attribute) GETSTRUCT(change->current);
		if (att->attnum <= 0 || att->attrelid < FirstNormalObjectId)
			continue;
		class = upg_class_change(log, att->attrelid);
		if (class && class->before == NULL)
			continue; /* the whole table goes */
		if (upg_keep_find(log->files, att->attrelid))
			continue; /* the whole file is exchanged */
		if (get_rel_relkind(att->attrelid) != RELKIND_RELATION)
			continue;
		if (change->before && att->attisdropped &&
			!((Form_pg_attribute) GETSTRUCT(change->before))->attisdropped)
			check_column(log, options, change, &found);
	}
	list_sort(found, upg_text_cmp); /* not by OID */
	*conflicts = list_concat(*conflicts, found);

	upg_undo_check_types(log, options, conflicts);
}

/* ---------------------------------------------------------------------
 * References between catalogs
 * ---------------------------------------------------------------------
 */
typedef struct CatalogReference
{
	Oid catalog;
	AttrNumber column;
	Oid target;
	bool array;
	bool optional;
} CatalogReference;

static CatalogReference *references = NULL;
static int nreferences = 0;

/*
 * load_references
 *		Read what the server says about references between its catalogs.
 *
 * Up to 15 nothing keeps a role from being dropped that has made others members,
 * so who that was is a note there and no reference.
 */
static void
load_references(void)
{
	int ret;
	int n = 0;
	CatalogReference *list;

	SPI_connect();
	ret = SPI_execute("SELECT fktable::oid, fkcols[1], pktable::oid, is_array, is_opt"
					  " FROM pg_catalog.pg_get_catalog_foreign_keys()"
					  " WHERE pg_catalog.cardinality(fkcols) OPERATOR(pg_catalog.=) 1",
					  true, 0);
	if (ret != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute failed: %d", ret);
	list = MemoryContextAlloc(TopMemoryContext, sizeof(CatalogReference) * SPI_processed);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool isnull;

		list[n].catalog = DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull));
		list[n].column = get_attnum(list[n].catalog, SPI_getvalue(row, desc, 2));
		list[n].target = DatumGetObjectId(SPI_getbinval(row, desc, 3, &isnull));
		list[n].array = DatumGetBool(SPI_getbinval(row, desc, 4, &isnull));
		list[n].optional = DatumGetBool(SPI_getbinval(row, desc, 5, &isnull));
		if (UPG_SERVER_VERSION >= 160000 || list[n].catalog != AuthMemRelationId ||
			list[n].column != Anum_pg_auth_members_grantor)
			n++;
	}
	nreferences = n;
	references = list;
	SPI_finish();
}

static bool
object_exists(Oid catalog, Oid oid)
{
	Relation rel = table_open(catalog, AccessShareLock);
	UpgCatalogInfo *info = upg_catalog_info(rel);
	ScanKeyData key;
	SysScanDesc scan;
	bool result;

	ScanKeyInit(&key, info->keys[0], BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(oid));
	scan = systable_beginscan(rel, info->index, true, NULL, 1, &key);
	result = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

static void
check_reference(Relation rel, HeapTuple row, CatalogReference *ref, Oid oid)
{
	if (!OidIsValid(oid) || oid < FirstNormalObjectId || object_exists(ref->target, oid))
		return;
	ereport(
		ERROR,
		(errcode(ERRCODE_UPG_LATER_CHANGES),
		 errmsg("%s cannot be restored",
				upg_catalog_describe(RelationGetRelid(rel), row, RelationGetDescr(rel))),
		 errdetail(
			 "Its column \"%s\" refers to OID %u of %s, which does not exist any more.",
			 NameStr(TupleDescAttr(RelationGetDescr(rel), ref->column - 1)->attname), oid,
			 get_rel_name(ref->target))));
}

/*
 * upg_undo_check_references
 *		Every row that was put back must refer to objects that exist.
 */
void
upg_undo_check_references(UpgUndoLog *log)
{
	ListCell *lc;

	if (references == NULL)
		load_references();
	foreach (lc, log->catalogs)
	{
		UpgCatalogChanges *changes = lfirst(lc);
		Relation rel = table_open(changes->catalog, AccessShareLock);
		TupleDesc desc = RelationGetDescr(rel);
		ListCell *lc2;

		foreach (lc2, changes->changes)
		{
			UpgChange *change = lfirst(lc2);

			if (change->before == NULL)
				continue;
			for (int i = 0; i < nreferences; i++)
			{
				CatalogReference *ref = &references[i];
				bool isnull;
				Datum value;

				if (ref->catalog != changes->catalog ||
					ref->target == AttributeRelationId)
					continue;
				if (changes->catalog == RelationRelationId &&
					ref->column == Anum_pg_class_reltoastrelid)
					continue;
				/* a dropped column keeps the OID of a collation that may go as well */
				if (changes->catalog == AttributeRelationId &&
					ref->column == Anum_pg_attribute_attcollation &&
					((Form_pg_attribute) GETSTRUCT(change->before))->attisdropped)
					continue;
				/* DROP TABLE leaves the OID of a table whose rows an extension has dumped */
				if (changes->catalog == ExtensionRelationId &&
					ref->column == Anum_pg_extension_extconfig)
					continue;
				value = heap_getattr(change->before, ref->column, desc, &isnull);
				if (isnull)
					continue;
				if (!ref->array)
					check_reference(rel, change->before, ref, DatumGetObjectId(value));
				else if (TupleDescAttr(desc, ref->column - 1)->atttypid == OIDVECTOROID)
				{
					oidvector *vector = (oidvector *) PG_DETOAST_DATUM(value);

					for (int j = 0; j < vector->dim1; j++)
						check_reference(rel, change->before, ref, vector->values[j]);
				}
				else
				{
					Datum *elems;
					int n;

					deconstruct_array(DatumGetArrayTypeP(value), OIDOID, sizeof(Oid),
									  true, TYPALIGN_INT, &elems, NULL, &n);
					for (int j = 0; j < n; j++)
						check_reference(rel, change->before, ref,
										DatumGetObjectId(elems[j]));
				}
			}
		}
		table_close(rel, AccessShareLock);
	}
}
