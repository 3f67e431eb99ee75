/*-------------------------------------------------------------------------
 *
 * command.h
 *		The command table: options, help, and the context of a command that runs.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/command.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_COMMAND_H
#define UPG_COMMAND_H

#include "conn.h"
#include "source.h"
#include "util.h"

typedef enum UpgOpt
{
	OPT_END = 0,
	/* connection */
	OPT_DBNAME,
	OPT_HOST,
	OPT_PORT,
	OPT_USERNAME,
	OPT_NO_PASSWORD,
	OPT_PASSWORD,
	/* every command */
	OPT_JSON,
	OPT_QUIET,
	OPT_VERBOSE,
	OPT_HELP,
	/* by command */
	OPT_ALL,
	OPT_ALLOW_CHANGED,
	OPT_ALLOW_MISSING,
	OPT_ANNOTATE,
	OPT_AS,
	OPT_BASELINE,
	OPT_BOOK,
	OPT_BUDGET,
	OPT_CASCADE,
	OPT_CHECK,
	OPT_CHECKPOINT,
	OPT_COLUMNS,
	OPT_DETAILED_EXITCODE,
	OPT_DOWN,
	OPT_DOWNS,
	OPT_DOWN_CHECK,
	OPT_DRIFT,
	OPT_DRY_RUN,
	OPT_EXCEPT_COLUMNS,
	OPT_FAIL_ON,
	OPT_FILL,
	OPT_FILTER,
	OPT_FORMAT,
	OPT_FROM,
	OPT_HISTORY_TABLE,
	OPT_HTML,
	OPT_INTERVAL,
	OPT_JOURNAL,
	OPT_JUNIT,
	OPT_KEY,
	OPT_KIND,
	OPT_LATEST,
	OPT_LAYOUT,
	OPT_LIMIT,
	OPT_LOCK_TIMEOUT,
	OPT_UNDO,
	OPT_MAPPING,
	OPT_MARK,
	OPT_MARKDOWN,
	OPT_MAN,
	OPT_MODE,
	OPT_MAX_AGE,
	OPT_MAX_BYTES,
	OPT_MAX_XID_AGE,
	OPT_METHOD,
	OPT_NAME,
	OPT_NO_WAIT,
	OPT_ON_CONFLICT,
	OPT_NOTE,
	OPT_ON_FAIL,
	OPT_OUT_OF_ORDER,
	OPT_OWNERS,
	OPT_PG_DUMP,
	OPT_PORTABLE,
	OPT_QUERY,
	OPT_RANGES,
	OPT_REASON,
	OPT_RECHECK,
	OPT_RECORD,
	OPT_REDACT,
	OPT_REF_COLUMNS,
	OPT_REFS,
	OPT_RELEASE,
	OPT_REQUIRES,
	OPT_ROWS,
	OPT_SCHEMA,
	OPT_SCOPE,
	OPT_SCRATCH,
	OPT_SCRIPT,
	OPT_SET,
	OPT_SEVERITY,
	OPT_SINGLE_TRANSACTION,
	OPT_SOURCE_SNAPSHOT,
	OPT_STREAM_ABOVE,
	OPT_TABLE,
	OPT_TARGET_SNAPSHOT,
	OPT_TARGET_TABLE,
	OPT_TIMEOUT,
	OPT_TO,
	OPT_UPDATE,
	OPT_VERIFY,
	OPT_VERIFY_SCHEMA,
	OPT_VERIFY_SCRIPTS,
	OPT_WATCH,
	OPT_WRITE_BASELINE,
	OPT_YES,
	OPT_COUNT
} UpgOpt;

/* Between the values of an option that was given several times. */
#define FILL_SEPARATOR '\036'

typedef struct UpgOption
{
	UpgOpt id;
	char letter; /* '\0': none */
	const char *name;
	const char *arg; /* NULL: a switch */
	const char *help;
	const char *choices; /* "a|b|c" for completion and checking, or NULL */
	bool hidden;
} UpgOption;

typedef struct UpgContext UpgContext;

typedef struct UpgCommand
{
	const char *name;
	const char *alias;
	const char *args; /* "[DIR]" */
	const char *summary;
	const char *text;             /* description, paragraphs */
	const unsigned char *options; /* ids, ended by OPT_END */
	int min_args;
	int max_args;
	bool connect; /* takes connection options */
	int (*run)(UpgContext *ctx);
	const struct UpgCommand *sub; /* nested set, ended by a NULL name */
	bool changes; /* something: that nobody reads its output must be said */
} UpgCommand;

