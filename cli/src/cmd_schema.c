/*-------------------------------------------------------------------------
 *
 * cmd_schema.c
 *		upg dump-schema: the schema of the database as a file that can be compared.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/cmd_schema.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "dump.h"
#include "exit_codes.h"
#include "fsutil.h"
#include "log.h"
#include "render.h"

/*
 * check_against
 *		--check: is the file what the database has?
 */
static void
check_against(UpgContext *ctx, const char *path, const UpgBuf *schema)
{
	UpgBuf file;
	UpgBuf in_file;
	UpgBuf in_database;
	int line;
	bool differs;

	buf_init(&file);
	buf_init(&in_file);
	buf_init(&in_database);
	if (!fs_read(path, &file, (size_t) 1024 * 1024 * 1024))
	{
		buf_free(&file);
		buf_free(&in_file);
		buf_free(&in_database);
		return;
	}
	differs = dump_difference(file.data, schema->data, &line, &in_file, &in_database);
	render_start(ctx);
	if (ctx->json)
	{
		json_string(render_doc(), "file", path);
		json_bool(render_doc(), "equal", !differs);
		if (differs)
		{
			json_int(render_doc(), "line", line);
			json_string(render_doc(), "in_file", in_file.data);
			json_string(render_doc(), "in_database", in_database.data);
		}
	}
	if (!differs)
		render_text(ctx, "the schema of database \"%s\" is that of \"%s\"\n",
					conn_database(ctx->conn), path);
	else
	{
		err_set(UPG_EXIT_VERIFICATION, "UPG-2036",
				"the schema of database \"%s\" is not that of file \"%s\"",
				conn_database(ctx->conn), path);
		err_where("%s:%d", path, line);
		err_why("The file has: %s\nThe database has: %s",
				in_file.len > 0 ? in_file.data : "(nothing)",
				in_database.len > 0 ? in_database.data : "(nothing)");
		err_fix(
			"Find out which of them is right; \"upg dump-schema\" writes the file anew.");
		err_next("upg dump-schema | diff %s -", path);
	}
	buf_free(&in_database);
	buf_free(&in_file);
	buf_free(&file);
}

/* upg dump-schema */
int
cmd_dump_schema(UpgContext *ctx)
{
	const char *path = ctx_arg(ctx, 0);
	const char *check = opt_get(ctx, OPT_CHECK);
	UpgBuf schema;

	if (path != NULL && check != NULL)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "FILE and --check exclude each other");
		err_next("Try \"upg dump-schema --help\" for more information.");
		return upg_error.exit_code;
	}
	if (!ctx_connect(ctx, false))
		return upg_error.exit_code;
	buf_init(&schema);
	if (dump_database(ctx, opt_on(ctx, OPT_OWNERS) ? UPG_DUMP_OWNERS : 0, &schema))
	{
		if (check != NULL)
			check_against(ctx, check, &schema);
		else if (path != NULL)
		{
			if (fs_write(path, schema.data, schema.len))
			{
				render_start(ctx);
				if (ctx->json)
					json_string(render_doc(), "file", path);
				render_text(ctx, "%s\n", path);
			}
		}
		else
		{
			render_start(ctx);
			if (ctx->json)
				json_string(render_doc(), "schema", schema.data);
			else
				render_raw(schema.data, schema.len);
		}
	}
	buf_free(&schema);
	return upg_error.exit_code;
}
