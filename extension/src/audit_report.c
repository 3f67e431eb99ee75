/*-------------------------------------------------------------------------
 *
 * audit_report.c
 *		Reads the audit trail: verification, export, checkpoints.
 *
 * All of it reads what is committed now, not what the transaction's snapshot
 * sees: a checkpoint that is younger than an old snapshot must not look like
 * a trail that was cut.  As the order of the chain is the order of commits,
 * any snapshot sees an unbroken beginning of it.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/audit_report.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "spi.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "audit.h"
#include "errors.h"

#define HASH_HEX_LEN (UPG_AUDIT_HASH_LEN * 2)

/* columns of upg.audit_checkpoints, from zero */
enum
{
	CHECKPOINT_SEQ,
	CHECKPOINT_HASH,
	CHECKPOINT_AT,
	CHECKPOINT_ACTOR,
	CHECKPOINT_NOTE,
	CHECKPOINT_COLUMNS
};

/* What is known about the chain from an earlier look at it. */
typedef struct Checkpoint
{
	int64 seq; /* zero: the trail was empty */
	uint8 hash[UPG_AUDIT_HASH_LEN];
	bool external; /* given by the caller, not read from the table */
} Checkpoint;

/* A walk through the chain in its own order. */
typedef struct ChainScan
{
	Relation rel;
	Relation index;
	Snapshot snapshot;
	SysScanDesc scan;
	MemoryContext scan_context;  /* the index code keeps what it allocates */
	MemoryContext entry_context; /* strings of the entry read last */
} ChainScan;

PG_FUNCTION_INFO_V1(upg_audit_checkpoint);
PG_FUNCTION_INFO_V1(upg_audit_export);
PG_FUNCTION_INFO_V1(upg_audit_verify);

/*
 * chain_begin
 *		Start a walk at entry "from_seq" over what is committed now.
 */
static void
chain_begin(ChainScan *chain, int64 from_seq)
{
	ScanKeyData key;

	chain->rel = upg_table_open(&upg_audit_log, AccessShareLock);
	chain->index = index_open(upg_relation_oid("audit_log_pkey", false), AccessShareLock);
	chain->snapshot = RegisterSnapshot(GetLatestSnapshot());
	chain->scan_context = CurrentMemoryContext;
	chain->entry_context = AllocSetContextCreate(CurrentMemoryContext, "upg audit entry",
												 ALLOCSET_DEFAULT_SIZES);
	ScanKeyInit(&key, 1, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(from_seq));
	chain->scan =
		systable_beginscan_ordered(chain->rel, chain->index, chain->snapshot, 1, &key);
}

/*
 * chain_next
 *		Read the next entry; it lives until the next call.
 */
static bool
chain_next(ChainScan *chain, UpgAuditEntry *entry)
{
	MemoryContext old = MemoryContextSwitchTo(chain->scan_context);
	HeapTuple tuple;

	CHECK_FOR_INTERRUPTS();
	tuple = systable_getnext_ordered(chain->scan, ForwardScanDirection);
	MemoryContextReset(chain->entry_context);
	if (HeapTupleIsValid(tuple))
	{
		MemoryContextSwitchTo(chain->entry_context);
		upg_audit_read_entry(tuple, RelationGetDescr(chain->rel), entry);
	}
	MemoryContextSwitchTo(old);
	return HeapTupleIsValid(tuple);
}

/*
 * chain_end
 *		End a walk.
 */
static void
chain_end(ChainScan *chain)
{
	systable_endscan_ordered(chain->scan);
	UnregisterSnapshot(chain->snapshot);
	MemoryContextDelete(chain->entry_context);
	index_close(chain->index, AccessShareLock);
	table_close(chain->rel, AccessShareLock);
}

/*
 * hex
 *		A hash in hexadecimal digits, palloc'd.
 */
static char *
hex(const uint8 *hash)
{
	char *out = palloc(HASH_HEX_LEN + 1);

	hex_encode((const char *) hash, UPG_AUDIT_HASH_LEN, out);
	out[HASH_HEX_LEN] = '\0';
	return out;
}

/*
 * invalid_checkpoint
 *		Refuse a checkpoint that cannot be one.
 */
