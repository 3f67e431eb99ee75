/*-------------------------------------------------------------------------
 *
 * run.h
 *		Going up and down: driving migrations through the extension.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/run.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_RUN_H
#define UPG_RUN_H

#include "command.h"
#include "render.h"

/* The columns that run_outcome() reads. */
#define ROW_COLUMNS                                        \
	"migration, state, statements, steps, undo, warnings," \
	" pg_catalog.date_part('epoch', duration) AS seconds"

/* What the ledger knows of a migration. */
typedef struct UpgKnown
{
	const char *name;
	const char *state;
	const char *sha256;
	const char *meaning;
	int64_t order; /* of application */
} UpgKnown;

/* What is to be done with an entry of the directory. */
typedef enum UpgAction
{
	UPG_ACT_NOTHING, /* applied and the same */
	UPG_ACT_APPLY,
	UPG_ACT_CHANGED /* applied, bytes differ */
} UpgAction;

typedef struct UpgTodo
{
	UpgEntry *entry;
	const char *name;      /* in the ledger: of a repeatable, with its checksum */
	const UpgKnown *known; /* NULL: the ledger does not know it */
	UpgAction action;
	bool out_of_order;
} UpgTodo;

/* The directory compared with the ledger. */
typedef struct UpgCompare
{
	UpgRows *rows;   /* of upg_status() */
	UpgKnown *known; /* sorted by name */
	int known_count;
	UpgTodo *todo; /* in the directory's order */
	int todo_count;
	int pending;
	int changed;
	int out_of_order;
	UpgList vanished; /* applied, not in the directory */
	UpgList orphans;  /* half done, not in the directory */
	bool up_to_date;  /* found by the digest alone; nothing else is filled */
	int64_t applied;
} UpgCompare;

extern const char run_digest_query[];
extern bool run_compare(UpgContext *ctx, UpgCompare *compare, bool allow_shortcut,
						UpgRows *given);
extern void run_compare_free(UpgCompare *compare);
extern int run_check_changed(UpgContext *ctx, const UpgTodo *todo);
extern bool run_passes(const char *sqlstate);
extern bool run_check_changes(UpgContext *ctx, UpgCompare *compare);
extern bool run_select(UpgContext *ctx, UpgCompare *compare, int *last);
extern bool run_read_scripts(UpgContext *ctx, UpgEntry *entry, bool sound);
extern bool run_preflight(UpgContext *ctx, UpgCompare *compare, int last);

extern int run_up(UpgContext *ctx);
extern int run_down(UpgContext *ctx);
extern bool run_apply_one(UpgContext *ctx, UpgEntry *entry, const char *name,
						  const char *after, int64_t upgrade, UpgOutcome *outcome);
extern bool run_rollback_one(UpgContext *ctx, const char *name, int64_t upgrade,
							 UpgOutcome *outcome);
extern bool run_wait_state(UpgContext *ctx, const char *name, const char *wanted,
						   UpgOutcome *outcome);
extern char *run_options(UpgContext *ctx, const UpgEntry *entry, const char *after,
						 int64_t upgrade, const char *path);
extern bool run_check_driven(UpgContext *ctx, const UpgEntry *entry, bool down,
							 const UpgScript *script);
extern bool run_client_check(UpgContext *ctx, const UpgEntry *entry);
extern bool run_client_driven(UpgContext *ctx, UpgEntry *entry, UpgScript *script,
							  const char *name, const char *down, const char *requires,
							  const char *options, int64_t upgrade, UpgOutcome *outcome);
extern void run_outcome(UpgContext *ctx, const UpgRows *rows, int row,
						UpgOutcome *outcome);
extern bool run_verify_script(UpgContext *ctx, const UpgEntry *entry, bool inside);
extern void run_handed_over(const char *name, bool down);
extern void run_sleep(int ms);

#endif /* UPG_RUN_H */
