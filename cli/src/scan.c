/*-------------------------------------------------------------------------
 *
 * scan.c
 *		Scanner for SQL scripts as psql reads them.
 * 
 *  It cuts a script into statements, puts in the values of psql variables and the
 *  text of included files, and hands out COPY data line by line.  Only the current
 *  statement is in memory, so a file of any size can be read.  It does not know the
 *  SQL grammar: the server's parser judges the statements.
 * 
 *  Where nothing is put in, the pieces handed out are the bytes of the file, so that
 *  the checksum of a plain file is the checksum of its bytes.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/scan.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "exit_codes.h"
#include "log.h"
#include "scan_internal.h"

/*
 * scan_active
 *		Are we in a branch of \if that counts?
 */
bool
scan_active(const UpgScan *scan)
{
	return scan->if_depth == 0 || scan->ifs[scan->if_depth - 1].active;
}

/* Lexing */

/* What is known about the statement being read. */
typedef struct Statement
{
	int paren;    /* open parentheses */
	int begin;    /* open BEGIN / CASE of a routine body */
	int words;    /* identifiers seen */
	bool create;  /* first word is CREATE */
	bool routine; /* CREATE [OR REPLACE] FUNCTION | PROCEDURE */
	int copy;     /* 1 COPY, 2 COPY .. FROM, 3 COPY .. FROM STDIN */
	bool started;
	size_t start; /* offset of the first word in the text */
	const char *file;
	int line;
	int col;
} Statement;

/*
 * emit
 *		Append a byte to the text.  In a dead branch only line ends are kept.
 */
static void
emit(UpgScan *scan, int c)
{
	if (c == '\n')
		scan->out_line++;
	else if (!scan_active(scan))
		return;
	buf_addc(&scan->out, (char) c);
}

/*
 * take
 *		Consume a byte into the text.
 */
static int
take(UpgScan *scan)
{
	int c = scan_get(scan);

	if (c != SCAN_EOF)
		emit(scan, c);
	return c;
}

