/*-------------------------------------------------------------------------
 *
 * executor.c
 *		Runs the statements of one step of a script.
 *
 * Statements go through portals with the whole script as source text, so the
 * positions in the server's own messages are positions in the script.  SPI is
 * not used for them: it would run them as "not top level", which statements
 * that no transaction can hold refuse.
 *
 * A statement that takes strong locks runs in a subtransaction under a short
 * lock timeout and is tried again after a pause that grows and jitters.  While
 * it waits, everybody who comes after it in the lock queue waits too: several
 * short tries hurt the application less than one long wait.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/executor.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "errors.h"
#include "executor.h"
#include "footprint.h"
#include "json.h"
#include "subxact.h"
#include "upg.h"

static void run_statement(UpgRun *run, UpgStatement *stmt);
static void run_with_retries(UpgRun *run, UpgStatement *stmt);
static void run_savepoint(UpgRun *run, UpgStatement *stmt);
static void run_raw(RawStmt *raw, const char *text, bool top_level,
					MemoryContext lasting);
static bool takes_strong_locks(Node *stmt);
static char *note_lock_wait(UpgRun *run, UpgStatement *stmt, int try, TimestampTz since,
							int *waiter);
static bool waits_for_us(int pid);
static void arm_statement_timeout(void);
static void statement_error_context(void *arg);
static void report_progress(UpgRun *run, UpgStatement *stmt);
static void set_constraints_immediate(UpgRun *run);
static void deferred_error_context(void *arg);

/*
 * upg_run_create
 *		Prepare to run a script.
 *
 * "script" must live as long as the run.  Uses a child of the current memory
 * context.
 */
UpgRun *
upg_run_create(const char *migration, const char *direction, const UpgScript *script)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "upg run", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	UpgRun *run = palloc0(sizeof(UpgRun));

	run->context = context;
	run->migration = pstrdup(migration);
	run->direction = pstrdup(direction);
	run->script = script;
	run->lock_timeout = upg_guc_lock_timeout;
	run->lock_retries = upg_guc_lock_retries;
	run->lock_waits = makeStringInfo();
	run->started = GetCurrentTimestamp();
	MemoryContextSwitchTo(old);

	return run;
}

/*
 * upg_run_step
 *		Run the statements of a transaction step, then fire what is deferred.
 *
 * Needs a transaction.  Deferred constraints are made immediate at the end, so
 * that a violation is reported with the migration it belongs to, and not at a
 * commit that may come much later.
 */
void
upg_run_step(UpgRun *run, const UpgStep *step)
{
	for (int no = step->first; no <= step->last; no++)
	{
		UpgStatement *stmt = &run->script->statements[no - 1];

		if (stmt->step == 0)
			continue; /* BEGIN, COMMIT */
		CHECK_FOR_INTERRUPTS();
		run_statement(run, stmt);
	}

	while (run->savepoints != NIL)
	{
		ReleaseCurrentSubTransaction();
		run->savepoints = list_delete_last(run->savepoints);
	}

	set_constraints_immediate(run);
}

/*
 * enter_statement
 *		From here on the statement is what runs: for errors, progress and its timeout.
 */
static void
enter_statement(UpgRun *run, UpgStatement *stmt, ErrorContextCallback *callback)
{
	run->current = stmt;
	report_progress(run, stmt);
	callback->callback = statement_error_context;
	callback->arg = run;
	callback->previous = error_context_stack;
	error_context_stack = callback;
	arm_statement_timeout();
}

/*
 * upg_run_alone
 *		Run a statement that no transaction can hold.
 *
 * Must be called in a fresh transaction of a background worker in which
 * nothing else has been done; the statement commits as it likes.  "lasting"
 * must survive those commits.
 */
void
upg_run_alone(UpgRun *run, UpgStatement *stmt, MemoryContext lasting)
{
	ErrorContextCallback callback;

	enter_statement(run, stmt, &callback);
	run_raw(stmt->raw, run->script->text, true, lasting);
	upg_run_disarm();
	error_context_stack = callback.previous;
	run->current = NULL;
}

