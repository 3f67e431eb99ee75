/*-------------------------------------------------------------------------
 *
 * help.c
 *		Help, the man page, Markdown and shell completions, made from the command table.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/help.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "command.h"
#include "log.h"

static const struct
{
	int code;
	const char *text;
} exit_texts[] = {
	{0, "the state that was asked for is reached, or was there already"},
	{1, "failed; nothing of the failed migration is there, what was applied before it "
		"stays"},
	{2, "wrong usage, or input files that are not valid, such as one that was changed "
		"after it was applied; nothing was changed"},
	{3, "failed, and what this run had applied was taken back (--on-fail=rollback)"},
	{4, "incomplete: some steps are done and could not be taken back, or a way back "
		"stopped"},
	{5, "waiting: the work goes on in the background, as --no-wait asks for"},
	{6, "another run or session holds what this one needs (--no-wait)"},
	{7, "the outcome of a statement is not known; \"upg repair\" settles it"},
	{8, "verification failed"},
	{9, "not permitted"},
	{10, "\"upg plan --detailed-exitcode\": there is something to do"},
	{11, "the database cannot be reached"},
	{70, "internal error of the program"},
	{124, "the time given by --timeout is over"},
	{130, "interrupted by SIGINT, state saved"},
	{143, "interrupted by SIGTERM, state saved"}};

/*
 * wrap
 *		Append text, broken before column 79, each line indented.
 */
static void
wrap(UpgBuf *out, const char *text, int indent, int column)
{
	while (*text)
	{
		int n = (int) strcspn(text, " \n");

		if (column + n > 78 && column > indent)
		{
			buf_printf(out, "\n%*s", indent, "");
			column = indent;
		}
		buf_addn(out, text, (size_t) n);
		column += n;
		text += n;
		while (*text == ' ' || *text == '\n')
			text++;
		if (*text && column < 78)
		{
			buf_addc(out, ' ');
			column++;
		}
	}
	while (out->len > 0 && out->data[out->len - 1] == ' ')
		out->data[--out->len] = '\0';
	buf_addc(out, '\n');
}

/*
 * print_option
 *		A line of an option table.
 */
static void
print_option(UpgBuf *out, const UpgCommand *command, const UpgOption *option)
{
	size_t start = out->len;
	int width;

	/* -w is --watch where a command has that */
	if (option->letter != '\0' &&
		!(option->id == OPT_NO_PASSWORD && command_has_option(command, OPT_WATCH)))
		buf_printf(out, "  -%c, --%s", option->letter, option->name);
	else
		buf_printf(out, "      --%s", option->name);
	if (option->arg != NULL)
		buf_printf(out, "=%s", option->arg);
	width = (int) (out->len - start);
	if (width > 30)
	{
		buf_addc(out, '\n');
		width = 0;
	}
	buf_printf(out, "%*s", 32 - width, "");
	wrap(out, option->help, 32, 32);
}

/*
 * help_command
 *		Help on one command or nested set.
 */
void
help_command(UpgBuf *out, const UpgCommand *parent, const UpgCommand *command)
{
	bool any = false;

	buf_printf(out, "Usage:\n  upg %s%s%s%s%s%s\n\n", parent ? parent->name : "",
			   parent ? " " : "", command->name, command->sub ? "" : " [OPTION]...",
			   command->args[0] ? " " : "", command->args);
	wrap(out, command->text, 0, 0);
	if (command->alias != NULL)
		buf_printf(out, "\n\"upg %s\" is the same.\n", command->alias);
	if (command->sub != NULL)
	{
		buf_add(out, "\nCommands:\n");
		for (const UpgCommand *sub = command->sub; sub->name != NULL; sub++)
			buf_printf(out, "  %-12s  %s\n", sub->name, sub->summary);
	}
	for (const UpgOption *option = upg_options; option->name != NULL; option++)
	{
		if (option->id <= OPT_HELP || option->hidden ||
			!command_has_option(command, (int) option->id))
			continue;
		if (!any)
			buf_add(out, "\nOptions:\n");
		any = true;
		print_option(out, command, option);
	}
	if (command->connect)
	{
		buf_add(out, "\nConnection options:\n");
		for (const UpgOption *option = upg_options; option->id <= OPT_PASSWORD; option++)
			print_option(out, command, option);
	}
	buf_add(out, "\nCommon options:\n");
	for (const UpgOption *option = upg_options; option->id <= OPT_HELP; option++)
		if (option->id >= OPT_JSON)
			print_option(out, command, option);
	buf_add(out, "\nEnvironment: PG* and UPG_* variables, see \"upg help environment\".\n"
				 "Exit status: see \"upg help exit-status\".\n");
}

