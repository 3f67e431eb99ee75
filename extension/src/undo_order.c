/*-------------------------------------------------------------------------
 *
 * undo_order.c
 *		Taking back a migration that is not the last one.
 *
 * What others did since is looked at where it lies: in the catalogs, and in the
 * rows of tables.  Of later migrations more is known, because their logs tell
 * which rows and columns they wrote.  They stay only if what they did is disjoint
 * from what goes back; otherwise they are named, in the order in which they have
 * to go first.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_order.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_shdepend.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "ledger.h"
#include "spi.h"
#include "undo_merge.h"

/* A log of a migration that was applied later and is still there. */
typedef struct Later
{
	int64 log;
	char *name; /* or NULL: not in the books */
	Oid relation;
	char *table;
	bool switched;
	int64 inserted;
	int64 deleted;
} Later;

/* How messages call it. */
static char *
label_of(const Later *later)
{
	return later->name ? psprintf("migration \"%s\"", later->name) : "a migration";
}

/*
 * later_logs
 *		Logs after this one of other migrations; with "rows", one entry for each
 *		table whose rows they changed.
 */
static List *
later_logs(int64 log, int64 migration, bool rows)
{
	static UpgQuery with_rows = {
		"SELECT l.id, m.name, r.relation, r.name, r.switched, r.inserted, r.deleted"
		" FROM upg.undo_log l JOIN upg.undo_relations r ON r.log = l.id"
		" LEFT JOIN upg.migrations m ON m.migration_id = l.migration"
		" WHERE l.id > $1 AND l.migration <> $2 AND l.state = 'kept' ORDER BY l.id DESC",
		SPI_OK_SELECT,
		2,
		{INT8OID, INT8OID}};
	static UpgQuery alone = {
		"SELECT l.id, m.name FROM upg.undo_log l"
		" LEFT JOIN upg.migrations m ON m.migration_id = l.migration"
		" WHERE l.id > $1 AND l.migration <> $2 AND l.state = 'kept' ORDER BY l.id DESC",
		SPI_OK_SELECT,
		2,
		{INT8OID, INT8OID}};
	MemoryContext caller = CurrentMemoryContext;
	Datum values[2] = {Int64GetDatum(log), Int64GetDatum(migration)};
	UpgBooks books;
	List *result = NIL;

	upg_books_open(&books);
	upg_query_latest(rows ? &with_rows : &alone, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(caller);
		Later *later = palloc0(sizeof(Later));
		bool isnull;

		later->log = DatumGetInt64(upg_result_datum(i, 1, &isnull));
		later->name = upg_result_text(i, 2);
		if (rows)
		{
			later->relation = DatumGetObjectId(upg_result_datum(i, 3, &isnull));
			later->table = upg_result_text(i, 4);
			later->switched = DatumGetBool(upg_result_datum(i, 5, &isnull));
			later->inserted = DatumGetInt64(upg_result_datum(i, 6, &isnull));
			later->deleted = DatumGetInt64(upg_result_datum(i, 7, &isnull));
		}
		result = lappend(result, later);
		MemoryContextSwitchTo(oldcxt);
	}
	upg_books_close(&books);
	return result;
}

/* ---------------------------------------------------------------------
 * Rows
 * ---------------------------------------------------------------------
 */

/* What goes back in one table. */
typedef struct OurTable
{
	UpgUndoLog *log;
	UpgRelationRows *rows; /* or NULL: no rows */
	bool created;          /* the table goes away */
	bool returning;        /* columns come back, or types change back */
	Bitmapset *added;      /* columns that go away */
	bool overlap;          /* found in the log of a later one */
} OurTable;

/* What a log does to a table: its rows and its columns. */
static void
read_ours(UpgUndoLog *log, Oid relation, OurTable *ours)
{
	UpgChange *class = upg_class_change(log, relation);
	ListCell *lc;

	memset(ours, 0, sizeof(*ours));
	ours->log = log;
	ours->created = class != NULL && class->before == NULL;
	foreach (lc, log->relations)
	{
		if (((UpgRelationRows *) lfirst(lc))->relation == relation)
			ours->rows = lfirst(lc);
	}
	foreach (lc, upg_change_list(log->catalogs, AttributeRelationId))
	{
		UpgChange *change = lfirst(lc);
		HeapTuple row = change->after ? change->after : change->before;
		Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT(row);
		Form_pg_attribute before;

		if (form->attrelid != relation || form->attnum <= 0)
			continue;
		if (change->before == NULL)
		{
			ours->added = bms_add_member(ours->added, form->attnum);
			continue;
		}
		before = (Form_pg_attribute) GETSTRUCT(change->before);
		if (form->attisdropped != before->attisdropped ||
			form->atttypid != before->atttypid || form->atttypmod != before->atttypmod)
			ours->returning = true;
	}
}