static void
invalid_checkpoint(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid checkpoint of the audit trail"), errdetail("%s", detail),
			 errhint("Pass what upg_audit_checkpoint() returned, unchanged.")));
}

/*
 * parse_checkpoint
 *		Take sequence number and hash out of a checkpoint's JSON.
 *
 * The other keys are for people: a trail that was restored elsewhere is still
 * the same trail, so another system identifier is no fault.
 */
static void
parse_checkpoint(Jsonb *json, Checkpoint *point)
{
	JsonbValue *value;

	if (!JB_ROOT_IS_OBJECT(json))
		invalid_checkpoint("It is not a JSON object.");

	value = getKeyJsonValueFromContainer(&json->root, "upg", 3, NULL);
	if (value == NULL || value->type != jbvNumeric ||
		!DatumGetBool(
			DirectFunctionCall2(numeric_eq, NumericGetDatum(value->val.numeric),
								DirectFunctionCall1(int4_numeric, Int32GetDatum(1)))))
		invalid_checkpoint("Key \"upg\", the version of its format, must be 1.");

	value = getKeyJsonValueFromContainer(&json->root, "seq", 3, NULL);
	if (value == NULL || value->type != jbvNumeric)
		invalid_checkpoint("Key \"seq\" must be a number.");
	point->seq = DatumGetInt64(
		DirectFunctionCall1(numeric_int8, NumericGetDatum(value->val.numeric)));
	if (point->seq < 0)
		invalid_checkpoint("Key \"seq\" must not be negative.");

	value = getKeyJsonValueFromContainer(&json->root, "hash", 4, NULL);
	if (value == NULL || value->type != jbvString ||
		value->val.string.len != HASH_HEX_LEN ||
		strspn(pnstrdup(value->val.string.val, HASH_HEX_LEN), "0123456789abcdef") !=
			HASH_HEX_LEN)
		invalid_checkpoint("Key \"hash\" must be 64 lower-case hexadecimal digits.");
	hex_decode(value->val.string.val, HASH_HEX_LEN, (char *) point->hash);
	point->external = true;
}

/*
 * compare_checkpoints
 *		qsort comparator: by sequence number.
 */
static int
compare_checkpoints(const void *a, const void *b)
{
	int64 x = ((const Checkpoint *) a)->seq;
	int64 y = ((const Checkpoint *) b)->seq;

	return (x > y) - (x < y);
}

/*
 * collect_checkpoints
 *		The given checkpoint, if any, and those kept in the database, sorted.
 *
 * Whoever can edit the trail can edit the kept ones too; they help against
 * somebody who forgot to, and narrow down where the chain was rewritten.
 */
static Checkpoint *
collect_checkpoints(Jsonb *given, int *count)
{
	Relation rel =
		table_open(upg_relation_oid("audit_checkpoints", false), AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan;
	HeapTuple tuple;
	int size = 16;
	Checkpoint *points = palloc(size * sizeof(Checkpoint));

	*count = 0;
	if (given != NULL)
		parse_checkpoint(given, &points[(*count)++]);

	scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool seq_null;
		bool hash_null;
		Datum seq =
			heap_getattr(tuple, CHECKPOINT_SEQ + 1, RelationGetDescr(rel), &seq_null);
		Datum hash =
			heap_getattr(tuple, CHECKPOINT_HASH + 1, RelationGetDescr(rel), &hash_null);
		bytea *bytes = hash_null ? NULL : DatumGetByteaPP(hash);

		/* Not one that we wrote: constraints forbid it. */
		if (seq_null || hash_null || VARSIZE_ANY_EXHDR(bytes) != UPG_AUDIT_HASH_LEN)
			continue;
		if (*count == size)
		{
			size *= 2;
			points = repalloc(points, size * sizeof(Checkpoint));
		}
		points[*count].seq = DatumGetInt64(seq);
		points[*count].external = false;
		memcpy(points[*count].hash, VARDATA_ANY(bytes), UPG_AUDIT_HASH_LEN);
		(*count)++;
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);

	qsort(points, *count, sizeof(Checkpoint), compare_checkpoints);
	return points;
}

