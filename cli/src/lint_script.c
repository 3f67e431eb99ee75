/*-------------------------------------------------------------------------
 *
 * lint_script.c
 *		Running one direction of a migration in the scratch database.
 *
 * Statement by statement, as psql does it: in one transaction of the caller's, or
 * each by itself.  What would change the server outside of the scratch database is
 * left out, and said to be.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/lint_script.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "exit_codes.h"
#include "interrupt.h"
#include "lint.h"
#include "log.h"
#include "run_internal.h"

/*
 * name_at
 *		The identifier that begins at "p"; quotes are taken off.
 */
static void
name_at(const char *p, char *name, size_t size)
{
	size_t n = 0;
	bool quoted;

	p += strspn(p, " \t\r\n");
	quoted = *p == '"';
	if (quoted)
		p++;
	while (*p && (quoted ? *p != '"' : strchr(" \t\r\n;(,", *p) == NULL))
	{
		if (n < size - 1)
			name[n++] = (char) (!quoted && *p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
		p++;
	}
	name[n] = '\0';
}

/*
 * lint_reaches_out
 *		Would the statement change the server outside of the scratch database?
 *
 * Roles that the run made are its own; one that was there before is not made again.
 */
bool
lint_reaches_out(const char *statement, const UpgScratch *scratch)
{
	char verb[24];
	char kind[24];
	char name[64];
	const char *p;

	p = run_next_word(statement, verb, sizeof(verb));
	p = run_next_word(p, kind, sizeof(kind));
	if (strcmp(verb, "create") != 0 && strcmp(verb, "alter") != 0 &&
		strcmp(verb, "drop") != 0)
		return false;
	if (strcmp(kind, "database") == 0 || strcmp(kind, "tablespace") == 0 ||
		strcmp(kind, "system") == 0 || strcmp(kind, "subscription") == 0)
		return true;
	if (strcmp(kind, "role") != 0 && strcmp(kind, "user") != 0 &&
		strcmp(kind, "group") != 0)
		return false;
	name_at(p, name, sizeof(name));
	if (strcmp(kind, "user") == 0 && strcmp(name, "mapping") == 0)
		return false;
	if (strcmp(verb, "drop") == 0 && strcmp(name, "if") == 0)
	{
		p = run_next_word(p, kind, sizeof(kind));
		p = run_next_word(p, kind, sizeof(kind));
		name_at(p, name, sizeof(name));
	}
	return list_has(&scratch->roles, name);
}

/*
 * lint_line_of
 *		The line of a character of a statement that begins at "line".
 */
int
lint_line_of(const char *statement, int line, int position)
{
	for (int i = 1; i < position && *statement; statement++)
	{
		line += *statement == '\n';
		i += ((unsigned char) statement[1] & 0xC0) != 0x80;
	}
	return line;
}

/*
 * lint_script_load
 *		Read one direction, and see whether one transaction can hold it.
 */
bool
lint_script_load(UpgContext *ctx, UpgEntry *entry, bool down, const UpgScratch *scratch,
				 UpgLintScript *script)
{
	UpgScan *scan;
	UpgScanItem item;
	UpgScanKind kind = UPG_SCAN_END;
	bool committed = false;

	memset(script, 0, sizeof(*script));
	if (!down && entry->streamed)
		return err_set(UPG_EXIT_USAGE, "UPG-2015", "file \"%s\" is too large to be tried",
					   entry->up.path);
	if ((!down && source_problem(entry)) ||
		!script_load(ctx->source, entry, down, &script->script))
		return false;
	script->file = script->script.path;
	script->single = true;
	if (script->script.text.len == 0)
		return true;
	scan = script_rescan(&script->script);
	while (scan != NULL && (kind = scan_next(scan, &item)) > UPG_SCAN_END)
	{
		UpgStatementKind what;

		if (kind == UPG_SCAN_REST)
			continue;
		what = run_statement_kind(item.statement);
		if (lint_reaches_out(item.statement, scratch))
		{
			const char *file;
			int line;

			script_position(&script->script, item.line, &file, &line);
			list_add(&script->notes,
					 arena_printf(ctx->arena,
								  "%s:%d: not run, it changes the server outside of the "
								  "database",
								  file, line));
			continue;
		}
		script->statements += what != UPG_STMT_BEGIN && what != UPG_STMT_COMMIT;
		if (committed || what == UPG_STMT_CONTROL || what == UPG_STMT_NO_TRANSACTION ||
			(what == UPG_STMT_BEGIN && script->statements > 0))
			script->single = false;
		committed |= what == UPG_STMT_COMMIT;
		if (!scan_skip_data(scan, &item))
			kind = UPG_SCAN_ERROR;
		if (kind == UPG_SCAN_ERROR)
			break;
	}
	scan_close(scan);
	if (scan == NULL || kind == UPG_SCAN_ERROR)
	{
		lint_script_free(script);
		return false;
	}
	return true;
}

/* in_name: may the byte be part of a name? */
static bool
in_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		   c == '_' || c == '$' || ((unsigned char) c & 0x80) != 0;
}

