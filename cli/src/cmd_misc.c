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
#include <string.h>
#include <strings.h>

#include "exit_codes.h"
#include "log.h"
#include "run.h"

/* Does the latest migration of a directory have a down script? */
static bool
has_downs(const UpgSource *source)
{
	for (int i = source->count - 1; i >= 0; i--)
		if (!source->entries[i].repeatable && !source->entries[i].baseline)
			return entry_has_down(&source->entries[i]);
	return false;
}

/* upg new */
int
cmd_new(UpgContext *ctx)
{
	if (!ctx_open_source(ctx, 1))
		return upg_error.exit_code;
	render_start(ctx);
	(void) new_migration(ctx, ctx_arg(ctx, 0), "",
						 opt_on(ctx, OPT_DOWN) || has_downs(ctx->source) ? "" : NULL);
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
