/*-------------------------------------------------------------------------
 *
 * checksum_table.c
 *		upg_table_checksum(): the checksum of a whole relation.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/checksum_table.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "checksum.h"
#include "compat.h"
#include "errors.h"
#include "progress.h"
#include "source.h"

PG_FUNCTION_INFO_V1(upg_table_checksum);

/* Columns that an aggregate can take: a function has at most 100 arguments. */
#define MAX_AGGREGATE_COLUMNS 90

/*
 * checksum_by_aggregate
 *		Let the executor compute the checksum, wherever it finds that best.
 *
 * The aggregate over columns can be pushed down to foreign servers and
 * computed in parts by parallel workers.
 */
static void
checksum_by_aggregate(UpgSource *source, const UpgScanJob *job, Oid function,
					  UpgChecksum *total)
{
	MemoryContext caller = CurrentMemoryContext;
	StringInfoData sql;
	bool isnull;
	Datum value;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s.upg_checksum_agg",
					 quote_identifier(get_namespace_name(get_func_namespace(function))));
	if (job->mode == UPG_MODE_STRICT && job->seed == 0)
		appendStringInfoChar(&sql, '(');
	else
		appendStringInfo(&sql, "_as('%s', '%lld', ", upg_canonical_mode_name(job->mode),
						 (long long) job->seed);
	appendStringInfoString(&sql, "ARRAY[");
	for (int i = 0; i < job->ncolumns; i++)
		appendStringInfo(&sql, "%s%s", i > 0 ? ", " : "",
						 quote_literal_cstr(job->columns[i].name));
	appendStringInfoString(&sql, "]::pg_catalog.text[]");
	for (int i = 0; i < job->ncolumns; i++)
		appendStringInfo(&sql, ", %s", upg_source_column_sql(&job->columns[i]));
	appendStringInfo(&sql, ") FROM %s", upg_source_from(source));
	if (source->filter)
		appendStringInfo(&sql, " WHERE (%s\n)", source->filter);

	SPI_connect();
	if (SPI_execute(sql.data, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "unexpected result of a checksum query");
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (isnull)
		elog(ERROR, "unexpected null result of a checksum query");
	*total = *DatumGetUpgChecksum(value);
	SPI_finish();
	MemoryContextSwitchTo(caller);
	pfree(sql.data);
}

/*
 * upg_table_checksum
 *		The checksum of the rows that the active snapshot sees.
 *
 * Arguments: relation, columns, filter, except_columns, mode, seed, workers,
 * only_this.
 */
Datum
upg_table_checksum(PG_FUNCTION_ARGS)
{
	UpgChecksum *total = palloc0(sizeof(UpgChecksum));
	UpgScanJob job;
	UpgSource *source;
	List *columns = NIL;
	List *except;
	ListCell *lc;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(4) || PG_ARGISNULL(5) || PG_ARGISNULL(7))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("mode, seed and only_this must not be null")));
	if (!PG_ARGISNULL(6) && PG_GETARG_INT32(6) < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("number of workers must not be negative")));

	memset(&job, 0, sizeof(job));
	job.mode = upg_canonical_mode(text_to_cstring(PG_GETARG_TEXT_PP(4)));
	job.seed = (uint64) PG_GETARG_INT64(5);
	source =
		upg_source_open(PG_GETARG_OID(0), PG_GETARG_BOOL(7),
						PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)));
	except = upg_names_argument(fcinfo, 3, "except_columns");
	foreach (lc, except)
		(void) upg_source_attribute(source, lfirst(lc));
	if (!PG_ARGISNULL(1))
	{
		columns = upg_names_argument(fcinfo, 1, "columns");
		if (columns == NIL)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("columns must not be an empty array")));
	}
	upg_job_columns(&job, source, upg_job_names(source, columns, except, NULL), NULL);

	upg_progress_task(UPG_TASK_CHECKSUM, 1, 1);
	total->header.version = UPG_CANONICAL_VERSION;
	if (!upg_source_is_direct(source, &job) && job.ncolumns > 0 &&
		job.ncolumns <= MAX_AGGREGATE_COLUMNS)
		checksum_by_aggregate(source, &job, fcinfo->flinfo->fn_oid, total);
	else
		upg_source_scan(source, &job, PG_ARGISNULL(6) ? -1 : PG_GETARG_INT32(6), total,
						NULL, NULL, NULL);

	/* an aggregate that saw no row knows no columns, but here they are known */
	if (!total->header.known)
	{
		UpgScanPlan *plan = upg_scan_plan(&job, source->desc);

		total->header = upg_checksum_header(plan->canon, plan->row);
	}
	PG_RETURN_POINTER(total);
}
