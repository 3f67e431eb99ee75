/*-------------------------------------------------------------------------
 *
 * log.c
 *		Messages on stderr, the one current error, colour, and interrupts.
 * 
 *  stdout belongs to render_text.c and render_json.c; this file never writes there.
 *  Text of others (names, statements, server messages) may hold control bytes; they
 *  are escaped here, so that a migration cannot drive the reader's terminal.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/log.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "exit_codes.h"
#include "log.h"

UpgError upg_error;
int upg_verbosity = 0;

static bool progress_shown = false;

const UpgErrorCode upg_error_codes[] = {
	{"UPG-0001", "the ledger holds no migration of this name"},
	{"UPG-0002", "a script was changed in meaning after it was applied"},
	{"UPG-0003", "a dependency is missing, unknown or part of a cycle"},
	{"UPG-0004", "another run, migration or session holds what this one needs"},
	{"UPG-0005", "other applied migrations depend on this one"},
	{"UPG-0006", "there is no way back recorded for this migration"},
	{"UPG-0007", "the name of a migration is not allowed"},
	{"UPG-0008", "a script cannot be read by the server's parser"},
	{"UPG-0009", "the migration is in a state that does not allow this"},
	{"UPG-0010", "no background worker can be started"},
	{"UPG-0011", "the outcome of a statement cannot be found out"},
	{"UPG-0012", "the audit trail is damaged or may not be changed"},
	{"UPG-0013", "library and install script of the extension differ in version"},
	{"UPG-0014", "an option given to a function is not known or not valid"},
	{"UPG-0015", "a lock could not be had in time"},
	{"UPG-0016", "a migration comes before one that is applied already"},
	{"UPG-0017", "the ledger was changed by hand and contradicts itself"},
	{"UPG-0028", "a down script does not give back what was there"},
	{"UPG-1000", "a statement failed; \"sqlstate\" holds the server's code"},
	{"UPG-1001", "the role lacks a privilege"},
	{"UPG-1002", "the database does not accept writes"},
	{"UPG-2000", "wrong usage of the command line"},
	{"UPG-2001", "a configuration file or a variable is not valid"},
	{"UPG-2002", "the database cannot be reached"},
	{"UPG-2003", "the extension is not installed in the database"},
	{"UPG-2004", "program, library and install script differ in version"},
	{"UPG-2005", "a file or directory cannot be read"},
	{"UPG-2006", "the layout of the directory is not recognized"},
	{"UPG-2007", "two files have the same number or the same name"},
	{"UPG-2008", "a down script has no up script"},
	{"UPG-2009", "a file name cannot be the name of a migration"},
	{"UPG-2010", "a file is not valid UTF-8"},
	{"UPG-2011", "a file holds a zero byte"},
	{"UPG-2012", "a quote, comment or block is not closed"},
	{"UPG-2013", "a psql command is not supported or not valid"},
	{"UPG-2014", "markers of a migration file are not valid"},
	{"UPG-2015", "a file that is driven by the client holds a statement that no "
				 "transaction can hold"},
	{"UPG-2016", "a migration is not in the directory or not in the ledger"},
	{"UPG-2017", "files arrived out of order and the policy refuses them"},
	{"UPG-2018", "the connection was lost"},
	{"UPG-2019", "the time given by --timeout is over"},
	{"UPG-2020", "interrupted by a signal"},
	{"UPG-2021", "the output could not be written"},
	{"UPG-2022", "a migration ended in a state that needs a person"},
	{"UPG-2023", "a question was not answered with yes"},
	{"UPG-2024", "the audit trail does not verify"},
	{"UPG-2025", "the files are not SQL"},
	{"UPG-2026", "a file exists already"},
	{"UPG-2027", "the doctor found something broken"},
	{"UPG-2028", "the two tables are not the same"},
	{"UPG-2029", "the two tables cannot be compared"},
	{"UPG-2030", "the history of another tool is not there, or there are several"},
	{"UPG-2031", "the history of another tool says that a migration failed"},
	{"UPG-2032", "the history of another tool and the directory do not agree"},
	{"UPG-2033", "something is not as the books say"},
	{"UPG-2034", "migrations cannot be made one"},
	{"UPG-2035", "pg_dump cannot be run, or failed"},
	{"UPG-2036", "the schema is not that of the file"},
	{"UPG-2037", "a verify script fails"},
	{"UPG-2038", "a callback fails or cannot be run"},
	{"UPG-2039", "a migration cannot share a transaction with others"},
	{"UPG-2050", "a database is not a scratch database"},
	{"UPG-2051", "down scripts do not give back what was there"},
	{"UPG-2052", "a baseline of down scripts cannot be understood"},
	{"UPG-2060", "data do not hold what was verified"},
	{"UPG-2061", "the journal of a comparison cannot be used"},
	{"UPG-2062", "a table cannot be read as a whole"},
	{"UPG-9999", "internal error"},
	{NULL, NULL}};

/*
 * vformat
 *		Format into malloc'ed memory.
 */
