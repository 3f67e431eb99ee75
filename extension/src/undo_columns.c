/*-------------------------------------------------------------------------
 *
 * undo_columns.c
 *		Values of dropped columns, put back from their copy.
 *
 * Where a row is what it was, its values come back with the column: they lie
 * in place.  Rows that were updated since, and all rows of a table that was
 * rewritten, have lost them, and get them from the copy (capture_columns.c).
 * Before anything is changed, each such row is looked up by its key; those
 * that are not found are named.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_columns.c
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
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_attribute.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "as_owner.h"
#include "errors.h"
#include "subxact.h"
#include "undo.h"

/* A row of now that has lost its values. */
typedef struct Patch
{
	ItemPointerData tid;
	TransactionId xmin;
	char *key;
	int keylen;
	HeapTuple values; /* from the copy, or NULL */
	int group;
} Patch;

typedef struct PatchEntry
{
	uint64 hash;
	List *patches; /* of Patch */
} PatchEntry;

/* One look-up of all rows of a table. */
typedef struct Matcher
{
	UpgKeptColumns *kept;
	HTAB *rows;
	int64 matched;
	MemoryContext cxt;
	MemoryContext rowcxt;
} Matcher;

/*
 * upg_columns_find
 *		The copy of a table's dropped columns, or NULL.
 */
UpgKeptColumns *
upg_columns_find(UpgUndoLog *log, Oid relation)
{
	ListCell *lc;

	foreach (lc, log->columns)
	{
		UpgKeptColumns *kept = lfirst(lc);

		if (kept->relation == relation)
			return kept;
	}
	return NULL;
}

/* The bytes by which a row is found. */
static char *
key_of(UpgKeptColumns *kept, HeapTuple row, TupleDesc desc, int *len)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < kept->nkey; i++)
		upg_append_column(&buf, row, kept->key[i], desc);
	*len = buf.len;
	return buf.data;
}

static uint64
hash_of(const char *key, int len)
{
	return hash_bytes_extended((const unsigned char *) key, len, 0x636f6c73);
}

/* Do the columns of the key still mean what they meant? */
static bool
key_stands(Relation rel, UpgKeptColumns *kept)
{
	TupleDesc desc = RelationGetDescr(rel);
	int16 primary[INDEX_MAX_KEYS];

	for (int i = 0; i < kept->nkey; i++)
	{
		if (kept->key[i] > desc->natts ||
			TupleDescAttr(desc, kept->key[i] - 1)->attisdropped ||
			TupleDescAttr(desc, kept->key[i] - 1)->atttypid !=
				TupleDescAttr(kept->desc, kept->key[i] - 1)->atttypid)
			return false;
	}
	if (!kept->unique)
		return true;
	return upg_columns_primary_key(rel, primary) == kept->nkey &&
		   memcmp(primary, kept->key, sizeof(int16) * kept->nkey) == 0;
}

