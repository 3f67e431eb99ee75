/*-------------------------------------------------------------------------
 *
 * undo_alias.c
 *		Whose row it is: xids of migrations, and of rollbacks that stand for them.
 *
 * A row that a rollback puts back has a new xmin.  If it belongs to an earlier
 * migration, the alias says so, and a chain of migrations can be taken back.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_alias.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "undo_log.h"

/* What stands for whom: xids of rollbacks. */
typedef struct AliasEntry
{
	TransactionId xid;
	TransactionId origin;
} AliasEntry;

static AliasEntry *aliases = NULL;
static int naliases = 0;

/*
 * upg_alias_add
 *		Rows put back by transaction "xid" stand for rows of "origin".
 */
void
upg_alias_add(TransactionId xid, TransactionId origin)
{
	Datum values[4];
	bool nulls[4] = {0};

	values[0] = TransactionIdGetDatum(xid);
	values[1] = TransactionIdGetDatum(origin);
	values[2] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[3] = Int64GetDatum(0);
	upg_undo_insert("undo_aliases", values, nulls);
}

/*
 * upg_alias_load
 *		Read the aliases, for this transaction's use.
 */
void
upg_alias_load(void)
{
	Relation rel = upg_undo_table("undo_aliases", AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;
	int size = 64;

	aliases = MemoryContextAlloc(TopTransactionContext, sizeof(AliasEntry) * size);
	naliases = 0;
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool isnull;

		if (naliases == size)
		{
			size *= 2;
			aliases = repalloc(aliases, sizeof(AliasEntry) * size);
		}
		aliases[naliases].xid =
			DatumGetTransactionId(heap_getattr(tuple, 1, RelationGetDescr(rel), &isnull));
		aliases[naliases].origin =
			DatumGetTransactionId(heap_getattr(tuple, 2, RelationGetDescr(rel), &isnull));
		naliases++;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * upg_alias_forget
 *		Work without aliases: inside a migration there are none to respect.
 */
void
upg_alias_forget(void)
{
	aliases = NULL;
	naliases = 0;
}

/*
 * upg_alias_origin
 *		Whose row this is: the xid itself, or the one that it stands for.
 */
TransactionId
upg_alias_origin(TransactionId xid)
{
	for (int i = 0; i < naliases; i++)
		if (aliases[i].xid == xid)
			return aliases[i].origin;
	return xid;
}

/*
 * upg_log_has_xid
 *		Is this the xid of a row that the migration wrote?
 */
bool
upg_log_has_xid(UpgUndoLog *log, TransactionId xid)
{
	int low = 0;
	int high = log->nxids - 1;

	while (low <= high)
	{
		int middle = (low + high) / 2;

		if (log->xids[middle] == xid)
			return true;
		if (log->xids[middle] < xid)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return false;
}

/*
 * upg_log_xid_list
 *		The xids of the migration's rows as an array that SQL reads, with those of
 *		rollbacks that put such rows back.
 */
char *
upg_log_xid_list(UpgUndoLog *log)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	for (int i = 0; i < log->nxids; i++)
		appendStringInfo(&buf, "%s%u", i > 0 ? "," : "", log->xids[i]);
	for (int i = 0; i < naliases; i++)
		if (upg_log_has_xid(log, aliases[i].origin))
			appendStringInfo(&buf, "%s%u", buf.len > 1 ? "," : "", aliases[i].xid);
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

/*
 * upg_log_written_since
 *		Was the row with this xid committed after the capture ended?
 *
 * The migration's own rows were not.
 */
bool
upg_log_written_since(UpgUndoLog *log, TransactionId xid)
{
	if (!TransactionIdIsNormal(xid) || upg_log_has_xid(log, xid))
		return false;
	if (TransactionIdPrecedes(xid, log->finish->xmin))
		return false;
	if (TransactionIdFollowsOrEquals(xid, log->finish->xmax))
		return true;
	for (uint32 i = 0; i < log->finish->xcnt; i++)
		if (log->finish->xip[i] == xid)
			return true;
	return false;
}
