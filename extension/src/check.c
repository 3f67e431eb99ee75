/*-------------------------------------------------------------------------
 *
 * check.c
 *		Runs one check of a verification and judges its result.
 *
 * A check runs in a subtransaction that is read-only and always rolled back,
 * with the snapshot of the verification, under the role it belongs to, with
 * pg_catalog alone in search_path and settings that do not depend on the
 * session.  So it changes nothing, an error of one does not end the others, and
 * a value that is kept means the same when it is compared with in another
 * session.
 *
 * A check that would exceed the budget reads a part of the pages (or of the
 * key), and says which part; one for which there is no such form is skipped and
 * says so.  What takes longer than was thought is stopped by a timer.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/check.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "errors.h"
#include "source.h"
#include "subxact.h"
#include "verify.h"

/* Rows that an invariant of kind "equal" may return. */
#define MOST_ROWS 10000

/* Ranges of the key that a sampled checksum reads. */
#define SAMPLE_RANGES 20

/* A sample smaller than this says too little to be worth its time. */
#define LEAST_SHARE 0.001

static const char *const state_names[] = {"planned", "passed", "recorded",
										  "skipped", "error",  "failed"};

extern Datum upg_checksum_value_out(PG_FUNCTION_ARGS);

static bool budget_over = false; /* set by the timer */

static void budget_timer(void);
static void evaluate(UpgVerification *v, UpgCheck *check, const UpgCheck *before,
					 Snapshot snapshot, double share);
static void become_owner(const char *owner);
static void own_settings(const UpgCheck *check);
static void judge_true(UpgVerification *v, UpgCheck *check);
static void judge_empty(UpgVerification *v, UpgCheck *check, double share);
static void judge_equal(UpgVerification *v, UpgCheck *check, const UpgCheck *before);
static void judge_checksum(UpgVerification *v, UpgCheck *check, const UpgCheck *before,
						   double share);
static char *sample_filter(UpgVerification *v, const UpgCheck *check, double share);
static double share_of(const UpgVerification *v, const UpgCheck *check);

/*
 * upg_check_state_name
 *		A state as it stands in upg.check_results.
 */
const char *
upg_check_state_name(UpgCheckState state)
{
	return state_names[state];
}

/* The opposite; what nobody knows is an error. */
UpgCheckState
upg_check_state_parse(const char *name)
{
	for (int i = 0; i < lengthof(state_names); i++)
		if (strcmp(state_names[i], name) == 0)
			return (UpgCheckState) i;
	return UPG_CHECK_ERROR;
}

static void
budget_timer(void)
{
	budget_over = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

/*
 * upg_check_run
 *		Run a check with a snapshot; its result is in it afterwards.
 *
 * "before" holds the values to compare with, or is NULL.  Raises no error but
 * those that must end everything: a cancel request, a lost connection.
 */
void
upg_check_run(UpgVerification *v, UpgCheck *check, const UpgCheck *before,
			  Snapshot snapshot)
{
	static TimeoutId timeout = MAX_TIMEOUTS;
	MemoryContext caller;
	UpgSubxact sub;
	ErrorData *volatile edata = NULL;
	volatile double share;
	TimestampTz now = GetCurrentTimestamp();

	check->started = now;
	check->violations = -1;
	check->coverage = 1;
	if (check->skip != NULL)
	{
		check->state = UPG_CHECK_SKIPPED;
		check->coverage = 0;
		check->message = check->skip;
		return;
	}
	/* what was restricted before is restricted in the same way after */
	share = before != NULL && before->filter != NULL ? before->coverage
			: check->filter != NULL                  ? check->share
													 : share_of(v, check);
	if (share <= 0)
	{
		check->state = UPG_CHECK_SKIPPED;
		check->coverage = 0;
		check->message = "it does not fit the budget";
		return;
	}

	if (timeout == MAX_TIMEOUTS)
		timeout = RegisterTimeout(USER_TIMEOUT, budget_timer);
	budget_over = false;
	if (v->deadline != 0)
		enable_timeout_at(timeout, v->deadline);

	caller = MemoryContextSwitchTo(v->context);
	upg_subxact_begin(&sub, NULL);
	PG_TRY();
	{
		evaluate(v, check, before, snapshot, share);
		upg_subxact_abandon(&sub);
	}
	PG_CATCH();
	{
		edata = upg_subxact_catch(&sub);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	if (v->deadline != 0)
	{
		disable_timeout(timeout, false);
		/* a timer that ran out behind the check must not cancel what comes next */
		if (budget_over)
			QueryCancelPending = false;
	}
	check->duration = GetCurrentTimestamp() - now;

	if (edata == NULL)
	{
		double seconds = check->duration / 1e6;

		/* what this machine reads in a second, for the estimates that follow */
		if (check->bytes > 8 * 1024 * 1024 && seconds > 0.01)
			v->rate = (v->rate + check->bytes * check->coverage / seconds) / 2;
		return;
	}
	if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED && budget_over)
	{
		check->state = UPG_CHECK_SKIPPED;
		check->coverage = 0;
		check->message = "stopped when the budget was used up";
		return;
	}
	if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED || edata->elevel > ERROR)
		ReThrowError(edata);
	check->state = UPG_CHECK_ERROR;
	check->coverage = 0;
	check->message =
		psprintf("%s (SQLSTATE %s)", edata->message, unpack_sql_state(edata->sqlerrcode));
}

