/*-------------------------------------------------------------------------
 *
 * verify.h
 *		Verifications: checks that are run together, and their results.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/verify.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_VERIFY_H
#define UPG_VERIFY_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/snapshot.h"

#include "apply.h"
#include "upg.h"

/* Rows in violation that are kept of each check, if not told otherwise. */
#define UPG_SHOWN_ROWS 20

/* How the result of a query is judged. */
typedef enum UpgVerdict
{
	UPG_VERDICT_TRUE,    /* one boolean column, true in each row */
	UPG_VERDICT_EMPTY,   /* each row is a violation */
	UPG_VERDICT_EQUAL,   /* the same rows as before */
	UPG_VERDICT_CHECKSUM /* no query: the checksum of a relation, as before */
} UpgVerdict;

typedef enum UpgCheckState
{
	UPG_CHECK_PLANNED,
	UPG_CHECK_PASSED,
	UPG_CHECK_RECORDED, /* kept to be compared with later */
	UPG_CHECK_SKIPPED,
	UPG_CHECK_ERROR, /* could not be evaluated */
	UPG_CHECK_FAILED
} UpgCheckState;

/* One check: what to do, and what came of it. */
typedef struct UpgCheck
{
	/* what to do */
	const char *phase;    /* before, after, now */
	const char *kind;     /* of the invariant or of the constraint, or "content" */
	const char *name;     /* of the invariant or of the constraint */
	const char *relation; /* qualified and quoted, or NULL */
	Oid relid;            /* of that, for checksums, or invalid */
	List *columns;        /* of char *, for checksums; NIL: all */
	bool warning;         /* severity: a violation is only a warning */
	UpgVerdict verdict;
	const char *query;
	const char *sample_query; /* reads $1 percent of the pages, or NULL */
	List *key;                /* of char *: columns of the result that identify a row */
	const char *owner;        /* role that it runs as; NULL: the caller */
	bool heap_only;           /* must not believe indexes */
	double bytes;             /* about how much must be read */
	const char *skip;         /* why it is not run, or NULL */
	double share;             /* of the relation, if "filter" is given beforehand */
	/* what came of it; texts live in the verification's context */
	UpgCheckState state;
	int64 violations; /* -1: does not apply */
	double coverage;
	const char *message; /* or NULL */
	const char *details; /* JSON, or NULL */
	List *rows;          /* of char *: the result, as JSON, of "equal" */
	bool kept_rows;      /* there are such rows, perhaps none */
	char *checksum;      /* of "checksum", or a digest of the rows */
	char *filter;        /* that it was restricted to */
	TimestampTz started;
	int64 duration; /* microseconds */
} UpgCheck;

/* A declared invariant. */
typedef struct UpgInvariant
{
	UpgCheck check; /* must be first */
	List *scope;    /* of char *: relations; NIL: the whole database */
} UpgInvariant;

/* Checks that are run together. */
typedef struct UpgVerification
{
	MemoryContext context;
	const char *migration; /* or NULL */
	const char *direction; /* up, down or NULL */
	UpgVerifyLevel level;
	int64 upgrade;  /* 0: none */
	int64 baseline; /* verification whose values are compared with; 0: none */
	double budget;  /* seconds; 0: no limit */
	bool redact;
	int shown_rows; /* rows in violation that are kept of each check */
	List *checks;   /* of UpgCheck * */
	TimestampTz started;
	TimestampTz deadline; /* 0: none */
	double rate;          /* bytes a second, as seen so far */
	List *touched;        /* of Oid */
	bool pending;         /* the second half is still to come */
	bool in_steps;        /* the migration's steps have committed one by one */
} UpgVerification;

/* in check.c */
extern const char *upg_check_state_name(UpgCheckState state);
extern UpgCheckState upg_check_state_parse(const char *name);
extern void upg_check_run(UpgVerification *v, UpgCheck *check, const UpgCheck *before,
						  Snapshot snapshot);

/* in invariant.c */
extern List *upg_invariants_load(void); /* of UpgInvariant * */

/* in recheck.c */
extern List *upg_oid_list(ArrayType *array);
extern List *upg_recheck_list(List *relids);

/* in touched.c */
extern List *upg_touched_by_keys(List *keys, bool *unknown);
extern List *upg_touched_by_locks(void);
extern List *upg_user_tables(void);

/* in verify.c */
extern UpgVerification *upg_verification_create(UpgVerifyLevel level, double budget,
												bool redact);
extern UpgVerifyLevel upg_verify_level(const char *name);
extern UpgVerification *upg_verify_before(const char *migration, const char *direction,
										  const UpgOptions *options, List *keys);
extern void upg_verify_after(UpgVerification *v, UpgResult *result);
extern void upg_verify_queue(const char *migration, const char *direction,
							 const UpgOptions *options, List *keys, bool resume);
extern UpgVerification *upg_verify_resume(const char *migration, const char *direction,
										  List *keys);
extern char *upg_verify_take_failed(void);

/* in verify_store.c */
extern char *upg_json_quoted(const char *text);
extern int upg_text_cmp(const ListCell *a, const ListCell *b);
extern bool upg_check_counts_against(const UpgCheck *check);
extern char *upg_verification_json(const UpgVerification *v);
extern int64 upg_verification_store(const char *json, const char *session,
									const char *role, int pid);
extern List *upg_verification_checks(int64 id);
extern UpgVerifyLevel upg_verification_level(int64 id);
extern void upg_verification_forget_pending(const char *migration);
extern int64 upg_verification_latest(const char *migration, const char *direction,
									 bool pending);

#endif /* UPG_VERIFY_H */
