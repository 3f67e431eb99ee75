/*-------------------------------------------------------------------------
 *
 * undo_fill.c
 *		Values that a person gave for columns that come back: the option "fill".
 *
 * Tables are known by OID from the moment the option is read, so it does not
 * matter what a rollback renames on the way.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_fill.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "errors.h"
#include "spi.h"
#include "undo_merge.h"

/* Looks for columns that the rollback of a log would bring back. */
typedef struct ReturnScan
{
	const UpgFill *fill;
	bool before; /* the last row was that of the column before the migration */
	bool found;
} ReturnScan;

/*
 * upg_fill_value
 *		The value that a person gave for a column, or NULL.
 */
const char *
upg_fill_value(List *fills, Oid relation, const char *column)
{
	ListCell *lc;

	foreach (lc, fills)
	{
		UpgFill *fill = lfirst(lc);

		if (fill->relation == relation && strcmp(fill->column, column) == 0)
			return fill->value;
	}
	return NULL;
}

/* Is this the description of the column, as one that can be given a value? */
static bool
is_of_fill(const UpgFill *fill, HeapTuple row)
{
	Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT(row);

	return att->attrelid == fill->relation && att->attnum > 0 && !att->attisdropped &&
		   att->attgenerated == '\0' && strcmp(NameStr(att->attname), fill->column) == 0;
}

static void
look_at_change(Oid catalog, char op, HeapTuple row, void *arg)
{
	ReturnScan *scan = arg;

	if (catalog != AttributeRelationId)
		return;
	if (op == 'A' && scan->before)
		scan->found |= ((Form_pg_attribute) GETSTRUCT(row))->attisdropped;
	scan->before = op == 'B' && is_of_fill(scan->fill, row);
}

/* Does any kept undo bring the column back? */
static bool
comes_back_anywhere(const UpgFill *fill)
{
	ReturnScan scan = {fill, false, false};
	ListCell *lc;

	foreach (lc, upg_undo_log_heads(0))
	{
		upg_chunks_read("undo_chunks", ((UpgUndoLog *) lfirst(lc))->id, InvalidOid,
						look_at_change, &scan);
		if (scan.found)
			return true;
	}
	return false;
}

/*
 * upg_fills_check
 *		Refuse values for columns that neither exist nor come back by any undo, and
 *		for those that are computed, before anything is changed.
 */
void
upg_fills_check(List *fills)
{
	ListCell *lc;

	foreach (lc, fills)
	{
		UpgFill *fill = lfirst(lc);
		AttrNumber attnum = get_attnum(fill->relation, fill->column);

		if ((attnum > 0 && get_attgenerated(fill->relation, attnum) == '\0') ||
			comes_back_anywhere(fill))
			continue;
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_INVALID_OPTION),
			 errmsg("option \"fill\": table %s has no column \"%s\" that can be given "
					"a value",
					fill->table, fill->column),
			 attnum > 0
				 ? errdetail("The values of this column are computed.")
				 : errdetail("It has none now, and no rollback brings one back to it."),
			 errhint("Name a column that comes back, as \"schema.table.column\", or "
					 "leave the value out. Nothing was changed.")));
	}
}

/* Did the migration drop this column? */
static bool
comes_back(UpgUndoLog *log, const UpgFill *fill)
{
	ListCell *lc;

	foreach (lc, upg_dropped_columns(log->catalogs, fill->relation))
		if (is_of_fill(fill, lfirst(lc)))
			return true;
	return false;
}

/* Are there rows that are new since, as columns come back to this table? */
static bool
has_strangers(UpgUndoLog *log, Oid relation)
{
	UpgKeptColumns *kept = upg_columns_find(log, relation);
	UpgMergeTable *table = upg_merge_find(log, relation);

	return (kept != NULL && kept->strangers != NIL) ||
		   (table != NULL && list_member_ptr(table->replaced, NULL));
}

/*
 * upg_fills_note
 *		Keep in mind which values this rollback, about which all is decided, uses.
 */
void
upg_fills_note(UpgUndoLog *log, List *fills)
{
	ListCell *lc;

	foreach (lc, fills)
	{
		UpgFill *fill = lfirst(lc);

		if (!comes_back(log, fill))
			continue;
		fill->comes_back = true;
		fill->used |= has_strangers(log, fill->relation);
	}
}

/*
 * is_for_others
 *		Is a value that this call does not use meant for other migrations of the
 *		run, or was this said before?
 */
static bool
is_for_others(const UpgFill *fill, const char *name, int64 upgrade)
{
	static UpgQuery query = {
		"SELECT pg_catalog.cardinality(plan) OPERATOR(pg_catalog.>) 1,"
		" plan[1] OPERATOR(pg_catalog.=) $2"
		" FROM upg.upgrades WHERE upgrade_id OPERATOR(pg_catalog.=) $1",
		SPI_OK_SELECT,
		2,
		{INT8OID, TEXTOID}};
	Datum values[2] = {Int64GetDatum(upgrade), CStringGetTextDatum(name)};
	UpgBooks books;
	bool several = false;
	bool first = false;
	bool isnull;

	if (upgrade == 0)
		return false;
	upg_books_open(&books);
	upg_query(&query, values, NULL);
	if (SPI_processed > 0)
	{
		several = DatumGetBool(upg_result_datum(0, 1, &isnull));
		first = DatumGetBool(upg_result_datum(0, 2, &isnull));
	}
	upg_books_close(&books);
	return several && (!first || comes_back_anywhere(fill));
}

/*
 * upg_fills_unused
 *		Which values were not needed, in words, after the rollback of "name", the
 *		first of a call that is part of a run (or of none: 0).
 */
List *
upg_fills_unused(List *fills, const char *name, int64 upgrade)
{
	List *notes = NIL;
	ListCell *lc;

	foreach (lc, fills)
	{
		UpgFill *fill = lfirst(lc);

		if (fill->used || (!fill->comes_back && is_for_others(fill, name, upgrade)))
			continue;
		notes = lappend(
			notes,
			psprintf(fill->comes_back
						 ? "option \"fill\": every row of table %s has a value of "
						   "its own for column \"%s\", so the one given is not used"
						 : "option \"fill\": table %s does not get column \"%s\" "
						   "back by this, so the value given is not used",
					 fill->table, fill->column));
	}
	return notes;
}
