/*-------------------------------------------------------------------------
 *
 * script.h
 *		A migration's script: statements, steps, checksums.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/script.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_SCRIPT_H
#define UPG_SCRIPT_H

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

/* Version of the checksum algorithms, stored beside every checksum. */
#define UPG_MEANING_VERSION 1

#define UPG_SHA256_LENGTH 32

typedef enum UpgStepKind
{
	UPG_STEP_TRANSACTION, /* all its statements commit together */
	UPG_STEP_AUTOCOMMIT   /* one statement that no transaction can hold */
} UpgStepKind;

typedef struct UpgStatement
{
	int no; /* 1-based number in the script */
	RawStmt *raw;
	int start;       /* byte offset of its first token */
	int length;      /* in bytes, without the semicolon */
	int line;        /* 1-based place of its first token */
	int column;      /* in characters */
	int step;        /* number of its step; 0: transaction control, not run */
	const char *own; /* why no transaction can hold it, or NULL */
} UpgStatement;

typedef struct UpgStep
{
	int no; /* 1-based */
	UpgStepKind kind;
	int first; /* numbers of its first and last statement */
	int last;
	int isolation; /* the level (xact.h) that its script asks for, or -1 */
} UpgStep;

typedef struct UpgScript
{
	const char *text;
	int nstatements;
	UpgStatement *statements;
	int nsteps;
	UpgStep *steps;
	List *notes; /* of char *: what the reader should know */
} UpgScript;

/* How a script is to be cut, beside what its own text says. */
typedef struct UpgCut
{
	bool each_alone; /* the author wants no transaction around the script */
	List *before;    /* integer list: a step ends before these statements */
	List *own;       /* integer list: statements found to stand no transaction */
} UpgCut;

typedef struct UpgChecksums
{
	uint8 sha256[UPG_SHA256_LENGTH];
	uint8 meaning[UPG_SHA256_LENGTH];
	bool has_meaning; /* false: the server cannot scan it alone */
} UpgChecksums;

extern UpgScript *upg_script_parse(const char *text, const UpgCut *cut);
extern void upg_script_checksums(const char *text, int length, UpgChecksums *checksums);
extern void upg_script_sha256(const char *text, size_t length, uint8 *sha256);
extern char *upg_script_step_text(const UpgScript *script, const UpgStep *step);
extern char *upg_script_excerpt(const UpgScript *script, const UpgStatement *stmt);
extern void upg_script_position(const char *text, int offset, int *line, int *column);
extern const char *upg_statement_own_transaction(Node *stmt);
extern bool upg_cut_extend(UpgCut *cut, const UpgStatement *stmt, int sqlstate);
extern char *upg_script_complaint(const char *text);
extern bool upg_script_transactional(const UpgScript *script);
extern bool upg_is_set_transaction(Node *stmt);

#endif /* UPG_SCRIPT_H */
