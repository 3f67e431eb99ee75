/*-------------------------------------------------------------------------
 *
 * proof.c
 *		Before a migration commits: would its rollback restore what was there?
 *
 * The rollback is run in a subtransaction, from the log as it was written, and
 * what it leaves is compared with what was there before: with the row versions
 * that the migration deleted, which are still in the catalogs and tables.  The
 * log itself is never the measure; it would only prove that it equals itself.
 * Then the subtransaction is abandoned.
 *
 * Rows that are not ours cannot have changed, so the comparison reads only
 * what the migration touched.  Every catalog row that was there before must be
 * there again, column by column; columns that the server moves by itself are
 * left out, and so are the columns that a rollback leaves as dropped.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/proof.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_largeobject.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "capture_internal.h"
#include "errors.h"
#include "subxact.h"

static void
add_difference(MemoryContext cxt, List **differences, const char *text)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(cxt);

	*differences = lappend(*differences, pstrdup(text));
	MemoryContextSwitchTo(oldcxt);
}

/* Columns of pg_class that may differ for reasons of storage. */
static bool
class_difference_allowed(UpgUndoLog *log, HeapTuple before, HeapTuple after, int attnum)
{
	Form_pg_class old = (Form_pg_class) GETSTRUCT(before);
	Form_pg_class new = (Form_pg_class) GETSTRUCT(after);

	switch (attnum)
	{
		case Anum_pg_class_relnatts:
			/* columns left as dropped */
			return upg_keep_find(log->files, old->oid) == NULL &&
				   new->relnatts > old->relnatts;
		case Anum_pg_class_reltoastrelid:
			return !OidIsValid(old->reltoastrelid) &&
				   list_member_oid(log->exempt, new->reltoastrelid);
		case Anum_pg_class_relfilenode:
			/* an index over a table that stays may have another file, and so may
			 * what is the server's own */
			return (old->relkind == RELKIND_INDEX || old->oid < FirstNormalObjectId) &&
				   upg_keep_find(log->files, old->oid) == NULL;
		default:
			return false;
	}
}

/* Compare a row of before with the one that came back, column by column. */
static void
compare_row(UpgUndoLog *log, Relation rel, HeapTuple before, HeapTuple after,
			MemoryContext cxt, List **differences)
{
	TupleDesc desc = RelationGetDescr(rel);
	Bitmapset *diff = bms_difference(upg_catalog_diff(rel, before, after),
									 upg_catalog_info(rel)->moving);
	StringInfoData columns;
	int attnum = -1;

	initStringInfo(&columns);
	while ((attnum = bms_next_member(diff, attnum)) >= 0)
	{
		if (RelationGetRelid(rel) == RelationRelationId &&
			class_difference_allowed(log, before, after, attnum))
			continue;
		appendStringInfo(&columns, "%s%s", columns.len ? ", " : "",
						 NameStr(TupleDescAttr(desc, attnum - 1)->attname));
	}
	if (columns.len > 0)
		add_difference(cxt, differences,
					   psprintf("%s would differ in %s",
								upg_catalog_describe(RelationGetRelid(rel), before, desc),
								columns.data));
}

/* Compare the catalogs as they are with what we deleted from them. */
static void
compare_catalogs(UpgUndoLog *log, const UpgOwnRows *own, MemoryContext cxt,
				 List **differences)
{
	List *catalogs = upg_collect_catalogs(
		own, upg_changes_of(log->catalogs, LargeObjectRelationId) != NULL);
	ListCell *lc;

	upg_filter_objects(&catalogs, log->exempt, true);
	foreach (lc, catalogs)
	{
		UpgCatalogChanges *changes = lfirst(lc);
		Relation rel = table_open(changes->catalog, AccessShareLock);
		TupleDesc desc = RelationGetDescr(rel);
		ListCell *lc2;

		foreach (lc2, changes->changes)
		{
			UpgChange *change = lfirst(lc2);

			if (change->after == NULL)
			{
				add_difference(cxt, differences,
							   psprintf("%s would not come back",
										upg_catalog_describe(changes->catalog,
															 change->before, desc)));
				continue;
			}
			if (change->before == NULL)
			{
				if (changes->catalog == AttributeRelationId &&
					((Form_pg_attribute) GETSTRUCT(change->after))->attisdropped)
					continue;
				add_difference(cxt, differences,
							   psprintf("%s would be left behind",
										upg_catalog_describe(changes->catalog,
															 change->after, desc)));
				continue;
			}
			compare_row(log, rel, change->before, change->after, cxt, differences);
		}
		table_close(rel, AccessShareLock);
	}
}

/* Order-free sums over row versions: those deleted, those that came back. */
typedef struct RowSums
{
	TupleDesc desc;
	uint64 before;
	uint64 after;
	int64 nbefore;
	int64 nafter;
	MemoryContext cxt;
} RowSums;

