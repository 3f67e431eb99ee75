/*-------------------------------------------------------------------------
 *
 * undo_merge.c
 *		Rolling back after the application went on writing: which table needs
 *		what, columns and tables that go away, the account.
 *
 * Everything is planned before anything is changed, so that a preview says what
 * a rollback will do, and a refusal comes before the first write.  No row is
 * lost and none invented: what the application wrote stays where it is, is
 * merged, or is set aside where upg_kept_rows() shows it; what cannot be done
 * so is refused by name.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_merge.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tupdesc_details.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "capture_internal.h"
#include "errors.h"
#include "spi.h"
#include "undo_log.h"
#include "undo_merge.h"

/*
 * upg_policy_of
 *		What is to become of rows of a table that were written since.
 */
UpgOnConflict
upg_policy_of(UpgUndoOptions *options, Oid relation)
{
	ListCell *lc;

	foreach (lc, options->policies)
	{
		UpgTablePolicy *policy = lfirst(lc);

		if (policy->relation == relation)
			return policy->policy;
	}
	return options->on_conflict;
}

/*
 * upg_merge_find
 *		The plan of a table, or NULL.
 */
UpgMergeTable *
upg_merge_find(UpgUndoLog *log, Oid relation)
{
	ListCell *lc;

	if (log->merge)
		foreach (lc, log->merge->tables)
		{
			UpgMergeTable *table = lfirst(lc);

			if (table->relation == relation)
				return table;
		}
	return NULL;
}

/*
 * merge_table
 *		The plan of a table, made if there is none.
 */
static UpgMergeTable *
merge_table(UpgMerge *merge, Oid relation, char kind)
{
	UpgMergeTable *table = upg_merge_find(merge->log, relation);
	MemoryContext oldcxt;
	ListCell *lc;

	if (table)
		return table;
	oldcxt = MemoryContextSwitchTo(merge->cxt);
	table = palloc0(sizeof(UpgMergeTable));
	table->relation = relation;
	table->name = upg_qualified_name(relation);
	table->kind = kind;
	table->policy = upg_policy_of(merge->options, relation);
	foreach (lc, merge->log->relations)
		if (((UpgRelationRows *) lfirst(lc))->relation == relation)
			table->rows = lfirst(lc);
	merge->tables = lappend(merge->tables, table);
	MemoryContextSwitchTo(oldcxt);
	return table;
}

/*
 * upg_merge_conflict
 *		Note what a person should look at; all texts belong to the merge.
 */
void
upg_merge_conflict(UpgMerge *merge, UpgMergeTable *table, char *key, char *column,
				   char *before, char *application, const char *what)
{
	UpgMergeConflict *conflict = palloc0(sizeof(UpgMergeConflict));

	conflict->table = table->name;
	conflict->key = key;
	conflict->column = column;
	conflict->before = before;
	conflict->application = application;
	conflict->what = what;
	merge->conflicts = lappend(merge->conflicts, conflict);
	table->conflicts++;
}

/*
 * upg_merge_refuse
 *		Note why there will be no rollback.
 */
void
upg_merge_refuse(UpgMerge *merge, char *why)
{
	*merge->refusals = lappend(*merge->refusals, why);
}

/*
 * upg_merge_refuse_strictly
 *		Note why there will be no rollback under the policy "strict".
 */
void
upg_merge_refuse_strictly(UpgMerge *merge, char *why)
{
	merge->options->nstrict++;
	upg_merge_refuse(merge, why);
}

/*
 * upg_returned_columns
 *		Columns that the migration dropped from a table, as a set of numbers.
 */
Bitmapset *
upg_returned_columns(UpgUndoLog *log, Oid relation)
{
	Bitmapset *result = NULL;
	ListCell *lc;

	foreach (lc, upg_dropped_columns(log->catalogs, relation))
		result = bms_add_member(
			result, ((Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(lc)))->attnum);
	return result;
}

