/*-------------------------------------------------------------------------
 *
 * undo_log_read.c
 *		Reading the undo log.
 *
 * A log of another cluster, database or catalog version is refused, and so is
 * one that was damaged.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_log_read.c
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
#include "catalog/pg_type.h"
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

/* Collects catalog rows into changes, keyed. */
typedef struct CatalogReader
{
	UpgUndoLog *log;
	Relation rel;
	UpgChange *last;
} CatalogReader;

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
			change->before = heap_copytuple(row);
			changes->changes = lappend(changes->changes, change);
			reader->last = op == 'B' ? change : NULL;
			break;
		case 'A':
			if (reader->last == NULL)
				upg_undo_damaged(reader->log->id, "A row has no predecessor.");
			reader->last->after = heap_copytuple(row);
			reader->last = NULL;
			break;
		case 'I':
			change = palloc0(sizeof(UpgChange));
			change->after = heap_copytuple(row);
			changes->changes = lappend(changes->changes, change);
			reader->last = NULL;
			break;
		default:
			upg_undo_damaged(reader->log->id, "An entry is of no kind.");
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

/* The xids of a log, from its head. */
static void
read_xids(UpgUndoLog *log, Datum value)
{
	struct varlena *data = PG_DETOAST_DATUM_PACKED(value);

	log->nxids = VARSIZE_ANY_EXHDR(data) / sizeof(TransactionId);
	log->xids = palloc(sizeof(TransactionId) * Max(log->nxids, 1));
	memcpy(log->xids, VARDATA_ANY(data), sizeof(TransactionId) * log->nxids);
}

/* Is a log, whose head this is, still kept? */
static bool
is_kept(HeapTuple head, TupleDesc desc)
{
	bool isnull;

	return strcmp(TextDatumGetCString(heap_getattr(head, LOG_STATE, desc, &isnull)),
				  "kept") == 0;
}

/* What reads one row of a part of the log. */
typedef void (*PartReader)(UpgUndoLog *log, HeapTuple tuple, TupleDesc desc);