/* A hash of a row's values, not of its bytes. */
static uint64
row_hash(HeapTuple row, TupleDesc desc)
{
	uint64 hash = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		bool isnull;
		Datum value;
		uint64 h;

		if (att->attisdropped)
			continue;
		value = heap_getattr(row, i + 1, desc, &isnull);
		if (isnull)
			h = 1;
		else if (att->attbyval)
			h = hash_bytes_extended((unsigned char *) &value, sizeof(Datum), i);
		else if (att->attlen == -1)
		{
			struct varlena *v = PG_DETOAST_DATUM(value);

			h = hash_bytes_extended((unsigned char *) VARDATA_ANY(v),
									VARSIZE_ANY_EXHDR(v), i);
		}
		else if (att->attlen == -2)
			h = hash_bytes_extended((unsigned char *) DatumGetCString(value),
									strlen(DatumGetCString(value)), i);
		else
			h = hash_bytes_extended((unsigned char *) DatumGetPointer(value), att->attlen,
									i);
		hash = hash_combine64(hash, h);
	}
	return hash;
}

static void
sum_row(HeapTuple row, bool deleted, void *arg)
{
	RowSums *sums = arg;
	MemoryContext oldcxt = MemoryContextSwitchTo(sums->cxt);
	uint64 hash = row_hash(row, sums->desc);

	if (deleted)
	{
		sums->before += hash;
		sums->nbefore++;
	}
	else
	{
		sums->after += hash;
		sums->nafter++;
	}
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(sums->cxt);
}

/* Compare the rows of one table; false if the table was too large for it. */
static bool
compare_rows(UpgUndoLog *log, UpgRelationRows *rows, const UpgOwnRows *own, bool written,
			 MemoryContext cxt, List **differences)
{
	Relation rel;
	RowSums sums = {0};

	if (get_rel_relkind(rows->relation) == '\0')
	{
		add_difference(cxt, differences,
					   psprintf("table %s would not come back", rows->name));
		return true;
	}
	if (upg_proof_is_large(rows->inserted + rows->deleted) ||
		upg_data_unreachable(rows->relation, rows->deleted > 0))
		return false;
	rel = table_open(rows->relation, AccessShareLock);
	sums.desc = RelationGetDescr(rel);
	sums.cxt = AllocSetContextCreate(CurrentMemoryContext, "upg row sums",
									 ALLOCSET_DEFAULT_SIZES);
	if (written || rows->inserted > 0 || rows->deleted > 0)
		upg_harvest(rel, own, sum_row, &sums);
	if (sums.nbefore != sums.nafter || sums.before != sums.after)
		add_difference(cxt, differences,
					   psprintf("rows of table %s would differ: " INT64_FORMAT
								" of " INT64_FORMAT " come back",
								rows->name, sums.nafter, sums.nbefore));
	if (rows->switched)
	{
		UpgKeptFile *file = upg_keep_find(log->files, rows->relation);

		if (file == NULL ||
			UPG_LOCATOR_NUMBER(UPG_REL_LOCATOR(rel)) != UPG_LOCATOR_NUMBER(file->locator))
			add_difference(cxt, differences,
						   psprintf("table %s would not get back its file", rows->name));
	}
	MemoryContextDelete(sums.cxt);
	table_close(rel, NoLock);
	return true;
}

/*
 * check_touched
 *		Tables that were written and of which the log knows nothing must hold no
 *		row of ours.
 */
static void
check_touched(UpgUndoLog *log, List *touched, const UpgOwnRows *own, MemoryContext cxt,
			  List **differences)
{
	Oid upgnsp = get_namespace_oid("upg", true);
	ListCell *lc;

	foreach (lc, touched)
	{
		Oid relid = lfirst_oid(lc);
		UpgRelationRows rows = {0};
		bool known = false;
		char relkind;
		ListCell *lc2;

		if (relid < FirstNormalObjectId)
			continue;
		foreach (lc2, log->relations)
			if (((UpgRelationRows *) lfirst(lc2))->relation == relid)
				known = true;
		relkind = get_rel_relkind(relid);
		if (known || (relkind != RELKIND_RELATION && relkind != RELKIND_MATVIEW) ||
			get_rel_persistence(relid) == RELPERSISTENCE_TEMP ||
			get_rel_namespace(relid) == upgnsp)
			continue;
		rows.relation = relid;
		rows.name = get_rel_name(relid);
		(void) compare_rows(log, &rows, own, true, cxt, differences);
	}
}

/*
 * compare_net
 *		Are the rows of the catalogs what they were before a command that has
 *		committed several times?
 *
 * The versions that it deleted may be gone by now; "net" was read while they
 * were there.
 */
static void
compare_net(UpgUndoLog *log, List *net, MemoryContext cxt, List **differences)
{
	ListCell *lc;

	foreach (lc, net)
	{
		UpgCatalogChanges *changes = lfirst(lc);
		Relation rel = table_open(changes->catalog, AccessShareLock);
		TupleDesc desc = RelationGetDescr(rel);
		UpgCatalogInfo *info = upg_catalog_info(rel);
		List *claimed = NIL;
		ListCell *lc2;

		foreach (lc2, changes->changes)
		{
			UpgChange *change = lfirst(lc2);
			HeapTuple like = change->before ? change->before : change->after;
			HeapTuple now = upg_catalog_find(rel, info, like, &claimed);

			if (change->before == NULL)
			{
				if (now != NULL)
					add_difference(
						cxt, differences,
						psprintf("%s would be left behind",
								 upg_catalog_describe(changes->catalog, like, desc)));
			}
			else if (now == NULL)
				add_difference(
					cxt, differences,
					psprintf("%s would not come back",
							 upg_catalog_describe(changes->catalog, like, desc)));
			else
				compare_row(log, rel, change->before, now, cxt, differences);
		}
		table_close(rel, AccessShareLock);
	}
}