/*
 * entry_fault
 *		What is wrong with one entry, given its predecessor; NULL if nothing.
 *
 * "expected" and "prev_hash" say what the chain leads to expect.  On a fault,
 * *first_bad is the number of the entry that is broken or missing.
 */
static char *
entry_fault(const UpgAuditEntry *entry, int64 expected, const uint8 *prev_hash,
			pg_cryptohash_ctx *ctx, StringInfo buf, int64 *first_bad)
{
	uint8 hash[UPG_AUDIT_HASH_LEN];

	*first_bad = expected;
	if (entry->seq > expected)
	{
		if (entry->seq == expected + 1)
			return psprintf("entry " INT64_FORMAT " is missing", expected);
		return psprintf("entries " INT64_FORMAT " to " INT64_FORMAT " are missing",
						expected, entry->seq - 1);
	}
	if (entry->seq < expected)
	{
		*first_bad = entry->seq;
		return psprintf("number " INT64_FORMAT " is out of order", entry->seq);
	}
	if (entry->hash_valid && entry->prev_valid)
	{
		upg_audit_hash(ctx, entry, buf, hash);
		if (memcmp(hash, entry->hash, UPG_AUDIT_HASH_LEN) == 0)
		{
			if (memcmp(entry->prev, prev_hash, UPG_AUDIT_HASH_LEN) == 0)
				return NULL;
			return psprintf("entry " INT64_FORMAT
							" does not continue the chain: it names another predecessor",
							entry->seq);
		}
	}
	return psprintf("entry " INT64_FORMAT
					" was edited: its hash does not match its contents",
					entry->seq);
}

/*
 * checkpoint_fault
 *		Compare the chain's hash at a checkpoint; NULL if they agree.
 */
static char *
checkpoint_fault(const Checkpoint *point, int64 agreed, const uint8 *hash)
{
	if (memcmp(point->hash, hash, UPG_AUDIT_HASH_LEN) == 0)
		return NULL;
	return psprintf("the chain was rewritten between entries " INT64_FORMAT
					" and " INT64_FORMAT ": entry " INT64_FORMAT
					" has another hash than %s",
					agreed + 1, point->seq, point->seq,
					point->external ? "the checkpoint given" : "a checkpoint kept");
}

/*
 * upg_audit_verify
 *		Walk the chain and tell the first entry that is not as it was written.
 */
