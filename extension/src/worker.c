/*-------------------------------------------------------------------------
 *
 * worker.c
 *		Background workers, started on demand; nothing needs preloading.
 *
 * Two kinds of work are done by another process:
 *
 * - A migration that does not fit one transaction.  The worker is registered
 *	 at pre-commit of the transaction that queued it, so that a lack of worker
 *	 slots fails that transaction, and first waits for it to end.  It must not
 *	 be waited for inside the transaction: CREATE INDEX CONCURRENTLY waits for
 *	 every older snapshot, hence for the waiter.
 *
 * - The record of a failed try, which must survive the rollback of the failed
 *	 transaction.  The failing backend waits for it, but not long.  If there is
 *	 no worker slot, the session remembers the record and writes it at its next
 *	 call of an upg function.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/worker.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "errors.h"
#include "steps.h"
#include "worker.h"

/* How long a failing backend waits for its failure to be written down, in ms. */
#ifdef USE_VALGRIND
#define RECORD_PATIENCE 120000 /* where starting a process takes many seconds */
#else
#define RECORD_PATIENCE 5000
#endif

typedef enum WorkKind
{
	WORK_MIGRATION,
	WORK_RECORD
} WorkKind;

/* What a worker must know to begin; travels in bgw_extra. */
typedef struct WorkOrder
{
	WorkKind kind;
	Oid database;
	Oid user; /* the session's role when it was queued */
	int64 migration_id;
	TransactionId launcher; /* transaction that must end first */
	dsm_handle segment;     /* record: a FailureRecord */
} WorkOrder;

/* How far the recorder is with a failure; whoever leaves RECORD_OFFERED has it. */
enum
{
	RECORD_OFFERED,
	RECORD_TAKEN,    /* the recorder has it */
	RECORD_WRITTEN,  /* ... and has committed it */
	RECORD_WITHDRAWN /* the session writes it after all */
};

typedef struct FailureRecord
{
	pg_atomic_uint32 state;
	char json[FLEXIBLE_ARRAY_MEMBER]; /* zero-terminated */
} FailureRecord;

StaticAssertDecl(sizeof(WorkOrder) <= BGW_EXTRALEN, "a work order must fit bgw_extra");

/* A worker wanted when the transaction commits. */
typedef struct Request
{
	int64 migration_id;
	Oid user;
	SubTransactionId subid;
	struct Request *next;
} Request;

/* A failure that no worker could write down. */
typedef struct Remembered
{
	char *migration;
	char *json;
	struct Remembered *next;
} Remembered;

static Request *requests = NULL;      /* in TopTransactionContext */
static Remembered *remembered = NULL; /* in TopMemoryContext */

static void xact_callback(XactEvent event, void *arg);
static void subxact_callback(SubXactEvent event, SubTransactionId subid,
							 SubTransactionId parent, void *arg);
static bool start_worker(const WorkOrder *order, const char *name,
						 BackgroundWorkerHandle **handle);
static void own_defaults(void);
static void run_record(dsm_handle segment);

PGDLLEXPORT void upg_worker_main(Datum arg);

/*
 * upg_worker_init
 *		Called once, when the library is loaded.
 */
void
upg_worker_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}

/*
 * upg_worker_request
 *		Have a worker run a queued migration once this transaction has committed.
 *
 * "user" is the role that the worker logs in as; one that may not log in would
 * end the worker before it could say anything.
 */
void
upg_worker_request(int64 migration_id, Oid user)
{
	Request *request;
	HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(user));
	bool can_login =
		HeapTupleIsValid(tuple) && ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	if (!can_login)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("a migration of several steps cannot run as role \"%s\", which is "
					"not permitted to log in",
					GetUserNameFromId(user, false)),
			 errdetail("A background worker runs it, and logs in as the session's role."),
			 errhint("Log in as another role and use SET ROLE, not SET SESSION "
					 "AUTHORIZATION, or ALTER ROLE ... LOGIN.")));

	request = MemoryContextAlloc(TopTransactionContext, sizeof(Request));
	request->migration_id = migration_id;
	request->user = user;
	request->subid = GetCurrentSubTransactionId();
	request->next = requests;
	requests = request;
}