/* What a proof has to look at, and what it found. */
typedef struct ProofRun
{
	UpgUndoLog *written;
	const UpgOwnRows *own;
	List *touched; /* tables that the server counted as written */
	List *net;     /* of a merged log, else NIL */
	bool merged;
	int64 compared;
	int tables;
	int large;
} ProofRun;

/* The log as it was written, for the rollback. */
static UpgUndoLog *
read_back(ProofRun *run)
{
	List *units;

	if (!run->merged)
		return upg_undo_log_read(run->written->id, true);
	units = upg_undo_units(run->written->migration);
	return upg_undo_unit_read(linitial(units), true);
}

/* Roll back and compare, in a subtransaction that will be abandoned. */
static void
roll_back_and_compare(ProofRun *run, MemoryContext cxt, List **differences)
{
	UpgUndoOptions options = {0};
	UpgUndoResult result = {0};
	UpgUndoLog *log;
	List *conflicts = NIL;
	MemoryContext work = CurrentMemoryContext;
	ListCell *lc;

	options.proof = true;
	options.own = run->own;
	upg_alias_forget();
	log = read_back(run);
	upg_undo_locate(log, &options, &conflicts);
	foreach (lc, conflicts)
		add_difference(cxt, differences, lfirst(lc));
	upg_undo_perform(log, &options, &result);
	CommandCounterIncrement();
	run->compared = result.catalog_rows;
	if (run->merged)
	{
		compare_net(log, run->net, cxt, differences);
		return;
	}
	compare_catalogs(log, run->own, cxt, differences);
	if (*differences == NIL)
	{
		List *violated = upg_data_violated(log);

		MemoryContextSwitchTo(cxt);
		run->written->violated = list_copy(violated);
		MemoryContextSwitchTo(work);
	}
	check_touched(log, run->touched, run->own, cxt, differences);
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);

		if (compare_rows(log, rows, run->own,
						 list_member_oid(run->touched, rows->relation), cxt, differences))
			run->tables++;
		else
			run->large++;
	}
}

/*
 * prove
 *		Run the rollback, compare, take it all back; returns the differences.
 *
 * An error inside is a difference too: what fails now would fail later.
 */
static List *
prove(ProofRun *run)
{
	MemoryContext cxt = CurrentMemoryContext;
	UpgSubxact sub;
	List **differences = palloc0(sizeof(List *));

	upg_subxact_begin(&sub, "upg_proof");
	PG_TRY();
	{
		MemoryContext work =
			AllocSetContextCreate(cxt, "upg proof", ALLOCSET_DEFAULT_SIZES);

		MemoryContextSwitchTo(work);
		roll_back_and_compare(run, cxt, differences);
		MemoryContextSwitchTo(cxt);
		MemoryContextDelete(work);
		upg_subxact_abandon(&sub);
	}
	PG_CATCH();
	{
		ErrorData *edata = upg_subxact_catch(&sub);

		if (upg_error_is_final(edata->sqlerrcode))
			ReThrowError(edata);
		add_difference(cxt, differences,
					   psprintf("the rollback fails: %s%s%s (%s)", edata->message,
								edata->detail ? ": " : "",
								edata->detail ? edata->detail : "",
								unpack_sql_state(edata->sqlerrcode)));
		FreeErrorData(edata);
	}
	PG_END_TRY();

	return *differences;
}

/*
 * upg_prove
 *		Would the rollback of what this (sub)transaction changed restore what was
 *		there?  Returns the differences.
 *
 * "touched" are the tables that the server counted as written.
 */
List *
upg_prove(UpgUndoLog *written, const UpgOwnRows *own, List *touched, char **coverage)
{
	ProofRun run = {.written = written, .own = own, .touched = touched};
	List *differences = prove(&run);

	if (run.large > 0)
		*coverage =
			psprintf("%d tables row by row, %d by count only", run.tables, run.large);
	else
		*coverage = psprintf("complete: " INT64_FORMAT " catalog rows, %d tables",
							 run.compared, run.tables);
	return differences;
}

/*
 * upg_prove_merged
 *		The same for a command that has committed several times, "net" being
 *		what was read before each of its commits.
 */
List *
upg_prove_merged(UpgUndoLog *written, List *net, const UpgOwnRows *own, char **coverage)
{
	ProofRun run = {.written = written, .own = own, .net = net, .merged = true};
	List *differences = prove(&run);

	*coverage = psprintf("complete: " INT64_FORMAT " catalog rows", run.compared);
	return differences;
}
