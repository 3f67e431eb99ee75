/*-------------------------------------------------------------------------
 *
 * render.h
 *		Printing results: as text or as one JSON document.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/render.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_RENDER_H
#define UPG_RENDER_H

#include "command.h"
#include "json.h"

/* What became of one migration. */
typedef struct UpgOutcome
{
	const char *name;
	const char *state;
	const char *undo;
	int64_t statements;
	int64_t steps;
	double ms;
	UpgList warnings;
	const char *note; /* said behind the line, or NULL */
} UpgOutcome;

/* A column of a table; a NULL name ends the list. */
typedef struct UpgColumn
{
	const char *name;  /* of the column of the rows */
	const char *title; /* for people; NULL: only in JSON */
} UpgColumn;

extern void render_start(UpgContext *ctx);
extern bool render_finished(void);
extern UpgJson *render_doc(void);
extern void render_text(const UpgContext *ctx, const char *fmt, ...) UPG_PRINTF(2, 3);
extern void render_raw(const char *text, size_t len);
extern void render_rows(const UpgContext *ctx, const UpgRows *rows, const char *key,
						const UpgColumn *columns);
extern void render_found(UpgContext *ctx, const UpgRows *rows, const char *key,
						 const UpgColumn *columns, const char *nothing);
extern void render_outcome(const UpgContext *ctx, const UpgOutcome *outcome);
extern void render_flush(void);
extern bool render_reader_left(void);
extern bool render_finish(const UpgContext *ctx, int exit_code);

extern void render_json_start(const UpgContext *ctx);
extern void render_json_rows(const UpgRows *rows, const char *key);
extern void render_json_array(const char *key, const char *value);
extern void render_json_outcome(const UpgOutcome *outcome);
extern void render_json_finish(int exit_code);

#endif /* UPG_RENDER_H */