/* Collect the rows that have lost their values, by key. */
static int64
collect_rows(UpgUndoLog *log, Matcher *matcher, Relation rel, bool rewritten)
{
	TupleDesc desc = RelationGetDescr(rel);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	MemoryContext oldcxt = MemoryContextSwitchTo(matcher->rowcxt);
	HeapTuple row;
	int64 count = 0;

	while ((row = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		TransactionId xid = HeapTupleHeaderGetRawXmin(row->t_data);
		TransactionId origin = upg_alias_origin(xid);
		PatchEntry *entry;
		Patch *patch;
		uint64 hash;
		bool found;
		char *key;
		int len;

		CHECK_FOR_INTERRUPTS();
		if (upg_log_has_xid(log, xid) || upg_log_has_xid(log, origin))
			continue; /* goes away, its pre-image comes back */
		if (!rewritten && !upg_log_written_since(log, origin))
			continue;
		key = key_of(matcher->kept, row, desc, &len);
		hash = hash_of(key, len);
		entry = hash_search(matcher->rows, &hash, HASH_ENTER, &found);
		MemoryContextSwitchTo(matcher->cxt);
		if (!found)
			entry->patches = NIL;
		patch = palloc0(sizeof(Patch));
		patch->tid = row->t_self;
		patch->xmin = xid;
		patch->key = palloc(len);
		memcpy(patch->key, key, len);
		patch->keylen = len;
		entry->patches = lappend(entry->patches, patch);
		MemoryContextSwitchTo(matcher->rowcxt);
		MemoryContextReset(matcher->rowcxt);
		count++;
	}
	MemoryContextSwitchTo(oldcxt);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	return count;
}

/* A row of the copy: give its values to the first row that waits for them. */
static void
match_row(Oid catalog, char op, HeapTuple row, void *arg)
{
	Matcher *matcher = arg;
	MemoryContext oldcxt = MemoryContextSwitchTo(matcher->rowcxt);
	PatchEntry *entry;
	uint64 hash;
	char *key;
	int len;
	ListCell *lc;

	key = key_of(matcher->kept, row, matcher->kept->desc, &len);
	hash = hash_of(key, len);
	entry = hash_search(matcher->rows, &hash, HASH_FIND, NULL);
	if (entry)
		foreach (lc, entry->patches)
		{
			Patch *patch = lfirst(lc);

			if (patch->values == NULL && patch->keylen == len &&
				memcmp(patch->key, key, len) == 0)
			{
				MemoryContextSwitchTo(matcher->cxt);
				patch->values = heap_copytuple(row);
				MemoryContextSwitchTo(matcher->rowcxt);
				matcher->matched++;
				break;
			}
		}
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(matcher->rowcxt);
}

/*
 * upg_columns_match
 *		Look up the rows that have lost their values; returns how many of them
 *		the copy does not know, or -1 if it is of no use any more.
 *
 * What is found is kept for upg_columns_restore().
 */
int64
upg_columns_match(UpgUndoLog *log, UpgKeptColumns *kept, bool rewritten)
{
	Relation rel = table_open(kept->relation, NoLock);
	Matcher matcher = {0};
	HASHCTL ctl = {0};
	HASH_SEQ_STATUS status;
	PatchEntry *entry;
	int64 count;

	kept->desc = upg_columns_desc(log, kept->relation);
	kept->patches = NIL;
	kept->strangers = NIL;
	if (!key_stands(rel, kept))
	{
		table_close(rel, NoLock);
		return -1;
	}
	matcher.kept = kept;
	matcher.cxt = CurrentMemoryContext;
	matcher.rowcxt =
		AllocSetContextCreate(CurrentMemoryContext, "upg match", ALLOCSET_DEFAULT_SIZES);
	ctl.keysize = sizeof(uint64);
	ctl.entrysize = sizeof(PatchEntry);
	ctl.hcxt = CurrentMemoryContext;
	matcher.rows =
		hash_create("upg patches", 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	count = collect_rows(log, &matcher, rel, rewritten);
	if (count > 0)
		upg_chunks_read("undo_values", log->id, kept->relation, match_row, &matcher);
	hash_seq_init(&status, matcher.rows);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		ListCell *lc;

		foreach (lc, entry->patches)
		{
			Patch *patch = lfirst(lc);

			if (patch->values != NULL)
				kept->patches = lappend(kept->patches, patch);
			else
				kept->strangers = lappend(kept->strangers, &patch->tid);
		}
	}
	MemoryContextDelete(matcher.rowcxt);
	table_close(rel, NoLock);
	return count - matcher.matched;
}

/* Whose row it is for the other kept logs: a group each, so that they know it. */
typedef struct PatchGroup
{
	int owner;
	uint64 since;
	TransactionId origin;
} PatchGroup;

static List *
group_patches(List *patches, List *others)
{
	List *groups = NIL;
	ListCell *lc;

	foreach (lc, patches)
	{
		Patch *patch = lfirst(lc);
		PatchGroup group = {-1, 0, upg_alias_origin(patch->xmin)};
		PatchGroup *copy;
		int n = 0;
		int found = -1;
		ListCell *lc2;

		foreach (lc2, others)
		{
			UpgUndoLog *other = lfirst(lc2);

			if (upg_log_has_xid(other, group.origin))
				group.owner = n;
			else if (n < 64 && upg_log_written_since(other, group.origin))
				group.since |= UINT64CONST(1) << n;
			n++;
		}
		foreach (lc2, groups)
		{
			PatchGroup *known = lfirst(lc2);

			if (known->owner == group.owner && known->since == group.since)
				found = foreach_current_index (lc2);
		}
		if (found < 0)
		{
			copy = palloc(sizeof(PatchGroup));
			*copy = group;
			found = list_length(groups);
			groups = lappend(groups, copy);
		}
		patch->group = found;
	}
	return groups;
}

/* Replace one row by itself with the values of the copy. */
static void
patch_row(Relation rel, UpgKeptColumns *kept, Patch *patch, EState *estate,
		  ResultRelInfo *info, TupleTableSlot *slot)
{
	TupleDesc desc = RelationGetDescr(rel);
	Datum *values = palloc(sizeof(Datum) * desc->natts);
	bool *nulls = palloc(sizeof(bool) * desc->natts);
	HeapTupleData old;
	HeapTuple new;
	Buffer buffer;

	old.t_self = patch->tid;
	/* one that was merged with what the migration had changed has its values */
	if (!heap_fetch(rel, SnapshotSelf, &old, &buffer, false))
		return;
	heap_deform_tuple(&old, desc, values, nulls);
	for (int i = 0; i < kept->ncolumns; i++)
		values[kept->columns[i] - 1] = heap_getattr(
			patch->values, kept->columns[i], kept->desc, &nulls[kept->columns[i] - 1]);
	new = heap_form_tuple(desc, values, nulls);
	new->t_tableOid = RelationGetRelid(rel);
	ReleaseBuffer(buffer);
	/* what lies outside of the old row is not for the new one to point to */
	if (HeapTupleHasExternal(new))
	{
		new = upg_tuple_flatten(new, desc);
		new->t_tableOid = RelationGetRelid(rel);
	}
	simple_heap_delete(rel, &patch->tid);
	heap_insert(rel, new, GetCurrentCommandId(true), 0, NULL);
	if (info->ri_NumIndices > 0)
	{
		ExecStoreHeapTuple(new, slot, false);
		slot->tts_tableOid = new->t_tableOid;
		(void) upg_exec_insert_index_tuples(info, slot, estate);
		ExecClearTuple(slot);
		ResetPerTupleExprContext(estate);
	}
}

static void
patch_group(Relation rel, UpgKeptColumns *kept, int group)
{
	EState *estate = CreateExecutorState();
	ResultRelInfo *info = makeNode(ResultRelInfo);
	TupleTableSlot *slot =
		MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
	MemoryContext rowcxt =
		AllocSetContextCreate(CurrentMemoryContext, "upg patch", ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcxt;
	ListCell *lc;

	InitResultRelInfo(info, rel, 1, NULL, 0);
	ExecOpenIndices(info, false);
	foreach (lc, kept->patches)
	{
		if (((Patch *) lfirst(lc))->group != group)
			continue;
		CHECK_FOR_INTERRUPTS();
		oldcxt = MemoryContextSwitchTo(rowcxt);
		patch_row(rel, kept, lfirst(lc), estate, info, slot);
		MemoryContextSwitchTo(oldcxt);
		MemoryContextReset(rowcxt);
	}
	ExecDropSingleTupleTableSlot(slot);
	ExecCloseIndices(info);
	FreeExecutorState(estate);
	MemoryContextDelete(rowcxt);
	CommandCounterIncrement();
}

/*
 * upg_columns_restore
 *		Give the rows that upg_columns_match() has found their values back.
 *
 * Expressions of indexes run as the table's owner.  No trigger fires.
 */
void
upg_columns_restore(UpgUndoLog *log, UpgUndoResult *result)
{
	List *others = upg_undo_log_heads(log->id);
	ListCell *lc;

	foreach (lc, log->columns)
	{
		UpgKeptColumns *kept = lfirst(lc);
		Relation rel;
		UpgAsOwner before;
		List *groups;

		if (kept->patches == NIL)
			continue;
		rel = table_open(kept->relation, AccessExclusiveLock);
		upg_as_owner_begin(&before, rel->rd_rel->relowner, 0);
		groups = group_patches(kept->patches, others);
		for (int i = 0; i < list_length(groups); i++)
		{
			UpgSubxact sub;

			if (others == NIL)
			{
				patch_group(rel, kept, i);
				continue;
			}
			upg_subxact_begin(&sub, NULL);
			upg_alias_add(GetCurrentTransactionId(),
						  ((PatchGroup *) list_nth(groups, i))->origin);
			patch_group(rel, kept, i);
			upg_subxact_release(&sub);
		}
		upg_as_owner_end(&before);
		result->data_rows += list_length(kept->patches);
		result->actions =
			lappend(result->actions,
					psprintf("%d rows of table \"%s\" get values back from a copy",
							 list_length(kept->patches), RelationGetRelationName(rel)));
		table_close(rel, NoLock);
	}
}
