/*-------------------------------------------------------------------------
 *
 * render_json.c
 *		Printing results as one JSON document.
 * 
 *  Every document is one object on one line: "upg" is the version of the shape,
 *  "command" what ran, "exit_code" how it ended, "error" (or null) why.  Members are
 *  added, never renamed.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/render_json.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <string.h>

#include "exit_codes.h"
#include "log.h"
#include "render.h"

static UpgBuf text;
static UpgJson doc;

/* render_doc: the document being written. */
UpgJson *
render_doc(void)
{
	return &doc;
}

/*
 * render_json_start
 *		Begin the document.
 */
void
render_json_start(const UpgContext *ctx)
{
	buf_init(&text);
	json_start(&doc, &text);
	json_object(&doc, NULL);
	json_int(&doc, "upg", 1);
	json_string(&doc, "command",
				ctx->command == NULL ? NULL
				: ctx->parent ? arena_printf(ctx->arena, "%s %s", ctx->parent->name,
											 ctx->command->name)
							  : ctx->command->name);
}

/*
 * render_json_array
 *		A text[] of the server as a JSON array; empty if it is NULL.
 */
void
render_json_array(const char *key, const char *value)
{
	UpgBuf item;
	bool quoted;

	buf_init(&item);
	json_array(&doc, key);
	while (value != NULL && array_next(&value, &item, &quoted))
	{
		if (!quoted && strcmp(item.data, "NULL") == 0)
			json_null(&doc, NULL);
		else
			json_string(&doc, NULL, item.data);
	}
	json_array_end(&doc);
	buf_free(&item);
}

/*
 * render_json_rows
 *		Rows as an array of objects, each value by its type.
 */
void
render_json_rows(const UpgRows *rows, const char *key)
{
	json_array(&doc, key);
	for (int row = 0; row < rows_count(rows); row++)
	{
		json_object(&doc, NULL);
		for (int col = 0; col < rows_columns(rows); col++)
		{
			const char *value = rows_get(rows, row, col);
			const char *name = rows_name(rows, col);
			char type = rows_type(rows, col);

			if (value == NULL)
				json_null(&doc, name);
			else if (type == 'b')
				json_bool(&doc, name, value[0] == 't');
			else if (type == 'j' ||
					 (type == 'n' && value[strspn(value, "-+.0123456789eE")] == '\0'))
				json_raw(&doc, name, value);
			else if (type == 'a')
				render_json_array(name, value);
			else
				json_string(&doc, name, value);
		}
		json_object_end(&doc);
	}
	json_array_end(&doc);
}

/*
 * render_json_outcome
 *		One migration, inside an array.
 */
void
render_json_outcome(const UpgOutcome *outcome)
{
	json_object(&doc, NULL);
	json_string(&doc, "name", outcome->name);
	json_string(&doc, "state", outcome->state);
	json_int(&doc, "statements", outcome->statements);
	json_int(&doc, "steps", outcome->steps);
	json_string(&doc, "undo", outcome->undo);
	json_double(&doc, "duration_ms", outcome->ms);
	json_array(&doc, "warnings");
	for (int i = 0; i < outcome->warnings.count; i++)
		json_string(&doc, NULL, outcome->warnings.items[i]);
	json_array_end(&doc);
	json_object_end(&doc);
}

/*
 * render_json_finish
 *		The error object and the end of the document.
 */
void
render_json_finish(int exit_code)
{
	json_int(&doc, "exit_code", exit_code);
	if (upg_error.exit_code == 0 || upg_error.outcome)
		json_null(&doc, "error");
	else
	{
		json_object(&doc, "error");
		json_string(&doc, "code", upg_error.code);
		json_string(&doc, "what", upg_error.what);
		json_string(&doc, "why", upg_error.why);
		json_string(&doc, "where", upg_error.where);
		json_string(&doc, "fix", upg_error.fix);
		json_array(&doc, "next_actions");
		for (int i = 0; i < upg_error.next.count; i++)
			json_string(&doc, NULL, upg_error.next.items[i]);
		json_array_end(&doc);
		json_string(&doc, "sqlstate", upg_error.sqlstate[0] ? upg_error.sqlstate : NULL);
		json_string(&doc, "statement", upg_error.statement);
		json_string(&doc, "doc", err_doc(upg_error.code));
		json_object_end(&doc);
	}
	json_object_end(&doc);
	buf_addc(&text, '\n');
	render_raw(text.data, text.len);
	buf_free(&text);
}
