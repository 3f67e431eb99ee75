/*-------------------------------------------------------------------------
 *
 * scan_internal.h
 *		What scan.c, scan_input.c and scan_psql.c share.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/scan_internal.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_SCAN_INTERNAL_H
#define UPG_SCAN_INTERNAL_H

#include "scan.h"

#define SCAN_MAX_DEPTH 32
#define SCAN_CHUNK     (64 * 1024)

/* One input: a file, or the value of a variable. */
typedef struct ScanSource
{
	FILE *file;       /* NULL for a variable */
	const char *name; /* path, or name of the variable */
	char *buf;
	size_t pos;
	size_t limit; /* bytes that may be consumed (validated) */
	size_t len;   /* bytes held; behind "limit" a cut character may wait */
	size_t cap;
	int64_t left;   /* bytes still to be read, -1: to the end */
	int64_t offset; /* file offset of buf[0] */
	bool eof;
	int line;
	int col;
	bool newline; /* a variable's value that holds one */
} ScanSource;

typedef struct ScanIf
{
	bool parent_active;
	bool taken;  /* some branch was true */
	bool active; /* this branch is */
	bool in_else;
	int line;
	int depth; /* of the input stack, branches do not cross files */
} ScanIf;

typedef struct ScanMap
{
	int out_line;
	const char *file;
	int line;
} ScanMap;

struct UpgScan
{
	UpgArena *arena;
	ScanSource stack[SCAN_MAX_DEPTH];
	int depth; /* number of inputs */
	UpgVars vars;
	ScanIf ifs[SCAN_MAX_DEPTH];
	int if_depth;
	UpgBuf out;   /* text of the current item */
	UpgBuf line;  /* a line of COPY data */
	int out_line; /* line of the expanded script */
	ScanMap *map;
	int map_count;
	int map_cap;
	UpgList messages;
	bool failed;
	bool changed;          /* the expanded text differs from the file */
	bool copy_done;        /* the COPY item's data ended */
	const char *copy_path; /* set by \copy */
	char *copy_sql;
	char *copy_line;
};

#define SCAN_EOF (-1)

extern bool scan_active(const UpgScan *scan);
extern bool scan_push_file(UpgScan *scan, const char *path, const UpgPiece *piece);
extern bool scan_push_value(UpgScan *scan, const char *name, const char *value);
extern void scan_pop(UpgScan *scan);
extern int scan_peek(UpgScan *scan, size_t ahead);
extern bool scan_error(UpgScan *scan, const char *code, int line, const char *fmt, ...)
	UPG_PRINTF(4, 5);
extern bool scan_backslash(UpgScan *scan, bool in_statement);
extern const ScanSource *scan_file(const UpgScan *scan);
extern int scan_get(UpgScan *scan);

#endif /* UPG_SCAN_INTERNAL_H */