/* Read the rows that a table holds of a log. */
static void
read_part(UpgUndoLog *log, const char *table, PartReader reader)
{
	Relation rel = upg_undo_table(table, AccessShareLock);
	SysScanDesc scan = upg_undo_scan(rel, log->id);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		reader(log, tuple, RelationGetDescr(rel));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
read_relation(UpgUndoLog *log, HeapTuple tuple, TupleDesc desc)
{
	UpgRelationRows *rows = palloc0(sizeof(UpgRelationRows));
	bool isnull;

	rows->relation = DatumGetObjectId(heap_getattr(tuple, 2, desc, &isnull));
	rows->name = TextDatumGetCString(heap_getattr(tuple, 3, desc, &isnull));
	rows->filenumber = DatumGetObjectId(heap_getattr(tuple, 4, desc, &isnull));
	rows->switched = DatumGetBool(heap_getattr(tuple, 5, desc, &isnull));
	rows->inserted = DatumGetInt64(heap_getattr(tuple, 6, desc, &isnull));
	rows->deleted = DatumGetInt64(heap_getattr(tuple, 7, desc, &isnull));
	rows->rows_after = DatumGetInt64(heap_getattr(tuple, 8, desc, &isnull));
	log->relations = lappend(log->relations, rows);
}

static void
read_file(UpgUndoLog *log, HeapTuple tuple, TupleDesc desc)
{
	UpgKeptFile *file = palloc0(sizeof(UpgKeptFile));
	bool isnull;

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
	log->files = lappend(log->files, file);
}

static void
read_sequence(UpgUndoLog *log, HeapTuple tuple, TupleDesc desc)
{
	UpgSequenceState *seq = palloc0(sizeof(UpgSequenceState));
	bool isnull;

	seq->sequence = DatumGetObjectId(heap_getattr(tuple, 2, desc, &isnull));
	seq->before_value = DatumGetInt64(heap_getattr(tuple, 3, desc, &isnull));
	seq->before_called = DatumGetBool(heap_getattr(tuple, 4, desc, &isnull));
	seq->after_value = DatumGetInt64(heap_getattr(tuple, 5, desc, &isnull));
	seq->after_called = DatumGetBool(heap_getattr(tuple, 6, desc, &isnull));
	seq->switched = DatumGetBool(heap_getattr(tuple, 7, desc, &isnull));
	log->sequences = lappend(log->sequences, seq);
}

static int16 *
int2_numbers(Datum array, int *n)
{
	Datum *elems;
	int16 *numbers;

	deconstruct_array(DatumGetArrayTypeP(array), INT2OID, sizeof(int16), true,
					  TYPALIGN_SHORT, &elems, NULL, n);
	numbers = palloc(sizeof(int16) * (*n + 1));
	for (int i = 0; i < *n; i++)
		numbers[i] = DatumGetInt16(elems[i]);
	return numbers;
}

/* A copy of dropped columns. */
static void
read_columns(UpgUndoLog *log, HeapTuple tuple, TupleDesc desc)
{
	UpgKeptColumns *kept = palloc0(sizeof(UpgKeptColumns));
	bool isnull;

	kept->relation = DatumGetObjectId(heap_getattr(tuple, 2, desc, &isnull));
	kept->columns = int2_numbers(heap_getattr(tuple, 3, desc, &isnull), &kept->ncolumns);
	kept->key = int2_numbers(heap_getattr(tuple, 4, desc, &isnull), &kept->nkey);
	kept->unique = DatumGetBool(heap_getattr(tuple, 5, desc, &isnull));
	kept->rows = DatumGetInt64(heap_getattr(tuple, 6, desc, &isnull));
	kept->bytes = DatumGetInt64(heap_getattr(tuple, 7, desc, &isnull));
	log->columns = lappend(log->columns, kept);
}

static int
compare_heads(const ListCell *a, const ListCell *b)
{
	const UpgUndoHead *ha = lfirst(a);
	const UpgUndoHead *hb = lfirst(b);

	return ha->id < hb->id ? -1 : ha->id > hb->id;
}

/* The heads of a migration's logs, by the index. */
static SysScanDesc
scan_migration(Relation rel, int64 migration)
{
	Oid index = get_relname_relid("undo_log_migration", RelationGetNamespace(rel));
	ScanKeyData key;

	ScanKeyInit(&key, LOG_MIGRATION, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(migration));
	return systable_beginscan(rel, index, OidIsValid(index), NULL, 1, &key);
}

/*
 * upg_undo_log_list
 *		The kept logs of a migration, the oldest first.
 */
List *
upg_undo_log_list(int64 migration)
{
	Relation rel = upg_undo_table("undo_log", RowExclusiveLock);
	TupleDesc desc = RelationGetDescr(rel);
	SysScanDesc scan = scan_migration(rel, migration);
	HeapTuple tuple;
	List *result = NIL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool isnull;
		UpgUndoHead *head;

		if (!is_kept(tuple, desc))
			continue;
		head = palloc(sizeof(UpgUndoHead));
		head->id = DatumGetInt64(heap_getattr(tuple, LOG_ID, desc, &isnull));
		head->step = DatumGetInt32(heap_getattr(tuple, LOG_STEP, desc, &isnull));
		head->verdict =
			TextDatumGetCString(heap_getattr(tuple, LOG_VERDICT, desc, &isnull));
		result = lappend(result, head);
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	list_sort(result, compare_heads);
	return result;
}

/*
 * upg_undo_guard
 *		A text that tells whether what is kept of a migration is still the same.
 */
char *
upg_undo_guard(int64 migration)
{
	Relation rel = upg_undo_table("undo_log", AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	uint64 guard = 0;
	ListCell *lc;

	foreach (lc, upg_undo_log_list(migration))
	{
		UpgUndoHead *entry = lfirst(lc);
		SysScanDesc scan = upg_undo_scan(rel, entry->id);
		HeapTuple tuple = systable_getnext(scan);
		bool isnull;
		int64 part[2];

		if (!HeapTupleIsValid(tuple))
			upg_undo_damaged(entry->id, "Its head is gone.");
		part[0] = entry->id;
		part[1] = DatumGetInt64(heap_getattr(tuple, LOG_DIGEST, desc, &isnull));
		guard = upg_digest_mix(guard, part, sizeof(part));
		systable_endscan(scan);
	}
	table_close(rel, AccessShareLock);
	return psprintf("%08x%08x", (uint32) (guard >> 32), (uint32) guard);
}

/*
 * upg_undo_log_read
 *		Read a kept log, after checking that it is of this server, this database,
 *		this catalog version and not damaged.
 *
 * "own" reads the log that the present transaction has just written (the
 * proof), whose row images need no check.
 */
UpgUndoLog *
upg_undo_log_read(int64 id, bool own)
{
	Relation rel = upg_undo_table("undo_log", own ? AccessShareLock : RowExclusiveLock);
	TupleDesc desc = RelationGetDescr(rel);
	SysScanDesc scan;
	HeapTuple tuple;
	HeapTuple head = NULL;
	UpgUndoLog *log;
	bool isnull;
	CatalogReader reader = {0};
	uint64 digest;
	uint64 expected;
	ListCell *lc;

	scan = upg_undo_scan(rel, id);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		head = heap_copytuple(tuple);
	systable_endscan(scan);
	if (head == NULL)
		upg_undo_damaged(id, "Its head is gone.");

	log = palloc0(sizeof(UpgUndoLog));
	log->id = DatumGetInt64(heap_getattr(head, LOG_ID, desc, &isnull));
	log->migration = DatumGetInt64(heap_getattr(head, LOG_MIGRATION, desc, &isnull));
	log->step = DatumGetInt32(heap_getattr(head, LOG_STEP, desc, &isnull));
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
						log->migration),
				 errdetail("It belongs to another cluster, database or catalog version."),
				 errhint("Give up the undo with upg_finalize().")));

	read_xids(log, heap_getattr(head, LOG_XIDS, desc, &isnull));
	log->finish = read_snapshot(
		PG_DETOAST_DATUM_PACKED(heap_getattr(head, LOG_SNAPSHOT, desc, &isnull)));
	if (log->nxids < 1 || log->finish == NULL)
		upg_undo_damaged(log->id, "Its head is not readable.");
	{
		Datum *elems;
		int n;

		deconstruct_array(
			DatumGetArrayTypeP(heap_getattr(head, LOG_EXEMPT, desc, &isnull)), OIDOID,
			sizeof(Oid), true, TYPALIGN_INT, &elems, NULL, &n);
		for (int i = 0; i < n; i++)
			log->exempt = lappend_oid(log->exempt, DatumGetObjectId(elems[i]));
	}

	expected = (uint64) DatumGetInt64(heap_getattr(head, LOG_DIGEST, desc, &isnull));
	expected -= upg_undo_head_digest(heap_getattr(head, LOG_SNAPSHOT, desc, &isnull),
									 log->verdict);
	table_close(rel, NoLock);

	read_part(log, "undo_relations", read_relation);
	read_part(log, "undo_files", read_file);
	read_part(log, "undo_sequences", read_sequence);
	read_part(log, "undo_columns", read_columns);

	/* row images: read all of them once, for the digest */
	reader.log = log;
	digest =
		upg_chunks_read("undo_chunks", log->id, InvalidOid, read_catalog_row, &reader);
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);

		if (!own)
			digest += upg_chunks_read("undo_chunks", log->id, rows->relation, NULL, NULL);
	}
	foreach (lc, log->columns)
		if (!own)
			digest +=
				upg_chunks_read("undo_values", log->id,
								((UpgKeptColumns *) lfirst(lc))->relation, NULL, NULL);
	digest += upg_undo_digest(log);
	if (digest != expected && !own)
		upg_undo_damaged(log->id, "Its digest does not match its content.");
	return log;
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

		if (DatumGetInt64(heap_getattr(tuple, LOG_ID, desc, &isnull)) == except ||
			!is_kept(tuple, desc))
			continue;
		log = palloc0(sizeof(UpgUndoLog));
		log->id = DatumGetInt64(heap_getattr(tuple, LOG_ID, desc, &isnull));
		read_xids(log, heap_getattr(tuple, LOG_XIDS, desc, &isnull));
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
	SysScanDesc scan = scan_migration(rel, migration);
	HeapTuple tuple;
	List *result = NIL;
	ListCell *lc;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool isnull;
		UpgUndoLog *log;

		if (!is_kept(tuple, desc))
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
			read_part(log, "undo_files", read_file);
	}
	return result;
}
