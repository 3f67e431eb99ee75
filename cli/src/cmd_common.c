/*-------------------------------------------------------------------------
 *
 * cmd_common.c
 *		What the commands share: connecting, opening the directory, asking.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/cmd_common.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exit_codes.h"
#include "fsutil.h"
#include "interrupt.h"
#include "log.h"
#include "render.h"

/*
 * ctx_arg
 *		An argument, or NULL.
 */
const char *
ctx_arg(const UpgContext *ctx, int i)
{
	return i < ctx->args.count ? ctx->args.items[i] : NULL;
}

/*
 * connect_as_told
 *		Connect with the options given.
 */
static bool
connect_as_told(UpgContext *ctx)
{
	UpgConnParams params;

	memset(&params, 0, sizeof(params));
	params.dbname = opt_get(ctx, OPT_DBNAME);
	if (params.dbname == NULL && getenv("PGDATABASE") == NULL &&
		getenv("PGSERVICE") == NULL)
		params.dbname = getenv("DATABASE_URL");
	params.host = opt_get(ctx, OPT_HOST);
	params.port = opt_get(ctx, OPT_PORT);
	params.user = opt_get(ctx, OPT_USERNAME);
	params.password = opt_on(ctx, OPT_PASSWORD)      ? 1
					  : opt_on(ctx, OPT_NO_PASSWORD) ? -1
													 : 0;
	params.deadline = ctx->deadline;
	ctx->conn = conn_open(&params);
	return ctx->conn != NULL;
}

/*
 * ctx_connect
 *		Connect; "handshake": the versions must agree.
 */
bool
ctx_connect(UpgContext *ctx, bool handshake)
{
	return connect_as_told(ctx) && (!handshake || conn_handshake(ctx->conn, NULL));
}

/*
 * ctx_connect_asking
 *		Connect and send a first question, whose answer is not waited for.
 *
 * So the server works while the directory is read.
 */
bool
ctx_connect_asking(UpgContext *ctx, const char *question)
{
	ctx->asked = connect_as_told(ctx) && conn_handshake(ctx->conn, question);
	return ctx->asked;
}

/*
 * ctx_has_directory
 *		Is there a directory for a command that can do without one?
 */
bool
ctx_has_directory(const UpgContext *ctx, int arg)
{
	return ctx_arg(ctx, arg) != NULL || getenv("UPG_DIR") != NULL ||
		   vars_get(&ctx->config, "dir") != NULL || fs_is_dir("migrations");
}

/*
 * ctx_open_source
 *		Read the directory named by an argument, or the default one.
 */
bool
ctx_open_source(UpgContext *ctx, int arg)
{
	const char *dir = ctx_arg(ctx, arg);
	int64_t above;

	if (!config_number(ctx, OPT_STREAM_ABOVE, false, SOURCE_STREAM_ABOVE, &above))
		return false;
	if (dir == NULL)
		dir = getenv("UPG_DIR");
	if (dir == NULL || dir[0] == '\0')
		dir = vars_get(&ctx->config, "dir");
	if (dir == NULL)
		dir = fs_is_dir("migrations") ? "migrations" : ".";
	ctx->source = source_open(dir, opt_get(ctx, OPT_LAYOUT), &ctx->vars, above);
	if (ctx->source == NULL)
		return false;
	log_verbose("directory \"%s\": %d migrations, layout %s (%s)", dir,
				ctx->source->count, ctx->source->layout, ctx->source->layout_text);
	for (int i = 0; i < ctx->source->warnings.count; i++)
		log_warning("%s", ctx->source->warnings.items[i]);
	return true;
}

/*
 * ctx_confirm
 *		Ask on a terminal; --yes, or no terminal to ask on: go on.
 *
 * Without a terminal nobody can answer, and scripts must not hang.
 */
bool
ctx_confirm(UpgContext *ctx, const char *question)
{
	char answer[16];

	if (opt_on(ctx, OPT_YES) || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return true;
	fprintf(stderr, "%s [y/N] ", question);
	fflush(stderr);
	if (interrupt_read_line(STDIN_FILENO, answer, sizeof(answer)) &&
		(answer[0] == 'y' || answer[0] == 'Y'))
		return true;
	if (upg_interrupted != 0)
		return err_set(128 + upg_interrupted, "UPG-2020", "interrupted");
	err_set(UPG_EXIT_FAILED, "UPG-2023", "not confirmed");
	err_why("Nothing was changed.");
	err_fix("Answer with y, or give --yes.");
	return false;
}

/*
 * ctx_list
 *		Run a query and print its rows: all that a command does that lists something.
 */
int
ctx_list(UpgContext *ctx, const char *sql, int nparams, const char *const *params,
		 const char *key, const UpgColumn *columns, const char *nothing)
{
	UpgRows *rows = conn_query(ctx->conn, sql, nparams, params);

	if (rows == NULL)
		return upg_error.exit_code;
	render_found(ctx, rows, key, columns, nothing);
	rows_free(rows);
	return UPG_EXIT_OK;
}
