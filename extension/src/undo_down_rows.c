/*-------------------------------------------------------------------------
 *
 * undo_down_rows.c
 *		Rows in a portable down.
 *
 * Three ways to know what a table needs.  "rows": the table kept its file and
 * its columns, so the rows that the undo took out and put in are exactly what
 * has to change; they are found by their headers.  "new": the table comes back,
 * with all its rows.  "whole": columns come back or get another type, so all
 * rows are compared, those that the script's DDL left with those of before.
 *
 * Rows are texts, as the types' output functions write them.  Tables with more
 * of it than upg.undo_copy_limit are left out, and the script says so.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_down_rows.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/regproc.h"

#include "compat.h"
#include "undo_down.h"
#include "upg.h"

/* ---------------------------------------------------------------------
 * Reading
 * ---------------------------------------------------------------------
 */

/* Make a row of texts, in the run's memory; counts its bytes. */
static UpgDownRow *
make_row(UpgDownRun *run, UpgDownTable *table, char **values)
{
	Size size = offsetof(UpgDownRow, values) + sizeof(char *) * table->ncolumns;
	UpgDownRow *row = MemoryContextAllocZero(run->cxt, size);

	for (int i = 0; i < table->ncolumns; i++)
	{
		uint32 hash = 17;

		if (values[i] != NULL)
		{
			row->values[i] = MemoryContextStrdup(run->cxt, values[i]);
			hash = hash_bytes((unsigned char *) values[i], strlen(values[i]));
			size += strlen(values[i]) + 1;
		}
		row->hash = hash_combine(row->hash, hash);
	}
	table->bytes += size;
	if (upg_guc_undo_copy_limit >= 0 &&
		table->bytes > (uint64) upg_guc_undo_copy_limit * UINT64CONST(1024))
		table->too_large = true;
	return row;
}

static List *
add_row(UpgDownRun *run, List *rows, UpgDownRow *row)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(run->cxt);

	rows = lappend(rows, row);
	MemoryContextSwitchTo(oldcxt);
	return rows;
}

/* All rows of the table as it stands now, by its columns' names. */
static List *
read_table(UpgDownRun *run, UpgDownTable *table)
{
	StringInfoData sql;
	char **values = palloc(sizeof(char *) * table->ncolumns);
	List *rows = NIL;
	Portal portal;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	for (int i = 0; i < table->ncolumns; i++)
		appendStringInfo(&sql, "%st.%s", i > 0 ? ", " : "",
						 quote_identifier(table->columns[i]));
	appendStringInfo(&sql, " FROM ONLY %s t", table->id);
	table->bytes = 0;
	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL, sql.data, 0, NULL, NULL, NULL, false, 0);
	do
	{
		SPI_cursor_fetch(portal, true, 1000);
		for (uint64 i = 0; i < SPI_processed && !table->too_large; i++)
		{
			for (int j = 0; j < table->ncolumns; j++)
				values[j] =
					SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, j + 1);
			rows = add_row(run, rows, make_row(run, table, values));
			for (int j = 0; j < table->ncolumns; j++)
				if (values[j])
					pfree(values[j]);
		}
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0 && !table->too_large);
	SPI_cursor_close(portal);
	SPI_finish();
	return rows;
}

/* A row version that the undo took out or put in. */
typedef struct Harvest
{
	UpgDownRun *run;
	UpgDownTable *table;
	TupleDesc desc;
	FmgrInfo *out;
	MemoryContext cxt;
} Harvest;

static void
harvest_row(HeapTuple tuple, bool deleted, void *arg)
{
	Harvest *harvest = arg;
	UpgDownTable *table = harvest->table;
	MemoryContext oldcxt;
	char **values;
	UpgDownRow *row;

	if (table->too_large)
		return;
	oldcxt = MemoryContextSwitchTo(harvest->cxt);
	values = palloc(sizeof(char *) * table->ncolumns);
	for (int i = 0; i < table->ncolumns; i++)
	{
		bool isnull;
		Datum value = heap_getattr(tuple, table->numbers[i], harvest->desc, &isnull);

		values[i] = isnull ? NULL : OutputFunctionCall(&harvest->out[i], value);
	}
	row = make_row(harvest->run, table, values);
	if (deleted)
		table->gone = add_row(harvest->run, table->gone, row);
	else
		table->before = add_row(harvest->run, table->before, row);
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(harvest->cxt);
}

