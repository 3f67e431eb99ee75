/*-------------------------------------------------------------------------
 *
 * new_migration.c
 *		The files of a new migration, in the layout of its directory.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/new_migration.c
 *
 *-------------------------------------------------------------------------
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "exit_codes.h"
#include "fsutil.h"
#include "log.h"
#include "run.h"

#define STAMP_AHEAD 3600 /* seconds that a new time stamp goes ahead of the clock */

/*
 * write_new
 *		Create a file that must not exist yet.
 */
static bool
write_new(UpgContext *ctx, const char *path, const char *text)
{
	int fd;
	size_t len = strlen(text);
	bool ok;

	if (!opt_on(ctx, OPT_DRY_RUN))
	{
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd < 0)
		{
			err_set(UPG_EXIT_FAILED, errno == EEXIST ? "UPG-2026" : "UPG-2005",
					"could not create file \"%s\": %s", path, strerror(errno));
			return false;
		}
		ok = write(fd, text, len) == (ssize_t) len;
		ok = close(fd) == 0 && ok;
		if (!ok)
		{
			err_set(UPG_EXIT_FAILED, "UPG-2021", "could not write file \"%s\": %s", path,
					strerror(errno));
			(void) unlink(path);
			return false;
		}
	}
	if (ctx->json)
		json_string(render_doc(), NULL, path);
	render_text(ctx, "%s\n", path);
	return true;
}

/*
 * next_number
 *		The number of the new migration: one more in the style of the last, or the time.
 */
static const char *
next_number(UpgContext *ctx)
{
	const char *last = NULL;
	time_t now = time(NULL);
	struct tm tm;
	const char *format;
	char stamp[32];

	for (int i = 0; i < ctx->source->count; i++)
	{
		const UpgEntry *entry = &ctx->source->entries[i];
		const char *name = entry->name;

		/* as it is written, if the name begins with it */
		if (name[strspn(name, "0123456789-")] == '_' && isdigit((unsigned char) *name))
			last = arena_strndup(ctx->arena, name, strspn(name, "0123456789-"));
		else if (entry->number != NULL)
			last = entry->number;
	}
	if (last != NULL && strlen(last) < 9 && last[strspn(last, "0123456789")] == '\0')
		return arena_printf(ctx->arena, "%0*ld", (int) strlen(last),
							strtol(last, NULL, 10) + 1);
	format = last != NULL && strchr(last, '-') ? "%Y-%m-%d-%H%M%S" : "%Y%m%d%H%M%S";
	/* it comes after the last one, also within a second or by a clock that is behind */
	for (int ahead = 0; ahead < STAMP_AHEAD; ahead++, now++)
	{
		gmtime_r(&now, &tm);
		strftime(stamp, sizeof(stamp), format, &tm);
		if (last == NULL || strlen(last) != strlen(stamp) || strcmp(stamp, last) > 0)
			break;
	}
	return arena_strdup(ctx->arena, stamp);
}

/* A script for a tool that splits files at semicolons, those in bodies included. */
static const char *
for_tool(UpgContext *ctx, const char *layout, const char *script)
{
	const char *tool = strcmp(layout, "goose") == 0         ? "goose"
					   : strcmp(layout, "sql-migrate") == 0 ? "migrate"
															: NULL;

	if (tool == NULL || strchr(script, '$') == NULL)
		return script;
	return arena_printf(ctx->arena, "-- +%s StatementBegin\n%s-- +%s StatementEnd\n",
						tool, script, tool);
}

/*
 * new_migration
 *		Write the files of a migration whose scripts are "up" and "down", or "up"
 *		alone if "down" is NULL; the directory is open.
 */
bool
new_migration(UpgContext *ctx, const char *given, const char *up, const char *down)
{
	char *name = arena_strdup(ctx->arena, given);
	const char *layout;
	const char *base;
	const char *number;
	const char *dir;
	UpgNewFiles files;

	if (strlen(name) > 200)
		return err_set(UPG_EXIT_USAGE, "UPG-2009", "the name is longer than 200 bytes");
	for (char *p = name; *p; p++)
		if (!isalnum((unsigned char) *p) && (unsigned char) *p < 0x80 && *p != '-')
			*p = '_';
	layout = ctx->source->count == 0 && opt_get(ctx, OPT_LAYOUT) == NULL
				 ? "updown"
				 : ctx->source->layout;
	number = next_number(ctx);
	base = arena_printf(ctx->arena,
						strcmp(layout, "dodo") == 0     ? "%s.%s"
						: strcmp(layout, "flyway") == 0 ? "V%s__%s"
														: "%s_%s",
						number, name);
	memset(&files, 0, sizeof(files));
	/* an undo file of Flyway that is empty would be a way back */
	if (!layout_files(ctx->arena, layout, base, for_tool(ctx, layout, up),
					  down == NULL || (strcmp(layout, "flyway") == 0 && *down == '\0')
						  ? NULL
						  : for_tool(ctx, layout, down),
					  &files))
	{
		err_set(UPG_EXIT_USAGE, "UPG-2006", "\"upg new\" does not write layout \"%s\"",
				layout);
		err_why("Its migrations are listed in a file that belongs to its own tool.");
		err_fix("Use that tool, or edit the file by hand.");
	}
	dir = files.folder == NULL
			  ? ctx->source->dir
			  : arena_printf(ctx->arena, "%s/%s", ctx->source->dir, files.folder);
	if (ctx->json)
		json_array(render_doc(), "files");
	if (files.folder != NULL && !opt_on(ctx, OPT_DRY_RUN) && mkdir(dir, 0777) != 0)
		err_set(UPG_EXIT_FAILED, "UPG-2026", "could not create directory \"%s\": %s", dir,
				strerror(errno));
	for (int i = 0; upg_error.exit_code == 0 && i < files.names.count; i++)
		(void) write_new(ctx,
						 arena_printf(ctx->arena, "%s/%s", dir, files.names.items[i]),
						 files.texts.items[i]);
	if (ctx->json)
		json_array_end(render_doc());
	layout_files_free(&files);
	if (down != NULL && (*down != '\0' || opt_on(ctx, OPT_DOWN)) &&
		(strcmp(layout, "plain") == 0 || strcmp(layout, "graphile") == 0))
		log_warning("layout \"%s\" has no down scripts, so none was written", layout);
	return upg_error.exit_code == 0;
}
