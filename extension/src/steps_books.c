/*-------------------------------------------------------------------------
 *
 * steps_books.c
 *		The rows of upg.steps: what is done of a migration, and what is not.
 *
 * A step that is done, or whose outcome is open, keeps its text: only what
 * comes after it may be corrected.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/steps_books.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "errors.h"
#include "footprint.h"
#include "probe.h"
#include "steps.h"
#include "steps_internal.h"

/*
 * upg_steps_write
 *		Write the steps of a script into the books, keeping those that are done.
 *
 * Steps that are done, or whose outcome is open, must still be there with the
 * same text; a correction of the script may change what comes after them only.
 */
void
upg_steps_write(int64 migration_id, const char *direction, const UpgScript *script)
{
	static UpgQuery kept = {"SELECT step, state, sha256 FROM upg.steps WHERE "
							"migration_id = $1 AND direction = $2"
							" AND state IN ('done', 'running', 'unknown') ORDER BY step",
							SPI_OK_SELECT,
							2,
							{INT8OID, TEXTOID}};
	static UpgQuery clear = {
		"DELETE FROM upg.steps WHERE migration_id = $1 AND direction = $2"
		" AND state NOT IN ('done', 'running', 'unknown')",
		SPI_OK_DELETE,
		2,
		{INT8OID, TEXTOID}};
	static UpgQuery insert = {
		"INSERT INTO upg.steps (migration_id, direction, step, kind, first_statement,"
		" last_statement, sha256, state) VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending')"
		" ON CONFLICT (migration_id, direction, step) DO UPDATE"
		" SET first_statement = excluded.first_statement,"
		" last_statement = excluded.last_statement",
		SPI_OK_INSERT,
		7,
		{INT8OID, TEXTOID, INT4OID, TEXTOID, INT4OID, INT4OID, BYTEAOID}};
	Datum values[7] = {Int64GetDatum(migration_id), CStringGetTextDatum(direction)};
	uint8(*sums)[UPG_SHA256_LENGTH] = palloc(UPG_SHA256_LENGTH * Max(script->nsteps, 1));
	UpgBooks books;

	for (int i = 0; i < script->nsteps; i++)
	{
		char *text = upg_script_step_text(script, &script->steps[i]);

		upg_script_sha256(text, strlen(text), sums[i]);
		pfree(text);
	}

	upg_books_open(&books);
	upg_query_latest(&kept, values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool isnull;
		int step = DatumGetInt32(upg_result_datum(row, 1, &isnull));
		char *state = upg_result_text(row, 2);
		bytea *sha256 = DatumGetByteaPP(upg_result_datum(row, 3, &isnull));

		if (step > script->nsteps || VARSIZE_ANY_EXHDR(sha256) != UPG_SHA256_LENGTH ||
			memcmp(VARDATA_ANY(sha256), sums[step - 1], UPG_SHA256_LENGTH) != 0)
			ereport(
				ERROR,
				(errcode(ERRCODE_UPG_CHECKSUM_MISMATCH),
				 errmsg("step %d of the migration was changed after it had run", step),
				 errdetail("The step's state is \"%s\".", state),
				 errhint(
					 "Leave the statements that have run as they were, and change only "
					 "those that come after them.")));
	}
	upg_query(&clear, values, NULL);
	for (int i = 0; i < script->nsteps; i++)
	{
		const UpgStep *step = &script->steps[i];

		values[2] = Int32GetDatum(step->no);
		values[3] = CStringGetTextDatum(
			step->kind == UPG_STEP_AUTOCOMMIT ? "autocommit" : "transaction");
		values[4] = Int32GetDatum(step->first);
		values[5] = Int32GetDatum(step->last);
		values[6] = upg_bytea(sums[i], UPG_SHA256_LENGTH);
		upg_query(&insert, values, NULL);
	}
	upg_books_close(&books);
	pfree(sums);
}

/*
 * upg_steps_forget
 *		Remove the steps of an earlier application or rollback.
 */
void
upg_steps_forget(int64 migration_id, const char *direction)
{
	static UpgQuery query = {
		"DELETE FROM upg.steps WHERE migration_id = $1 AND direction = $2",
		SPI_OK_DELETE,
		2,
		{INT8OID, TEXTOID}};
	Datum values[2] = {Int64GetDatum(migration_id), CStringGetTextDatum(direction)};
	UpgBooks books;

	upg_books_open(&books);
	upg_query(&query, values, NULL);
	upg_books_close(&books);
}

/*
 * upg_steps_done
 *		How many steps of a direction are done, or may be; -1 if there are none.
 */
