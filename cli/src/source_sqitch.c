/*-------------------------------------------------------------------------
 *
 * source_sqitch.c
 *		The layout of Sqitch: sqitch.plan, its tags and dependencies, sqitch.conf.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/source_sqitch.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "exit_codes.h"
#include "log.h"
#include "source_internal.h"

/* What sqitch.conf says that matters here. */
typedef struct Settings
{
	const char *top;
	const char *deploy;
	const char *revert;
	const char *verify;
} Settings;

/* The plan while it is read. */
typedef struct Plan
{
	UpgSource *source;
	const char *path;
	const char *uri;
	const char *parent; /* id of the change before, or NULL */
	const char **tags;  /* the first tag after each change, for its earlier form */
	const char **names; /* of each change, as the plan has it */
	int cap;
	int since_tag; /* the first change that has no tag behind it yet */
	int line;
} Plan;

/*
 * sqitch_line
 *		Cut the next line off *p; NULL at the end.
 */
static char *
sqitch_line(char **p)
{
	char *line = *p;
	char *eol;

	if (line == NULL || *line == '\0')
		return NULL;
	eol = strchr(line, '\n');
	*p = NULL;
	if (eol != NULL)
	{
		*p = eol + 1;
		*eol = '\0';
		if (eol > line && eol[-1] == '\r')
			eol[-1] = '\0';
	}
	return line;
}

/*
 * is_variables
 *		Is this the section of variables: [deploy "variables"], [core "variables"]?
 */
static bool
is_variables(const char *section)
{
	return strcasecmp(section, "deploy \"variables\"") == 0 ||
		   strcasecmp(section, "core \"variables\"") == 0;
}

/*
 * read_settings
 *		Directories and variables of sqitch.conf.
 *
 * [engine "pg"] wins over [core]; a variable that the caller has set stays.
 */
static bool
read_settings(UpgSource *source, Settings *settings)
{
	const char *path = source_path(source, "sqitch.conf");
	char section[64] = "";
	UpgBuf text;
	char *p;
	char *line;

	settings->top = ".";
	settings->deploy = settings->revert = settings->verify = NULL;
	if (!fs_is_file(path))
		return true;
	buf_init(&text);
	if (!fs_read(path, &text, 1024 * 1024))
	{
		buf_free(&text);
		return false;
	}
	p = text.data;
	while ((line = sqitch_line(&p)) != NULL)
	{
		char *value;
		size_t n;
		bool engine;

		line += strspn(line, " \t");
		if (*line == '\0' || *line == '#' || *line == ';')
			continue;
		if (*line == '[')
		{
			n = strcspn(line + 1, "]");
			if (n >= sizeof(section))
				n = sizeof(section) - 1;
			memcpy(section, line + 1, n);
			section[n] = '\0';
			continue;
		}
		n = strcspn(line, " \t=");
		value = line + n;
		value += strspn(value, " \t");
		if (*value == '=')
			value++;
		value += strspn(value, " \t");
		if (*value == '"')
		{
			value++;
			value[strcspn(value, "\"")] = '\0';
		}
		else
		{
			size_t len = strlen(value);

			while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
				value[--len] = '\0';
		}
		line[n] = '\0';
		engine = strcasecmp(section, "engine \"pg\"") == 0;
		if (is_variables(section) && vars_get(&source->vars, line) == NULL)
			vars_set(&source->vars, line, value);
		if (!engine && strcasecmp(section, "core") != 0)
			continue;
		value = arena_strdup(source->arena, value);
		if (strcasecmp(line, "top_dir") == 0 &&
			(engine || strcmp(settings->top, ".") == 0))
			settings->top = value;
		else if (strcasecmp(line, "deploy_dir") == 0 && (engine || !settings->deploy))
			settings->deploy = value;
		else if (strcasecmp(line, "revert_dir") == 0 && (engine || !settings->revert))
			settings->revert = value;
		else if (strcasecmp(line, "verify_dir") == 0 && (engine || !settings->verify))
			settings->verify = value;
	}
	buf_free(&text);
	return true;
}

/*
 * script_path
 *		Path of a change's script.
 */
static const char *
script_path(UpgSource *source, const Settings *settings, const char *dir,
			const char *usual, const char *name)
{
	if (dir != NULL)
		return source_path(source, arena_printf(source->arena, "%s/%s.sql", dir, name));
	if (strcmp(settings->top, ".") == 0)
		return source_path(source, arena_printf(source->arena, "%s/%s.sql", usual, name));
	return source_path(
		source, arena_printf(source->arena, "%s/%s/%s.sql", settings->top, usual, name));
}

/*
 * plan_error
 *		A fault of the plan at the current line.
 */
static bool
plan_error(const Plan *plan, const char *code, const char *what, const char *name)
{
	err_set(UPG_EXIT_USAGE, code, what, name);
	err_where("%s:%d", plan->path, plan->line);
	return false;
}

