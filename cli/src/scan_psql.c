/*-------------------------------------------------------------------------
 *
 * scan_psql.c
 *		The psql commands that a script may hold.
 * 
 *  \set \unset \i \ir \include \include_relative \echo \qecho \warn \if \elif \else
 *  \endif \copy ... from are carried out; \restrict and \unrestrict, which pg_dump
 *  writes, are ignored.  All others are refused before anything runs: what they do
 *  would happen outside the transaction and outside the books.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/scan_psql.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "exit_codes.h"
#include "log.h"
#include "scan_internal.h"

/*
 * put_variable
 *		Append the value of :name, :'name' or :"name" at *p; false if it is none.
 */
static bool
put_variable(UpgScan *scan, const char **p, UpgBuf *out)
{
	const char *s = *p + 1;
	char quote = *s == '\'' || *s == '"' ? *s++ : '\0';
	size_t n = 0;
	char *name;
	const char *value;

	while ((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= 'A' && s[n] <= 'Z') || s[n] == '_' ||
		   (s[n] >= '0' && s[n] <= '9') || (unsigned char) s[n] >= 0x80)
		n++;
	if (n == 0 || (quote && s[n] != quote))
		return false;
	name = arena_strndup(scan->arena, s, n);
	value = vars_get(&scan->vars, name);
	if (value == NULL)
		return false;
	if (quote)
		buf_addc(out, quote);
	for (; *value; value++)
	{
		if (quote && *value == quote)
			buf_addc(out, quote);
		buf_addc(out, *value);
	}
	if (quote)
		buf_addc(out, quote);
	*p = s + n + (quote ? 1 : 0);
	return true;
}

/*
 * take_argument
 *		The next argument of a psql command; NULL at the end (or with the error set).
 *
 * In words that are only shown, a quote that does not end is an apostrophe.
 */
static const char *
take_argument(UpgScan *scan, const char **p, bool shown)
{
	UpgBuf out;
	const char *result;

	while (**p == ' ' || **p == '\t')
		(*p)++;
	if (**p == '\0')
		return NULL;
	buf_init(&out);
	while (**p && **p != ' ' && **p != '\t')
	{
		char c = **p;

		if (c == '`')
		{
			scan_error(scan, "UPG-2013", 0, "a command in backquotes is not supported");
			err_fix("Give the value with --set NAME=VALUE.");
			buf_free(&out);
			return NULL;
		}
		if (c == '\'' || c == '"')
		{
			const char *s = *p + 1;
			size_t start = out.len;

			if (c == '"')
				buf_addc(&out, c);
			for (; *s; s++)
			{
				if (*s == c && s[1] == c)
					s++;
				else if (*s == c)
					break;
				if (c == '\'' && *s == '\\' && s[1])
				{
					s++;
					buf_addc(&out, *s == 'n' ? '\n' : *s == 't' ? '\t' : *s);
				}
				else
					buf_addc(&out, *s);
			}
			if (*s == '\0' && shown)
			{
				out.len = start;
				buf_addc(&out, c);
				(*p)++;
				continue;
			}
			if (*s == '\0')
			{
				scan_error(scan, "UPG-2012", 0, "unterminated quoted string");
				buf_free(&out);
				return NULL;
			}
			if (c == '"')
				buf_addc(&out, c);
			*p = s + 1;
		}
		else if (c == ':' && put_variable(scan, p, &out))
			continue;
		else
		{
			buf_addc(&out, c);
			(*p)++;
		}
	}
	result = arena_strndup(scan->arena, out.data, out.len);
	buf_free(&out);
	return result;
}

static const char *
next_argument(UpgScan *scan, const char **p)
{
	return take_argument(scan, p, false);
}

/*
 * parse_boolean
 *		As psql does: true, false, on, off, yes, no, 1, 0 and their beginnings.
 */
static int
parse_boolean(const char *text)
{
	size_t n = strlen(text);

	if (n == 0)
		return -1;
	if (strncasecmp(text, "true", n) == 0 || strncasecmp(text, "yes", n) == 0 ||
		strcasecmp(text, "on") == 0 || strcmp(text, "1") == 0)
		return 1;
	if (strncasecmp(text, "false", n) == 0 || strncasecmp(text, "no", n) == 0 ||
		(n > 1 && strncasecmp(text, "off", n) == 0) || strcmp(text, "0") == 0)
		return 0;
	return -1;
}

/*
 * condition
 *		Evaluate the argument of \if or \elif; -1 with the error set.
 */
static int
condition(UpgScan *scan, const char *command, const char *args)
{
	const char *text;
	int value;

	while (*args == ' ' || *args == '\t')
		args++;
	if (str_starts(args, ":{?"))
	{
		const char *end = strchr(args, '}');

		if (end != NULL)
			return vars_get(&scan->vars, arena_strndup(scan->arena, args + 3,
													   (size_t) (end - args - 3))) !=
				   NULL;
	}
	text = next_argument(scan, &args);
	if (scan->failed)
		return -1;
	value = text ? parse_boolean(text) : -1;
	if (value < 0)
	{
		scan_error(scan, "UPG-2013", 0, "invalid condition \"%s\" of \\%s",
				   text ? text : "", command);
		err_fix("Use true, false, on, off, yes, no, 1 or 0, or give the variable with "
				"--set.");
	}
	return value;
}

