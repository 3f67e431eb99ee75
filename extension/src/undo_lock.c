/*-------------------------------------------------------------------------
 *
 * undo_lock.c
 *		The locks of a rollback.
 *
 * While it decides what becomes of every row, nobody else may write to what it
 * changes, but everybody may read.  Readers are kept out only of relations whose
 * description or file changes, and only from the moment when all is decided; a
 * table of which nothing but rows changes can be read all the time.
 *
 * All locks of a kind are taken at once.  Applications take theirs in another
 * order, so whoever waits holds nothing that the other could be waiting for: what
 * was locked is given back after a short time, and tried again.  While writers wait
 * for us we wait for nobody, since a reader that turns to writing would lose a
 * deadlock at once: a moment without readers is taken or it is not.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_lock.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "errors.h"
#include "footprint.h"
#include "subxact.h"
#include "undo.h"

/* How long a moment without readers is looked for, in ms, and how often, in us. */
#define LOOK_FOR      100
#define LOOK_EVERY    1000
#define LOOKS_A_DOUBT 20 /* so many, and whether it makes sense to go on */

/*
 * is_built_again
 *		Has a table deferrable keys, whose indexes are built again when its rows
 *		were written?
 */
static bool
is_built_again(Oid table)
{
	Relation rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	bool result = false;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table));
	scan = systable_beginscan(rel, ConstraintRelidTypidNameIndexId, true, NULL, 1, &key);
	while (!result && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		result = form->condeferrable && OidIsValid(form->conindid) &&
				 form->contype != CONSTRAINT_FOREIGN;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/* Can a table be read while rows of it are taken out and put back? */
static bool
only_rows_change(const UpgRelationRows *rows)
{
	return !rows->switched && get_rel_relkind(rows->relation) == RELKIND_RELATION &&
		   !is_built_again(rows->relation);
}

/*
 * upg_undo_locks
 *		Every relation whose description, file or rows will change, in the order
 *		in which they are locked: by OID, tables before indexes, so that two
 *		rollbacks cannot deadlock with each other.
 */
void
upg_undo_locks(UpgUndoLog *log, UpgUndoLocks *locks)
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
	locks->alone = list_concat_copy(tables, others);
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);

		if (get_rel_relkind(rows->relation) == '\0' ||
			list_member_oid(tables, rows->relation))
			continue;
		tables = lappend_oid(tables, rows->relation);
		if (!only_rows_change(rows))
			locks->alone = lappend_oid(locks->alone, rows->relation);
	}
	list_sort(tables, list_oid_cmp);
	list_sort(others, list_oid_cmp);
	locks->all = list_concat(tables, others);
}

/*
 * upg_undo_locks_of
 *		What the rollbacks of several units lock together, in the order of
 *		upg_undo_locks() each.
 */
void
upg_undo_locks_of(List *units, UpgUndoLocks *locks)
{
	ListCell *lc;

	locks->all = locks->alone = NIL;
	foreach (lc, units)
	{
		UpgUndoLocks more;

		upg_undo_locks(upg_undo_unit_read(lfirst(lc), false), &more);
		locks->all = list_concat_unique_oid(locks->all, more.all);
		locks->alone = list_concat_unique_oid(locks->alone, more.alone);
	}
}

static LOCKMODE
mode_of(const UpgUndoLocks *locks, Oid relation, UpgUndoStage stage)
{
	if (stage == UPG_UNDO_LOOK)
		return AccessShareLock;
	if (stage == UPG_UNDO_PERFORM && list_member_oid(locks->alone, relation))
		return AccessExclusiveLock;
	return ExclusiveLock;
}