static void
harvest_table(UpgDownRun *run, UpgDownTable *table, const UpgOwnRows *own)
{
	Relation rel = table_open(table->relation, AccessShareLock);
	Harvest harvest = {run, table, RelationGetDescr(rel)};

	harvest.out = palloc(sizeof(FmgrInfo) * table->ncolumns);
	for (int i = 0; i < table->ncolumns; i++)
	{
		Oid type = TupleDescAttr(harvest.desc, table->numbers[i] - 1)->atttypid;
		Oid function;
		bool varlena;

		getTypeOutputInfo(type, &function, &varlena);
		fmgr_info(function, &harvest.out[i]);
	}
	harvest.cxt = AllocSetContextCreate(CurrentMemoryContext, "upg down row",
										ALLOCSET_DEFAULT_SIZES);
	upg_harvest(rel, own, harvest_row, &harvest);
	MemoryContextDelete(harvest.cxt);
	table_close(rel, NoLock);
}

/* An array of text of the current result as C strings, in the run's memory. */
static char **
texts(UpgDownRun *run, HeapTuple row, int column, int *n)
{
	bool isnull;
	Datum value = SPI_getbinval(row, SPI_tuptable->tupdesc, column, &isnull);
	MemoryContext oldcxt = MemoryContextSwitchTo(run->cxt);
	Datum *elems;
	char **result;

	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &elems,
					  NULL, n);
	result = palloc(sizeof(char *) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		result[i] = TextDatumGetCString(elems[i]);
	MemoryContextSwitchTo(oldcxt);
	return result;
}

static UpgDownTable *
read_entry(UpgDownRun *run, HeapTuple row)
{
	TupleDesc desc = SPI_tuptable->tupdesc;
	UpgDownTable *table = MemoryContextAllocZero(run->cxt, sizeof(UpgDownTable));
	bool isnull;
	char **key;
	int nkey;
	Datum *numbers;

	table->relation = DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull));
	table->image = MemoryContextStrdup(run->cxt, SPI_getvalue(row, desc, 2));
	table->id = MemoryContextStrdup(run->cxt, SPI_getvalue(row, desc, 3));
	table->mode = MemoryContextStrdup(run->cxt, SPI_getvalue(row, desc, 4));
	table->columns = texts(run, row, 5, &table->ncolumns);
	table->types = texts(run, row, 6, &table->ncolumns);
	deconstruct_array(DatumGetArrayTypeP(SPI_getbinval(row, desc, 7, &isnull)), INT4OID,
					  sizeof(int32), true, TYPALIGN_INT, &numbers, NULL,
					  &table->ncolumns);
	table->numbers = MemoryContextAlloc(run->cxt, sizeof(int) * table->ncolumns);
	table->in_key = MemoryContextAllocZero(run->cxt, sizeof(bool) * table->ncolumns);
	key = texts(run, row, 8, &nkey);
	for (int i = 0; i < table->ncolumns; i++)
	{
		table->numbers[i] = DatumGetInt32(numbers[i]);
		for (int j = 0; j < nkey; j++)
			if (strcmp(key[j], table->columns[i]) == 0)
			{
				table->in_key[i] = true;
				table->has_key = true;
			}
	}
	return table;
}

/*
 * upg_down_rows_before
 *		After the undo: which tables need rows, and the rows as they were.
 */
void
upg_down_rows_before(UpgDownRun *run, const UpgOwnRows *own)
{
	static const char sql[] =
		"SELECT t.* FROM upg.down_actions($1, $2, $3, $4, ARRAY(SELECT DISTINCT k FROM"
		" pg_catalog.unnest($5 || $6) k WHERE $1 OPERATOR(pg_catalog.?) k OR"
		" $2 OPERATOR(pg_catalog.?) k)) d, upg.down_tables($1, $2, d, $7, $8) t";
	Oid types[] = {JSONBOID,     JSONBOID,     JSONBOID,    JSONBOID,
				   TEXTARRAYOID, TEXTARRAYOID, OIDARRAYOID, OIDARRAYOID};
	Datum values[] = {run->now.objects,    run->before.objects, run->now.depends,
					  run->before.depends, run->now.keys,       run->before.keys,
					  run->written,        run->switched};
	char nulls[] = "        ";
	MemoryContext oldcxt;
	ListCell *lc;

	for (int i = 0; i < lengthof(values); i++)
		nulls[i] = values[i] == (Datum) 0 ? 'n' : ' ';
	SPI_connect();
	if (SPI_execute_with_args(sql, lengthof(values), types, values, nulls, false, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "the tables of a down cannot be listed");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		UpgDownTable *table = read_entry(run, SPI_tuptable->vals[i]);

		oldcxt = MemoryContextSwitchTo(run->cxt);
		run->tables = lappend(run->tables, table);
		MemoryContextSwitchTo(oldcxt);
	}
	SPI_finish();
	foreach (lc, run->tables)
	{
		UpgDownTable *table = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (strcmp(table->mode, "rows") == 0)
			harvest_table(run, table, own);
		else
			table->before = read_table(run, table);
	}
}