static bool
is_ident_start(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool
is_ident(int c)
{
	return is_ident_start(c) || (c >= '0' && c <= '9') || c == '$';
}

static bool
is_var_char(int c)
{
	return is_ident_start(c) || (c >= '0' && c <= '9');
}

/*
 * unterminated
 *		Error for something that is not closed, at the line where it began.
 */
static bool
unterminated(UpgScan *scan, const char *what, int line)
{
	if (scan->failed)
		return false;
	scan_error(scan, "UPG-2012", line, "unterminated %s", what);
	err_why("It begins on line %d and is not closed before the end of the file.", line);
	err_fix("Close it, or look for a quote too many on that line.");
	return false;
}

/*
 * take_quoted
 *		The rest of a quoted thing, its opening quote being taken already.
 */
static bool
take_quoted(UpgScan *scan, int quote, bool escapes)
{
	int line = scan_file(scan)->line;
	int c;

	while ((c = take(scan)) != SCAN_EOF)
	{
		if (c == '\\' && escapes)
		{
			if (take(scan) == SCAN_EOF)
				break;
		}
		else if (c == quote)
		{
			if (scan_peek(scan, 0) != quote)
				return true;
			take(scan);
		}
	}
	return unterminated(scan, quote == '"' ? "quoted identifier" : "quoted string", line);
}

/*
 * take_dollar
 *		A dollar-quoted string, if one begins here; a lone $ otherwise.
 */
static bool
take_dollar(UpgScan *scan)
{
	char tag[80];
	size_t n = 1;
	int line = scan_file(scan)->line;
	size_t start;
	int c = scan_peek(scan, 1);

	tag[0] = '$';
	if (c != '$' && !is_ident_start(c))
	{
		take(scan);
		return true;
	}
	while (c != '$')
	{
		if (c == SCAN_EOF || !is_var_char(c) || n > sizeof(tag) - 3)
		{
			take(scan);
			return true;
		}
		tag[n++] = (char) c;
		c = scan_peek(scan, n);
	}
	tag[n++] = '$';
	for (size_t i = 0; i < n; i++)
		take(scan);
	start = scan->out.len;

	/* in a dead branch nothing is collected: follow the tag by itself */
	{
		size_t matched = 0;
		bool active = scan_active(scan);

		while ((c = take(scan)) != SCAN_EOF)
		{
			if (active)
			{
				if (c == '$' && scan->out.len - start >= n &&
					memcmp(scan->out.data + scan->out.len - n, tag, n) == 0)
					return true;
			}
			else
			{
				matched = c == tag[matched] ? matched + 1 : (c == '$' ? 1 : 0);
				if (matched == n)
					return true;
			}
		}
	}
	return unterminated(scan, "dollar-quoted string", line);
}

/*
 * take_comment
 *		A block comment; they nest.
 */
static bool
take_comment(UpgScan *scan)
{
	int line = scan_file(scan)->line;
	int depth = 0;

	do
	{
		int c = scan_peek(scan, 0);
		int d = scan_peek(scan, 1);

		if (c == SCAN_EOF)
			return unterminated(scan, "comment", line);
		if (c == '/' && d == '*')
		{
			depth++;
			take(scan);
		}
		else if (c == '*' && d == '/')
		{
			depth--;
			take(scan);
		}
		take(scan);
	} while (depth > 0);
	return true;
}

/*
 * begin_statement
 *		Note where the statement's first word is.
 */
static void
begin_statement(UpgScan *scan, Statement *st)
{
	const ScanSource *source = scan_file(scan);

	if (st->started || !scan_active(scan))
		return;
	st->started = true;
	st->start = scan->out.len;
	st->file = source->name;
	st->line = source->line;
	st->col = source->col;
}

/*
 * take_word
 *		An identifier or keyword, with what it says about the statement.
 */
static bool
take_word(UpgScan *scan, Statement *st)
{
	char word[16];
	size_t n = 0;
	int c;

	begin_statement(scan, st);
	while (is_ident(c = scan_peek(scan, 0)))
	{
		if (n < sizeof(word) - 1)
			word[n] = (char) c;
		n++;
		take(scan);
	}
	if (n == 1 && (word[0] == 'e' || word[0] == 'E') && c == '\'')
	{
		take(scan);
		return take_quoted(scan, '\'', true);
	}
	if (!scan_active(scan))
		return true;
	word[n < sizeof(word) ? n : sizeof(word) - 1] = '\0';
	if (n >= sizeof(word))
		word[0] = '\0';
	st->words++;
	if (st->words == 1)
	{
		st->create = strcasecmp(word, "create") == 0;
		st->copy = strcasecmp(word, "copy") == 0;
	}
	else if (st->words <= 4 && st->create && st->paren == 0)
	{
		if (strcasecmp(word, "function") == 0 || strcasecmp(word, "procedure") == 0)
			st->routine = true;
	}
	if (st->routine && st->paren == 0)
	{
		if (strcasecmp(word, "begin") == 0)
			st->begin++;
		else if (strcasecmp(word, "case") == 0 && st->begin > 0)
			st->begin++;
		else if (strcasecmp(word, "end") == 0 && st->begin > 0)
			st->begin--;
	}
	if (st->copy > 0 && st->copy < 3 && st->paren == 0 && st->words > 1)
	{
		if (strcasecmp(word, "from") == 0)
			st->copy = 2;
		else if (st->copy == 2 && strcasecmp(word, "stdin") == 0)
			st->copy = 3;
		else if (st->copy == 2)
			st->copy = 0;
	}
	return true;
}

/*
 * put_quoted
 *		Append the value of a variable as a literal or identifier.
 */
static void
put_quoted(UpgScan *scan, const char *value, char quote)
{
	bool escape = quote == '\'' && strchr(value, '\\') != NULL;

	if (escape)
	{
		emit(scan, ' ');
		emit(scan, 'E');
	}
	emit(scan, quote);
	for (; *value; value++)
	{
		if (*value == quote || (escape && *value == '\\'))
			emit(scan, *value);
		emit(scan, (unsigned char) *value);
	}
	emit(scan, quote);
}

/*
 * take_colon
 *		:name, :'name', :"name" and :{?name}; anything else is a plain colon.
 *
 * As in psql, a name that is not set stays as it is written: it may be an array
 * slice or a cast.
 */
static bool
take_colon(UpgScan *scan)
{
	char name[72];
	size_t n = 0;
	size_t skip;
	int kind = scan_peek(scan, 1);
	int c;
	const char *value;

	if (kind == ':' || kind == '=')
	{
		take(scan);
		take(scan);
		return true;
	}
	skip = kind == '\'' || kind == '"'                ? 2
		   : kind == '{' && scan_peek(scan, 2) == '?' ? 3
													  : 1;
	while (is_var_char(c = scan_peek(scan, skip + n)) && n < sizeof(name) - 1)
		name[n++] = (char) c;
	name[n] = '\0';
	if (n == 0 || (skip == 2 && c != kind) || (skip == 3 && c != '}'))
	{
		take(scan);
		return true;
	}
	value = vars_get(&scan->vars, name);
	for (int i = 0; value != NULL && i < scan->depth; i++)
		if (scan->stack[i].file == NULL && strcmp(scan->stack[i].name, name) == 0)
			value = NULL; /* its own value: psql does not recurse either */
	if (value == NULL && skip != 3)
	{
		take(scan);
		return true;
	}
	for (size_t i = 0; i < skip + n + (skip > 1); i++)
		scan_get(scan);
	scan->changed = true;
	if (skip == 3)
	{
		for (const char *p = value ? "TRUE" : "FALSE"; *p; p++)
			emit(scan, *p);
		return true;
	}
	if (skip == 2)
	{
		put_quoted(scan, value, (char) kind);
		return true;
	}
	return scan_push_value(scan, name, value);
}

/*
 * scan_open
 *		Begin to read a piece of a file; NULL with the error set.
 */
UpgScan *
scan_open(const UpgPiece *piece, const UpgVars *vars)
{
	UpgScan *scan = xmalloc(sizeof(UpgScan));

	memset(scan, 0, sizeof(*scan));
	scan->arena = arena_new();
	buf_init(&scan->out);
	buf_init(&scan->line);
	vars_copy(&scan->vars, vars);
	scan->out_line = 1;
	if (!scan_push_file(scan, piece->path, piece))
	{
		scan_close(scan);
		return NULL;
	}
	return scan;
}

/*
 * scan_close
 *		Give everything back.
 */
void
scan_close(UpgScan *scan)
{
	if (scan == NULL)
		return;
	while (scan->depth > 0)
		scan_pop(scan);
	buf_free(&scan->out);
	buf_free(&scan->line);
	vars_free(&scan->vars);
	list_free(&scan->messages);
	free(scan->map);
	free(scan->copy_sql);
	free(scan->copy_line);
	arena_free(scan->arena);
	free(scan);
}

/* scan_messages, scan_changed_text: what \echo said; was anything put in? */
const UpgList *
scan_messages(const UpgScan *scan)
{
	return &scan->messages;
}

bool
scan_changed_text(const UpgScan *scan)
{
	return scan->changed;
}

/*
 * finish_item
 *		Fill the item from what was collected.
 */
static UpgScanKind
finish_item(UpgScan *scan, UpgScanItem *item, const Statement *st, UpgScanKind kind)
{
	item->kind = kind;
	item->text = scan->out.data;
	item->len = scan->out.len;
	item->statement = scan->out.data + st->start;
	item->file = st->file;
	item->line = st->line;
	item->col = st->col;
	item->copy_path = NULL;
	item->original = NULL;
	return kind;
}

/*
 * skip_to_data
 *		After COPY ... FROM stdin; the data begins on the next line.
 */
static bool
skip_to_data(UpgScan *scan)
{
	int c;

	while ((c = scan_peek(scan, 0)) != SCAN_EOF && c != '\n')
	{
		if (c == '-' && scan_peek(scan, 1) == '-')
			while ((c = scan_peek(scan, 0)) != SCAN_EOF && c != '\n')
				take(scan);
		else if (c == ' ' || c == '\t' || c == '\r')
			take(scan);
		else
			return scan_error(
				scan, "UPG-2013", 0,
				"COPY ... FROM stdin must be the last statement on its line");
	}
	if (c == '\n')
		take(scan);
	scan->copy_done = false;
	return true;
}

/*
 * end_of_file
 *		The innermost file ended: go on in the one that included it, or end.
 */
static bool
end_of_file(UpgScan *scan, const Statement *st)
{
	if (scan->if_depth > 0 && scan->ifs[scan->if_depth - 1].depth == scan->depth)
		return scan_error(scan, "UPG-2013", scan->ifs[scan->if_depth - 1].line,
						  "\\if without \\endif before the end of the file");
	if (scan->depth > 1)
	{
		/* psql sends what an included file leaves without a semicolon */
		if (st->started)
			emit(scan, ';');
		if (scan->out.len > 0 && scan->out.data[scan->out.len - 1] != '\n')
			emit(scan, '\n');
	}
	return true;
}

/*
 * scan_next
 *		The next statement.
 *
 * The item's text is valid until the next call.  After UPG_SCAN_COPY the data must
 * be read with scan_copy_line() to its end.
 */
UpgScanKind
scan_next(UpgScan *scan, UpgScanItem *item)
{
	Statement st;

	memset(&st, 0, sizeof(st));
	buf_reset(&scan->out);
	if (scan->failed)
		return UPG_SCAN_ERROR;
	while (!scan->failed)
	{
		int c = scan_peek(scan, 0);
		bool ok = true;

		if (scan->failed)
			break;
		if (c == SCAN_EOF)
		{
			const ScanSource *source = &scan->stack[scan->depth - 1];

			if (source->file == NULL)
			{
				scan_pop(scan);
				continue;
			}
			if (!end_of_file(scan, &st))
				break;
			if (scan->depth == 1)
			{
				if (st.started)
					return finish_item(scan, item, &st, UPG_SCAN_STATEMENT);
				if (scan->out.len > 0)
				{
					st.start = scan->out.len;
					st.file = source->name;
					st.line = source->line;
					return finish_item(scan, item, &st, UPG_SCAN_REST);
				}
				return UPG_SCAN_END;
			}
			scan_pop(scan);
			if (st.started)
				return finish_item(scan, item, &st, UPG_SCAN_STATEMENT);
			continue;
		}
		if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v')
		{
			take(scan);
			continue;
		}
		if (c == '-' && scan_peek(scan, 1) == '-')
		{
			while ((c = scan_peek(scan, 0)) != SCAN_EOF && c != '\n')
				take(scan);
			continue;
		}
		if (c == '/' && scan_peek(scan, 1) == '*')
		{
			if (!take_comment(scan))
				break;
			continue;
		}
		if (c == '\\')
		{
			if (scan_active(scan) && scan_peek(scan, 1) == ';')
			{
				scan_get(scan);
				scan->changed = true;
				take(scan);
				continue;
			}
			if (scan_active(scan) && scan_peek(scan, 1) == ':')
			{
				scan_get(scan);
				scan->changed = true;
				take(scan);
				continue;
			}
			scan->changed = true;
			if (!scan_backslash(scan, st.started))
				break;
			if (scan->copy_sql != NULL)
			{
				begin_statement(scan, &st);
				buf_add(&scan->out, scan->copy_sql);
				free(scan->copy_sql);
				scan->copy_sql = NULL;
				finish_item(scan, item, &st,
							scan->copy_path ? UPG_SCAN_COPY_FILE : UPG_SCAN_COPY);
				item->copy_path = scan->copy_path;
				item->original = scan->copy_line;
				if (item->kind == UPG_SCAN_COPY && !skip_to_data(scan))
					return UPG_SCAN_ERROR;
				item->text = scan->out.data;
				item->len = scan->out.len;
				item->statement = scan->out.data + st.start;
				return item->kind;
			}
			continue;
		}
		if (is_ident_start(c))
		{
			if (!take_word(scan, &st))
				break;
			continue;
		}
		if (c == ':' && scan_active(scan))
		{
			begin_statement(scan, &st);
			if (!take_colon(scan))
				break;
			continue;
		}
		begin_statement(scan, &st);
		switch (c)
		{
			case '\'':
			case '"':
				take(scan);
				ok = take_quoted(scan, c, false);
				break;
			case '$':
				ok = take_dollar(scan);
				break;
			case '(':
				take(scan);
				st.paren++;
				break;
			case ')':
				take(scan);
				if (st.paren > 0)
					st.paren--;
				break;
			case ';':
				take(scan);
				if (scan_active(scan) && st.paren == 0 && st.begin == 0)
				{
					if (st.copy == 3)
					{
						if (!skip_to_data(scan))
							return UPG_SCAN_ERROR;
						return finish_item(scan, item, &st, UPG_SCAN_COPY);
					}
					return finish_item(scan, item, &st, UPG_SCAN_STATEMENT);
				}
				break;
			default:
				take(scan);

				/* 1e5 is a number, not a word */
				if (c >= '0' && c <= '9')
					while (is_ident(scan_peek(scan, 0)) && scan_peek(scan, 0) != '$')
						take(scan);
				break;
		}
		if (!ok)
			break;
	}
	return UPG_SCAN_ERROR;
}

/*
 * scan_copy_line
 *		A line of COPY data with its line end: 1; 0 at the end of the data; -1 error.
 *
 * The line "\." ends the data and is not handed out.
 */
int
scan_copy_line(UpgScan *scan, const char **data, size_t *len)
{
	int c;

	if (scan->copy_done)
		return 0;
	buf_reset(&scan->line);
	while ((c = scan_get(scan)) != SCAN_EOF)
	{
		buf_addc(&scan->line, (char) c);
		if (c == '\n')
		{
			scan->out_line++;
			break;
		}

		/* a very long line goes out in parts; libpq does not mind */
		if (scan->line.len >= SCAN_CHUNK)
			break;
	}
	if (scan->failed)
		return -1;
	if (scan->line.len == 0 || strcmp(scan->line.data, "\\.\n") == 0 ||
		strcmp(scan->line.data, "\\.\r\n") == 0 || strcmp(scan->line.data, "\\.") == 0)
	{
		scan->copy_done = true;
		return 0;
	}
	*data = scan->line.data;
	*len = scan->line.len;
	return 1;
}

/*
 * scan_skip_data
 *		Pass over the data of a COPY, if the item is one; false with the error set.
 */
bool
scan_skip_data(UpgScan *scan, const UpgScanItem *item)
{
	const char *data;
	size_t len;
	int rc = 0;

	while (item->kind == UPG_SCAN_COPY && (rc = scan_copy_line(scan, &data, &len)) > 0)
		;
	return rc == 0;
}
