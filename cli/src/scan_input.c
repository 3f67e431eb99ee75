/*-------------------------------------------------------------------------
 *
 * scan_input.c
 *		What the scanner reads from: files, included files, values of variables.
 * 
 *  Inputs form a stack.  Every byte handed out has been checked to be UTF-8, and each
 *  line of the expanded script can be traced to the file and line it comes from.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/scan_input.c
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "exit_codes.h"
#include "log.h"
#include "scan_internal.h"

/* Variables */

/*
 * vars_set
 *		Set a variable; NULL removes it.
 */
void
vars_set(UpgVars *vars, const char *name, const char *value)
{
	for (int i = 0; i < vars->count; i++)
		if (strcmp(vars->items[i].name, name) == 0)
		{
			char *copy = value ? xstrdup(value) : NULL;

			free(vars->items[i].value);
			vars->items[i].value = copy;
			return;
		}
	if (value == NULL)
		return;
	if (vars->count == vars->cap)
	{
		vars->cap = vars->cap ? vars->cap * 2 : 8;
		vars->items = xrealloc(vars->items, (size_t) vars->cap * sizeof(UpgVar));
	}
	vars->items[vars->count].name = xstrdup(name);
	vars->items[vars->count++].value = xstrdup(value);
}

/*
 * vars_get
 *		Value of a variable, or NULL.
 */
const char *
vars_get(const UpgVars *vars, const char *name)
{
	for (int i = 0; i < vars->count; i++)
		if (strcmp(vars->items[i].name, name) == 0)
			return vars->items[i].value;
	return NULL;
}

/*
 * vars_copy
 *		Make "to", which must be empty, a copy of "from".
 */
void
vars_copy(UpgVars *to, const UpgVars *from)
{
	memset(to, 0, sizeof(*to));
	for (int i = 0; from != NULL && i < from->count; i++)
		vars_set(to, from->items[i].name, from->items[i].value);
}

/*
 * vars_free
 *		Give all variables back.
 */
void
vars_free(UpgVars *vars)
{
	for (int i = 0; i < vars->count; i++)
	{
		free(vars->items[i].name);
		free(vars->items[i].value);
	}
	free(vars->items);
	memset(vars, 0, sizeof(*vars));
}

/* Input */

/*
 * scan_file
 *		The innermost input that is a file, for positions.
 */
const ScanSource *
scan_file(const UpgScan *scan)
{
	for (int i = scan->depth - 1; i > 0; i--)
		if (scan->stack[i].file != NULL)
			return &scan->stack[i];
	return &scan->stack[0];
}

/*
 * scan_error
 *		Set the error at a line of the current file (0: the current line).
 */
bool
scan_error(UpgScan *scan, const char *code, int line, const char *fmt, ...)
{
	UpgBuf text;
	va_list args;
	const ScanSource *source = scan_file(scan);

	buf_init(&text);
	va_start(args, fmt);
	buf_vprintf(&text, fmt, args);
	va_end(args);
	err_set(UPG_EXIT_USAGE, code, "%s", text.data);
	err_where("%s:%d", source->name, line > 0 ? line : source->line);
	buf_free(&text);
	scan->failed = true;
	return false;
}

/*
 * map_here
 *		Note that the next line of the expanded script is this line of this file.
 */
static void
map_here(UpgScan *scan)
{
	const ScanSource *source = scan_file(scan);

	if (scan->map_count == scan->map_cap)
	{
		scan->map_cap = scan->map_cap ? scan->map_cap * 2 : 8;
		scan->map = xrealloc(scan->map, (size_t) scan->map_cap * sizeof(ScanMap));
	}
	scan->map[scan->map_count].out_line = scan->out_line;
	scan->map[scan->map_count].file = source->name;
	scan->map[scan->map_count++].line = source->line;
}

/*
 * scan_position
 *		Where a line of the expanded script comes from.
 */