/*
 * upg_run_settings
 *		Repeat the SETs among the first statements of a script.
 *
 * A worker that goes on where another was killed starts with a fresh session;
 * the steps that are done may have made settings that later ones rely on.
 */
void
upg_run_settings(UpgRun *run, int last_statement)
{
	for (int no = 1; no <= last_statement; no++)
	{
		UpgStatement *stmt = &run->script->statements[no - 1];

		if (IsA(stmt->raw->stmt, VariableSetStmt) &&
			!((VariableSetStmt *) stmt->raw->stmt)->is_local &&
			!upg_is_set_transaction(stmt->raw->stmt))
			run_statement(run, stmt);
	}
}

/*
 * upg_run_sql
 *		Run one statement of upg's own under the current user.
 */
void
upg_run_sql(const char *sql, bool top_level, MemoryContext lasting)
{
	MemoryContext old = MemoryContextSwitchTo(lasting);
	List *raws = raw_parser(sql, RAW_PARSE_DEFAULT);

	MemoryContextSwitchTo(old);
	run_raw(linitial_node(RawStmt, raws), sql, top_level, lasting);
}

/*
 * run_statement
 *		Run one statement of a transaction step.
 */
static void
run_statement(UpgRun *run, UpgStatement *stmt)
{
	ErrorContextCallback callback;

	enter_statement(run, stmt, &callback);
	if (IsA(stmt->raw->stmt, TransactionStmt))
		run_savepoint(run, stmt);
	else if (run->lock_timeout > 0 && takes_strong_locks(stmt->raw->stmt))
		run_with_retries(run, stmt);
	else
		run_raw(stmt->raw, run->script->text, false, CurrentMemoryContext);

	upg_run_disarm();
	error_context_stack = callback.previous;
	CommandCounterIncrement();
	run->current = NULL;
}

/*
 * arm_statement_timeout
 *		In a background worker, statement_timeout is ours to enforce.
 *
 * It counts for each statement of the script, as if a client had sent it.  In
 * a session it counts for the call of upg_apply() as a whole.
 */
static void
arm_statement_timeout(void)
{
	if (MyBackendType == B_BG_WORKER && StatementTimeout > 0)
		enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout);
}

/*
 * upg_run_disarm
 *		The statement is over, for better or worse.
 */
void
upg_run_disarm(void)
{
	if (MyBackendType == B_BG_WORKER)
		disable_timeout(STATEMENT_TIMEOUT, false);
}

/*
 * takes_strong_locks
 *		May this statement wait for, or keep others from, a lock on a table?
 *
 * Queries and DML take locks that only DDL conflicts with; SET must not run in
 * a subtransaction that may be rolled back under it.
 */
static bool
takes_strong_locks(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_SelectStmt:
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
		case T_CopyStmt:
		case T_VariableSetStmt:
		case T_VariableShowStmt:
		case T_ConstraintsSetStmt:
		case T_TransactionStmt:
		case T_CallStmt:
		case T_NotifyStmt:
		case T_ListenStmt:
		case T_UnlistenStmt:
		case T_PrepareStmt:
		case T_ExecuteStmt:
		case T_DeallocateStmt:
		case T_DeclareCursorStmt:
		case T_FetchStmt:
		case T_ClosePortalStmt:
		case T_CheckPointStmt:
		case T_LoadStmt:
		case T_ExplainStmt:
			return false;
		default:
			return true;
	}
}

/*
 * run_with_retries
 *		Run a statement under upg.lock_timeout, again and again.
 *
 * LockTimeout is assigned directly, not through set_config_option(): a nest
 * level of settings around the statement would also take back what the
 * statement itself sets.  A migration that chose its own lock_timeout keeps it.
 */
