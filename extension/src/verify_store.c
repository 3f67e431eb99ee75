/*-------------------------------------------------------------------------
 *
 * verify_store.c
 *		Results of verifications: as JSON, in the books, and back.
 *
 * Results travel as JSON, because those of a verification that failed are
 * written by another process: the transaction that failed cannot keep them.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/verify_store.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "audit.h"
#include "compat.h"
#include "errors.h"
#include "json.h"
#include "ledger.h"
#include "spi.h"
#include "verify.h"

static const char *const level_names[] = {"none", "touched", "all"};

/*
 * upg_json_quoted
 *		A text as a JSON string.
 */
char *
upg_json_quoted(const char *text)
{
	StringInfoData buf;

	initStringInfo(&buf);
	escape_json(&buf, text);
	return buf.data;
}

/* Order of C strings in a list, by their bytes. */
int
upg_text_cmp(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/*
 * upg_check_counts_against
 *		Whether the outcome of a check makes its verification fail.
 *
 * What the author of an invariant calls an error must have been seen to hold.
 * A constraint or checksum that cannot be looked at proves nothing either way.
 */
bool
upg_check_counts_against(const UpgCheck *check)
{
	if (check->warning)
		return false;
	return check->state == UPG_CHECK_FAILED ||
		   (check->state == UPG_CHECK_ERROR && check->owner != NULL);
}

/*
 * verdict_of
 *		passed, failed or incomplete.
 */
static const char *
verdict_of(const UpgVerification *v)
{
	bool incomplete = false;
	ListCell *lc;

	foreach (lc, v->checks)
	{
		UpgCheck *check = lfirst(lc);

		if (upg_check_counts_against(check))
			return "failed";
		incomplete |= check->state == UPG_CHECK_ERROR ||
					  check->state == UPG_CHECK_SKIPPED || check->coverage < 1;
	}
	return incomplete ? "incomplete" : "passed";
}

/*
 * coverage_of
 *		The part of what was to be read that was read, by bytes.
 */
static double
coverage_of(const UpgVerification *v)
{
	double all = 0;
	double seen = 0;
	ListCell *lc;

	foreach (lc, v->checks)
	{
		UpgCheck *check = lfirst(lc);
		double weight = Max(check->bytes, 8192);

		all += weight;
		seen += weight * check->coverage;
	}
	return all == 0 ? 1 : seen / all;
}

/*
 * upg_verification_json
 *		A verification and its checks.
 */
char *
upg_verification_json(const UpgVerification *v)
{
	StringInfoData json;
	ListCell *lc;
	int no = 0;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"level\":\"%s\",\"verdict\":\"%s\",\"coverage\":%.6g",
					 level_names[v->level], v->pending ? "pending" : verdict_of(v),
					 coverage_of(v));
	upg_json_member(&json, "migration", v->migration);
	upg_json_member(&json, "direction", v->direction);
	if (v->budget > 0)
		appendStringInfo(&json, ",\"budget\":\"%.0f seconds\"", v->budget);
	if (v->baseline != 0)
		appendStringInfo(&json, ",\"baseline\":" INT64_FORMAT, v->baseline);
	if (v->upgrade != 0)
		appendStringInfo(&json, ",\"upgrade_id\":" INT64_FORMAT, v->upgrade);
	upg_json_member(&json, "started_at", timestamptz_to_str(v->started));
	upg_json_member(&json, "finished_at", timestamptz_to_str(GetCurrentTimestamp()));
	upg_json_member(&json, "actor", upg_actor());
	upg_json_member(&json, "server", PG_VERSION);
	appendStringInfoString(&json, ",\"checks\":[");
	foreach (lc, v->checks)
	{
		UpgCheck *check = lfirst(lc);

		appendStringInfo(&json, "%s{\"check_no\":%d", no == 0 ? "" : ",", no + 1);
		no++;
		upg_json_member(&json, "phase", check->phase);
		upg_json_member(&json, "kind", check->kind);
		upg_json_member(&json, "name", check->name);
		upg_json_member(&json, "relation", check->relation);
		upg_json_member(&json, "severity", check->warning ? "warning" : "error");
		upg_json_member(&json, "state", upg_check_state_name(check->state));
		if (check->violations >= 0)
			appendStringInfo(&json, ",\"violations\":" INT64_FORMAT, check->violations);
		appendStringInfo(&json, ",\"coverage\":%.6g", check->coverage);
		upg_json_member(&json, "message", check->message);
		if (check->details != NULL)
			appendStringInfo(&json, ",\"details\":%s", check->details);
		upg_json_member(&json, "started_at", timestamptz_to_str(check->started));
		appendStringInfo(&json, ",\"duration\":\"%.6f seconds\"}", check->duration / 1e6);
	}
	appendStringInfoString(&json, "]}");
	return json.data;
}

