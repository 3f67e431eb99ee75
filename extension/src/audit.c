/*-------------------------------------------------------------------------
 *
 * audit.c
 *		Appends to the audit trail, a hash chain in the order of commits.
 *
 * An action is recorded by upg_audit_add(), which only remembers the entry in
 * memory; an entry of a subtransaction that aborts is forgotten with it.  At
 * pre-commit, after everything that can take long, the transaction takes the
 * chain's lock, reads the last entry, and appends its own.
 *
 * The lock is a heavyweight lock of the advisory kind, in a class of its own
 * (objsubid 86; SQL functions can only make classes 1 and 2), so neither
 * autovacuum nor an index build nor an application's advisory lock meets it.
 * It is a transaction lock: the server releases it after the transaction has
 * become visible to others.  So whoever holds it sees every entry before his
 * own, and the order of the chain is the order of commits.
 *
 * The last entry is read with SnapshotSelf, which sees what is committed now
 * whatever the isolation level, and takes no predicate locks: writers of the
 * trail cannot make each other fail under SERIALIZABLE.
 *
 * Rows are written by table_tuple_insert() and the executor's index code, not
 * by SQL: the triggers of the table refuse SQL from anybody, and no right on
 * the table is needed to leave a trace in it.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/audit.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "audit.h"
#include "compat.h"
#include "errors.h"
#include "spi.h"

/* The chain's lock: its class among advisory locks, and its key ("upg audt"). */
#define CHAIN_LOCK_CLASS 86
#define CHAIN_LOCK_KEY1  0x75706720
#define CHAIN_LOCK_KEY2  0x61756474

/* First field of what is hashed; another layout needs another word. */
#define CHAIN_FORMAT "upg-audit-1"

/* An entry that waits for the commit. */
typedef struct PendingEntry
{
	UpgAuditEntry entry;
	SubTransactionId subid; /* the subtransaction it belongs to */
	struct PendingEntry *next;
	struct PendingEntry *prev;
} PendingEntry;

/*
 * Pending entries, oldest first, all allocated in pending_context, which is a
 * child of TopTransactionContext and goes with it.
 */
static PendingEntry *pending_first = NULL;
static PendingEntry *pending_last = NULL;
static MemoryContext pending_context = NULL;

static const Oid log_types[UPG_AUDIT_COLUMNS] = {
	INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, INT4OID,  TEXTOID, TEXTOID,
	TEXTOID, TEXTOID,        JSONOID, JSONOID, BYTEAOID, BYTEAOID};

const UpgTable upg_audit_log = {"audit_log", UPG_AUDIT_COLUMNS, log_types};

PG_FUNCTION_INFO_V1(upg_audit_note);
PG_FUNCTION_INFO_V1(upg_audit_refuse);

static void audit_xact_callback(XactEvent event, void *arg);
static void audit_subxact_callback(SubXactEvent event, SubTransactionId mySubid,
								   SubTransactionId parentSubid, void *arg);

/*
 * upg_audit_init
 *		Hook into the ends of transactions and subtransactions.
 *
 * Call it before other modules of upg register callbacks: the server calls
 * the newest first, so what those add at pre-commit is still recorded.
 */
void
upg_audit_init(void)
{
	RegisterXactCallback(audit_xact_callback, NULL);
	RegisterSubXactCallback(audit_subxact_callback, NULL);
}

/*
 * client_address
 *		Address of the client as text, or NULL.  The result is palloc'd.
 */
static char *
client_address(void)
{
	LOCAL_FCINFO(fcinfo, 0);
	Datum addr;

	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	addr = inet_client_addr(fcinfo);
	if (fcinfo->isnull)
		return NULL;
	return TextDatumGetCString(DirectFunctionCall1(network_host, addr));
}

/*
 * canonical_json
 *		Check JSON and write it on one line, in the server's own layout.
 */
static char *
canonical_json(const char *json)
{
	Jsonb *value;

	if (json == NULL)
		return NULL;
	value = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
	return JsonbToCString(NULL, &value->root, VARSIZE(value));
}

/*
 * upg_audit_add
 *		Record an action; the entry becomes durable with this transaction.
 *
 * "object" says what was acted upon, before and after are JSON; each may be
 * NULL.  The role recorded is the current one, so call this before or after,
 * not while, running as the owner of the books.  Strings are copied.
 */
