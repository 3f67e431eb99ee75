/*-------------------------------------------------------------------------
 *
 * util.h
 *		Memory, growing strings, lists, and comparisons used everywhere.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/util.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_UTIL_H
#define UPG_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UPG_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define UPG_UNUSED            __attribute__((unused))

/* A region of memory that is freed as a whole. */
typedef struct UpgArena UpgArena;

extern UpgArena *arena_new(void);
extern void *arena_alloc(UpgArena *arena, size_t size);
extern char *arena_strdup(UpgArena *arena, const char *text);
extern char *arena_strndup(UpgArena *arena, const char *text, size_t len);
extern char *arena_printf(UpgArena *arena, const char *fmt, ...) UPG_PRINTF(2, 3);
extern void arena_free(UpgArena *arena);

extern void *xmalloc(size_t size);
extern void *xrealloc(void *old, size_t size);
extern char *xstrdup(const char *text);

/* A string that grows; "data" is always terminated by a zero byte. */
typedef struct UpgBuf
{
	char *data;
	size_t len;
	size_t cap;
} UpgBuf;

extern void buf_init(UpgBuf *buf);
extern void buf_free(UpgBuf *buf);
extern void buf_reset(UpgBuf *buf);
extern void buf_reserve(UpgBuf *buf, size_t more);
extern void buf_add(UpgBuf *buf, const char *text);
extern void buf_addn(UpgBuf *buf, const char *text, size_t len);
extern void buf_addc(UpgBuf *buf, char c);
extern void buf_printf(UpgBuf *buf, const char *fmt, ...) UPG_PRINTF(2, 3);
extern void buf_vprintf(UpgBuf *buf, const char *fmt, va_list args);

/* A list of strings that the list does not own. */
typedef struct UpgList
{
	const char **items;
	int count;
	int cap;
} UpgList;

extern void list_add(UpgList *list, const char *item);
extern void list_free(UpgList *list);
extern bool list_has(const UpgList *list, const char *item);
extern void list_split(UpgList *list, UpgArena *arena, const char *text);

extern void sort_array(void *base, int count, size_t size,
					   int (*compare)(const void *a, const void *b));
extern int natural_compare(const char *a, const char *b);
extern int edit_distance(const char *a, const char *b);
extern bool str_starts(const char *text, const char *prefix);
extern bool str_ends(const char *text, const char *suffix);
extern bool str_starts_nocase(const char *text, const char *prefix);
extern const char *quote_identifier(UpgArena *arena, const char *name);
extern void array_literal(UpgBuf *out, const UpgList *items);
extern const char *array_text(UpgArena *arena, const UpgList *items);
extern bool array_next(const char **literal, UpgBuf *item, bool *quoted);
extern size_t utf8_invalid_at(const char *text, size_t len);
extern const char *printable(UpgArena *arena, const char *text);
extern double interval_seconds(const char *text);
extern int64_t now_ms(void);
extern bool parse_duration(const char *text, int64_t *ms);
extern bool parse_size(const char *text, int64_t *bytes);

#endif /* UPG_UTIL_H */
