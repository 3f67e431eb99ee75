/*-------------------------------------------------------------------------
 *
 * verify.c
 *		Verifications: which checks are run, before and after what.
 *
 * Around a migration or a rollback: before it, the invariants are run, values
 * that must stay equal are kept, and checksums are taken of the tables that it
 * touches; after it, the invariants are run again, and the constraints of the
 * tables touched are looked at.  Something that fails is an error, so that
 * nothing of the migration is kept.  All checks of one side see one snapshot.
 *
 * What a rollback restored is proven by checksums: if a table is, before the
 * rollback, what it was after the migration, nobody else wrote to it, and so
 * it must afterwards be what it was before the migration.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/verify.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "catalog/partition.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "apply.h"
#include "compat.h"
#include "errors.h"
#include "footprint.h"
#include "ledger.h"
#include "progress.h"
#include "source.h"
#include "upg.h"
#include "verify.h"

PG_FUNCTION_INFO_V1(upg_verify);

/* Bytes a second that are assumed until something has been read. */
#define FIRST_RATE (150.0 * 1024 * 1024)

/* Violations that an error message names. */
#define TOLD_CHECKS 5

/* The JSON of a verification whose failure is on its way as an error. */
static char *failed_json = NULL;

static void add_invariants(UpgVerification *v, const char *phase, List *relids,
						   List *before, bool must_have_before);
static void add_constraints(UpgVerification *v, const char *phase, List *relids);
static void add_contents(UpgVerification *v, const char *phase, List *relids,
						 List *before);
static void run_checks(UpgVerification *v, List *values, List *contents);
static bool is_content(const UpgCheck *check);
static void start_clock(UpgVerification *v);
static const UpgCheck *find_check(List *checks, const UpgCheck *like, const char *phase);
static bool in_scope(const UpgInvariant *invariant, List *names);
static List *labels_of(List *relids);
static List *still_there(List *relids);
static void fail_if_failed(UpgVerification *v, const char *when);
static List *expected_contents(UpgVerification *v);
static void explain_contents(UpgVerification *v);

/*
 * upg_verify_level
 *		A level by its name; raises ERRCODE_UPG_INVALID_OPTION.
 */
UpgVerifyLevel
upg_verify_level(const char *name)
{
	if (strcmp(name, "none") == 0)
		return UPG_VERIFY_NONE;
	if (strcmp(name, "touched") == 0)
		return UPG_VERIFY_TOUCHED;
	if (strcmp(name, "all") == 0)
		return UPG_VERIFY_ALL;
	ereport(ERROR, (errcode(ERRCODE_UPG_INVALID_OPTION),
					errmsg("invalid value of option \"verify\""),
					errdetail("It must be \"none\", \"touched\" or \"all\".")));
}

/*
 * upg_verification_create
 *		A verification without checks; lives as long as the current context.
 */
UpgVerification *
upg_verification_create(UpgVerifyLevel level, double budget, bool redact)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "upg verification", ALLOCSET_DEFAULT_SIZES);
	UpgVerification *v = MemoryContextAllocZero(context, sizeof(UpgVerification));

	v->context = context;
	v->level = level;
	v->budget = budget;
	v->redact = redact;
	v->shown_rows = UPG_SHOWN_ROWS;
	v->rate = FIRST_RATE;
	v->started = GetCurrentTimestamp();
	start_clock(v);
	return v;
}

static void
start_clock(UpgVerification *v)
{
	v->deadline =
		v->budget > 0 ? GetCurrentTimestamp() + (TimestampTz) (v->budget * 1e6) : 0;
}

/*
 * upg_verify_before
 *		The half of a verification that comes before a migration or rollback;
 *		NULL if none is wanted.
 *
 * Raises ERRCODE_UPG_VERIFICATION if something does not hold even now.
 */
