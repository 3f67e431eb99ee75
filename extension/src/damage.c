/*-------------------------------------------------------------------------
 *
 * damage.c
 *		The checksum of what can be read of a damaged table, and what cannot.
 *
 * A table is read in ranges of blocks, each in a subtransaction.  A range in
 * which something cannot be read is halved, down to a block and then to single
 * rows, so that sound tables cost little more than one query and damaged ones
 * about one query for each row around the damage.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/damage.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/itemptr.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "errors.h"
#include "source.h"
#include "subxact.h"
#include "verify.h"

PG_FUNCTION_INFO_V1(upg_table_checksum_readable);

/* Blocks that are tried at once. */
#define RANGE_BLOCKS 4096

/* Damaged rows that are listed; all are counted. */
#define LISTED_ROWS 1000

typedef struct Reading
{
	UpgSource *source; /* the member that is read */
	const UpgScanJob *job;
	MemoryContext context;
	UpgChecksum *total;
	int64 damaged;
	StringInfoData list; /* JSON objects */
} Reading;

static void read_range(Reading *reading, uint64 first, uint64 end);
static void read_block(Reading *reading, BlockNumber block);

/* Is it an error of the storage, and not of the question or the session? */
static bool
is_damage(int sqlerrcode)
{
	return ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_INTERNAL_ERROR ||
		   sqlerrcode == ERRCODE_IO_ERROR || sqlerrcode == ERRCODE_UNDEFINED_FILE;
}

/*
 * try_rows
 *		Add the rows between two places; false, with the error in *edata, if they
 *		cannot all be read.
 */
static bool
try_rows(Reading *reading, ItemPointerData from, ItemPointerData to, ErrorData **edata)
{
	UpgSubxact sub;
	UpgChecksum part;
	Oid types[] = {TIDOID, TIDOID};
	Datum args[] = {PointerGetDatum(&from), PointerGetDatum(&to)};
	volatile bool ok = false;

	memset(&part, 0, sizeof(part));
	CHECK_FOR_INTERRUPTS();
	upg_subxact_begin(&sub, NULL);
	PG_TRY();
	{
		upg_source_query_scan(reading->source, reading->job, "ctid >= $1 AND ctid <= $2",
							  2, types, args, &part, NULL, NULL, NULL);
		upg_subxact_release(&sub);
		ok = true;
	}
	PG_CATCH();
	{
		*edata = upg_subxact_catch(&sub);
	}
	PG_END_TRY();
	if (ok)
	{
		upg_sum_add(&reading->total->sum, part.sum);
		reading->total->rows += part.rows;
		reading->total->header = part.header;
	}
	else if (!is_damage((*edata)->sqlerrcode))
		ReThrowError(*edata);
	return ok;
}

/*
 * note_damage
 *		Count what cannot be read, and list it; offset 0 stands for a whole block.
 */
static void
note_damage(Reading *reading, BlockNumber block, OffsetNumber offset,
			const ErrorData *edata)
{
	if (reading->damaged++ >= LISTED_ROWS)
		return;
	appendStringInfo(&reading->list,
					 "%s{\"relation\":", reading->list.len > 0 ? "," : "");
	escape_json(&reading->list, reading->source->label);
	if (offset == InvalidOffsetNumber)
		appendStringInfo(&reading->list, ",\"block\":%u", block);
	else
		appendStringInfo(&reading->list, ",\"ctid\":\"(%u,%u)\"", block, offset);
	appendStringInfo(&reading->list, ",\"sqlstate\":\"%s\",\"message\":",
					 unpack_sql_state(edata->sqlerrcode));
	escape_json(&reading->list, edata->message);
}

/*
 * note_key
 *		Add the primary key of a damaged row, if that can be read.
 */
static void
note_key(Reading *reading, ItemPointerData place)
{
	UpgSubxact sub;
	char *volatile key = NULL;

	if (reading->damaged > LISTED_ROWS)
		return;
	upg_subxact_begin(&sub, NULL);
	PG_TRY();
	{
		Oid type = TIDOID;
		Datum arg = PointerGetDatum(&place);
		char *columns;

		SPI_connect();
		if (SPI_execute(psprintf("SELECT string_agg(pg_catalog.quote_ident(a.attname),"
								 " ', ') FROM pg_catalog.pg_index i"
								 " JOIN pg_catalog.pg_attribute a"
								 " ON a.attrelid = i.indrelid AND a.attnum = ANY"
								 " (i.indkey::pg_catalog.int2[])"
								 " WHERE i.indrelid = %u AND i.indisprimary",
								 reading->source->relid),
						true, 1) == SPI_OK_SELECT &&
			(columns = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)) !=
				NULL &&
			SPI_execute_with_args(psprintf("SELECT pg_catalog.to_jsonb(k)"
										   " FROM (SELECT %s FROM ONLY %s"
										   " WHERE ctid = $1) k",
										   columns, reading->source->label),
								  1, &type, &arg, NULL, true, 1) == SPI_OK_SELECT &&
			SPI_processed == 1)
			key = MemoryContextStrdup(
				reading->context,
				SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
		SPI_finish();
		upg_subxact_release(&sub);
	}
	PG_CATCH();
	{
		/* the key is damaged, too: the place must do */
		FreeErrorData(upg_subxact_catch(&sub));
	}
	PG_END_TRY();
	if (key != NULL)
		appendStringInfo(&reading->list, ",\"key\":%s", key);
}

