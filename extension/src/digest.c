/*-------------------------------------------------------------------------
 *
 * digest.c
 *		One row that tells a client whether anything is left to do.
 *
 * Asked at the start of every run, often with thousands of migrations in the
 * books, so it is C: the same in SQL takes six times as long.
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
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "compat.h"
#include "ledger.h"

PG_FUNCTION_INFO_V1(upg_digest);

typedef struct Line
{
	char *name;
	uint8 sha256[UPG_SHA256_LENGTH];
} Line;

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
	static UpgQuery query = {
		"SELECT name, up_sha256, state, applied_order FROM upg.migrations",
		SPI_OK_SELECT,
		0,
		{0}};
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc desc;
	UpgBooks books;
	Line *lines;
	int64 total;
	int64 applied = 0;
	int64 pending = 0;
	int64 unfinished = 0;
	int64 latest = 0;
	char *head = NULL;
	pg_cryptohash_ctx *ctx;
	uint8 sha256[UPG_SHA256_LENGTH];
	char hex[2 * UPG_SHA256_LENGTH + 1];
	Datum values[6];
	bool nulls[6] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);

	upg_books_open(&books);
	upg_query_latest(&query, NULL, NULL);
	total = (int64) SPI_processed;
	lines = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Line) * Max(total, 1));
	for (int64 row = 0; row < total; row++)
	{
		bool isnull;
		Datum datum = upg_result_datum(row, 3, &isnull);
		UpgState state = upg_state_parse(TextDatumGetCString(datum));
		Line *line;
		bytea *sum;
		int64 order;

		if (state == UPG_STATE_REGISTERED || state == UPG_STATE_ROLLED_BACK ||
			state == UPG_STATE_FAILED)
			pending++;
		else if (state != UPG_STATE_APPLIED)
			unfinished++;
		if (state != UPG_STATE_APPLIED)
			continue;

		line = &lines[applied++];
		line->name = TextDatumGetCString(upg_result_datum(row, 1, &isnull));
		sum = DatumGetByteaPP(upg_result_datum(row, 2, &isnull));
		memcpy(line->sha256, VARDATA_ANY(sum),
			   Min(VARSIZE_ANY_EXHDR(sum), UPG_SHA256_LENGTH));
		order = DatumGetInt64(upg_result_datum(row, 4, &isnull));
		if (order > latest)
		{
			latest = order;
			head = line->name;
		}
	}
	if (head != NULL)
		head = MemoryContextStrdup(caller, head);

	qsort(lines, applied, sizeof(Line), line_cmp);
	ctx = pg_cryptohash_create(PG_SHA256);
	if (ctx == NULL || pg_cryptohash_init(ctx) < 0)
		elog(ERROR, "could not compute a SHA-256 checksum");
	for (int64 i = 0; i < applied; i++)
	{
		(void) hex_encode((const char *) lines[i].sha256, UPG_SHA256_LENGTH, hex);
		hex[2 * UPG_SHA256_LENGTH] = '\n';
		if (pg_cryptohash_update(ctx, (uint8 *) lines[i].name, strlen(lines[i].name)) <
				0 ||
			pg_cryptohash_update(ctx, (const uint8 *) "\n", 1) < 0 ||
			pg_cryptohash_update(ctx, (uint8 *) hex, sizeof(hex)) < 0)
			elog(ERROR, "could not compute a SHA-256 checksum");
	}
	if (pg_cryptohash_final(ctx, sha256, sizeof(sha256)) < 0)
		elog(ERROR, "could not compute a SHA-256 checksum");
	pg_cryptohash_free(ctx);
	upg_books_close(&books);

	(void) hex_encode((const char *) sha256, UPG_SHA256_LENGTH, hex);
	hex[2 * UPG_SHA256_LENGTH] = '\0';
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

static int
line_cmp(const void *a, const void *b)
{
	return strcmp(((const Line *) a)->name, ((const Line *) b)->name);
}
