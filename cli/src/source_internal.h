/*-------------------------------------------------------------------------
 *
 * source_internal.h
 *		What the files of source share.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/source_internal.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_SOURCE_INTERNAL_H
#define UPG_SOURCE_INTERNAL_H

#include "fsutil.h"
#include "source.h"

/* How marker files are cut; fed line by line. */
typedef struct Markers
{
	const char *family; /* layout name */
	int64_t up_start;   /* -1: not seen */
	int64_t up_end;
	int up_line;
	int64_t down_start;
	int64_t down_end;
	int down_line;
	int64_t pos;
	int line;
	int part;            /* 0 header, 1 up, 2 down */
	bool no_transaction; /* a mark in the header */
	const char *error;
	int error_line;
} Markers;

extern UpgEntry *source_add(UpgSource *source, const char *name, const char *path);
extern void source_read(UpgSource *source);
extern void source_fetch(UpgSource *source, UpgPiece *piece);
extern const char *source_path(const UpgSource *source, const char *name);
extern const char *number_of(UpgArena *arena, const char *name, const char **order);
extern bool layout_by_name(UpgSource *source, const UpgDir *dir);
extern bool layout_detect(UpgSource *source, const UpgDir *dir, const char *wanted);
extern bool layout_sqitch(UpgSource *source);
extern bool layout_flyway(UpgSource *source, const UpgDir *dir);
extern bool layout_liquibase(UpgSource *source, const UpgDir *dir);
extern const char *markers_family(const char *text, size_t len);
extern void markers_begin(Markers *markers, const char *family);
extern void markers_line(Markers *markers, const char *line, size_t len);
extern void markers_end(Markers *markers);
extern bool markers_is_family(const char *layout);
extern const char *markers_text(UpgArena *arena, const char *layout, const char *up,
								const char *down);

#endif /* UPG_SOURCE_INTERNAL_H */