Datum
upg_audit_verify(PG_FUNCTION_ARGS)
{
	Jsonb *given = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	TupleDesc desc;
	Datum values[4];
	bool nulls[4] = {false, false, true, true};
	Checkpoint *points;
	int npoints;
	int next = 0;
	ChainScan chain;
	UpgAuditEntry entry;
	uint8 last_hash[UPG_AUDIT_HASH_LEN] = {0};
	int64 entries = 0;
	int64 last = 0;
	int64 agreed = 0;
	int64 first_bad = 0;
	char *fault = NULL;
	pg_cryptohash_ctx *ctx;
	StringInfoData buf;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	points = collect_checkpoints(given, &npoints);
	initStringInfo(&buf);
	chain_begin(&chain, PG_INT64_MIN);
	ctx = upg_audit_hash_create();

	/* Checkpoints of an empty trail hold the hash that a chain starts from. */
	for (; fault == NULL && next < npoints && points[next].seq == 0; next++)
		fault = checkpoint_fault(&points[next], -1, last_hash);

	while (chain_next(&chain, &entry))
	{
		entries++;
		if (fault == NULL)
		{
			fault = entry_fault(&entry, last + 1, last_hash, ctx, &buf, &first_bad);
			if (fault == NULL)
			{
				last = entry.seq;
				memcpy(last_hash, entry.hash, UPG_AUDIT_HASH_LEN);
			}
			for (; fault == NULL && next < npoints && points[next].seq == last; next++)
			{
				fault = checkpoint_fault(&points[next], agreed, last_hash);
				first_bad = last;
				if (fault == NULL)
					agreed = last;
			}
		}
	}
	upg_audit_hash_free(ctx);
	chain_end(&chain);

	/* A checkpoint beyond the end: the tail is gone. */
	if (fault == NULL && next < npoints)
	{
		fault = psprintf(
			"entries after " INT64_FORMAT " are missing: %s knows entry " INT64_FORMAT,
			last,
			points[npoints - 1].external ? "the checkpoint given" : "a checkpoint kept",
			points[npoints - 1].seq);
		first_bad = last + 1;
	}

	values[0] = BoolGetDatum(fault == NULL);
	values[1] = Int64GetDatum(entries);
	if (fault != NULL)
	{
		values[2] = Int64GetDatum(first_bad);
		values[3] = CStringGetTextDatum(fault);
		nulls[2] = nulls[3] = false;
	}
	PG_RETURN_DATUM(
		HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * iso_time
 *		A time stamp in ISO 8601, UTC, always with six digits of a second.
 */
static char *
iso_time(TimestampTz at)
{
	struct pg_tm tm;
	fsec_t fsec;

	if (TIMESTAMP_IS_NOBEGIN(at))
		return "-infinity";
	if (TIMESTAMP_IS_NOEND(at))
		return "infinity";
	if (timestamp2tm(at, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("timestamp out of range")));
	return psprintf("%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year, tm.tm_mon,
					tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fsec);
}

/*
 * json_field
 *		Append one member of an entry's JSON object; NULL becomes null.
 */
static void
json_field(StringInfo line, const char *name, const char *value)
{
	appendStringInfo(line, ",\"%s\":", name);
	if (value == NULL)
		appendStringInfoString(line, "null");
	else
		escape_json(line, value);
}

/*
 * entry_as_json
 *		One entry as a line of JSON.
 *
 * before and after are strings that hold JSON: the hash covers their bytes,
 * which not every parser would give back from an object.
 */
static void
entry_as_json(StringInfo line, const UpgAuditEntry *entry)
{
	appendStringInfo(line, "{\"seq\":" INT64_FORMAT, entry->seq);
	json_field(line, "at", iso_time(entry->at));
	json_field(line, "actor", entry->actor);
	json_field(line, "role", entry->role);
	appendStringInfo(line, ",\"pid\":%d", entry->pid);
	json_field(line, "application_name", entry->application);
	json_field(line, "client_addr", entry->client);
	json_field(line, "action", entry->action);
	json_field(line, "object", entry->object);
	json_field(line, "before", entry->before);
	json_field(line, "after", entry->after);
	json_field(line, "prev", hex(entry->prev));
	json_field(line, "hash", hex(entry->hash));
	appendStringInfoChar(line, '}');
}

/*
 * csv_field
 *		Append one field as RFC 4180 has it; NULL is empty, "" is quoted.
 */
static void
csv_field(StringInfo line, const char *value)
{
	if (line->len > 0)
		appendStringInfoChar(line, ',');
	if (value == NULL)
		return;
	if (value[0] != '\0' && strpbrk(value, ",\"\r\n") == NULL)
	{
		appendStringInfoString(line, value);
		return;
	}
	appendStringInfoChar(line, '"');
	for (const char *p = value; *p != '\0'; p++)
	{
		if (*p == '"')
			appendStringInfoChar(line, '"');
		appendStringInfoChar(line, *p);
	}
	appendStringInfoChar(line, '"');
}

/*
 * entry_as_csv
 *		One entry as a record of CSV, in the order of the header line.
 */
static void
entry_as_csv(StringInfo line, const UpgAuditEntry *entry)
{
	csv_field(line, psprintf(INT64_FORMAT, entry->seq));
	csv_field(line, iso_time(entry->at));
	csv_field(line, entry->actor);
	csv_field(line, entry->role);
	csv_field(line, psprintf("%d", entry->pid));
	csv_field(line, entry->application);
	csv_field(line, entry->client);
	csv_field(line, entry->action);
	csv_field(line, entry->object);
	csv_field(line, entry->before);
	csv_field(line, entry->after);
	csv_field(line, hex(entry->prev));
	csv_field(line, hex(entry->hash));
}

/*
 * upg_audit_export
 *		The trail as lines of text, from an entry on.
 */
Datum
upg_audit_export(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char *format = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int64 from_seq = PG_GETARG_INT64(1);
	bool csv = strcmp(format, "csv") == 0;
	ChainScan chain;
	UpgAuditEntry entry;
	MemoryContext per_line;
	MemoryContext old;
	Datum value;
	bool null = false;
	StringInfoData line;

	if (!csv && strcmp(format, "jsonl") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unrecognized export format \"%s\"", format),
						errhint("Available formats are \"jsonl\" and \"csv\".")));

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	per_line = AllocSetContextCreate(CurrentMemoryContext, "upg audit export",
									 ALLOCSET_DEFAULT_SIZES);
	if (csv)
	{
		value = CStringGetTextDatum(
			"seq,at,actor,role,pid,application_name,client_addr,action,"
			"object,before,after,prev,hash");
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &null);
	}

	chain_begin(&chain, from_seq);
	old = MemoryContextSwitchTo(per_line);
	while (chain_next(&chain, &entry))
	{
		initStringInfo(&line);
		if (csv)
			entry_as_csv(&line, &entry);
		else
			entry_as_json(&line, &entry);
		value = PointerGetDatum(cstring_to_text_with_len(line.data, line.len));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &null);
		MemoryContextReset(per_line);
	}
	MemoryContextSwitchTo(old);
	chain_end(&chain);
	return (Datum) 0;
}