/*
 * share_of
 *		The part of its input that a check can read within the budget, 0 to 1.
 */
static double
share_of(const UpgVerification *v, const UpgCheck *check)
{
	double left;
	double share;

	if (v->deadline == 0)
		return 1;
	left = (v->deadline - GetCurrentTimestamp()) / 1e6;
	if (left <= 0)
		return 0;
	if (check->bytes <= 0 || check->bytes / v->rate <= left)
		return 1;
	if (check->sample_query == NULL && check->verdict != UPG_VERDICT_CHECKSUM)
		/* there is no smaller form: try, and let the timer decide */
		return check->verdict == UPG_VERDICT_EMPTY && check->heap_only ? 0 : 1;
	/* half of what is left, so that one large table does not take it all */
	share = left * v->rate / check->bytes / 2;
	return share < LEAST_SHARE ? 0 : share;
}

/*
 * evaluate
 *		Inside of the subtransaction: settings, role, snapshot, judgement.
 */
static void
evaluate(UpgVerification *v, UpgCheck *check, const UpgCheck *before, Snapshot snapshot,
		 double share)
{
	XactReadOnly = true;
	own_settings(check);
	if (check->owner != NULL)
		become_owner(check->owner);
	PushActiveSnapshot(snapshot);
	switch (check->verdict)
	{
		case UPG_VERDICT_TRUE:
			judge_true(v, check);
			break;
		case UPG_VERDICT_EMPTY:
			judge_empty(v, check, share);
			break;
		case UPG_VERDICT_EQUAL:
			judge_equal(v, check, before);
			break;
		case UPG_VERDICT_CHECKSUM:
			judge_checksum(v, check, before, share);
			break;
	}
	PopActiveSnapshot();
}

/*
 * become_owner
 *		Go on with the rights of the role that declared the invariant.
 */
static void
become_owner(const char *owner)
{
	Oid user = get_role_oid(owner, true);
	Oid current;
	int sec_context;

	if (!OidIsValid(user))
		ereport(
			ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("role \"%s\", which declared the invariant, does not exist", owner)));
	GetUserIdAndSecContext(&current, &sec_context);
	SetUserIdAndSecContext(user, sec_context | SECURITY_LOCAL_USERID_CHANGE |
									 SECURITY_RESTRICTED_OPERATION);
}

/*
 * own_settings
 *		Settings that a result must not depend on.  The subtransaction's end
 *		takes them back.
 */
static void
own_settings(const UpgCheck *check)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"TimeZone", "UTC"},
		{"DateStyle", "ISO, YMD"},
		{"IntervalStyle", "postgres"},
		{"extra_float_digits", "1"},
		{"bytea_output", "hex"},
		/* rows that a policy hides must not count as looked at */
		{"row_security", "off"},
		/* a constraint must not be taken as the proof of itself */
		{"constraint_exclusion", "off"},
	};

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	if (check->heap_only)
	{
		static const char *const plans[] = {"enable_indexscan", "enable_indexonlyscan",
											"enable_bitmapscan"};

		for (int i = 0; i < lengthof(plans); i++)
			(void) set_config_option(plans[i], "off", PGC_USERSET, PGC_S_SESSION,
									 GUC_ACTION_LOCAL, true, 0, false);
	}
}

/*
 * run_query
 *		Run a query of ours around that of the check; the result is SPI's.
 */
static void
run_query(const char *sql, bool with_share, double share)
{
	Oid type = FLOAT8OID;
	Datum value = Float8GetDatum(share * 100);
	SPIPlanPtr plan;
	int rc;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	plan = SPI_prepare_cursor(sql, with_share ? 1 : 0, &type, CURSOR_OPT_PARALLEL_OK);
	if (plan == NULL)
		elog(ERROR, "could not prepare a check: %s", SPI_result_code_string(SPI_result));
	rc = SPI_execute_snapshot(plan, &value, NULL, GetActiveSnapshot(), InvalidSnapshot,
							  true, false, 0);
	if (rc != SPI_OK_SELECT)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("a check must be a query that only reads")));
}