static void
subxact_callback(SubXactEvent event, SubTransactionId subid, SubTransactionId parent,
				 void *arg)
{
	Request **link = &requests;

	while (*link != NULL)
	{
		if ((*link)->subid == subid)
		{
			if (event == SUBXACT_EVENT_COMMIT_SUB)
				(*link)->subid = parent;
			else if (event == SUBXACT_EVENT_ABORT_SUB)
			{
				*link = (*link)->next;
				continue;
			}
		}
		link = &(*link)->next;
	}
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			for (Request *request = requests; request != NULL; request = request->next)
			{
				WorkOrder order = {0};

				order.kind = WORK_MIGRATION;
				order.database = MyDatabaseId;
				order.user = request->user;
				order.migration_id = request->migration_id;
				order.launcher = GetTopTransactionIdIfAny();
				if (!start_worker(&order, "upg migration", NULL))
					ereport(
						ERROR,
						(errcode(ERRCODE_UPG_NO_WORKER),
						 errmsg("could not start a background worker for a migration"),
						 errdetail("All of max_worker_processes (%d) are in use.",
								   max_worker_processes),
						 errhint("Nothing has been changed.  Try again later, or raise "
								 "max_worker_processes.")));
			}
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (requests != NULL)
				ereport(
					ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot PREPARE a transaction that has queued a migration")));
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			requests = NULL;
			break;
		default:
			break;
	}
}

/*
 * start_worker
 *		Register a worker; false if there is no slot for it.
 */
