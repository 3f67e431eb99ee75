/*-------------------------------------------------------------------------
 *
 * progress.c
 *		How far a scan has come, for other sessions to see.
 *
 * The server has a place for such numbers in each backend's entry of its
 * shared status array, but the list of commands that it shows is closed.  So
 * the numbers are written there while no command claims the place, marked with
 * a word of our own, and read back by our own function.  That needs neither
 * shared memory of ours nor preloading, and ends with the backend.
 *
 * After an error the numbers stay where they are.  They are not shown then,
 * because they are older than the statement that the backend runs next.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/progress.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "progress.h"

PG_FUNCTION_INFO_V1(upg_scan_progress);

#define PROGRESS_MARK INT64CONST(0x757067000000701)

/* Numbers of one backend. */
typedef enum ProgressParam
{
	PARAM_MARK,
	PARAM_TASK,
	PARAM_STEP,
	PARAM_STEPS,
	PARAM_DONE,
	PARAM_TOTAL,
	PARAM_STARTED, /* of the task's first step */
	PARAM_COUNT
} ProgressParam;

#define RESULT_COLUMNS 10

static const char *const task_names[] = {"checksum", "sketch", "compare", "verify"};

/* What the next scan is for. */
static UpgTask current_task = UPG_TASK_CHECKSUM;
static int current_step = 1;
static int current_steps = 1;
static TimestampTz task_started = 0;
static bool reporting = false;

/*
 * upg_progress_task
 *		Say what the scans that follow are for; the first step begins the task.
 */
void
upg_progress_task(UpgTask task, int step, int steps)
{
	current_task = task;
	current_step = step;
	current_steps = Max(steps, step);
	if (step == 1 || task_started == 0)
		task_started = GetCurrentTimestamp();
}

/*
 * upg_progress_start
 *		A scan of "total" blocks or rows begins; false if nobody can be told,
 *		because the backend runs a command that reports progress itself.
 */
bool
upg_progress_start(Oid relid, uint64 total)
{
	const int index[] = {PARAM_TASK,  PARAM_STEP,    PARAM_STEPS, PARAM_DONE,
						 PARAM_TOTAL, PARAM_STARTED, PARAM_MARK};
	int64 values[lengthof(index)];

	reporting = MyBEEntry != NULL && pgstat_track_activities && !IsParallelWorker() &&
				MyBEEntry->st_progress_command == PROGRESS_COMMAND_INVALID;
	if (!reporting)
		return false;
	if (current_task == UPG_TASK_CHECKSUM || current_task == UPG_TASK_SKETCH ||
		task_started < GetCurrentStatementStartTimestamp())
		task_started = GetCurrentTimestamp();
	values[0] = current_task;
	values[1] = current_step;
	values[2] = current_steps;
	values[3] = 0;
	values[4] = (int64) total;
	values[5] = task_started;
	values[6] = PROGRESS_MARK;
	pgstat_progress_start_command(PROGRESS_COMMAND_INVALID, relid);
	pgstat_progress_update_multi_param(lengthof(index), index, values);
	return true;
}

/* So much of it is done. */
void
upg_progress_update(uint64 done)
{
	if (reporting)
		pgstat_progress_update_param(PARAM_DONE, (int64) done);
}

/* The scan is over. */
void
upg_progress_end(void)
{
	if (reporting)
		pgstat_progress_update_param(PARAM_MARK, 0);
	reporting = false;
}

/* An interval of so many microseconds. */
static Datum
interval_of(double microseconds)
{
	Interval *interval = palloc0(sizeof(Interval));

	interval->time = (TimeOffset) Max(microseconds, 0);
	return IntervalPGetDatum(interval);
}

/*
 * upg_scan_progress
 *		One row for each backend of this database that reads for us.
 */
Datum
upg_scan_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int n;

	InitMaterializedSRF(fcinfo, 0);
	pgstat_clear_snapshot();
	n = pgstat_fetch_stat_numbackends();
	for (int i = 1; i <= n; i++)
	{
		PgBackendStatus *entry = upg_backend_status(i);
		const int64 *param;
		Datum values[RESULT_COLUMNS];
		bool nulls[RESULT_COLUMNS] = {false};
		double part, elapsed;

		if (entry == NULL || entry->st_databaseid != MyDatabaseId)
			continue;
		param = entry->st_progress_param;
		if (entry->st_progress_command != PROGRESS_COMMAND_INVALID ||
			param[PARAM_MARK] != PROGRESS_MARK || entry->st_state != STATE_RUNNING ||
			param[PARAM_STARTED] < entry->st_activity_start_timestamp ||
			param[PARAM_TASK] < 0 || param[PARAM_TASK] >= lengthof(task_names))
			continue;

		part = param[PARAM_TOTAL] > 0
				   ? Min((double) param[PARAM_DONE] / param[PARAM_TOTAL], 1)
				   : 0;
		part = (param[PARAM_STEP] - 1 + part) / Max(param[PARAM_STEPS], 1);
		elapsed = (double) (GetCurrentTimestamp() - param[PARAM_STARTED]);
		values[0] = Int32GetDatum(entry->st_procpid);
		values[1] = CStringGetTextDatum(task_names[param[PARAM_TASK]]);
		values[2] = ObjectIdGetDatum(entry->st_progress_command_target);
		values[3] = Int32GetDatum((int32) param[PARAM_STEP]);
		values[4] = Int32GetDatum((int32) param[PARAM_STEPS]);
		values[5] = Int64GetDatum(Min(param[PARAM_DONE], param[PARAM_TOTAL]));
		values[6] = Int64GetDatum(param[PARAM_TOTAL]);
		values[7] = Float8GetDatum(part * 100);
		values[8] = interval_of(elapsed);
		nulls[9] = part <= 0;
		if (part > 0)
			values[9] = interval_of(elapsed * (1 - part) / part);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