void
upg_audit_add(const char *action, const char *object, const char *before_json,
			  const char *after_json)
{
	upg_audit_add_for(GetUserNameFromId(GetSessionUserId(), false),
					  GetUserNameFromId(GetUserId(), false), MyProcPid, action, object,
					  before_json, after_json);
}

/*
 * upg_audit_add_for
 *		As upg_audit_add(), for what another process has done.
 */
void
upg_audit_add_for(const char *actor, const char *role, int32 pid, const char *action,
				  const char *object, const char *before_json, const char *after_json)
{
	MemoryContext old;
	PendingEntry *item;

	PreventCommandDuringRecovery("upg_audit_add()");
	PreventCommandIfParallelMode("upg_audit_add()");

	if (pending_context == NULL)
		pending_context = AllocSetContextCreate(
			TopTransactionContext, "upg audit entries", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(pending_context);

	item = palloc0(sizeof(PendingEntry));
	item->entry.at = GetCurrentTimestamp();
	item->entry.actor = pstrdup(actor);
	item->entry.role = pstrdup(role);
	item->entry.pid = pid;
	if (application_name && application_name[0] != '\0')
		item->entry.application = pstrdup(application_name);
	item->entry.client = client_address();
	item->entry.action = pstrdup(action);
	item->entry.object = object ? pstrdup(object) : NULL;
	item->entry.before = canonical_json(before_json);
	item->entry.after = canonical_json(after_json);
	item->subid = GetCurrentSubTransactionId();

	item->prev = pending_last;
	if (pending_last)
		pending_last->next = item;
	else
		pending_first = item;
	pending_last = item;

	MemoryContextSwitchTo(old);
}

/*
 * add_netstring
 *		Append one field: its length in bytes, a colon, the bytes in UTF-8, a
 *		comma.  NULL is "-,", which no netstring begins with.
 */
static void
add_netstring(StringInfo buf, const char *value)
{
	char *utf8;
	int len;

	if (value == NULL)
	{
		appendStringInfoString(buf, "-,");
		return;
	}
	len = strlen(value);
	utf8 = pg_server_to_any(value, len, PG_UTF8);
	if (utf8 != value)
		len = strlen(utf8);
	appendStringInfo(buf, "%d:", len);
	appendBinaryStringInfo(buf, utf8, len);
	appendStringInfoChar(buf, ',');
	if (utf8 != value)
		pfree(utf8);
}

/*
 * add_integer
 *		Append one field that holds a number, in decimal digits.
 */
static void
add_integer(StringInfo buf, int64 value)
{
	char digits[MAXINT8LEN + 1];

	pg_lltoa(value, digits);
	add_netstring(buf, digits);
}

/*
 * unix_microseconds
 *		A time stamp as microseconds since 1970-01-01 00:00 UTC.
 *
 * Infinities, which only an edited row can hold, keep their own value.
 */
static int64
unix_microseconds(TimestampTz at)
{
	if (TIMESTAMP_NOT_FINITE(at))
		return at;
	return at + ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)) * USECS_PER_DAY;
}

/*
 * upg_audit_hash_create
 *		A SHA-256 context of the server's own kind, to use for many entries.
 *
 * On an error the server frees it with the resource owner or memory context.
 */
pg_cryptohash_ctx *
upg_audit_hash_create(void)
{
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);

	if (ctx == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return ctx;
}

/*
 * upg_audit_hash_free
 *		Give back what upg_audit_hash_create() made.
 */
void
upg_audit_hash_free(pg_cryptohash_ctx *ctx)
{
	pg_cryptohash_free(ctx);
}

/*
 * upg_audit_hash
 *		SHA-256 of the previous entry's hash and this entry's fields.
 *
 * The order of the fields here is the documented format (docs/audit.md); the
 * entry's own hash is not read.  "buf" is scratch space, to be used again.
 */
