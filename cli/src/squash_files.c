/*-------------------------------------------------------------------------
 *
 * squash_files.c
 *		The files of a squashed migration: written in the directory's layout, the old
 *		ones put aside.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/squash_files.c
 *
 *-------------------------------------------------------------------------
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exit_codes.h"
#include "fsutil.h"
#include "log.h"
#include "squash.h"

/*
 * add_old
 *		The item of the directory that a path lies in goes away.
 */
static void
add_old(UpgContext *ctx, SquashFiles *files, const char *path)
{
	const char *dir = ctx->source->dir;
	const char *item;

	if (path == NULL)
		return;
	item = path + strlen(dir);
	item += strspn(item, "/");
	item = arena_strndup(ctx->arena, item, strcspn(item, "/"));
	if (!list_has(&files->old, item))
		list_add(&files->old, item);
}

/*
 * squash_files
 *		What is to be written and what goes away; "base" is number and name.
 *
 * "down" may be NULL; *files holds zeros, or what an earlier call put there.
 */
bool
squash_files(UpgContext *ctx, int first, int last, const char *base, const char *up,
			 const char *down, SquashFiles *files)
{
	const char *layout = ctx->source->layout;
	UpgArena *arena = ctx->arena;

	list_free(&files->old);
	layout_files_free(&files->made);
	for (int i = first; i <= last; i++)
	{
		const UpgEntry *entry = &ctx->source->entries[i];

		add_old(ctx, files, entry->up.path);
		add_old(ctx, files, entry->down.path);
		if (strcmp(layout, "flyway") == 0)
		{
			const char *conf = arena_printf(arena, "%s.conf", entry->up.path);

			if (fs_is_file(conf))
				add_old(ctx, files, conf);
		}
	}
	if (!layout_files(arena, layout, base, up, down, &files->made))
		return err_set(UPG_EXIT_BUG, "UPG-9999", "layout \"%s\" cannot be written",
					   layout);
	for (int i = 0; i < files->made.names.count; i++)
	{
		const char *item =
			files->made.folder ? files->made.folder : files->made.names.items[i];
		const char *path = arena_printf(arena, "%s/%s", ctx->source->dir, item);
		struct stat st;

		if (list_has(&files->old, item) || lstat(path, &st) != 0)
			continue;
		err_set(UPG_EXIT_USAGE, "UPG-2026", "file \"%s\" exists already", path);
		err_fix("Choose another name with --name.");
		return false;
	}
	return true;
}

/*
 * write_files
 *		Write the new files below a directory.
 */
static bool
write_files(UpgContext *ctx, const SquashFiles *files, const char *dir)
{
	if (files->made.folder != NULL)
	{
		dir = arena_printf(ctx->arena, "%s/%s", dir, files->made.folder);
		if (mkdir(dir, 0777) != 0)
			return err_set(UPG_EXIT_FAILED, "UPG-2021",
						   "could not create directory \"%s\": %s", dir, strerror(errno));
	}
	for (int i = 0; i < files->made.names.count; i++)
		if (!fs_write(arena_printf(ctx->arena, "%s/%s", dir, files->made.names.items[i]),
					  files->made.texts.items[i], strlen(files->made.texts.items[i])))
			return false;
	return true;
}

/*
 * squash_preview
 *		The directory as it will be: links to what stays, and the new files.
 */
bool
squash_preview(UpgContext *ctx, const SquashFiles *files, UpgBuf *dir)
{
	const char *tmp = getenv("TMPDIR");
	UpgDir list;
	char *real = realpath(ctx->source->dir, NULL);
	bool ok = true;

	buf_printf(dir, "%s/upg.XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
	if (real == NULL || mkdtemp(dir->data) == NULL)
	{
		err_set(UPG_EXIT_FAILED, "UPG-2021", "could not create directory \"%s\": %s",
				dir->data, strerror(errno));
		buf_reset(dir);
		free(real);
		return false;
	}
	ok = fs_list(ctx->arena, real, &list);
	for (int i = 0; ok && i < list.count; i++)
	{
		const char *link =
			arena_printf(ctx->arena, "%s/%s", dir->data, list.items[i].name);

		if (list_has(&files->old, list.items[i].name))
			continue;
		if (symlink(arena_printf(ctx->arena, "%s/%s", real, list.items[i].name), link) !=
			0)
			ok = err_set(UPG_EXIT_FAILED, "UPG-2021", "could not create link \"%s\": %s",
						 link, strerror(errno));
	}
	fs_list_free(&list);
	free(real);
	return ok && write_files(ctx, files, dir->data);
}

/*
 * squash_preview_remove
 *		Remove it; it holds links, files and at most one folder of files.
 */
void
squash_preview_remove(const char *dir)
{
	DIR *handle = dir[0] ? opendir(dir) : NULL;
	struct dirent *item;
	UpgBuf path;

	if (handle == NULL)
		return;
	buf_init(&path);
	while ((item = readdir(handle)) != NULL)
	{
		if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
			continue;
		buf_reset(&path);
		buf_printf(&path, "%s/%s", dir, item->d_name);
		if (unlink(path.data) != 0)
			squash_preview_remove(path.data);
	}
	buf_free(&path);
	closedir(handle);
	rmdir(dir);
}

/*
 * squash_place
 *		Put the old files aside and the new ones in their place.
 *
 * What fails is undone, so that the directory is the old one or the new one.
 */
bool
squash_place(UpgContext *ctx, const SquashFiles *files, const char *name)
{
	const char *dir = ctx->source->dir;
	const char *aside = arena_printf(ctx->arena, "%s/.squashed", dir);
	const char *own = arena_printf(ctx->arena, "%s/%s", aside, name);
	int moved = 0;
	bool ok = true;

	if ((mkdir(aside, 0777) != 0 && errno != EEXIST) || mkdir(own, 0777) != 0)
		return err_set(UPG_EXIT_FAILED, "UPG-2021",
					   "could not create directory \"%s\": %s", own, strerror(errno));
	for (; ok && moved < files->old.count; moved++)
	{
		const char *item = files->old.items[moved];

		if (rename(arena_printf(ctx->arena, "%s/%s", dir, item),
				   arena_printf(ctx->arena, "%s/%s", own, item)) != 0)
		{
			ok = err_set(UPG_EXIT_FAILED, "UPG-2021", "could not move \"%s/%s\": %s", dir,
						 item, strerror(errno));
			break;
		}
	}
	ok = ok && write_files(ctx, files, dir);
	if (ok)
		return true;
	for (int i = 0; i < files->made.names.count; i++)
		unlink(files->made.folder
				   ? arena_printf(ctx->arena, "%s/%s/%s", dir, files->made.folder,
								  files->made.names.items[i])
				   : arena_printf(ctx->arena, "%s/%s", dir, files->made.names.items[i]));
	if (files->made.folder != NULL)
		rmdir(arena_printf(ctx->arena, "%s/%s", dir, files->made.folder));
	for (int i = 0; i < moved; i++)
		if (rename(arena_printf(ctx->arena, "%s/%s", own, files->old.items[i]),
				   arena_printf(ctx->arena, "%s/%s", dir, files->old.items[i])) != 0)
			log_warning("could not move \"%s/%s\" back: %s", own, files->old.items[i],
						strerror(errno));
	rmdir(own);
	rmdir(aside);
	return false;
}
