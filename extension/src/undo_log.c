/*-------------------------------------------------------------------------
 *
 * undo_log.c
 *		Writing the undo log: head, parts, verdict.
 *
 * A digest covers everything that a rollback would act upon.
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
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "spi.h"
#include "undo_log.h"

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

static uint64
exempt_digest(Oid oid)
{
	return hash_bytes_extended((unsigned char *) &oid, sizeof(oid), 4);
}

/* Everything of a log that the digest covers beside the row images. */
uint64
upg_undo_digest(UpgUndoLog *log)
{
	uint64 digest = 0;
	ListCell *lc;

	digest = upg_digest_mix(digest, &log->migration, sizeof(log->migration));
	digest = upg_digest_mix(digest, &log->step, sizeof(log->step));
	digest = upg_digest_mix(digest, log->xids, sizeof(TransactionId) * log->nxids);
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
	foreach (lc, log->columns)
	{
		UpgKeptColumns *kept = lfirst(lc);
		int64 v[5] = {kept->relation, kept->unique, kept->rows, kept->nkey,
					  kept->ncolumns};

		digest += hash_bytes_extended((unsigned char *) v, sizeof(v), 5);
		digest += hash_bytes_extended((unsigned char *) kept->key,
									  sizeof(int16) * kept->nkey, 6);
		digest += hash_bytes_extended((unsigned char *) kept->columns,
									  sizeof(int16) * kept->ncolumns, 7);
	}
	foreach (lc, log->exempt)
		digest += exempt_digest(lfirst_oid(lc));
	return digest;
}

/*
 * upg_undo_head_digest
 *		What the digest covers of a log's head besides: the snapshot that tells what
 *		was written since, and the verdict, which tells a part from a whole.
 */
uint64
upg_undo_head_digest(Datum snapshot, const char *verdict)
{
	struct varlena *data = PG_DETOAST_DATUM_PACKED(snapshot);

	return hash_bytes_extended((unsigned char *) VARDATA_ANY(data),
							   VARSIZE_ANY_EXHDR(data), 8) +
		   hash_bytes_extended((const unsigned char *) verdict, strlen(verdict), 9);
}