static void
run_with_retries(UpgRun *run, UpgStatement *stmt)
{
	MemoryContext context = CurrentMemoryContext;
	UpgSubxact sub;
	int pause = UPG_RETRY_FIRST;

	for (volatile int try = 1;; try++)
	{
		volatile int theirs = LockTimeout;
		volatile int ours =
			theirs > 0 ? Min(theirs, run->lock_timeout) : run->lock_timeout;
		TimestampTz since = GetCurrentTimestamp();
		ErrorData *volatile edata = NULL;
		char *blockers;
		int waiter;

		upg_subxact_begin(&sub, NULL);
		PG_TRY();
		{
			LockTimeout = ours;
			run_raw(stmt->raw, run->script->text, false, context);
			if (LockTimeout == ours)
				LockTimeout = theirs;
			upg_subxact_release(&sub);
		}
		PG_CATCH();
		{
			if (LockTimeout == ours)
				LockTimeout = theirs;
			edata = upg_subxact_catch(&sub);
		}
		PG_END_TRY();

		if (edata == NULL)
			return;
		if (edata->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE ||
			IsA(stmt->raw->stmt, LockStmt))
			ReThrowError(edata);

		blockers = note_lock_wait(run, stmt, try, since, &waiter);
		if (waiter != 0)
			ereport(
				ERROR,
				(errcode(ERRCODE_UPG_LOCK_TIMEOUT),
				 errmsg("could not lock what the statement needs, because its holder "
						"waits for this migration"),
				 errdetail("%s  Process %d waits for a lock that an earlier statement "
						   "took.",
						   blockers, waiter),
				 errhint("The migration gave way.  Try again, or lock the tables in the "
						 "order in which the application does.")));
		if (try > run->lock_retries)
			ereport(
				ERROR,
				(errcode(ERRCODE_UPG_LOCK_TIMEOUT),
				 errmsg_plural("could not lock what the statement needs after %d try",
							   "could not lock what the statement needs after %d tries",
							   try, try),
				 errdetail("%s", blockers),
				 errhint("Try again when the blocker has ended, or give more time with "
						 "upg.lock_timeout or upg.lock_retries.")));
		FreeErrorData(edata);

		upg_retry_say(try, run->lock_retries + 1, blockers);
		upg_retry_pause(&pause);
	}
}

/*
 * note_lock_wait
 *		Record who kept a statement from its locks; returns it in words.
 *
 * The wait is over, so the blockers are those who hold a conflicting lock on
 * one of the statement's relations now.  *waiter is the process of one that
 * itself waits for us, or 0: no pause will help then, and if its deadlock
 * detector ran during one of our tries, it would be the one to lose.
 */
static char *
note_lock_wait(UpgRun *run, UpgStatement *stmt, int try, TimestampTz since, int *waiter)
{
	MemoryContext old;
	List *locks = upg_statement_locks(stmt->raw->stmt);
	StringInfoData words;
	ListCell *lc;
	bool first = true;
	long waited = TimestampDifferenceMilliseconds(since, GetCurrentTimestamp());

	*waiter = 0;
	initStringInfo(&words);
	old = MemoryContextSwitchTo(run->context);
	if (run->lock_waits->len > 0)
		appendStringInfoChar(run->lock_waits, ',');
	appendStringInfo(run->lock_waits, "{\"statement\":%d,\"try\":%d,\"waited_ms\":%ld",
					 stmt->no, try, waited);
	appendStringInfoString(run->lock_waits, ",\"blockers\":[");
	foreach (lc, locks)
	{
		UpgRelationLock *lock = lfirst(lc);
		LOCKTAG tag;
		ListCell *lc2;

		SET_LOCKTAG_RELATION(tag, MyDatabaseId, lock->relid);
		foreach (lc2, upg_lock_holders(&tag, lock->mode))
		{
			UpgHolder *holder = lfirst(lc2);
			Oid relid = lock->relid;

			if (*waiter == 0 && waits_for_us(holder->pid))
				*waiter = holder->pid;

			appendStringInfo(run->lock_waits, "%s{\"pid\":%d", first ? "" : ",",
							 holder->pid);
			upg_json_member(run->lock_waits, "relation",
							DatumGetCString(DirectFunctionCall1(
								regclassout, ObjectIdGetDatum(relid))));
			upg_json_member(run->lock_waits, "user", holder->user);
			upg_json_member(run->lock_waits, "application", holder->application);
			upg_json_member(run->lock_waits, "since", holder->since);
			upg_json_member(run->lock_waits, "state", holder->state);
			upg_json_member(run->lock_waits, "query", holder->query);
			appendStringInfoChar(run->lock_waits, '}');
			appendStringInfo(&words, "%s%s is locked by %s.", first ? "" : " ",
							 DatumGetCString(DirectFunctionCall1(
								 regclassout, ObjectIdGetDatum(relid))),
							 upg_holder_describe(holder));
			first = false;
		}
	}
	appendStringInfoString(run->lock_waits, "]}");
	MemoryContextSwitchTo(old);

	if (first)
		appendStringInfoString(&words,
							   "The blocker ended meanwhile, or locks something that the "
							   "statement does not name.");
	return words.data;
}