/* A column of the first row of SPI's result, copied; NULL if it is null. */
static char *
first_text(UpgVerification *v, int column)
{
	char *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);

	return value == NULL ? NULL : MemoryContextStrdup(v->context, value);
}

static int64
first_int(int column)
{
	char *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);

	return value == NULL ? 0 : strtoll(value, NULL, 10);
}

/* Hide what violations look like, if that is wanted. */
static const char *
shown(const UpgVerification *v, const char *json)
{
	return v->redact ? "\"hidden\"" : json;
}

/*
 * judge_true
 *		Each row of the one column must be true, and there must be one.
 */
static void
judge_true(UpgVerification *v, UpgCheck *check)
{
	int64 rows;

	/* the line break ends a comment that the query may end with */
	run_query(psprintf("SELECT count(*), count(*) FILTER (WHERE holds IS NOT TRUE)"
					   " FROM (%s\n) AS q(holds)",
					   check->query),
			  false, 0);
	rows = first_int(1);
	check->violations = rows == 0 ? 1 : first_int(2);
	SPI_finish();
	check->state = check->violations == 0 ? UPG_CHECK_PASSED : UPG_CHECK_FAILED;
	if (rows == 0)
		check->message = "the query returned no row";
	else if (check->violations > 0)
		check->message =
			rows == 1 ? "it is not true"
					  : psprintf("not true in " INT64_FORMAT " of " INT64_FORMAT " rows",
								 check->violations, rows);
}

/*
 * judge_empty
 *		Each row is a violation: count them all, keep some.
 */
static void
judge_empty(UpgVerification *v, UpgCheck *check, double share)
{
	bool sampled = share < 1 && check->sample_query != NULL;
	char *rows;

	run_query(psprintf("SELECT count(*), jsonb_agg(to_jsonb(q) - 'upg_no' ORDER BY "
					   "to_jsonb(q) - 'upg_no')"
					   " FILTER (WHERE upg_no <= %d) FROM (SELECT q.*,"
					   " row_number() OVER () AS upg_no FROM (%s\n) AS q) AS q",
					   v->shown_rows, sampled ? check->sample_query : check->query),
			  sampled, share);
	check->violations = first_int(1);
	rows = first_text(v, 2);
	SPI_finish();
	check->coverage = sampled ? share : 1;
	check->state = check->violations == 0 ? UPG_CHECK_PASSED : UPG_CHECK_FAILED;
	if (check->violations > 0)
	{
		check->details = psprintf("{\"rows\":%s}", rows == NULL ? "[]" : shown(v, rows));
		check->message =
			psprintf(check->violations == 1 ? INT64_FORMAT " row in violation"
											: INT64_FORMAT " rows in violation",
					 check->violations);
	}
	if (sampled)
		check->message = psprintf("%s%slooked at %.1f %% of the pages",
								  check->message ? check->message : "",
								  check->message ? "; " : "", share * 100);
}

/*
 * key_of
 *		The part of a row's JSON that its key is, or the row as a whole.
 */
static char *
key_of(const UpgCheck *check, const char *row)
{
	StringInfoData key;
	Jsonb *jsonb;
	ListCell *lc;

	if (check->key == NIL)
		return pstrdup(row);
	jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(row)));
	initStringInfo(&key);
	foreach (lc, check->key)
	{
		JsonbValue buf;
		JsonbValue *value = getKeyJsonValueFromContainer(&jsonb->root, lfirst(lc),
														 strlen(lfirst(lc)), &buf);
		Jsonb *member;

		if (value == NULL)
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
							errmsg("key column \"%s\" is not in the result of the query",
								   (char *) lfirst(lc))));
		member = JsonbValueToJsonb(value);
		appendStringInfoString(&key, key.len > 0 ? ", " : "{");
		escape_json(&key, lfirst(lc));
		appendStringInfo(&key, ": %s",
						 JsonbToCString(NULL, &member->root, VARSIZE(member)));
	}
	appendStringInfoChar(&key, '}');
	return key.data;
}

/* A row of a result, by its key. */
typedef struct KeyedRow
{
	char *key;
	const char *row;
} KeyedRow;

static int
keyed_row_cmp(const void *a, const void *b)
{
	const KeyedRow *x = a;
	const KeyedRow *y = b;
	int order = strcmp(x->key, y->key);

	return order != 0 ? order : strcmp(x->row, y->row);
}

