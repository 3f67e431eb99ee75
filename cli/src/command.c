/*-------------------------------------------------------------------------
 *
 * command.c
 *		Reading the command line, the environment and the configuration file.
 * 
 *  A value is looked up on the command line, then in the environment (UPG_ and the
 *  option's name), then in the configuration file.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/command.c
 *
 *-------------------------------------------------------------------------
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "command.h"
#include "exit_codes.h"
#include "fsutil.h"
#include "log.h"

/*
 * suggest_option
 *		The option nearest to a misspelt one, among those of the command, or NULL.
 */
static const char *
suggest_option(const UpgCommand *command, const char *name)
{
	const char *best = NULL;
	int least = 3;

	for (const UpgOption *option = upg_options; option->name != NULL; option++)
	{
		int d;

		if (option->hidden ||
			(command != NULL && !command_has_option(command, (int) option->id)))
			continue;
		d = edit_distance(option->name, name);
		if (d < least)
		{
			least = d;
			best = option->name;
		}
	}
	return best;
}

/*
 * try_help
 *		Complete a usage error with where to read more.
 */
static void
try_help(const UpgContext *ctx)
{
	const char *parent = ctx->parent ? ctx->parent->name : "";
	const char *name = ctx->command ? ctx->command->name : "";

	err_next("Try \"upg%s%s%s%s --help\" for more information.", parent[0] ? " " : "",
			 parent, name[0] ? " " : "", name);
}

/*
 * usage_error
 *		A usage error with a suggestion.
 */
static bool
usage_error(const UpgContext *ctx, const char *suggestion, const char *fmt,
			const char *word)
{
	UpgArena *arena = ctx->arena;
	char message[512];

	snprintf(message, sizeof(message), fmt, printable(arena, word));
	err_set(UPG_EXIT_USAGE, "UPG-2000", "%s", message);
	if (suggestion != NULL)
		err_fix("Did you mean \"%s\"?", suggestion);
	try_help(ctx);
	return false;
}

/*
 * find_command
 *		A command by name or alias.
 */
static const UpgCommand *
find_command(const UpgCommand *set, const char *name)
{
	for (; set->name != NULL; set++)
		if (strcmp(set->name, name) == 0 ||
			(set->alias != NULL && strcmp(set->alias, name) == 0))
			return set;
	return NULL;
}

/*
 * suggest_command
 *		The command nearest to a misspelt one, or NULL.
 */
static const char *
suggest_command(const UpgCommand *set, const char *name)
{
	const char *best = NULL;
	int least = 3;

	for (; set->name != NULL; set++)
	{
		int d = edit_distance(set->name, name);

		if (d < least)
		{
			least = d;
			best = set->name;
		}
		if (set->alias != NULL && (d = edit_distance(set->alias, name)) < least)
		{
			least = d;
			best = set->alias;
		}
	}
	return best;
}

/*
 * note_option
 *		Remember an option; --set, --requires and --fill may come several times.
 */
static bool
note_option(UpgContext *ctx, const UpgOption *option, const char *value)
{
	ctx->counts[option->id]++;
	if (option->id == OPT_SET)
	{
		const char *eq = strchr(value, '=');

		if (eq == NULL || eq == value)
			return usage_error(ctx, NULL, "--set needs NAME=VALUE, not \"%s\"", value);
		vars_set(&ctx->vars, arena_strndup(ctx->arena, value, (size_t) (eq - value)),
				 eq + 1);
	}
	else if (option->id == OPT_REQUIRES && ctx->values[OPT_REQUIRES] != NULL)
		value = arena_printf(ctx->arena, "%s\n%s", ctx->values[OPT_REQUIRES], value);
	else if (option->id == OPT_FILL && ctx->values[OPT_FILL] != NULL)
		value = arena_printf(ctx->arena, "%s%c%s", ctx->values[OPT_FILL], FILL_SEPARATOR,
							 value);
	ctx->values[option->id] = value ? value : "on";
	return true;
}

/*
 * valid_choice
 *		Is the value among "a|b|c"?
 */
static bool
valid_choice(const char *choices, const char *value)
{
	size_t n = strlen(value);

	while (*choices)
	{
		size_t len = strcspn(choices, "|");

		if (len == n && strncmp(choices, value, n) == 0)
			return true;
		choices += len;
		if (*choices == '|')
			choices++;
	}
	return false;
}

/*
 * belongs_to_namesake
 *		Does the command take another option of the same name in place of this one?
 */