/*
 * help_overview
 *		The list of commands.
 */
void
help_overview(UpgBuf *out)
{
	buf_add(out, "upg: upgrades you can take back.\n\nUsage:\n  upg [OPTION]... COMMAND "
				 "[OPTION]... "
				 "[ARGUMENT]...\n\nCommands:\n");
	for (const UpgCommand *c = upg_commands; c->name != NULL; c++)
		buf_printf(out, "  %-12s  %s\n", c->name, c->summary);
	buf_add(out, "\nTopics (upg help TOPIC):\n");
	for (const UpgTopic *topic = upg_topics; topic->name != NULL; topic++)
		buf_printf(out, "  %-12s  %s\n", topic->name, topic->summary);
	buf_add(out, "\n\"upg COMMAND --help\" shows the options of a command.\n");
}

/* Topics */

static void
topic_exit_status(UpgBuf *out)
{
	buf_add(out, "Exit status:\n");
	for (size_t i = 0; i < sizeof(exit_texts) / sizeof(exit_texts[0]); i++)
	{
		buf_printf(out, "  %3d  ", exit_texts[i].code);
		wrap(out, exit_texts[i].text, 7, 7);
	}
}

static void
topic_layouts(UpgBuf *out)
{
	buf_add(out,
			"Layouts of directories; the layout is detected, --layout overrides it:\n");
	for (const UpgLayout *layout = upg_layouts; layout->name != NULL; layout++)
	{
		buf_printf(out, "  %-16s", layout->name);
		wrap(out, layout->looks, 18, 18);
	}
	buf_add(out, "\nNumbers sort as numbers (2 before 10). The name in the ledger is the "
				 "name of the "
				 "file\nor folder without its ending. docs/layouts.md tells more.\n");
}

static void
topic_environment(UpgBuf *out)
{
	buf_add(out,
			"Every option that takes a value, and every switch, can be set by an "
			"environment\n"
			"variable: UPG_ and its name in capitals with underscores, such as\n"
			"UPG_LOCK_TIMEOUT=5s for --lock-timeout=5s.\n\n"
			"  PG*             as for psql: PGHOST, PGPORT, PGDATABASE, PGUSER, "
			"PGPASSFILE, ...\n"
			"  DATABASE_URL    database to connect to if neither -d nor PGDATABASE says\n"
			"  UPG_DIR         directory of the migrations\n"
			"  UPG_CONFIG      configuration file (default: upg.conf, if it is there)\n"
			"  NO_COLOR        no colour on terminals\n\n"
			"A file .env in the current directory may set PG*, UPG_* and DATABASE_URL; "
			"variables\n"
			"that are set already win. The configuration file holds lines NAME = VALUE "
			"with the\n"
			"long names of options, and dir. The command line wins over the environment, "
			"the\n"
			"environment over the configuration file.\n");
}

static void
topic_errors(UpgBuf *out)
{
	buf_add(out, "Error codes:\n");
	for (const UpgErrorCode *e = upg_error_codes; e->code != NULL; e++)
	{
		buf_printf(out, "  %s  ", e->code);
		wrap(out, e->meaning, 12, 12);
	}
}