static KeyedRow *
keyed_rows(const UpgCheck *check, List *rows, bool alone)
{
	KeyedRow *result = palloc(sizeof(KeyedRow) * Max(list_length(rows), 1));
	ListCell *lc;
	int n = 0;

	foreach (lc, rows)
	{
		result[n].key = alone ? "{}" : key_of(check, lfirst(lc));
		result[n++].row = lfirst(lc);
	}
	qsort(result, n, sizeof(KeyedRow), keyed_row_cmp);
	return result;
}

/*
 * compare_results
 *		Name the rows in which two results differ, by key.
 */
static void
compare_results(UpgVerification *v, UpgCheck *check, List *old, List *new)
{
	/* without a key, one row on each side is that row, changed */
	bool alone = check->key == NIL && list_length(old) == 1 && list_length(new) == 1;
	KeyedRow *a = keyed_rows(check, old, alone);
	KeyedRow *b = keyed_rows(check, new, alone);
	int na = list_length(old), nb = list_length(new);
	int i = 0, k = 0;
	int64 differences = 0;
	StringInfoData json;

	initStringInfo(&json);
	while (i < na || k < nb)
	{
		int order = i >= na ? 1 : k >= nb ? -1 : strcmp(a[i].key, b[k].key);
		bool same = order == 0 && strcmp(a[i].row, b[k].row) == 0;

		/* a row by itself, or one of a key that has another row on the other side */
		if (!same && differences++ < v->shown_rows)
		{
			appendStringInfo(&json, "%s{\"key\": %s, \"before\": %s, \"after\": %s}",
							 json.len > 0 ? ", " : "", order <= 0 ? a[i].key : b[k].key,
							 order <= 0 ? a[i].row : "null",
							 order >= 0 ? b[k].row : "null");
		}
		i += order <= 0;
		k += order >= 0;
	}
	check->violations = differences;
	check->state = differences == 0 ? UPG_CHECK_PASSED : UPG_CHECK_FAILED;
	if (differences == 0)
		return;
	check->message = psprintf(differences == 1 ? INT64_FORMAT " row differs"
											   : INT64_FORMAT " rows differ",
							  differences);
	check->details = psprintf("{\"rows\":%s}", shown(v, psprintf("[%s]", json.data)));
}

/* SHA-256 of some rows, as hexadecimal digits. */
static char *
rows_digest(List *rows)
{
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);
	uint8 digest[PG_SHA256_DIGEST_LENGTH];
	char *hex = palloc(2 * sizeof(digest) + 1);
	ListCell *lc;

	if (ctx == NULL || pg_cryptohash_init(ctx) < 0)
		elog(ERROR, "could not start SHA-256");
	foreach (lc, rows)
	{
		if (pg_cryptohash_update(ctx, lfirst(lc), strlen(lfirst(lc)) + 1) < 0)
			elog(ERROR, "could not compute SHA-256");
	}
	if (pg_cryptohash_final(ctx, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not finish SHA-256");
	pg_cryptohash_free(ctx);
	hex[hex_encode((const char *) digest, sizeof(digest), hex)] = '\0';
	return hex;
}

/*
 * judge_equal
 *		The rows must be those of before; without a before they are kept.
 */
static void
judge_equal(UpgVerification *v, UpgCheck *check, const UpgCheck *before)
{
	List *rows = NIL;
	StringInfoData all;
	ListCell *lc;
	char *digest;

	run_query(psprintf("SELECT to_jsonb(q)::text FROM (%s\n) AS q LIMIT %d", check->query,
					   MOST_ROWS + 1),
			  false, 0);
	if (SPI_processed > MOST_ROWS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("the query returns more than %d rows", MOST_ROWS)));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char *row = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		MemoryContext old = MemoryContextSwitchTo(v->context);

		rows = lappend(rows, pstrdup(row));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	list_sort(rows, upg_text_cmp);
	check->rows = rows;
	check->kept_rows = true;
	digest = rows_digest(rows);

	if (before != NULL && !before->kept_rows && before->checksum != NULL)
	{
		/* what was kept of it is a digest */
		bool same = strcmp(before->checksum, digest) == 0;

		check->violations = same ? 0 : 1;
		check->state = same ? UPG_CHECK_PASSED : UPG_CHECK_FAILED;
		if (!same)
			check->message = "the result differs; only a digest of it was kept";
		return;
	}
	if (before != NULL)
	{
		compare_results(v, check, before->rows, rows);
		return;
	}

	initStringInfo(&all);
	foreach (lc, rows)
		appendStringInfo(&all, "%s%s", all.len > 0 ? ", " : "", (char *) lfirst(lc));
	check->state = UPG_CHECK_RECORDED;
	if (v->redact)
		check->details = psprintf("{\"digest\": \"%s\"}", digest);
	else
		check->details = psprintf("{\"result\": [%s]}", all.data);
}

