/*-------------------------------------------------------------------------
 *
 * undo_estimate.c
 *		How long a rollback takes, and how long it keeps readers out.
 *
 * A preview has the same plan as the rollback, so it knows how many rows will be
 * taken out, put in and checked.  What that costs on a usual machine is a sum of a
 * few constants; how this machine compares, earlier rollbacks tell, or a sample of
 * the same kind of work where there were none.  The outcome is meant as a bound and
 * not as a mean: who asks wants to know what he has to put up with.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_estimate.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "spi.h"
#include "subxact.h"
#include "undo_merge.h"

/*
 * Microseconds on a usual machine.  A page counts when it is written for the first
 * time since a checkpoint, which puts all of it into the WAL.
 */
#define US_TAKE_OUT    1.5
#define US_PUT_IN      3.0
#define US_INDEX_ENTRY 1.5
#define US_BYTE        0.01
#define US_PAGE        50.0
#define US_CHECK       1.0
#define US_BUILD       2.0
#define US_SET_ASIDE   20.0
#define US_CATALOG_ROW 50.0
#define US_SAMPLE      10.0 /* a row of the sample */

/* Of no rollback and of every one: books, drift, checks, commit. */
#define MS_ANYWAY 50.0

/* So many rows at least; on a busy machine others must have had their turn, too. */
#define SAMPLE_ROWS 300
#define SAMPLE_MOST 2500
#define SAMPLE_MS   60.0
/* How far a rollback may stay behind the sample, or behind the slowest so far. */
#define SLACK_SAMPLE  4.0
#define SLACK_HISTORY 1.5

/*
 * upg_ms_since
 *		Milliseconds since a point in time.
 */
double
upg_ms_since(instr_time start)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return INSTR_TIME_GET_MILLISEC(now);
}

/*
 * upg_estimate_alone
 *		From here on readers are kept out, if the locks are such.
 */
void
upg_estimate_alone(UpgUndoResult *result, const UpgUndoLocks *locks)
{
	if (result->alone || locks->alone == NIL)
		return;
	result->alone = true;
	INSTR_TIME_SET_CURRENT(result->alone_since);
}

/*
 * upg_estimate_done
 *		A rollback has done its work; what follows is the commit.
 */
void
upg_estimate_done(UpgUndoResult *result)
{
	if (result->alone)
		result->alone_ms = upg_ms_since(result->alone_since);
}

/* ---------------------------------------------------------------------
 * What there is to do
 * ---------------------------------------------------------------------
 */

/* Rows and pages as the catalog has them; they may be old or missing. */
static void
size_in_catalog(Oid relation, double *rows, double *pages)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));

	*rows = *pages = 0;
	if (!HeapTupleIsValid(tuple))
		return;
	*rows = Max(((Form_pg_class) GETSTRUCT(tuple))->reltuples, 0);
	*pages = ((Form_pg_class) GETSTRUCT(tuple))->relpages;
	ReleaseSysCache(tuple);
}

/*
 * size_of
 *		Rows and pages of a table.
 *
 * By its size and the rows that a page held when somebody counted, or else would
 * hold if they were small.
 */
static void
size_of(Oid table, double *rows, double *pages)
{
	Relation rel;
	double counted = 0;

	size_in_catalog(table, rows, &counted);
	*pages = counted;
	if (get_rel_relkind(table) != RELKIND_RELATION ||
		!ConditionalLockRelationOid(table, AccessShareLock))
		return;
	rel = table_open(table, NoLock);
	*pages = RelationGetNumberOfBlocks(rel);
	table_close(rel, AccessShareLock);
	*rows = *rows > 0 && counted > 0 ? *rows * *pages / counted : *pages * 150;
}

/*
 * upg_estimate_rows
 *		About how many rows a table has, its partitions included.
 */
