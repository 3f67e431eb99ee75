/*-------------------------------------------------------------------------
 *
 * source.c
 *		Directories of migrations: order, duplicates, the text of a script.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/source.c
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exit_codes.h"
#include "log.h"
#include "source_internal.h"

/*
 * source_add
 *		Append an empty entry.
 */
UpgEntry *
source_add(UpgSource *source, const char *name, const char *path)
{
	UpgEntry *entry;

	if (source->count == source->cap)
	{
		source->cap = source->cap ? source->cap * 2 : 64;
		source->entries =
			xrealloc(source->entries, (size_t) source->cap * sizeof(UpgEntry));
	}
	entry = &source->entries[source->count++];
	memset(entry, 0, sizeof(*entry));
	entry->name = name;
	entry->order = name;
	entry->up.path = path;
	entry->up.length = -1;
	entry->up.first_line = 1;
	entry->down.length = -1;
	entry->down.first_line = 1;
	return entry;
}

/*
 * source_path
 *		Path of a file of the directory; lives in the arena.
 */
const char *
source_path(const UpgSource *source, const char *name)
{
	size_t len = strlen(source->dir);
	size_t slash = len > 0 && source->dir[len - 1] == '/' ? 0 : 1;
	size_t rest = strlen(name);
	char *path = arena_alloc(source->arena, len + slash + rest + 1);

	memcpy(path, source->dir, len);
	if (slash)
		path[len] = '/';
	memcpy(path + len + slash, name, rest);
	return path;
}

/*
 * time_order
 *		The sort key of a date with a time of day that may be short of digits, or
 *		have some behind the seconds: people write these by hand, and diesel sorts
 *		them as text.
 */
static const char *
time_order(UpgArena *arena, const char *digits, const char *rest)
{
	static const char zeros[] = "00000000000000";
	int n = (int) strlen(digits);
	int whole = (int) sizeof(zeros) - 1;

	if (n == 8)
		return arena_printf(arena, "%s%s", digits, rest);
	return arena_printf(arena, "%.*s%s%s%s%s", whole, digits, n < whole ? zeros + n : "",
						n > whole ? "~" : "", n > whole ? digits + whole : "", rest);
}

/*
 * number_of
 *		The version that a name begins with, or NULL; *order gets the sort key.
 *
 * A date written with dashes counts like the same digits without them, so that both
 * forms may live in one directory; with a time of day, like the second it begins.
 */
const char *
number_of(UpgArena *arena, const char *name, const char **order)
{
	const char *p = name;
	size_t n;
	char *number;
	size_t k = 0;

	*order = name;
	if ((*p == 'V' || *p == 'v') && p[1] >= '0' && p[1] <= '9')
		p++;
	n = strspn(p, "0123456789");
	if (n == 0)
		return NULL;
	while ((p[n] == '-' || p[n] == '.') && p[n + 1] >= '0' && p[n + 1] <= '9')
		n += 1 + strspn(p + n + 1, "0123456789");
	number = arena_strndup(arena, p, n);
	if (n >= 10 && number[4] == '-' && number[7] == '-')
	{
		for (size_t i = 0; i < n; i++)
			if (number[i] != '-')
				number[k++] = number[i];
		number[k] = '\0';
		*order = time_order(arena, number, p + n);
	}
	else
		*order = p;
	return number;
}

/*
 * compare_entries
 *		qsort callback: repeatables last, else natural order, or that of the bytes
 *		where the tool has it so.
 */
static int
compare_entries(const void *a, const void *b)
{
	const UpgEntry *ea = a;
	const UpgEntry *eb = b;
	int cmp;

	if (ea->repeatable != eb->repeatable)
		return ea->repeatable ? 1 : -1;
	cmp =
		ea->by_bytes ? strcmp(ea->name, eb->name) : natural_compare(ea->order, eb->order);
	return cmp != 0 ? cmp : strcmp(ea->up.path, eb->up.path);
}

/*
 * compare_names
 *		qsort callback: bytes of the names.
 */
static int
compare_names(const void *a, const void *b)
{
	return strcmp((*(const UpgEntry *const *) a)->name,
				  (*(const UpgEntry *const *) b)->name);
}

/*
 * compare_ledger
 *		qsort callback: bytes of the names in the ledger.
 */
static int
compare_ledger(const void *a, const void *b)
{
	return strcmp((*(const UpgEntry *const *) a)->ledger,
				  (*(const UpgEntry *const *) b)->ledger);
}

/*
 * same_number
 *		Are two version numbers equal but for leading zeros?
 */