UpgVerification *
upg_verify_before(const char *migration, const char *direction, const UpgOptions *options,
				  List *keys)
{
	UpgVerification *v;
	MemoryContext old;
	List *before = NIL;
	bool unknown = true;

	if (options->verify == UPG_VERIFY_NONE)
		return NULL;
	v = upg_verification_create(options->verify, options->verify_budget,
								upg_guc_verify_redact);
	old = MemoryContextSwitchTo(v->context);
	v->migration = pstrdup(migration);
	v->direction = pstrdup(direction);
	v->upgrade = options->upgrade;
	if (v->level == UPG_VERIFY_TOUCHED)
		v->touched = upg_touched_by_keys(keys, &unknown);
	else
		v->touched = upg_user_tables();
	if (strcmp(direction, "down") == 0)
	{
		int64 id = upg_verification_latest(migration, "up", false);

		if (id != 0)
			before = upg_verification_checks(id);
	}
	add_invariants(v, "before", v->touched, NIL, false);
	add_contents(v, "before", v->touched, before);
	run_checks(v, NIL, NIL);
	fail_if_failed(v, "before");
	MemoryContextSwitchTo(old);
	return v;
}

/*
 * upg_verify_after
 *		The other half; keeps the results, or raises ERRCODE_UPG_VERIFICATION.
 */
void
upg_verify_after(UpgVerification *v, UpgResult *result)
{
	MemoryContext old;
	List *first;
	List *touched;
	List *known;
	ListCell *lc;

	if (v == NULL)
		return;
	CommandCounterIncrement();
	old = MemoryContextSwitchTo(v->context);
	first = v->checks;
	start_clock(v);
	touched = v->level == UPG_VERIFY_ALL
				  ? upg_user_tables()
				  : list_union_oid(still_there(v->touched), upg_touched_by_locks());
	known = strcmp(v->direction, "down") == 0 ? expected_contents(v) : NIL;

	v->checks = NIL;
	add_invariants(v, "after", touched, first, true);
	add_constraints(v, "after", touched);
	add_contents(v, "after", touched, known);
	run_checks(v, first, known);
	explain_contents(v);
	v->checks = list_concat(first, v->checks);
	fail_if_failed(v, "after");
	(void) upg_verification_store(upg_verification_json(v), NULL, NULL, 0);
	MemoryContextSwitchTo(old);

	foreach (lc, v->checks)
	{
		UpgCheck *check = lfirst(lc);

		if (result != NULL && check->warning && check->state == UPG_CHECK_FAILED)
			upg_result_warn(result, psprintf("invariant \"%s\" does not hold %s: %s",
											 check->name, check->phase, check->message));
		else if (result != NULL && check->state == UPG_CHECK_ERROR)
			upg_result_warn(result,
							psprintf("%s %s could not be verified %s: %s", check->kind,
									 check->name, check->phase, check->message));
	}
	MemoryContextDelete(v->context);
}

/*
 * upg_verify_queue
 *		Run the first half and keep it for the worker, which runs the second.
 *
 * A migration that goes on where it stopped keeps the first half it has: what is
 * there now is not what was there before.
 */
void
upg_verify_queue(const char *migration, const char *direction, const UpgOptions *options,
				 List *keys, bool resume)
{
	UpgVerification *v;

	if (resume && options->verify != UPG_VERIFY_NONE &&
		upg_verification_latest(migration, direction, true) != 0)
		return;
	upg_verification_forget_pending(migration);
	v = upg_verify_before(migration, direction, options, keys);
	if (v == NULL)
		return;
	v->pending = true;
	(void) upg_verification_store(upg_verification_json(v), NULL, NULL, 0);
	MemoryContextDelete(v->context);
}

/*
 * upg_verify_resume
 *		In the worker: the first half that was kept, to go on from; or NULL.
 */
