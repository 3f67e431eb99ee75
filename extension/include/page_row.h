/*-------------------------------------------------------------------------
 *
 * page_row.h
 *		A row version on a page, as a tuple; inlined, since scans of whole
 *		tables call it for each.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/page_row.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_PAGE_ROW_H
#define UPG_PAGE_ROW_H

#include "access/htup_details.h"
#include "storage/bufpage.h"
#include "storage/itemptr.h"

/*
 * upg_page_row
 *		Let "row" point to a row version on a page; false if there is none at
 *		this offset.
 *
 * The caller holds the page's lock.
 */
static inline bool
upg_page_row(Page page, BlockNumber block, OffsetNumber off, Oid table, HeapTuple row)
{
	ItemId item = PageGetItemId(page, off);

	if (!ItemIdIsNormal(item))
		return false;
	row->t_data = (HeapTupleHeader) PageGetItem(page, item);
	row->t_len = ItemIdGetLength(item);
	row->t_tableOid = table;
	ItemPointerSet(&row->t_self, block, off);
	return true;
}

#endif /* UPG_PAGE_ROW_H */