/*
 * upg_verification_store
 *		Write a verification into the books; returns its number.
 *
 * "of" is the JSON of the try that failed, if this process only writes down what
 * another one found.
 */
int64
upg_verification_store(const char *json, const char *session, const char *role, int pid)
{
	static UpgQuery insert = {
		"INSERT INTO upg.verifications (migration, direction, level, verdict, budget,"
		" coverage, baseline, started_at, finished_at, actor, server, upgrade_id, digest)"
		" SELECT r.migration, r.direction, r.level, r.verdict, r.budget, r.coverage,"
		" r.baseline, r.started_at, r.finished_at, r.actor, r.server, r.upgrade_id, ''"
		" FROM pg_catalog.jsonb_to_record($1::pg_catalog.jsonb) AS r(migration text,"
		" direction text, level text, verdict text, budget interval,"
		" coverage double precision, baseline bigint, started_at timestamptz,"
		" finished_at timestamptz, actor text, server text, upgrade_id bigint)"
		" RETURNING verification_id, verdict, coalesce(migration, '')",
		SPI_OK_INSERT_RETURNING,
		1,
		{TEXTOID}};
	static UpgQuery results = {
		"INSERT INTO upg.check_results (verification_id, check_no, phase, kind, name,"
		" relation, severity, state, violations, coverage, message, details, started_at,"
		" duration) SELECT $2, r.check_no, r.phase, r.kind, r.name, r.relation,"
		" r.severity, r.state, r.violations, r.coverage, r.message, r.details,"
		" r.started_at, r.duration FROM pg_catalog.jsonb_to_recordset("
		"($1::pg_catalog.jsonb)->'checks') AS r(check_no integer, phase text, kind text,"
		" name text, relation text, severity text, state text, violations bigint,"
		" coverage double precision, message text, details jsonb,"
		" started_at timestamptz, duration interval)",
		SPI_OK_INSERT,
		2,
		{TEXTOID, INT8OID}};
	static UpgQuery seal = {
		"UPDATE upg.verifications SET digest = upg.verification_digest(verification_id)"
		" WHERE verification_id = $1 RETURNING pg_catalog.encode(digest, 'hex')",
		SPI_OK_UPDATE_RETURNING,
		1,
		{INT8OID}};
	MemoryContext caller = CurrentMemoryContext;
	Datum values[2];
	UpgBooks books;
	bool isnull;
	int64 id;
	char *verdict;
	char *migration;
	char *after;

	values[0] = CStringGetTextDatum(json);
	upg_books_open(&books);
	upg_query(&insert, values, NULL);
	id = DatumGetInt64(upg_result_datum(0, 1, &isnull));
	verdict = MemoryContextStrdup(caller, upg_result_text(0, 2));
	migration = MemoryContextStrdup(caller, upg_result_text(0, 3));
	values[1] = Int64GetDatum(id);
	upg_query(&results, values, NULL);
	upg_query(&seal, &values[1], NULL);
	after = MemoryContextStrdup(caller, psprintf("{\"verification\":" INT64_FORMAT
												 ",\"sha256\":\"%s\"}",
												 id, upg_result_text(0, 1)));
	upg_books_close(&books);

	if (session != NULL && role != NULL)
		upg_audit_add_for(session, role, pid, psprintf("verification.%s", verdict),
						  migration[0] ? migration : "database", NULL, after);
	else
		upg_audit_add(psprintf("verification.%s", verdict),
					  migration[0] ? migration : "database", NULL, after);
	return id;
}

/*
 * upg_verification_latest
 *		The latest verification of a migration in a direction that ended well, or
 *		0; with "pending", one that waits for its second half.
 */
int64
upg_verification_latest(const char *migration, const char *direction, bool pending)
{
	static UpgQuery query = {
		"SELECT coalesce(pg_catalog.max(verification_id), 0) FROM upg.verifications"
		" WHERE migration = $1 AND direction = $2"
		" AND CASE WHEN $3 THEN verdict = 'pending'"
		" ELSE verdict IN ('passed', 'incomplete') END",
		SPI_OK_SELECT,
		3,
		{TEXTOID, TEXTOID, BOOLOID}};
	Datum values[3];
	UpgBooks books;
	bool isnull;
	int64 id;

	values[0] = CStringGetTextDatum(migration);
	values[1] = CStringGetTextDatum(direction);
	values[2] = BoolGetDatum(pending);
	upg_books_open(&books);
	upg_query(&query, values, NULL);
	id = DatumGetInt64(upg_result_datum(0, 1, &isnull));
	upg_books_close(&books);
	return id;
}