void
upg_audit_hash(pg_cryptohash_ctx *ctx, const UpgAuditEntry *entry, StringInfo buf,
			   uint8 *hash)
{
	char prev_hex[UPG_AUDIT_HASH_LEN * 2 + 1];

	hex_encode((const char *) entry->prev, UPG_AUDIT_HASH_LEN, prev_hex);
	prev_hex[UPG_AUDIT_HASH_LEN * 2] = '\0';

	resetStringInfo(buf);
	add_netstring(buf, CHAIN_FORMAT);
	add_netstring(buf, prev_hex);
	add_integer(buf, entry->seq);
	add_integer(buf, unix_microseconds(entry->at));
	add_netstring(buf, entry->actor);
	add_netstring(buf, entry->role);
	add_integer(buf, entry->pid);
	add_netstring(buf, entry->application);
	add_netstring(buf, entry->client);
	add_netstring(buf, entry->action);
	add_netstring(buf, entry->object);
	add_netstring(buf, entry->before);
	add_netstring(buf, entry->after);

	if (pg_cryptohash_init(ctx) < 0 ||
		pg_cryptohash_update(ctx, (const uint8 *) buf->data, buf->len) < 0 ||
		pg_cryptohash_final(ctx, hash, UPG_AUDIT_HASH_LEN) < 0)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("could not compute SHA-256 of an audit entry: %s",
							   pg_cryptohash_error(ctx))));
}

/*
 * read_text
 *		One text-like column as a palloc'd string, or NULL.
 */
static char *
read_text(Datum *values, bool *nulls, UpgAuditColumn column)
{
	return nulls[column] ? NULL : TextDatumGetCString(values[column]);
}

/*
 * read_hash
 *		Copy a hash out of a bytea; false if it is NULL or of another length.
 */
static bool
read_hash(Datum *values, bool *nulls, UpgAuditColumn column, uint8 *hash)
{
	bytea *data;

	memset(hash, 0, UPG_AUDIT_HASH_LEN);
	if (nulls[column])
		return false;
	data = DatumGetByteaPP(values[column]);
	if (VARSIZE_ANY_EXHDR(data) != UPG_AUDIT_HASH_LEN)
		return false;
	memcpy(hash, VARDATA_ANY(data), UPG_AUDIT_HASH_LEN);
	return true;
}

/*
 * upg_audit_read_entry
 *		Take a row apart.  Strings are allocated in the current context.
 */
void
upg_audit_read_entry(HeapTuple tuple, TupleDesc desc, UpgAuditEntry *entry)
{
	Datum values[UPG_AUDIT_COLUMNS];
	bool nulls[UPG_AUDIT_COLUMNS];

	heap_deform_tuple(tuple, desc, values, nulls);
	memset(entry, 0, sizeof(*entry));
	if (!nulls[UPG_AUDIT_SEQ])
		entry->seq = DatumGetInt64(values[UPG_AUDIT_SEQ]);
	if (!nulls[UPG_AUDIT_AT])
		entry->at = DatumGetTimestampTz(values[UPG_AUDIT_AT]);
	entry->actor = read_text(values, nulls, UPG_AUDIT_ACTOR);
	entry->role = read_text(values, nulls, UPG_AUDIT_ROLE);
	if (!nulls[UPG_AUDIT_PID])
		entry->pid = DatumGetInt32(values[UPG_AUDIT_PID]);
	entry->application = read_text(values, nulls, UPG_AUDIT_APPLICATION);
	entry->client = read_text(values, nulls, UPG_AUDIT_CLIENT);
	entry->action = read_text(values, nulls, UPG_AUDIT_ACTION);
	entry->object = read_text(values, nulls, UPG_AUDIT_OBJECT);
	entry->before = read_text(values, nulls, UPG_AUDIT_BEFORE);
	entry->after = read_text(values, nulls, UPG_AUDIT_AFTER);
	entry->prev_valid = read_hash(values, nulls, UPG_AUDIT_PREV, entry->prev);
	entry->hash_valid = read_hash(values, nulls, UPG_AUDIT_HASH, entry->hash);
}

/*
 * upg_audit_read_head
 *		Read the last committed entry; false if the trail is empty.
 */
bool
upg_audit_read_head(Relation rel, UpgAuditEntry *entry)
{
	Relation index;
	SysScanDesc scan;
	HeapTuple tuple;

	index = index_open(upg_relation_oid("audit_log_pkey", false), AccessShareLock);
	scan = systable_beginscan_ordered(rel, index, SnapshotSelf, 0, NULL);
	tuple = systable_getnext_ordered(scan, BackwardScanDirection);
	if (HeapTupleIsValid(tuple))
		upg_audit_read_entry(tuple, RelationGetDescr(rel), entry);
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	return HeapTupleIsValid(tuple);
}

