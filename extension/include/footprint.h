/*-------------------------------------------------------------------------
 *
 * footprint.h
 *		What a script touches, and the advisory locks that stand for it.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/footprint.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_FOOTPRINT_H
#define UPG_FOOTPRINT_H

#include "nodes/pg_list.h"
#include "storage/lock.h"

#include "script.h"

/* One object of a footprint. */
typedef struct UpgKey
{
	char *object;  /* database, schema:S, relation:S.R, migration:M or a user's own */
	LOCKMODE mode; /* ShareLock or ExclusiveLock */
} UpgKey;

/* One relation that a statement names, with the lock it takes there. */
typedef struct UpgRelationLock
{
	Oid relid;
	LOCKMODE mode;
} UpgRelationLock;

/* First pause after a lock timeout, in milliseconds; upg_retry_pause() doubles it. */
#define UPG_RETRY_FIRST 50

/* Who stands in the way. */
typedef struct UpgHolder
{
	int pid;
	char *user;
	char *application;
	char *since; /* start of its transaction, or of its session */
	char *state;
	char *query;
} UpgHolder;

extern List *upg_footprint_infer(const UpgScript *script, const char *migration);
extern List *upg_footprint_add(List *keys, const char *object, LOCKMODE mode);
extern bool upg_footprint_try(List *keys, bool session, UpgKey **refused, List **holders);
extern void upg_footprint_acquire(List *keys, bool session, const char *migration);
extern List *upg_statement_locks(Node *stmt);
extern List *upg_lock_holders(const LOCKTAG *tag, LOCKMODE mode);
extern void upg_retry_say(int try, int tries, const char *blockers);
extern void upg_retry_pause(int *pause);
extern char *upg_holder_describe(const UpgHolder *holder);

#endif /* UPG_FOOTPRINT_H */
