/*-------------------------------------------------------------------------
 *
 * util.c
 *		Memory, growing strings, lists, and comparisons used everywhere.
 * 
 *  Running out of memory ends the program with exit code 70: nothing sensible can
 *  be done in a client, and the database keeps the books.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/util.c
 *
 *-------------------------------------------------------------------------
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "exit_codes.h"
#include "util.h"

#define ARENA_BLOCK (32 * 1024)

typedef struct ArenaBlock
{
	struct ArenaBlock *next;
	size_t used;
	size_t size;
} ArenaBlock;

struct UpgArena
{
	ArenaBlock *blocks;
};

/*
 * xmalloc
 *		malloc that does not return NULL.
 */
void *
xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	if (p == NULL)
	{
		fputs("upg: error: out of memory\n", stderr);
		exit(UPG_EXIT_BUG);
	}
	return p;
}

/*
 * xrealloc
 *		realloc that does not return NULL.
 */
void *
xrealloc(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);

	if (p == NULL)
	{
		fputs("upg: error: out of memory\n", stderr);
		exit(UPG_EXIT_BUG);
	}
	return p;
}

/*
 * xstrdup
 *		strdup that does not return NULL.
 */
char *
xstrdup(const char *text)
{
	size_t len = strlen(text) + 1;

	return memcpy(xmalloc(len), text, len);
}

/*
 * arena_new
 *		Make an empty arena; arena_free() gives everything back.
 */
UpgArena *
arena_new(void)
{
	UpgArena *arena = xmalloc(sizeof(UpgArena));

	arena->blocks = NULL;
	return arena;
}

/*
 * arena_alloc
 *		Zeroed memory that lives as long as the arena.
 */
void *
arena_alloc(UpgArena *arena, size_t size)
{
	ArenaBlock *block = arena->blocks;
	char *p;

	size = (size + 15) & ~(size_t) 15;
	if (block == NULL || block->size - block->used < size)
	{
		size_t room = size > ARENA_BLOCK / 4 ? size : ARENA_BLOCK;
		ArenaBlock *fresh = xmalloc(sizeof(ArenaBlock) + 16 + room);

		fresh->used = 0;
		fresh->size = room;

		/* a big piece goes behind the current block, which still has room */
		if (room == size && block != NULL)
		{
			fresh->next = block->next;
			block->next = fresh;
		}
		else
		{
			fresh->next = block;
			arena->blocks = fresh;
		}
		block = fresh;
	}
	p = (char *) block + ((sizeof(ArenaBlock) + 15) & ~(size_t) 15) + block->used;
	block->used += size;
	return memset(p, 0, size);
}

/*
 * arena_strndup
 *		Copy "len" bytes and a terminating zero into the arena.
 */
char *
arena_strndup(UpgArena *arena, const char *text, size_t len)
{
	char *p = arena_alloc(arena, len + 1);

	if (len > 0)
		memcpy(p, text, len);
	return p;
}

/*
 * arena_strdup
 *		Copy a string into the arena; NULL stays NULL.
 */
char *
arena_strdup(UpgArena *arena, const char *text)
{
	return text == NULL ? NULL : arena_strndup(arena, text, strlen(text));
}

/*
 * arena_printf
 *		Format into the arena.
 */
char *
arena_printf(UpgArena *arena, const char *fmt, ...)
{
	UpgBuf buf;
	va_list args;
	char *p;

	buf_init(&buf);
	va_start(args, fmt);
	buf_vprintf(&buf, fmt, args);
	va_end(args);
	p = arena_strndup(arena, buf.data, buf.len);
	buf_free(&buf);
	return p;
}

/*
 * arena_free
 *		Give back the arena and all that was allocated in it.
 */
void
arena_free(UpgArena *arena)
{
	ArenaBlock *block;
	ArenaBlock *next;

	if (arena == NULL)
		return;
	for (block = arena->blocks; block != NULL; block = next)
	{
		next = block->next;
		free(block);
	}
	free(arena);
}

/*
 * buf_init
 *		Make an empty string.
 */
void
buf_init(UpgBuf *buf)
{
	buf->cap = 64;
	buf->data = xmalloc(buf->cap);
	buf->data[0] = '\0';
	buf->len = 0;
}

/*
 * buf_free
 *		Give the memory back; the buffer may be freed twice.
 */