/*
 * change_id
 *		Sqitch's name for a change: a SHA-1 over all that the plan says of it.
 *
 * "rest" is what follows the name on its line; it is cut up.  NULL if the line is not
 * complete; Sqitch would refuse it, here it only cannot be compared.
 */
static const char *
change_id(const Plan *plan, const char *name, const char *deps, char *rest)
{
	UpgArena *arena = plan->source->arena;
	char *note = strchr(rest, '#');
	char *planner;
	char stamp[32];
	char hex[UPG_HASH_HEX];
	UpgBuf info;
	UpgBuf whole;
	UpgBuf conflicts;
	size_t n;
	char *save = NULL;
	const char *id;

	if (note != NULL)
	{
		char *out;

		*note++ = '\0';
		note += strspn(note, " \t");
		out = note;
		for (const char *c = note; *c; c++)
		{
			if (*c == '\\' && (c[1] == 'n' || c[1] == 'r' || c[1] == '\\'))
			{
				c++;
				*out++ = (char) (*c == 'n' ? '\n' : *c == 'r' ? '\r' : '\\');
			}
			else
				*out++ = *c;
		}
		*out = '\0';
	}
	rest += strspn(rest, " \t");
	n = strcspn(rest, " \t");
	if (n != 20 || rest[19] != 'Z' || rest[10] != 'T')
		return NULL;
	memcpy(stamp, rest, n);
	stamp[n] = '\0';
	planner = rest + n + strspn(rest + n, " \t");
	for (size_t len = strlen(planner);
		 len > 0 && (planner[len - 1] == ' ' || planner[len - 1] == '\t');)
		planner[--len] = '\0';
	if (strchr(planner, '<') == NULL)
		return NULL;

	buf_init(&info);
	buf_init(&conflicts);
	buf_printf(&info, "project %s\n", plan->source->project ? plan->source->project : "");
	if (plan->uri != NULL)
		buf_printf(&info, "uri %s\n", plan->uri);
	buf_printf(&info, "change %s\n", name);
	if (plan->parent != NULL)
		buf_printf(&info, "parent %s\n", plan->parent);
	buf_printf(&info, "planner %s\ndate %s", planner, stamp);
	if (deps != NULL)
	{
		char *copy = arena_strdup(arena, deps);
		bool any = false;

		for (char *word = strtok_r(copy, " \t", &save); word != NULL;
			 word = strtok_r(NULL, " \t", &save))
		{
			if (word[0] == '!')
			{
				buf_printf(&conflicts, "%s\n  - %s",
						   conflicts.len > 0 ? "" : "\nconflicts", word + 1);
				continue;
			}
			buf_printf(&info, "%s\n  + %s", any ? "" : "\nrequires", word);
			any = true;
		}
	}
	buf_addn(&info, conflicts.data, conflicts.len);
	if (note != NULL && note[0] != '\0')
		buf_printf(&info, "\n\n%s", note);
	buf_init(&whole);
	buf_printf(&whole, "change %zu", info.len);
	buf_addc(&whole, '\0');
	buf_addn(&whole, info.data, info.len);
	hash_hex_by("SHA1", whole.data, whole.len, hex);
	id = arena_strdup(arena, hex);
	buf_free(&whole);
	buf_free(&conflicts);
	buf_free(&info);
	return id;
}

/*
 * add_change
 *		A line of the plan that adds a change.
 */
static bool
add_change(Plan *plan, char *line)
{
	UpgSource *source = plan->source;
	UpgEntry *entry;
	size_t n = strcspn(line, " \t");
	const char *name = arena_strndup(source->arena, line, n);
	const char *deps = NULL;

	for (int i = source->count - 1; i >= 0; i--)
		if (strcmp(plan->names[i], name) == 0)
		{
			if (i >= plan->since_tag)
			{
				plan_error(plan, "UPG-2007",
						   "two changes of the plan have the name \"%s\"", name);
				err_fix("A reworked change needs a tag between its two forms.");
				return false;
			}
			source->entries[i].name =
				arena_printf(source->arena, "%s%s", name, plan->tags[i]);
			break;
		}
	entry = source_add(source, name, NULL);
	if (source->count > plan->cap)
	{
		plan->cap *= 2;
		plan->tags = xrealloc(plan->tags, (size_t) plan->cap * sizeof(char *));
		plan->names = xrealloc(plan->names, (size_t) plan->cap * sizeof(char *));
	}
	plan->names[source->count - 1] = name;
	line += n + strspn(line + n, " \t");
	if (*line == '[')
	{
		n = strcspn(line + 1, "]");
		deps = arena_strndup(source->arena, line + 1, n);
		line += n + 1;
		line += *line == ']';
	}
	entry->change_id =
		change_id(plan, name, deps, arena_strndup(source->arena, line, strlen(line)));
	plan->parent = entry->change_id;
	if (deps != NULL)
	{
		char *copy = arena_strdup(source->arena, deps);
		char *save = NULL;

		/* conflicts and other projects are left out */
		for (char *word = strtok_r(copy, " \t", &save); word != NULL;
			 word = strtok_r(NULL, " \t", &save))
			if (word[0] != '!' && strchr(word, ':') == NULL)
				list_add(&entry->requires, word);
	}
	return true;
}