static void
topic_json(UpgBuf *out)
{
	buf_add(
		out,
		"With --json a command prints one object on one line on standard output; "
		"messages\n"
		"stay on standard error as text. Members are added, never renamed.\n\n"
		"All:       upg (version of the shape, 1), command, exit_code, error\n"
		"error:     null, or code, what, why, where, fix, next_actions[], sqlstate,\n"
		"           statement, doc\n"
		"up:        database, directory, layout, dry_run, migrations[], upgrade (number\n"
		"           of the run), applied, pending\n"
		"down:      database, dry_run, migrations[], upgrade, rolled_back\n"
		"apply, wait, repair: migrations[]\n"
		"register, adopt: tool, table, dry_run, migrations[], missing[], recorded, left\n"
		"squash:    dry_run, name, replaces[], files[], method (dump, scripts), equal,\n"
		"           down, state\n"
		"dump-schema: schema; or file; with --check: file, equal, line, in_file,\n"
		"           in_database\n"
		"verify:    database, directory, faults[]: migration, check (record, file,\n"
		"           verify, schema: migration is the object), what, where, fix; "
		"migrations, verify_scripts\n"
		"migrations[]: name, state, statements, steps, undo, duration_ms, warnings[]\n"
		"status:    database, ledger[], applied, directory, layout, pending[],\n"
		"           changed[], vanished[]\n"
		"plan:      directory, layout, plan[]: ord, name, file, statements, steps,\n"
		"           transactional, down, undo, irreversible[], state, notes[],\n"
		"           undo_cost[], fault (null, or code, what, where, why, fix)\n"
		"check:     directory, layout, faults[]: name, code, what, where, why, fix\n"
		"doctor:    checks[]: check, result (ok, warning, fault, skipped), what, fix;\n"
		"           faults, warnings\n"
		"explain:   migration[] or run[], advice, attempts[], audit[]\n"
		"compare:   table, target_table, key, differences[]: difference, key, source, "
		"target,\n"
		"           source_copies, target_copies; equal, source_rows, target_rows,\n"
		"           missing, extra, changed, unsettled, guarantee\n"
		"lint:      directory, layout, migrations[]: name, file, down_file, where\n"
		"           (file:line), verdict (exact, untested, none, differs, lossy, "
		"fails),\n"
		"           known (null, or the verdict in the baseline), breaks (what\n"
		"           --fail-on counts), down_empty, destroys, in_copy, tables,\n"
		"           tables_with_rows, up_error, down_error, again_error (null, or what,\n"
		"           where, sqlstate, statement), findings[]: part (schema, data),\n"
		"           object, change, attribute or column, was, now, where, text, of data\n"
		"           also rows, lost, left_behind, changed, values_changed; notes[],\n"
		"           duration_ms; summary: migrations, downs, one count for each "
		"verdict,\n"
		"           schema_exact, destroying, restored, without_rows, passed_over,\n"
		"           known, breaking, duration_ms\n"
		"progress:  progress[], scans[]: the columns of upg_progress(), "
		"upg_scan_progress()\n"
		"data verify: checks[]: the columns of upg_verify()\n"
		"data recheck: constraints[]: the columns of upg_constraints_recheck()\n"
		"data damage: table, checksum, damaged, damage[]: relation, ctid or block, key,\n"
		"           sqlstate, message\n"
		"data report: report: the report in JSON; data invariants: invariants[]\n"
		"audit log: log[]: seq, at, actor, role, action, object, before, after, ...\n"
		"history, locks: an array of that name, the columns of the SQL "
		"function\n"
		"new:       files[]\n\n"
		"With --watch there is one object a line (NDJSON), one for each look.\n"
		"\"upg audit export\" prints JSON Lines by itself.\n");
}

const UpgTopic upg_topics[] = {{"exit-status", "exit codes", topic_exit_status},
							   {"layouts", "layouts of directories", topic_layouts},
							   {"environment", "variables and files", topic_environment},
							   {"errors", "error codes", topic_errors},
							   {"json", "what --json prints", topic_json},
							   {NULL, NULL, NULL}};

/* Markdown */

static void
markdown_command(UpgBuf *out, const UpgCommand *parent, const UpgCommand *command)
{
	buf_printf(out, "\n### upg %s%s%s\n\n%s\n\n```\n", parent ? parent->name : "",
			   parent ? " " : "", command->name, command->summary);
	help_command(out, parent, command);
	buf_add(out, "```\n");
}

/*
 * help_markdown
 *		docs/cli-reference.md.
 */
