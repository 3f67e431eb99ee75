/*-------------------------------------------------------------------------
 *
 * lint.h
 *		Trying the down scripts of a directory: types, and the parts of the work.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/lint.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_LINT_H
#define UPG_LINT_H

#include "command.h"

/* What is to be said of a down, from good to bad; --fail-on counts on the order. */
typedef enum UpgVerdict
{
	UPG_VERDICT_EXACT,    /* schema and rows are what they were */
	UPG_VERDICT_UNTESTED, /* the up does not apply here, so nothing is known */
	UPG_VERDICT_NONE,     /* there is no down */
	UPG_VERDICT_DIFFERS,  /* rows are back, the schema differs */
	UPG_VERDICT_LOSSY,    /* rows are lost, changed or left behind */
	UPG_VERDICT_FAILS     /* the down does not run */
} UpgVerdict;

#define UPG_VERDICTS 6

/* Bytes of a value that a sentence shows; the page tells longer ones apart. */
#define LINT_VALUE_SHOWN 60

/* One thing that is not as it was. */
typedef struct UpgFinding
{
	bool data;             /* rows; else an object of the schema */
	const char *object;    /* "index public.i"; of rows: the table */
	const char *change;    /* missing, extra, changed; of rows: table, rows, sequence */
	const char *attribute; /* what of the object; of rows: the column, or NULL */
	const char *was;       /* NULL: nothing; of rows: a value for example */
	const char *is_now;
	const char *turned; /* of rows: null, one value, several values, gone */
	int64_t rows_was;
	int64_t lost;
	int64_t added;
	int64_t changed;
	int64_t in_column; /* rows whose value in this column is another */
	const char *where; /* file:line of the down that has to do with it */
} UpgFinding;

/* Why a script does not run. */
typedef struct UpgScriptFault
{
	const char *what;
	const char *where; /* file:line */
	const char *sqlstate;
	const char *statement;
} UpgScriptFault;

typedef struct UpgLintResult
{
	const char *name;
	const char *file;
	const char *down_file; /* NULL: there is none */
	UpgVerdict verdict;
	bool down_empty;
	bool destroys; /* rows are not what they were after the up */
	bool outside;  /* run in a copy of the database, not in one transaction */
	int64_t tables;
	int64_t filled;          /* tables that had rows */
	UpgScriptFault up_fault; /* what is NULL: it runs */
	UpgScriptFault down_fault;
	UpgScriptFault again_fault; /* of the up, applied after the down */
	UpgFinding *findings;
	int finding_count;
	UpgList notes;
	const char *where;   /* file:line that an annotation stands at */
	bool known;          /* the baseline names it ... */
	UpgVerdict known_as; /* ... with this verdict */
	int64_t ms;
} UpgLintResult;

typedef struct UpgLintReport
{
	const char *directory;
	const char *layout;
	UpgLintResult *results;
	int count;
	int verdicts[UPG_VERDICTS];
	int downs;        /* that were run */
	int schema_exact; /* of these: the schema is what it was */
	int destroying;   /* ups that change or drop rows, with a down that was run */
	int restored;     /* of these: the rows are what they were */
	int without_rows; /* migrations that only apply to empty tables */
	int passed_over;  /* only applied, as --latest wants it */
	int known;        /* that the baseline allows */
	UpgList better;   /* of the baseline: better now, or no longer there */
	int64_t ms;
} UpgLintReport;

/* Downs that are known not to be exact. */
typedef struct UpgLintBaseline
{
	UpgList names;
	UpgVerdict *verdicts;
} UpgLintBaseline;

/* Which findings make the command fail. */
typedef struct UpgLintPolicy
{
	const char *fail_on; /* fails, lossy, differs, missing, never */
	bool baseline;       /* what it names counts only if it is worse */
} UpgLintPolicy;

/* lint_scratch.c: the scratch database */
typedef struct UpgScratch
{
	UpgConn *admin; /* where databases are made; not owned */
	UpgArena *arena;
	const char *name;
	bool keep; /* leave it at the end */
	bool made;
	UpgConn *conn;      /* to the database, or to its copy */
	const char *copy;   /* name of the copy, while there is one */
	UpgList roles;      /* that were there before */
	UpgList made_roles; /* to be dropped at the end */
	bool roles_known;
} UpgScratch;

extern bool scratch_make(UpgScratch *scratch, UpgConn *admin, UpgArena *arena,
						 const char *name);
extern bool scratch_copy(UpgScratch *scratch);
extern bool scratch_uncopy(UpgScratch *scratch);
extern bool scratch_make_role(UpgScratch *scratch, const char *role);
extern bool scratch_note_roles(UpgScratch *scratch, const char *script);
extern void scratch_end(UpgScratch *scratch);

/* lint_script.c: running a script as psql would */
typedef struct UpgLintScript
{
	UpgScript script;
	const char *file;
	int statements;
	bool single;   /* one transaction can hold it */
	UpgList notes; /* statements that are left out, and why */
} UpgLintScript;

extern bool lint_script_load(UpgContext *ctx, UpgEntry *entry, bool down,
							 const UpgScratch *scratch, UpgLintScript *script);
extern bool lint_script_run(UpgContext *ctx, UpgLintScript *script,
							const UpgScratch *scratch, bool whole);
extern void lint_script_free(UpgLintScript *script);
extern bool lint_reaches_out(const char *statement, const UpgScratch *scratch);
extern int lint_line_of(const char *statement, int line, int position);
extern const char *lint_script_place(const UpgLintScript *script, UpgArena *arena,
									 const char *const *words, int count);

/* lint_run.c: one migration after the other */
extern bool lint_downs(UpgContext *ctx, UpgScratch *scratch, int rows, int latest,
					   UpgLintReport *report);
extern void lint_summarize(UpgLintReport *report);
extern void lint_report_free(UpgLintReport *report);

/* lint_text.c: words for what was found */
extern const char *verdict_name(UpgVerdict verdict);
extern const char *verdict_meaning(UpgVerdict verdict);
extern void finding_text(UpgBuf *out, const UpgFinding *finding);
extern void lint_lines(const UpgLintResult *result, UpgArena *arena, UpgList *lines);
extern const char *lint_file_of(UpgArena *arena, const char *where, int *line);
extern void lint_summary(const UpgLintReport *report, UpgArena *arena, UpgList *lines);

/* lint_policy.c: what makes the command fail; the baseline */
extern bool lint_verdict_of(const char *name, size_t len, UpgVerdict *verdict);
extern bool lint_breaks(const UpgLintResult *result, const UpgLintPolicy *policy);
extern int lint_failures(const UpgLintReport *report, const UpgLintPolicy *policy);
extern bool lint_baseline_read(const char *path, UpgArena *arena, UpgLintBaseline *base);
extern void lint_baseline_free(UpgLintBaseline *base);
extern void lint_baseline_use(const UpgLintBaseline *base, UpgArena *arena, bool part,
							  UpgLintReport *report);
extern bool lint_baseline_write(const char *path, const UpgLintReport *report);

/* lint_html.c, lint_junit.c, lint_annotate.c: reports for files, editors and CI */
extern void lint_html(UpgBuf *out, const UpgLintReport *report,
					  const UpgLintPolicy *policy);
extern void lint_junit(UpgBuf *out, const UpgLintReport *report,
					   const UpgLintPolicy *policy);
extern void lint_annotate(UpgBuf *out, const UpgLintReport *report,
						  const UpgLintPolicy *policy, const char *form);

#endif /* UPG_LINT_H */
