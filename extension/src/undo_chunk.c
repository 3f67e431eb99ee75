/*-------------------------------------------------------------------------
 *
 * undo_chunk.c
 *		Tables of the undo log, and the row images in them.
 *
 * Row images are packed into chunks of a little less than a page, so a log of
 * a million rows is some ten thousand rows of upg.undo_chunks.  An entry is a
 * header and the raw tuple, header bits included: dropped columns keep their
 * bytes, and the raw xmin tells later whose row it was.
 *
 * The tables are read and written below the executor, so their triggers, which
 * refuse every SQL statement, do not stand in our way.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_chunk.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "errors.h"
#include "undo_log.h"

/* Entries start on a MAXALIGN boundary of the chunk's data. */
typedef struct ChunkEntry
{
	uint32 length; /* of the tuple that follows */
	Oid catalog;
	char op;
	char pad[7];
} ChunkEntry;

#define CHUNK_SIZE (BLCKSZ - 512)

struct UpgChunkWriter
{
	int64 log;
	Oid relation;
	int32 chunk;
	Relation rel;
	CatalogIndexState indexes;
	char *buffer;
	uint32 used;
	uint32 size;
	uint64 digest;
	MemoryContext cxt;
};

/*
 * upg_undo_table
 *		Open a table of the undo log by name.
 */
Relation
upg_undo_table(const char *name, LOCKMODE lockmode)
{
	Oid nsp = get_namespace_oid("upg", false);
	Oid relid = get_relname_relid(name, nsp);

	if (!OidIsValid(relid))
		ereport(ERROR, (errcode(ERRCODE_UPG_UNDO_UNUSABLE),
						errmsg("table \"upg.%s\" does not exist", name),
						errhint("Drop and re-create the extension.")));
	return table_open(relid, lockmode);
}

/*
 * upg_undo_insert
 *		Insert one row into a table of the undo log.
 */
void
upg_undo_insert(const char *table, Datum *values, bool *nulls)
{
	Relation rel = upg_undo_table(table, RowExclusiveLock);

	CatalogTupleInsert(rel, heap_form_tuple(RelationGetDescr(rel), values, nulls));
	table_close(rel, RowExclusiveLock);
}

/* The primary key index of a table of the log. */
static Oid
log_index(Relation rel)
{
	Oid index = upg_primary_key_index(rel);

	if (!OidIsValid(index))
		ereport(ERROR, (errcode(ERRCODE_UPG_UNDO_UNUSABLE),
						errmsg("table \"upg.%s\" has lost its primary key",
							   RelationGetRelationName(rel))));
	return index;
}

SysScanDesc
upg_undo_scan(Relation rel, int64 log)
{
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(log));
	return systable_beginscan(rel, log_index(rel), true, NULL, 1, &key);
}

uint64
upg_digest_mix(uint64 digest, const void *data, int length)
{
	return hash_combine64(digest, hash_bytes_extended(data, length, 0x75706721));
}

/*
 * upg_chunks_begin
 *		Start writing row images of one relation, or of the catalogs (InvalidOid), into a
 *		table of the log.
 */
UpgChunkWriter *
upg_chunks_begin(const char *table, int64 log, Oid relation)
{
	UpgChunkWriter *writer = palloc0(sizeof(UpgChunkWriter));

	writer->log = log;
	writer->relation = relation;
	writer->rel = upg_undo_table(table, RowExclusiveLock);
	writer->indexes = CatalogOpenIndexes(writer->rel);
	writer->size = CHUNK_SIZE;
	writer->buffer = palloc(VARHDRSZ + MAXIMUM_ALIGNOF + writer->size);
	writer->cxt =
		AllocSetContextCreate(CurrentMemoryContext, "upg chunk", ALLOCSET_SMALL_SIZES);
	return writer;
}

static void
flush_chunk(UpgChunkWriter *writer)
{
	Datum values[4];
	bool nulls[4] = {0};
	MemoryContext oldcxt;

	if (writer->used == 0)
		return;
	oldcxt = MemoryContextSwitchTo(writer->cxt);
	SET_VARSIZE(writer->buffer, VARHDRSZ + writer->used);
	values[0] = Int64GetDatum(writer->log);
	values[1] = ObjectIdGetDatum(writer->relation);
	values[2] = Int32GetDatum(writer->chunk);
	values[3] = PointerGetDatum(writer->buffer);
	CatalogTupleInsertWithInfo(
		writer->rel, heap_form_tuple(RelationGetDescr(writer->rel), values, nulls),
		writer->indexes);
	writer->digest =
		upg_digest_mix(writer->digest, VARDATA(writer->buffer), writer->used);
	writer->chunk++;
	writer->used = 0;
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(writer->cxt);
}

/*
 * upg_chunks_add
 *		Add one row image.  The visibility bits of its header are not kept.
 */