static bool
same_number(const char *a, const char *b)
{
	a += strspn(a, "0");
	b += strspn(b, "0");
	return strcmp(a, b) == 0;
}

/*
 * check_names
 *		Refuse duplicates and names that the ledger does not take.
 */
static bool
check_names(UpgSource *source)
{
	const UpgEntry **sorted;
	bool ok = true;

	for (int i = 0; i < source->count; i++)
	{
		const UpgEntry *entry = &source->entries[i];
		size_t len = strlen(entry->name);

		size_t chars = 0;

		for (const char *p = entry->name; *p; p++)
			chars += ((unsigned char) *p & 0xC0) != 0x80;
		if (len == 0 || chars > UPG_NAME_MAX || utf8_invalid_at(entry->name, len) < len)
		{
			err_set(UPG_EXIT_USAGE, "UPG-2009",
					"file name \"%s\" cannot be the name of a migration",
					printable(source->arena, entry->name));
			err_why("%s", len == 0               ? "The name is empty."
						  : chars > UPG_NAME_MAX ? "It is longer than 255 characters."
												 : "It is not valid UTF-8.");
			err_where("%s", printable(source->arena,
									  entry->up.path ? entry->up.path : source->dir));
			err_fix("Rename the file.");
			return false;
		}
		if (i > 0 && entry->number != NULL && source->entries[i - 1].number != NULL &&
			!entry->repeatable && entry->baseline == source->entries[i - 1].baseline &&
			same_number(entry->number, source->entries[i - 1].number) &&
			strcmp(entry->name, source->entries[i - 1].name) != 0)
		{
			/* two people in the same second: the names settle the order for good */
			if (strlen(entry->number) >= 10)
			{
				list_add(&source->warnings,
						 arena_printf(
							 source->arena,
							 "two migrations have the time stamp %s: \"%s\" and \"%s\"",
							 entry->number, source->entries[i - 1].name, entry->name));
				continue;
			}
			err_set(UPG_EXIT_USAGE, "UPG-2007", "two migrations have the number %s",
					entry->number);
			err_why("They are \"%s\" and \"%s\"; their order would depend on chance.",
					printable(source->arena, source->entries[i - 1].up.path),
					printable(source->arena, entry->up.path));
			err_where("%s", source->dir);
			err_fix("Give one of them another number.");
			return false;
		}
	}
	if (source->count < 2)
		return true;
	sorted = xmalloc((size_t) source->count * sizeof(*sorted));
	for (int i = 0; i < source->count; i++)
		sorted[i] = &source->entries[i];
	sort_array(sorted, source->count, sizeof(*sorted), compare_names);
	for (int i = 1; i < source->count && ok; i++)
		if (strcmp(sorted[i]->name, sorted[i - 1]->name) == 0)
		{
			ok =
				err_set(UPG_EXIT_USAGE, "UPG-2007", "two migrations have the name \"%s\"",
						printable(source->arena, sorted[i]->name));
			err_why("They are \"%s\" and \"%s\".",
					printable(source->arena, sorted[i - 1]->up.path),
					printable(source->arena, sorted[i]->up.path));
			err_where("%s", source->dir);
			err_fix("Rename one of them.");
		}
	free(sorted);
	return ok;
}

/*
 * source_problem
 *		If the script cannot be read, make that the current error.
 */
bool
source_problem(const UpgEntry *entry)
{
	if (entry->problem == NULL)
		return false;
	err_set(entry->problem_exit, entry->problem_code, "%s", entry->problem);
	if (entry->problem_where != NULL)
		err_where("%s", entry->problem_where);
	if (entry->problem_why != NULL)
		err_why("%s", entry->problem_why);
	if (entry->problem_fix != NULL)
		err_fix("%s", entry->problem_fix);
	return true;
}

/*
 * source_new
 *		An empty source.
 */
static UpgSource *
source_new(const char *dir, const UpgVars *vars, int64_t stream_above)
{
	UpgSource *source = xmalloc(sizeof(UpgSource));

	memset(source, 0, sizeof(*source));
	source->arena = arena_new();
	source->dir = arena_strdup(source->arena, dir);
	source->layout = "plain";
	source->layout_text = "plain SQL files";
	source->stream_above = stream_above;
	vars_copy(&source->vars, vars);
	return source;
}

/*
 * source_open
 *		Read a directory; NULL with the error set.  "layout" NULL: detect it.
 */