static bool
start_worker(const WorkOrder *order, const char *name, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = handle != NULL ? MyProcPid : 0;
	strlcpy(worker.bgw_library_name, "$libdir/upg", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "upg_worker_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, name, BGW_MAXLEN);
	strlcpy(worker.bgw_type, name, BGW_MAXLEN);
	memcpy(worker.bgw_extra, order, sizeof(WorkOrder));

	return RegisterDynamicBackgroundWorker(&worker, handle);
}

/*
 * upg_worker_record
 *		Have a failed try written down by another process, and wait for it.
 *
 * To be called when the failed subtransaction has been rolled back.  Never
 * raises an error of its own: the caller is about to raise the one that counts.
 */
void
upg_worker_record(const char *attempt_json, const char *migration)
{
	WorkOrder order = {0};
	BackgroundWorkerHandle *handle = NULL;
	dsm_segment *segment;
	FailureRecord *record;
	size_t length = strlen(attempt_json) + 1;
	TimestampTz start = GetCurrentTimestamp();
	BgwHandleStatus status;
	uint32 offered = RECORD_OFFERED;
	pid_t pid;

	if (RecoveryInProgress())
		return;

	segment = dsm_create(offsetof(FailureRecord, json) + length,
						 DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (segment == NULL)
	{
		upg_worker_remember(attempt_json, migration);
		return;
	}
	record = dsm_segment_address(segment);
	pg_atomic_init_u32(&record->state, RECORD_OFFERED);
	memcpy(record->json, attempt_json, length);
	order.kind = WORK_RECORD;
	order.database = MyDatabaseId;
	order.segment = dsm_segment_handle(segment);

	if (!start_worker(&order, "upg recorder", &handle))
	{
		dsm_detach(segment);
		upg_worker_remember(attempt_json, migration);
		return;
	}

	for (;;)
	{
		status = GetBackgroundWorkerPid(handle, &pid);
		if (status == BGWH_STOPPED || status == BGWH_POSTMASTER_DIED)
		{
			/* It may have ended for a reason of its own, such as being cancelled. */
			if (pg_atomic_read_u32(&record->state) != RECORD_WRITTEN)
				upg_worker_remember(attempt_json, migration);
			break;
		}
		if (QueryCancelPending || ProcDiePending ||
			TimestampDifferenceExceeds(start, GetCurrentTimestamp(), RECORD_PATIENCE))
		{
			/* What it has taken it writes without us. */
			if (pg_atomic_compare_exchange_u32(&record->state, &offered,
											   RECORD_WITHDRAWN))
				upg_worker_remember(attempt_json, migration);
			break;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 100,
						 WAIT_EVENT_BGWORKER_SHUTDOWN);
		ResetLatch(MyLatch);
	}
	dsm_detach(segment);
}

/*
 * upg_worker_remember
 *		Keep a failure in the session until the books can be written.
 */
void
upg_worker_remember(const char *attempt_json, const char *migration)
{
	Remembered *entry = MemoryContextAlloc(TopMemoryContext, sizeof(Remembered));

	entry->migration = MemoryContextStrdup(TopMemoryContext, migration);
	entry->json = MemoryContextStrdup(TopMemoryContext, attempt_json);
	entry->next = remembered;
	remembered = entry;
	ereport(LOG, (errmsg("a failed try of migration \"%s\" is not in the books yet",
						 migration),
				  errdetail("%s", attempt_json)));
}

/*
 * upg_worker_forget
 *		Somebody else reports the failure of this migration.
 */
void
upg_worker_forget(const char *migration)
{
	Remembered **link = &remembered;

	while (*link != NULL)
	{
		if (strcmp((*link)->migration, migration) == 0)
			*link = (*link)->next;
		else
			link = &(*link)->next;
	}
}

/*
 * upg_worker_flush
 *		Write down the failures that the session remembers.
 *
 * Called by every function that may write.  If the transaction is rolled back
 * after all, they are remembered no more; they are in the server's log.
 */
void
upg_worker_flush(void)
{
	while (remembered != NULL && !XactReadOnly && !RecoveryInProgress())
	{
		Remembered *entry = remembered;

		remembered = entry->next;
		upg_ledger_attempt_json(entry->json, false);
		pfree(entry->migration);
		pfree(entry->json);
		pfree(entry);
	}
}

/*
 * upg_worker_main
 *		Entry point of the background workers.
 */
void
upg_worker_main(Datum arg)
{
	WorkOrder order;

	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();

	if (order.kind == WORK_RECORD)
	{
		/* Only our own statements run here, as the owner of the books. */
		BackgroundWorkerInitializeConnectionByOid(order.database, InvalidOid, 0);
		pgstat_report_appname("upg recorder");
		own_defaults();
		run_record(order.segment);
		proc_exit(0);
	}

	BackgroundWorkerInitializeConnectionByOid(order.database, order.user, 0);
	pgstat_report_appname("upg migration");
	own_defaults();

	/*
	 * The transaction that queued the migration must have ended.  That takes as
	 * long as it takes, for instance until a synchronous standby has confirmed.
	 */
	if (TransactionIdIsValid(order.launcher))
	{
		int lock_timeout = LockTimeout;

		LockTimeout = 0;
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		XactLockTableWait(order.launcher, NULL, NULL, XLTW_None);
		CommitTransactionCommand();
		LockTimeout = lock_timeout;
	}
	upg_steps_run(order.migration_id, order.launcher);

	proc_exit(0);
}

/*
 * own_defaults
 *		What a role or database sets for its sessions, and workers must not have.
 *
 * Work is only queued by transactions that may write.
 */
static void
own_defaults(void)
{
	SetConfigOption("default_transaction_read_only", "off", PGC_USERSET, PGC_S_SESSION);
}

/*
 * run_record
 *		Write down the failure of a session, unless that has lost its patience.
 */
static void
run_record(dsm_handle handle)
{
	dsm_segment *segment;
	FailureRecord *record;
	uint32 offered = RECORD_OFFERED;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	XactIsoLevel = XACT_READ_COMMITTED;
	PushActiveSnapshot(GetTransactionSnapshot());
	segment = dsm_attach(handle);
	if (segment == NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the session whose failure was to be recorded has gone")));
	/* It is needed beyond the end of the transaction. */
	dsm_pin_mapping(segment);
	record = dsm_segment_address(segment);
	if (!pg_atomic_compare_exchange_u32(&record->state, &offered, RECORD_TAKEN))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the session writes its failure down itself")));
	pgstat_report_activity(STATE_RUNNING, "recording a failed migration");
	upg_ledger_attempt_json(record->json, true);
	PopActiveSnapshot();
	CommitTransactionCommand();
	pg_atomic_write_u32(&record->state, RECORD_WRITTEN);
	pgstat_report_stat(true);
}