void
help_markdown(UpgBuf *out)
{
	buf_add(out, "<!-- made by \"upg help --markdown\"; do not edit -->\n"
				 "# Command line reference\n\n```\n");
	help_overview(out);
	buf_add(out, "```\n\n## Commands\n");
	for (const UpgCommand *c = upg_commands; c->name != NULL; c++)
	{
		markdown_command(out, NULL, c);
		for (const UpgCommand *sub = c->sub; sub != NULL && sub->name != NULL; sub++)
			markdown_command(out, c, sub);
	}
	buf_add(out, "\n## Exit status\n\n| code | meaning |\n|---|---|\n");
	for (size_t i = 0; i < sizeof(exit_texts) / sizeof(exit_texts[0]); i++)
		buf_printf(out, "| %d | %s |\n", exit_texts[i].code, exit_texts[i].text);
	buf_add(out, "\n## Layouts\n\n| layout | read as | looks like |\n|---|---|---|\n");
	for (const UpgLayout *layout = upg_layouts; layout->name != NULL; layout++)
		buf_printf(out, "| %s | %s | %s |\n", layout->name, layout->text, layout->looks);
	buf_add(out, "\n## Environment\n\n```\n");
	topic_environment(out);
	buf_add(out, "```\n\n## JSON\n\n```\n");
	topic_json(out);
	buf_add(out, "```\n\n## Error codes\n\n| code | meaning |\n|---|---|\n");
	for (const UpgErrorCode *e = upg_error_codes; e->code != NULL; e++)
	{
		char anchor[16];

		snprintf(anchor, sizeof(anchor), "upg-%s", e->code + 4);
		buf_printf(out, "| <a id=\"%s\"></a>%s | %s |\n", anchor, e->code, e->meaning);
	}
}

/* Man page */

static void
roff(UpgBuf *out, const char *text)
{
	for (const char *p = text; *p; p++)
	{
		if ((p == text || p[-1] == '\n') && (*p == '.' || *p == '\''))
			buf_add(out, "\\&");
		if (*p == '\\')
			buf_add(out, "\\e");
		else if (*p == '-')
			buf_add(out, "\\-");
		else
			buf_addc(out, *p);
	}
}

static void
man_options(UpgBuf *out, const UpgCommand *command, int from, int to)
{
	for (const UpgOption *option = upg_options; option->name != NULL; option++)
	{
		if ((int) option->id < from || (int) option->id > to || option->hidden ||
			(command != NULL && !command_has_option(command, (int) option->id)))
			continue;
		buf_add(out, ".TP\n\\fB");
		if (option->letter != '\0')
			buf_printf(out, "\\-%c\\fR, \\fB", option->letter);
		buf_add(out, "\\-\\-");
		roff(out, option->name);
		buf_add(out, "\\fR");
		if (option->arg != NULL)
			buf_printf(out, "=\\fI%s\\fR", option->arg);
		buf_addc(out, '\n');
		roff(out, option->help);
		buf_addc(out, '\n');
	}
}

static void
man_command(UpgBuf *out, const UpgCommand *parent, const UpgCommand *command)
{
	buf_printf(out, ".SS upg %s%s%s %s\n", parent ? parent->name : "", parent ? " " : "",
			   command->name, command->args);
	roff(out, command->text);
	buf_addc(out, '\n');
	man_options(out, command, OPT_HELP + 1, OPT_COUNT);
}

/*
 * help_man
 *		The man page upg(1).
 */
void
help_man(UpgBuf *out)
{
	buf_printf(
		out,
		".TH UPG 1 \"\" \"upg %s\" \"upg\"\n.SH NAME\nupg \\- upgrades you can take "
		"back\n"
		".SH SYNOPSIS\n.B upg\n[\\fIOPTION\\fR]... \\fICOMMAND\\fR [\\fIOPTION\\fR]... "
		"[\\fIARGUMENT\\fR]...\n.SH DESCRIPTION\nApplies migrations to a PostgreSQL "
		"database through the extension upg, which keeps the books, and takes them "
		"back.\n.SH COMMANDS\n",
		UPG_VERSION);
	for (const UpgCommand *c = upg_commands; c->name != NULL; c++)
	{
		if (c->sub == NULL)
			man_command(out, NULL, c);
		for (const UpgCommand *sub = c->sub; sub != NULL && sub->name != NULL; sub++)
			man_command(out, c, sub);
	}
	buf_add(out, ".SH CONNECTION OPTIONS\n");
	man_options(out, NULL, OPT_DBNAME, OPT_PASSWORD);
	buf_add(out, ".SH COMMON OPTIONS\n");
	man_options(out, NULL, OPT_JSON, OPT_HELP);
	buf_add(out, ".SH EXIT STATUS\n");
	for (size_t i = 0; i < sizeof(exit_texts) / sizeof(exit_texts[0]); i++)
	{
		buf_printf(out, ".TP\n.B %d\n", exit_texts[i].code);
		roff(out, exit_texts[i].text);
		buf_addc(out, '\n');
	}
	buf_add(out, ".SH ENVIRONMENT\n.nf\n");
	{
		UpgBuf text;

		buf_init(&text);
		topic_environment(&text);
		roff(out, text.data);
		buf_free(&text);
	}
	buf_add(out, ".fi\n");
}

