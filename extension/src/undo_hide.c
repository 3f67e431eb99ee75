/*-------------------------------------------------------------------------
 *
 * undo_hide.c
 *		Taking out rows of the migration for the proof, without waiting for
 *		sessions that have locked them.
 *
 * A row version that the migration wrote may carry locks of others: an UPDATE
 * that leaves the key alone goes along with FOR KEY SHARE, which is what the
 * foreign key checks of the application take, and the new version inherits
 * these locks.  Deleting it would ask for more than the migration did: wait
 * for them, and keep new ones waiting; with rows locked in another order that
 * would be a deadlock.
 *
 * The proof needs less than a deletion.  Nobody else sees these versions, and
 * its subtransaction is always abandoned; so they get the mark that an UPDATE
 * leaves on the version which it replaces, beside the locks of others, as a
 * multixact.  That mark and KEY SHARE let each other pass, in both orders.
 * Once the subtransaction is gone the mark means nothing, and the locks hold.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_hide.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/heapam_xlog.h"
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/xact.h"
#include "access/xloginsert.h"
#include "catalog/catalog.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/procarray.h"
#include "utils/rel.h"

#include "page_row.h"
#include "undo.h"

/* What goes into the header of a row version. */
typedef struct HideMark
{
	TransactionId xmax;
	uint16 infomask;
	uint16 infomask2;
	uint8 infobits; /* the same, for WAL */
} HideMark;

/* The lock that a single xid in xmax stands for. */
static MultiXactStatus
lock_status(HeapTupleHeader header)
{
	if (HEAP_XMAX_IS_KEYSHR_LOCKED(header->t_infomask))
		return MultiXactStatusForKeyShare;
	if (HEAP_XMAX_IS_SHR_LOCKED(header->t_infomask))
		return MultiXactStatusForShare;
	return (header->t_infomask2 & HEAP_KEYS_UPDATED) ? MultiXactStatusForUpdate
													 : MultiXactStatusForNoKeyUpdate;
}

/*
 * make_mark
 *		Our xid as that of an UPDATE which leaves the key alone, together with
 *		the locks that are held.
 */
static void
make_mark(HeapTupleHeader header, HideMark *mark)
{
	TransactionId xid = GetCurrentTransactionId();
	TransactionId xmax = HeapTupleHeaderGetRawXmax(header);
	uint16 infomask = header->t_infomask;
	bool only_locked = HEAP_XMAX_IS_LOCKED_ONLY(infomask);

	memset(mark, 0, sizeof(*mark));
	mark->xmax = xid;
	if (infomask & HEAP_XMAX_INVALID)
		return;

	/*
	 * Had somebody updated this version for good, it would not be here: it is
	 * our own, uncommitted, and what updated it has been rolled back.
	 */
	if (infomask & HEAP_XMAX_IS_MULTI)
	{
		if (HEAP_LOCKED_UPGRADED(infomask) || !MultiXactIdIsRunning(xmax, only_locked))
			return;
		mark->xmax = MultiXactIdExpand(xmax, xid, MultiXactStatusNoKeyUpdate);
	}
	else
	{
		if (!only_locked || xmax == xid || !TransactionIdIsInProgress(xmax))
			return;
		mark->xmax =
			MultiXactIdCreate(xmax, lock_status(header), xid, MultiXactStatusNoKeyUpdate);
	}
	mark->infomask = HEAP_XMAX_IS_MULTI | HEAP_XMAX_EXCL_LOCK;
	mark->infobits = XLHL_XMAX_IS_MULTI | XLHL_XMAX_EXCL_LOCK;
	/* FOR UPDATE of the migration itself, which is among the members */
	if (header->t_infomask2 & HEAP_KEYS_UPDATED)
	{
		mark->infomask2 = HEAP_KEYS_UPDATED;
		mark->infobits |= XLHL_KEYS_UPDATED;
	}
}

/* WAL as for a deletion, which is replayed as the same change. */
static void
log_mark(Buffer buffer, OffsetNumber off, const HideMark *mark)
{
	xl_heap_delete record = {0};
	XLogRecPtr lsn;

	record.xmax = mark->xmax;
	record.offnum = off;
	record.infobits_set = mark->infobits;
	XLogBeginInsert();
	XLogRegisterData((char *) &record, SizeOfHeapDelete);
	XLogRegisterBuffer(0, buffer, REGBUF_STANDARD);
	XLogSetRecordFlags(XLOG_INCLUDE_ORIGIN);
	lsn = XLogInsert(RM_HEAP_ID, XLOG_HEAP_DELETE);
	PageSetLSN(BufferGetPage(buffer), lsn);
}

/*
 * upg_row_hide
 *		Take out a row version that this transaction has written, for as long as
 *		the current subtransaction lasts, which must be abandoned.
 *
 * Waits for nobody.  TOASTed values stay: they are as invisible as the row.
 */
void
upg_row_hide(Relation rel, ItemPointer tid)
{
	BlockNumber block = ItemPointerGetBlockNumber(tid);
	OffsetNumber off = ItemPointerGetOffsetNumber(tid);
	CommandId cid = GetCurrentCommandId(true);
	HeapTupleData row;
	HideMark mark;
	Buffer buffer;
	Page page;
	bool combo;

	/*
	 * Decoding wants more of catalogs than we write; nobody locks rows of
	 * those.  Of tables that decoding treats as catalogs it wants no more than
	 * this: it takes what an abandoned subtransaction has marked for not deleted,
	 * whether it knows the command or not, and when the row was made it knows.
	 */
	if (IsCatalogRelation(rel))
	{
		simple_heap_delete(rel, tid);
		return;
	}

	buffer = ReadBuffer(rel, block);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	page = BufferGetPage(buffer);
	if (!upg_page_row(page, block, off, RelationGetRelid(rel), &row) ||
		PageIsAllVisible(page) ||
		!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(row.t_data)))
		elog(ERROR, "row (%u,%u) of table \"%s\" is not ours", block, off,
			 RelationGetRelationName(rel));

	HeapTupleHeaderAdjustCmax(row.t_data, &cid, &combo);
	/* from here on others may put our xid into a multixact */
	MultiXactIdSetOldestMember();
	make_mark(row.t_data, &mark);

	START_CRIT_SECTION();
	PageSetPrunable(page, GetCurrentTransactionId());
	row.t_data->t_infomask &= ~(HEAP_XMAX_BITS | HEAP_MOVED);
	row.t_data->t_infomask2 &= ~HEAP_KEYS_UPDATED;
	row.t_data->t_infomask |= mark.infomask;
	row.t_data->t_infomask2 |= mark.infomask2;
	HeapTupleHeaderClearHotUpdated(row.t_data);
	HeapTupleHeaderSetXmax(row.t_data, mark.xmax);
	HeapTupleHeaderSetCmax(row.t_data, cid, combo);
	row.t_data->t_ctid = row.t_self;
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(rel))
		log_mark(buffer, off, &mark);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
}
