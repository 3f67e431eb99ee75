/*-------------------------------------------------------------------------
 *
 * ledger.h
 *		The books: migrations, steps, attempts, rollbacks.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/ledger.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_LEDGER_H
#define UPG_LEDGER_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "executor.h"
#include "script.h"
#include "spi.h"
#include "tables.h"

/* States of a migration (docs/design.md, section 2.1). */
typedef enum UpgState
{
	UPG_STATE_NONE, /* not in the books */
	UPG_STATE_REGISTERED,
	UPG_STATE_QUEUED,
	UPG_STATE_RUNNING,
	UPG_STATE_APPLIED,
	UPG_STATE_PARTIAL,
	UPG_STATE_FAILED,
	UPG_STATE_UNKNOWN,
	UPG_STATE_ROLLED_BACK,
	UPG_STATE_REPLACED /* another that stands for it counts as applied */
} UpgState;

/* Columns of upg.migrations, from zero. */
typedef enum UpgMigrationColumn
{
	UPG_MIG_ID,
	UPG_MIG_NAME,
	UPG_MIG_STATE,
	UPG_MIG_DIRECTION,
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
	UPG_MIG_RUN,
	UPG_MIG_STATEMENTS,
	UPG_MIG_STEPS,
	UPG_MIG_REGISTERED_AT,
	UPG_MIG_REGISTERED_BY,
	UPG_MIG_APPLIED_ORDER,
	UPG_MIG_APPLIED_AT,
	UPG_MIG_APPLIED_BY,
	UPG_MIG_DURATION,
	UPG_MIG_UPGRADE_ID,
	UPG_MIG_COLUMNS
} UpgMigrationColumn;

typedef struct UpgMigration
{
	int64 id;
	char *name;
	UpgState state;
	char *direction; /* of a queued or running one */
	UpgChecksums checksums;
	int meaning_version;
	bool has_script; /* false: streamed by a client, or not given */
	bool has_down;
	List *requires; /* of char * */
	char *options;  /* JSON */
	char *undo;
	int statements;
	int steps;
	int64 applied_order; /* 0: not applied */
	TimestampTz applied_at;
	char *applied_by;
} UpgMigration;

/* What a call says of a migration. */
typedef struct UpgDefinition
{
	const char *name;
	const char *up; /* NULL: streamed by a client */
	int64 up_size;
	UpgChecksums checksums;
	const char *down; /* or NULL */
	List *requires;
	Datum options;         /* jsonb */
	const char *order_key; /* or NULL */
	int64 upgrade;         /* 0: none */
} UpgDefinition;

/* Everything about a try that did not succeed, or that did. */
typedef struct UpgAttempt
{
	const char *migration;
	const char *direction;
	const char *state; /* succeeded, failed, killed, refused */
	int step;          /* 0: none */
	int statement_no;  /* 0: none */
	int line;
	int column;
	const char *statement;
	const char *sqlstate;
	const char *message;
	const char *detail;
	const char *hint;
	const char *context;
	const char *lock_waits;   /* JSON */
	const char *verification; /* JSON of one that failed */
	TimestampTz started;
	int64 upgrade; /* 0: none */
} UpgAttempt;

extern const UpgTable upg_migrations_table;

extern const char *upg_state_name(UpgState state);
extern UpgState upg_state_parse(const char *name);
extern void upg_state_check(const char *migration, UpgState from, UpgState to);
extern char *upg_actor(void);

extern UpgMigration *upg_ledger_find(const char *name);
extern char *upg_ledger_script(int64 migration_id, bool down);
extern int64 upg_ledger_write(UpgMigration *before, const UpgDefinition *def,
							  UpgState state, const char *undo, int statements, int steps,
							  TimestampTz started, const char *run);
extern void upg_ledger_move(UpgMigration *migration, UpgState state,
							const char *direction, const char *run);
extern void upg_ledger_applied(UpgMigration *migration, TimestampTz started);
extern void upg_ledger_rolled_back(UpgMigration *migration, const char *method,
								   TimestampTz started, int statements,
								   const char *reason, int64 upgrade);
extern void upg_ledger_set_down(UpgMigration *migration, const char *down);
extern bool upg_undo_is_kept(const char *undo);
extern bool upg_migration_has_undo(const UpgMigration *migration);
extern void upg_ledger_set_undo(int64 migration_id, const char *undo,
								TimestampTz started);
extern void upg_ledger_set_layout(UpgMigration *migration, const UpgDefinition *def);

/* attempts.c */
extern void upg_attempt_failed(UpgAttempt *attempt, const ErrorData *edata);
extern void upg_ledger_attempt(const UpgAttempt *attempt);
extern char *upg_attempt_json(const UpgAttempt *attempt);
extern void upg_ledger_attempt_json(const char *json, bool of_another);

/* dependencies.c */
extern List *upg_ledger_missing_requirements(List *requires);
extern void upg_ledger_check_requirements(const char *name, List *requires,
										  char **unknown, char **cycle);
extern bool upg_name_in(List *names, const char *name);
extern List *upg_ledger_dependents(const char *name);
extern char *upg_ledger_later(const char *order_key, const char *name);
extern List *upg_ledger_applied_after(int64 applied_order);

#endif /* UPG_LEDGER_H */