/*
 * read_range
 *		Read the blocks from "first" to before "end".
 */
static void
read_range(Reading *reading, uint64 first, uint64 end)
{
	ItemPointerData from, to;
	ErrorData *edata = NULL;

	if (first >= end)
		return;
	ItemPointerSet(&from, (BlockNumber) first, 0);
	ItemPointerSet(&to, (BlockNumber) (end - 1), MaxOffsetNumber);
	if (try_rows(reading, from, to, &edata))
		return;
	if (end - first == 1)
	{
		read_block(reading, (BlockNumber) first);
		return;
	}
	read_range(reading, first, first + (end - first) / 2);
	read_range(reading, first + (end - first) / 2, end);
}

/*
 * read_block
 *		Read a block row by row.
 */
static void
read_block(Reading *reading, BlockNumber block)
{
	int64 before = reading->damaged;

	for (OffsetNumber offset = FirstOffsetNumber; offset <= MaxHeapTuplesPerPage;
		 offset++)
	{
		ItemPointerData place;
		ErrorData *edata = NULL;

		ItemPointerSet(&place, block, offset);
		if (try_rows(reading, place, place, &edata))
			continue;
		/* where the first row cannot even be looked for, the block is lost */
		if (offset == FirstOffsetNumber &&
			strstr(edata->message, "invalid page in block") != NULL)
		{
			note_damage(reading, block, InvalidOffsetNumber, edata);
			appendStringInfoChar(&reading->list, '}');
			return;
		}
		note_damage(reading, block, offset, edata);
		note_key(reading, place);
		if (reading->damaged <= LISTED_ROWS)
			appendStringInfoChar(&reading->list, '}');
	}
	if (reading->damaged == before)
		ereport(WARNING, (errmsg("block %u of relation %s could be read only row by row",
								 block, reading->source->label)));
}

/*
 * upg_table_checksum_readable
 *		Checksum of the rows that can be read, number and list of the others.
 */
Datum
upg_table_checksum_readable(PG_FUNCTION_ARGS)
{
	UpgSource *whole;
	UpgScanJob job;
	Reading reading;
	UpgChecksum *total = palloc0(sizeof(UpgChecksum));
	List *members;
	TupleDesc desc;
	Datum values[3];
	bool nulls[3] = {false};
	ListCell *lc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	memset(&job, 0, sizeof(job));
	job.mode = upg_canonical_mode(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	job.seed = (uint64) PG_GETARG_INT64(2);
	whole = upg_source_open(PG_GETARG_OID(0), false, NULL);
	upg_job_columns(&job, whole, upg_job_names(whole, NIL, NIL, NULL), NULL);
	if (whole->members == NIL)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("%s cannot be read block by block", whole->label),
						errdetail("Only tables, materialized views and their partitions "
								  "can, and not under row-level security.")));
	members = whole->members;

	memset(&reading, 0, sizeof(reading));
	reading.job = &job;
	reading.context = CurrentMemoryContext;
	reading.total = total;
	initStringInfo(&reading.list);
	foreach (lc, members)
	{
		Relation rel = table_open(lfirst_oid(lc), AccessShareLock);
		BlockNumber nblocks = RelationGetNumberOfBlocks(rel);

		table_close(rel, NoLock);
		reading.source = upg_source_open(lfirst_oid(lc), true, NULL);
		if (!total->header.known)
		{
			UpgScanPlan *plan = upg_scan_plan(&job, reading.source->desc);

			total->header = upg_checksum_header(plan->canon, plan->row);
		}
		for (uint64 block = 0; block < nblocks; block += RANGE_BLOCKS)
			read_range(&reading, block, Min(block + RANGE_BLOCKS, nblocks));
	}

	values[0] = PointerGetDatum(total);
	values[1] = Int64GetDatum(reading.damaged);
	values[2] = DirectFunctionCall1(jsonb_in,
									CStringGetDatum(psprintf("[%s]", reading.list.data)));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