/*
 * text_or_null
 *		Set one column of a row to be inserted.
 */
static void
text_or_null(Datum *values, bool *nulls, UpgAuditColumn column, const char *value)
{
	nulls[column] = value == NULL;
	values[column] = value ? CStringGetTextDatum(value) : (Datum) 0;
}

/*
 * insert_entry
 *		Write a finished entry.
 */
static void
insert_entry(Relation rel, const UpgAuditEntry *entry)
{
	Datum values[UPG_AUDIT_COLUMNS];
	bool nulls[UPG_AUDIT_COLUMNS] = {false};

	values[UPG_AUDIT_SEQ] = Int64GetDatum(entry->seq);
	values[UPG_AUDIT_AT] = TimestampTzGetDatum(entry->at);
	text_or_null(values, nulls, UPG_AUDIT_ACTOR, entry->actor);
	text_or_null(values, nulls, UPG_AUDIT_ROLE, entry->role);
	values[UPG_AUDIT_PID] = Int32GetDatum(entry->pid);
	text_or_null(values, nulls, UPG_AUDIT_APPLICATION, entry->application);
	text_or_null(values, nulls, UPG_AUDIT_CLIENT, entry->client);
	text_or_null(values, nulls, UPG_AUDIT_ACTION, entry->action);
	text_or_null(values, nulls, UPG_AUDIT_OBJECT, entry->object);
	text_or_null(values, nulls, UPG_AUDIT_BEFORE, entry->before);
	text_or_null(values, nulls, UPG_AUDIT_AFTER, entry->after);
	values[UPG_AUDIT_PREV] = upg_bytea(entry->prev, UPG_AUDIT_HASH_LEN);
	values[UPG_AUDIT_HASH] = upg_bytea(entry->hash, UPG_AUDIT_HASH_LEN);
	upg_table_insert(rel, values, nulls);
}

/*
 * lock_chain
 *		Wait until no other transaction is appending; hold it until the end.
 *
 * lock_timeout does not count here: it is meant for locks on the user's
 * objects, and a transaction whose work is done must not be lost because
 * another one is committing.  statement_timeout and a cancel still work, and
 * the deadlock detector sees the wait.
 */
static void
lock_chain(void)
{
	LOCKTAG tag;
	int saved = LockTimeout;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, CHAIN_LOCK_KEY1, CHAIN_LOCK_KEY2,
						 CHAIN_LOCK_CLASS);
	PG_TRY();
	{
		LockTimeout = 0;
		(void) LockAcquire(&tag, ExclusiveLock, false, false);
	}
	PG_FINALLY();
	{
		LockTimeout = saved;
	}
	PG_END_TRY();
}

/*
 * append_pending
 *		Append every pending entry to the chain.  Only at pre-commit.
 *
 * If the extension was dropped by this very transaction, there is no trail to
 * append to any more, and the entries go with it.
 */
static void
append_pending(void)
{
	ResourceOwner saved_owner = CurrentResourceOwner;
	MemoryContext work;
	MemoryContext old;
	Relation rel;
	UpgAuditEntry head;
	pg_cryptohash_ctx *ctx;
	StringInfoData buf;

	if (!OidIsValid(upg_relation_oid(upg_audit_log.name, true)))
		return;

	CurrentResourceOwner = TopTransactionResourceOwner;
	work = AllocSetContextCreate(TopTransactionContext, "upg audit append",
								 ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(work);

	rel = upg_table_open(&upg_audit_log, RowExclusiveLock);
	lock_chain();
	PushActiveSnapshot(GetLatestSnapshot());

	if (!upg_audit_read_head(rel, &head))
		memset(&head, 0, sizeof(head));

	ctx = upg_audit_hash_create();
	initStringInfo(&buf);
	for (PendingEntry *item = pending_first; item != NULL; item = item->next)
	{
		item->entry.seq = head.seq + 1;
		memcpy(item->entry.prev, head.hash, UPG_AUDIT_HASH_LEN);
		upg_audit_hash(ctx, &item->entry, &buf, item->entry.hash);
		insert_entry(rel, &item->entry);
		head.seq = item->entry.seq;
		memcpy(head.hash, item->entry.hash, UPG_AUDIT_HASH_LEN);
	}
	upg_audit_hash_free(ctx);

	PopActiveSnapshot();
	table_close(rel, NoLock);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	CurrentResourceOwner = saved_owner;
}

/*
 * forget_pending
 *		The transaction has ended, and with it the memory of the entries.
 */
static void
forget_pending(void)
{
	pending_first = pending_last = NULL;
	pending_context = NULL;
}

/*
 * audit_xact_callback
 *		Append at pre-commit; refuse to prepare; forget at the end.
 *
 * A prepared transaction could commit at any later time, in another session
 * and after the server's restart: it would have to hold the chain's lock all
 * that time.
 */
static void
audit_xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (pending_first != NULL)
				append_pending();
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (pending_first != NULL)
				ereport(
					ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot PREPARE a transaction that upg has to audit"),
					 errdetail("Entries of the audit trail are written in the order of "
							   "commits, which a prepared transaction leaves open."),
					 errhint("Commit it with COMMIT.")));
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			forget_pending();
			break;
		default:
			break;
	}
}