static char *
vformat(const char *fmt, va_list args)
{
	UpgBuf buf;

	buf_init(&buf);
	buf_vprintf(&buf, fmt, args);
	return buf.data;
}

/*
 * err_clear
 *		Forget the current error.
 */
void
err_clear(void)
{
	free(upg_error.what);
	free(upg_error.why);
	free(upg_error.where);
	free(upg_error.fix);
	free(upg_error.excerpt);
	free(upg_error.statement);
	for (int i = 0; i < upg_error.next.count; i++)
		free((void *) (uintptr_t) upg_error.next.items[i]);
	list_free(&upg_error.next);
	memset(&upg_error, 0, sizeof(upg_error));
}

/*
 * err_take
 *		Move the current error aside: what follows may fail without losing it.
 */
UpgError
err_take(void)
{
	UpgError taken = upg_error;

	memset(&upg_error, 0, sizeof(upg_error));
	return taken;
}

/*
 * err_put
 *		Make the error that err_take() gave the current one again.
 */
void
err_put(UpgError saved)
{
	err_clear();
	upg_error = saved;
}

/*
 * err_set
 *		Make this the current error; always returns false.
 */
bool
err_set(int exit_code, const char *code, const char *fmt, ...)
{
	va_list args;

	err_clear();
	upg_error.exit_code = exit_code;
	snprintf(upg_error.code, sizeof(upg_error.code), "%s", code);
	va_start(args, fmt);
	upg_error.what = vformat(fmt, args);
	va_end(args);
	return false;
}

#define ERR_FIELD(function, field)            \
	void function(const char *fmt, ...)       \
	{                                         \
		va_list args;                         \
                                              \
		free(upg_error.field);                \
		va_start(args, fmt);                  \
		upg_error.field = vformat(fmt, args); \
		va_end(args);                         \
	}

/* err_why, err_where, err_fix: add detail, place and hint to the current error. */
ERR_FIELD(err_why, why)
ERR_FIELD(err_where, where)
ERR_FIELD(err_fix, fix)

/*
 * err_next
 *		Add a command that helps to the current error, once.
 */
void
err_next(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = vformat(fmt, args);
	for (int i = 0; i < upg_error.next.count && text != NULL; i++)
		if (strcmp(upg_error.next.items[i], text) == 0)
		{
			free(text);
			text = NULL;
		}
	if (text != NULL)
		list_add(&upg_error.next, text);
	va_end(args);
}

/*
 * err_doc
 *		Where the documentation explains this code; static storage.
 */
const char *
err_doc(const char *code)
{
	static char doc[64];
	size_t len;

	len = (size_t) snprintf(doc, sizeof(doc), "docs/cli-reference.md#%s", code);
	for (size_t i = 0; i < len; i++)
		if (doc[i] >= 'A' && doc[i] <= 'Z')
			doc[i] = (char) (doc[i] - 'A' + 'a');
	return doc;
}

/*
 * log_colour
 *		May this stream show colour?
 */
bool
log_colour(int fd)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	if (no != NULL && no[0] != '\0')
		return false;
	return isatty(fd) && term != NULL && strcmp(term, "dumb") != 0;
}

/*
 * put_escaped
 *		Write text to stderr; control bytes other than newline and tab as \xNN.
 *
 * Lines after the first are indented, so that a message stays one block.
 */
