/*-------------------------------------------------------------------------
 *
 * capture_rows.c
 *		What the log says about rows besides their images: which row replaced
 *		which, and what was written into the columns that changed.
 *
 * A rollback can only merge with what the application did since if it knows
 * what the migration did: that a column holds what the migration wrote means
 * that nobody changed it.  The values themselves are not kept, a hash of each
 * is enough.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/capture_rows.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "capture_internal.h"
#include "undo_merge.h"

#define INSERTED_BATCH 128

struct UpgRowNotes
{
	Relation rel;
	const UpgOwnRows *own;
	UpgChunkWriter *writer;
	UpgTableHead head;
	TupleDesc desc;
	bool *compared;     /* by column: there before and after */
	Buffer buffer;      /* page of the last row looked at */
	UpgInserted *batch; /* rows inserted, not yet written */
	int nbatch;
	MemoryContext cxt;
	Datum *before;
	Datum *after;
	bool *before_null;
	bool *after_null;
};

/*
 * upg_choose_key
 *		The columns by which rows of a table are told apart: its primary key,
 *		else a unique index over columns that are NOT NULL.
 */
int
upg_choose_key(Relation rel, AttrNumber *key)
{
	List *indexes = RelationGetIndexList(rel);
	Oid primary = upg_primary_key_index(rel);
	ListCell *lc;
	int nkey = 0;

	foreach (lc, indexes)
	{
		HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index form;
		bool good;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_index) GETSTRUCT(tuple);
		good = form->indisunique && form->indisvalid && form->indimmediate &&
			   heap_attisnull(tuple, Anum_pg_index_indpred, NULL) &&
			   heap_attisnull(tuple, Anum_pg_index_indexprs, NULL);
		for (int i = 0; good && i < form->indnkeyatts; i++)
		{
			AttrNumber attnum = form->indkey.values[i];

			good = attnum > 0 &&
				   TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attnotnull;
		}
		if (good && (nkey == 0 || lfirst_oid(lc) == primary))
		{
			nkey = form->indnkeyatts;
			for (int i = 0; i < nkey; i++)
				key[i] = form->indkey.values[i];
		}
		ReleaseSysCache(tuple);
		if (nkey > 0 && lfirst_oid(lc) == primary)
			break;
	}
	list_free(indexes);
	return nkey;
}

static void
write_entry(UpgChunkWriter *writer, char op, const void *data, Size size)
{
	Size length = MAXALIGN(SizeofHeapTupleHeader) + size;
	HeapTupleHeader header = palloc0(length);

	header->t_hoff = MAXALIGN(SizeofHeapTupleHeader);
	memcpy((char *) header + header->t_hoff, data, size);
	upg_chunks_add(writer, InvalidOid, op, header, length);
	pfree(header);
}

/*
 * upg_notes_begin
 *		Start a table's part of the log.
 *
 * "written": rows were written besides a rewrite; "truncated": the file of now
 * began empty; "using": columns that were converted by an expression.
 */
