/*-------------------------------------------------------------------------
 *
 * cmd_misc.c
 *		Commands that need no database: new, completion, help.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/cmd_misc.c
 *
 *-------------------------------------------------------------------------
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "exit_codes.h"
#include "fsutil.h"
#include "log.h"
#include "run.h"

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
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp),
			 last != NULL && strchr(last, '-') ? "%Y-%m-%d-%H%M%S" : "%Y%m%d%H%M%S", &tm);
	return arena_strdup(ctx->arena, stamp);
}

/* upg new */
int
cmd_new(UpgContext *ctx)
{
	char *name = arena_strdup(ctx->arena, ctx_arg(ctx, 0));
	const char *layout;
	const char *base;
	const char *number;
	const char *dir;
	UpgNewFiles files;

	if (strlen(name) > 200)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2009", "the name is longer than 200 bytes");
		return upg_error.exit_code;
	}
	for (char *p = name; *p; p++)
		if (!isalnum((unsigned char) *p) && (unsigned char) *p < 0x80 && *p != '-')
			*p = '_';
	if (!ctx_open_source(ctx, 1))
		return upg_error.exit_code;
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
	if (!layout_files(ctx->arena, layout, base, "",
					  strcmp(layout, "flyway") == 0 ? NULL : "", &files))
	{
		err_set(UPG_EXIT_USAGE, "UPG-2006", "\"upg new\" does not write layout \"%s\"",
				layout);
		err_why("Its migrations are listed in a file that belongs to its own tool.");
		err_fix("Use that tool, or edit the file by hand.");
	}
	dir = files.folder == NULL
			  ? ctx->source->dir
			  : arena_printf(ctx->arena, "%s/%s", ctx->source->dir, files.folder);
	render_start(ctx);
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
	return upg_error.exit_code;
}

/* upg completion */
int
cmd_completion(UpgContext *ctx)
{
	UpgBuf out;

	buf_init(&out);
	ctx->json = false;
	if (!help_completion(&out, ctx_arg(ctx, 0)))
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "unrecognized shell \"%s\"",
				printable(ctx->arena, ctx_arg(ctx, 0)));
		err_fix("It must be bash, zsh or fish.");
		err_next("Try \"upg completion --help\" for more information.");
	}
	else
		render_raw(out.data, out.len);
	buf_free(&out);
	return upg_error.exit_code;
}

/* upg help */
int
cmd_help(UpgContext *ctx)
{
	const char *word = ctx_arg(ctx, 0);
	UpgBuf out;
	bool found = false;

	buf_init(&out);
	ctx->json = false;
	if (ctx->counts[OPT_MARKDOWN] > 0)
		help_markdown(&out);
	else if (ctx->counts[OPT_MAN] > 0)
		help_man(&out);
	else if (word == NULL)
		help_overview(&out);
	else
	{
		for (const UpgTopic *topic = upg_topics; topic->name != NULL && !found; topic++)
			if (strcmp(topic->name, word) == 0)
			{
				topic->print(&out);
				found = true;
			}
		for (const UpgCommand *c = upg_commands; c->name != NULL && !found; c++)
		{
			if (strcmp(c->name, word) != 0 &&
				(c->alias == NULL || strcmp(c->alias, word) != 0))
				continue;
			if (c->sub != NULL && ctx_arg(ctx, 1) != NULL)
			{
				for (const UpgCommand *s = c->sub; s->name != NULL && !found; s++)
					if (strcmp(s->name, ctx_arg(ctx, 1)) == 0)
					{
						help_command(&out, c, s);
						found = true;
					}
				continue;
			}
			help_command(&out, NULL, c);
			found = true;
		}
		for (const UpgErrorCode *e = upg_error_codes; e->code != NULL && !found; e++)
			if (strcasecmp(e->code, word) == 0)
			{
				buf_printf(&out, "%s: %s\n", e->code, e->meaning);
				if (str_starts(e->code, "UPG-00"))
					buf_printf(&out,
							   "SQLSTATE UP%s; docs/errors.md has its cause and what to "
							   "do.\n",
							   e->code + 5);
				found = true;
			}
		if (!found)
		{
			err_set(UPG_EXIT_USAGE, "UPG-2000", "there is no help on \"%s\"",
					printable(ctx->arena, word));
			err_next("Try \"upg help\" for the commands and topics.");
		}
	}
	render_raw(out.data, out.len);
	buf_free(&out);
	return upg_error.exit_code;
}