/*
 * command_if
 *		\if, \elif, \else, \endif.
 */
static bool
command_if(UpgScan *scan, const char *command, const char *args)
{
	ScanIf *top = scan->if_depth > 0 ? &scan->ifs[scan->if_depth - 1] : NULL;
	int value;

	if (strcmp(command, "if") == 0)
	{
		bool parent = scan_active(scan);

		if (scan->if_depth >= SCAN_MAX_DEPTH)
			return scan_error(scan, "UPG-2013", 0, "\\if is nested more than %d deep",
							  SCAN_MAX_DEPTH);
		value = parent ? condition(scan, command, args) : 0;
		if (value < 0)
			return false;
		top = &scan->ifs[scan->if_depth++];
		top->parent_active = parent;
		top->active = top->taken = parent && value;
		top->in_else = false;
		top->line = scan_file(scan)->line;
		top->depth = scan->depth;
		return true;
	}
	if (top == NULL || top->depth != scan->depth)
		return scan_error(scan, "UPG-2013", 0, "\\%s without \\if", command);
	if (strcmp(command, "endif") == 0)
	{
		scan->if_depth--;
		return true;
	}
	if (top->in_else)
		return scan_error(scan, "UPG-2013", 0, "\\%s after \\else", command);
	if (strcmp(command, "else") == 0)
	{
		top->in_else = true;
		top->active = top->parent_active && !top->taken;
		return true;
	}
	value = top->parent_active && !top->taken ? condition(scan, command, args) : 0;
	if (value < 0)
		return false;
	top->active = value;
	top->taken |= top->active;
	return true;
}

/*
 * resolve
 *		Path of a file named in a script.
 *
 * As psql does, relative to the current directory, or with \ir to the script's.  A
 * name that is not found in the current directory is also tried beside the script:
 * a run is started from anywhere.
 */
static const char *
resolve(UpgScan *scan, const char *name, bool beside)
{
	const char *script = scan_file(scan)->name;
	const char *slash = strrchr(script, '/');
	const char *path;

	if (name[0] == '/' || slash == NULL)
		return name;
	path = arena_printf(scan->arena, "%.*s/%s", (int) (slash - script), script, name);
	if (beside || access(name, F_OK) != 0)
		return path;
	return name;
}

/*
 * command_copy
 *		\copy TABLE FROM FILE: make it COPY ... FROM STDIN and note the file.
 */
static bool
command_copy(UpgScan *scan, const char *args)
{
	UpgBuf sql;
	const char *p = args;
	int paren = 0;
	const char *from = NULL;
	const char *name;
	const char *rest;

	for (; *p && from == NULL; p++)
	{
		if (*p == '\'' || *p == '"')
		{
			char quote = *p++;

			while (*p && *p != quote)
				p++;
			if (*p == '\0')
				break;
		}
		else if (*p == '(')
			paren++;
		else if (*p == ')')
			paren--;
		else if (paren == 0 && p > args &&
				 (p[-1] == ' ' || p[-1] == '\t' || p[-1] == ')') &&
				 strncasecmp(p, "from", 4) == 0 &&
				 (p[4] == ' ' || p[4] == '\t' || p[4] == '\''))
			from = p;
	}
	if (from == NULL)
	{
		scan_error(scan, "UPG-2013", 0, "only \\copy ... from FILE is supported");
		err_why("A migration brings data into the database; \\copy ... to writes files.");
		return false;
	}
	rest = from + 4;
	rest += strspn(rest, " \t");
	if (strncasecmp(rest, "program", 7) == 0 && (rest[7] == ' ' || rest[7] == '\''))
		return scan_error(scan, "UPG-2013", 0,
						  "\\copy ... from program is not supported");
	buf_init(&sql);
	buf_add(&sql, "COPY ");
	buf_addn(&sql, args, (size_t) (from - args));
	buf_add(&sql, "FROM STDIN ");
	scan->copy_path = NULL;
	if (rest[0] == '\'')
	{
		const char *end = rest;

		name = next_argument(scan, &end);
		rest = end;
	}
	else
	{
		size_t n = strcspn(rest, " \t;");

		name = arena_strndup(scan->arena, rest, n);
		rest += n;
	}
	if (scan->failed || name == NULL || name[0] == '\0')
	{
		buf_free(&sql);
		return scan->failed ? false
							: scan_error(scan, "UPG-2013", 0, "\\copy names no file");
	}
	if (strcasecmp(name, "stdin") != 0 && strcasecmp(name, "pstdin") != 0)
		scan->copy_path = resolve(scan, name, false);
	buf_add(&sql, rest);
	while (sql.len > 0 && (sql.data[sql.len - 1] == ';' || sql.data[sql.len - 1] == ' '))
		sql.data[--sql.len] = '\0';
	buf_addc(&sql, ';');
	free(scan->copy_sql);
	free(scan->copy_line);
	scan->copy_sql = sql.data;
	scan->copy_line = xstrdup(args);
	return true;
}