/* Completion */

static void
bash_words(UpgBuf *out, const UpgCommand *command)
{
	for (const UpgOption *option = upg_options; option->name != NULL; option++)
		if (!option->hidden && command_has_option(command, (int) option->id))
			buf_printf(out, " --%s%s", option->name, option->arg ? "=" : "");
}

static void
completion_bash(UpgBuf *out)
{
	int sets = 0;

	buf_add(out, "# bash completion for upg, made by \"upg completion bash\"\n"
				 "_upg()\n{\n"
				 "    local cur=${COMP_WORDS[COMP_CWORD]} "
				 "prev=${COMP_WORDS[COMP_CWORD-1]} cmd= w i\n"
				 "    local words= opts=\n"
				 "    COMPREPLY=()\n"
				 "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
				 "        w=${COMP_WORDS[i]}\n"
				 "        case $w in -*) ;; *) if [ -z \"$cmd\" ]; then cmd=$w; "
				 "else case $cmd in ");
	for (const UpgCommand *c = upg_commands; c->name != NULL; c++)
		if (c->sub != NULL)
			buf_printf(out, "%s%s", sets++ ? "|" : "", c->name);
	buf_add(out, ") cmd=\"$cmd $w\" ;; esac; fi ;; esac\n"
				 "    done\n"
				 "    [ \"$cur\" = \"=\" ] && cur=\n"
				 "    [ \"$prev\" = \"=\" ] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
				 "    case $prev in\n");
	for (const UpgOption *option = upg_options; option->name != NULL; option++)
		if (option->choices != NULL)
		{
			buf_printf(out, "    --%s) COMPREPLY=($(compgen -W \"", option->name);
			for (const char *p = option->choices; *p; p++)
				buf_addc(out, *p == '|' ? ' ' : *p);
			buf_add(out, "\" -- \"$cur\")); return ;;\n");
		}
	buf_add(out, "    esac\n    case $cmd in\n    '') words=\"");
	for (const UpgCommand *c = upg_commands; c->name != NULL; c++)
		buf_printf(out, "%s%s", c == upg_commands ? "" : " ", c->name);
	buf_add(out, "\" ;;\n");
	for (const UpgCommand *c = upg_commands; c->name != NULL; c++)
	{
		if (c->sub != NULL)
		{
			buf_printf(out, "    %s) words=\"", c->name);
			for (const UpgCommand *sub = c->sub; sub->name != NULL; sub++)
				buf_printf(out, "%s%s", sub == c->sub ? "" : " ", sub->name);
			buf_add(out, "\" ;;\n");
			for (const UpgCommand *sub = c->sub; sub->name != NULL; sub++)
			{
				buf_printf(out, "    \"%s %s\") opts=\"", c->name, sub->name);
				bash_words(out, sub);
				buf_add(out, "\" ;;\n");
			}
			continue;
		}
		buf_printf(out, "    %s%s%s) opts=\"", c->name, c->alias ? "|" : "",
				   c->alias ? c->alias : "");
		bash_words(out, c);
		buf_add(out, "\" ;;\n");
	}
	buf_add(out, "    esac\n"
				 "    case $cur in\n"
				 "    -*) COMPREPLY=($(compgen -W \"$opts\" -- \"$cur\")); compopt -o "
				 "nospace 2>/dev/null ;;\n"
				 "    *) if [ -n \"$words\" ]; then COMPREPLY=($(compgen -W \"$words\" "
				 "-- \"$cur\")); "
				 "else COMPREPLY=($(compgen -f -- \"$cur\")); fi ;;\n"
				 "    esac\n}\ncomplete -o filenames -F _upg upg\n");
}

/*
 * shell_text
 *		Text inside single quotes of a shell, brackets and colons removed.
 */
static void
shell_text(UpgBuf *out, const char *text)
{
	for (; *text; text++)
		buf_addc(out, strchr("'[]:\\\"", *text) ? ' ' : *text);
}