void
scan_position(const UpgScan *scan, int out_line, const char **file, int *line)
{
	int i = scan->map_count - 1;

	while (i > 0 && scan->map[i].out_line > out_line)
		i--;
	*file = scan->map[i].file;
	*line = scan->map[i].line + (out_line - scan->map[i].out_line);
}

/*
 * validate
 *		Refuse zero bytes and what is not UTF-8 among the bytes just read.
 */
static bool
validate(UpgScan *scan, ScanSource *source)
{
	const char *fresh = source->buf + source->limit;
	size_t n = source->len - source->limit;
	const char *zero = n > 0 ? memchr(fresh, '\0', n) : NULL;
	size_t bad = utf8_invalid_at(fresh, n);
	size_t at =
		zero != NULL && (size_t) (zero - fresh) < bad ? (size_t) (zero - fresh) : bad;

	if (at == n || (zero == NULL && !source->eof && n - at < 4))
	{
		source->limit += at;
		return true;
	}
	{
		int line = source->line;
		int64_t offset = source->offset + (int64_t) source->limit + (int64_t) at;
		unsigned char byte = (unsigned char) fresh[at];

		for (size_t i = source->pos; i < source->limit + at; i++)
			if (source->buf[i] == '\n')
				line++;
		if (byte == 0)
		{
			scan_error(scan, "UPG-2011", line, "file \"%s\" holds a zero byte",
					   source->name);
			err_why("The byte at offset %lld is zero, which no SQL text can hold.",
					(long long) offset);
			err_fix("Remove it; a file saved as UTF-16 must be saved as UTF-8.");
		}
		else
		{
			scan_error(scan, "UPG-2010", line, "file \"%s\" is not valid UTF-8",
					   source->name);
			err_why(
				"The byte 0x%02x at offset %lld does not belong to a UTF-8 character.",
				byte, (long long) offset);
			err_fix("Convert the file, for example: iconv -f LATIN1 -t UTF-8.");
		}
		return false;
	}
}

/*
 * refill
 *		Read more of a file so that at least "ahead" bytes can be seen, if there are.
 */
static bool
refill(UpgScan *scan, ScanSource *source, size_t ahead)
{
	while (!source->eof && source->limit - source->pos <= ahead && !scan->failed)
	{
		size_t want = SCAN_CHUNK;
		size_t got;

		if (source->pos > 0)
		{
			memmove(source->buf, source->buf + source->pos, source->len - source->pos);
			source->offset += (int64_t) source->pos;
			source->len -= source->pos;
			source->limit -= source->pos;
			source->pos = 0;
		}
		if (source->left >= 0 && (int64_t) want > source->left)
			want = (size_t) source->left;
		if (source->cap < source->len + want)
		{
			source->cap = source->len + want;
			source->buf = xrealloc(source->buf, source->cap);
		}
		got = want == 0 ? 0 : fread(source->buf + source->len, 1, want, source->file);
		if (got < want && ferror(source->file))
		{
			scan_error(scan, "UPG-2005", 0, "could not read file \"%s\": %s",
					   source->name, strerror(errno));
			return false;
		}
		source->len += got;
		if (source->left >= 0)
			source->left -= (int64_t) got;
		if (got < want || want == 0 || source->left == 0)
			source->eof = true;
		if (!validate(scan, source))
			return false;
	}
	return true;
}

/*
 * scan_push_file
 *		Read on in this file; "piece" limits what is read of it.
 */