/*
 * upg_verification_checks
 *		The checks of a verification that can be compared with, as they were kept.
 */
List *
upg_verification_checks(int64 id)
{
	static UpgQuery query = {
		"SELECT phase, kind, name, relation, coverage, details->>'checksum',"
		" details->>'filter', details->>'digest', details->'result',"
		" details->>'after', severity, state, details, message, violations,"
		" started_at, (extract(epoch FROM duration) * 1000000)::pg_catalog.int8"
		" FROM upg.check_results WHERE verification_id = $1 ORDER BY check_no",
		SPI_OK_SELECT,
		1,
		{INT8OID}};
	MemoryContext caller = CurrentMemoryContext;
	Datum value = Int64GetDatum(id);
	List *checks = NIL;
	UpgBooks books;

	upg_books_open(&books);
	upg_query(&query, &value, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);
		UpgCheck *check = palloc0(sizeof(UpgCheck));
		char *coverage = upg_result_text(i, 5);
		bool isnull;
		Datum result;

		check->phase = upg_result_text(i, 1);
		check->kind = upg_result_text(i, 2);
		check->name = upg_result_text(i, 3);
		check->relation = upg_result_text(i, 4);
		check->coverage = coverage ? strtod(coverage, NULL) : 1;
		check->checksum = upg_result_text(i, 6);
		check->filter = upg_result_text(i, 7);
		if (check->checksum == NULL)
			check->checksum = upg_result_text(i, 8);
		if (check->checksum == NULL)
			check->checksum = upg_result_text(i, 10);
		check->warning = strcmp(upg_result_text(i, 11), "warning") == 0;
		check->state = upg_check_state_parse(upg_result_text(i, 12));
		check->details = upg_result_text(i, 13);
		check->message = upg_result_text(i, 14);
		result = upg_result_datum(i, 15, &isnull);
		check->violations = isnull ? -1 : DatumGetInt64(result);
		check->started = DatumGetTimestampTz(upg_result_datum(i, 16, &isnull));
		check->duration = DatumGetInt64(upg_result_datum(i, 17, &isnull));
		result = upg_result_datum(i, 9, &isnull);
		if (!isnull)
		{
			Jsonb *rows = DatumGetJsonbPCopy(result);
			JsonbIterator *it = JsonbIteratorInit(&rows->root);
			JsonbValue element;
			JsonbIteratorToken token;

			check->kept_rows = true;
			(void) JsonbIteratorNext(&it, &element, true); /* WJB_BEGIN_ARRAY */
			while ((token = JsonbIteratorNext(&it, &element, true)) == WJB_ELEM)
			{
				Jsonb *row = JsonbValueToJsonb(&element);

				check->rows =
					lappend(check->rows, JsonbToCString(NULL, &row->root, VARSIZE(row)));
			}
		}
		checks = lappend(checks, check);
		MemoryContextSwitchTo(old);
	}
	upg_books_close(&books);
	return checks;
}

/*
 * upg_verification_level
 *		The level that a verification was made with.
 */
UpgVerifyLevel
upg_verification_level(int64 id)
{
	static UpgQuery query = {"SELECT level FROM upg.verifications"
							 " WHERE verification_id = $1",
							 SPI_OK_SELECT,
							 1,
							 {INT8OID}};
	Datum value = Int64GetDatum(id);
	UpgVerifyLevel level = UPG_VERIFY_NONE;
	UpgBooks books;

	upg_books_open(&books);
	upg_query(&query, &value, NULL);
	if (SPI_processed > 0)
		level = upg_verify_level(upg_result_text(0, 1));
	upg_books_close(&books);
	return level;
}

/*
 * upg_verification_forget_pending
 *		Remove the first halves that wait for a migration's second one.
 */
void
upg_verification_forget_pending(const char *migration)
{
	static UpgQuery results = {
		"DELETE FROM upg.check_results WHERE verification_id IN (SELECT verification_id"
		" FROM upg.verifications WHERE migration = $1 AND verdict = 'pending')",
		SPI_OK_DELETE,
		1,
		{TEXTOID}};
	static UpgQuery heads = {
		"DELETE FROM upg.verifications WHERE migration = $1 AND verdict = 'pending'",
		SPI_OK_DELETE,
		1,
		{TEXTOID}};
	Datum value = CStringGetTextDatum(migration);
	UpgBooks books;

	upg_books_open(&books);
	upg_query(&results, &value, NULL);
	upg_query(&heads, &value, NULL);
	upg_books_close(&books);
}