/* An entry of a later log: is it a row of ours, or a column of ours in a row? */
static void
compare_entry(Oid catalog, char op, HeapTuple entry, void *arg)
{
	OurTable *ours = arg;
	TransactionId xid;
	UpgImage image;

	if (op != 'R' && op != 'U')
		return;
	upg_image_read(op, entry, &image);
	xid = HeapTupleHeaderGetRawXmin(image.row.t_data);
	if (upg_log_has_xid(ours->log, xid) ||
		upg_log_has_xid(ours->log, upg_alias_origin(xid)))
		ours->overlap = true;
	for (int i = 0; i < image.nwritten; i++)
	{
		if (bms_is_member(image.written[i].attnum, ours->added))
			ours->overlap = true;
	}
	if (image.written)
		pfree(image.written);
}

/* Did a later migration write rows that this one wrote, or depend on them? */
static bool
rows_overlap(UpgUndoLog *log, const Later *later)
{
	OurTable ours;
	bool wrote = later->inserted > 0 || later->deleted > 0;

	read_ours(log, later->relation, &ours);
	if (!wrote && !later->switched)
		return false;
	if (ours.created || ours.returning)
		return true;
	if (later->switched)
		return ours.rows != NULL || ours.added != NULL;
	if (ours.rows && ours.rows->switched)
		return true;
	/* a new row has a value for the columns that would go away */
	if (later->inserted > later->deleted && ours.added != NULL)
		return true;
	if ((ours.rows == NULL || ours.rows->inserted == 0) && ours.added == NULL)
		return false;
	upg_chunks_read("undo_chunks", later->log, later->relation, compare_entry, &ours);
	return ours.overlap;
}

/*
 * upg_order_check_rows
 *		Refuse if a later migration that is still there wrote the same rows.
 */
void
upg_order_check_rows(UpgMerge *merge)
{
	ListCell *lc;

	foreach (lc, later_logs(merge->log->id, merge->log->migration, true))
	{
		Later *later = lfirst(lc);

		if (rows_overlap(merge->log, later))
			upg_merge_refuse(merge, psprintf("%s was applied later and changed table %s "
											 "as well: roll it back first",
											 label_of(later), later->table));
	}
}

/* ---------------------------------------------------------------------
 * Catalogs
 * ---------------------------------------------------------------------
 */

/* A row of a catalog that a log touches, or an object that it made. */
typedef struct TouchedKey
{
	Oid catalog;
	uint32 hash; /* of the row's key; of class, OID and column of an object */
} TouchedKey;

typedef struct Touched
{
	TouchedKey key;
	UpgChange *change; /* of a row */
} Touched;

static bool
is_dependency(Oid catalog)
{
	return catalog == DependRelationId || catalog == SharedDependRelationId;
}

/* Another object may depend on an object, or on a column of it. */
static bool
touch_object(HTAB *touched, Oid class, Oid object, int32 sub, HASHACTION action)
{
	TouchedKey key;
	Oid parts[3] = {class, object, (Oid) sub};
	bool found;

	/* a row of pg_depend has no key, so that catalog is free for this */
	key.catalog = DependRelationId;
	key.hash = hash_bytes((unsigned char *) parts, sizeof(parts));
	(void) hash_search(touched, &key, action, &found);
	return found;
}

/* Columns that a change writes, but for those that only count or follow. */
static Bitmapset *
columns_of(Relation rel, UpgCatalogInfo *info, UpgChange *change)
{
	static const AttrNumber follow[] = {
		Anum_pg_class_relnatts,     Anum_pg_class_relchecks,
		Anum_pg_class_relhasindex,  Anum_pg_class_relhastriggers,
		Anum_pg_class_relhasrules,  Anum_pg_class_relhassubclass,
		Anum_pg_class_reltoastrelid};
	Bitmapset *columns = bms_difference(
		upg_catalog_diff(rel, change->before, change->after), info->moving);

	for (int i = 0; RelationGetRelid(rel) == RelationRelationId && i < lengthof(follow);
		 i++)
		columns = bms_del_member(columns, follow[i]);
	return columns;
}

/* Did two logs change the same of a row? */
static bool
same_columns(Relation rel, UpgCatalogInfo *info, UpgChange *ours, UpgChange *theirs)
{
	bool updated = ours->before && ours->after;

	if (!theirs->before || !theirs->after)
		return !updated || columns_of(rel, info, ours) != NULL;
	if (!updated)
		return columns_of(rel, info, theirs) != NULL;
	return bms_overlap(columns_of(rel, info, ours), columns_of(rel, info, theirs));
}

/* Does a row that is new in pg_depend say that something needs an object of ours? */
static bool
needs_ours(HTAB *touched, UpgChange *change)
{
	Form_pg_depend form;

	if (change->before != NULL)
		return false;
	form = (Form_pg_depend) GETSTRUCT(change->after);
	return touch_object(touched, form->refclassid, form->refobjid, form->refobjsubid,
						HASH_FIND) ||
		   (form->refobjsubid != 0 &&
			touch_object(touched, form->refclassid, form->refobjid, 0, HASH_FIND));
}