bool
scan_push_file(UpgScan *scan, const char *path, const UpgPiece *piece)
{
	ScanSource *source;
	FILE *file;
	struct stat st;
	bool kept = piece != NULL && piece->text != NULL;

	if (scan->depth >= SCAN_MAX_DEPTH)
		return scan_error(scan, "UPG-2013", 0,
						  "files include each other more than %d deep", SCAN_MAX_DEPTH);
	file = kept ? fmemopen(piece->text, piece->text_len, "rb") : fopen(path, "rb");
	if (file == NULL ||
		(!kept && (fstat(fileno(file), &st) != 0 || !S_ISREG(st.st_mode))))
	{
		int saved = errno;

		if (scan->depth > 0)
			scan_error(scan, "UPG-2005", 0, "could not open file \"%s\": %s", path,
					   file == NULL ? strerror(saved) : "it is not a regular file");
		else
		{
			err_set(UPG_EXIT_USAGE, "UPG-2005", "could not open file \"%s\": %s", path,
					file == NULL ? strerror(saved) : "it is not a regular file");
			err_where("%s", path);
		}
		if (file != NULL)
			fclose(file);
		scan->failed = true;
		return false;
	}
	source = &scan->stack[scan->depth++];
	memset(source, 0, sizeof(*source));
	source->file = file;
	source->name = arena_strdup(scan->arena, path);
	source->line = piece ? piece->first_line : 1;
	source->col = 1;
	source->left = piece ? piece->length : -1;
	if (piece != NULL && piece->offset > 0)
	{
		fseeko(file, (off_t) piece->offset, SEEK_SET);
		source->offset = piece->offset;
	}
	if (!refill(scan, source, 3))
		return false;
	if (source->offset == 0 && source->limit >= 3 &&
		memcmp(source->buf, "\xEF\xBB\xBF", 3) == 0)
		source->pos = 3;
	map_here(scan);
	return true;
}

/*
 * scan_push_value
 *		Read on in the value of a variable.
 */
bool
scan_push_value(UpgScan *scan, const char *name, const char *value)
{
	ScanSource *source;

	if (scan->depth >= SCAN_MAX_DEPTH)
		return scan_error(scan, "UPG-2013", 0,
						  "variables refer to each other more than %d deep",
						  SCAN_MAX_DEPTH);
	source = &scan->stack[scan->depth++];
	memset(source, 0, sizeof(*source));
	source->name = arena_strdup(scan->arena, name);
	source->buf = xstrdup(value);
	source->len = source->limit = strlen(value);
	source->eof = true;
	source->newline = strchr(value, '\n') != NULL;
	return true;
}

/*
 * scan_pop
 *		Leave the innermost input.
 */
void
scan_pop(UpgScan *scan)
{
	ScanSource *source = &scan->stack[--scan->depth];
	bool remap = source->file != NULL || source->newline;

	if (source->file != NULL)
		fclose(source->file);
	free(source->buf);
	source->file = NULL;
	source->buf = NULL;
	if (remap && scan->depth > 0)
		map_here(scan);
}

/*
 * scan_peek
 *		The byte "ahead" of the next one in the same input, or SCAN_EOF.
 */
int
scan_peek(UpgScan *scan, size_t ahead)
{
	ScanSource *source = &scan->stack[scan->depth - 1];

	if (source->limit - source->pos <= ahead && !source->eof)
		if (!refill(scan, source, ahead))
			return SCAN_EOF;
	if (source->limit - source->pos <= ahead)
		return SCAN_EOF;
	return (unsigned char) source->buf[source->pos + ahead];
}

/*
 * scan_get
 *		Consume a byte.  The end of a variable's value is passed silently, the end
 *		of a file is SCAN_EOF.
 */
int
scan_get(UpgScan *scan)
{
	for (;;)
	{
		ScanSource *source = &scan->stack[scan->depth - 1];
		unsigned char c;

		if (source->pos >= source->limit)
		{
			if (scan_peek(scan, 0) == SCAN_EOF)
			{
				if (scan->failed || source->file != NULL)
					return SCAN_EOF;
				scan_pop(scan);
				continue;
			}
		}
		c = (unsigned char) source->buf[source->pos++];
		if (source->file != NULL)
		{
			if (c == '\n')
			{
				source->line++;
				source->col = 1;
			}
			else if ((c & 0xC0) != 0x80)
				source->col++;
		}
		return c;
	}
}
