/*-------------------------------------------------------------------------
 *
 * harvest.c
 *		Finding the rows that the migration wrote, by their headers.
 *
 * A row version whose xmax is ours and whose xmin is not is a pre-image; one
 * whose xmin is ours and whose xmax is not is what we left.  Everything else
 * is either not ours or came and went in between.
 *
 * A page is read only if it can hold such a row: every write of ours is
 * WAL-logged and moves the page's LSN past the one at which the capture
 * began, and clears the page's bit in the visibility map.  Reading dead rows
 * is safe here and only here: while the transaction that deleted them is
 * open, nothing may prune them.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/harvest.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "access/visibilitymap.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "page_row.h"
#include "undo.h"

/*
 * upg_own_xid
 *		Is this an xid of the migration: of its subtransaction, or of a
 *		subtransaction in it that was not rolled back?
 */
bool
upg_own_xid(const UpgOwnRows *own, TransactionId xid)
{
	return TransactionIdIsNormal(xid) && TransactionIdFollowsOrEquals(xid, own->first) &&
		   TransactionIdIsCurrentTransactionId(xid);
}

static bool
own_xmin(const UpgOwnRows *own, HeapTupleHeader header)
{
	if (HeapTupleHeaderXminInvalid(header) || HeapTupleHeaderXminFrozen(header))
		return false;
	return upg_own_xid(own, HeapTupleHeaderGetRawXmin(header));
}

static bool
own_xmax(const UpgOwnRows *own, HeapTupleHeader header)
{
	if ((header->t_infomask & HEAP_XMAX_INVALID) ||
		HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask))
		return false;
	return upg_own_xid(own, HeapTupleHeaderGetUpdateXid(header));
}

/*
 * all_visible_after
 *		How many blocks after this one the pinned page of the visibility map
 *		shows as all-visible, up to the end of its group of 32.
 *
 * A large table that is vacuumed is passed over 32 blocks at a time.  The map
 * has two bits a block, the lower one of which is "all visible".
 */
static BlockNumber
all_visible_after(Buffer vmbuffer, BlockNumber block)
{
	const int mapsize = BLCKSZ - MAXALIGN(SizeOfPageHeaderData);
	BlockNumber within = block % ((BlockNumber) mapsize * 4);
	uint32 byte = within / 4;
	uint64 bits;

	if (within % 32 != 0 || byte + sizeof(bits) > (uint32) mapsize ||
		!BufferIsValid(vmbuffer))
		return 0;
	memcpy(&bits, PageGetContents(BufferGetPage(vmbuffer)) + byte, sizeof(bits));
	return (bits & UINT64CONST(0x5555555555555555)) == UINT64CONST(0x5555555555555555)
			   ? 31
			   : 0;
}

/*
 * upg_harvest
 *		Call back for each row version that is a pre-image (deleted) or a row
 *		that we left.
 *
 * The tuple passed lives until the callback returns and is a plain copy: its
 * toasted values are still outside.  "rel" may be a fake relcache entry; its
 * relpersistence then says whether LSNs can be relied upon.
 */
void
upg_harvest(Relation rel, const UpgOwnRows *own, UpgRowCallback callback, void *arg)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	BufferAccessStrategy strategy = NULL;
	Buffer vmbuffer = InvalidBuffer;
	bool logged = RelationNeedsWAL(rel);
	MemoryContext pagecxt;
	MemoryContext oldcxt;

	if (nblocks == 0)
		return;
	pagecxt = AllocSetContextCreate(CurrentMemoryContext, "upg harvest page",
									ALLOCSET_DEFAULT_SIZES);
	if (nblocks > (BlockNumber) NBuffers / 4)
		strategy = GetAccessStrategy(BAS_BULKREAD);

	for (BlockNumber block = 0; block < nblocks; block++)
	{
		Buffer buffer;
		Page page;
		OffsetNumber max;
		List *found = NIL;
		ListCell *lc;

		CHECK_FOR_INTERRUPTS();
		if (visibilitymap_get_status(rel, block, &vmbuffer) & VISIBILITYMAP_ALL_VISIBLE)
		{
			block += all_visible_after(vmbuffer, block);
			continue;
		}

		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		if (PageIsNew(page) || (logged && PageGetLSN(page) < own->lsn))
		{
			UnlockReleaseBuffer(buffer);
			continue;
		}

		oldcxt = MemoryContextSwitchTo(pagecxt);
		max = PageGetMaxOffsetNumber(page);
		for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
		{
			HeapTupleData tuple;

			if (!upg_page_row(page, block, off, RelationGetRelid(rel), &tuple))
				continue;
			if (own_xmin(own, tuple.t_data) != own_xmax(own, tuple.t_data))
				found = lappend(found, heap_copytuple(&tuple));
		}
		MemoryContextSwitchTo(oldcxt);
		UnlockReleaseBuffer(buffer);

		foreach (lc, found)
		{
			HeapTuple tuple = lfirst(lc);

			callback(tuple, !own_xmin(own, tuple->t_data), arg);
		}
		MemoryContextReset(pagecxt);
	}

	if (BufferIsValid(vmbuffer))
		ReleaseBuffer(vmbuffer);
	if (strategy)
		FreeAccessStrategy(strategy);
	MemoryContextDelete(pagecxt);
}
