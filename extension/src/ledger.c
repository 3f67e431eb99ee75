/*-------------------------------------------------------------------------
 *
 * ledger.c
 *		The books on migrations, and the one place that changes their state.
 *
 * Whoever changes a migration holds the advisory lock of its name
 * (footprint.c), so nothing here needs row locks.  Reads that decide what to
 * do use a snapshot of the moment: under REPEATABLE READ the transaction's own
 * may be older than the lock.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/ledger.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "audit.h"
#include "compat.h"
#include "errors.h"
#include "ledger.h"

static const char *const state_names[] = {
	[UPG_STATE_NONE] = "none",
	[UPG_STATE_REGISTERED] = "registered",
	[UPG_STATE_QUEUED] = "queued",
	[UPG_STATE_RUNNING] = "running",
	[UPG_STATE_APPLIED] = "applied",
	[UPG_STATE_PARTIAL] = "partial",
	[UPG_STATE_FAILED] = "failed",
	[UPG_STATE_UNKNOWN] = "unknown",
	[UPG_STATE_ROLLED_BACK] = "rolled_back",
	[UPG_STATE_REPLACED] = "replaced",
};

#define BIT(state) (1 << (state))

/* To which states each state may move. */
static const int allowed_moves[] = {
	[UPG_STATE_NONE] =
		BIT(UPG_STATE_REGISTERED) | BIT(UPG_STATE_QUEUED) | BIT(UPG_STATE_APPLIED),
	[UPG_STATE_REGISTERED] =
		BIT(UPG_STATE_REGISTERED) | BIT(UPG_STATE_QUEUED) | BIT(UPG_STATE_APPLIED),
	[UPG_STATE_QUEUED] = BIT(UPG_STATE_QUEUED) | BIT(UPG_STATE_RUNNING) |
						 BIT(UPG_STATE_APPLIED) | BIT(UPG_STATE_PARTIAL) |
						 BIT(UPG_STATE_FAILED),
	[UPG_STATE_RUNNING] = BIT(UPG_STATE_RUNNING) | BIT(UPG_STATE_QUEUED) |
						  BIT(UPG_STATE_APPLIED) | BIT(UPG_STATE_PARTIAL) |
						  BIT(UPG_STATE_FAILED) | BIT(UPG_STATE_UNKNOWN) |
						  BIT(UPG_STATE_ROLLED_BACK),
	[UPG_STATE_APPLIED] =
		BIT(UPG_STATE_QUEUED) | BIT(UPG_STATE_ROLLED_BACK) | BIT(UPG_STATE_REPLACED),
	[UPG_STATE_PARTIAL] = BIT(UPG_STATE_QUEUED) | BIT(UPG_STATE_ROLLED_BACK),
	[UPG_STATE_FAILED] =
		BIT(UPG_STATE_REGISTERED) | BIT(UPG_STATE_QUEUED) | BIT(UPG_STATE_APPLIED),
	[UPG_STATE_UNKNOWN] = BIT(UPG_STATE_QUEUED),
	[UPG_STATE_ROLLED_BACK] =
		BIT(UPG_STATE_REGISTERED) | BIT(UPG_STATE_QUEUED) | BIT(UPG_STATE_APPLIED),
};

static const Oid migration_types[UPG_MIG_COLUMNS] = {
	[UPG_MIG_ID] = INT8OID,
	[UPG_MIG_NAME] = TEXTOID,
	[UPG_MIG_STATE] = TEXTOID,
	[UPG_MIG_DIRECTION] = TEXTOID,
	[UPG_MIG_UP_SQL] = TEXTOID,
	[UPG_MIG_UP_SIZE] = INT8OID,
	[UPG_MIG_UP_SHA256] = BYTEAOID,
	[UPG_MIG_UP_MEANING] = BYTEAOID,
	[UPG_MIG_MEANING_VERSION] = INT2OID,
	[UPG_MIG_DOWN_SQL] = TEXTOID,
	[UPG_MIG_DOWN_SHA256] = BYTEAOID,
	[UPG_MIG_REQUIRES] = TEXTARRAYOID,
	[UPG_MIG_OPTIONS] = JSONBOID,
	[UPG_MIG_ORDER_KEY] = TEXTOID,
	[UPG_MIG_UNDO] = TEXTOID,
	[UPG_MIG_RUN] = JSONBOID,
	[UPG_MIG_STATEMENTS] = INT4OID,
	[UPG_MIG_STEPS] = INT4OID,
	[UPG_MIG_REGISTERED_AT] = TIMESTAMPTZOID,
	[UPG_MIG_REGISTERED_BY] = TEXTOID,
	[UPG_MIG_APPLIED_ORDER] = INT8OID,
	[UPG_MIG_APPLIED_AT] = TIMESTAMPTZOID,
	[UPG_MIG_APPLIED_BY] = TEXTOID,
	[UPG_MIG_DURATION] = INTERVALOID,
	[UPG_MIG_UPGRADE_ID] = INT8OID,
};

