/*-------------------------------------------------------------------------
 *
 * undo_log.c
 *		Writing and reading the undo log (tables upg.undo_*).
 *
 * Row images are packed into chunks of a little less than a page, so a log of
 * a million rows is some ten thousand rows of upg.undo_chunks.  An entry is a
 * header and the raw tuple, header bits included: dropped columns keep their
 * bytes, and the raw xmin tells later whose row it was.
 *
 * The log is read and written below the executor, so its triggers, which
 * refuse every SQL statement, do not stand in our way.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_log.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/catversion.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "errors.h"
#include "undo.h"

/* Columns of upg.undo_log. */
enum
{
	LOG_ID = 1,
	LOG_MIGRATION,
	LOG_STEP,
	LOG_STATE,
	LOG_MODE,
	LOG_VERDICT,
	LOG_DIFFERENCES,
	LOG_COVERAGE,
	LOG_XIDS,
	LOG_SNAPSHOT,
	LOG_EXEMPT,
	LOG_CATALOG_ROWS,
	LOG_DATA_ROWS,
	LOG_SYSTEM,
	LOG_DATABASE,
	LOG_CATVERSION,
	LOG_SERVER,
	LOG_DIGEST,
	LOG_CAPTURED_AT,
	LOG_CAPTURE_MS,
	LOG_PROOF_MS,
	LOG_NATTS = LOG_PROOF_MS
};

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

/* What stands for whom: xids of rollbacks. */
typedef struct AliasEntry
{
	TransactionId xid;
	TransactionId origin;
} AliasEntry;

static AliasEntry *aliases = NULL;
static int naliases = 0;

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

static SysScanDesc
log_scan(Relation rel, int64 log)
{
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(log));
	return systable_beginscan(rel, log_index(rel), true, NULL, 1, &key);
}

static uint64
mix(uint64 digest, const void *data, int length)
{
	return hash_combine64(digest, hash_bytes_extended(data, length, 0x75706721));
}

/*
 * upg_chunks_begin
 *		Start writing row images of one table, or of the catalogs (InvalidOid).
 */