static bool
belongs_to_namesake(const UpgCommand *command, const UpgOption *option)
{
	if (command == NULL || command_has_option(command, (int) option->id))
		return false;
	for (const UpgOption *other = upg_options; other->name != NULL; other++)
		if (strcmp(other->name, option->name) == 0 &&
			command_has_option(command, (int) other->id))
			return true;
	return false;
}

/*
 * parse_long
 *		--name, --name=value or --name value; *i moves past the value.
 */
static bool
parse_long(UpgContext *ctx, int argc, char **argv, int *i)
{
	const char *text = argv[*i] + 2;
	size_t len = strcspn(text, "=");

	for (const UpgOption *option = upg_options; option->name != NULL; option++)
	{
		const char *value = text[len] == '=' ? text + len + 1 : NULL;

		if (strlen(option->name) != len || strncmp(option->name, text, len) != 0 ||
			belongs_to_namesake(ctx->command, option))
			continue;
		if (option->arg == NULL && value != NULL)
			return usage_error(ctx, NULL, "option --%s takes no value", option->name);
		if (option->arg != NULL && value == NULL)
		{
			if (*i + 1 >= argc)
				return usage_error(ctx, NULL, "option --%s needs a value", option->name);
			value = argv[++*i];
		}
		return note_option(ctx, option, value);
	}
	return usage_error(ctx,
					   suggest_option(ctx->command, arena_strndup(ctx->arena, text, len)),
					   "unrecognized option \"%s\"", argv[*i]);
}

/*
 * parse_short
 *		A cluster of letters: -qv, -dNAME, -d NAME.
 */
static bool
parse_short(UpgContext *ctx, int argc, char **argv, int *i)
{
	for (const char *p = argv[*i] + 1; *p; p++)
	{
		const UpgOption *found = NULL;

		for (const UpgOption *option = upg_options; option->name != NULL; option++)
			if (option->letter == *p &&
				(found == NULL || (ctx->command != NULL &&
								   command_has_option(ctx->command, (int) option->id))))
				found = option;
		if (found == NULL)
			return usage_error(ctx, NULL, "unrecognized option \"%s\"", argv[*i]);
		if (found->arg == NULL)
		{
			if (!note_option(ctx, found, NULL))
				return false;
			continue;
		}
		if (p[1] != '\0')
			return note_option(ctx, found, p + 1);
		if (*i + 1 >= argc)
			return usage_error(ctx, NULL, "option -%s needs a value", p);
		return note_option(ctx, found, argv[++*i]);
	}
	return true;
}

/*
 * command_parse
 *		Read the command line; false with the error set.
 *
 * Options may stand before and behind the command and its arguments; "--" ends them.
 */