/*
 * waits_for_us
 *		Does a process wait for a lock that this one holds?
 */
static bool
waits_for_us(int pid)
{
	Datum blockers = DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid));
	Datum *pids;
	int n;

	deconstruct_array(DatumGetArrayTypeP(blockers), INT4OID, sizeof(int32), true,
					  TYPALIGN_INT, &pids, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		if (DatumGetInt32(pids[i]) == MyProcPid)
			return true;
	}
	return false;
}

/*
 * upg_run_lock_waits
 *		The recorded waits as a JSON array, or NULL if there were none.
 */
char *
upg_run_lock_waits(UpgRun *run)
{
	if (run->lock_waits->len == 0)
		return NULL;
	return psprintf("[%s]", run->lock_waits->data);
}

/*
 * run_savepoint
 *		SAVEPOINT, RELEASE and ROLLBACK TO inside a script.
 *
 * Each savepoint is an internal subtransaction; only the innermost ones can be
 * left, so leaving an outer one leaves all inside it, as in SQL.
 */
static void
run_savepoint(UpgRun *run, UpgStatement *stmt)
{
	TransactionStmt *control = (TransactionStmt *) stmt->raw->stmt;
	MemoryContext context = CurrentMemoryContext;
	MemoryContext old;
	int depth = list_length(run->savepoints);
	int found = depth;

	if (control->kind == TRANS_STMT_SAVEPOINT)
	{
		BeginInternalSubTransaction(NULL);
		old = MemoryContextSwitchTo(run->context);
		run->savepoints = lappend(run->savepoints, pstrdup(control->savepoint_name));
		MemoryContextSwitchTo(old);
		MemoryContextSwitchTo(context);
		return;
	}

	while (found > 0 &&
		   strcmp(list_nth(run->savepoints, found - 1), control->savepoint_name) != 0)
		found--;
	if (found == 0)
		ereport(ERROR,
				(errcode(ERRCODE_S_E_INVALID_SPECIFICATION),
				 errmsg("savepoint \"%s\" does not exist", control->savepoint_name)));

	while (depth >= found)
	{
		if (control->kind == TRANS_STMT_RELEASE)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		depth--;
		if (depth + 1 > found || control->kind == TRANS_STMT_RELEASE)
			run->savepoints = list_delete_last(run->savepoints);
	}
	if (control->kind == TRANS_STMT_ROLLBACK_TO)
	{
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(context);
	}
}

/*
 * run_raw
 *		Analyze, plan and run one statement through a portal.
 *
 * Parse and plan trees live in a child of "lasting": a statement that commits
 * inside would free them under its own feet if they were the transaction's.
 */