UpgChunkWriter *
upg_chunks_begin(int64 log, Oid relation)
{
	UpgChunkWriter *writer = palloc0(sizeof(UpgChunkWriter));

	writer->log = log;
	writer->relation = relation;
	writer->rel = upg_undo_table("undo_chunks", RowExclusiveLock);
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
	writer->digest = mix(writer->digest, VARDATA(writer->buffer), writer->used);
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

static void
damaged(int64 log, const char *what)
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
upg_chunks_read(int64 log, Oid relation, UpgChunkCallback callback, void *arg)
{
	Relation rel = upg_undo_table("undo_chunks", AccessShareLock);
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
			damaged(log, "A chunk is missing.");
		digest = mix(digest, VARDATA_ANY(data), size);
		/* aligned, so that tuples can be used where they lie */
		base = palloc(size + 1);
		memcpy(base, VARDATA_ANY(data), size);
		while (at < size)
		{
			ChunkEntry entry;
			HeapTupleData row;

			if (size - at < MAXALIGN(sizeof(ChunkEntry)))
				damaged(log, "An entry is cut short.");
			memcpy(&entry, base + at, sizeof(entry));
			at += MAXALIGN(sizeof(ChunkEntry));
			if (entry.length < SizeofHeapTupleHeader || entry.length > size - at)
				damaged(log, "An entry has an impossible length.");
			row.t_len = entry.length;
			row.t_data = (HeapTupleHeader) (base + at);
			row.t_tableOid = OidIsValid(entry.catalog) ? entry.catalog : relation;
			ItemPointerSetInvalid(&row.t_self);
			if (row.t_data->t_hoff > entry.length)
				damaged(log, "An entry has an impossible header.");
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

/*
 * upg_undo_log_new_id
 *		The number of the next log.
 */
int64
upg_undo_log_new_id(void)
{
	Oid nsp = get_namespace_oid("upg", false);
	Oid seq = get_relname_relid("undo_log_id", nsp);

	return nextval_internal(seq, false);
}

/* Everything of a log that the digest covers beside the row images. */
static uint64
digest_parts(UpgUndoLog *log)
{
	uint64 digest = 0;
	ListCell *lc;

	digest = mix(digest, &log->migration, sizeof(log->migration));
	digest = mix(digest, &log->step, sizeof(log->step));
	digest = mix(digest, log->xids, sizeof(TransactionId) * log->nxids);
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);
		int64 v[6] = {rows->relation, rows->filenumber, rows->switched,
					  rows->inserted, rows->deleted,    rows->rows_after};

		digest += hash_bytes_extended((unsigned char *) v, sizeof(v), 1);
	}
	foreach (lc, log->files)
	{
		UpgKeptFile *file = lfirst(lc);
		int64 v[7] = {file->relation,
					  file->kind,
					  UPG_LOCATOR_SPC(file->locator),
					  UPG_LOCATOR_NUMBER(file->locator),
					  file->persistence,
					  file->pages,
					  file->caretaker};

		digest += hash_bytes_extended((unsigned char *) v, sizeof(v), 2);
	}
	foreach (lc, log->sequences)
	{
		UpgSequenceState *seq = lfirst(lc);
		int64 v[6] = {seq->sequence,    seq->before_value, seq->before_called,
					  seq->after_value, seq->after_called, seq->switched};

		digest += hash_bytes_extended((unsigned char *) v, sizeof(v), 3);
	}
	foreach (lc, log->exempt)
	{
		Oid oid = lfirst_oid(lc);

		digest += hash_bytes_extended((unsigned char *) &oid, sizeof(oid), 4);
	}
	return digest;
}

static Datum
bytea_of(const void *data, Size size)
{
	bytea *result = palloc(VARHDRSZ + size);

	SET_VARSIZE(result, VARHDRSZ + size);
	memcpy(VARDATA(result), data, size);
	return PointerGetDatum(result);
}

/* Snapshot as xmin, xmax, xids in progress. */
static Datum
snapshot_bytea(Snapshot snapshot)
{
	int n = snapshot->xcnt + Max(snapshot->subxcnt, 0);
	TransactionId *v = palloc(sizeof(TransactionId) * (n + 2));

	v[0] = snapshot->xmin;
	/* with subxids lost, nothing after xmin is known to have committed */
	v[1] = snapshot->suboverflowed ? snapshot->xmin : snapshot->xmax;
	for (int i = 0; i < snapshot->xcnt; i++)
		v[2 + i] = snapshot->xip[i];
	for (int i = 0; i < snapshot->subxcnt; i++)
		v[2 + snapshot->xcnt + i] = snapshot->subxip[i];
	return bytea_of(v, sizeof(TransactionId) * (n + 2));
}

/*
 * upg_undo_log_write
 *		Write the head of a log and all of its parts but the row images, whose
 *		digest is passed in.
 */
void
upg_undo_log_write(UpgUndoLog *log, const char *mode, uint64 digest, int64 catalog_rows,
				   int64 data_rows)
{
	Datum values[LOG_NATTS] = {0};
	bool nulls[LOG_NATTS] = {0};
	ListCell *lc;
	Datum *oids;
	int noids = 0;

	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);
		Datum v[8];
		bool n[8] = {0};

		v[0] = Int64GetDatum(log->id);
		v[1] = ObjectIdGetDatum(rows->relation);
		v[2] = CStringGetTextDatum(rows->name);
		v[3] = ObjectIdGetDatum(rows->filenumber);
		v[4] = BoolGetDatum(rows->switched);
		v[5] = Int64GetDatum(rows->inserted);
		v[6] = Int64GetDatum(rows->deleted);
		v[7] = Int64GetDatum(rows->rows_after);
		upg_undo_insert("undo_relations", v, n);
	}
	foreach (lc, log->files)
	{
		UpgKeptFile *file = lfirst(lc);
		Datum v[8];
		bool n[8] = {0};

		v[0] = Int64GetDatum(log->id);
		v[1] = ObjectIdGetDatum(file->relation);
		v[2] = CharGetDatum(file->kind);
		v[3] = ObjectIdGetDatum(UPG_LOCATOR_SPC(file->locator));
		v[4] = ObjectIdGetDatum(UPG_LOCATOR_NUMBER(file->locator));
		v[5] = CharGetDatum(file->persistence);
		v[6] = Int64GetDatum((int64) file->pages);
		v[7] = ObjectIdGetDatum(file->caretaker);
		upg_undo_insert("undo_files", v, n);
	}
	foreach (lc, log->sequences)
	{
		UpgSequenceState *seq = lfirst(lc);
		Datum v[7];
		bool n[7] = {0};

		v[0] = Int64GetDatum(log->id);
		v[1] = ObjectIdGetDatum(seq->sequence);
		v[2] = Int64GetDatum(seq->before_value);
		v[3] = BoolGetDatum(seq->before_called);
		v[4] = Int64GetDatum(seq->after_value);
		v[5] = BoolGetDatum(seq->after_called);
		v[6] = BoolGetDatum(seq->switched);
		upg_undo_insert("undo_sequences", v, n);
	}

	values[LOG_ID - 1] = Int64GetDatum(log->id);
	values[LOG_MIGRATION - 1] = Int64GetDatum(log->migration);
	values[LOG_STEP - 1] = Int32GetDatum(log->step);
	values[LOG_STATE - 1] = CStringGetTextDatum("kept");
	values[LOG_MODE - 1] = CStringGetTextDatum(mode);
	values[LOG_VERDICT - 1] = CStringGetTextDatum("unproven");
	values[LOG_DIFFERENCES - 1] = PointerGetDatum(construct_empty_array(TEXTOID));
	nulls[LOG_COVERAGE - 1] = true;
	values[LOG_XIDS - 1] = bytea_of(log->xids, sizeof(TransactionId) * log->nxids);
	values[LOG_SNAPSHOT - 1] = snapshot_bytea(log->finish);
	oids = palloc(sizeof(Datum) * (list_length(log->exempt) + 1));
	foreach (lc, log->exempt)
		oids[noids++] = ObjectIdGetDatum(lfirst_oid(lc));
	values[LOG_EXEMPT - 1] = PointerGetDatum(
		construct_array(oids, noids, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
	values[LOG_CATALOG_ROWS - 1] = Int64GetDatum(catalog_rows);
	values[LOG_DATA_ROWS - 1] = Int64GetDatum(data_rows);
	values[LOG_SYSTEM - 1] = Int64GetDatum((int64) GetSystemIdentifier());
	values[LOG_DATABASE - 1] = ObjectIdGetDatum(MyDatabaseId);
	values[LOG_CATVERSION - 1] = Int32GetDatum(CATALOG_VERSION_NO);
	values[LOG_SERVER - 1] = Int32GetDatum(UPG_SERVER_VERSION);
	values[LOG_DIGEST - 1] = Int64GetDatum((int64) (digest + digest_parts(log)));
	values[LOG_CAPTURED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	nulls[LOG_CAPTURE_MS - 1] = true;
	nulls[LOG_PROOF_MS - 1] = true;
	upg_undo_insert("undo_log", values, nulls);
	CommandCounterIncrement();
}

/* Replace columns of a log's head. */
static void
update_head(int64 id, Datum *values, bool *nulls, bool *replace)
{
	Relation rel = upg_undo_table("undo_log", RowExclusiveLock);
	SysScanDesc scan = log_scan(rel, id);
	HeapTuple tuple = systable_getnext(scan);

	if (!HeapTupleIsValid(tuple))
		damaged(id, "Its head is gone.");
	tuple = heap_modify_tuple(tuple, RelationGetDescr(rel), values, nulls, replace);
	CatalogTupleUpdate(rel, &tuple->t_self, tuple);
	systable_endscan(scan);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
}

/*
 * upg_undo_log_verdict
 *		Record what the proof found.
 */
void
upg_undo_log_verdict(int64 id, const char *verdict, List *differences,
					 const char *coverage, double capture_ms, double proof_ms)
{
	Datum values[LOG_NATTS] = {0};
	bool nulls[LOG_NATTS] = {0};
	bool replace[LOG_NATTS] = {0};
	Datum *elems = palloc(sizeof(Datum) * (list_length(differences) + 1));
	int n = 0;
	ListCell *lc;

	foreach (lc, differences)
		elems[n++] = CStringGetTextDatum(lfirst(lc));
	values[LOG_VERDICT - 1] = CStringGetTextDatum(verdict);
	values[LOG_DIFFERENCES - 1] =
		PointerGetDatum(construct_array(elems, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[LOG_COVERAGE - 1] = CStringGetTextDatum(coverage);
	values[LOG_CAPTURE_MS - 1] = Float8GetDatum(capture_ms);
	values[LOG_PROOF_MS - 1] = Float8GetDatum(proof_ms);
	replace[LOG_VERDICT - 1] = replace[LOG_DIFFERENCES - 1] = replace[LOG_COVERAGE - 1] =
		true;
	replace[LOG_CAPTURE_MS - 1] = replace[LOG_PROOF_MS - 1] = true;
	update_head(id, values, nulls, replace);
}

/*
 * upg_undo_log_state
 *		Record what became of a log.
 */
void
upg_undo_log_state(int64 id, const char *state)
{
	Datum values[LOG_NATTS] = {0};
	bool nulls[LOG_NATTS] = {0};
	bool replace[LOG_NATTS] = {0};

	values[LOG_STATE - 1] = CStringGetTextDatum(state);
	replace[LOG_STATE - 1] = true;
	update_head(id, values, nulls, replace);
}

/* Collects catalog rows into changes, keyed. */
typedef struct CatalogReader
{
	UpgUndoLog *log;
	Relation rel;
	UpgChange *last;
} CatalogReader;

static HeapTuple
keep_tuple(HeapTuple row)
{
	return heap_copytuple(row);
}

/* An entry 'B' starts a change with its row before, 'A' is the row after. */
static void
read_catalog_row(Oid catalog, char op, HeapTuple row, void *arg)
{
	CatalogReader *reader = arg;
	UpgCatalogChanges *changes;
	UpgChange *change;

	changes = reader->log->catalogs ? llast(reader->log->catalogs) : NULL;
	if (changes == NULL || changes->catalog != catalog)
	{
		changes = palloc0(sizeof(UpgCatalogChanges));
		changes->catalog = catalog;
		reader->log->catalogs = lappend(reader->log->catalogs, changes);
		reader->last = NULL;
	}
	switch (op)
	{
		case 'D': /* the row is gone */
		case 'B': /* the row before; the one after follows */
			change = palloc0(sizeof(UpgChange));
			change->before = keep_tuple(row);
			changes->changes = lappend(changes->changes, change);
			reader->last = op == 'B' ? change : NULL;
			break;
		case 'A':
			if (reader->last == NULL)
				damaged(reader->log->id, "A row has no predecessor.");
			reader->last->after = keep_tuple(row);
			reader->last = NULL;
			break;
		case 'I':
			change = palloc0(sizeof(UpgChange));
			change->after = keep_tuple(row);
			changes->changes = lappend(changes->changes, change);
			reader->last = NULL;
			break;
		default:
			damaged(reader->log->id, "An entry is of no kind.");
	}
}

static Snapshot
read_snapshot(struct varlena *data)
{
	int n = VARSIZE_ANY_EXHDR(data) / sizeof(TransactionId);
	TransactionId *v = palloc(sizeof(TransactionId) * Max(n, 2));
	Snapshot snapshot = palloc0(sizeof(SnapshotData));

	memcpy(v, VARDATA_ANY(data), sizeof(TransactionId) * n);
	if (n < 2)
		return NULL;
	snapshot->xmin = v[0];
	snapshot->xmax = v[1];
	snapshot->xip = v + 2;
	snapshot->xcnt = n - 2;
	return snapshot;
}

/* The kept files of a log. */
static List *
read_files(int64 log)
{
	List *files = NIL;
	Relation rel;
	TupleDesc desc;
	SysScanDesc scan;
	HeapTuple tuple;
	bool isnull;

	rel = upg_undo_table("undo_files", AccessShareLock);
	desc = RelationGetDescr(rel);
	scan = log_scan(rel, log);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		UpgKeptFile *file = palloc0(sizeof(UpgKeptFile));

		file->relation = DatumGetObjectId(heap_getattr(tuple, 2, desc, &isnull));
		file->kind = DatumGetChar(heap_getattr(tuple, 3, desc, &isnull));
		UPG_LOCATOR_SPC(file->locator) =
			DatumGetObjectId(heap_getattr(tuple, 4, desc, &isnull));
		UPG_LOCATOR_DB(file->locator) = MyDatabaseId;
		UPG_LOCATOR_NUMBER(file->locator) =
			DatumGetObjectId(heap_getattr(tuple, 5, desc, &isnull));
		file->persistence = DatumGetChar(heap_getattr(tuple, 6, desc, &isnull));
		file->pages = (BlockNumber) DatumGetInt64(heap_getattr(tuple, 7, desc, &isnull));
		file->caretaker = DatumGetObjectId(heap_getattr(tuple, 8, desc, &isnull));
		files = lappend(files, file);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return files;
}

/*
 * upg_undo_log_read
 *		Read the kept log of a migration's step, after checking that it is of
 *		this server, this database, this catalog version and not damaged.
 *
 * Returns NULL if there is none.  "own" reads the log that the present
 * transaction has just written (the proof), whose row images need no check.
 */
UpgUndoLog *
upg_undo_log_read(int64 migration, int32 step, bool own)
{
	Relation rel = upg_undo_table("undo_log", own ? AccessShareLock : RowExclusiveLock);
	TupleDesc desc = RelationGetDescr(rel);
	SysScanDesc scan;
	HeapTuple tuple;
	HeapTuple head = NULL;
	UpgUndoLog *log;
	bool isnull;
	Datum value;
	ScanKeyData keys[2];
	Oid index;
	int64 last = 0;
	CatalogReader reader = {0};
	uint64 digest;
	uint64 expected;
	ListCell *lc;

	ScanKeyInit(&keys[0], LOG_MIGRATION, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(migration));
	ScanKeyInit(&keys[1], LOG_STEP, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(step));
	index = get_relname_relid("undo_log_migration", RelationGetNamespace(rel));
	scan = systable_beginscan(rel, index, OidIsValid(index), NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		int64 id = DatumGetInt64(heap_getattr(tuple, LOG_ID, desc, &isnull));

		if (strcmp(TextDatumGetCString(heap_getattr(tuple, LOG_STATE, desc, &isnull)),
				   "kept") != 0)
			continue;
		/* the latest, should a step have been captured twice */
		if (head != NULL && id < last)
			continue;
		last = id;
		head = heap_copytuple(tuple);
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	if (head == NULL)
		return NULL;

	log = palloc0(sizeof(UpgUndoLog));
	log->id = DatumGetInt64(heap_getattr(head, LOG_ID, desc, &isnull));
	log->migration = migration;
	log->step = step;
	log->state = TextDatumGetCString(heap_getattr(head, LOG_STATE, desc, &isnull));
	log->verdict = TextDatumGetCString(heap_getattr(head, LOG_VERDICT, desc, &isnull));

	if (DatumGetInt64(heap_getattr(head, LOG_SYSTEM, desc, &isnull)) !=
			(int64) GetSystemIdentifier() ||
		DatumGetObjectId(heap_getattr(head, LOG_DATABASE, desc, &isnull)) !=
			MyDatabaseId ||
		DatumGetInt32(heap_getattr(head, LOG_CATVERSION, desc, &isnull)) !=
			CATALOG_VERSION_NO)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_UNDO_UNUSABLE),
				 errmsg("the undo of migration " INT64_FORMAT " was recorded elsewhere",
						migration),
				 errdetail("It belongs to another cluster, database or catalog version."),
				 errhint("Give up the undo with upg_finalize().")));

	value = heap_getattr(head, LOG_XIDS, desc, &isnull);
	{
		struct varlena *data = PG_DETOAST_DATUM_PACKED(value);

		log->nxids = VARSIZE_ANY_EXHDR(data) / sizeof(TransactionId);
		log->xids = palloc(sizeof(TransactionId) * Max(log->nxids, 1));
		memcpy(log->xids, VARDATA_ANY(data), sizeof(TransactionId) * log->nxids);
	}
	log->finish = read_snapshot(
		PG_DETOAST_DATUM_PACKED(heap_getattr(head, LOG_SNAPSHOT, desc, &isnull)));
	if (log->nxids < 1 || log->finish == NULL)
		damaged(log->id, "Its head is not readable.");
	{
		Datum *elems;
		int n;

		deconstruct_array(
			DatumGetArrayTypeP(heap_getattr(head, LOG_EXEMPT, desc, &isnull)), OIDOID,
			sizeof(Oid), true, TYPALIGN_INT, &elems, NULL, &n);
		for (int i = 0; i < n; i++)
			log->exempt = lappend_oid(log->exempt, DatumGetObjectId(elems[i]));
	}

	/* parts */
	rel = upg_undo_table("undo_relations", AccessShareLock);
	desc = RelationGetDescr(rel);
	scan = log_scan(rel, log->id);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		UpgRelationRows *rows = palloc0(sizeof(UpgRelationRows));

		rows->relation = DatumGetObjectId(heap_getattr(tuple, 2, desc, &isnull));
		rows->name = TextDatumGetCString(heap_getattr(tuple, 3, desc, &isnull));
		rows->filenumber = DatumGetObjectId(heap_getattr(tuple, 4, desc, &isnull));
		rows->switched = DatumGetBool(heap_getattr(tuple, 5, desc, &isnull));
		rows->inserted = DatumGetInt64(heap_getattr(tuple, 6, desc, &isnull));
		rows->deleted = DatumGetInt64(heap_getattr(tuple, 7, desc, &isnull));
		rows->rows_after = DatumGetInt64(heap_getattr(tuple, 8, desc, &isnull));
		log->relations = lappend(log->relations, rows);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	log->files = read_files(log->id);

	rel = upg_undo_table("undo_sequences", AccessShareLock);
	desc = RelationGetDescr(rel);
	scan = log_scan(rel, log->id);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		UpgSequenceState *seq = palloc0(sizeof(UpgSequenceState));

		seq->sequence = DatumGetObjectId(heap_getattr(tuple, 2, desc, &isnull));
		seq->before_value = DatumGetInt64(heap_getattr(tuple, 3, desc, &isnull));
		seq->before_called = DatumGetBool(heap_getattr(tuple, 4, desc, &isnull));
		seq->after_value = DatumGetInt64(heap_getattr(tuple, 5, desc, &isnull));
		seq->after_called = DatumGetBool(heap_getattr(tuple, 6, desc, &isnull));
		seq->switched = DatumGetBool(heap_getattr(tuple, 7, desc, &isnull));
		log->sequences = lappend(log->sequences, seq);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	/* row images: read all of them once, for the digest */
	reader.log = log;
	digest = upg_chunks_read(log->id, InvalidOid, read_catalog_row, &reader);
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);

		if (rows->deleted > 0 && !own)
			digest += upg_chunks_read(log->id, rows->relation, NULL, NULL);
	}
	digest += digest_parts(log);
	rel = upg_undo_table("undo_log", AccessShareLock);
	expected = (uint64) DatumGetInt64(
		heap_getattr(head, LOG_DIGEST, RelationGetDescr(rel), &isnull));
	table_close(rel, AccessShareLock);
	if (digest != expected && !own)
		damaged(log->id, "Its digest does not match its content.");
	return log;
}