/*
 * audit_subxact_callback
 *		Hand entries to the parent, or forget them.
 *
 * Numbers of subtransactions grow, and the one that ends is the innermost, so
 * the entries made since it began are those at the end of the list whose
 * number is not less than its own.
 */
static void
audit_subxact_callback(SubXactEvent event, SubTransactionId mySubid,
					   SubTransactionId parentSubid, void *arg)
{
	PendingEntry *item;

	if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (item = pending_last; item != NULL && item->subid >= mySubid;
			 item = item->prev)
			item->subid = parentSubid;
	}
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		for (item = pending_last; item != NULL && item->subid >= mySubid;
			 item = item->prev)
			;
		pending_last = item;
		if (item != NULL)
			item->next = NULL;
		else
			pending_first = NULL;
	}
}

/*
 * upg_audit_note
 *		Let a person add an entry: action "note.<word>", so that it cannot be
 *		taken for one that upg made.
 */
Datum
upg_audit_note(PG_FUNCTION_ARGS)
{
	char *action;
	char *object = NULL;
	char *detail = NULL;

	PreventCommandDuringRecovery("upg_audit_note()");
	PreventCommandIfReadOnly("upg_audit_note()");

	if (PG_ARGISNULL(0) || VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(0)) == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("action of an audit note must not be empty"),
						errhint("Name what was done, such as \"restore-drill\".")));
	action = psprintf("note.%s", text_to_cstring(PG_GETARG_TEXT_PP(0)));
	if (!PG_ARGISNULL(1))
		object = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!PG_ARGISNULL(2))
	{
		Jsonb *value = PG_GETARG_JSONB_P(2);

		detail = JsonbToCString(NULL, &value->root, VARSIZE(value));
	}
	upg_audit_add(action, object, NULL, detail);
	PG_RETURN_VOID();
}

/*
 * upg_audit_refuse
 *		Trigger on the tables of the trail: no SQL changes them.
 *
 * One thing is let through: a superuser may load rows into an empty table, or
 * a dump of the database could not be restored.  What was loaded is checked
 * by upg_audit_verify() like everything else.
 */
Datum
upg_audit_refuse(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const char *command;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function \"%s\" was not called by a trigger",
							   "upg_audit_refuse")));

	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		command = "INSERT";
		if (superuser())
		{
			SysScanDesc scan = systable_beginscan(trigger->tg_relation, InvalidOid, false,
												  SnapshotSelf, 0, NULL);
			bool empty = !HeapTupleIsValid(systable_getnext(scan));

			systable_endscan(scan);
			if (empty)
				return PointerGetDatum(NULL);
		}
	}
	else if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		command = "UPDATE";
	else if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		command = "DELETE";
	else
		command = "TRUNCATE";

	ereport(ERROR,
			(errcode(ERRCODE_UPG_AUDIT),
			 errmsg("cannot %s \"upg.%s\"", command,
					RelationGetRelationName(trigger->tg_relation)),
			 errdetail("The audit trail only grows, and only upg itself writes it."),
			 errhint("Use upg_audit_note() to add a remark to it.")));
}