static void
run_raw(RawStmt *raw, const char *text, bool top_level, MemoryContext lasting)
{
	MemoryContext context =
		AllocSetContextCreate(lasting, "upg statement", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	RawStmt *copy = copyObject(raw);
	CommandTag tag = CreateCommandTag(copy->stmt);
	bool snapshot_set = false;
	List *queries;
	List *plans;
	Portal portal;
	QueryCompletion qc;

	if (analyze_requires_snapshot(copy))
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		snapshot_set = true;
	}
	queries = pg_analyze_and_rewrite_fixedparams(copy, text, NULL, 0, NULL);
	plans = pg_plan_queries(queries, text, CURSOR_OPT_PARALLEL_OK, NULL);
	if (snapshot_set)
		PopActiveSnapshot();

	/* Not the unnamed portal: that one is running the call which brought us here. */
	portal = CreateNewPortal();
	portal->visible = false;
	PortalDefineQuery(portal, NULL, text, tag, plans, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	InitializeQueryCompletion(&qc);
	(void) upg_portal_run(portal, FETCH_ALL, top_level, None_Receiver, None_Receiver,
						  &qc);
	PortalDrop(portal, false);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * set_constraints_immediate
 *		SET CONSTRAINTS ALL IMMEDIATE, as a part of the script.
 */
static void
set_constraints_immediate(UpgRun *run)
{
	ErrorContextCallback callback;

	callback.callback = deferred_error_context;
	callback.arg = run;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	upg_constraints_immediate();
	error_context_stack = callback.previous;
}

/*
 * upg_constraints_immediate
 *		SET CONSTRAINTS ALL IMMEDIATE.
 */
void
upg_constraints_immediate(void)
{
	ConstraintsSetStmt stmt = {
		.type = T_ConstraintsSetStmt, .constraints = NIL, .deferred = false};

	PushActiveSnapshot(GetTransactionSnapshot());
	AfterTriggerSetState(&stmt);
	PopActiveSnapshot();
	CommandCounterIncrement();
}

static void
deferred_error_context(void *arg)
{
	UpgRun *run = arg;

	errcontext("what migration \"%s\" left for the end of its transaction",
			   run->migration);
}

/*
 * report_progress
 *		Show other sessions what is running.
 */
static void
report_progress(UpgRun *run, UpgStatement *stmt)
{
	char name[NAMEDATALEN];
	int clipped = pg_mbcliplen(run->migration, strlen(run->migration), 32);

	snprintf(name, sizeof(name), "upg %s %.*s %d/%d", run->direction, clipped,
			 run->migration, stmt->no, run->script->nstatements);
	pgstat_report_appname(name);
	if (MyBackendType == B_BG_WORKER)
		pgstat_report_activity(STATE_RUNNING, upg_script_excerpt(run->script, stmt));
}

/*
 * statement_error_context
 *		Say which statement failed, and where in the script.
 *
 * A position that the parser set counts from the start of the script.  The
 * client sent another text, so it becomes the position in an internal query,
 * which is the failed statement alone.
 */
static void
statement_error_context(void *arg)
{
	UpgRun *run = arg;
	UpgStatement *stmt = run->current;
	const char *text = run->script->text;
	int cursor = geterrposition();
	int line, column;

	if (stmt == NULL)
		return;
	line = stmt->line;
	column = stmt->column;

	if (cursor > 0)
	{
		int offset = pg_mbcharcliplen(text, strlen(text), cursor - 1);

		errposition(0);
		if (offset >= stmt->start && offset <= stmt->start + stmt->length)
		{
			upg_script_position(text, offset, &line, &column);
			if (stmt->length < 4096)
			{
				internalerrposition(
					pg_mbstrlen_with_len(text + stmt->start, offset - stmt->start) + 1);
				internalerrquery(pnstrdup(text + stmt->start, stmt->length));
			}
		}
	}
	run->error_line = line;
	run->error_column = column;
	errcontext("%s of migration \"%s\", statement %d of %d (line %d, column %d)",
			   strcmp(run->direction, "up") == 0 ? "script" : "down script",
			   run->migration, stmt->no, run->script->nstatements, line, column);
}