void
buf_free(UpgBuf *buf)
{
	free(buf->data);
	buf->data = NULL;
	buf->len = buf->cap = 0;
}

/*
 * buf_reset
 *		Empty the string and keep its memory, unless that is large.
 */
void
buf_reset(UpgBuf *buf)
{
	if (buf->cap > 1024 * 1024)
	{
		buf_free(buf);
		buf_init(buf);
	}
	buf->len = 0;
	buf->data[0] = '\0';
}

/*
 * buf_reserve
 *		Make room for "more" bytes and the terminating zero.
 */
void
buf_reserve(UpgBuf *buf, size_t more)
{
	size_t need = buf->len + more + 1;

	if (need <= buf->cap)
		return;
	while (buf->cap < need)
		buf->cap = buf->cap < 64 ? 64 : buf->cap * 2;
	buf->data = xrealloc(buf->data, buf->cap);
}

/*
 * buf_addn
 *		Append "len" bytes.
 */
void
buf_addn(UpgBuf *buf, const char *text, size_t len)
{
	buf_reserve(buf, len);
	if (len > 0)
		memcpy(buf->data + buf->len, text, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

/*
 * buf_add
 *		Append a string.
 */
void
buf_add(UpgBuf *buf, const char *text)
{
	buf_addn(buf, text, strlen(text));
}

/*
 * buf_addc
 *		Append one byte.
 */
void
buf_addc(UpgBuf *buf, char c)
{
	if (buf->len + 2 > buf->cap)
		buf_reserve(buf, 1);
	buf->data[buf->len++] = c;
	buf->data[buf->len] = '\0';
}

/*
 * buf_vprintf
 *		Append formatted text.
 */
void
buf_vprintf(UpgBuf *buf, const char *fmt, va_list args)
{
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, args);
	if (len > 0)
	{
		buf_reserve(buf, (size_t) len);
		vsnprintf(buf->data + buf->len, (size_t) len + 1, fmt, again);
		buf->len += (size_t) len;
	}
	va_end(again);
}

/*
 * buf_printf
 *		Append formatted text.
 */
void
buf_printf(UpgBuf *buf, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	buf_vprintf(buf, fmt, args);
	va_end(args);
}

/*
 * list_add
 *		Append an item, which must outlive the list.
 */
void
list_add(UpgList *list, const char *item)
{
	if (list->count == list->cap)
	{
		list->cap = list->cap ? list->cap * 2 : 8;
		list->items = xrealloc(list->items, (size_t) list->cap * sizeof(char *));
	}
	list->items[list->count++] = item;
}

/*
 * list_free
 *		Give back the list, not its items.
 */
void
list_free(UpgList *list)
{
	free(list->items);
	memset(list, 0, sizeof(*list));
}

/*
 * list_has
 *		Is this string in the list?
 */
bool
list_has(const UpgList *list, const char *item)
{
	for (int i = 0; i < list->count; i++)
		if (strcmp(list->items[i], item) == 0)
			return true;
	return false;
}

/*
 * list_split
 *		Append the items of "a,b,c", copied into the arena; empty ones are left out.
 */
void
list_split(UpgList *list, UpgArena *arena, const char *text)
{
	while (*text)
	{
		size_t n = strcspn(text, ",");

		if (n > 0)
			list_add(list, arena_strndup(arena, text, n));
		text += n + (text[n] == ',');
	}
}

/* is_digit: an ASCII digit, whatever the locale. */
static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * natural_compare
 *		Compare so that a run of digits counts as a number: "2_x" before "10_x".
 *
 * Numbers of any length are compared without converting them.  Equal numbers
 * written with different zeros compare by what follows, then by their bytes, so
 * the order is total.
 */
int
natural_compare(const char *a, const char *b)
{
	const char *a0 = a;
	const char *b0 = b;

	/* Names of one directory begin alike; only a number must be seen as a whole. */
	while (*a && *a == *b)
	{
		a++;
		b++;
	}
	while (a > a0 && is_digit(a[-1]))
	{
		a--;
		b--;
	}
	while (*a && *b)
	{
		if (is_digit(*a) && is_digit(*b))
		{
			size_t la = 0;
			size_t lb = 0;
			int cmp;

			while (*a == '0')
				a++;
			while (*b == '0')
				b++;
			while (is_digit(a[la]))
				la++;
			while (is_digit(b[lb]))
				lb++;
			if (la != lb)
				return la < lb ? -1 : 1;
			cmp = memcmp(a, b, la);
			if (cmp != 0)
				return cmp < 0 ? -1 : 1;
			a += la;
			b += lb;
			continue;
		}
		if (*a != *b)
			return (unsigned char) *a < (unsigned char) *b ? -1 : 1;
		a++;
		b++;
	}
	if (*a || *b)
		return *a ? 1 : -1;
	{
		int cmp = strcmp(a0, b0);

		return cmp < 0 ? -1 : cmp > 0;
	}
}

/*
 * sort_array
 *		qsort(), which what is in order already is spared: names mostly are.
 */
void
sort_array(void *base, int count, size_t size,
		   int (*compare)(const void *a, const void *b))
{
	const char *item = base;

	for (int i = 1; i < count; i++, item += size)
		if (compare(item, item + size) > 0)
		{
			qsort(base, (size_t) count, size, compare);
			return;
		}
}

/*
 * edit_distance
 *		Number of insertions, deletions and changes between two short words.
 */
int
edit_distance(const char *a, const char *b)
{
	int row[64];
	int la = (int) strlen(a);
	int lb = (int) strlen(b);

	if (la > 60 || lb > 60)
		return 99;
	for (int j = 0; j <= lb; j++)
		row[j] = j;
	for (int i = 1; i <= la; i++)
	{
		int diag = row[0];

		row[0] = i;
		for (int j = 1; j <= lb; j++)
		{
			int up = row[j];
			int best = diag + (a[i - 1] != b[j - 1]);

			if (up + 1 < best)
				best = up + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diag = up;
			row[j] = best;
		}
	}
	return row[lb];
}

/*
 * str_starts
 *		Does the text begin with the prefix?
 */
bool
str_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/*
 * str_starts_nocase
 *		The same without regard to ASCII case.
 */
bool
str_starts_nocase(const char *text, const char *prefix)
{
	return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/*
 * str_ends
 *		Does the text end with the suffix?
 */
bool
str_ends(const char *text, const char *suffix)
{
	size_t lt = strlen(text);
	size_t ls = strlen(suffix);

	return lt >= ls && strcmp(text + lt - ls, suffix) == 0;
}

/*
 * quote_identifier
 *		A name as an SQL identifier, in the arena.
 */
const char *
quote_identifier(UpgArena *arena, const char *name)
{
	UpgBuf out;
	const char *quoted;

	buf_init(&out);
	buf_addc(&out, '"');
	for (; *name; name++)
	{
		if (*name == '"')
			buf_addc(&out, '"');
		buf_addc(&out, *name);
	}
	buf_addc(&out, '"');
	quoted = arena_strndup(arena, out.data, out.len);
	buf_free(&out);
	return quoted;
}

/*
 * array_literal
 *		Append a text[] literal for the server.
 */
void
array_literal(UpgBuf *out, const UpgList *items)
{
	buf_addc(out, '{');
	for (int i = 0; i < items->count; i++)
	{
		if (i > 0)
			buf_addc(out, ',');
		buf_addc(out, '"');
		for (const char *p = items->items[i]; *p; p++)
		{
			if (*p == '"' || *p == '\\')
				buf_addc(out, '\\');
			buf_addc(out, *p);
		}
		buf_addc(out, '"');
	}
	buf_addc(out, '}');
}

/*
 * array_text
 *		The same as a string in the arena.
 */
const char *
array_text(UpgArena *arena, const UpgList *items)
{
	UpgBuf out;
	const char *literal;

	buf_init(&out);
	array_literal(&out, items);
	literal = arena_strndup(arena, out.data, out.len);
	buf_free(&out);
	return literal;
}

/*
 * array_next
 *		The next item of a text[] literal; false at its end.
 *
 * *literal begins at the brace and moves on.  An item that is not "quoted" and reads
 * NULL is one.
 */
bool
array_next(const char **literal, UpgBuf *item, bool *quoted)
{
	const char *p = *literal;

	if (*p == '{' || *p == ',')
		p++;
	*literal = p;
	if (*p == '\0' || *p == '}')
		return false;
	buf_reset(item);
	*quoted = *p == '"';
	if (*quoted)
		p++;
	while (*p && (*quoted ? *p != '"' : *p != ',' && *p != '}'))
	{
		if (*p == '\\' && p[1])
			p++;
		buf_addc(item, *p++);
	}
	if (*quoted && *p == '"')
		p++;
	*literal = p;
	return true;
}

/*
 * utf8_invalid_at
 *		Offset of the first byte that is not UTF-8, or "len" if all are.
 *
 * Overlong forms, surrogates and code points above U+10FFFF are invalid, as they
 * are for the server.
 */
size_t
utf8_invalid_at(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *) text;
	size_t i = 0;

	while (i < len)
	{
		unsigned char c = s[i];
		size_t more;

		if (c < 0x80)
		{
			i++;
			continue;
		}
		if (c >= 0xC2 && c <= 0xDF)
			more = 1;
		else if (c >= 0xE0 && c <= 0xEF)
			more = 2;
		else if (c >= 0xF0 && c <= 0xF4)
			more = 3;
		else
			return i;
		if (len - i <= more)
			return i;
		for (size_t k = 1; k <= more; k++)
			if ((s[i + k] & 0xC0) != 0x80)
				return i;
		if ((c == 0xE0 && s[i + 1] < 0xA0) || (c == 0xED && s[i + 1] > 0x9F) ||
			(c == 0xF0 && s[i + 1] < 0x90) || (c == 0xF4 && s[i + 1] > 0x8F))
			return i;
		i += more + 1;
	}
	return len;
}

/*
 * printable
 *		A copy for messages: control bytes as \xNN, very long names shortened.
 */
const char *
printable(UpgArena *arena, const char *text)
{
	UpgBuf buf;
	char *copy;
	size_t len = strlen(text);

	buf_init(&buf);
	for (const unsigned char *p = (const unsigned char *) text; *p; p++)
	{
		if (buf.len > 200)
		{
			buf_printf(&buf, "... (%zu bytes)", len);
			break;
		}
		if (*p == '\n')
			buf_add(&buf, "\\n");
		else if (*p < 32 || *p == 127)
			buf_printf(&buf, "\\x%02x", *p);
		else
			buf_addc(&buf, (char) *p);
	}
	copy = arena_strndup(arena, buf.data, buf.len);
	buf_free(&buf);
	return copy;
}

/*
 * interval_seconds
 *		Seconds of an interval that has no days, in any IntervalStyle: "00:00:01.5",
 *		"PT1M1.5S", "@ 1 min 1.5 secs".
 */
double
interval_seconds(const char *text)
{
	double seconds = 0;

	while (*(text += strcspn(text, "0123456789")))
	{
		char *end;
		double number = strtod(text, &end);

		text = end + strspn(end, " ");
		switch (*text)
		{
			case ':':
				seconds = (seconds + number) * 60;
				break;
			case 'h':
			case 'H':
				seconds += number * 3600;
				break;
			case 'm':
			case 'M':
				seconds += number * 60;
				break;
			default:
				seconds += number;
				break;
		}
	}
	return seconds;
}

/*
 * now_ms
 *		Milliseconds on a clock that never goes back.
 */
int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/*
 * parse_duration
 *		"500ms", "30s", "5min", "1h" or a number of seconds, to milliseconds.
 */
bool
parse_duration(const char *text, int64_t *ms)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || value < 0 || value > 1e12)
		return false;
	if (strcmp(end, "ms") == 0)
		*ms = (int64_t) value;
	else if (*end == '\0' || strcmp(end, "s") == 0)
		*ms = (int64_t) (value * 1000);
	else if (strcmp(end, "min") == 0 || strcmp(end, "m") == 0)
		*ms = (int64_t) (value * 60000);
	else if (strcmp(end, "h") == 0)
		*ms = (int64_t) (value * 3600000);
	else
		return false;
	return true;
}

/*
 * parse_size
 *		"64kB", "16MB", "1GB" or a number of bytes.
 */
bool
parse_size(const char *text, int64_t *bytes)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || value < 0 || value > 1e15)
		return false;
	if (*end == '\0' || strcasecmp(end, "B") == 0)
		*bytes = (int64_t) value;
	else if (strcasecmp(end, "kB") == 0)
		*bytes = (int64_t) (value * 1024);
	else if (strcasecmp(end, "MB") == 0)
		*bytes = (int64_t) (value * 1024 * 1024);
	else if (strcasecmp(end, "GB") == 0)
		*bytes = (int64_t) (value * 1024 * 1024 * 1024);
	else
		return false;
	return true;
}
