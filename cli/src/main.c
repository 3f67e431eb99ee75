/*-------------------------------------------------------------------------
 *
 * main.c
 *		Entry point: parse, run the command, report.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/main.c
 *
 *-------------------------------------------------------------------------
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "interrupt.h"
#include "log.h"
#include "render.h"

/*
 * hide_passwords
 *		Overwrite passwords in the arguments, so that "ps" does not show them.
 *
 * The program works with copies.
 */
static char **
hide_passwords(int argc, char **argv)
{
	char **copy = xmalloc((size_t) (argc + 1) * sizeof(char *));

	for (int i = 0; i < argc; i++)
	{
		copy[i] = xstrdup(argv[i]);
		redact_password(argv[i]);
	}
	copy[argc] = NULL;
	return copy;
}

/*
 * show_help
 *		Help for --help.
 */
static void
show_help(const UpgContext *ctx)
{
	UpgBuf out;

	buf_init(&out);
	if (ctx->command == NULL)
		help_overview(&out);
	else
		help_command(&out, ctx->parent, ctx->command);
	render_raw(out.data, out.len);
	buf_free(&out);
}

/*
 * release
 *		Give everything back.
 */
static void
release(UpgContext *ctx, char **argv, int argc)
{
	conn_close(ctx->conn);
	source_close(ctx->source);
	vars_free(&ctx->vars);
	vars_free(&ctx->config);
	list_free(&ctx->args);
	arena_free(ctx->arena);
	err_clear();
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	free(argv);
}

int
main(int argc, char **argv)
{
	UpgContext ctx;
	char **args;
	int exit_code = UPG_EXIT_OK;

	setlocale(LC_CTYPE, "");
	interrupts_install();
	args = hide_passwords(argc, argv);
	memset(&ctx, 0, sizeof(ctx));
	ctx.arena = arena_new();
	if (argc < 2)
	{
		UpgBuf out;

		buf_init(&out);
		help_overview(&out);
		fputs(out.data, stderr);
		buf_free(&out);
		release(&ctx, args, argc);
		return UPG_EXIT_USAGE;
	}
	if (!command_parse(&ctx, argc, args))
	{
		exit_code = upg_error.exit_code;
		for (int i = 1; i < argc && strcmp(args[i], "--") != 0; i++)
			ctx.json = ctx.json || strcmp(args[i], "--json") == 0;
	}
	else if (ctx.counts[OPT_HELP] > 0)
	{
		ctx.json = false;
		show_help(&ctx);
	}
	else if (!config_load(&ctx))
		exit_code = upg_error.exit_code;
	else
	{
		exit_code = ctx.command->run(&ctx);
		if (upg_error.exit_code != 0)
			exit_code = upg_error.exit_code;
	}
	log_progress_end();
	if (ctx.json && !(render_finished() && upg_error.exit_code == 0))
		render_start(&ctx);
	render_flush();
	err_print();
	if (!render_finish(&ctx, exit_code))
	{
		/* of a command that only looks, as in "upg history | head", nobody minds */
		if (!render_reader_left() || (ctx.command != NULL && ctx.command->changes))
			err_print();
		if (exit_code == UPG_EXIT_OK)
			exit_code = UPG_EXIT_FAILED;
	}
	release(&ctx, args, argc);
	return exit_code;
}
