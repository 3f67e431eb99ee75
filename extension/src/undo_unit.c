/*-------------------------------------------------------------------------
 *
 * undo_unit.c
 *		What is taken back at once: one log, or several that are one change.
 *
 * A migration of several steps has a log for each of its transactions; they
 * are taken back one by one, the latest first.  The transactions of one command
 * of the server's own (CREATE INDEX CONCURRENTLY and the like) are merged: the
 * first state before, the last one after.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_unit.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "utils/rel.h"

#include "errors.h"
#include "undo_log.h"

/* Have two rows of a catalog the same key? */
static bool
same_row(UpgCatalogInfo *info, TupleDesc desc, HeapTuple a, HeapTuple b)
{
	int alen;
	int blen;
	char *akey = upg_catalog_key(info, a, desc, &alen);
	char *bkey = upg_catalog_key(info, b, desc, &blen);
	bool same = alen == blen && memcmp(akey, bkey, alen) == 0;

	pfree(akey);
	pfree(bkey);
	return same;
}

/*
 * merge_change
 *		Add what happened to one row later; true if "change" took it up.
 *
 * A row that came and went leaves a change without either side.
 */
static bool
merge_change(UpgCatalogInfo *info, TupleDesc desc, UpgChange *change, UpgChange *later)
{
	if (later->before != NULL)
	{
		if (change->after == NULL || !same_row(info, desc, change->after, later->before))
			return false;
	}
	else if (change->after != NULL || change->before == NULL ||
			 !same_row(info, desc, change->before, later->after))
		return false;
	change->after = later->after ? heap_copytuple(later->after) : NULL;
	return true;
}

static void
merge_catalog(UpgCatalogChanges *net, UpgCatalogChanges *later)
{
	Relation rel = table_open(net->catalog, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	UpgCatalogInfo *info = upg_catalog_info(rel);
	List *kept = NIL;
	ListCell *lc;

	foreach (lc, later->changes)
	{
		UpgChange *change = lfirst(lc);
		UpgChange *copy;
		bool taken = false;
		ListCell *lc2;

		foreach (lc2, net->changes)
		{
			if (merge_change(info, desc, lfirst(lc2), change))
			{
				taken = true;
				break;
			}
		}
		if (taken)
			continue;
		copy = palloc0(sizeof(UpgChange));
		copy->before = change->before ? heap_copytuple(change->before) : NULL;
		copy->after = change->after ? heap_copytuple(change->after) : NULL;
		net->changes = lappend(net->changes, copy);
	}
	foreach (lc, net->changes)
	{
		UpgChange *change = lfirst(lc);

		if (change->before == NULL && change->after == NULL)
			continue;
		if (change->before && change->after &&
			bms_is_subset(upg_catalog_diff(rel, change->before, change->after),
						  info->moving))
			continue;
		kept = lappend(kept, change);
	}
	net->changes = kept;
	table_close(rel, AccessShareLock);
}

/*
 * upg_changes_merge
 *		The changes of a transaction added to those before it, row by row.
 *
 * Changes "net" and copies what it takes from "later".
 */
List *
upg_changes_merge(List *net, List *later)
{
	ListCell *lc;

	foreach (lc, later)
	{
		UpgCatalogChanges *changes = lfirst(lc);
		UpgCatalogChanges *mine = upg_changes_of(net, changes->catalog);

		if (mine == NULL)
		{
			mine = palloc0(sizeof(UpgCatalogChanges));
			mine->catalog = changes->catalog;
			net = lappend(net, mine);
		}
		merge_catalog(mine, changes);
	}
	return net;
}

static int
compare_xids(const void *a, const void *b)
{
	TransactionId xa = *(const TransactionId *) a;
	TransactionId xb = *(const TransactionId *) b;

	return xa < xb ? -1 : xa > xb;
}

/* Make of a log and the one after it a single one. */
static void
merge_logs(UpgUndoLog *log, UpgUndoLog *later)
{
	if (log->relations || log->files || log->sequences || log->columns ||
		later->relations || later->files || later->sequences || later->columns)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_UNDO_UNUSABLE),
				 errmsg("logs " INT64_FORMAT " and " INT64_FORMAT " cannot be merged",
						log->id, later->id),
				 errdetail("A command that commits inside changed rows or files."),
				 errhint("Give up the undo with upg_finalize().")));
	log->catalogs = upg_changes_merge(log->catalogs, later->catalogs);
	log->exempt = list_concat_unique_oid(log->exempt, later->exempt);
	log->xids = repalloc(log->xids, sizeof(TransactionId) * (log->nxids + later->nxids));
	memcpy(log->xids + log->nxids, later->xids, sizeof(TransactionId) * later->nxids);
	log->nxids += later->nxids;
	qsort(log->xids, log->nxids, sizeof(TransactionId), compare_xids);
	log->finish = later->finish;
	log->id = later->id;
	log->verdict = later->verdict;
}

/*
 * upg_undo_unit_read
 *		Read the logs of a unit as one.
 *
 * "own" reads what the present transaction has written last.
 */
UpgUndoLog *
upg_undo_unit_read(UpgUndoUnit *unit, bool own)
{
	UpgUndoLog *result = NULL;
	ListCell *lc;

	foreach (lc, unit->logs)
	{
		UpgUndoLog *log = upg_undo_log_read(*(int64 *) lfirst(lc), own);

		if (result == NULL)
			result = log;
		else
			merge_logs(result, log);
	}
	if (list_length(unit->logs) > 1)
		result->merged = true;
	return result;
}

/*
 * upg_undo_units
 *		What is kept of a migration, the latest first.
 */
List *
upg_undo_units(int64 migration)
{
	List *heads = upg_undo_log_list(migration); /* the oldest first */
	List *units = NIL;
	bool open = false; /* the next log of this step belongs to the unit */
	ListCell *lc;

	foreach (lc, heads)
	{
		UpgUndoHead *head = lfirst(lc);
		UpgUndoUnit *unit = units != NIL ? linitial(units) : NULL;

		if (unit == NULL || !open || unit->step != head->step)
		{
			unit = palloc0(sizeof(UpgUndoUnit));
			unit->step = head->step;
			units = lcons(unit, units);
		}
		unit->logs = lappend(unit->logs, &head->id);
		open = strcmp(head->verdict, UPG_VERDICT_PART) == 0;
	}
	return units;
}