/* Lock all of them within "timeout" milliseconds; "last" is the one at hand. */
static void
lock_within(const UpgUndoLocks *locks, UpgUndoStage stage, int timeout,
			volatile Oid *last)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout);
	int theirs = LockTimeout;
	ListCell *lc;

	foreach (lc, locks->all)
	{
		int left = (int) TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);

		*last = lfirst_oid(lc);
		LockTimeout = theirs > 0 ? Min(theirs, Max(left, 1)) : Max(left, 1);
		LockRelationOid(lfirst_oid(lc), mode_of(locks, lfirst_oid(lc), stage));
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
try_to_lock(const UpgUndoLocks *locks, UpgUndoStage stage, int timeout)
{
	UpgSubxact sub;
	int theirs = LockTimeout;
	volatile Oid last = InvalidOid;
	ErrorData *volatile edata = NULL;

	upg_subxact_begin(&sub, NULL);
	PG_TRY();
	{
		lock_within(locks, stage, timeout, &last);
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

/* Count a try that failed, and pause; or complain of who is in the way. */
static void
try_again(Oid taken, LOCKMODE mode, const UpgUndoOptions *options, UpgUndoTries *tries)
{
	tries->count++;
	if (tries->count > options->lock_retries)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_LOCK_TIMEOUT),
				 errmsg_plural("could not lock what the rollback changes after %d try",
							   "could not lock what the rollback changes after %d tries",
							   tries->count, tries->count),
				 errdetail("%s", blockers_of(taken, mode)),
				 errhint("Try again when the blocker has ended, or give more time with "
						 "upg.lock_timeout or upg.lock_retries.")));
	if (tries->pause == 0)
		tries->pause = UPG_RETRY_FIRST;
	upg_retry_say(tries->count, options->lock_retries + 1, blockers_of(taken, mode));
	upg_retry_pause(&tries->pause);
}

/*
 * upg_undo_lock
 *		Lock relations for a stage of a rollback; ERRCODE_UPG_LOCK_TIMEOUT if they
 *		cannot be had.
 */
void
upg_undo_lock(const UpgUndoLocks *locks, UpgUndoStage stage,
			  const UpgUndoOptions *options, UpgUndoTries *tries)
{
	ListCell *lc;

	if (options->lock_timeout <= 0)
	{
		foreach (lc, locks->all)
			LockRelationOid(lfirst_oid(lc), mode_of(locks, lfirst_oid(lc), stage));
		return;
	}
	for (;;)
	{
		Oid taken = try_to_lock(locks, stage, options->lock_timeout);

		if (!OidIsValid(taken))
			return;
		try_again(taken, mode_of(locks, taken, stage), options, tries);
	}
}

/*
 * is_hopeless
 *		Will there be no moment without readers while we hold on to what we have?
 *
 * Who holds a lock on one of these relations and waits himself may well wait for us,
 * and will not go before we do.  Before 17 a lock is not had without waiting while
 * anybody else waits for the same relation, and writers do.
 */
static bool
is_hopeless(List *relations)
{
	LockData *data = GetLockStatusData();
	List *holders = NIL;

	for (int i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *lock = &data->locks[i];

		if (lock->pid == MyProcPid || lock->locktag.locktag_type != LOCKTAG_RELATION ||
			lock->locktag.locktag_field1 != MyDatabaseId ||
			!list_member_oid(relations, lock->locktag.locktag_field2))
			continue;
		if (lock->waitLockMode != NoLock && UPG_SERVER_VERSION < 170000)
			return true;
		if (lock->holdMask != 0)
			holders = list_append_unique_int(holders, lock->pid);
	}
	for (int i = 0; i < data->nelements; i++)
		if (data->locks[i].waitLockMode != NoLock &&
			list_member_int(holders, data->locks[i].pid))
			return true;
	return false;
}

/* Lock all of them at once without waiting for anybody, or none. */
static bool
lock_at_once(List *relations)
{
	ListCell *lc;
	ListCell *lc2;

	foreach (lc, relations)
	{
		if (ConditionalLockRelationOid(lfirst_oid(lc), AccessExclusiveLock))
			continue;
		foreach (lc2, relations)
		{
			if (lc2 == lc)
				return false;
			UnlockRelationOid(lfirst_oid(lc2), AccessExclusiveLock);
		}
	}
	return true;
}

/*
 * upg_undo_lock_alone
 *		All is decided: keep readers out, too, where that is needed.
 *
 * False if there is no moment without readers soon.  Then writers must not be kept
 * waiting, either: what was locked to decide is given back, and the caller begins
 * anew, with readers kept out from the beginning.
 */
bool
upg_undo_lock_alone(const UpgUndoLocks *locks, const UpgUndoOptions *options)
{
	int most =
		LockTimeout > 0 ? Min(options->lock_timeout, LockTimeout) : options->lock_timeout;
	TimestampTz end =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), Min(most, LOOK_FOR));
	ListCell *lc;

	for (int look = 0; !lock_at_once(locks->alone); look++)
	{
		CHECK_FOR_INTERRUPTS();
		if (GetCurrentTimestamp() >= end ||
			(look % LOOKS_A_DOUBT == 0 && is_hopeless(locks->alone)))
		{
			foreach (lc, locks->all)
				UnlockRelationOid(lfirst_oid(lc), ExclusiveLock);
			return false;
		}
		pg_usleep(LOOK_EVERY);
	}
	return true;
}