/* Columns that the migration added to a table. */
static Bitmapset *
added_columns(UpgUndoLog *log, Oid relation)
{
	Bitmapset *result = NULL;
	ListCell *lc;

	foreach (lc, upg_change_list(log->catalogs, AttributeRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_attribute att;

		if (change->before || change->current == NULL)
			continue;
		att = (Form_pg_attribute) GETSTRUCT(change->current);
		if (att->attrelid == relation && att->attnum > 0 && !att->attisdropped &&
			att->attgenerated == '\0')
			result = bms_add_member(result, att->attnum);
	}
	return result;
}

static void
keep_head(Oid catalog, char op, HeapTuple entry, void *arg)
{
	if (op == 'K')
		upg_head_read(entry, &((UpgMergeTable *) arg)->head);
}

/* ---------------------------------------------------------------------
 * Tables and columns that go away
 * ---------------------------------------------------------------------
 */
typedef struct AsideScan
{
	UpgMerge *merge;
	UpgMergeTable *table;
	TupleDesc desc;
	Bitmapset *columns; /* NULL: whole rows */
	bool write;
	int64 count;
	int nkey;
	AttrNumber key[INDEX_MAX_KEYS];
	MemoryContext cxt;
} AsideScan;

/* Does this row hold a value that nobody but the application can have written? */
static bool
has_own_value(AsideScan *scan, HeapTuple row, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(scan->desc, attnum - 1);
	TupleConstr *constr = scan->desc->constr;
	bool isnull;
	Datum value;

	if (HeapTupleHeaderGetNatts(row->t_data) < attnum)
		return false;
	value = heap_getattr(row, attnum, scan->desc, &isnull);
	if (isnull)
		return false;
	return !(constr && constr->missing && constr->missing[attnum - 1].am_present &&
			 datum_image_eq(value, constr->missing[attnum - 1].am_value, att->attbyval,
							att->attlen));
}

static void
aside_row(HeapTuple row, bool own, bool since, void *arg)
{
	AsideScan *scan = arg;
	MemoryContext oldcxt;
	AttrNumber columns[MaxHeapAttributeNumber];
	int n = 0;

	if (!since)
		return;
	if (scan->columns)
	{
		int attnum = -1;

		while ((attnum = bms_next_member(scan->columns, attnum)) >= 0)
			if (has_own_value(scan, row, attnum))
				columns[n++] = attnum;
		if (n == 0)
			return;
	}
	scan->count++;
	if (!scan->write)
		return;
	oldcxt = MemoryContextSwitchTo(scan->cxt);
	upg_aside_add(scan->merge->log, scan->table->relation, scan->table->name,
				  scan->columns ? 'v' : 'r',
				  scan->nkey > 0  ? upg_image_json(row, scan->desc, scan->nkey, scan->key)
				  : scan->columns ? upg_image_json(row, scan->desc, 0, NULL)
								  : NULL,
				  upg_image_json(row, scan->desc, n, scan->columns ? columns : NULL));
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(scan->cxt);
}

/* Count, or write, what has to be set aside of a table. */
static int64
set_aside(UpgMerge *merge, UpgMergeTable *table, bool write)
{
	AsideScan scan = {0};
	Relation rel = table_open(table->relation, NoLock);

	scan.merge = merge;
	scan.table = table;
	scan.desc = RelationGetDescr(rel);
	scan.write = write;
	if (table->kind != UPG_TABLE_GOES)
		scan.columns = added_columns(merge->log, table->relation);
	if ((table->kind == UPG_TABLE_GOES || scan.columns) &&
		rel->rd_rel->relkind == RELKIND_RELATION &&
		rel->rd_rel->relpersistence != RELPERSISTENCE_TEMP)
	{
		scan.nkey = upg_choose_key(rel, scan.key);
		scan.cxt = AllocSetContextCreate(CurrentMemoryContext, "upg set aside",
										 ALLOCSET_DEFAULT_SIZES);
		upg_since_scan(rel, merge->log,
					   table->kind == UPG_TABLE_GOES ||
							   UPG_LOCATOR_NUMBER(UPG_REL_LOCATOR(rel)) !=
								   table->rows->filenumber
						   ? NULL
						   : &table->head,
					   aside_row, &scan);
		MemoryContextDelete(scan.cxt);
	}
	table_close(rel, NoLock);
	return scan.count;
}

static char *
column_names(Oid relation, Bitmapset *columns)
{
	StringInfoData buf;
	int first = bms_next_member(columns, -1);
	int attnum = -1;

	initStringInfo(&buf);
	appendStringInfoString(&buf, bms_membership(columns) == BMS_SINGLETON ? "column"
																		  : "columns");
	while ((attnum = bms_next_member(columns, attnum)) >= 0)
		appendStringInfo(&buf, "%s\"%s\"", attnum == first ? " " : ", ",
						 get_attname(relation, attnum, false));
	return buf.data;
}

/* A table that the migration made, or one that loses columns. */
static void
plan_aside(UpgMerge *merge, UpgMergeTable *table)
{
	int64 count = set_aside(merge, table, false);

	if (count == 0)
		return;
	if (table->policy == UPG_ON_CONFLICT_STRICT)
		upg_merge_refuse_strictly(
			merge,
			table->kind == UPG_TABLE_GOES
				? psprintf("table %s holds " INT64_FORMAT " rows written since",
						   table->name, count)
				: psprintf(INT64_FORMAT " rows of table %s hold values written "
										"since in %s",
						   count, table->name,
						   column_names(table->relation,
										added_columns(merge->log, table->relation))));
	else if (table->policy == UPG_ON_CONFLICT_DISCARD)
		table->discarded += count;
	else
		table->aside += count;
}

/* ---------------------------------------------------------------------
 * The plan and what is done by it
 * ---------------------------------------------------------------------
 */

/*
 * upg_merge_plan
 *		Decide about every row written since; adds to "refusals" what stands in
 *		the way.
 *
 * The tables are locked and log->catalogs hold the rows of now.
 */
void
upg_merge_plan(UpgUndoLog *log, UpgUndoOptions *options, List **refusals)
{
	UpgMerge *merge = palloc0(sizeof(UpgMerge));
	ListCell *lc;

	merge->log = log;
	merge->options = options;
	merge->refusals = refusals;
	merge->cxt = CurrentMemoryContext;
	log->merge = merge;
	upg_order_check_rows(merge);

	foreach (lc, upg_change_list(log->catalogs, RelationRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_class form;

		if (change->before || change->current == NULL)
			continue;
		form = (Form_pg_class) GETSTRUCT(change->current);
		if (form->relkind == RELKIND_RELATION)
			plan_aside(merge, merge_table(merge, form->oid, UPG_TABLE_GOES));
	}
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);
		UpgMergeTable *table;

		if (get_rel_relkind(rows->relation) != RELKIND_RELATION)
			continue;
		table = merge_table(merge, rows->relation,
							rows->switched ? UPG_TABLE_FILE : UPG_TABLE_SAME);
		if (rows->switched || added_columns(log, rows->relation))
			upg_chunks_read("undo_chunks", log->id, rows->relation, keep_head, table);
		plan_aside(merge, table);
		if (rows->switched)
			upg_merge_plan_file(merge, table);
		else if (rows->inserted > 0 || rows->deleted > 0)
			upg_merge_plan_same(merge, table);
	}
}