UpgVerification *
upg_verify_resume(const char *migration, const char *direction, List *keys)
{
	int64 id = upg_verification_latest(migration, direction, true);
	UpgVerification *v;
	MemoryContext old;
	bool unknown = true;

	if (id == 0)
		return NULL;
	v = upg_verification_create(upg_verification_level(id), upg_guc_verify_budget,
								upg_guc_verify_redact);
	old = MemoryContextSwitchTo(v->context);
	v->migration = pstrdup(migration);
	v->direction = pstrdup(direction);
	v->in_steps = true;
	v->checks = upg_verification_checks(id);
	v->touched = upg_touched_by_keys(keys, &unknown);
	upg_verification_forget_pending(migration);
	MemoryContextSwitchTo(old);
	return v;
}

/*
 * upg_verify_take_failed
 *		The JSON of a verification that has just failed, once; else NULL.
 */
char *
upg_verify_take_failed(void)
{
	char *json = failed_json;

	failed_json = NULL;
	return json;
}

/*
 * fail_if_failed
 *		Raise an error that names what does not hold; the results go along.
 */
static void
fail_if_failed(UpgVerification *v, const char *when)
{
	StringInfoData detail;
	int failed = 0;
	ListCell *lc;

	initStringInfo(&detail);
	foreach (lc, v->checks)
	{
		UpgCheck *check = lfirst(lc);

		if (!upg_check_counts_against(check))
			continue;
		if (failed++ >= TOLD_CHECKS)
			continue;
		appendStringInfo(&detail, "%s%s \"%s\"", detail.len > 0 ? "\n" : "", check->kind,
						 check->name);
		if (check->relation != NULL)
			appendStringInfo(&detail, " of %s", check->relation);
		appendStringInfo(&detail, ": %s", check->message ? check->message : "failed");
		if (check->details != NULL)
			appendStringInfo(
				&detail, ": %s",
				pnstrdup(check->details,
						 pg_mbcliplen(check->details, strlen(check->details), 300)));
	}
	if (failed == 0)
		return;
	if (failed > TOLD_CHECKS)
		appendStringInfo(&detail, "\nand %d more", failed - TOLD_CHECKS);

	if (failed_json != NULL)
		pfree(failed_json);
	failed_json = MemoryContextStrdup(TopMemoryContext, upg_verification_json(v));
	ereport(
		ERROR,
		(errcode(ERRCODE_UPG_VERIFICATION),
		 strcmp(when, "before") == 0
			 ? errmsg("verification before %s migration \"%s\" failed",
					  strcmp(v->direction, "up") == 0 ? "applying" : "rolling back",
					  v->migration)
			 : errmsg("verification after %s migration \"%s\" failed",
					  strcmp(v->direction, "up") == 0 ? "applying" : "rolling back",
					  v->migration),
		 errdetail("%s", detail.data),
		 v->in_steps
			 ? errhint(
				   "Its steps are done, but it is not in the books as done.  Mend the "
				   "data and call the same again, or do so with the option "
				   "{\"verify\": \"none\"}.")
			 : errhint("Nothing was changed.  upg_verification_report() shows all "
					   "checks.")));
}

/*
 * add_invariants
 *		The invariants that speak of some relations, or of the database.
 */
static void
add_invariants(UpgVerification *v, const char *phase, List *relids, List *before,
			   bool must_have_before)
{
	List *invariants = upg_invariants_load();
	List *names = labels_of(relids);
	ListCell *lc;

	foreach (lc, invariants)
	{
		UpgInvariant *invariant = lfirst(lc);
		UpgCheck *check = &invariant->check;

		if (v->level != UPG_VERIFY_ALL && !in_scope(invariant, names))
			continue;
		check->phase = phase;
		if (check->verdict == UPG_VERDICT_CHECKSUM && !OidIsValid(check->relid))
			check->skip = "the relation does not exist";
		if (must_have_before && find_check(before, check, "before") == NULL &&
			(check->verdict == UPG_VERDICT_EQUAL ||
			 check->verdict == UPG_VERDICT_CHECKSUM))
			check->skip = "there is no value of before: the migration was not known to "
						  "touch what it speaks of";
		v->checks = lappend(v->checks, check);
	}
}