static void
put_escaped(const char *text, const char *indent)
{
	for (const unsigned char *p = (const unsigned char *) text; *p; p++)
	{
		if (*p == '\n')
		{
			if (p[1] == '\0')
				break;
			fputc('\n', stderr);
			fputs(indent, stderr);
		}
		else if ((*p < 32 && *p != '\t') || *p == 127)
			fprintf(stderr, "\\x%02x", *p);
		else
			fputc(*p, stderr);
	}
}

/*
 * put_line
 *		One message on stderr: "upg: label: text".
 */
static void
put_line(const char *colour, const char *label, const char *text)
{
	bool paint = colour != NULL && log_colour(STDERR_FILENO);

	log_progress_end();
	fputs("upg: ", stderr);
	if (label != NULL)
		fprintf(stderr, "%s%s:%s ", paint ? colour : "", label, paint ? "\033[0m" : "");
	put_escaped(text, "  ");
	fputc('\n', stderr);
}

/*
 * err_print
 *		Print the current error as text on stderr.
 */
void
err_print(void)
{
	if (upg_error.exit_code == 0)
		return;
	if (upg_error.what != NULL)
		put_line("\033[1;31m", upg_error.outcome ? NULL : "error", upg_error.what);
	if (upg_error.where != NULL)
		put_line(NULL, "at", upg_error.where);
	if (upg_error.excerpt != NULL)
	{
		fputs("    ", stderr);
		put_escaped(upg_error.excerpt, "    ");
		fputc('\n', stderr);
	}
	if (upg_error.why != NULL)
		put_line(NULL, "detail", upg_error.why);
	if (upg_error.sqlstate[0] != '\0')
		put_line(NULL, "sqlstate", upg_error.sqlstate);
	if (upg_error.fix != NULL)
		put_line(NULL, "hint", upg_error.fix);
	for (int i = 0; i < upg_error.next.count; i++)
		put_line(NULL, "next", upg_error.next.items[i]);
}

#define LOG_LEVEL(function, wanted, colour, label) \
	void function(const char *fmt, ...)            \
	{                                              \
		va_list args;                              \
		char *text;                                \
                                                   \
		if (upg_verbosity < (wanted))              \
			return;                                \
		va_start(args, fmt);                       \
		text = vformat(fmt, args);                 \
		va_end(args);                              \
		put_line(colour, label, text);             \
		free(text);                                \
	}

/* Messages by level; warnings are shown even with -q. */
LOG_LEVEL(log_info, 0, NULL, NULL)
LOG_LEVEL(log_verbose, 1, NULL, NULL)
LOG_LEVEL(log_warning, -1, "\033[1;33m", "warning")
LOG_LEVEL(log_detail, -1, NULL, "detail")
LOG_LEVEL(log_hint, -1, NULL, "hint")

/* log_progress_wanted: is there a terminal to show progress on? */
bool
log_progress_wanted(void)
{
	return upg_verbosity >= 0 && isatty(STDERR_FILENO);
}

/*
 * cut_to_terminal
 *		Cut text, which is UTF-8, so that it stays on one line: what has wrapped cannot
 *		be rewritten.
 */
static void
cut_to_terminal(char *text)
{
	struct winsize size;
	int left = 80;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		left = size.ws_col;
	for (char *p = text; *p; p++)
		if (*p == '\n' || (((unsigned char) *p & 0xC0) != 0x80 && --left == 0))
		{
			*p = '\0';
			return;
		}
}

/*
 * log_progress
 *		Rewrite the progress line; nothing unless stderr is a terminal.
 */
void
log_progress(const char *fmt, ...)
{
	va_list args;
	char *text;

	if (!log_progress_wanted())
		return;
	va_start(args, fmt);
	text = vformat(fmt, args);
	va_end(args);
	cut_to_terminal(text);
	fputs("\r\033[K", stderr);
	put_escaped(text, "");
	fflush(stderr);
	free(text);
	progress_shown = true;
}

/*
 * log_progress_end
 *		Remove the progress line.
 */
void
log_progress_end(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = false;
}