/* ---------------------------------------------------------------------
 * Comparing
 * ---------------------------------------------------------------------
 */

typedef struct RowEntry
{
	uint32 hash;
	List *rows; /* of UpgDownRow, not yet matched */
} RowEntry;

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same_row(UpgDownTable *table, UpgDownRow *a, UpgDownRow *b, bool key)
{
	for (int i = 0; i < table->ncolumns; i++)
		if ((!key || table->in_key[i]) && !same_text(a->values[i], b->values[i]))
			return false;
	return true;
}

static uint32
key_hash(UpgDownTable *table, UpgDownRow *row)
{
	uint32 hash = 0;

	for (int i = 0; i < table->ncolumns; i++)
		if (table->in_key[i] && row->values[i])
			hash = hash_combine(hash, hash_bytes((unsigned char *) row->values[i],
												 strlen(row->values[i])));
	return hash;
}

static HTAB *
hash_rows(UpgDownTable *table, List *rows, bool key)
{
	HASHCTL ctl = {.keysize = sizeof(uint32), .entrysize = sizeof(RowEntry)};
	HTAB *hash;
	ListCell *lc;

	ctl.hcxt = CurrentMemoryContext;
	hash = hash_create("upg down rows", Max(list_length(rows), 16), &ctl,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach (lc, rows)
	{
		UpgDownRow *row = lfirst(lc);
		uint32 value = key ? key_hash(table, row) : row->hash;
		bool found;
		RowEntry *entry;

		if (row->matched)
			continue;
		entry = hash_search(hash, &value, HASH_ENTER, &found);
		if (!found)
			entry->rows = NIL;
		entry->rows = lappend(entry->rows, row);
	}
	return hash;
}

/* Take out of the hash a row like this one, or with its key. */
static UpgDownRow *
take_match(UpgDownTable *table, HTAB *hash, UpgDownRow *row, bool key)
{
	uint32 value = key ? key_hash(table, row) : row->hash;
	RowEntry *entry = hash_search(hash, &value, HASH_FIND, NULL);
	ListCell *lc;

	if (entry != NULL)
		foreach (lc, entry->rows)
		{
			UpgDownRow *other = lfirst(lc);

			if (same_row(table, row, other, key))
			{
				entry->rows = foreach_delete_current(entry->rows, lc);
				return other;
			}
		}
	return NULL;
}

/* Mark rows that are on both sides; returns how many are left on either. */
static int64
cancel(UpgDownTable *table, List *gone, List *come)
{
	HTAB *hash = hash_rows(table, come, false);
	int64 left = list_length(gone) + (int64) list_length(come);
	ListCell *lc;

	foreach (lc, gone)
	{
		UpgDownRow *row = lfirst(lc);
		UpgDownRow *same = row->matched ? NULL : take_match(table, hash, row, false);

		if (same != NULL)
		{
			row->matched = true;
			same->matched = true;
			left -= 2;
		}
	}
	hash_destroy(hash);
	return left;
}

static void
forget_matches(List *rows)
{
	ListCell *lc;

	foreach (lc, rows)
		((UpgDownRow *) lfirst(lc))->matched = false;
}

/* The rows that are not on the other side, too. */
static List *
unmatched(List *rows)
{
	List *result = NIL;
	ListCell *lc;

	foreach (lc, rows)
	{
		UpgDownRow *row = lfirst(lc);

		if (!row->matched)
			result = lappend(result, row);
	}
	return result;
}

/* Has every row a value in each column of the key?  Columns may just have come. */
static bool
keys_known(UpgDownTable *table, List *rows)
{
	ListCell *lc;

	foreach (lc, rows)
	{
		UpgDownRow *row = lfirst(lc);

		for (int i = 0; i < table->ncolumns; i++)
			if (table->in_key[i] && row->values[i] == NULL)
				return false;
	}
	return true;
}

/*
 * match_rows
 *		Find out what has to be deleted, changed and inserted; false if nothing.
 */
static bool
match_rows(UpgDownTable *table, List *gone)
{
	int64 all = list_length(gone) + (int64) list_length(table->before);
	int64 left;
	HTAB *hash;
	ListCell *lc;

	forget_matches(gone);
	forget_matches(table->before);
	table->goes = gone;
	table->pairs = NIL;
	left = cancel(table, gone, table->before);
	table->keyed = table->has_key && keys_known(table, gone);
	table->none_stays =
		left == all && !table->keyed && gone != NIL && strcmp(table->mode, "rows") != 0;
	if (left == 0 || !table->keyed)
		return left > 0;
	hash = hash_rows(table, table->before, true);
	foreach (lc, gone)
	{
		UpgDownRow *row = lfirst(lc);
		UpgDownRow *before = row->matched ? NULL : take_match(table, hash, row, true);
		UpgDownPair *pair;

		if (before == NULL)
			continue;
		row->matched = true;
		before->matched = true;
		pair = palloc(sizeof(UpgDownPair));
		pair->now = row;
		pair->before = before;
		pair->columns = palloc0(table->ncolumns + 1);
		for (int i = 0; i < table->ncolumns; i++)
			pair->columns[i] = same_text(row->values[i], before->values[i]) ? 'n' : 'y';
		table->pairs = lappend(table->pairs, pair);
	}
	hash_destroy(hash);
	return true;
}

/* Is the table there by now, with its columns?  A statement may have failed. */
static bool
is_there(UpgDownTable *table)
{
	Oid relation = upg_down_relation(table);

	if (!OidIsValid(relation))
		return false;
	for (int i = 0; i < table->ncolumns; i++)
		if (get_attnum(relation, table->columns[i]) == InvalidAttrNumber)
			return false;
	return true;
}

/*
 * upg_down_rows_differing
 *		Tables whose rows are not those of before, each with what has to be done.
 */
List *
upg_down_rows_differing(UpgDownRun *run)
{
	List *tables = NIL;
	ListCell *lc;

	foreach (lc, run->tables)
	{
		UpgDownTable *table = lfirst(lc);
		List *gone = table->gone;

		CHECK_FOR_INTERRUPTS();
		if (table->too_large || strcmp(table->mode, "check") == 0 || !is_there(table))
			continue;
		if (strcmp(table->mode, "whole") == 0)
			gone = read_table(run, table);
		if (!table->too_large && match_rows(table, gone))
			tables = lappend(tables, table);
	}
	return tables;
}

/* Mark what is said about a table's rows. */
static void
blame_rows(UpgDownRun *run, UpgDownTable *table, const char *why)
{
	bool found = false;
	ListCell *lc;

	foreach (lc, run->statements)
	{
		UpgDownStatement *statement = lfirst(lc);

		if (strcmp(statement->image, table->image) != 0)
			continue;
		found = true;
		if (statement->text != NULL && strcmp(statement->tag, "exact") == 0)
		{
			statement->tag = "inexact";
			statement->reason = MemoryContextStrdup(run->cxt, why);
		}
	}
	if (!found || (table->too_large && strcmp(table->mode, "check") != 0))
	{
		UpgDownStatement *statement = upg_down_add(run, 99, table->image, NULL);

		statement->tag = "impossible";
		statement->reason = MemoryContextStrdup(run->cxt, why);
	}
}

/* Has the trial taken out and put in the very rows that the undo has? */
static bool
same_change(UpgDownRun *run, UpgDownTable *table)
{
	UpgDownTable trial = *table;
	List *gone;
	List *come;

	trial.gone = NIL;
	trial.before = NIL;
	trial.bytes = 0;
	harvest_table(run, &trial, &run->trial);
	if (trial.too_large)
		return false;
	forget_matches(table->gone);
	forget_matches(table->before);
	(void) cancel(table, table->gone, table->before);
	gone = unmatched(table->gone);
	come = unmatched(table->before);
	(void) cancel(&trial, trial.gone, trial.before);
	return cancel(table, gone, unmatched(trial.gone)) == 0 &&
		   cancel(table, come, unmatched(trial.before)) == 0;
}

/*
 * upg_down_rows_check
 *		At the end of the trial: are the rows those of before?
 */
void
upg_down_rows_check(UpgDownRun *run)
{
	ListCell *lc;

	foreach (lc, run->tables)
	{
		UpgDownTable *table = lfirst(lc);
		bool same;

		CHECK_FOR_INTERRUPTS();
		if (table->too_large)
		{
			blame_rows(run, table,
					   psprintf("the rows of %s are more than upg.undo_copy_limit and %s",
								table->image,
								strcmp(table->mode, "check") == 0
									? "were not compared"
									: "not in this script"));
			continue;
		}
		if (!is_there(table))
			same = false;
		else if (strcmp(table->mode, "rows") == 0)
			same = same_change(run, table);
		else
		{
			List *rows = read_table(run, table);

			forget_matches(table->before);
			same = !table->too_large && cancel(table, rows, table->before) == 0;
		}
		if (!same)
			blame_rows(run, table,
					   psprintf("rows of %s are not as before", table->image));
	}
}