static bool
in_scope(const UpgInvariant *invariant, List *names)
{
	ListCell *lc;

	if (invariant->scope == NIL)
		return true;
	foreach (lc, invariant->scope)
		if (upg_name_in(names, lfirst(lc)))
			return true;
	return false;
}

static void
add_constraints(UpgVerification *v, const char *phase, List *relids)
{
	List *checks = relids == NIL ? NIL : upg_recheck_list(relids);
	ListCell *lc;

	foreach (lc, checks)
	{
		UpgCheck *check = lfirst(lc);

		check->phase = phase;
		v->checks = lappend(v->checks, check);
	}
}

/* Smallest first, so that as many as possible fit the budget. */
static int
check_size_cmp(const ListCell *a, const ListCell *b)
{
	const UpgCheck *x = lfirst(a);
	const UpgCheck *y = lfirst(b);

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? -1 : 1;
	return strcmp(x->name, y->name);
}

/*
 * add_contents
 *		A checksum of each relation; those that are partitions of another one in
 *		the list are in its checksum.
 *
 * A checksum that will be compared with one that was taken of a part is taken of
 * the same part.
 */
static void
add_contents(UpgVerification *v, const char *phase, List *relids, List *like)
{
	List *checks = NIL;
	ListCell *lc;

	foreach (lc, relids)
	{
		Oid relid = lfirst_oid(lc);
		UpgCheck *check;
		const UpgCheck *other;

		if (get_rel_relispartition(relid) &&
			list_member_oid(relids, get_partition_parent(relid, true)))
			continue;
		check = palloc0(sizeof(UpgCheck));
		check->phase = phase;
		check->kind = "content";
		check->relid = relid;
		check->relation = quote_qualified_identifier(
			get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
		check->name = check->relation;
		check->verdict = UPG_VERDICT_CHECKSUM;
		check->bytes = strtod(
			DatumGetCString(DirectFunctionCall1(
				int8out, DirectFunctionCall1(pg_table_size, ObjectIdGetDatum(relid)))),
			NULL);
		other = find_check(like, check, "after");
		if (other != NULL && other->filter != NULL && strcmp(phase, "before") == 0)
		{
			check->filter = other->filter;
			check->share = other->coverage;
		}
		checks = lappend(checks, check);
	}
	list_sort(checks, check_size_cmp);
	v->checks = list_concat(v->checks, checks);
}

/*
 * expected_contents
 *		What the tables must be after a rollback, as checks of phase "before".
 */
static List *
expected_contents(UpgVerification *v)
{
	int64 id = upg_verification_latest(v->migration, "up", false);
	List *expected = NIL;
	List *up;
	ListCell *lc;

	if (id == 0)
		return NIL;
	up = upg_verification_checks(id);
	foreach (lc, up)
	{
		UpgCheck *origin = lfirst(lc);
		const UpgCheck *applied;
		const UpgCheck *now;

		if (strcmp(origin->kind, "content") != 0 ||
			strcmp(origin->phase, "before") != 0 || origin->checksum == NULL)
			continue;
		applied = find_check(up, origin, "after");
		now = find_check(v->checks, origin, "before");
		if (applied == NULL && now == NULL)
			expected = lappend(expected, origin); /* it was not there in between */
		else if (applied != NULL && now != NULL && applied->checksum != NULL &&
				 now->checksum != NULL && strcmp(applied->checksum, now->checksum) == 0)
			expected = lappend(expected, origin);
	}
	return expected;
}

/*
 * explain_contents
 *		Say why contents were only written down after a rollback.
 */
static void
explain_contents(UpgVerification *v)
{
	ListCell *lc;

	foreach (lc, v->checks)
	{
		UpgCheck *check = lfirst(lc);

		if (strcmp(v->direction, "down") == 0 && is_content(check) &&
			check->state == UPG_CHECK_RECORDED && check->message == NULL)
			check->message = "not compared with before the migration: it was written to "
							 "since, or not verified then";
	}
}

/*
 * find_check
 *		The latest check of the same thing, in a phase if one is given, or NULL.
 */
static const UpgCheck *
find_check(List *checks, const UpgCheck *like, const char *phase)
{
	const UpgCheck *found = NULL;
	ListCell *lc;

	foreach (lc, checks)
	{
		UpgCheck *check = lfirst(lc);

		if ((phase == NULL || strcmp(check->phase, phase) == 0) &&
			strcmp(check->kind, like->kind) == 0 &&
			strcmp(check->name, like->name) == 0 &&
			(check->relation == NULL) == (like->relation == NULL) &&
			(check->relation == NULL || strcmp(check->relation, like->relation) == 0))
			found = check;
	}
	return found;
}

/*
 * run_checks
 *		Run the checks of a verification with one snapshot.
 *
 * "values" holds what invariants are compared with, "contents" what relations
 * must be.
 */
static void
run_checks(UpgVerification *v, List *values, List *contents)
{
	Snapshot snapshot = RegisterSnapshot(GetTransactionSnapshot());
	int no = 0;
	ListCell *lc;

	foreach (lc, v->checks)
	{
		UpgCheck *check = lfirst(lc);
		const UpgCheck *old = NULL;

		CHECK_FOR_INTERRUPTS();
		if (is_content(check))
			old = find_check(contents, check, NULL);
		else if (check->verdict == UPG_VERDICT_EQUAL ||
				 check->verdict == UPG_VERDICT_CHECKSUM)
			old = find_check(values, check, NULL);
		if (old != NULL && !old->kept_rows && old->checksum == NULL)
			old = NULL; /* it could not be evaluated then */
		upg_progress_task(UPG_TASK_VERIFY, ++no, list_length(v->checks));
		upg_progress_start(check->relid, 0);
		upg_check_run(v, check, old, snapshot);
		upg_progress_end();
	}
	UnregisterSnapshot(snapshot);
}

/* A checksum that nobody declared. */
static bool
is_content(const UpgCheck *check)
{
	return check->verdict == UPG_VERDICT_CHECKSUM && check->owner == NULL;
}

/* Relations as they stand in the scope of invariants. */
static List *
labels_of(List *relids)
{
	List *names = NIL;
	ListCell *lc;

	foreach (lc, relids)
	{
		Oid relid = lfirst_oid(lc);
		char *name = get_rel_name(relid);

		if (name != NULL)
			names =
				lappend(names, quote_qualified_identifier(
								   get_namespace_name(get_rel_namespace(relid)), name));
	}
	return names;
}

static List *
still_there(List *relids)
{
	List *result = NIL;
	ListCell *lc;

	foreach (lc, relids)
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lfirst_oid(lc))))
			result = lappend_oid(result, lfirst_oid(lc));
	return result;
}

