/*-------------------------------------------------------------------------
 *
 * source.c
 *		Directories of migrations: order, duplicates, checksums, the text of a script.
 * 
 *  Each file is read once when a directory is opened.  Its checksum is kept, and its
 *  text too while all kept texts are small; other files are read again when they are to
 *  be applied.  So memory is bounded, and what is applied is what was judged.
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

/* A file is kept in memory if it is not larger than the first and all together are
 * not larger than the second. */
#define KEEP_FILE ((size_t) 64 * 1024)
#define KEEP_ALL  ((size_t) 4 * 1024 * 1024)

/* Bytes of a streamed file that are read at once. */
#define STREAM_PIECE 65536

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
 * number_of
 *		The version that a name begins with, or NULL; *order gets the sort key.
 *
 * A date written with dashes counts like the same digits without them, so that both
 * forms may live in one directory.
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
		*order = arena_printf(arena, "%s%s", number, p + n);
	}
	else
		*order = p;
	return number;
}

/*
 * compare_entries
 *		qsort callback: repeatables last, else natural order.
 */
static int
compare_entries(const void *a, const void *b)
{
	const UpgEntry *ea = a;
	const UpgEntry *eb = b;
	int cmp;

	if (ea->repeatable != eb->repeatable)
		return ea->repeatable ? 1 : -1;
	cmp = natural_compare(ea->order, eb->order);
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

		if (len == 0 || len > UPG_NAME_MAX || utf8_invalid_at(entry->name, len) < len)
		{
			err_set(UPG_EXIT_USAGE, "UPG-2009",
					"file name \"%s\" cannot be the name of a migration",
					printable(source->arena, entry->name));
			err_why("%s", len == 0             ? "The name is empty."
						  : len > UPG_NAME_MAX ? "It is longer than 1024 bytes."
											   : "It is not valid UTF-8.");
			err_where("%s", printable(source->arena,
									  entry->up.path ? entry->up.path : source->dir));
			err_fix("Rename the file.");
			return false;
		}
		if (i > 0 && entry->number != NULL && source->entries[i - 1].number != NULL &&
			!entry->repeatable &&
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
 * note_problem
 *		Move the current error into the entry: it matters only if the script is
 *		wanted.
 */
static void
note_problem(UpgEntry *entry)
{
	if (entry->problem != NULL)
		return;
	entry->problem = xstrdup(upg_error.what ? upg_error.what : "cannot be read");
	entry->problem_exit = upg_error.exit_code;
	memcpy(entry->problem_code, upg_error.code, sizeof(entry->problem_code));
	entry->problem_where = upg_error.where ? xstrdup(upg_error.where) : NULL;
	entry->problem_why = upg_error.why ? xstrdup(upg_error.why) : NULL;
	entry->problem_fix = upg_error.fix ? xstrdup(upg_error.fix) : NULL;
	entry->sha256[0] = '\0';
	err_clear();
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
 * cut_by_markers
 *		Find the parts of a marker file, given its text or (NULL) by reading it.
 */
static bool
cut_by_markers(const UpgSource *source, UpgEntry *entry, const UpgBuf *text)
{
	Markers markers;

	markers_begin(&markers, source->layout);
	if (text != NULL)
	{
		const char *p = text->data;
		const char *end = text->data + text->len;

		while (p < end)
		{
			const char *eol = memchr(p, '\n', (size_t) (end - p));
			size_t len = eol ? (size_t) (eol - p) + 1 : (size_t) (end - p);

			markers_line(&markers, p, len);
			p += len;
		}
	}
	else
	{
		FILE *file = fopen(entry->up.path, "rb");
		char *line = NULL;
		size_t cap = 0;
		ssize_t len;

		if (file == NULL)
			return err_set(UPG_EXIT_USAGE, "UPG-2005", "could not open file \"%s\": %s",
						   entry->up.path, strerror(errno));
		while ((len = getline(&line, &cap, file)) > 0)
			markers_line(&markers, line, (size_t) len);
		free(line);
		fclose(file);
	}
	markers_end(&markers);
	if (markers.error != NULL)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2014", "%s", markers.error);
		err_where("%s:%d", entry->up.path, markers.error_line);
		err_why("The directory is read as layout \"%s\".", source->layout);
		err_fix("Mend the markers, or choose another layout with --layout.");
		return false;
	}
	entry->up.offset = markers.up_start;
	entry->up.length = markers.up_end - markers.up_start;
	entry->up.first_line = markers.up_line;
	if (markers.down_start >= 0)
	{
		entry->down.path = entry->up.path;
		entry->down.text = entry->up.text;
		entry->down.text_len = entry->up.text_len;
		entry->down.offset = markers.down_start;
		entry->down.length = markers.down_end - markers.down_start;
		entry->down.first_line = markers.down_line;
	}
	entry->no_transaction |= markers.no_transaction;
	return true;
}

/*
 * needs_scan
 *		May the text differ from what psql would make of it?
 */
static bool
needs_scan(const UpgSource *source, const char *text, size_t len)
{
	if (memchr(text, '\\', len) != NULL)
		return true;
	return source->vars.count > 0 && memchr(text, ':', len) != NULL;
}

/*
 * keep_text
 *		Keep the text of a file, if it is small, so that it need not be read again.
 */
static void
keep_text(UpgSource *source, UpgPiece *piece, const UpgBuf *text)
{
	if (text->len == 0 || text->len > KEEP_FILE || source->kept + text->len > KEEP_ALL ||
		memchr(text->data, '\0', text->len) != NULL)
		return;
	piece->text = arena_strndup(source->arena, text->data, text->len);
	piece->text_len = text->len;
	source->kept += text->len;
}

/*
 * fetch_text
 *		Read and keep the text of a piece that is wanted for the first time.
 *
 * What cannot be read or kept is left to the scanner, which reports faults.
 */
static void
fetch_text(UpgSource *source, UpgPiece *piece)
{
	UpgBuf text;
	struct stat st;

	if (piece->text != NULL || source->kept >= KEEP_ALL || stat(piece->path, &st) != 0 ||
		!S_ISREG(st.st_mode) || (uint64_t) st.st_size > KEEP_FILE)
		return;
	buf_init(&text);
	if (fs_read(piece->path, &text, KEEP_FILE + 1))
		keep_text(source, piece, &text);
	else
		err_clear();
	buf_free(&text);
}

/*
 * digest_entry
 *		Read the entry's script once: parts, size, checksum.
 */
static void
digest_entry(UpgSource *source, UpgEntry *entry, UpgBuf *buf, UpgHash *hash)
{
	const char *text;
	size_t len;
	bool flyway = strcmp(source->layout, "flyway") == 0;
	bool large = false;

	buf_reset(buf);
	if (!fs_read(entry->up.path, buf, STREAM_PIECE))
	{
		note_problem(entry);
		return;
	}

	/* Of a file that is streamed, a piece to work with is enough. */
	if (buf->len == STREAM_PIECE)
	{
		struct stat st;

		large = stat(entry->up.path, &st) == 0 && S_ISREG(st.st_mode) &&
				st.st_size > source->stream_above;
		buf_reset(buf);
		if (!fs_read(entry->up.path, buf,
					 large ? STREAM_PIECE : (size_t) source->stream_above + 1))
		{
			note_problem(entry);
			return;
		}
	}
	entry->streamed = large || (int64_t) buf->len > source->stream_above;
	if (!entry->streamed)
		keep_text(source, &entry->up, buf);
	if (entry->up.length < 0 && markers_is_family(source->layout) &&
		!cut_by_markers(source, entry, entry->streamed ? NULL : buf))
	{
		note_problem(entry);
		return;
	}
	if (entry->streamed)
	{
		/* the bytes as they are: such a file is driven by the client, unexpanded */
		FILE *file = fopen(entry->up.path, "rb");
		int64_t left = entry->up.length;
		bool first = entry->up.offset == 0;
		size_t got = 0;

		buf_reserve(buf, STREAM_PIECE);
		if (file == NULL || fseeko(file, (off_t) entry->up.offset, SEEK_SET) != 0)
		{
			err_set(UPG_EXIT_USAGE, "UPG-2005", "could not open file \"%s\": %s",
					entry->up.path, strerror(errno));
			note_problem(entry);
			if (file != NULL)
				fclose(file);
			return;
		}
		do
		{
			size_t want = STREAM_PIECE;
			size_t skip = 0;

			if (left >= 0 && (int64_t) want > left)
				want = (size_t) left;
			got = want > 0 ? fread(buf->data, 1, want, file) : 0;
			if (first && got >= 3 && memcmp(buf->data, "\xEF\xBB\xBF", 3) == 0)
				skip = 3;
			first = false;
			hash_add(hash, buf->data + skip, got - skip);
			entry->size += (int64_t) (got - skip);
			if (left >= 0)
				left -= (int64_t) got;
		} while (got > 0);
		fclose(file);
		hash_final(hash, entry->sha256);
		return;
	}
	text = buf->data + entry->up.offset;
	len = entry->up.length < 0 ? buf->len : (size_t) entry->up.length;
	if (needs_scan(source, text, len) || (flyway && strstr(text, "${") != NULL))
	{
		UpgScript script;

		if (!script_load(source, entry, false, &script))
		{
			note_problem(entry);
			return;
		}
		hash_add(hash, script.text.data, script.text.len);
		entry->size = (int64_t) script.text.len;
		script_free(&script);
	}
	else
	{
		if (entry->up.offset == 0 && len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
		{
			text += 3;
			len -= 3;
		}
		hash_add(hash, text, len);
		entry->size = (int64_t) len;
	}
	hash_final(hash, entry->sha256);
}

/*
 * find_requires
 *		Dependencies written in the file: lines "-- upg:requires NAME..." on top.
 */
static void
find_requires(UpgSource *source, UpgEntry *entry, const UpgBuf *text)
{
	const char *p = text->data;

	while (str_starts(p, "--") || *p == '\n' || *p == '\r')
	{
		size_t len = strcspn(p, "\n");

		if (str_starts(p, "-- upg:requires "))
		{
			char *line = arena_strndup(source->arena, p + 16, len - 16);
			char *save = NULL;

			for (char *word = strtok_r(line, " ,\t\r", &save); word != NULL;
				 word = strtok_r(NULL, " ,\t\r", &save))
				list_add(&entry->requires, word);
		}
		p += len;
		if (*p == '\n')
			p++;
	}
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
 * read_all
 *		Read each entry once.
 */
static void
read_all(UpgSource *source)
{
	UpgBuf buf;
	UpgHash *hash = hash_new();

	buf_init(&buf);
	for (int i = 0; i < source->count; i++)
	{
		digest_entry(source, &source->entries[i], &buf, hash);
		if (source->entries[i].problem == NULL && !source->entries[i].streamed)
			find_requires(source, &source->entries[i], &buf);
		source->entries[i].ledger = source->entries[i].name;
		if (source->entries[i].repeatable && source->entries[i].problem == NULL)
			source->entries[i].ledger =
				arena_printf(source->arena, "%s@%.8s", source->entries[i].name,
							 source->entries[i].sha256);
	}
	hash_free(hash);
	buf_free(&buf);
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
	read_all(source);
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
	read_all(source);
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
		free(source->entries[i].problem);
		free(source->entries[i].problem_where);
		free(source->entries[i].problem_why);
		free(source->entries[i].problem_fix);
	}
	free(source->entries);
	list_free(&source->warnings);
	vars_free(&source->vars);
	arena_free(source->arena);
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
	fetch_text(source, piece);
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