/*
 * comparable
 *		Whether two checksums, as text, have the same header.
 *
 * The header is what stands before the fourth colon.
 */
static bool
comparable(const char *a, const char *b)
{
	int colons = 0;

	for (; *a == *b && *a != '\0'; a++, b++)
		if (*a == ':' && ++colons == 4)
			return true;
	return false;
}

/*
 * judge_checksum
 *		The checksum of a relation must be that of before; without a before it
 *		is kept.
 */
static void
judge_checksum(UpgVerification *v, UpgCheck *check, const UpgCheck *before, double share)
{
	UpgChecksum *total = palloc0(sizeof(UpgChecksum));
	UpgScanJob job;
	UpgSource *source;
	List *names;

	if (before != NULL)
		check->filter = before->filter;
	else if (check->filter == NULL && share < 1)
	{
		check->filter = sample_filter(v, check, share);
		if (check->filter == NULL)
		{
			check->state = UPG_CHECK_SKIPPED;
			check->coverage = 0;
			check->message = "it does not fit the budget";
			return;
		}
	}
	memset(&job, 0, sizeof(job));
	source = upg_source_open(check->relid, false, check->filter);
	names = upg_job_names(source, check->columns, NIL, NULL);
	upg_job_columns(&job, source, names, NULL);
	upg_source_scan(source, &job, -1, total, NULL, NULL, NULL);
	check->checksum = DatumGetCString(
		DirectFunctionCall1(upg_checksum_value_out, PointerGetDatum(total)));
	check->coverage = check->filter != NULL ? share : 1;
	check->details = psprintf("{\"checksum\": \"%s\"%s%s}", check->checksum,
							  check->filter ? ", \"filter\": " : "",
							  check->filter ? upg_json_quoted(check->filter) : "");
	if (check->filter != NULL)
		check->message =
			psprintf("%d ranges of the key, %.1f %% of it", SAMPLE_RANGES, share * 100);
	if (before == NULL)
	{
		check->state = UPG_CHECK_RECORDED;
		return;
	}
	if (!comparable(before->checksum, check->checksum))
	{
		check->state = UPG_CHECK_SKIPPED;
		check->coverage = 0;
		check->message = "not comparable: columns or their types are others than before";
		return;
	}
	check->violations = strcmp(before->checksum, check->checksum) == 0 ? 0 : 1;
	check->state = check->violations == 0 ? UPG_CHECK_PASSED : UPG_CHECK_FAILED;
	if (check->violations > 0)
	{
		check->message = "the rows differ from those of before";
		check->details =
			psprintf("{\"before\": \"%s\", \"after\": \"%s\"%s%s}", before->checksum,
					 check->checksum, check->filter ? ", \"filter\": " : "",
					 check->filter ? upg_json_quoted(check->filter) : "");
	}
}

/*
 * sample_filter
 *		A condition that takes a share of a table by ranges of its primary key;
 *		NULL if the key is not one integer.
 *
 * Blocks would do for one look at the table, but not for two that are compared:
 * rows move between blocks, not between keys.
 */
static char *
sample_filter(UpgVerification *v, const UpgCheck *check, double share)
{
	StringInfoData filter;
	char *column;
	double low, high, step, width;

	run_query(psprintf("SELECT quote_ident(a.attname) FROM pg_index i"
					   " JOIN pg_attribute a ON a.attrelid = i.indrelid"
					   " AND a.attnum = i.indkey[0]"
					   " WHERE i.indrelid = %u AND i.indisprimary AND i.indnkeyatts = 1"
					   " AND a.atttypid IN (20, 21, 23)",
					   check->relid),
			  false, 0);
	if (SPI_processed == 0)
	{
		SPI_finish();
		return NULL;
	}
	column = first_text(v, 1);
	SPI_finish();

	run_query(psprintf("SELECT coalesce(min(%s), 0)::float8, coalesce(max(%s), 0)::float8"
					   " FROM %s",
					   column, column, check->relation),
			  false, 0);
	low = atof(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	high = atof(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2));
	SPI_finish();

	step = (high - low + 1) / SAMPLE_RANGES;
	width = step * share;
	initStringInfo(&filter);
	for (int i = 0; i < SAMPLE_RANGES; i++)
	{
		double from = low + step * i;

		appendStringInfo(&filter, "%s%s BETWEEN %.0f AND %.0f",
						 filter.len > 0 ? " OR " : "", column, floor(from),
						 floor(from + Max(width, 1)));
	}
	return filter.data;
}