const UpgTable upg_migrations_table = {"migrations", UPG_MIG_COLUMNS, migration_types};

static int64 insert_migration(const Datum *args, const char *nulls, UpgState state);
static char *text_or_null(const Datum *values, const bool *nulls,
						  UpgMigrationColumn column);
static void check_one_row(const char *migration);
static List *text_list(Datum array, bool isnull);
static void read_bytes(Datum datum, uint8 *bytes);
static Datum jsonb_of_text(Datum value);
static Interval *interval_since(TimestampTz started);
static char *state_json(UpgState state, const UpgChecksums *checksums);

/*
 * upg_state_name
 *		A state as the books write it.
 */
const char *
upg_state_name(UpgState state)
{
	return state_names[state];
}

/*
 * upg_state_parse
 *		A state as the books write it; an error on anything else.
 */
UpgState
upg_state_parse(const char *name)
{
	for (int i = UPG_STATE_REGISTERED; i < lengthof(state_names); i++)
	{
		if (name != NULL && strcmp(state_names[i], name) == 0)
			return (UpgState) i;
	}
	ereport(
		ERROR,
		(errcode(ERRCODE_UPG_LEDGER_DAMAGED),
		 errmsg("the ledger holds the unrecognized state \"%s\"", name ? name : ""),
		 errhint(
			 "Was upg.migrations changed by hand?  upg_audit_export() shows the states "
			 "that upg wrote.")));
}

/*
 * upg_state_check
 *		The one rule about states: is this move allowed?
 */
void
upg_state_check(const char *migration, UpgState from, UpgState to)
{
	if ((allowed_moves[from] & BIT(to)) == 0)
		ereport(ERROR, (errcode(ERRCODE_UPG_ILLEGAL_STATE),
						errmsg("migration \"%s\" cannot go from state \"%s\" to \"%s\"",
							   migration, state_names[from], state_names[to])));
}

/*
 * upg_actor
 *		Who is acting: the session's role, with the current one if it differs.
 */
char *
upg_actor(void)
{
	char *session = GetUserNameFromId(GetSessionUserId(), true);
	char *current = GetUserNameFromId(GetUserId(), true);

	if (session == NULL)
		session = pstrdup("(dropped role)");
	if (current == NULL || strcmp(session, current) == 0)
		return session;
	return psprintf("%s as %s", session, current);
}

/*
 * upg_ledger_find
 *		What the books say of a migration now; NULL if they do not know it.
 *
 * The result is in the current memory context.
 */