UpgSource *
source_open(const char *dir, const char *layout, const UpgVars *vars,
			int64_t stream_above)
{
	UpgSource *source = source_new(dir, vars, stream_above);
	UpgDir list;
	bool ok;

	if (!fs_list(source->arena, dir, &list))
	{
		source_close(source);
		return NULL;
	}
	ok = layout_detect(source, &list, layout);
	if (ok && strcmp(source->layout, "sqitch") == 0)
		ok = layout_sqitch(source);
	else if (ok && strcmp(source->layout, "liquibase") == 0)
		ok = layout_liquibase(source, &list);
	else if (ok)
	{
		ok = layout_by_name(source, &list);
		if (ok)
			sort_array(source->entries, source->count, sizeof(UpgEntry), compare_entries);
	}
	fs_list_free(&list);
	if (ok)
		ok = check_names(source);
	if (!ok)
	{
		source_close(source);
		return NULL;
	}
	source_read(source);
	return source;
}

/*
 * source_single
 *		One file as a source of one migration (upg apply FILE).
 */
UpgSource *
source_single(const char *path, const char *name, const UpgVars *vars,
			  int64_t stream_above)
{
	UpgSource *source = source_new(path, vars, stream_above);
	const char *slash = strrchr(path, '/');
	char *stem = arena_strdup(source->arena, slash ? slash + 1 : path);
	char *down = NULL;
	UpgBuf head;
	const char *family;

	path = source->dir;
	if (str_ends(stem, ".up.sql"))
	{
		stem[strlen(stem) - 7] = '\0';
		down = arena_printf(source->arena, "%.*s.down.sql", (int) strlen(path) - 7, path);
	}
	else if (str_ends(stem, ".sql"))
		stem[strlen(stem) - 4] = '\0';
	source_add(source, arena_strdup(source->arena, name ? name : stem), path);
	if (down != NULL && fs_is_file(down))
		source->entries[0].down.path = down;
	buf_init(&head);
	if (!fs_read(path, &head, 16384))
	{
		buf_free(&head);
		source_close(source);
		return NULL;
	}
	family = markers_family(head.data, head.len);
	if (family != NULL && strcmp(family, "liquibase") != 0)
		source->layout = family;
	buf_free(&head);
	if (!check_names(source))
	{
		source_close(source);
		return NULL;
	}
	source_read(source);
	return source;
}

/*
 * source_close
 *		Give a source back; NULL is allowed.
 */
void
source_close(UpgSource *source)
{
	if (source == NULL)
		return;
	for (int i = 0; i < source->count; i++)
	{
		list_free(&source->entries[i].requires);
		list_free(&source->entries[i].replaces);
		free(source->entries[i].problem);
		free(source->entries[i].problem_where);
		free(source->entries[i].problem_why);
		free(source->entries[i].problem_fix);
	}
	free(source->entries);
	free(source->callbacks);
	list_free(&source->warnings);
	vars_free(&source->vars);
	arena_free(source->arena);
	if (source->more != NULL)
		arena_free(source->more);
	free(source);
}

/*
 * source_digest
 *		What upg_digest() would give if exactly these scripts were applied.
 */
void
source_digest(const UpgSource *source, char hex[UPG_SHA256_HEX])
{
	const UpgEntry **sorted = xmalloc((size_t) (source->count + 1) * sizeof(*sorted));
	UpgHash *hash = hash_new();

	for (int i = 0; i < source->count; i++)
		sorted[i] = &source->entries[i];
	sort_array(sorted, source->count, sizeof(*sorted), compare_ledger);
	for (int i = 0; i < source->count; i++)
	{
		hash_add(hash, sorted[i]->ledger, strlen(sorted[i]->ledger));
		hash_add(hash, "\n", 1);
		hash_add(hash, sorted[i]->sha256, strlen(sorted[i]->sha256));
		hash_add(hash, "\n", 1);
	}
	hash_final(hash, hex);
	hash_free(hash);
	free(sorted);
}

/* entry_has_down: is there a way back in the directory? */
bool
entry_has_down(const UpgEntry *entry)
{
	return entry->down.path != NULL || entry->down_text != NULL;
}

/*
 * entry_is_called
 *		Does a person mean this entry: by its name, its number or a tag of Sqitch?
 */
bool
entry_is_called(const UpgEntry *entry, const char *name)
{
	size_t n = strlen(name);

	if (strcmp(entry->name, name) == 0 ||
		(entry->number != NULL && n > 0 && strspn(name, "0123456789.-") == n &&
		 same_number(entry->number, name)))
		return true;
	for (const char *p = entry->tags; p != NULL && name[0] == '@'; p = strchr(p + 1, ' '))
		if (strncmp(p + 1, name, n) == 0 && p[1 + n] == ' ')
			return true;
	return false;
}