/*
 * has_word
 *		Where a word stands by itself in a text, letters of any case; NULL if nowhere.
 */
static const char *
has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = text; len > 0 && *p; p++)
		if (strncasecmp(p, word, len) == 0 && (p == text || !in_name(p[-1])) &&
			!in_name(p[len]))
			return p;
	return NULL;
}

/*
 * lint_script_place
 *		The place in a script that has to do with an object, as file:line.
 *
 * That is where the first of the words stands that the script holds at all, else the
 * first statement, else the first line.
 */
const char *
lint_script_place(const UpgLintScript *script, UpgArena *arena, const char *const *words,
				  int count)
{
	UpgScan *scan = NULL;
	UpgScanItem item;
	int best = count; /* which word was found; "count": none */
	int line = 0;
	const char *file = script->file;

	if (script->script.text.len > 0)
		scan = script_rescan(&script->script);
	while (scan != NULL && best > 0 && scan_next(scan, &item) > UPG_SCAN_END)
	{
		if (item.kind == UPG_SCAN_REST)
			continue;
		if (line == 0)
			line = item.line;
		for (int i = 0; i < best; i++)
		{
			const char *at = words[i] ? has_word(item.statement, words[i]) : NULL;

			if (at == NULL)
				continue;
			best = i;
			line = item.line;
			for (const char *p = item.statement; p < at; p++)
				line += *p == '\n';
		}
		if (!scan_skip_data(scan, &item))
			break;
	}
	scan_close(scan);
	if (line > 0)
		script_position(&script->script, line, &file, &line);
	return arena_printf(arena, "%s:%d", file, line > 0 ? line : 1);
}

/*
 * lint_script_free
 *		Give the text back.
 */
void
lint_script_free(UpgLintScript *script)
{
	script_free(&script->script);
	list_free(&script->notes);
}

/*
 * place_error
 *		Say where in the files the failing statement is.
 */
static void
place_error(const UpgLintScript *script, const UpgScanItem *item)
{
	const char *file;
	int line;

	script_position(&script->script,
					lint_line_of(item->statement, item->line, upg_error.position), &file,
					&line);
	free(upg_error.where);
	upg_error.where = NULL;
	err_where("%s:%d", file, line);
	if (upg_error.statement == NULL)
		upg_error.statement = xstrdup(item->statement);
}

/*
 * lint_script_run
 *		Run the script; false with the error set.
 *
 * "whole": inside a transaction of the caller's, so an outer BEGIN and COMMIT are
 * passed over.  Else a transaction that the script leaves open is ended as psql ends
 * it, by giving it up.
 */
bool
lint_script_run(UpgContext *ctx, UpgLintScript *script, const UpgScratch *scratch,
				bool whole)
{
	UpgScan *scan;
	UpgScanItem item;
	UpgScanKind kind = UPG_SCAN_END;
	UpgConn *own = ctx->conn;
	bool open = false;
	bool ok = true;

	if (script->script.text.len == 0)
		return true;
	scan = script_rescan(&script->script);
	if (scan == NULL)
		return false;
	ctx->conn = scratch->conn;
	while (ok && (kind = scan_next(scan, &item)) > UPG_SCAN_END)
	{
		UpgStatementKind what;
		UpgExec result;

		if (kind == UPG_SCAN_REST)
			continue;
		what = run_statement_kind(item.statement);
		if (lint_reaches_out(item.statement, scratch) ||
			(whole && (what == UPG_STMT_BEGIN || what == UPG_STMT_COMMIT)))
		{
			ok = scan_skip_data(scan, &item);
			continue;
		}
		open = what == UPG_STMT_BEGIN ||
			   (open && what != UPG_STMT_COMMIT && what != UPG_STMT_CONTROL);
		result = conn_execute_text(scratch->conn, item.statement);
		ok = result == UPG_EXEC_DONE ||
			 (result == UPG_EXEC_COPY_IN && run_send_copy(ctx, scan, &item));
		if (!ok)
			place_error(script, &item);
	}
	if (kind == UPG_SCAN_ERROR)
		ok = false;
	scan_close(scan);
	ctx->conn = own;
	if (!whole && (open || !ok) && !conn_lost(scratch->conn) && upg_interrupted == 0)
	{
		UpgError saved = err_take();

		conn_execute_text(scratch->conn, "ROLLBACK");
		err_put(saved);
	}
	return ok;
}