UpgMigration *
upg_ledger_find(const char *name)
{
	Relation rel = upg_table_open(&upg_migrations_table, AccessShareLock);
	UpgMigration *migration = NULL;
	HeapTuple tuple = upg_table_find(rel, "migrations_name_key", UPG_MIG_NAME + 1,
									 CStringGetTextDatum(name));

	if (HeapTupleIsValid(tuple))
	{
		Datum values[UPG_MIG_COLUMNS];
		bool nulls[UPG_MIG_COLUMNS];
		Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
		Jsonb *options;

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		migration = palloc0(sizeof(UpgMigration));
		migration->id = DatumGetInt64(values[UPG_MIG_ID]);
		migration->name = pstrdup(name);
		migration->state = upg_state_parse(text_or_null(values, nulls, UPG_MIG_STATE));
		migration->direction = text_or_null(values, nulls, UPG_MIG_DIRECTION);
		read_bytes(values[UPG_MIG_UP_SHA256], migration->checksums.sha256);
		migration->checksums.has_meaning = !nulls[UPG_MIG_UP_MEANING];
		if (migration->checksums.has_meaning)
			read_bytes(values[UPG_MIG_UP_MEANING], migration->checksums.meaning);
		migration->meaning_version = DatumGetInt16(values[UPG_MIG_MEANING_VERSION]);
		migration->has_script = !nulls[UPG_MIG_UP_SQL];
		migration->has_down = !nulls[UPG_MIG_DOWN_SQL];
		migration->requires =
			text_list(values[UPG_MIG_REQUIRES], nulls[UPG_MIG_REQUIRES]);
		options = DatumGetJsonbP(values[UPG_MIG_OPTIONS]);
		migration->options = JsonbToCString(NULL, &options->root, VARSIZE(options));
		migration->undo = text_or_null(values, nulls, UPG_MIG_UNDO);
		migration->statements =
			nulls[UPG_MIG_STATEMENTS] ? 0 : DatumGetInt32(values[UPG_MIG_STATEMENTS]);
		migration->steps =
			nulls[UPG_MIG_STEPS] ? 0 : DatumGetInt32(values[UPG_MIG_STEPS]);
		migration->applied_order = nulls[UPG_MIG_APPLIED_ORDER]
									   ? 0
									   : DatumGetInt64(values[UPG_MIG_APPLIED_ORDER]);
		migration->applied_at = nulls[UPG_MIG_APPLIED_AT]
									? 0
									: DatumGetTimestampTz(values[UPG_MIG_APPLIED_AT]);
		migration->applied_by = text_or_null(values, nulls, UPG_MIG_APPLIED_BY);
		UnregisterSnapshot(snapshot);
		heap_freetuple(tuple);
	}
	table_close(rel, NoLock);

	return migration;
}

/*
 * upg_ledger_script
 *		The stored script of a migration, or NULL.
 */
char *
upg_ledger_script(int64 migration_id, bool down)
{
	static UpgQuery query = {
		"SELECT CASE WHEN $2 THEN down_sql ELSE up_sql END FROM upg.migrations"
		" WHERE migration_id = $1",
		SPI_OK_SELECT,
		2,
		{INT8OID, BOOLOID}};
	Datum values[2] = {Int64GetDatum(migration_id), BoolGetDatum(down)};

	return upg_query_text(&query, values);
}

/*
 * check_one_row
 *		The migration that was just written must have been there.
 */
static void
check_one_row(const char *migration)
{
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_LEDGER_DAMAGED),
				 errmsg("migration \"%s\" vanished from the ledger", migration),
				 errhint("Was upg.migrations changed by hand?  upg_audit_export() shows "
						 "what upg wrote.")));
}

/*
 * upg_ledger_write
 *		Write a definition into the books, in a new state; returns the id.
 *
 * "before" is what upg_ledger_find() said.  Applied at once: started is when
 * it began.  Queued: "run" is the JSON that a worker needs.
 */