UpgRowNotes *
upg_notes_begin(UpgUndoLog *log, const UpgOwnRows *own, Relation rel,
				UpgChunkWriter *writer, bool written, bool truncated, List *using)
{
	UpgRowNotes *notes = palloc0(sizeof(UpgRowNotes));
	int natts = RelationGetNumberOfAttributes(rel);
	ListCell *lc;

	notes->rel = rel;
	notes->own = own;
	notes->writer = writer;
	notes->desc = RelationGetDescr(rel);
	notes->head.flags =
		(written ? UPG_HEAD_WRITTEN : 0) | (truncated ? UPG_HEAD_TRUNCATED : 0);
	notes->head.nblocks = RelationGetNumberOfBlocks(rel);
	/* whoever wrote to the table before has ended, or may yet commit */
	if (log->finish->xcnt == 0 || CheckRelationLockedByMe(rel, ShareLock, true))
		notes->head.lsn = GetXLogInsertRecPtr();
	notes->head.nkey = upg_choose_key(rel, notes->head.key);
	foreach (lc, using)
	{
		if (notes->head.nusing >= lengthof(notes->head.using))
		{
			notes->head.flags |= UPG_HEAD_KEYLESS;
			break;
		}
		notes->head.using[notes->head.nusing++] = lfirst_int(lc);
	}
	notes->compared = palloc(sizeof(bool) * (natts + 1));
	for (int i = 0; i < natts; i++)
		/* a generated column follows from the others */
		notes->compared[i] = !TupleDescAttr(notes->desc, i)->attisdropped &&
							 TupleDescAttr(notes->desc, i)->attgenerated == '\0';
	foreach (lc, upg_change_list(log->catalogs, AttributeRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_attribute att;

		if (change->before || change->after == NULL)
			continue;
		att = (Form_pg_attribute) GETSTRUCT(change->after);
		if (att->attrelid == RelationGetRelid(rel) && att->attnum > 0 &&
			att->attnum <= natts)
			notes->compared[att->attnum - 1] = false;
	}
	notes->before = palloc(sizeof(Datum) * (natts + 1));
	notes->after = palloc(sizeof(Datum) * (natts + 1));
	notes->before_null = palloc(sizeof(bool) * (natts + 1));
	notes->after_null = palloc(sizeof(bool) * (natts + 1));
	notes->batch = palloc(sizeof(UpgInserted) * INSERTED_BATCH);
	notes->buffer = InvalidBuffer;
	notes->cxt = AllocSetContextCreate(CurrentMemoryContext, "upg row notes",
									   ALLOCSET_DEFAULT_SIZES);
	return notes;
}

static void
flush_inserted(UpgRowNotes *notes)
{
	if (notes->nbatch > 0)
		write_entry(notes->writer, 'T', notes->batch,
					sizeof(UpgInserted) * notes->nbatch);
	notes->nbatch = 0;
}

/*
 * upg_notes_inserted
 *		A row of ours that was left in the table.
 *
 * One that replaced another is noted with that one; an insert that the
 * migration updated again is taken for such a row, so this is not a full list.
 */
void
upg_notes_inserted(UpgRowNotes *notes, HeapTuple row)
{
	UpgInserted *entry;
	MemoryContext oldcxt;

	if (row->t_data->t_infomask & HEAP_UPDATED)
		return;
	entry = &notes->batch[notes->nbatch];
	memset(entry, 0, sizeof(*entry));
	entry->tid = row->t_self;
	if (notes->head.nkey > 0)
	{
		oldcxt = MemoryContextSwitchTo(notes->cxt);
		entry->key = upg_key_hash(row, notes->desc, notes->head.nkey, notes->head.key);
		MemoryContextSwitchTo(oldcxt);
		MemoryContextReset(notes->cxt);
	}
	if (++notes->nbatch == INSERTED_BATCH)
		flush_inserted(notes);
}

/*
 * find_successor
 *		Follow a deleted row to the row that replaced it, through the versions
 *		in between; NULL if it was deleted or went to another partition.
 */
static HeapTuple
find_successor(UpgRowNotes *notes, HeapTuple row)
{
	ItemPointerData tid = row->t_data->t_ctid;
	ItemPointerData self = row->t_self;

	for (;;)
	{
		Page page;
		ItemId item = NULL;
		HeapTupleData tuple;
		HeapTuple copy = NULL;
		bool last = false;

		if (ItemPointerIndicatesMovedPartitions(&tid))
		{
			notes->head.moved++;
			return NULL;
		}
		if (!ItemPointerIsValid(&tid) || ItemPointerEquals(&tid, &self))
			return NULL;
		if (!BufferIsValid(notes->buffer) ||
			BufferGetBlockNumber(notes->buffer) != ItemPointerGetBlockNumber(&tid))
		{
			if (BufferIsValid(notes->buffer))
				ReleaseBuffer(notes->buffer);
			notes->buffer = ReadBuffer(notes->rel, ItemPointerGetBlockNumber(&tid));
		}
		LockBuffer(notes->buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(notes->buffer);
		if (!PageIsNew(page) &&
			ItemPointerGetOffsetNumber(&tid) <= PageGetMaxOffsetNumber(page))
			item = PageGetItemId(page, ItemPointerGetOffsetNumber(&tid));
		if (item && ItemIdIsNormal(item))
		{
			tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
			tuple.t_len = ItemIdGetLength(item);
			tuple.t_tableOid = RelationGetRelid(notes->rel);
			tuple.t_self = tid;
			if (upg_own_xid(notes->own, HeapTupleHeaderGetRawXmin(tuple.t_data)))
			{
				copy = heap_copytuple(&tuple);
				last =
					(copy->t_data->t_infomask & HEAP_XMAX_INVALID) ||
					HEAP_XMAX_IS_LOCKED_ONLY(copy->t_data->t_infomask) ||
					!upg_own_xid(notes->own, HeapTupleHeaderGetUpdateXid(copy->t_data));
			}
		}
		LockBuffer(notes->buffer, BUFFER_LOCK_UNLOCK);
		if (copy == NULL || last)
			return copy;
		self = tid;
		tid = copy->t_data->t_ctid;
	}
}

/* Are two values of one column the same?  Cheap for those that lie outside. */
static bool
same_value(Datum a, Datum b, Form_pg_attribute att)
{
	if (att->attlen == -1)
	{
		struct varlena *va = (struct varlena *) DatumGetPointer(a);
		struct varlena *vb = (struct varlena *) DatumGetPointer(b);

		if (VARSIZE_ANY(va) == VARSIZE_ANY(vb) && memcmp(va, vb, VARSIZE_ANY(va)) == 0)
			return true;
		if (!VARATT_IS_EXTENDED(va) && !VARATT_IS_EXTENDED(vb))
			return false;
	}
	return datum_image_eq(a, b, att->attbyval, att->attlen);
}

/*
 * upg_notes_deleted
 *		Write a pre-image, with what replaced it; "whole" is the same row with
 *		all of its values inside.
 */
void
upg_notes_deleted(UpgRowNotes *notes, HeapTuple row, HeapTuple whole)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(notes->cxt);
	HeapTuple successor = find_successor(notes, row);
	UpgUpdateTail tail = {0};
	UpgWritten *written;
	char *entry;
	Size size;
	Size at;
	int natts = notes->desc->natts;

	if (successor == NULL)
	{
		upg_chunks_add(notes->writer, InvalidOid, 'R', whole->t_data, whole->t_len);
		MemoryContextSwitchTo(oldcxt);
		MemoryContextReset(notes->cxt);
		return;
	}
	tail.tid = successor->t_self;
	written = palloc0(sizeof(UpgWritten) * (natts + 1));
	if (notes->head.nkey > 0)
	{
		heap_deform_tuple(row, notes->desc, notes->before, notes->before_null);
		heap_deform_tuple(successor, notes->desc, notes->after, notes->after_null);
		for (int i = 0; i < natts; i++)
		{
			Form_pg_attribute att = TupleDescAttr(notes->desc, i);

			if (!notes->compared[i] || (notes->before_null[i] && notes->after_null[i]) ||
				(!notes->before_null[i] && !notes->after_null[i] &&
				 same_value(notes->before[i], notes->after[i], att)))
				continue;
			written[tail.nwritten].attnum = i + 1;
			written[tail.nwritten++].hash =
				upg_value_hash(notes->after[i], notes->after_null[i], att);
			for (int k = 0; k < notes->head.nkey; k++)
				if (notes->head.key[k] == i + 1)
					tail.key_moved = 1;
		}
	}
	size = sizeof(UpgWritten) * tail.nwritten + (tail.key_moved ? sizeof(UpgSum) : 0) +
		   sizeof(tail);
	tail.padding = MAXALIGN(whole->t_len) - whole->t_len;
	at = MAXALIGN(whole->t_len);
	entry = palloc0(at + size);
	memcpy(entry, whole->t_data, whole->t_len);
	memcpy(entry + at, written, sizeof(UpgWritten) * tail.nwritten);
	at += sizeof(UpgWritten) * tail.nwritten;
	if (tail.key_moved)
	{
		UpgSum key =
			upg_key_hash(successor, notes->desc, notes->head.nkey, notes->head.key);

		memcpy(entry + at, &key, sizeof(key));
		at += sizeof(key);
	}
	memcpy(entry + at, &tail, sizeof(tail));
	upg_chunks_add(notes->writer, InvalidOid, 'U', (HeapTupleHeader) entry,
				   at + sizeof(tail));
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(notes->cxt);
}

/*
 * upg_notes_end
 *		Write what is left, and the head.
 */
void
upg_notes_end(UpgRowNotes *notes)
{
	flush_inserted(notes);
	write_entry(notes->writer, 'K', &notes->head, sizeof(notes->head));
	if (BufferIsValid(notes->buffer))
		ReleaseBuffer(notes->buffer);
	MemoryContextDelete(notes->cxt);
}