/*
 * substitute_line
 *		A line with its variables put in, for \copy.
 */
static const char *
substitute_line(UpgScan *scan, const char *line)
{
	UpgBuf out;
	const char *copy;

	buf_init(&out);
	while (*line)
	{
		if (*line == ':' && put_variable(scan, &line, &out))
			continue;
		buf_addc(&out, *line++);
	}
	copy = arena_strndup(scan->arena, out.data, out.len);
	buf_free(&out);
	return copy;
}

/*
 * scan_backslash
 *		Carry out the psql command that begins here; its line end stays unread.
 */
bool
scan_backslash(UpgScan *scan, bool in_statement)
{
	UpgBuf line;
	const char *p;
	const char *command;
	const char *arg;
	size_t n;
	int c;
	bool ok = true;

	buf_init(&line);
	scan_get(scan);
	while ((c = scan_peek(scan, 0)) != SCAN_EOF && c != '\n')
	{
		if (c != '\r')
			buf_addc(&line, (char) c);
		scan_get(scan);
	}
	n = strcspn(line.data, " \t");
	command = arena_strndup(scan->arena, line.data, n);
	p = arena_strdup(scan->arena, line.data + n);
	buf_free(&line);
	if (scan->failed)
		return false;

	if (strcmp(command, "if") == 0 || strcmp(command, "elif") == 0 ||
		strcmp(command, "else") == 0 || strcmp(command, "endif") == 0)
		return command_if(scan, command, p);
	if (!scan_active(scan))
		return true;
	if (strcmp(command, "restrict") == 0 || strcmp(command, "unrestrict") == 0)
		return true;
	if (strcmp(command, "set") == 0)
	{
		const char *name = next_argument(scan, &p);
		UpgBuf value;

		if (name == NULL)
			return scan->failed
					   ? false
					   : scan_error(scan, "UPG-2013", 0, "\\set names no variable");
		buf_init(&value);
		while ((arg = next_argument(scan, &p)) != NULL)
			buf_add(&value, arg);
		if (!scan->failed)
			vars_set(&scan->vars, name, value.data);
		buf_free(&value);
		return !scan->failed;
	}
	if (strcmp(command, "unset") == 0)
	{
		if ((arg = next_argument(scan, &p)) != NULL)
			vars_set(&scan->vars, arg, NULL);
		return !scan->failed;
	}
	if (strcmp(command, "i") == 0 || strcmp(command, "include") == 0 ||
		strcmp(command, "ir") == 0 || strcmp(command, "include_relative") == 0)
	{
		arg = next_argument(scan, &p);
		if (scan->failed)
			return false;
		if (arg == NULL)
			return scan_error(scan, "UPG-2013", 0, "\\%s names no file", command);
		if (in_statement)
			return scan_error(scan, "UPG-2013", 0,
							  "\\%s inside a statement is not supported", command);
		arg =
			resolve(scan, arg, command[1] == 'r' || strstr(command, "relative") != NULL);
		for (int i = 0; i < scan->depth; i++)
			if (scan->stack[i].file != NULL && strcmp(scan->stack[i].name, arg) == 0)
			{
				scan_error(scan, "UPG-2013", 0, "file \"%s\" includes itself", arg);
				return false;
			}
		return scan_push_file(scan, arg, NULL);
	}
	if (strcmp(command, "echo") == 0 || strcmp(command, "qecho") == 0 ||
		strcmp(command, "warn") == 0)
	{
		UpgBuf text;

		buf_init(&text);
		while ((arg = take_argument(scan, &p, true)) != NULL)
		{
			if (strcmp(arg, "-n") == 0 && text.len == 0)
				continue;
			if (text.len > 0)
				buf_addc(&text, ' ');
			buf_add(&text, arg);
		}
		list_add(&scan->messages, arena_strdup(scan->arena, text.data));
		buf_free(&text);
		return !scan->failed;
	}
	if (strcmp(command, "copy") == 0)
	{
		if (in_statement)
			return scan_error(scan, "UPG-2013", 0,
							  "\\copy inside a statement is not supported");
		p = substitute_line(scan, p);
		p += strspn(p, " \t");
		return command_copy(scan, p);
	}
	if (strcmp(command, ".") == 0)
		ok = scan_error(scan, "UPG-2013", 0, "\\. without COPY ... FROM stdin before it");
	else
		ok = scan_error(scan, "UPG-2013", 0, "psql command \\%s is not supported",
						command);
	err_why(
		"It acts outside the transaction, so it could not be recorded or taken back.");
	err_fix("Supported are \\set \\unset \\i \\ir \\include \\echo \\qecho \\warn \\if "
			"\\elif "
			"\\else \\endif and \\copy ... from FILE.");
	return ok;
}