int64
upg_ledger_write(UpgMigration *before, const UpgDefinition *def, UpgState state,
				 const char *undo, int statements, int steps, TimestampTz started,
				 const char *run)
{
	static UpgQuery update = {
		"UPDATE upg.migrations SET state = $2, direction = 'up', up_sql = $3, up_size = "
		"$4,"
		" up_sha256 = $5, up_meaning = $6, meaning_version = $7, down_sql = $8, "
		"down_sha256 = $9,"
		" requires = $10, options = $11, order_key = $12, undo = $13,"
		" statements = $14, steps = $15,"
		" applied_order = CASE WHEN $2 = 'applied'"
		"   THEN pg_catalog.nextval('upg.applied_order') END,"
		" applied_at = CASE WHEN $2 = 'applied' THEN $16 END,"
		" applied_by = CASE WHEN $2 = 'applied' THEN $17 END,"
		" duration = CASE WHEN $2 = 'applied' THEN $18 END,"
		" upgrade_id = $19, run = $20::pg_catalog.jsonb"
		" WHERE name = $1 RETURNING migration_id",
		SPI_OK_UPDATE_RETURNING,
		20,
		{TEXTOID, TEXTOID,        TEXTOID,      INT8OID,     BYTEAOID, BYTEAOID, INT2OID,
		 TEXTOID, BYTEAOID,       TEXTARRAYOID, JSONBOID,    TEXTOID,  TEXTOID,  INT4OID,
		 INT4OID, TIMESTAMPTZOID, TEXTOID,      INTERVALOID, INT8OID,  TEXTOID}};
	Datum values[20];
	char nulls[20];
	uint8 down_sha256[UPG_SHA256_LENGTH];
	char *actor = upg_actor();
	UpgBooks books;
	int64 id;
	bool isnull;

	upg_state_check(def->name, before ? before->state : UPG_STATE_NONE, state);

	memset(nulls, ' ', sizeof(nulls));
	values[0] = CStringGetTextDatum(def->name);
	values[1] = CStringGetTextDatum(state_names[state]);
	if (def->up != NULL)
		values[2] = CStringGetTextDatum(def->up);
	else
		nulls[2] = 'n';
	values[3] = Int64GetDatum(def->up_size);
	values[4] = upg_bytea(def->checksums.sha256, UPG_SHA256_LENGTH);
	if (def->checksums.has_meaning)
		values[5] = upg_bytea(def->checksums.meaning, UPG_SHA256_LENGTH);
	else
		nulls[5] = 'n';
	values[6] = Int16GetDatum(UPG_MEANING_VERSION);
	if (def->down != NULL)
	{
		upg_script_sha256(def->down, strlen(def->down), down_sha256);
		values[7] = CStringGetTextDatum(def->down);
		values[8] = upg_bytea(down_sha256, UPG_SHA256_LENGTH);
	}
	else
		nulls[7] = nulls[8] = 'n';
	values[9] = upg_text_array(def->requires);
	values[10] = def->options;
	if (def->order_key != NULL)
		values[11] = CStringGetTextDatum(def->order_key);
	else
		nulls[11] = 'n';
	values[12] = CStringGetTextDatum(undo);
	values[13] = Int32GetDatum(statements);
	values[14] = Int32GetDatum(steps);
	values[15] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[16] = CStringGetTextDatum(actor);
	values[17] = IntervalPGetDatum(interval_since(started));
	values[18] = Int64GetDatum(def->upgrade);
	if (def->upgrade == 0)
		nulls[18] = 'n';
	if (run != NULL)
		values[19] = CStringGetTextDatum(run);
	else
		nulls[19] = 'n';

	if (before == NULL)
		id = insert_migration(values, nulls, state);
	else
	{
		upg_books_open(&books);
		upg_query(&update, values, nulls);
		check_one_row(def->name);
		id = DatumGetInt64(upg_result_datum(0, 1, &isnull));
		upg_books_close(&books);
	}

	upg_audit_add(psprintf("migration.%s", state_names[state]), def->name,
				  before ? state_json(before->state, &before->checksums) : NULL,
				  state_json(state, &def->checksums));

	return id;
}

/*
 * insert_migration
 *		Insert the row that upg_ledger_write() describes with the arguments of its
 *		UPDATE; returns its number.
 */
