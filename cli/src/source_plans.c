/*-------------------------------------------------------------------------
 *
 * source_plans.c
 *		Layouts whose files do not tell the migrations by name: Sqitch, Liquibase.
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
 * next_line
 *		Cut the next line off *p; NULL at the end.
 */
static char *
next_line(char **p)
{
	char *line = *p;
	char *eol;

	if (line == NULL || *line == '\0')
		return NULL;
	eol = strchr(line, '\n');
	if (eol != NULL)
	{
		*eol = '\0';
		*p = eol + 1;
	}
	else
		*p = NULL;
	if (eol != NULL && eol > line && eol[-1] == '\r')
		eol[-1] = '\0';
	return line;
}

/*
 * sqitch_top
 *		The directory of deploy/ and revert/: top_dir of sqitch.conf, or the same.
 */
static const char *
sqitch_top(UpgSource *source)
{
	const char *path = source_path(source, "sqitch.conf");
	const char *result = ".";
	UpgBuf text;
	char *p;
	char *line;

	if (!fs_is_file(path))
		return result;
	buf_init(&text);
	if (!fs_read(path, &text, 65536))
		err_clear();
	p = text.data;
	while ((line = next_line(&p)) != NULL)
	{
		line += strspn(line, " \t");
		if (!str_starts(line, "top_dir"))
			continue;
		line += strlen("top_dir");
		line += strspn(line, " \t=\"");
		line[strcspn(line, " \t\"")] = '\0';
		result = arena_strdup(source->arena, line);
	}
	buf_free(&text);
	return result;
}

/*
 * add_requires
 *		Dependencies of a change: "[a b !c project:d]"; conflicts and other projects
 *		are left out.
 */
static void
add_requires(UpgSource *source, UpgEntry *entry, const char *text, size_t len)
{
	char *copy = arena_strndup(source->arena, text, len);
	char *save = NULL;

	for (char *word = strtok_r(copy, " \t", &save); word != NULL;
		 word = strtok_r(NULL, " \t", &save))
	{
		if (word[0] == '!' || word[0] == '@' || strchr(word, ':') != NULL)
			continue;
		list_add(&entry->requires, word);
	}
}

/*
 * layout_sqitch
 *		Read sqitch.plan.
 *
 * A reworked change stands twice in the plan; the script of its earlier form is
 * deploy/NAME@TAG.sql with the tag that follows it, and so is its name here.
 */
bool
layout_sqitch(UpgSource *source)
{
	UpgBuf text;
	char *p;
	char *line;
	int line_no = 0;
	int since_tag = 0;
	const char *plan = source_path(source, "sqitch.plan");
	const char *top = sqitch_top(source);
	const char **tags; /* the first tag after each change */
	int tags_cap = 64;

	buf_init(&text);
	if (!fs_read(plan, &text, 64 * 1024 * 1024))
	{
		buf_free(&text);
		return false;
	}
	tags = xmalloc((size_t) tags_cap * sizeof(char *));
	p = text.data;
	while ((line = next_line(&p)) != NULL)
	{
		UpgEntry *entry;
		char *name;
		size_t n;

		line_no++;
		line += strspn(line, " \t");
		if (*line == '\0' || *line == '%' || *line == '#')
			continue;
		n = strcspn(line, " \t");
		if (*line == '@')
		{
			const char *tag = arena_strndup(source->arena, line, n);

			for (; since_tag < source->count; since_tag++)
				tags[since_tag] = tag;
			continue;
		}
		if (*line == '+')
		{
			line++;
			n--;
		}
		if (*line == '-')
		{
			err_set(UPG_EXIT_USAGE, "UPG-2014", "the plan reverts a change");
			err_where("%s:%d", plan, line_no);
			free(tags);
			buf_free(&text);
			return false;
		}
		name = arena_strndup(source->arena, line, n);
		for (int i = source->count - 1; i >= 0; i--)
			if (strcmp(source->entries[i].name, name) == 0)
			{
				if (i >= since_tag)
				{
					err_set(UPG_EXIT_USAGE, "UPG-2007",
							"two changes of the plan have the name \"%s\"", name);
					err_where("%s:%d", plan, line_no);
					err_fix("A reworked change needs a tag between its two forms.");
					free(tags);
					buf_free(&text);
					return false;
				}
				source->entries[i].name =
					arena_printf(source->arena, "%s%s", name, tags[i]);
				break;
			}
		entry = source_add(source, name, NULL);
		if (source->count > tags_cap)
		{
			tags_cap *= 2;
			tags = xrealloc(tags, (size_t) tags_cap * sizeof(char *));
		}
		line += n + strspn(line + n, " \t");
		if (*line == '[')
			add_requires(source, entry, line + 1, strcspn(line + 1, "]"));
	}
	free(tags);
	buf_free(&text);
	for (int i = 0; i < source->count; i++)
	{
		UpgEntry *entry = &source->entries[i];
		const char *down;

		entry->order = arena_printf(source->arena, "%d", i + 1);
		entry->up.path = source_path(
			source, arena_printf(source->arena, "%s/deploy/%s.sql", top, entry->name));
		if (strcmp(top, ".") == 0)
			entry->up.path = source_path(
				source, arena_printf(source->arena, "deploy/%s.sql", entry->name));
		down = source_path(source,
						   arena_printf(source->arena, "%s%srevert/%s.sql",
										strcmp(top, ".") == 0 ? "" : top,
										strcmp(top, ".") == 0 ? "" : "/", entry->name));
		if (fs_is_file(down))
			entry->down.path = down;
	}
	return true;
}

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