/*
 * add_tag
 *		A line of the plan that names the state reached there.
 */
static void
add_tag(Plan *plan, const char *line)
{
	UpgSource *source = plan->source;
	const char *tag = arena_strndup(source->arena, line, strcspn(line, " \t"));
	UpgEntry *last = source->count > 0 ? &source->entries[source->count - 1] : NULL;

	for (; plan->since_tag < source->count; plan->since_tag++)
		plan->tags[plan->since_tag] = tag;
	if (last != NULL)
		last->tags =
			arena_printf(source->arena, "%s%s ", last->tags ? last->tags : " ", tag);
}

/*
 * resolve_requirement
 *		The ledger's name of what a change requires: NAME, NAME@TAG or @TAG.
 *
 * NAME alone is the latest form before the change; NAME@TAG the one that the tag
 * holds; @TAG the change that the tag stands at.
 */
static const char *
resolve_requirement(const Plan *plan, int index, const char *word)
{
	UpgSource *source = plan->source;
	const char *at = strchr(word, '@');
	size_t n = at ? (size_t) (at - word) : strlen(word);
	int last = index - 1;

	if (at != NULL)
	{
		const char *tag = arena_printf(source->arena, " %s ", at);

		last = -1;
		for (int i = 0; i < source->count; i++)
			if (source->entries[i].tags != NULL &&
				strstr(source->entries[i].tags, tag) != NULL)
				last = i;
		if (n == 0 && last >= 0)
			return source->entries[last].name;
	}
	for (int i = last; i >= 0; i--)
		if (strlen(plan->names[i]) == n && strncmp(plan->names[i], word, n) == 0)
			return source->entries[i].name;
	return word; /* unknown: the ledger says so by its name */
}

/*
 * read_plan
 *		All lines of sqitch.plan.
 */
static bool
read_plan(Plan *plan, char *text)
{
	UpgSource *source = plan->source;
	char *line;

	while ((line = sqitch_line(&text)) != NULL)
	{
		plan->line++;
		line += strspn(line, " \t");
		if (*line == '\0' || *line == '#')
			continue;
		if (*line == '%')
		{
			char *value = strchr(line, '=');
			size_t n;

			if (value == NULL)
				continue;
			n = (size_t) (value - line);
			value += 1 + strspn(value + 1, " \t");
			value[strcspn(value, " \t#")] = '\0';
			if (n >= 8 && strncmp(line, "%project", 8) == 0)
				source->project = arena_strdup(source->arena, value);
			else if (n >= 4 && strncmp(line, "%uri", 4) == 0)
				plan->uri = arena_strdup(source->arena, value);
			continue;
		}
		if (*line == '@')
		{
			add_tag(plan, line);
			continue;
		}
		if (*line == '-')
			return plan_error(plan, "UPG-2014", "the plan reverts a change%s", "");
		if (*line == '+')
			line += 1 + strspn(line + 1, " \t");
		if (!add_change(plan, line))
			return false;
	}
	return true;
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
	Plan plan;
	Settings settings;
	UpgBuf text;
	bool ok;

	memset(&plan, 0, sizeof(plan));
	plan.source = source;
	plan.path = source_path(source, "sqitch.plan");
	plan.cap = 64;
	plan.tags = xmalloc((size_t) plan.cap * sizeof(char *));
	plan.names = xmalloc((size_t) plan.cap * sizeof(char *));
	buf_init(&text);
	ok = read_settings(source, &settings) &&
		 fs_read(plan.path, &text, 64 * 1024 * 1024) && read_plan(&plan, text.data);
	for (int i = 0; ok && i < source->count; i++)
	{
		UpgEntry *entry = &source->entries[i];
		const char *path;

		for (int k = 0; k < entry->requires.count; k++)
			entry->requires.items[k] =
				resolve_requirement(&plan, i, entry->requires.items[k]);
		entry->order = arena_printf(source->arena, "%d", i + 1);
		entry->up.path =
			script_path(source, &settings, settings.deploy, "deploy", entry->name);
		path = script_path(source, &settings, settings.revert, "revert", entry->name);
		if (fs_is_file(path))
			entry->down.path = path;
		path = script_path(source, &settings, settings.verify, "verify", entry->name);
		if (fs_is_file(path))
			entry->verify = path;
	}
	free(plan.tags);
	free(plan.names);
	buf_free(&text);
	return ok;
}