static int64
insert_migration(const Datum *args, const char *nulls, UpgState state)
{
	/* Where each argument goes. */
	static const UpgMigrationColumn columns[] = {UPG_MIG_NAME,
												 UPG_MIG_STATE,
												 UPG_MIG_UP_SQL,
												 UPG_MIG_UP_SIZE,
												 UPG_MIG_UP_SHA256,
												 UPG_MIG_UP_MEANING,
												 UPG_MIG_MEANING_VERSION,
												 UPG_MIG_DOWN_SQL,
												 UPG_MIG_DOWN_SHA256,
												 UPG_MIG_REQUIRES,
												 UPG_MIG_OPTIONS,
												 UPG_MIG_ORDER_KEY,
												 UPG_MIG_UNDO,
												 UPG_MIG_STATEMENTS,
												 UPG_MIG_STEPS,
												 UPG_MIG_REGISTERED_AT,
												 UPG_MIG_REGISTERED_BY,
												 UPG_MIG_DURATION,
												 UPG_MIG_UPGRADE_ID,
												 UPG_MIG_RUN};
	Relation rel = upg_table_open(&upg_migrations_table, RowExclusiveLock);
	Datum values[UPG_MIG_COLUMNS];
	bool isnull[UPG_MIG_COLUMNS];

	memset(isnull, true, sizeof(isnull));
	for (int i = 0; i < lengthof(columns); i++)
	{
		values[columns[i]] = args[i];
		isnull[columns[i]] = nulls[i] == 'n';
	}
	values[UPG_MIG_ID] = Int64GetDatum(upg_sequence_next("migrations_migration_id_seq"));
	values[UPG_MIG_DIRECTION] = CStringGetTextDatum("up");
	isnull[UPG_MIG_ID] = isnull[UPG_MIG_DIRECTION] = false;
	if (!isnull[UPG_MIG_RUN])
		values[UPG_MIG_RUN] = jsonb_of_text(values[UPG_MIG_RUN]);
	if (state == UPG_STATE_APPLIED)
	{
		values[UPG_MIG_APPLIED_ORDER] = Int64GetDatum(upg_sequence_next("applied_order"));
		values[UPG_MIG_APPLIED_AT] = values[UPG_MIG_REGISTERED_AT];
		values[UPG_MIG_APPLIED_BY] = values[UPG_MIG_REGISTERED_BY];
		isnull[UPG_MIG_APPLIED_ORDER] = isnull[UPG_MIG_APPLIED_AT] =
			isnull[UPG_MIG_APPLIED_BY] = false;
	}
	else
		isnull[UPG_MIG_DURATION] = true;
	upg_table_insert(rel, values, isnull);
	table_close(rel, NoLock);
	CommandCounterIncrement();

	return DatumGetInt64(values[UPG_MIG_ID]);
}

/*
 * upg_ledger_move
 *		Change the state of a migration that a worker runs, or is to run.
 *
 * "direction" is left alone if NULL; the keys of "run" are added to those there.
 */
void
upg_ledger_move(UpgMigration *migration, UpgState state, const char *direction,
				const char *run)
{
	static UpgQuery query = {
		"UPDATE upg.migrations SET state = $2, direction = coalesce($3, direction),"
		" run = coalesce(run, '{}') || coalesce($4::pg_catalog.jsonb, '{}')"
		" WHERE migration_id = $1",
		SPI_OK_UPDATE,
		4,
		{INT8OID, TEXTOID, TEXTOID, TEXTOID}};
	Datum values[4] = {Int64GetDatum(migration->id),
					   CStringGetTextDatum(state_names[state])};
	char nulls[4] = {' ', ' ', ' ', ' '};
	UpgBooks books;

	upg_state_check(migration->name, migration->state, state);

	if (direction != NULL)
		values[2] = CStringGetTextDatum(direction);
	else
		nulls[2] = 'n';
	if (run != NULL)
		values[3] = CStringGetTextDatum(run);
	else
		nulls[3] = 'n';

	upg_books_open(&books);
	upg_query(&query, values, nulls);
	check_one_row(migration->name);
	upg_books_close(&books);

	if (state != UPG_STATE_RUNNING)
		upg_audit_add(psprintf("migration.%s", state_names[state]), migration->name,
					  state_json(migration->state, &migration->checksums),
					  state_json(state, &migration->checksums));
	migration->state = state;
}

/*
 * upg_ledger_applied
 *		A worker, or a person who settles an unknown outcome, has brought a
 *		migration to its end.
 */
void
upg_ledger_applied(UpgMigration *migration, TimestampTz started)
{
	static UpgQuery query = {
		"UPDATE upg.migrations SET state = 'applied', run = NULL,"
		" applied_order = pg_catalog.nextval('upg.applied_order'), applied_at = $2,"
		" applied_by = $3, duration = $4 WHERE migration_id = $1",
		SPI_OK_UPDATE,
		4,
		{INT8OID, TIMESTAMPTZOID, TEXTOID, INTERVALOID}};
	Datum values[4] = {
		Int64GetDatum(migration->id), TimestampTzGetDatum(GetCurrentTimestamp()),
		CStringGetTextDatum(upg_actor()), IntervalPGetDatum(interval_since(started))};
	UpgBooks books;

	upg_state_check(migration->name, migration->state, UPG_STATE_APPLIED);
	upg_books_open(&books);
	upg_query(&query, values, NULL);
	check_one_row(migration->name);
	upg_books_close(&books);
	upg_audit_add("migration.applied", migration->name,
				  state_json(migration->state, &migration->checksums),
				  state_json(UPG_STATE_APPLIED, &migration->checksums));
	migration->state = UPG_STATE_APPLIED;
}