/* A command that runs: its options and what it opened. */
struct UpgContext
{
	const UpgCommand *command;
	const UpgCommand *parent;
	const char *values[OPT_COUNT]; /* as given on the command line */
	int counts[OPT_COUNT];
	UpgList args;
	UpgVars vars;   /* --set */
	UpgVars config; /* config file */
	UpgArena *arena;
	UpgConn *conn;
	UpgSource *source;
	bool json;
	bool asked;          /* the answer to conn_send() is on its way */
	const char *between; /* callbacks between versions and repeatables have run */
	int single;          /* --single-transaction: 1 it is open, -1 it was rolled back */
	int64_t deadline;
};

extern const UpgCommand upg_commands[];
extern const UpgOption upg_options[];
extern const UpgOption *option_by_id(int id);
extern bool command_has_option(const UpgCommand *command, int id);

extern bool command_parse(UpgContext *ctx, int argc, char **argv);
extern const char *opt_get(const UpgContext *ctx, UpgOpt id);
extern bool opt_on(const UpgContext *ctx, UpgOpt id);
extern const char *opt_array(const UpgContext *ctx, UpgOpt id);
extern bool config_load(UpgContext *ctx);
extern const char *opt_count(const UpgContext *ctx, UpgOpt id, const char *fallback,
							 int64_t most);
extern bool config_number(const UpgContext *ctx, UpgOpt id, bool duration,
						  int64_t fallback, int64_t *value);

/* help.c */
typedef struct UpgTopic
{
	const char *name;
	const char *summary;
	void (*print)(UpgBuf *out);
} UpgTopic;

extern const UpgTopic upg_topics[];
extern void help_command(UpgBuf *out, const UpgCommand *parent,
						 const UpgCommand *command);
extern void help_overview(UpgBuf *out);
extern void help_markdown(UpgBuf *out);
extern void help_man(UpgBuf *out);
extern bool help_completion(UpgBuf *out, const char *shell);

/* Shared by the cmd_*.c files (cmd_common.c). */
struct UpgColumn;
extern bool ctx_connect(UpgContext *ctx, bool handshake);
extern bool ctx_connect_asking(UpgContext *ctx, const char *question);
extern bool ctx_has_directory(const UpgContext *ctx, int arg);
extern bool ctx_open_source(UpgContext *ctx, int arg);
extern const char *ctx_arg(const UpgContext *ctx, int i);
extern bool ctx_confirm(UpgContext *ctx, const char *question);
extern int ctx_list(UpgContext *ctx, const char *sql, int nparams,
					const char *const *params, const char *key,
					const struct UpgColumn *columns, const char *nothing);

/* Commands */
extern int cmd_init(UpgContext *ctx);
extern int cmd_up(UpgContext *ctx);
extern int cmd_down(UpgContext *ctx);
extern int cmd_status(UpgContext *ctx);
extern int cmd_plan(UpgContext *ctx);
extern int cmd_check(UpgContext *ctx);
extern int cmd_history(UpgContext *ctx);
extern int cmd_apply(UpgContext *ctx);
extern int cmd_register(UpgContext *ctx);
extern int cmd_adopt(UpgContext *ctx);
extern int cmd_new(UpgContext *ctx);
extern bool new_migration(UpgContext *ctx, const char *given, const char *up,
						  const char *down);
extern int cmd_wait(UpgContext *ctx);
extern int cmd_progress(UpgContext *ctx);
extern int cmd_show(UpgContext *ctx);
extern int cmd_compare(UpgContext *ctx);
extern int cmd_dump_schema(UpgContext *ctx);
extern int cmd_squash(UpgContext *ctx);
extern int cmd_verify(UpgContext *ctx);
extern int cmd_lint(UpgContext *ctx);
extern int cmd_data_verify(UpgContext *ctx);
extern int cmd_data_recheck(UpgContext *ctx);
extern int cmd_data_damage(UpgContext *ctx);
extern int cmd_data_report(UpgContext *ctx);
extern int cmd_data_invariants(UpgContext *ctx);
extern int cmd_data_declare(UpgContext *ctx);
extern int cmd_data_drop(UpgContext *ctx);
extern int cmd_doctor(UpgContext *ctx);
extern int cmd_explain(UpgContext *ctx);
extern int cmd_repair(UpgContext *ctx);
extern int cmd_finalize(UpgContext *ctx);
extern int cmd_audit_log(UpgContext *ctx);
extern int cmd_retention(UpgContext *ctx);
extern int cmd_expire(UpgContext *ctx);
extern int cmd_put_back(UpgContext *ctx);
extern int cmd_drift(UpgContext *ctx);
extern int cmd_adopt_drift(UpgContext *ctx);
extern int cmd_audit_verify(UpgContext *ctx);
extern int cmd_audit_export(UpgContext *ctx);
extern int cmd_audit_checkpoint(UpgContext *ctx);
extern int cmd_lock_show(UpgContext *ctx);
extern int cmd_version(UpgContext *ctx);
extern int cmd_completion(UpgContext *ctx);
extern int cmd_help(UpgContext *ctx);

#endif /* UPG_COMMAND_H */
