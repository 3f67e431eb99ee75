/*-------------------------------------------------------------------------
 *
 * fsutil.h
 *		Files and directories.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/fsutil.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_FSUTIL_H
#define UPG_FSUTIL_H

#include "util.h"

typedef struct UpgDirItem
{
	const char *name;
	uint64_t number; /* that the name begins with, or 0 */
	bool is_dir;
} UpgDirItem;

/* A directory's content, sorted naturally; names that begin with a dot are left out. */
typedef struct UpgDir
{
	UpgDirItem *items;
	int count;
	int cap;
} UpgDir;

extern bool fs_list(UpgArena *arena, const char *path, UpgDir *dir);
extern void fs_list_free(UpgDir *dir);
extern bool fs_has(const UpgDir *dir, const char *name);
extern bool fs_read(const char *path, UpgBuf *out, size_t limit);
extern bool fs_write(const char *path, const char *text, size_t len);
extern bool fs_is_file(const char *path);
extern bool fs_is_dir(const char *path);

#endif /* UPG_FSUTIL_H */