double
upg_estimate_rows(Oid table)
{
	double sum = 0;
	ListCell *lc;

	if (!OidIsValid(table) || get_rel_relkind(table) == '\0')
		return 0;
	foreach (lc, find_all_inheritors(table, NoLock, NULL))
	{
		double rows;
		double pages;

		size_of(lfirst_oid(lc), &rows, &pages);
		sum += rows;
	}
	return sum;
}

/* Rows that leave a table and rows that come into it. */
static double
cost_of_rows(Oid table, double out, double in)
{
	Relation rel;
	double rows;
	double pages;
	double width;
	double us;
	List *indexes;
	ListCell *lc;

	if (out + in == 0 || get_rel_relkind(table) == '\0')
		return 0;
	size_of(table, &rows, &pages);
	width = rows > 0 ? Max(pages * BLCKSZ / rows, 40) : 200;
	us = out * US_TAKE_OUT + in * (US_PUT_IN + width * US_BYTE) +
		 Min(pages, out) * US_PAGE;
	rel = table_open(table, NoLock);
	indexes = RelationGetIndexList(rel);
	table_close(rel, NoLock);
	foreach (lc, indexes)
	{
		HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		double entries;
		double index_pages;

		if (!HeapTupleIsValid(tuple))
			continue;
		size_in_catalog(lfirst_oid(lc), &entries, &index_pages);
		us += in * US_INDEX_ENTRY + Min(Max(index_pages, pages / 4), out + in) * US_PAGE;
		if (!((Form_pg_index) GETSTRUCT(tuple))->indimmediate)
			us += (rows + in) * US_BUILD;
		ReleaseSysCache(tuple);
	}
	return us;
}

/* What was planned for one table. */
static double
cost_of_table(UpgUndoLog *log, UpgMergeTable *table)
{
	UpgKeptFile *file = upg_keep_find(log->files, table->relation);
	double us = table->aside * US_SET_ASIDE + table->conflicts * US_SET_ASIDE;

	switch (table->kind)
	{
		case UPG_TABLE_SAME:
			us += cost_of_rows(table->relation,
							   (double) table->removed + table->merged + table->discarded,
							   (double) table->restored + table->merged);
			break;
		case UPG_TABLE_FILE:
			us += cost_of_rows(table->relation, (double) table->merged + table->gone,
							   (double) table->merged + table->kept);
			/* the indexes of a file that was vacuumed meanwhile are built again */
			if (file &&
				((Form_pg_class) GETSTRUCT(upg_keep_caretaker(file)))->reltuples >= 0)
				us += Max(upg_estimate_rows(table->relation), file->pages * 150.0) *
					  US_BUILD * 4;
			break;
	}
	return us;
}

