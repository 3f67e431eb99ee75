/*-------------------------------------------------------------------------
 *
 * undo_lock.c
 *		The locks of a rollback.
 *
 * It needs every relation that it changes for itself alone, all of them before
 * it looks at anything.  Applications take theirs in another order, so whoever
 * waits holds nothing that the other could be waiting for: what was locked is
 * given back after a short time, and tried again.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_lock.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "errors.h"
#include "footprint.h"
#include "subxact.h"
#include "undo.h"

/*
 * upg_undo_lock_list
 *		Every relation whose description, file or rows will change, in the order
 *		in which they are locked: by OID, tables before indexes, so that two
 *		rollbacks cannot deadlock with each other.
 */
List *
upg_undo_lock_list(UpgUndoLog *log)
{
	List *tables = NIL;
	List *others = NIL;
	ListCell *lc;

	foreach (lc, log->catalogs)
	{
		UpgCatalogChanges *changes = lfirst(lc);
		Relation rel = table_open(changes->catalog, AccessShareLock);
		ListCell *lc2;

		foreach (lc2, changes->changes)
		{
			UpgChange *change = lfirst(lc2);
			HeapTuple rows[2] = {change->before, change->after};

			for (int i = 0; i < 2; i++)
			{
				Oid oids[2];

				if (rows[i] == NULL)
					continue;
				oids[0] = upg_row_relation(changes->catalog, rows[i],
										   RelationGetDescr(rel), &oids[1]);
				for (int j = 0; j < 2; j++)
				{
					if (!OidIsValid(oids[j]) || oids[j] < FirstNormalObjectId)
						continue;
					switch (get_rel_relkind(oids[j]))
					{
						case '\0':
						case RELKIND_COMPOSITE_TYPE:
							break;
						case RELKIND_INDEX:
						case RELKIND_PARTITIONED_INDEX:
						case RELKIND_TOASTVALUE:
							others = list_append_unique_oid(others, oids[j]);
							break;
						default:
							tables = list_append_unique_oid(tables, oids[j]);
					}
				}
			}
		}
		table_close(rel, AccessShareLock);
	}
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);

		if (get_rel_relkind(rows->relation) != '\0')
			tables = list_append_unique_oid(tables, rows->relation);
	}
	list_sort(tables, list_oid_cmp);
	list_sort(others, list_oid_cmp);
	return list_concat(tables, others);
}

/* Lock all of them within "timeout" milliseconds; "last" is the one at hand. */
static void
lock_within(List *relations, LOCKMODE mode, int timeout, volatile Oid *last)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout);
	int theirs = LockTimeout;
	ListCell *lc;

	foreach (lc, relations)
	{
		int left = (int) TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);

		*last = lfirst_oid(lc);
		LockTimeout = theirs > 0 ? Min(theirs, Max(left, 1)) : Max(left, 1);
		LockRelationOid(lfirst_oid(lc), mode);
	}
	LockTimeout = theirs;
}

/* Who keeps us from a relation, in words. */
static char *
blockers_of(Oid relation, LOCKMODE mode)
{
	StringInfoData words;
	LOCKTAG tag;
	ListCell *lc;

	initStringInfo(&words);
	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relation);
	foreach (lc, upg_lock_holders(&tag, mode))
		appendStringInfo(&words, "%s%s is locked by %s.", words.len > 0 ? " " : "",
						 upg_qualified_name(relation), upg_holder_describe(lfirst(lc)));
	if (words.len == 0)
		appendStringInfo(&words, "The blocker of %s ended meanwhile.",
						 upg_qualified_name(relation));
	return words.data;
}

/*
 * try_to_lock
 *		Lock all of them in a short time, or none.
 *
 * Returns InvalidOid, or the relation that somebody else holds.
 */
static Oid
try_to_lock(List *relations, LOCKMODE mode, int timeout)
{
	UpgSubxact sub;
	int theirs = LockTimeout;
	volatile Oid last = InvalidOid;
	ErrorData *volatile edata = NULL;

	upg_subxact_begin(&sub, NULL);
	PG_TRY();
	{
		lock_within(relations, mode, timeout, &last);
		upg_subxact_release(&sub);
	}
	PG_CATCH();
	{
		LockTimeout = theirs;
		edata = upg_subxact_catch(&sub);
	}
	PG_END_TRY();

	if (edata == NULL)
		return InvalidOid;
	if (edata->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		ReThrowError(edata);
	FreeErrorData(edata);
	return last;
}

/*
 * upg_undo_lock
 *		Lock relations for a rollback, or for one that only looks (a dry run keeps
 *		them from going away); ERRCODE_UPG_LOCK_TIMEOUT if they cannot be had.
 */
void
upg_undo_lock(List *relations, const UpgUndoOptions *options)
{
	LOCKMODE mode = options->dry_run ? AccessShareLock : AccessExclusiveLock;
	int pause = UPG_RETRY_FIRST;

	for (int try = 1;; try++)
	{
		Oid taken;
		ListCell *lc;

		if (options->lock_timeout <= 0)
		{
			foreach (lc, relations)
				LockRelationOid(lfirst_oid(lc), mode);
			return;
		}
		taken = try_to_lock(relations, mode, options->lock_timeout);
		if (!OidIsValid(taken))
			return;
		if (try > options->lock_retries)
			ereport(
				ERROR,
				(errcode(ERRCODE_UPG_LOCK_TIMEOUT),
				 errmsg_plural("could not lock what the rollback changes after %d try",
							   "could not lock what the rollback changes after %d tries",
							   try, try),
				 errdetail("%s", blockers_of(taken, mode)),
				 errhint("Try again when the blocker has ended, or give more time with "
						 "upg.lock_timeout or upg.lock_retries.")));
		upg_retry_pause(&pause);
	}
}