int
upg_steps_done(int64 migration_id, const char *direction)
{
	static UpgQuery query = {
		"SELECT CASE WHEN pg_catalog.count(*) = 0 THEN -1 ELSE pg_catalog.count(*)"
		" FILTER (WHERE state IN ('done', 'running', 'unknown')) END::pg_catalog.int4"
		" FROM upg.steps WHERE migration_id = $1 AND direction = $2",
		SPI_OK_SELECT,
		2,
		{INT8OID, TEXTOID}};
	Datum values[2] = {Int64GetDatum(migration_id), CStringGetTextDatum(direction)};
	UpgBooks books;
	bool isnull;
	int done;

	upg_books_open(&books);
	upg_query_latest(&query, values, NULL);
	done = DatumGetInt32(upg_result_datum(0, 1, &isnull));
	upg_books_close(&books);

	return done;
}

/*
 * upg_job_read_steps
 *		What the books say of the steps.
 */
void
upg_job_read_steps(UpgJob *job)
{
	static UpgQuery query = {"SELECT step, state, intent::pg_catalog.text FROM upg.steps "
							 "WHERE migration_id = $1"
							 " AND direction = $2 ORDER BY step",
							 SPI_OK_SELECT,
							 2,
							 {INT8OID, TEXTOID}};
	Datum values[2] = {Int64GetDatum(job->migration->id),
					   CStringGetTextDatum(job->down ? "down" : "up")};
	UpgBooks books;

	job->states =
		MemoryContextAllocZero(job->context, sizeof(char *) * (job->script->nsteps + 1));
	job->intents =
		MemoryContextAllocZero(job->context, sizeof(char *) * (job->script->nsteps + 1));
	upg_books_open(&books);
	upg_query(&query, values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(job->context);
		bool isnull;
		int step = DatumGetInt32(upg_result_datum(row, 1, &isnull));

		if (step >= 1 && step <= job->script->nsteps)
		{
			job->states[step - 1] = upg_result_text(row, 2);
			job->intents[step - 1] = upg_result_text(row, 3);
		}
		MemoryContextSwitchTo(old);
	}
	upg_books_close(&books);
}

/*
 * upg_job_mark_step
 *		Write the state of a step; an intent is kept until it is overwritten.
 */
void
upg_job_mark_step(UpgJob *job, UpgStep *step, const char *state, const char *intent)
{
	static UpgQuery query = {
		"UPDATE upg.steps SET state = $4, intent = coalesce($5::pg_catalog.jsonb, "
		"intent),"
		" backend_pid = $6,"
		" started_at = CASE WHEN $4 = 'running' THEN $7 ELSE coalesce(started_at, $7) "
		"END,"
		" finished_at = CASE WHEN $4 IN ('done', 'failed') THEN $7 END"
		" WHERE migration_id = $1 AND direction = $2 AND step = $3",
		SPI_OK_UPDATE,
		7,
		{INT8OID, TEXTOID, INT4OID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID}};
	Datum values[7] = {Int64GetDatum(job->migration->id),
					   CStringGetTextDatum(job->down ? "down" : "up"),
					   Int32GetDatum(step->no),
					   CStringGetTextDatum(state),
					   0,
					   Int32GetDatum(MyProcPid),
					   TimestampTzGetDatum(GetCurrentTimestamp())};
	char nulls[7] = {' ', ' ', ' ', ' ', intent != NULL ? ' ' : 'n', ' ', ' '};
	UpgBooks books;

	if (intent != NULL)
		values[4] = CStringGetTextDatum(intent);
	upg_books_open(&books);
	upg_query(&query, values, nulls);
	if (SPI_processed != 1)
		ereport(ERROR, (errcode(ERRCODE_UPG_LEDGER_DAMAGED),
						errmsg("step %d of migration \"%s\" is not in the ledger",
							   step->no, job->migration->name),
						errhint("Was upg.steps changed by hand?  Apply the migration "
								"again; it goes on where it stopped.")));
	upg_books_close(&books);
	job->states[step->no - 1] = MemoryContextStrdup(job->context, state);
}

void
upg_job_note_attempt(UpgJob *job, UpgStep *step, const char *state, const char *message,
					 const char *detail)
{
	UpgAttempt attempt = {0};
	UpgStatement *stmt = job->run->current;

	attempt.migration = job->migration->name;
	attempt.direction = job->down ? "down" : "up";
	attempt.state = state;
	attempt.step = step->no;
	if (stmt != NULL)
	{
		attempt.statement_no = stmt->no;
		attempt.line = stmt->line;
		attempt.column = stmt->column;
		attempt.statement = upg_script_excerpt(job->script, stmt);
	}
	attempt.message = message;
	attempt.detail = detail;
	attempt.started = job->started;
	attempt.upgrade = job->upgrade;
	upg_ledger_attempt(&attempt);
}

int
upg_job_count_done(UpgJob *job)
{
	int done = 0;

	for (int i = 0; i < job->script->nsteps; i++)
	{
		if (job->states[i] != NULL && strcmp(job->states[i], "done") == 0)
			done++;
	}
	return done;
}
