/*-------------------------------------------------------------------------
 *
 * capture_sql.c
 *		SQL functions that drive the undo engine without any books.
 *
 * Tests and the round-trip harness use them: a script runs as one captured
 * step in a subtransaction, statement by statement, as a migration does.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/capture_sql.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "capture.h"
#include "errors.h"
#include "options.h"
#include "spi.h"
#include "subxact.h"

PG_FUNCTION_INFO_V1(upg_capture_run);
PG_FUNCTION_INFO_V1(upg_capture_undo);
PG_FUNCTION_INFO_V1(upg_capture_merge);
PG_FUNCTION_INFO_V1(upg_capture_finalize);

/* A migration's number, made of its name. */
static int64
number_of(text *name)
{
	return (int64) (hash_bytes_extended((unsigned char *) VARDATA_ANY(name),
										VARSIZE_ANY_EXHDR(name), 0) >>
					1);
}

/* Run one parsed statement to its end. */
static void
run_statement(RawStmt *raw, const char *source)
{
	List *queries;
	List *plans;
	Portal portal;
	QueryCompletion qc;
	CommandTag tag = CreateCommandTag(raw->stmt);
	bool snapshot = false;
	DestReceiver *dest = CreateDestReceiver(DestNone);

	if (IsA(raw->stmt, TransactionStmt))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("transaction control is not possible here")));
	if (analyze_requires_snapshot(raw))
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		snapshot = true;
	}
	queries = pg_analyze_and_rewrite_fixedparams(raw, source, NULL, 0, NULL);
	plans = pg_plan_queries(queries, source, CURSOR_OPT_PARALLEL_OK, NULL);
	if (snapshot)
		PopActiveSnapshot();

	portal = CreateNewPortal();
	portal->visible = false;
	PortalDefineQuery(portal, NULL, source, tag, plans, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	(void) upg_portal_run(portal, FETCH_ALL, false, dest, dest, &qc);
	PortalDrop(portal, false);
	CommandCounterIncrement();
}

/* The statements of a step, between begin and finish of its capture. */
static void
run_step(int64 migration, const char *script, UpgUndoMode mode, UpgCaptureResult *result)
{
	MemoryContext cxt = CurrentMemoryContext;
	UpgCapture *capture = upg_capture_begin(mode);
	ConstraintsSetStmt *set = makeNode(ConstraintsSetStmt);
	ListCell *lc;

	foreach (lc, pg_parse_query(script))
	{
		RawStmt *raw = lfirst_node(RawStmt, lc);

		run_statement(raw, script);
		MemoryContextSwitchTo(cxt);
	}
	PushActiveSnapshot(GetTransactionSnapshot());
	AfterTriggerSetState(set);
	PopActiveSnapshot();
	PushActiveSnapshot(GetTransactionSnapshot());
	upg_capture_finish(capture, migration, 1, result);
	PopActiveSnapshot();
	MemoryContextSwitchTo(cxt);
}

/*
 * upg_capture_run
 *		Run a script as one captured step.
 */
Datum
upg_capture_run(PG_FUNCTION_ARGS)
{
	text *name = PG_GETARG_TEXT_PP(0);
	char *script = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char *modename = text_to_cstring(PG_GETARG_TEXT_PP(2));
	UpgUndoMode mode;
	UpgSubxact sub;
	UpgCaptureResult result;
	TupleDesc desc;
	Datum values[8];
	bool nulls[8] = {0};
	int nestlevel;

	if (strcmp(modename, "required") == 0)
		mode = UPG_UNDO_REQUIRED;
	else if (strcmp(modename, "best_effort") == 0)
		mode = UPG_UNDO_BEST_EFFORT;
	else if (strcmp(modename, "none") == 0)
		mode = UPG_UNDO_NONE;
	else
		ereport(ERROR, (errcode(ERRCODE_UPG_INVALID_OPTION),
						errmsg("unrecognized mode \"%s\"", modename)));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	nestlevel = NewGUCNestLevel();
	upg_subxact_begin(&sub, "upg_step");
	PG_TRY();
	{
		run_step(number_of(name), script, mode, &result);
		upg_subxact_release(&sub);
	}
	PG_CATCH();
	{
		ReThrowError(upg_subxact_catch(&sub));
	}
	PG_END_TRY();
	AtEOXact_GUC(false, nestlevel);

	values[0] = Int64GetDatum(result.log);
	values[1] = CStringGetTextDatum(result.verdict);
	values[2] = upg_text_array(result.differences);
	values[3] = CStringGetTextDatum(result.coverage ? result.coverage : "");
	values[4] = Int64GetDatum(result.catalog_rows);
	values[5] = Int64GetDatum(result.data_rows);
	values[6] = Float8GetDatum(result.capture_ms);
	values[7] = Float8GetDatum(result.proof_ms);
	PG_RETURN_DATUM(
		HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * upg_capture_undo
 *		Take back what upg_capture_run() did.
 */
Datum
upg_capture_undo(PG_FUNCTION_ARGS)
{
	UpgUndoOptions options = {0};
	UpgUndoResult result;
	TupleDesc desc;
	Datum values[5];
	bool nulls[5] = {0};

	options.dry_run = PG_GETARG_BOOL(1);
	options.on_conflict =
		PG_GETARG_BOOL(2) ? UPG_ON_CONFLICT_DISCARD : UPG_ON_CONFLICT_STRICT;
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	upg_undo_rollback(number_of(PG_GETARG_TEXT_PP(0)), &options, &result);
	values[0] = upg_text_array(result.actions);
	values[1] = upg_text_array(result.notes);
	values[2] = Int64GetDatum(result.catalog_rows);
	values[3] = Int64GetDatum(result.data_rows);
	values[4] = Int64GetDatum(result.indexes_rebuilt);
	PG_RETURN_DATUM(
		HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * upg_capture_merge
 *		Take back what upg_capture_run() did, with the options of a rollback;
 *		returns the account.
 */
Datum
upg_capture_merge(PG_FUNCTION_ARGS)
{
	UpgOptions *given = upg_options_parse(PG_GETARG_JSONB_P(1), UPG_OPTION_ROLLBACK);
	UpgUndoOptions options = {0};
	UpgUndoResult result;

	upg_options_of_undo(given, &options);
	upg_undo_rollback(number_of(PG_GETARG_TEXT_PP(0)), &options, &result);
	PG_RETURN_DATUM(
		DirectFunctionCall1(jsonb_in, CStringGetDatum(upg_report_json(&result))));
}

/*
 * upg_capture_finalize
 *		Give up the undo of what upg_capture_run() did.
 */
Datum
upg_capture_finalize(PG_FUNCTION_ARGS)
{
	upg_undo_finalize(number_of(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_VOID();
}
