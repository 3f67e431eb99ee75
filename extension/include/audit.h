/*-------------------------------------------------------------------------
 *
 * audit.h
 *		The audit trail: entries chained by their hashes in commit order.
 *
 * Other modules need upg_audit_add() only.  The rest is shared between
 * audit.c, which appends, and audit_report.c, which reads.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/audit.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_AUDIT_H
#define UPG_AUDIT_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "common/cryptohash.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "utils/relcache.h"

#include "tables.h"

#define UPG_AUDIT_HASH_LEN 32 /* SHA-256 */

/* columns of upg.audit_log, from zero */
typedef enum UpgAuditColumn
{
	UPG_AUDIT_SEQ,
	UPG_AUDIT_AT,
	UPG_AUDIT_ACTOR,
	UPG_AUDIT_ROLE,
	UPG_AUDIT_PID,
	UPG_AUDIT_APPLICATION,
	UPG_AUDIT_CLIENT,
	UPG_AUDIT_ACTION,
	UPG_AUDIT_OBJECT,
	UPG_AUDIT_BEFORE,
	UPG_AUDIT_AFTER,
	UPG_AUDIT_PREV,
	UPG_AUDIT_HASH,
	UPG_AUDIT_COLUMNS
} UpgAuditColumn;

/*
 * An entry, in memory or as read from the table.  A row that somebody edited
 * may lack anything, so every pointer can be NULL when it comes from there.
 */
typedef struct UpgAuditEntry
{
	int64 seq;
	TimestampTz at;    /* when the action happened */
	const char *actor; /* who logged in */
	const char *role;  /* whose rights applied */
	int32 pid;
	const char *application; /* NULL if the client gave none */
	const char *client;      /* NULL on a Unix socket and in workers */
	const char *action;
	const char *object;
	const char *before; /* JSON as stored: the hash covers its bytes */
	const char *after;
	bool prev_valid; /* is "prev" there, with the right length? */
	bool hash_valid;
	uint8 prev[UPG_AUDIT_HASH_LEN];
	uint8 hash[UPG_AUDIT_HASH_LEN];
} UpgAuditEntry;

/* in audit.c */
extern const UpgTable upg_audit_log;
extern void upg_audit_init(void);
extern void upg_audit_add(const char *action, const char *object, const char *before_json,
						  const char *after_json);
extern void upg_audit_add_for(const char *actor, const char *role, int32 pid,
							  const char *action, const char *object,
							  const char *before_json, const char *after_json);
extern void upg_audit_hash(pg_cryptohash_ctx *ctx, const UpgAuditEntry *entry,
						   StringInfo buf, uint8 *hash);
extern void upg_audit_read_entry(HeapTuple tuple, TupleDesc desc, UpgAuditEntry *entry);
extern bool upg_audit_read_head(Relation rel, UpgAuditEntry *entry);
extern pg_cryptohash_ctx *upg_audit_hash_create(void);
extern void upg_audit_hash_free(pg_cryptohash_ctx *ctx);

#endif /* UPG_AUDIT_H */