/*
 * upg_ledger_rolled_back
 *		A migration has been taken back.
 */
void
upg_ledger_rolled_back(UpgMigration *migration, const char *method, TimestampTz started,
					   int statements, const char *reason, int64 upgrade)
{
	static UpgQuery record = {
		"INSERT INTO upg.rollback_records (migration, method, started_at, finished_at, "
		"actor,"
		" was_applied_at, was_applied_by, was_order, statements, reason, upgrade_id)"
		" SELECT name, $2, $3, $4, $5, applied_at, applied_by, applied_order, $6, $7, $8"
		" FROM upg.migrations WHERE migration_id = $1",
		SPI_OK_INSERT,
		8,
		{INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, INT4OID, TEXTOID,
		 INT8OID}};
	static UpgQuery update = {
		"UPDATE upg.migrations SET state = 'rolled_back', direction = 'up', run = NULL,"
		" applied_order = NULL, applied_at = NULL, applied_by = NULL, duration = NULL"
		" WHERE migration_id = $1",
		SPI_OK_UPDATE,
		1,
		{INT8OID}};
	static UpgQuery versions = {
		"UPDATE upg.versions SET state = 'rolled_back', left_at = $2"
		" WHERE state = 'current' AND head = $1",
		SPI_OK_UPDATE,
		2,
		{TEXTOID, TIMESTAMPTZOID}};
	TimestampTz now = GetCurrentTimestamp();
	Datum values[8] = {Int64GetDatum(migration->id),     CStringGetTextDatum(method),
					   TimestampTzGetDatum(started),     TimestampTzGetDatum(now),
					   CStringGetTextDatum(upg_actor()), Int32GetDatum(statements)};
	Datum head[2] = {CStringGetTextDatum(migration->name), TimestampTzGetDatum(now)};
	char nulls[8] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};
	UpgBooks books;

	upg_state_check(migration->name, migration->state, UPG_STATE_ROLLED_BACK);
	if (reason != NULL)
		values[6] = CStringGetTextDatum(reason);
	else
		nulls[6] = 'n';
	values[7] = Int64GetDatum(upgrade);
	if (upgrade == 0)
		nulls[7] = 'n';

	upg_books_open(&books);
	upg_query(&record, values, nulls);
	upg_query(&update, values, NULL);
	check_one_row(migration->name);
	upg_query(&versions, head, NULL);
	upg_books_close(&books);
	upg_audit_add("migration.rolled_back", migration->name,
				  state_json(migration->state, &migration->checksums),
				  state_json(UPG_STATE_ROLLED_BACK, &migration->checksums));
	migration->state = UPG_STATE_ROLLED_BACK;
}

/*
 * upg_ledger_set_down
 *		A given down script may be replaced while the migration is applied.
 */
void
upg_ledger_set_down(UpgMigration *migration, const char *down)
{
	static UpgQuery query = {
		"UPDATE upg.migrations SET down_sql = $2, down_sha256 = $3,"
		" undo = CASE WHEN undo = 'none' THEN 'given' ELSE undo END"
		" WHERE migration_id = $1 AND down_sha256 IS DISTINCT FROM $3",
		SPI_OK_UPDATE,
		3,
		{INT8OID, TEXTOID, BYTEAOID}};
	uint8 sha256[UPG_SHA256_LENGTH];
	Datum values[3] = {Int64GetDatum(migration->id), CStringGetTextDatum(down)};
	UpgBooks books;
	uint64 changed;

	upg_script_sha256(down, strlen(down), sha256);
	values[2] = upg_bytea(sha256, UPG_SHA256_LENGTH);
	upg_books_open(&books);
	upg_query(&query, values, NULL);
	changed = SPI_processed;
	upg_books_close(&books);
	if (changed > 0)
		upg_audit_add("migration.down_replaced", migration->name, NULL, NULL);
}

/* Does this way back mean that an undo log is kept? */
bool
upg_undo_is_kept(const char *undo)
{
	return strcmp(undo, "exact") == 0 || strcmp(undo, "inexact") == 0;
}