void
upg_chunks_add(UpgChunkWriter *writer, Oid catalog, char op, HeapTupleHeader data,
			   uint32 len)
{
	uint32 need = MAXALIGN(sizeof(ChunkEntry)) + MAXALIGN(len);
	ChunkEntry *entry;
	char *at;

	if (writer->used > 0 && writer->used + need > CHUNK_SIZE)
		flush_chunk(writer);
	if (need > writer->size)
	{
		writer->size = need;
		writer->buffer =
			repalloc_huge(writer->buffer, VARHDRSZ + MAXIMUM_ALIGNOF + (Size) need);
	}
	at = writer->buffer + VARHDRSZ + writer->used;
	memset(at, 0, need);
	entry = (ChunkEntry *) palloc0(sizeof(ChunkEntry));
	entry->length = len;
	entry->catalog = catalog;
	entry->op = op;
	memcpy(at, entry, sizeof(ChunkEntry));
	pfree(entry);
	at += MAXALIGN(sizeof(ChunkEntry));
	memcpy(at, data, len);
	/* the copy is not aligned here: clear the bits through a local */
	{
		uint16 mask;

		memcpy(&mask, at + offsetof(HeapTupleHeaderData, t_infomask), sizeof(mask));
		mask &= ~HEAP_XACT_MASK;
		memcpy(at + offsetof(HeapTupleHeaderData, t_infomask), &mask, sizeof(mask));
	}
	writer->used += need;
}

/*
 * upg_chunks_end
 *		Write what is left and return the digest of everything written.
 */
uint64
upg_chunks_end(UpgChunkWriter *writer)
{
	uint64 digest;

	flush_chunk(writer);
	digest = writer->digest;
	CatalogCloseIndexes(writer->indexes);
	table_close(writer->rel, RowExclusiveLock);
	MemoryContextDelete(writer->cxt);
	pfree(writer->buffer);
	pfree(writer);
	return digest;
}

void
upg_undo_damaged(int64 log, const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_UPG_UNDO_UNUSABLE), errmsg("the undo log is damaged"),
					errdetail("Log " INT64_FORMAT ": %s", log, what),
					errhint("Nothing was changed. Give up the undo with upg_finalize(), "
							"or restore a backup.")));
}

/*
 * upg_chunks_read
 *		Call back for each row image, in the order written, and return the
 *		digest of what was read.
 *
 * The tuple lives until the callback returns.
 */
uint64
upg_chunks_read(const char *table, int64 log, Oid relation, UpgChunkCallback callback,
				void *arg)
{
	Relation rel = upg_undo_table(table, AccessShareLock);
	Relation index = index_open(log_index(rel), AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;
	uint64 digest = 0;
	int32 expected = 0;
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "upg read chunk",
											  ALLOCSET_DEFAULT_SIZES);

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(log));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relation));
	scan = systable_beginscan_ordered(rel, index, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext_ordered(scan, ForwardScanDirection)))
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(cxt);
		bool isnull;
		int32 chunk =
			DatumGetInt32(heap_getattr(tuple, 3, RelationGetDescr(rel), &isnull));
		struct varlena *data = PG_DETOAST_DATUM_PACKED(
			heap_getattr(tuple, 4, RelationGetDescr(rel), &isnull));
		uint32 size = VARSIZE_ANY_EXHDR(data);
		char *base;
		uint32 at = 0;

		if (chunk != expected++)
			upg_undo_damaged(log, "A chunk is missing.");
		digest = upg_digest_mix(digest, VARDATA_ANY(data), size);
		/* aligned, so that tuples can be used where they lie */
		base = palloc(size + 1);
		memcpy(base, VARDATA_ANY(data), size);
		while (at < size)
		{
			ChunkEntry entry;
			HeapTupleData row;

			if (size - at < MAXALIGN(sizeof(ChunkEntry)))
				upg_undo_damaged(log, "An entry is cut short.");
			memcpy(&entry, base + at, sizeof(entry));
			at += MAXALIGN(sizeof(ChunkEntry));
			if (entry.length < SizeofHeapTupleHeader || entry.length > size - at)
				upg_undo_damaged(log, "An entry has an impossible length.");
			row.t_len = entry.length;
			row.t_data = (HeapTupleHeader) (base + at);
			row.t_tableOid = OidIsValid(entry.catalog) ? entry.catalog : relation;
			ItemPointerSetInvalid(&row.t_self);
			if (row.t_data->t_hoff > entry.length)
				upg_undo_damaged(log, "An entry has an impossible header.");
			at += MAXALIGN(entry.length);
			if (callback)
			{
				MemoryContextSwitchTo(oldcxt);
				callback(entry.catalog, entry.op, &row, arg);
				MemoryContextSwitchTo(cxt);
			}
		}
		MemoryContextSwitchTo(oldcxt);
		MemoryContextReset(cxt);
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
	MemoryContextDelete(cxt);
	return digest;
}
