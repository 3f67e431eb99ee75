/*-------------------------------------------------------------------------
 *
 * squash.h
 *		One migration of several: what the files of squash share.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/squash.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_SQUASH_H
#define UPG_SQUASH_H

#include "run.h"

/* A file or folder of the directory that belongs to the range. */
typedef struct SquashFiles
{
	UpgList old; /* names in the directory that go away */
	UpgNewFiles made;
} SquashFiles;

/* A database to try things in. */
typedef struct Scratch
{
	UpgContext ctx; /* connected to it */
	const char *name;
	bool there;
} Scratch;

extern bool squash_scratch(UpgContext *ctx, Scratch *scratch, const char *suffix);
extern void squash_scratch_drop(UpgContext *ctx, Scratch *scratch);
extern bool squash_apply(Scratch *scratch, UpgSource *source, int first, int last);

extern bool squash_files(UpgContext *ctx, int first, int last, const char *base,
						 const char *up, const char *down, SquashFiles *files);
extern bool squash_preview(UpgContext *ctx, const SquashFiles *files, UpgBuf *dir);
extern void squash_preview_remove(const char *dir);
extern bool squash_place(UpgContext *ctx, const SquashFiles *files, const char *name);

#endif /* UPG_SQUASH_H */