/*
 * upg_merge_forget
 *		Give back what a plan holds besides its memory.
 */
void
upg_merge_forget(UpgMerge *merge)
{
	ListCell *lc;

	foreach (lc, merge->tables)
	{
		UpgMergeTable *table = lfirst(lc);

		if (table->pending)
			tuplestore_end(table->pending);
		table->pending = NULL;
	}
}

/*
 * upg_merge_before
 *		Set aside what is about to go away.
 */
void
upg_merge_before(UpgUndoLog *log)
{
	ListCell *lc;

	if (log->merge == NULL)
		return;
	foreach (lc, log->merge->tables)
	{
		UpgMergeTable *table = lfirst(lc);

		if (table->aside > 0)
			(void) set_aside(log->merge, table, true);
	}
}

/* Write what was planned for all tables of one kind. */
static void
apply_to(UpgUndoLog *log, char kind, void (*apply)(UpgMerge *, UpgMergeTable *))
{
	ListCell *lc;

	if (log->merge == NULL)
		return;
	foreach (lc, log->merge->tables)
	{
		UpgMergeTable *table = lfirst(lc);

		if (table->kind == kind)
			apply(log->merge, table);
	}
	CommandCounterIncrement();
}

/*
 * upg_merge_files
 *		Write what was written since into the files that came back.
 */
void
upg_merge_files(UpgUndoLog *log)
{
	apply_to(log, UPG_TABLE_FILE, upg_merge_apply_file);
}

/*
 * upg_merge_after
 *		Merge rows in tables that kept their files.
 */
void
upg_merge_after(UpgUndoLog *log)
{
	apply_to(log, UPG_TABLE_SAME, upg_merge_apply_same);
}

/*
 * upg_columns_fill
 *		Rows that are new since get the default, or what a person gave, for
 *		columns that came back.
 */
void
upg_columns_fill(UpgUndoLog *log, UpgUndoOptions *options, UpgUndoResult *result)
{
	ListCell *lc;

	foreach (lc, log->columns)
	{
		UpgKeptColumns *kept = lfirst(lc);
		Relation rel;
		UpgRowWriter *writer;
		Bitmapset *returned;
		MemoryContext cxt;
		ListCell *lc2;

		if (kept->strangers == NIL ||
			upg_policy_of(options, kept->relation) == UPG_ON_CONFLICT_STRICT)
			continue;
		rel = table_open(kept->relation, AccessExclusiveLock);
		returned = upg_returned_columns(log, kept->relation);
		cxt = AllocSetContextCreate(CurrentMemoryContext, "upg fill row",
									ALLOCSET_DEFAULT_SIZES);
		writer = upg_writer_begin(rel);
		foreach (lc2, kept->strangers)
		{
			MemoryContext oldcxt = MemoryContextSwitchTo(cxt);
			HeapTuple row = upg_fetch_row(rel, lfirst(lc2));

			CHECK_FOR_INTERRUPTS();
			/* one that was merged has its values */
			if (row)
			{
				if (HeapTupleHasExternal(row))
					row = toast_flatten_tuple(row, RelationGetDescr(rel));
				row = upg_writer_defaults(writer, row, returned, options->fills);
				simple_heap_delete(rel, lfirst(lc2));
				upg_writer_insert(writer, row, true);
			}
			MemoryContextSwitchTo(oldcxt);
			MemoryContextReset(cxt);
		}
		upg_writer_end(writer, true);
		MemoryContextDelete(cxt);
		table_close(rel, NoLock);
	}
}
