/*-------------------------------------------------------------------------
 *
 * source_plans.c
 *		The layout of Liquibase's formatted SQL: several changesets in a file.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/source_plans.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "exit_codes.h"
#include "log.h"
#include "source_internal.h"

/*
 * changeset_option
 *		Value of "key:value" on a changeset's line, or NULL.
 */
static const char *
changeset_option(UpgArena *arena, const char *line, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = line; *p; p++)
		if ((p == line || p[-1] == ' ' || p[-1] == '\t') && strncasecmp(p, key, n) == 0 &&
			p[n] == ':')
			return arena_strndup(arena, p + n + 1, strcspn(p + n + 1, " \t"));
	return NULL;
}

/*
 * end_changeset
 *		Close the changeset that was being read.
 */
static void
end_changeset(UpgSource *source, UpgEntry *entry, UpgBuf *down, int64_t pos)
{
	if (entry == NULL)
		return;
	entry->up.length = pos - entry->up.offset;
	if (down->len > 0)
		entry->down_text = arena_strndup(source->arena, down->data, down->len);
	buf_reset(down);
}

/*
 * liquibase_file
 *		The changesets of one file.
 */
static bool
liquibase_file(UpgSource *source, const char *file)
{
	UpgArena *arena = source->arena;
	const char *path = source_path(source, file);
	UpgBuf text;
	UpgBuf down;
	const char *p;
	int line_no = 0;
	int current = -1; /* index, for entries may move */
	bool ok = true;
	bool skip = false;

	buf_init(&text);
	buf_init(&down);
	ok = fs_read(path, &text, 64 * 1024 * 1024);
	p = text.data;
	while (ok && *p)
	{
		size_t len = strcspn(p, "\n");
		char *line = arena_strndup(arena, p, len);
		const char *c = line;
		int64_t pos = p - text.data;

		line_no++;
		c += strspn(c, " \t");
		if (str_starts(c, "--"))
		{
			c += 2;
			c += strspn(c, " \t");
			if (str_starts_nocase(c, "changeset "))
			{
				const char *id = c + 10;
				const char *value;
				UpgEntry *entry;

				if (current >= 0)
					end_changeset(source, &source->entries[current], &down, pos);
				current = -1;
				skip = false;
				id += strspn(id, " \t");
				value = changeset_option(arena, id, "dbms");
				if (value != NULL && strstr(value, "postgresql") == NULL)
					skip = true;
				else
				{
					const char *key = arena_strndup(arena, id, strcspn(id, " \t\r"));

					if (strchr(key, ':') == NULL)
					{
						err_set(UPG_EXIT_USAGE, "UPG-2014",
								"changeset \"%s\" is not of the form author:id", key);
						err_where("%s:%d", path, line_no);
						ok = false;
						break;
					}
					entry = source_add(
						source,
						arena_printf(arena, "%.*s:%s", (int) strlen(file) - 4, file, key),
						path);
					entry->up.offset = pos;
					entry->up.first_line = line_no;
					value = changeset_option(arena, id, "runInTransaction");
					entry->no_transaction =
						value != NULL && str_starts_nocase(value, "false");
					value = changeset_option(arena, id, "runOnChange");
					entry->repeatable = value != NULL && str_starts_nocase(value, "true");
					value = changeset_option(arena, id, "endDelimiter");
					if (value != NULL && strcmp(value, ";") != 0)
					{
						err_set(UPG_EXIT_USAGE, "UPG-2014",
								"endDelimiter \"%s\" is not supported", value);
						err_where("%s:%d", path, line_no);
						err_fix("Remove the option: a function's body needs none in "
								"PostgreSQL.");
						ok = false;
						break;
					}
					current = source->count - 1;
				}
			}
			else if (current >= 0 && str_starts_nocase(c, "rollback"))
			{
				const char *sql = c + 8;

				sql += strspn(sql, " \t");
				if (strncasecmp(sql, "empty", 5) != 0 &&
					strncasecmp(sql, "not required", 12) != 0)
					buf_printf(&down, "%.*s\n", (int) strcspn(sql, "\r"), sql);
				else
					buf_add(&down, "-- nothing to take back\n");
			}
		}
		p += len;
		if (*p == '\n')
			p++;
	}
	if (current >= 0 && !skip)
		end_changeset(source, &source->entries[current], &down, (int64_t) text.len);
	buf_free(&text);
	buf_free(&down);
	return ok;
}

/*
 * layout_liquibase
 *		The formatted SQL files of a directory, in natural order of their names.
 */
bool
layout_liquibase(UpgSource *source, const UpgDir *dir)
{
	for (int i = 0; i < dir->count; i++)
		if (!dir->items[i].is_dir && str_ends(dir->items[i].name, ".sql") &&
			!liquibase_file(source, dir->items[i].name))
			return false;
	for (int i = 0; i < source->count; i++)
		source->entries[i].order = arena_printf(source->arena, "%d", i + 1);
	return true;
}