/* Does what comes back name a column, so that its type has to stay? */
static void
enter_reference(HTAB *touched, UpgChange *change)
{
	Form_pg_depend form;

	if (change->before == NULL || change->after != NULL)
		return;
	form = (Form_pg_depend) GETSTRUCT(change->before);
	if (form->refclassid == RelationRelationId && form->refobjsubid > 0)
		(void) touch_object(touched, AttributeRelationId, form->refobjid,
							form->refobjsubid, HASH_ENTER);
}

/* Did a log change the type of a column that what comes back names? */
static bool
changes_type(HTAB *touched, UpgChange *change)
{
	Form_pg_attribute before;
	Form_pg_attribute after;

	if (change->before == NULL || change->after == NULL)
		return false;
	before = (Form_pg_attribute) GETSTRUCT(change->before);
	after = (Form_pg_attribute) GETSTRUCT(change->after);
	return (before->atttypid != after->atttypid ||
			before->attcollation != after->attcollation) &&
		   touch_object(touched, AttributeRelationId, before->attrelid, before->attnum,
						HASH_FIND);
}

/* Enter an object that a log made. */
static void
enter_object(HTAB *touched, Relation rel, UpgCatalogInfo *info, HeapTuple row)
{
	bool isnull;

	if (RelationGetRelid(rel) == AttributeRelationId)
	{
		Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT(row);

		(void) touch_object(touched, RelationRelationId, form->attrelid, form->attnum,
							HASH_ENTER);
	}
	else if (info->oidcol)
		(void) touch_object(touched, RelationGetRelid(rel),
							DatumGetObjectId(heap_getattr(
								row, info->oidcol, RelationGetDescr(rel), &isnull)),
							0, HASH_ENTER);
}

/*
 * walk
 *		Enter what a log touches, or look for what another one entered; true if
 *		something is there.
 */
static bool
walk(HTAB *touched, UpgUndoLog *log, bool look)
{
	ListCell *lc;
	bool overlap = false;

	foreach (lc, log->catalogs)
	{
		UpgCatalogChanges *changes = lfirst(lc);
		Relation rel = table_open(changes->catalog, AccessShareLock);
		UpgCatalogInfo *info = upg_catalog_info(rel);
		ListCell *lc2;

		foreach (lc2, changes->changes)
		{
			UpgChange *change = lfirst(lc2);
			HeapTuple row = change->after ? change->after : change->before;
			TouchedKey key;
			Touched *entry;
			bool found;
			int len;
			char *bytes;

			if (overlap)
				break;
			if (changes->catalog == DependRelationId && look)
				overlap = needs_ours(touched, change);
			else if (changes->catalog == DependRelationId)
				enter_reference(touched, change);
			if (is_dependency(changes->catalog))
				continue;
			if (look && changes->catalog == AttributeRelationId &&
				changes_type(touched, change))
			{
				overlap = true;
				break;
			}
			bytes = upg_catalog_key(info, row, RelationGetDescr(rel), &len);
			key.catalog = changes->catalog;
			key.hash = hash_bytes((unsigned char *) bytes, len);
			entry = hash_search(touched, &key, look ? HASH_FIND : HASH_ENTER, &found);
			if (look)
			{
				overlap = found && same_columns(rel, info, entry->change, change);
				continue;
			}
			entry->change = change;
			if (change->before == NULL)
				enter_object(touched, rel, info, row);
		}
		table_close(rel, AccessShareLock);
	}
	return overlap;
}

/*
 * upg_order_later
 *		Names of later migrations that changed, or need, what this log changed;
 *		the latest first.
 */
List *
upg_order_later(UpgUndoLog *log)
{
	HASHCTL ctl = {0};
	HTAB *touched;
	List *names = NIL;
	ListCell *lc;

	ctl.keysize = sizeof(TouchedKey);
	ctl.entrysize = sizeof(Touched);
	ctl.hcxt = CurrentMemoryContext;
	touched =
		hash_create("upg touched", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	(void) walk(touched, log, false);
	foreach (lc, later_logs(log->id, log->migration, false))
	{
		Later *later = lfirst(lc);

		if (later->name != NULL && !upg_name_in(names, later->name) &&
			walk(touched, upg_undo_log_read(later->log, false), true))
			names = lappend(names, later->name);
	}
	foreach (lc, later_logs(log->id, log->migration, true))
	{
		Later *later = lfirst(lc);

		if (later->name != NULL && !upg_name_in(names, later->name) &&
			rows_overlap(log, later))
			names = lappend(names, later->name);
	}
	hash_destroy(touched);
	return names;
}

/*
 * upg_order_overlapping
 *		The same for all that is kept of a migration, the latest first.
 */
List *
upg_order_overlapping(int64 migration)
{
	List *names = NIL;
	ListCell *lc;

	upg_alias_load();
	foreach (lc, upg_undo_units(migration))
	{
		ListCell *lc2;

		foreach (lc2, upg_order_later(upg_undo_unit_read(lfirst(lc), false)))
		{
			if (!upg_name_in(names, lfirst(lc2)))
				names = lappend(names, lfirst(lc2));
		}
	}
	return names;
}