/*
 * checkpoint_json
 *		The text of a checkpoint, to be kept where nobody here can edit it.
 */
static char *
checkpoint_json(int64 seq, const uint8 *hash, TimestampTz at)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"upg\":1,\"seq\":" INT64_FORMAT, seq);
	json_field(&json, "hash", hex(hash));
	json_field(&json, "at", iso_time(at));
	json_field(&json, "system_identifier",
			   psprintf(UINT64_FORMAT, GetSystemIdentifier()));
	json_field(&json, "database", get_database_name(MyDatabaseId));
	appendStringInfoChar(&json, '}');
	return json.data;
}

/*
 * upg_audit_checkpoint
 *		Keep the chain's end as it is now, and return it.
 *
 * The entry that records this is after the checkpoint, not in it.
 */
Datum
upg_audit_checkpoint(PG_FUNCTION_ARGS)
{
	Relation log;
	Relation rel;
	UpgAuditEntry head;
	Datum values[CHECKPOINT_COLUMNS];
	bool nulls[CHECKPOINT_COLUMNS] = {false};
	TimestampTz now = GetCurrentTimestamp();
	char *json;

	PreventCommandDuringRecovery("upg_audit_checkpoint()");
	PreventCommandIfReadOnly("upg_audit_checkpoint()");
	PreventCommandIfParallelMode("upg_audit_checkpoint()");

	log = upg_table_open(&upg_audit_log, AccessShareLock);
	if (!upg_audit_read_head(log, &head))
		memset(&head, 0, sizeof(head));
	table_close(log, AccessShareLock);

	json = checkpoint_json(head.seq, head.hash, now);

	rel = table_open(upg_relation_oid("audit_checkpoints", false), RowExclusiveLock);
	if (RelationGetDescr(rel)->natts != CHECKPOINT_COLUMNS)
		ereport(ERROR, (errcode(ERRCODE_UPG_LEDGER_DAMAGED),
						errmsg("table \"upg.audit_checkpoints\" has been altered"),
						errdetail("Its columns are not those that the extension made."),
						errhint("Undo the change, or restore the table from a backup.")));
	values[CHECKPOINT_SEQ] = Int64GetDatum(head.seq);
	values[CHECKPOINT_HASH] = upg_bytea(head.hash, UPG_AUDIT_HASH_LEN);
	values[CHECKPOINT_AT] = TimestampTzGetDatum(now);
	values[CHECKPOINT_ACTOR] =
		CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	nulls[CHECKPOINT_NOTE] = PG_ARGISNULL(0);
	values[CHECKPOINT_NOTE] = PG_ARGISNULL(0) ? (Datum) 0 : PG_GETARG_DATUM(0);
	upg_table_insert(rel, values, nulls);
	table_close(rel, NoLock);

	upg_audit_add("audit.checkpoint", NULL, NULL, json);
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
}
