/*-------------------------------------------------------------------------
 *
 * source.h
 *		Directories of migrations, in the layouts that people have.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/source.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_SOURCE_H
#define UPG_SOURCE_H

#include "hash.h"
#include "scan.h"
#include "util.h"

/*
 * Default of --stream-above.  A script below it is in memory twice, here and in libpq
 * on its way to the server, and so is its down script.
 */
#define SOURCE_STREAM_ABOVE ((int64_t) 2 * 1024 * 1024)

#define UPG_NAME_MAX 255 /* characters; the ledger takes no longer names */

/* One migration as the directory has it. */
typedef struct UpgEntry
{
	const char *name;   /* from the file */
	const char *ledger; /* in the ledger: of a repeatable, with its checksum */
	const char *order;  /* compared with natural_compare(), or by its bytes */
	const char *number; /* version; NULL if the layout has none */
	UpgPiece up;
	UpgPiece down;               /* path NULL: there is none */
	const char *down_text;       /* for layouts whose down is not a piece of a file */
	bool no_transaction;         /* marked so outside of the script's text */
	bool by_bytes;               /* the tool sorts its names as text */
	bool repeatable;             /* run again whenever its text changes */
	bool baseline;               /* stands for all versions up to its own */
	UpgList requires;            /* owned by the source's arena, except the array */
	UpgList replaces;            /* migrations that this one stands for */
	const char *undo;            /* how much of an undo the file asks for, or NULL */
	const char *verify;          /* path of its verify script, or NULL */
	const char *tags;            /* Sqitch's tags of it, " @a @b ", or NULL */
	const char *change_id;       /* as Sqitch computes it, or NULL */
	int64_t size;                /* bytes of the script */
	bool streamed;               /* too large to be held in memory */
	char sha256[UPG_SHA256_HEX]; /* empty: see problem */
	char *problem;               /* why the script cannot be read (malloc'ed) */
	int problem_exit;
	char problem_code[12];
	char *problem_where;
	char *problem_why;
	char *problem_fix;
} UpgEntry;

/* A script that runs around migrations, as Flyway has them. */
typedef struct UpgCallback
{
	const char *event;
	const char *path;
} UpgCallback;

typedef struct UpgSource
{
	UpgArena *arena;
	UpgArena *more; /* of the second thread that read the files, or NULL */
	const char *dir;
	const char *layout;      /* name for --layout */
	const char *layout_text; /* for people */
	UpgEntry *entries;
	int count;
	int cap;
	UpgList warnings;
	UpgVars vars;
	int64_t stream_above;
	size_t kept;         /* bytes of texts kept in memory */
	const char *project; /* Sqitch's, or NULL */
	UpgCallback *callbacks;
	int callback_count;
} UpgSource;

typedef struct UpgLayout
{
	const char *name;
	const char *text;
	const char *looks;
} UpgLayout;

extern const UpgLayout upg_layouts[];

extern UpgSource *source_open(const char *dir, const char *layout, const UpgVars *vars,
							  int64_t stream_above);
extern void source_close(UpgSource *source);
extern void source_digest(const UpgSource *source, char hex[UPG_SHA256_HEX]);
extern bool source_problem(const UpgEntry *entry);
extern UpgSource *source_single(const char *path, const char *name, const UpgVars *vars,
								int64_t stream_above);

/* The text of one direction, as it goes to the server. */
typedef struct UpgScript
{
	UpgBuf text;
	bool client_driven; /* holds COPY data */
	bool streamed;      /* not loaded */
	UpgScan *scan;      /* for positions; NULL when text is as in the file */
	int statements;
	const UpgPiece *piece;
	const char *path;
} UpgScript;

extern bool script_load(UpgSource *source, UpgEntry *entry, bool down, UpgScript *script);
extern void script_position(const UpgScript *script, int line, const char **file,
							int *file_line);
extern UpgScan *script_rescan(const UpgScript *script);
extern void script_free(UpgScript *script);
/* The files of a new migration, names and texts side by side. */
typedef struct UpgNewFiles
{
	const char *folder; /* that they lie in, or NULL */
	UpgList names;
	UpgList texts;
} UpgNewFiles;

extern bool layout_files(UpgArena *arena, const char *layout, const char *base,
						 const char *up, const char *down, UpgNewFiles *files);
extern void layout_files_free(UpgNewFiles *files);

extern bool entry_has_down(const UpgEntry *entry);
extern bool entry_is_called(const UpgEntry *entry, const char *name);

#endif /* UPG_SOURCE_H */