static void
zsh_options(UpgBuf *out, const UpgCommand *command)
{
	for (const UpgOption *option = upg_options; option->name != NULL; option++)
	{
		if (option->hidden || !command_has_option(command, (int) option->id))
			continue;
		buf_printf(out, " '--%s%s[", option->name, option->arg ? "=" : "");
		shell_text(out, option->help);
		buf_addc(out, ']');
		if (option->choices != NULL)
		{
			buf_printf(out, ":%s:(", option->arg);
			for (const char *p = option->choices; *p; p++)
				buf_addc(out, *p == '|' ? ' ' : *p);
			buf_addc(out, ')');
		}
		else if (option->arg != NULL)
			buf_printf(out, ":%s:", option->arg);
		buf_add(out, "'");
	}
	buf_add(out, " '*:argument:_files'");
}

static void
completion_zsh(UpgBuf *out)
{
	buf_add(out,
			"#compdef upg\n# zsh completion for upg, made by \"upg completion zsh\"\n"
			"_upg() {\n  local -a commands\n  commands=(");
	for (const UpgCommand *c = upg_commands; c->name != NULL; c++)
	{
		buf_printf(out, " '%s:", c->name);
		shell_text(out, c->summary);
		buf_add(out, "'");
	}
	buf_add(out,
			" )\n  if (( CURRENT == 2 )); then _describe command commands; return; fi\n"
			"  local cmd=$words[2]\n  shift words; (( CURRENT-- ))\n  case $cmd in\n");
	for (const UpgCommand *c = upg_commands; c->name != NULL; c++)
	{
		if (c->sub != NULL)
		{
			buf_printf(out, "  %s) _values command", c->name);
			for (const UpgCommand *sub = c->sub; sub->name != NULL; sub++)
			{
				buf_printf(out, " '%s[", sub->name);
				shell_text(out, sub->summary);
				buf_add(out, "]'");
			}
			buf_add(out, " ;;\n");
			continue;
		}
		buf_printf(out, "  %s%s%s) _arguments", c->name, c->alias ? "|" : "",
				   c->alias ? c->alias : "");
		zsh_options(out, c);
		buf_add(out, " ;;\n");
	}
	buf_add(out, "  esac\n}\nif [ \"$funcstack[1]\" = _upg ]; then _upg \"$@\"; else "
				 "compdef _upg upg; fi\n");
}

static void
completion_fish(UpgBuf *out)
{
	buf_add(out, "# fish completion for upg, made by \"upg completion fish\"\n");
	for (const UpgCommand *c = upg_commands; c->name != NULL; c++)
	{
		buf_printf(out, "complete -c upg -n __fish_use_subcommand -a %s -d '", c->name);
		shell_text(out, c->summary);
		buf_add(out, "'\n");
		for (const UpgCommand *sub = c->sub; sub != NULL && sub->name != NULL; sub++)
		{
			buf_printf(out,
					   "complete -c upg -n '__fish_seen_subcommand_from %s' -a %s -d '",
					   c->name, sub->name);
			shell_text(out, sub->summary);
			buf_add(out, "'\n");
		}
		for (const UpgOption *option = upg_options;
			 c->sub == NULL && option->name != NULL; option++)
		{
			if (option->hidden || !command_has_option(c, (int) option->id))
				continue;
			buf_printf(out, "complete -c upg -n '__fish_seen_subcommand_from %s' -l %s",
					   c->name, option->name);
			if (option->letter != '\0')
				buf_printf(out, " -s %c", option->letter);
			if (option->arg != NULL)
				buf_add(out, " -r");
			if (option->choices != NULL)
			{
				buf_add(out, " -a '");
				for (const char *p = option->choices; *p; p++)
					buf_addc(out, *p == '|' ? ' ' : *p);
				buf_add(out, "'");
			}
			buf_add(out, " -d '");
			shell_text(out, option->help);
			buf_add(out, "'\n");
		}
	}
}

/*
 * help_completion
 *		The completion script for a shell; false if it is not known.
 */
bool
help_completion(UpgBuf *out, const char *shell)
{
	if (strcmp(shell, "bash") == 0)
		completion_bash(out);
	else if (strcmp(shell, "zsh") == 0)
		completion_zsh(out);
	else if (strcmp(shell, "fish") == 0)
		completion_fish(out);
	else
		return false;
	return true;
}