/*
 * upg_migration_has_undo
 *		Was what is there of the migration captured, and not finalized since?
 *
 * Some steps of a migration may be done.  A down script that has run half-way
 * leaves a state that the undo knows nothing of.
 */
bool
upg_migration_has_undo(const UpgMigration *migration)
{
	if (strcmp(migration->direction, "up") != 0 ||
		(migration->applied_order == 0 && migration->state != UPG_STATE_PARTIAL))
		return false;
	return upg_undo_is_kept(migration->undo);
}

/*
 * upg_ledger_set_undo
 *		How a migration can be taken back: exact, inexact, given, none, finalized.
 *
 * "started" is when it began, if finding that out is part of applying it, else 0.
 */
void
upg_ledger_set_undo(int64 migration_id, const char *undo, TimestampTz started)
{
	static UpgQuery query = {
		"UPDATE upg.migrations SET undo = $2, duration = coalesce($3, duration)"
		" WHERE migration_id = $1",
		SPI_OK_UPDATE,
		3,
		{INT8OID, TEXTOID, INTERVALOID}};
	Datum values[3] = {Int64GetDatum(migration_id), CStringGetTextDatum(undo),
					   IntervalPGetDatum(interval_since(started))};
	char nulls[3] = {' ', ' ', started > 0 ? ' ' : 'n'};
	UpgBooks books;

	upg_books_open(&books);
	upg_query(&query, values, nulls);
	upg_books_close(&books);
}

/*
 * upg_ledger_set_layout
 *		Comments or layout of an applied script changed: keep the new bytes.
 */
void
upg_ledger_set_layout(UpgMigration *migration, const UpgDefinition *def)
{
	static UpgQuery query = {
		"UPDATE upg.migrations SET up_sql = $2, up_size = $3, up_sha256 = $4"
		" WHERE migration_id = $1",
		SPI_OK_UPDATE,
		4,
		{INT8OID, TEXTOID, INT8OID, BYTEAOID}};
	Datum values[4] = {Int64GetDatum(migration->id), CStringGetTextDatum(def->up),
					   Int64GetDatum(def->up_size),
					   upg_bytea(def->checksums.sha256, UPG_SHA256_LENGTH)};
	UpgBooks books;

	upg_books_open(&books);
	upg_query(&query, values, NULL);
	upg_books_close(&books);
	upg_audit_add("migration.layout_changed", migration->name,
				  state_json(migration->state, &migration->checksums),
				  state_json(migration->state, &def->checksums));
}
static List *
text_list(Datum array, bool isnull)
{
	List *texts = NIL;
	Datum *elements;
	bool *nulls;
	int n;

	if (isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i])
			texts = lappend(texts, TextDatumGetCString(elements[i]));
	}
	return texts;
}

/* A checksum of the books into 32 bytes. */
static void
read_bytes(Datum datum, uint8 *bytes)
{
	bytea *value = DatumGetByteaPP(datum);

	if (VARSIZE_ANY_EXHDR(value) != UPG_SHA256_LENGTH)
		ereport(ERROR, (errcode(ERRCODE_UPG_LEDGER_DAMAGED),
						errmsg("the ledger holds a checksum of %zu bytes",
							   (size_t) VARSIZE_ANY_EXHDR(value))));
	memcpy(bytes, VARDATA_ANY(value), UPG_SHA256_LENGTH);
}

static char *
text_or_null(const Datum *values, const bool *nulls, UpgMigrationColumn column)
{
	return nulls[column] ? NULL : TextDatumGetCString(values[column]);
}

static Datum
jsonb_of_text(Datum value)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(TextDatumGetCString(value)));
}

static Interval *
interval_since(TimestampTz started)
{
	Interval *interval = palloc0(sizeof(Interval));

	interval->time = started > 0 ? Max(GetCurrentTimestamp() - started, 0) : 0;
	return interval;
}

static char *
state_json(UpgState state, const UpgChecksums *checksums)
{
	char hex[2 * UPG_SHA256_LENGTH + 1];

	hex[hex_encode((const char *) checksums->sha256, UPG_SHA256_LENGTH, hex)] = '\0';
	return psprintf("{\"state\":\"%s\",\"sha256\":\"%s\"}", state_names[state], hex);
}
