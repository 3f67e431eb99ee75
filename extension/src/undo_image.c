/*-------------------------------------------------------------------------
 *
 * undo_image.c
 *		Row images of the undo log and rows of now, compared by value.
 *
 * A row that the migration updated is known by its key and by a hash of what
 * the migration wrote into each column that it changed: so much tells, years
 * of updates later, which columns the application changed since.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_image.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "capture_internal.h"
#include "page_row.h"
#include "undo_merge.h"

/* The bytes of a value, however it is stored; the result may be palloc'd. */
static const char *
value_bytes(Datum *value, int16 attlen, bool attbyval, int *length, void **owned)
{
	*owned = NULL;
	if (attbyval)
	{
		*length = sizeof(Datum);
		return (const char *) value;
	}
	if (attlen == -1)
	{
		struct varlena *given = (struct varlena *) DatumGetPointer(*value);
		struct varlena *v = pg_detoast_datum_packed(given);

		if (v != given)
			*owned = v;
		*length = VARSIZE_ANY_EXHDR(v);
		return VARDATA_ANY(v);
	}
	if (attlen == -2)
		*length = strlen(DatumGetCString(*value));
	else
		*length = attlen;
	return DatumGetPointer(*value);
}

/*
 * upg_value_hash
 *		A hash of a value's bytes, the same for all ways to store it.
 */
uint64
upg_value_hash(Datum value, bool isnull, Form_pg_attribute att)
{
	int length;
	void *owned;
	const char *bytes;
	uint64 hash;

	if (isnull)
		return 0;
	bytes = value_bytes(&value, att->attlen, att->attbyval, &length, &owned);
	hash = hash_bytes_extended((const unsigned char *) bytes, length, att->attnum);
	if (owned)
		pfree(owned);
	return hash == 0 ? 1 : hash;
}

/*
 * upg_key_hash
 *		128 bits that stand for the key of a row.
 */
UpgSum
upg_key_hash(HeapTuple row, TupleDesc desc, int nkey, const AttrNumber *key)
{
	UpgSum sum = {0, 0};

	for (int i = 0; i < nkey; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, key[i] - 1);
		bool isnull;
		Datum value = heap_getattr(row, key[i], desc, &isnull);
		int length;
		void *owned;
		const char *bytes;
		UpgSum one;

		if (isnull)
			one.lo = one.hi = 1;
		else
		{
			bytes = value_bytes(&value, att->attlen, att->attbyval, &length, &owned);
			one = upg_hash128(bytes, length, i);
			if (owned)
				pfree(owned);
		}
		/* the order of columns counts */
		sum.hi = (sum.hi << 7) | (sum.hi >> 57);
		sum.lo = (sum.lo << 13) | (sum.lo >> 51);
		upg_sum_add(&sum, one);
	}
	return sum;
}

/* ---------------------------------------------------------------------
 * Entries of the log: written in capture_rows.c
 * ---------------------------------------------------------------------
 */

/*
 * upg_image_desc
 *		The description of a row as it is stored: of so many columns, and no
 *		values for columns that it does not have.
 */
TupleDesc
upg_image_desc(TupleDesc desc, int natts)
{
	TupleDesc copy = upg_truncated_desc(desc, Min(natts, desc->natts));

	/* an image is no value of the table's row type */
	copy->tdtypeid = RECORDOID;
	copy->tdtypmod = -1;
	return copy;
}

/*
 * upg_note_short
 *		Note in an image how many columns the row had when it lacked some.
 *
 * An image has no use for its t_ctid, and no row on disk has this one.
 */
void
upg_note_short(HeapTuple image, int natts)
{
	ItemPointerSet(&image->t_data->t_ctid, InvalidBlockNumber, natts + 1);
}

/*
 * upg_short_natts
 *		What was noted, or -1.
 */
int
upg_short_natts(HeapTuple image)
{
	ItemPointer note = &image->t_data->t_ctid;
	OffsetNumber natts = ItemPointerGetOffsetNumberNoCheck(note);

	if (ItemPointerGetBlockNumberNoCheck(note) != InvalidBlockNumber || natts == 0 ||
		natts > MaxTupleAttributeNumber)
		return -1;
	return natts - 1;
}

/*
 * upg_image_read
 *		Take an entry 'R' (deleted, or of a file that is kept) or 'U' (updated)
 *		apart.  The result points into the entry.
 */
void
upg_image_read(char op, HeapTuple entry, UpgImage *image)
{
	const char *end = (const char *) entry->t_data + entry->t_len;
	UpgUpdateTail tail;
	Size size;

	memset(image, 0, sizeof(*image));
	image->row = *entry;
	if (op != 'U')
		return;
	if (entry->t_len < SizeofHeapTupleHeader + sizeof(tail))
		elog(ERROR, "entry of an updated row is cut short");
	memcpy(&tail, end - sizeof(tail), sizeof(tail));
	size = sizeof(tail) + tail.nwritten * sizeof(UpgWritten) +
		   (tail.key_moved ? sizeof(UpgSum) : 0);
	if (size + SizeofHeapTupleHeader > entry->t_len)
		elog(ERROR, "entry of an updated row is cut short");
	image->updated = true;
	image->tid = tail.tid;
	image->nwritten = tail.nwritten;
	image->key_moved = tail.key_moved;
	image->row.t_len = entry->t_len - size - tail.padding;
	image->written = palloc(sizeof(UpgWritten) * Max(tail.nwritten, 1));
	memcpy(image->written, end - size, sizeof(UpgWritten) * tail.nwritten);
	if (tail.key_moved)
		memcpy(&image->new_key, end - sizeof(tail) - sizeof(UpgSum), sizeof(UpgSum));
}

