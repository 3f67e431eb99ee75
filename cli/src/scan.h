/*-------------------------------------------------------------------------
 *
 * scan.h
 *		Scanner for SQL scripts as psql reads them.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/scan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_SCAN_H
#define UPG_SCAN_H

#include <stdio.h>

#include "util.h"

/* psql variables; later settings win. */
typedef struct UpgVar
{
	char *name;
	char *value; /* NULL: unset */
} UpgVar;

typedef struct UpgVars
{
	UpgVar *items;
	int count;
	int cap;
} UpgVars;

extern void vars_set(UpgVars *vars, const char *name, const char *value);
extern const char *vars_get(const UpgVars *vars, const char *name);
extern void vars_copy(UpgVars *to, const UpgVars *from);
extern void vars_free(UpgVars *vars);

/* A piece of a file: one direction of a migration. */
typedef struct UpgPiece
{
	const char *path;
	int64_t offset;
	int64_t length; /* -1: to the end of the file */
	int first_line; /* line number of the first byte */
	char *text;     /* the whole file, if it is kept in memory; not owned */
	size_t text_len;
} UpgPiece;

typedef enum UpgScanKind
{
	UPG_SCAN_ERROR = -1, /* the error is set */
	UPG_SCAN_END = 0,
	UPG_SCAN_STATEMENT,
	UPG_SCAN_COPY,      /* COPY ... FROM stdin: data follows in the file */
	UPG_SCAN_COPY_FILE, /* \copy ... from FILE */
	UPG_SCAN_REST       /* white space and comments at the end */
} UpgScanKind;

typedef struct UpgScanItem
{
	UpgScanKind kind;
	const char *text; /* as written, with what precedes the statement */
	size_t len;
	const char *statement; /* where the statement begins in "text" */
	const char *file;      /* of its first word */
	int line;
	int col;
	const char *copy_path; /* UPG_SCAN_COPY_FILE: file to read */
	const char *original;  /* UPG_SCAN_COPY_FILE: the line as written */
} UpgScanItem;

typedef struct UpgScan UpgScan;

extern UpgScan *scan_open(const UpgPiece *piece, const UpgVars *vars);
extern UpgScanKind scan_next(UpgScan *scan, UpgScanItem *item);
extern int scan_copy_line(UpgScan *scan, const char **data, size_t *len);
extern bool scan_skip_data(UpgScan *scan, const UpgScanItem *item);
extern void scan_position(const UpgScan *scan, int out_line, const char **file,
						  int *line);
extern const UpgList *scan_messages(const UpgScan *scan);
extern bool scan_changed_text(const UpgScan *scan);
extern void scan_close(UpgScan *scan);

#endif /* UPG_SCAN_H */
