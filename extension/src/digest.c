/*-------------------------------------------------------------------------
 *
 * digest.c
 *		One row that tells a client whether anything is left to do.
 *
 * Asked at the start of every run, often with thousands of migrations in the
 * books, so the table is scanned without the executor.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/digest.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "ledger.h"

PG_FUNCTION_INFO_V1(upg_digest);

/* So many bytes are hashed at once. */
#define HASH_CHUNK 8192

typedef struct Line
{
	char *name;
	uint8 sha256[UPG_SHA256_LENGTH];
} Line;

static UpgState state_of(Datum value);
static void hash_lines(const Line *lines, int64 count, char *hex);
static int line_cmp(const void *a, const void *b);

/*
 * upg_digest
 *		Counts by state, the latest migration, and the SHA-256 over the names
 *		and checksums of all applied ones, in byte order of their names.
 *
 * Per migration the bytes are: name, newline, checksum in hexadecimal, newline.
 */
Datum
upg_digest(PG_FUNCTION_ARGS)
{
	TupleDesc desc;
	Relation rel;
	Snapshot snapshot;
	TableScanDesc scan;
	TupleTableSlot *slot;
	Line *lines;
	int64 space = 1024;
	int64 total = 0;
	int64 applied = 0;
	int64 pending = 0;
	int64 unfinished = 0;
	int64 latest = 0;
	char *head = NULL;
	char hex[2 * UPG_SHA256_LENGTH + 1];
	Datum values[6];
	bool nulls[6] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);

	lines = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Line) * space);
	rel = upg_table_open(&upg_migrations_table, AccessShareLock);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = table_beginscan(rel, snapshot, 0, NULL);
	slot = table_slot_create(rel, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		UpgState state;
		Line *line;
		bytea *sum;
		int64 order;

		CHECK_FOR_INTERRUPTS();
		slot_getsomeattrs(slot, UPG_MIG_APPLIED_ORDER + 1);
		state = state_of(slot->tts_values[UPG_MIG_STATE]);
		total++;
		if (state == UPG_STATE_REGISTERED || state == UPG_STATE_ROLLED_BACK ||
			state == UPG_STATE_FAILED)
			pending++;
		else if (state != UPG_STATE_APPLIED && state != UPG_STATE_REPLACED)
			unfinished++;
		if (state != UPG_STATE_APPLIED)
			continue;

		if (applied == space)
		{
			space *= 2;
			lines = repalloc_huge(lines, sizeof(Line) * space);
		}
		line = &lines[applied++];
		line->name = TextDatumGetCString(slot->tts_values[UPG_MIG_NAME]);
		sum = DatumGetByteaPP(slot->tts_values[UPG_MIG_UP_SHA256]);
		memset(line->sha256, 0, UPG_SHA256_LENGTH);
		memcpy(line->sha256, VARDATA_ANY(sum),
			   Min(VARSIZE_ANY_EXHDR(sum), UPG_SHA256_LENGTH));
		order = DatumGetInt64(slot->tts_values[UPG_MIG_APPLIED_ORDER]);
		if (order > latest)
		{
			latest = order;
			head = line->name;
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, NoLock);

	qsort(lines, applied, sizeof(Line), line_cmp);
	hash_lines(lines, applied, hex);
	values[0] = Int64GetDatum(total);
	values[1] = Int64GetDatum(applied);
	values[2] = Int64GetDatum(pending);
	values[3] = Int64GetDatum(unfinished);
	values[4] = CStringGetTextDatum(hex);
	if (head != NULL)
		values[5] = CStringGetTextDatum(head);
	else
		nulls[5] = true;

	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/* A state; nearly all are the same one, which needs no string of its own. */
static UpgState
state_of(Datum value)
{
	static const char applied[] = "applied";
	text *name = DatumGetTextPP(value);

	if (VARSIZE_ANY_EXHDR(name) == sizeof(applied) - 1 &&
		memcmp(VARDATA_ANY(name), applied, sizeof(applied) - 1) == 0)
		return UPG_STATE_APPLIED;
	return upg_state_parse(text_to_cstring(name));
}

/*
 * hash_lines
 *		The checksum over sorted lines, as hexadecimal digits and a zero.
 */
static void
hash_lines(const Line *lines, int64 count, char *hex)
{
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);
	uint8 sha256[UPG_SHA256_LENGTH];
	StringInfoData buf;
	bool ok = ctx != NULL && pg_cryptohash_init(ctx) >= 0;

	initStringInfo(&buf);
	for (int64 i = 0; i < count && ok; i++)
	{
		appendStringInfoString(&buf, lines[i].name);
		appendStringInfoChar(&buf, '\n');
		enlargeStringInfo(&buf, 2 * UPG_SHA256_LENGTH + 1);
		buf.len += hex_encode((const char *) lines[i].sha256, UPG_SHA256_LENGTH,
							  buf.data + buf.len);
		appendStringInfoChar(&buf, '\n');
		if (buf.len >= HASH_CHUNK || i == count - 1)
		{
			ok = pg_cryptohash_update(ctx, (uint8 *) buf.data, buf.len) >= 0;
			resetStringInfo(&buf);
		}
	}
	if (!ok || pg_cryptohash_final(ctx, sha256, sizeof(sha256)) < 0)
		elog(ERROR, "could not compute a SHA-256 checksum");
	pg_cryptohash_free(ctx);
	pfree(buf.data);

	hex[hex_encode((const char *) sha256, UPG_SHA256_LENGTH, hex)] = '\0';
}

static int
line_cmp(const void *a, const void *b)
{
	return strcmp(((const Line *) a)->name, ((const Line *) b)->name);
}
