/*-------------------------------------------------------------------------
 *
 * log.h
 *		Messages on stderr, the one current error, colour, and interrupts.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/log.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_LOG_H
#define UPG_LOG_H

#include "util.h"

/*
 * The current error.  A function that fails sets it and returns false (or NULL);
 * main() prints it once, as text and, with --json, as an object.
 */
typedef struct UpgError
{
	int exit_code;    /* 0: no error */
	bool outcome;     /* no failure: what was asked for, and has an exit code */
	char code[12];    /* UPG-nnnn */
	char sqlstate[6]; /* of the server's error, else empty */
	char *what;       /* primary message */
	char *why;        /* detail */
	char *where;      /* file:line:col or object */
	char *fix;        /* hint */
	char *excerpt;    /* the failing line with a caret below it */
	char *statement;  /* the failing statement */
	int line;         /* of the script, told by the server; 0: not known */
	int col;
	int position;    /* in the statement, in characters from 1; 0: not known */
	char schema[64]; /* of the table that the server's error names */
	char table[64];  /* that table, else empty */
	UpgList next;    /* commands that help (owned) */
} UpgError;

extern UpgError upg_error;
extern int upg_verbosity; /* -1 quiet, 0 normal, 1.. verbose */

extern bool err_set(int exit_code, const char *code, const char *fmt, ...)
	UPG_PRINTF(3, 4);
extern void err_why(const char *fmt, ...) UPG_PRINTF(1, 2);
extern void err_where(const char *fmt, ...) UPG_PRINTF(1, 2);
extern void err_fix(const char *fmt, ...) UPG_PRINTF(1, 2);
extern void err_next(const char *fmt, ...) UPG_PRINTF(1, 2);
extern void err_clear(void);
extern UpgError err_take(void);
extern void err_put(UpgError saved);
extern void err_print(void);
extern const char *err_doc(const char *code);

typedef struct UpgErrorCode
{
	const char *code;
	const char *meaning;
} UpgErrorCode;

extern const UpgErrorCode upg_error_codes[];

extern void log_info(const char *fmt, ...) UPG_PRINTF(1, 2);
extern void log_verbose(const char *fmt, ...) UPG_PRINTF(1, 2);
extern void log_warning(const char *fmt, ...) UPG_PRINTF(1, 2);
extern void log_detail(const char *fmt, ...) UPG_PRINTF(1, 2);
extern void log_hint(const char *fmt, ...) UPG_PRINTF(1, 2);
extern void log_progress(const char *fmt, ...) UPG_PRINTF(1, 2);
extern bool log_progress_wanted(void);
extern void log_progress_end(void);
extern bool log_colour(int fd);

#endif /* UPG_LOG_H */