static Datum
int2_array(int16 *numbers, int n)
{
	Datum *elems = palloc(sizeof(Datum) * (n + 1));

	for (int i = 0; i < n; i++)
		elems[i] = Int16GetDatum(numbers[i]);
	return PointerGetDatum(
		construct_array(elems, n, INT2OID, sizeof(int16), true, TYPALIGN_SHORT));
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
	return upg_bytea(v, sizeof(TransactionId) * (n + 2));
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
	foreach (lc, log->columns)
	{
		UpgKeptColumns *kept = lfirst(lc);
		Datum v[7];
		bool n[7] = {0};

		v[0] = Int64GetDatum(log->id);
		v[1] = ObjectIdGetDatum(kept->relation);
		v[2] = int2_array(kept->columns, kept->ncolumns);
		v[3] = int2_array(kept->key, kept->nkey);
		v[4] = BoolGetDatum(kept->unique);
		v[5] = Int64GetDatum(kept->rows);
		v[6] = Int64GetDatum(kept->bytes);
		upg_undo_insert("undo_columns", v, n);
	}

	values[LOG_ID - 1] = Int64GetDatum(log->id);
	values[LOG_MIGRATION - 1] = Int64GetDatum(log->migration);
	values[LOG_STEP - 1] = Int32GetDatum(log->step);
	values[LOG_STATE - 1] = CStringGetTextDatum("kept");
	values[LOG_MODE - 1] = CStringGetTextDatum(mode);
	values[LOG_VERDICT - 1] = CStringGetTextDatum("unproven");
	values[LOG_DIFFERENCES - 1] = PointerGetDatum(construct_empty_array(TEXTOID));
	nulls[LOG_COVERAGE - 1] = true;
	values[LOG_XIDS - 1] = upg_bytea(log->xids, sizeof(TransactionId) * log->nxids);
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
	digest +=
		upg_undo_digest(log) + upg_undo_head_digest(values[LOG_SNAPSHOT - 1], "unproven");
	values[LOG_DIGEST - 1] = Int64GetDatum((int64) digest);
	values[LOG_CAPTURED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	nulls[LOG_CAPTURE_MS - 1] = true;
	nulls[LOG_PROOF_MS - 1] = true;
	upg_undo_insert("undo_log", values, nulls);
	CommandCounterIncrement();
}

/* A copy of a log's head. */
static HeapTuple
read_head(int64 id)
{
	Relation rel = upg_undo_table("undo_log", RowExclusiveLock);
	SysScanDesc scan = upg_undo_scan(rel, id);
	HeapTuple tuple = systable_getnext(scan);

	if (!HeapTupleIsValid(tuple))
		upg_undo_damaged(id, "Its head is gone.");
	tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	table_close(rel, RowExclusiveLock);
	return tuple;
}

/* A column of a head, which is never null. */
static Datum
head_column(HeapTuple head, AttrNumber column)
{
	Relation rel = upg_undo_table("undo_log", AccessShareLock);
	bool isnull;
	Datum value = heap_getattr(head, column, RelationGetDescr(rel), &isnull);

	table_close(rel, NoLock);
	return value;
}

/* Replace columns of a log's head. */
static void
update_head(int64 id, Datum *values, bool *nulls, bool *replace)
{
	Relation rel = upg_undo_table("undo_log", RowExclusiveLock);
	SysScanDesc scan = upg_undo_scan(rel, id);
	HeapTuple tuple = systable_getnext(scan);

	if (!HeapTupleIsValid(tuple))
		upg_undo_damaged(id, "Its head is gone.");
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
	HeapTuple head = read_head(id);
	Datum snapshot = head_column(head, LOG_SNAPSHOT);
	uint64 digest = (uint64) DatumGetInt64(head_column(head, LOG_DIGEST));

	digest -= upg_undo_head_digest(snapshot,
								   TextDatumGetCString(head_column(head, LOG_VERDICT)));
	digest += upg_undo_head_digest(snapshot, verdict);
	values[LOG_DIGEST - 1] = Int64GetDatum((int64) digest);
	replace[LOG_DIGEST - 1] = true;
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
 * upg_undo_log_exempt
 *		Add objects that the rollback is to leave alone.
 */
void
upg_undo_log_exempt(int64 id, List *oids)
{
	HeapTuple head;
	Datum values[LOG_NATTS] = {0};
	bool nulls[LOG_NATTS] = {0};
	bool replace[LOG_NATTS] = {0};
	Datum *elems;
	int n;
	uint64 digest;
	ListCell *lc;

	if (oids == NIL)
		return;
	head = read_head(id);
	deconstruct_array(DatumGetArrayTypePCopy(head_column(head, LOG_EXEMPT)), OIDOID,
					  sizeof(Oid), true, TYPALIGN_INT, &elems, NULL, &n);
	digest = (uint64) DatumGetInt64(head_column(head, LOG_DIGEST));

	elems = repalloc(elems, sizeof(Datum) * (n + list_length(oids)));
	foreach (lc, oids)
	{
		elems[n++] = ObjectIdGetDatum(lfirst_oid(lc));
		digest += exempt_digest(lfirst_oid(lc));
	}
	values[LOG_EXEMPT - 1] = PointerGetDatum(
		construct_array(elems, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
	values[LOG_DIGEST - 1] = Int64GetDatum((int64) digest);
	replace[LOG_EXEMPT - 1] = replace[LOG_DIGEST - 1] = true;
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

/*
 * upg_undo_log_erase
 *		Remove the parts of a log; its head stays and says what became of it.
 */
void
upg_undo_log_erase(int64 id)
{
	static const char *const parts[] = {
		"undo_chunks",  "undo_relations", "undo_files", "undo_sequences",
		"undo_columns", "undo_values",    NULL};

	for (int i = 0; parts[i]; i++)
	{
		Relation rel = upg_undo_table(parts[i], RowExclusiveLock);
		SysScanDesc scan = upg_undo_scan(rel, id);
		HeapTuple tuple;

		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
			CatalogTupleDelete(rel, &tuple->t_self);
		systable_endscan(scan);
		table_close(rel, RowExclusiveLock);
	}
	CommandCounterIncrement();
}