/* Indexes that come back to tables that live on, and are built. */
static double
cost_of_indexes(UpgUndoLog *log)
{
	double us = 0;
	ListCell *lc;

	foreach (lc, upg_change_list(log->catalogs, IndexRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_index form;

		if (change->before == NULL || change->after)
			continue;
		form = (Form_pg_index) GETSTRUCT(change->before);
		if (upg_keep_find(log->files, form->indexrelid) == NULL)
			us += upg_estimate_rows(form->indrelid) * US_BUILD;
	}
	return us;
}

/* Columns that come back, or become narrower or NOT NULL again. */
static double
cost_of_columns(UpgUndoLog *log)
{
	double us = 0;
	ListCell *lc;

	foreach (lc, upg_change_list(log->catalogs, AttributeRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_attribute before;
		Form_pg_attribute after;

		if (change->before == NULL || change->after == NULL)
			continue;
		before = (Form_pg_attribute) GETSTRUCT(change->before);
		after = (Form_pg_attribute) GETSTRUCT(change->after);
		if (before->attisdropped || before->attnum <= 0 ||
			upg_keep_find(log->files, before->attrelid))
			continue;
		if ((before->attnotnull && !after->attnotnull) ||
			before->atttypmod != after->atttypmod)
			us += upg_estimate_rows(before->attrelid) * US_CHECK;
	}
	foreach (lc, log->columns)
	{
		UpgKeptColumns *kept = lfirst(lc);
		double rows = list_length(kept->patches) + list_length(kept->strangers);

		us += cost_of_rows(kept->relation, rows, rows);
	}
	return us;
}

/*
 * upg_estimate_work
 *		Milliseconds that what was planned would take on a usual machine.
 */
double
upg_estimate_work(UpgUndoLog *log)
{
	double us = upg_data_rows_to_check(log) * US_CHECK + cost_of_indexes(log) +
				cost_of_columns(log);
	ListCell *lc;

	foreach (lc, log->catalogs)
		us += list_length(((UpgCatalogChanges *) lfirst(lc))->changes) * US_CATALOG_ROW;
	foreach (lc, log->merge->tables)
		us += cost_of_table(log, lfirst(lc));
	return us / 1000;
}

/* ---------------------------------------------------------------------
 * How fast this machine is
 * ---------------------------------------------------------------------
 */

/*
 * sample
 *		How much longer than a usual machine this one needs now: some rows are
 *		written and given up again.
 */
static double
sample(void)
{
	UpgSubxact sub;
	instr_time start;
	double ms = 0;
	int rows = 0;
	bool nulls[7] = {0};
	Datum values[7];

	nulls[4] = true;
	values[0] = values[1] = Int64GetDatum(0);
	values[2] = CStringGetTextDatum("sample");
	values[3] = CharGetDatum('r');
	values[5] = DirectFunctionCall1(
		jsonb_in,
		CStringGetDatum("{\"a\": \"12345678901234567890123456789012345678901"
						"2345678901234567890123456789012345678901234567890\"}"));
	values[6] = TimestampTzGetDatum(GetCurrentTimestamp());
	upg_subxact_begin(&sub, "upg sample");
	INSTR_TIME_SET_CURRENT(start);
	while (rows < SAMPLE_ROWS || (ms < SAMPLE_MS && rows < SAMPLE_MOST))
	{
		upg_undo_insert("kept_rows", values, nulls);
		if (++rows % 50 == 0)
			ms = upg_ms_since(start);
	}
	upg_subxact_abandon(&sub);
	return Max(ms * 1000 / rows / US_SAMPLE, 1.0);
}

/* How much longer than a usual machine the slowest of the last rollbacks needed. */
static double
slowest_so_far(void)
{
	static UpgQuery query = {
		"SELECT COALESCE(pg_catalog.max(ms OPERATOR(pg_catalog./) work),"
		" 0)::pg_catalog.float8 FROM (SELECT"
		" (details OPERATOR(pg_catalog.->>) 'perform_ms')::pg_catalog.float8 AS ms,"
		" (details OPERATOR(pg_catalog.->>) 'work_ms')::pg_catalog.float8 AS work"
		" FROM upg.rollback_records WHERE details OPERATOR(pg_catalog.?) 'work_ms'"
		" ORDER BY rollback_id DESC LIMIT 50) s"
		" WHERE work OPERATOR(pg_catalog.>) 100",
		SPI_OK_SELECT,
		0,
		{0}};
	UpgBooks books;
	bool isnull;
	double factor;

	upg_books_open(&books);
	upg_query_latest(&query, NULL, NULL);
	factor = DatumGetFloat8(upg_result_datum(0, 1, &isnull));
	upg_books_close(&books);
	return factor;
}

/*
 * upg_estimate
 *		How long the rollback that was looked at would take at most, and how long
 *		it would keep readers out.
 */
void
upg_estimate(const UpgUndoResult *result, UpgEstimate *estimate)
{
	double past = slowest_so_far();
	double now = sample();
	double factor = past > 0 ? Max(past * SLACK_HISTORY, now) : now * SLACK_SAMPLE;

	/* where somebody always reads, readers are kept out from the beginning */
	estimate->history = past > 0;
	estimate->all_ms =
		ceil(MS_ANYWAY * now + result->plan_ms * SLACK_SAMPLE + result->work_ms * factor);
	estimate->readers_ms = result->locked == NIL ? 0 : estimate->all_ms;
}