/*
 * upg_inserted_read
 *		The rows in an entry 'T'.
 */
int
upg_inserted_read(HeapTuple entry, UpgInserted **rows)
{
	Size size = entry->t_len - MAXALIGN(SizeofHeapTupleHeader);

	*rows = (UpgInserted *) ((char *) entry->t_data + MAXALIGN(SizeofHeapTupleHeader));
	return size / sizeof(UpgInserted);
}

/*
 * upg_head_read
 *		The head of a table's images, entry 'K'.
 */
void
upg_head_read(HeapTuple entry, UpgTableHead *head)
{
	if (entry->t_len != MAXALIGN(SizeofHeapTupleHeader) + sizeof(UpgTableHead))
		elog(ERROR, "head of a table's images is of another version");
	memcpy(head, (char *) entry->t_data + MAXALIGN(SizeofHeapTupleHeader),
		   sizeof(UpgTableHead));
}

/* ---------------------------------------------------------------------
 * Rows as people read them
 * ---------------------------------------------------------------------
 */

/*
 * upg_value_text
 *		A value as text, or NULL.
 */
char *
upg_value_text(HeapTuple row, TupleDesc desc, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);
	bool isnull;
	Datum value = heap_getattr(row, attnum, desc, &isnull);
	Oid output;
	bool varlena;

	if (isnull || att->attisdropped)
		return NULL;
	getTypeOutputInfo(att->atttypid, &output, &varlena);
	return OidOutputFunctionCall(output, value);
}

/*
 * upg_image_json
 *		A row, or some columns of it, as a JSON object of texts.
 */
char *
upg_image_json(HeapTuple row, TupleDesc desc, int ncolumns, const AttrNumber *columns)
{
	StringInfoData buf;
	int n = columns ? ncolumns : desc->natts;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	for (int i = 0; i < n; i++)
	{
		AttrNumber attnum = columns ? columns[i] : i + 1;
		char *text;

		if (TupleDescAttr(desc, attnum - 1)->attisdropped)
			continue;
		if (buf.len > 1)
			appendStringInfoString(&buf, ", ");
		escape_json(&buf, NameStr(TupleDescAttr(desc, attnum - 1)->attname));
		appendStringInfoString(&buf, ": ");
		text = upg_value_text(row, desc, attnum);
		if (text)
			escape_json(&buf, text);
		else
			appendStringInfoString(&buf, "null");
	}
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

/* ---------------------------------------------------------------------
 * Reading a table for what was written since
 * ---------------------------------------------------------------------
 */

/* Can pages tell by their LSN that nobody wrote to them since? */
static bool
lsn_tells(Relation rel, const UpgTableHead *head)
{
	return head && head->lsn != InvalidXLogRecPtr && RelationNeedsWAL(rel);
}

/*
 * upg_since_scan
 *		Call back for every visible row, or, when the head says so much, for
 *		those on pages that were written to since; false if there was no such
 *		page.
 *
 * Rows of the present transaction are left out.  The row passed is a copy and
 * lives until the callback returns.  The caller holds a lock on the table.
 */
bool
upg_since_scan(Relation rel, UpgUndoLog *log, const UpgTableHead *head,
			   UpgSinceCallback callback, void *arg)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	bool lsn = lsn_tells(rel, head);
	bool busy = head == NULL || nblocks != head->nblocks;
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	MemoryContext pagecxt = AllocSetContextCreate(CurrentMemoryContext, "upg since page",
												  ALLOCSET_DEFAULT_SIZES);

	for (BlockNumber block = 0; block < nblocks; block++)
	{
		Buffer buffer;
		Page page;
		OffsetNumber max;
		List *found = NIL;
		ListCell *lc;
		MemoryContext oldcxt;

		CHECK_FOR_INTERRUPTS();
		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		if (PageIsNew(page) ||
			(lsn && block < head->nblocks && PageGetLSN(page) <= head->lsn))
		{
			UnlockReleaseBuffer(buffer);
			continue;
		}
		busy = true;
		if (callback == NULL)
		{
			UnlockReleaseBuffer(buffer);
			break;
		}
		oldcxt = MemoryContextSwitchTo(pagecxt);
		max = PageGetMaxOffsetNumber(page);
		for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
		{
			HeapTupleData tuple;

			if (!upg_page_row(page, block, off, RelationGetRelid(rel), &tuple))
				continue;
			if (!HeapTupleSatisfiesVisibility(&tuple, snapshot, buffer))
				continue;
			found = lappend(found, heap_copytuple(&tuple));
		}
		UnlockReleaseBuffer(buffer);
		MemoryContextSwitchTo(oldcxt);
		foreach (lc, found)
		{
			HeapTuple tuple = lfirst(lc);
			TransactionId xid = HeapTupleHeaderGetRawXmin(tuple->t_data);

			if (!upg_log_has_xid(log, xid))
				xid = upg_alias_origin(xid);
			callback(tuple, upg_log_has_xid(log, xid), upg_log_written_since(log, xid),
					 arg);
		}
		MemoryContextReset(pagecxt);
	}
	FreeAccessStrategy(strategy);
	UnregisterSnapshot(snapshot);
	MemoryContextDelete(pagecxt);
	return busy;
}

/*
 * upg_table_quiet
 *		Is it certain that nobody wrote to this file since?
 */
bool
upg_table_quiet(Relation rel, const UpgTableHead *head)
{
	if (!lsn_tells(rel, head))
		return false;
	return !upg_since_scan(rel, NULL, head, NULL, NULL);
}