bool
command_parse(UpgContext *ctx, int argc, char **argv)
{
	bool options = true;
	int count;

	for (int i = 1; i < argc; i++)
	{
		const char *word = argv[i];

		if (options && strcmp(word, "--") == 0)
			options = false;
		else if (options && word[0] == '-' && word[1] == '-')
		{
			if (!parse_long(ctx, argc, argv, &i))
				return false;
		}
		else if (options && word[0] == '-' && word[1] != '\0')
		{
			/* -V as psql has it */
			if (ctx->command == NULL && strcmp(word, "-V") == 0)
				ctx->command = find_command(upg_commands, "version");
			else if (!parse_short(ctx, argc, argv, &i))
				return false;
		}
		else if (ctx->command == NULL)
		{
			ctx->command = find_command(upg_commands, word);
			if (ctx->command == NULL)
				return usage_error(ctx, suggest_command(upg_commands, word),
								   "unrecognized command \"%s\"", word);
		}
		else if (ctx->command->sub != NULL)
		{
			const UpgCommand *sub = find_command(ctx->command->sub, word);

			if (sub == NULL)
				return usage_error(ctx, suggest_command(ctx->command->sub, word),
								   "unrecognized command \"%s\"", word);
			ctx->parent = ctx->command;
			ctx->command = sub;
		}
		else
			list_add(&ctx->args, word);
	}
	ctx->json = ctx->counts[OPT_JSON] > 0;
	if (ctx->counts[OPT_HELP] > 0)
		return true;
	if (ctx->command == NULL)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "no command given");
		try_help(ctx);
		return false;
	}
	if (ctx->command->sub != NULL)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "\"upg %s\" needs a command",
				ctx->command->name);
		try_help(ctx);
		return false;
	}
	for (const UpgOption *option = upg_options; option->name != NULL; option++)
	{
		if (ctx->counts[option->id] == 0)
			continue;
		if (!command_has_option(ctx->command, (int) option->id))
			return usage_error(ctx, suggest_option(ctx->command, option->name),
							   "option --%s does not belong to this command",
							   option->name);
		if (option->choices != NULL &&
			!valid_choice(option->choices, ctx->values[option->id]))
		{
			err_set(UPG_EXIT_USAGE, "UPG-2000", "invalid value \"%s\" of option --%s",
					printable(ctx->arena, ctx->values[option->id]), option->name);
			err_fix("It must be one of: %s.", option->choices);
			try_help(ctx);
			return false;
		}
	}
	count = ctx->args.count;
	if (count < ctx->command->min_args || count > ctx->command->max_args)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "%s arguments for \"upg %s%s%s\"",
				count < ctx->command->min_args ? "too few" : "too many",
				ctx->parent ? ctx->parent->name : "", ctx->parent ? " " : "",
				ctx->command->name);
		if (count > ctx->command->max_args)
			err_why("The first one too many is \"%s\".",
					printable(ctx->arena, ctx->args.items[ctx->command->max_args]));
		try_help(ctx);
		return false;
	}
	for (int i = 0; i < count; i++)
		if (ctx->args.items[i][0] == '\0')
			return usage_error(ctx, NULL, "an argument is empty%s", "");
	if (ctx->counts[OPT_QUIET] > 0)
		upg_verbosity = -1;
	else
		upg_verbosity = ctx->counts[OPT_VERBOSE];
	return true;
}

/*
 * env_name
 *		UPG_LOCK_TIMEOUT for "lock-timeout".
 */
static const char *
env_name(const char *option, char *out, size_t size)
{
	size_t n = (size_t) snprintf(out, size, "UPG_%s", option);

	for (size_t i = 0; i < n && i < size; i++)
		out[i] = out[i] == '-' ? '_' : (char) toupper((unsigned char) out[i]);
	return out;
}

/*
 * opt_get
 *		Value of an option, from wherever it is set; NULL if nowhere.
 */
const char *
opt_get(const UpgContext *ctx, UpgOpt id)
{
	const UpgOption *option = option_by_id((int) id);
	char name[64];
	const char *value;

	if (ctx->counts[id] > 0)
		return ctx->values[id];
	value = getenv(env_name(option->name, name, sizeof(name)));
	if (value != NULL && value[0] != '\0')
		return value;
	return vars_get(&ctx->config, option->name);
}

/*
 * opt_on
 *		Is a switch on?
 */
bool
opt_on(const UpgContext *ctx, UpgOpt id)
{
	const char *value = opt_get(ctx, id);

	return value != NULL &&
		   (strcasecmp(value, "on") == 0 || strcasecmp(value, "true") == 0 ||
			strcasecmp(value, "yes") == 0 || strcmp(value, "1") == 0);
}

/*
 * opt_array
 *		An option "a,b,c" as a text[] literal in the arena; NULL if it is not given.
 */
const char *
opt_array(const UpgContext *ctx, UpgOpt id)
{
	const char *text = opt_get(ctx, id);
	UpgList items = {NULL, 0, 0};
	const char *literal;

	if (text == NULL)
		return NULL;
	list_split(&items, ctx->arena, text);
	literal = array_text(ctx->arena, &items);
	list_free(&items);
	return literal;
}

/*
 * opt_count
 *		An option that is a number from 0 to "most", as text; NULL with the error set.
 */
const char *
opt_count(const UpgContext *ctx, UpgOpt id, const char *fallback, int64_t most)
{
	const char *text = opt_get(ctx, id);

	if (text == NULL)
		return fallback;
	if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0' &&
		strlen(text) <= 18 && strtoll(text, NULL, 10) <= most)
		return text;
	err_set(UPG_EXIT_USAGE, "UPG-2000", "invalid value \"%s\" of option --%s",
			printable(ctx->arena, text), option_by_id((int) id)->name);
	err_fix("It must be a number from 0 to %" PRId64 ".", most);
	return NULL;
}

/*
 * config_number
 *		An option that is a duration (to ms) or a size (to bytes).
 */
