/*-------------------------------------------------------------------------
 *
 * options.h
 *		The jsonb argument "options" of upg's functions.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/options.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_OPTIONS_H
#define UPG_OPTIONS_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* Which function the options are for. */
typedef enum UpgOptionUse
{
	UPG_OPTION_APPLY = 1,
	UPG_OPTION_BEGIN = 2,
	UPG_OPTION_ROLLBACK = 4,
	UPG_OPTION_PUT_BACK = 8
} UpgOptionUse;

struct UpgUndoOptions;

/* By what a migration is rolled back. */
typedef enum UpgMethod
{
	UPG_METHOD_ANY,  /* by the undo that was proven, else by the down script */
	UPG_METHOD_UNDO, /* by the undo */
	UPG_METHOD_GIVEN /* by the down script */
} UpgMethod;

typedef struct UpgOptions
{
	int64 upgrade;        /* run that this is part of; 0: none */
	bool no_transaction;  /* the author wants no transaction around the script */
	char *order_key;      /* place in the directory's order, or NULL */
	int out_of_order;     /* UpgOutOfOrder */
	List *footprint;      /* of char *: declared objects; NIL: infer */
	List *replaces;       /* of char *: migrations that this one stands for */
	int lock_timeout;     /* ms; -1: the setting */
	int lock_retries;     /* -1: the setting */
	uint8 *sha256;        /* of a script whose text is not given, or NULL */
	int64 size;           /* of that script, in bytes */
	int undo;             /* UpgUndoMode */
	int down_check;       /* UpgDownCheckMode */
	int drift;            /* UpgDriftMode */
	int verify;           /* UpgVerifyLevel */
	double verify_budget; /* seconds; 0: no limit */
	UpgMethod method;     /* of a rollback */
	bool dry_run;
	bool cascade;
	char *reason;
	char *undo_digest; /* roll back only if this is what is kept, or NULL */
	int on_conflict;   /* UpgOnConflict */
	List *policies;    /* of UpgTablePolicy */
	List *fills;       /* of UpgFill */
	Jsonb *given;
} UpgOptions;

extern UpgOptions *upg_options_merge(const char *stored, const UpgOptions *given);
extern UpgOptions *upg_options_parse(Jsonb *given, UpgOptionUse use);
extern void upg_options_of_undo(const UpgOptions *options, struct UpgUndoOptions *undo);

#endif /* UPG_OPTIONS_H */