/*
 * upg_undo_log_erase
 *		Remove the parts of a log; its head stays and says what became of it.
 */
void
upg_undo_log_erase(int64 id)
{
	static const char *const parts[] = {"undo_chunks", "undo_relations", "undo_files",
										"undo_sequences", NULL};

	for (int i = 0; parts[i]; i++)
	{
		Relation rel = upg_undo_table(parts[i], RowExclusiveLock);
		SysScanDesc scan = log_scan(rel, id);
		HeapTuple tuple;

		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
			CatalogTupleDelete(rel, &tuple->t_self);
		systable_endscan(scan);
		table_close(rel, RowExclusiveLock);
	}
	CommandCounterIncrement();
}

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

/*
 * upg_undo_log_heads
 *		The xids and end snapshots of all kept logs but one.
 */
List *
upg_undo_log_heads(int64 except)
{
	Relation rel = upg_undo_table("undo_log", AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;
	List *result = NIL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool isnull;
		UpgUndoLog *log;
		struct varlena *data;

		if (DatumGetInt64(heap_getattr(tuple, LOG_ID, desc, &isnull)) == except ||
			strcmp(TextDatumGetCString(heap_getattr(tuple, LOG_STATE, desc, &isnull)),
				   "kept") != 0)
			continue;
		log = palloc0(sizeof(UpgUndoLog));
		log->id = DatumGetInt64(heap_getattr(tuple, LOG_ID, desc, &isnull));
		data = PG_DETOAST_DATUM_PACKED(heap_getattr(tuple, LOG_XIDS, desc, &isnull));
		log->nxids = VARSIZE_ANY_EXHDR(data) / sizeof(TransactionId);
		log->xids = palloc(sizeof(TransactionId) * Max(log->nxids, 1));
		memcpy(log->xids, VARDATA_ANY(data), sizeof(TransactionId) * log->nxids);
		log->finish = read_snapshot(
			PG_DETOAST_DATUM(heap_getattr(tuple, LOG_SNAPSHOT, desc, &isnull)));
		if (log->finish != NULL)
			result = lappend(result, log);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * upg_undo_log_kept
 *		All kept logs of a migration, with no more than their id and files.
 *
 * For giving them up, so nothing about them is checked: a log that is damaged
 * or comes from another server must be possible to get rid of.  Files of
 * another database or server are not ours, and left out.
 */
List *
upg_undo_log_kept(int64 migration)
{
	Relation rel = upg_undo_table("undo_log", RowExclusiveLock);
	TupleDesc desc = RelationGetDescr(rel);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;
	List *result = NIL;
	ListCell *lc;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool isnull;
		UpgUndoLog *log;

		if (DatumGetInt64(heap_getattr(tuple, LOG_MIGRATION, desc, &isnull)) !=
				migration ||
			strcmp(TextDatumGetCString(heap_getattr(tuple, LOG_STATE, desc, &isnull)),
				   "kept") != 0)
			continue;
		log = palloc0(sizeof(UpgUndoLog));
		log->id = DatumGetInt64(heap_getattr(tuple, LOG_ID, desc, &isnull));
		log->migration = migration;
		if (DatumGetInt64(heap_getattr(tuple, LOG_SYSTEM, desc, &isnull)) ==
				(int64) GetSystemIdentifier() &&
			DatumGetObjectId(heap_getattr(tuple, LOG_DATABASE, desc, &isnull)) ==
				MyDatabaseId)
			log->nxids = 1;
		result = lappend(result, log);
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	foreach (lc, result)
	{
		UpgUndoLog *log = lfirst(lc);

		if (log->nxids == 1)
			log->files = read_files(log->id);
	}
	return result;
}