bool
config_number(const UpgContext *ctx, UpgOpt id, bool duration, int64_t fallback,
			  int64_t *value)
{
	const char *text = opt_get(ctx, id);
	const UpgOption *option = option_by_id((int) id);

	*value = fallback;
	if (text == NULL ||
		(duration ? parse_duration(text, value) : parse_size(text, value)))
		return true;
	err_set(UPG_EXIT_USAGE, "UPG-2000", "invalid value \"%s\" of option --%s",
			printable(ctx->arena, text), option->name);
	err_fix("%s",
			duration ? "Examples: 500ms, 30s, 5min, 1h." : "Examples: 512kB, 16MB, 1GB.");
	return false;
}

/*
 * read_pairs
 *		Lines NAME=VALUE of a file, comments and quotes removed; calls back for each.
 */
static bool
read_pairs(UpgContext *ctx, const char *path, bool env)
{
	UpgBuf text;
	char *p;
	int line_no = 0;
	bool ok = true;

	buf_init(&text);
	if (!fs_read(path, &text, 1024 * 1024))
	{
		buf_free(&text);
		return false;
	}
	for (p = text.data; ok && *p;)
	{
		size_t len = strcspn(p, "\n");
		char *line = arena_strndup(ctx->arena, p, len);
		char *eq;
		char *name;
		char *value;
		size_t n;

		p += len + (p[len] == '\n');
		line_no++;
		line += strspn(line, " \t");
		if (env && str_starts(line, "export "))
			line += 7;
		if (*line == '#' || *line == '\0' || *line == '\r')
			continue;
		eq = strchr(line, '=');
		if (eq == NULL)
		{
			if (env)
				continue;
			err_set(UPG_EXIT_USAGE, "UPG-2001", "configuration file \"%s\" is not valid",
					path);
			err_where("%s:%d", path, line_no);
			err_why("A line must be NAME = VALUE.");
			ok = false;
			break;
		}
		name = arena_strndup(ctx->arena, line, strcspn(line, " \t="));
		value = eq + 1;
		value += strspn(value, " \t");
		n = strlen(value);
		while (n > 0 &&
			   (value[n - 1] == ' ' || value[n - 1] == '\t' || value[n - 1] == '\r'))
			value[--n] = '\0';
		if (n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n - 1] == value[0])
		{
			value[n - 1] = '\0';
			value++;
		}
		if (env)
		{
			/* the environment wins over the file */
			if (str_starts(name, "PG") || str_starts(name, "UPG_") ||
				strcmp(name, "DATABASE_URL") == 0)
				setenv(name, value, 0);
			continue;
		}
		ok = strcmp(name, "dir") == 0;
		for (const UpgOption *option = upg_options; !ok && option->name != NULL; option++)
			ok = !option->hidden && strcmp(option->name, name) == 0;
		if (!ok)
		{
			err_set(UPG_EXIT_USAGE, "UPG-2001", "unrecognized setting \"%s\"",
					printable(ctx->arena, name));
			err_where("%s:%d", path, line_no);
			err_fix("Settings are \"dir\" and the names of the options; see \"upg help "
					"environment\".");
			break;
		}
		vars_set(&ctx->config, name, value);
	}
	buf_free(&text);
	return ok;
}

/*
 * config_load
 *		Read .env and the configuration file, if they are there.
 */
bool
config_load(UpgContext *ctx)
{
	const char *path = getenv("UPG_CONFIG");
	int64_t timeout;

	if (fs_is_file(".env") && !read_pairs(ctx, ".env", true))
		return false;
	if (path != NULL && path[0] != '\0')
	{
		if (!read_pairs(ctx, path, false))
			return false;
	}
	else if (fs_is_file("upg.conf") && !read_pairs(ctx, "upg.conf", false))
		return false;
	for (const UpgOption *option = upg_options; option->name != NULL; option++)
	{
		const char *value = option->choices ? opt_get(ctx, option->id) : NULL;

		if (value != NULL && !valid_choice(option->choices, value))
		{
			err_set(UPG_EXIT_USAGE, "UPG-2001", "invalid value \"%s\" of setting \"%s\"",
					printable(ctx->arena, value), option->name);
			err_fix("It must be one of: %s.", option->choices);
			return false;
		}
	}
	if (opt_on(ctx, OPT_JSON))
		ctx->json = true;
	if (!config_number(ctx, OPT_TIMEOUT, true, 0, &timeout))
		return false;
	if (timeout > 0)
		ctx->deadline = now_ms() + timeout;
	return true;
}