/*
 * put_placeholders
 *		Flyway's ${name}, from the variables; false with the error set.
 */
static bool
put_placeholders(const UpgSource *source, UpgScript *script)
{
	UpgBuf out;
	const char *p = script->text.data;
	int line = script->piece ? script->piece->first_line : 1;

	if (strstr(p, "${") == NULL)
		return true;
	buf_init(&out);
	for (; *p; p++)
	{
		size_t n = p[0] == '$' && p[1] == '{' ? strcspn(p + 2, "}\n '\"") : 0;

		if (*p == '\n')
			line++;
		if (n > 0 && n < 64 && p[2 + n] == '}')
		{
			char name[64];
			const char *value;

			memcpy(name, p + 2, n);
			name[n] = '\0';
			value = vars_get(&source->vars, name);
			if (strcmp(name, "flyway:filename") == 0)
				value = strrchr(script->path, '/') ? strrchr(script->path, '/') + 1
												   : script->path;
			if (value == NULL)
			{
				buf_free(&out);
				err_set(UPG_EXIT_USAGE, "UPG-2014", "placeholder ${%s} has no value",
						name);
				err_where("%s:%d", script->path, line);
				err_fix("Give it with --set %s=VALUE.", name);
				return false;
			}
			buf_add(&out, value);
			p += n + 2;
			continue;
		}
		buf_addc(&out, *p);
	}
	buf_free(&script->text);
	script->text = out;
	return true;
}

/*
 * script_load
 *		The text of one direction as it goes to the server; false with the error set.
 *
 * A streamed script is not loaded, see run_client.c.
 */
bool
script_load(UpgSource *source, UpgEntry *entry, bool down, UpgScript *script)
{
	UpgPiece *piece = down ? &entry->down : &entry->up;
	UpgScanItem item;
	UpgScanKind kind;

	memset(script, 0, sizeof(*script));
	buf_init(&script->text);
	if (down && entry->down_text != NULL)
	{
		buf_add(&script->text, entry->down_text);
		script->path = entry->up.path;
		return true;
	}
	script->piece = piece;
	script->path = piece->path;
	script->streamed = !down && entry->streamed;
	if (script->streamed)
	{
		script->client_driven = true;
		return true;
	}
	source_fetch(source, piece);
	script->scan = scan_open(piece, &source->vars);
	if (script->scan == NULL)
	{
		script_free(script);
		return false;
	}
	while ((kind = scan_next(script->scan, &item)) > UPG_SCAN_END)
	{
		script->statements += kind != UPG_SCAN_REST;
		if (kind == UPG_SCAN_COPY_FILE)
		{
			script->client_driven = true;
			buf_addn(&script->text, item.text, (size_t) (item.statement - item.text));
			buf_printf(&script->text, "\\copy %s", item.original);
			continue;
		}
		buf_addn(&script->text, item.text, item.len);
		if (kind == UPG_SCAN_COPY)
		{
			const char *data;
			size_t len;
			int rc;

			script->client_driven = true;
			while ((rc = scan_copy_line(script->scan, &data, &len)) > 0)
				buf_addn(&script->text, data, len);
			if (rc < 0)
			{
				kind = UPG_SCAN_ERROR;
				break;
			}
			buf_add(&script->text, "\\.\n");
		}
	}
	if (kind == UPG_SCAN_ERROR ||
		(strcmp(source->layout, "flyway") == 0 && !put_placeholders(source, script)))
	{
		script_free(script);
		return false;
	}
	return true;
}

/*
 * script_position
 *		Where a line of the script's text comes from.
 */
void
script_position(const UpgScript *script, int line, const char **file, int *file_line)
{
	if (script->scan != NULL)
	{
		scan_position(script->scan, line, file, file_line);
		return;
	}
	*file = script->path;
	*file_line = line;
}

/*
 * script_rescan
 *		A scan over the text as it goes to the server; NULL with the error set.
 *
 * The text must outlive it.
 */
UpgScan *
script_rescan(const UpgScript *script)
{
	UpgPiece piece;

	memset(&piece, 0, sizeof(piece));
	piece.path = script->path;
	piece.length = -1;
	piece.first_line = 1;
	piece.text = script->text.data;
	piece.text_len = script->text.len;
	return scan_open(&piece, NULL);
}

/*
 * script_free
 *		Give the text back.
 */
void
script_free(UpgScript *script)
{
	buf_free(&script->text);
	scan_close(script->scan);
	script->scan = NULL;
}