/* A row of upg_verify()'s result. */
static void
put_check(ReturnSetInfo *rsinfo, const UpgCheck *check, int no, int64 id)
{
	Datum values[12];
	bool nulls[12] = {false};
	Interval *duration = palloc0(sizeof(Interval));

	duration->time = check->duration;
	values[0] = Int64GetDatum(id);
	nulls[0] = id == 0;
	values[1] = Int32GetDatum(no);
	values[2] = CStringGetTextDatum(check->kind);
	values[3] = CStringGetTextDatum(check->name);
	nulls[4] = check->relation == NULL;
	if (check->relation != NULL)
		values[4] = CStringGetTextDatum(check->relation);
	values[5] = CStringGetTextDatum(check->warning ? "warning" : "error");
	values[6] = CStringGetTextDatum(upg_check_state_name(check->state));
	values[7] = Int64GetDatum(check->violations);
	nulls[7] = check->violations < 0;
	values[8] = Float8GetDatum(check->coverage);
	nulls[9] = check->message == NULL;
	if (check->message != NULL)
		values[9] = CStringGetTextDatum(check->message);
	nulls[10] = check->details == NULL;
	if (check->details != NULL)
		values[10] = DirectFunctionCall1(jsonb_in, CStringGetDatum(check->details));
	values[11] = IntervalPGetDatum(duration);
	nulls[11] = check->state == UPG_CHECK_PLANNED;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * plan_checks
 *		What each check would cost, and how much of it fits the budget.
 */
static void
plan_checks(UpgVerification *v)
{
	double left = v->budget;
	ListCell *lc;

	foreach (lc, v->checks)
	{
		UpgCheck *check = lfirst(lc);
		double seconds = check->bytes / v->rate;

		check->state = UPG_CHECK_PLANNED;
		check->violations = -1;
		check->coverage = 1;
		if (check->skip != NULL)
		{
			check->coverage = 0;
			check->message = check->skip;
			continue;
		}
		if (v->budget > 0 && seconds > left)
			check->coverage =
				check->sample_query != NULL || check->verdict == UPG_VERDICT_CHECKSUM
					? Max(left, 0) / seconds / 2
					: 0;
		seconds *= check->coverage;
		left -= seconds;
		check->message =
			psprintf("%.0f MB, about %.1f seconds", check->bytes / 1048576, seconds);
	}
}

/*
 * upg_verify
 *		Run checks now, and keep their results where that is possible.
 */
Datum
upg_verify(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	UpgVerifyLevel level;
	UpgVerification *v;
	List *relids = NIL;
	List *before = NIL;
	double budget = upg_guc_verify_budget;
	bool dry_run = !PG_ARGISNULL(5) && PG_GETARG_BOOL(5);
	bool redact = PG_ARGISNULL(6) ? upg_guc_verify_redact : PG_GETARG_BOOL(6);
	bool unknown = false;
	int64 id = 0;
	int no = 0;
	ListCell *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("level must not be null")));
	level = upg_verify_level(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	if (!PG_ARGISNULL(1))
		relids = upg_oid_list(PG_GETARG_ARRAYTYPE_P(1));
	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("give either relations or a script, not both")));
	if (level == UPG_VERIFY_TOUCHED && PG_ARGISNULL(1) && PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("level \"touched\" needs relations or a script"),
						errhint("Level \"all\" verifies the whole database.")));
	if (level == UPG_VERIFY_NONE)
		return (Datum) 0;
	if (!PG_ARGISNULL(4))
	{
		Interval *interval = PG_GETARG_INTERVAL_P(4);

		budget = interval->time / 1e6 + (interval->day + interval->month * 30.0) * 86400;
		if (budget < 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("budget must not be negative"),
							errhint("Zero is no limit.")));
	}
	if (!PG_ARGISNULL(2))
	{
		UpgScript *script = upg_script_parse(text_to_cstring(PG_GETARG_TEXT_PP(2)), NULL);

		relids = upg_touched_by_keys(upg_footprint_infer(script, ""), &unknown);
		level = UPG_VERIFY_TOUCHED;
	}
	else if (PG_ARGISNULL(1))
		relids = upg_user_tables();
	else
		level = UPG_VERIFY_TOUCHED;

	v = upg_verification_create(level, budget, redact);
	if (!PG_ARGISNULL(3))
	{
		v->baseline = PG_GETARG_INT64(3);
		before = upg_verification_checks(v->baseline);
		if (before == NIL)
			ereport(ERROR, (errcode(ERRCODE_UPG_INVARIANT),
							errmsg("there is no verification " INT64_FORMAT, v->baseline),
							errhint("upg.verifications lists them.")));
	}
	add_invariants(v, "now", relids, before, false);
	add_constraints(v, "now", relids);
	add_contents(v, "now", relids, NIL);
	if (dry_run)
		plan_checks(v);
	else
	{
		start_clock(v);
		run_checks(v, before, before);
		if (RecoveryInProgress() || XactReadOnly)
			ereport(NOTICE, (errmsg("the results are not kept, because the transaction "
									"is read-only")));
		else
			id = upg_verification_store(upg_verification_json(v), NULL, NULL, 0);
	}
	foreach (lc, v->checks)
		put_check(rsinfo, lfirst(lc), ++no, id);
	return (Datum) 0;
}
