/*-------------------------------------------------------------------------
 *
 * command_table.c
 *		The table of commands and options.
 * 
 *  Help, the man page, the shell completions and docs/cli-reference.md are made from
 *  this file; nothing of them is written by hand.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/command_table.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "command.h"

const UpgOption upg_options[] = {
	{OPT_DBNAME, 'd', "dbname", "DBNAME", "database, connection string or URI", NULL,
	 false},
	{OPT_HOST, 'h', "host", "HOST", "server host or socket directory", NULL, false},
	{OPT_PORT, 'p', "port", "PORT", "server port", NULL, false},
	{OPT_USERNAME, 'U', "username", "USER", "role to connect as", NULL, false},
	{OPT_NO_PASSWORD, 'w', "no-password", NULL, "never ask for a password", NULL, false},
	{OPT_PASSWORD, 'W', "password", NULL, "ask for a password before connecting", NULL,
	 false},
	{OPT_JSON, '\0', "json", NULL, "print the result as JSON", NULL, false},
	{OPT_QUIET, 'q', "quiet", NULL, "print only results, warnings and errors", NULL,
	 false},
	{OPT_VERBOSE, 'v', "verbose", NULL, "say more; may be repeated", NULL, false},
	{OPT_HELP, '?', "help", NULL, "show this help, then exit", NULL, false},
	{OPT_ALL, '\0', "all", NULL, "take back every applied migration", NULL, false},
	{OPT_ALLOW_CHANGED, '\0', "allow-changed", NULL,
	 "go on although files differ from what the other tool has applied", NULL, false},
	{OPT_ALLOW_MISSING, '\0', "allow-missing", NULL,
	 "go on although files of applied migrations are not there", NULL, false},
	{OPT_ANNOTATE, '\0', "annotate", "FORM",
	 "one line for each down that is not exact, with file and line: as compilers write "
	 "it "
	 "(gcc), or for GitHub Actions",
	 "gcc|github", false},
	{OPT_AS, '\0', "as", "FORMAT", "text (default), json or html", "text|json|html",
	 false},
	{OPT_BASELINE, '\0', "baseline", "WHAT",
	 "with data verify: the number of a verification, whose values are compared; with "
	 "lint: a file of downs that are known not to be exact: only what is worse fails",
	 NULL, false},
	{OPT_BOOK, '\0', "book", NULL,
	 "write it into the books as applied, and accept the schema as it is", NULL, false},
	{OPT_BUDGET, '\0', "budget", "TIME",
	 "time a verification may take; 0 is no limit (default: the setting "
	 "upg.verify_budget)",
	 NULL, false},
	{OPT_CASCADE, '\0', "cascade", NULL, "take back what depends on it, too", NULL,
	 false},
	{OPT_CHECK, '\0', "check", "FILE", "compare with FILE; exit code 8 if it differs",
	 NULL, false},
	{OPT_CHECKPOINT, '\0', "checkpoint", "FILE", "compare with a checkpoint kept in FILE",
	 NULL, false},
	{OPT_COLUMNS, '\0', "columns", "LIST", "only these columns, separated by commas",
	 NULL, false},
	{OPT_DETAILED_EXITCODE, '\0', "detailed-exitcode", NULL,
	 "exit with 10 when there is something to do", NULL, false},
	{OPT_DOWN, '\0', "down", NULL, "the way back: show it, or make a file for it", NULL,
	 false},
	{OPT_DOWNS, '\0', "downs", NULL, "try the down script of every migration", NULL,
	 false},
	{OPT_DOWN_CHECK, '\0', "down-check", "MODE",
	 "try each down script after its up and give that up again: off, warn or require "
	 "(default: "
	 "the setting upg.down_check)",
	 "off|warn|require", false},
	{OPT_DRIFT, '\0', "drift", "POLICY",
	 "a schema that others changed: off, warn or refuse (default: the setting upg.drift)",
	 "off|warn|refuse", false},
	{OPT_DRY_RUN, 'n', "dry-run", NULL, "show what would be done, change nothing", NULL,
	 false},
	{OPT_EXCEPT_COLUMNS, '\0', "except-columns", "LIST", "leave these columns out", NULL,
	 false},
	{OPT_FAIL_ON, '\0', "fail-on", "WHAT",
	 "exit with 8: fails, if a down fails; lossy (default), also if it loses rows or "
	 "values; differs, also if the schema differs; missing, also if a down is missing "
	 "or could not be tried; never",
	 "fails|lossy|differs|missing|never", false},
	{OPT_FILL, '\0', "fill", "TABLE.COLUMN=VALUE",
	 "what rows get in a column that they have no value for; repeatable", NULL, false},
	{OPT_FILTER, '\0', "filter", "CONDITION", "only rows that meet the SQL condition",
	 NULL, false},
	{OPT_FORMAT, '\0', "format", "FORMAT", "jsonl (default) or csv", "jsonl|csv", false},
	{OPT_FROM, '\0', "from", "WHAT",
	 "with adopt: the tool whose history is read, or \"files\" (default: the one found); "
	 "with squash: the first migration; with audit export: the first entry (default: 1)",
	 NULL, false},
	{OPT_HISTORY_TABLE, '\0', "history-table", "TABLE",
	 "the other tool's table, if it has not its usual name", NULL, false},
	{OPT_HTML, '\0', "html", "FILE", "write the report as a page of its own", NULL,
	 false},
	{OPT_INTERVAL, '\0', "interval", "TIME", "time between two looks (default: 2s)", NULL,
	 false},
	{OPT_JOURNAL, '\0', "journal", "FILE",
	 "write down in FILE which ranges are done, and go on from there", NULL, false},
	{OPT_JUNIT, '\0', "junit", "FILE", "write the report as JUnit XML, for CI", NULL,
	 false},
	{OPT_KEY, '\0', "key", "LIST",
	 "columns that tell rows apart (default: the primary key)", NULL, false},
	{OPT_KIND, '\0', "kind", "KIND", "kind of the invariant",
	 "true|empty|equal|row_count|sum|content|not_null|unique|foreign_key", false},
	{OPT_LATEST, '\0', "latest", "N",
	 "try only the last N migrations; those before are applied without a trial", NULL,
	 false},
	{OPT_LAYOUT, '\0', "layout", "LAYOUT", "layout of the directory (default: detected)",
	 "plain|updown|dodo|dbmate|goose|sql-migrate|node-pg-migrate|flyway|sqitch|prisma|"
	 "folder|"
	 "graphile|liquibase",
	 false},
	{OPT_LIMIT, '\0', "limit", "ROWS", "at most so many rows (default: 100)", NULL,
	 false},
	{OPT_UNDO, '\0', "undo", "MODE",
	 "record how to take it back without a down script: none, best_effort or required "
	 "(default: the setting upg.undo)",
	 "none|best_effort|required", false},
	{OPT_LOCK_TIMEOUT, '\0', "lock-timeout", "TIME",
	 "give up a lock after TIME and try again (default: the server's upg.lock_timeout)",
	 NULL, false},
	{OPT_MAPPING, '\0', "mapping", "JSON",
	 "what stands in the source for columns of the target: "
	 "{\"column\": \"column or expression\"}",
	 NULL, false},
	{OPT_MARK, '\0', "mark", "STATE", "applied or absent", "applied|absent", false},
	{OPT_MARKDOWN, '\0', "markdown", NULL, "print the reference as Markdown", NULL, true},
	{OPT_MAN, '\0', "man", NULL, "print the man page", NULL, true},
	{OPT_MODE, '\0', "mode", "MODE",
	 "strict: the same values (default); semantic: what = calls equal", "strict|semantic",
	 false},
	{OPT_MAX_AGE, '\0', "max-age", "INTERVAL", "warn of what is older, such as '30 days'",
	 NULL, false},
	{OPT_MAX_BYTES, '\0', "max-bytes", "SIZE",
	 "warn when all of it is larger, such as 10GB", NULL, false},
	{OPT_MAX_XID_AGE, '\0', "max-xid-age", "N",
	 "warn of what holds rows of so many xids ago", NULL, false},
	{OPT_METHOD, '\0', "method", "METHOD",
	 "undo: by what upg recorded (default where it is kept); given: by the down script",
	 "undo|given", false},
	{OPT_NAME, '\0', "name", "NAME", "name of the migration (default: from the file)",
	 NULL, false},
	{OPT_NO_WAIT, '\0', "no-wait", NULL, "do not wait for others or for background work",
	 NULL, false},
	{OPT_NOTE, '\0', "note", "TEXT", "note to keep with it", NULL, false},
	{OPT_ON_CONFLICT, '\0', "on-conflict", "POLICY[:TABLE]",
	 "rows written since: keep (default), strict or discard; several separated by commas",
	 NULL, false},
	{OPT_ON_FAIL, '\0', "on-fail", "ACTION",
	 "stop (default), or rollback: take back what this run applied", "stop|rollback",
	 false},
	{OPT_OUT_OF_ORDER, '\0', "out-of-order", "POLICY",
	 "files that come before applied ones: warn (default), allow or refuse",
	 "warn|allow|refuse", false},
	{OPT_OWNERS, '\0', "owners", NULL, "with owners and privileges", NULL, false},
	{OPT_PG_DUMP, '\0', "pg-dump", "PROGRAM",
	 "the pg_dump to run (default: pg_dump in the PATH)", NULL, false},
	{OPT_PORTABLE, '\0', "portable", NULL,
	 "with --down: plain DDL and DML for a server without upg", NULL, false},
	{OPT_QUERY, '\0', "query", "SQL", "the query, for the kinds true, empty and equal",
	 NULL, false},
	{OPT_RANGES, '\0', "ranges", "N",
	 "compare about N ranges of the key one by one; needs --journal", NULL, false},
	{OPT_REASON, '\0', "reason", "TEXT", "why; kept in the audit trail", NULL, false},
	{OPT_RECHECK, '\0', "recheck", "N",
	 "look N times more at what differs, for tables that are written to", NULL, false},
	{OPT_RECORD, '\0', "record", NULL, "accept the schema as it is", NULL, false},
	{OPT_REDACT, '\0', "redact", "LIST", "do not show values of these columns; * is all",
	 NULL, false},
	{OPT_REF_COLUMNS, '\0', "ref-columns", "LIST", "the columns referenced", NULL, false},
	{OPT_REFS, '\0', "refs", "TABLE", "the table referenced, for the kind foreign_key",
	 NULL, false},
	{OPT_RELEASE, '\0', "release", "VERSION", "name the version that this run reaches",
	 NULL, false},
	{OPT_REQUIRES, '\0', "requires", "NAME",
	 "a migration that must be applied before; repeatable", NULL, false},
	{OPT_ROWS, '\0', "rows", "N", "rows put into each table (default: 3)", NULL, false},
	{OPT_SCHEMA, '\0', "schema", "SCHEMA", "schema for the functions (default: public)",
	 NULL, false},
	{OPT_VERIFY_SCHEMA, '\0', "schema", NULL,
	 "the schema, too: is it as the last migration left it?", NULL, false},
	{OPT_SCOPE, '\0', "scope", "LIST",
	 "the tables it speaks of (default: its table, else the database)", NULL, false},
	{OPT_SCRATCH, '\0', "scratch", "DBNAME",
	 "name of the scratch database, which then stays (default: one that is dropped)",
	 NULL, false},
	{OPT_SCRIPT, '\0', "script", "DIRECTION",
	 "print statements: adopt makes what is there of what was recorded, restore the "
	 "other "
	 "way round",
	 "adopt|restore", false},
	{OPT_SET, '\0', "set", "NAME=VALUE", "set a variable of the scripts; repeatable",
	 NULL, false},
	{OPT_SEVERITY, '\0', "severity", "SEVERITY",
	 "error (default): what breaks it is not applied; warning", "error|warning", false},
	{OPT_SINGLE_TRANSACTION, '\0', "single-transaction", NULL,
	 "all of it in one transaction: all or nothing", NULL, false},
	{OPT_SOURCE_SNAPSHOT, '\0', "source-snapshot", "ID",
	 "read the source with this exported snapshot", NULL, false},
	{OPT_STREAM_ABOVE, '\0', "stream-above", "SIZE",
	 "stream files larger than SIZE instead of storing them (default: 2MB)", NULL, false},
	{OPT_TABLE, '\0', "table", "NAME", "the table", NULL, false},
	{OPT_TARGET_SNAPSHOT, '\0', "target-snapshot", "ID",
	 "read the target with this exported snapshot", NULL, false},
	{OPT_TARGET_TABLE, '\0', "target-table", "NAME",
	 "its name in the target, if that is another one", NULL, false},
	{OPT_TIMEOUT, '\0', "timeout", "TIME", "give up after TIME (default: never)", NULL,
	 false},
	{OPT_TO, '\0', "to", "NAME", "stop after this migration; with down: keep this one",
	 NULL, false},
	{OPT_UPDATE, '\0', "update", NULL, "bring an older install script to this version",
	 NULL, false},
	{OPT_VERIFY, '\0', "verify", "WHAT",
	 "verify data before and after: touched, all or none (default: the setting "
	 "upg.verify)",
	 "touched|all|none", false},
	{OPT_VERIFY_SCRIPTS, '\0', "verify-scripts", NULL,
	 "run the verify script of each migration after it, in its transaction", NULL, false},
	{OPT_WATCH, 'w', "watch", NULL, "show it again and again until interrupted", NULL,
	 false},
	{OPT_WRITE_BASELINE, '\0', "write-baseline", "FILE",
	 "write down what is not exact now, for --baseline; then nothing of it fails", NULL,
	 false},
	{OPT_YES, 'y', "yes", NULL, "do not ask", NULL, false},
	{OPT_END, '\0', NULL, NULL, NULL, NULL, false}};

#define DIR_OPTIONS    OPT_LAYOUT, OPT_SET, OPT_STREAM_ABOVE
#define RUN_OPTIONS    OPT_NO_WAIT, OPT_TIMEOUT, OPT_LOCK_TIMEOUT
#define VERIFY_OPTIONS OPT_VERIFY, OPT_BUDGET

static const unsigned char none[] = {OPT_END};
static const unsigned char for_init[] = {OPT_SCHEMA, OPT_UPDATE, OPT_DRY_RUN, OPT_END};
static const unsigned char for_up[] = {OPT_TO,
									   OPT_DRY_RUN,
									   OPT_RELEASE,
									   OPT_ON_FAIL,
									   OPT_OUT_OF_ORDER,
									   OPT_UNDO,
									   OPT_SINGLE_TRANSACTION,
									   OPT_VERIFY_SCRIPTS,
									   OPT_DOWN_CHECK,
									   OPT_DRIFT,
									   DIR_OPTIONS,
									   RUN_OPTIONS,
									   VERIFY_OPTIONS,
									   OPT_END};
static const unsigned char for_down[] = {
	OPT_TO,          OPT_ALL,    OPT_CASCADE, OPT_DRY_RUN, OPT_FILL,       OPT_METHOD,
	OPT_ON_CONFLICT, OPT_REASON, OPT_YES,     RUN_OPTIONS, VERIFY_OPTIONS, OPT_END};
static const unsigned char for_status[] = {DIR_OPTIONS, OPT_WATCH, OPT_INTERVAL,
										   OPT_TIMEOUT, OPT_END};
static const unsigned char for_plan[] = {
	OPT_TO,      OPT_DETAILED_EXITCODE, OPT_OUT_OF_ORDER, OPT_UNDO,
	DIR_OPTIONS, VERIFY_OPTIONS,        OPT_TIMEOUT,      OPT_END};
static const unsigned char for_check[] = {DIR_OPTIONS, OPT_TIMEOUT, OPT_END};
static const unsigned char for_verify_books[] = {OPT_VERIFY_SCHEMA, DIR_OPTIONS,
												 OPT_TIMEOUT, OPT_END};
static const unsigned char for_lint[] = {
	OPT_DOWNS,   OPT_FAIL_ON, OPT_BASELINE, OPT_WRITE_BASELINE, OPT_LATEST,
	OPT_ROWS,    OPT_SCRATCH, OPT_HTML,     OPT_JUNIT,          OPT_ANNOTATE,
	DIR_OPTIONS, OPT_TIMEOUT, OPT_END};
static const unsigned char for_compare[] = {OPT_TABLE,
											OPT_TARGET_TABLE,
											OPT_KEY,
											OPT_COLUMNS,
											OPT_EXCEPT_COLUMNS,
											OPT_MAPPING,
											OPT_FILTER,
											OPT_MODE,
											OPT_REDACT,
											OPT_RECHECK,
											OPT_INTERVAL,
											OPT_SOURCE_SNAPSHOT,
											OPT_TARGET_SNAPSHOT,
											OPT_RANGES,
											OPT_JOURNAL,
											OPT_TIMEOUT,
											OPT_END};
static const unsigned char for_history[] = {OPT_LIMIT, OPT_TIMEOUT, OPT_END};
static const unsigned char for_apply[] = {
	OPT_NAME, OPT_REQUIRES,     OPT_UNDO,    OPT_DOWN_CHECK, OPT_DRIFT, OPT_DRY_RUN,
	OPT_SET,  OPT_STREAM_ABOVE, RUN_OPTIONS, VERIFY_OPTIONS, OPT_END};
static const unsigned char for_data_verify[] = {OPT_BASELINE, OPT_BUDGET, OPT_DRY_RUN,
												OPT_TIMEOUT, OPT_END};
static const unsigned char for_data_recheck[] = {OPT_LIMIT, OPT_TIMEOUT, OPT_END};
static const unsigned char for_data_damage[] = {OPT_MODE, OPT_TIMEOUT, OPT_END};
static const unsigned char for_data_report[] = {OPT_AS, OPT_TIMEOUT, OPT_END};
static const unsigned char for_data_declare[] = {
	OPT_KIND, OPT_QUERY, OPT_TABLE,    OPT_COLUMNS, OPT_REFS,    OPT_REF_COLUMNS,
	OPT_KEY,  OPT_SCOPE, OPT_SEVERITY, OPT_NOTE,    OPT_TIMEOUT, OPT_END};
static const unsigned char for_register[] = {OPT_TO, OPT_DRY_RUN, DIR_OPTIONS,
											 OPT_TIMEOUT, OPT_END};
static const unsigned char for_adopt[] = {
	OPT_TO,  OPT_FROM,    OPT_HISTORY_TABLE, OPT_ALLOW_MISSING, OPT_ALLOW_CHANGED,
	OPT_YES, OPT_DRY_RUN, DIR_OPTIONS,       OPT_TIMEOUT,       OPT_END};
static const unsigned char for_drift[] = {OPT_SCRIPT, OPT_RECORD, OPT_TIMEOUT, OPT_END};
static const unsigned char for_adopt_drift[] = {OPT_BOOK, OPT_DRY_RUN, DIR_OPTIONS,
												OPT_TIMEOUT, OPT_END};
static const unsigned char for_dump[] = {OPT_CHECK, OPT_OWNERS, OPT_PG_DUMP, OPT_TIMEOUT,
										 OPT_END};
static const unsigned char for_squash[] = {OPT_FROM,    OPT_TO,      OPT_NAME,
										   OPT_PG_DUMP, OPT_DRY_RUN, OPT_YES,
										   DIR_OPTIONS, OPT_TIMEOUT, OPT_END};
static const unsigned char for_new[] = {OPT_DOWN, OPT_LAYOUT, OPT_DRY_RUN, OPT_END};
static const unsigned char for_timeout[] = {OPT_TIMEOUT, OPT_END};
static const unsigned char for_put_back[] = {OPT_FILL, OPT_TIMEOUT, OPT_END};
static const unsigned char for_progress[] = {OPT_WATCH, OPT_INTERVAL, OPT_TIMEOUT,
											 OPT_END};
static const unsigned char for_show[] = {OPT_DOWN, OPT_PORTABLE, OPT_TIMEOUT, OPT_END};
static const unsigned char for_repair[] = {OPT_MARK, OPT_REASON,  OPT_DRY_RUN,
										   OPT_YES,  OPT_TIMEOUT, OPT_END};
static const unsigned char for_retention[] = {OPT_MAX_BYTES, OPT_MAX_AGE, OPT_MAX_XID_AGE,
											  OPT_TIMEOUT, OPT_END};
static const unsigned char for_finalize[] = {OPT_DRY_RUN, OPT_YES, OPT_TIMEOUT, OPT_END};
static const unsigned char for_verify[] = {OPT_CHECKPOINT, OPT_TIMEOUT, OPT_END};
static const unsigned char for_export[] = {OPT_FORMAT, OPT_FROM, OPT_TIMEOUT, OPT_END};
static const unsigned char for_checkpoint[] = {OPT_NOTE, OPT_TIMEOUT, OPT_END};
static const unsigned char for_help[] = {OPT_MARKDOWN, OPT_MAN, OPT_END};

#define END_OF_SET                                                         \
	{                                                                      \
		NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, false, NULL, NULL, false \
	}

static const UpgCommand audit_commands[] = {
	{"log", NULL, "[NAME]", "the latest entries of the audit trail",
	 "Lists who did what, newest first; with NAME only what concerns that migration. "
	 "Needs "
	 "the rights of upg_auditor.",
	 for_history, 0, 1, true, cmd_audit_log, NULL, false},
	{"verify", NULL, "", "check the hash chain of the audit trail",
	 "Recomputes the chain. With --checkpoint it also finds a trail that was cut or "
	 "rewritten as a "
	 "whole, by comparing with a checkpoint kept elsewhere.",
	 for_verify, 0, 0, true, cmd_audit_verify, NULL, false},
	{"export", NULL, "", "print the audit trail",
	 "Prints one entry a line, as JSON Lines or CSV, so that it can be kept and verified "
	 "elsewhere.",
	 for_export, 0, 0, true, cmd_audit_export, NULL, false},
	{"checkpoint", NULL, "", "make a checkpoint to keep elsewhere",
	 "Prints a checkpoint of the trail as JSON. Keep it where nobody who can change the "
	 "database "
	 "can change it.",
	 for_checkpoint, 0, 0, true, cmd_audit_checkpoint, NULL, true},
	END_OF_SET};

static const UpgCommand data_commands[] = {
	{"verify", NULL, "[TABLE]...", "verify data now, and keep the results",
	 "Runs the declared invariants, looks at constraints again and takes checksums, of "
	 "the "
	 "tables named or of the whole database. Exit code 8 if something does not hold or "
	 "could not be looked at. --dry-run says what would be read and how long that takes.",
	 for_data_verify, 0, 1000, true, cmd_data_verify, NULL, true},
	{"recheck", NULL, "[TABLE]...", "whether rows meet the constraints of their tables",
	 "Reads the rows again, also those that were loaded with triggers off, and names "
	 "those "
	 "in violation. Exit code 8 if there are any.",
	 for_data_recheck, 0, 1000, true, cmd_data_recheck, NULL, false},
	{"damage", NULL, "TABLE", "which rows of a table cannot be read",
	 "Reads the table past what is damaged, and prints the checksum of the rows that can "
	 "be read and which cannot: by place, and by key where that can be read. Exit code 8 "
	 "if there are any.",
	 for_data_damage, 1, 1, true, cmd_data_damage, NULL, false},
	{"report", NULL, "[NUMBER]", "the evidence of a verification",
	 "Prints a verification, the latest by default, as text, JSON or a page of HTML, and "
	 "says whether the results are as they were written.",
	 for_data_report, 0, 1, true, cmd_data_report, NULL, false},
	{"invariants", NULL, "", "list the declared invariants",
	 "What must hold, or stay equal, through an upgrade.", for_timeout, 0, 0, true,
	 cmd_data_invariants, NULL, false},
	{"declare", NULL, "NAME", "declare an invariant",
	 "Declares what must hold, or stay equal, through an upgrade: by --query, or by "
	 "--table "
	 "and --columns. One of that name is replaced.",
	 for_data_declare, 1, 1, true, cmd_data_declare, NULL, true},
	{"drop", NULL, "NAME", "take back an invariant",
	 "Takes back the declaration; past results stay.", for_timeout, 1, 1, true,
	 cmd_data_drop, NULL, true},
	END_OF_SET};

static const UpgCommand lock_commands[] = {
	{"show", NULL, "", "who holds or waits for what upg locks",
	 "Lists the objects that running migrations have locked against each other.",
	 for_timeout, 0, 0, true, cmd_lock_show, NULL, false},
	END_OF_SET};

const UpgCommand upg_commands[] = {
	{"init", NULL, "", "install the extension in the database",
	 "Creates extension upg in the database, or says that it is there. With --update it "
	 "brings an "
	 "older install script to this program's version.",
	 for_init, 0, 0, true, cmd_init, NULL, true},
	{"up", "execute", "[DIR]", "apply the migrations of a directory",
	 "Applies what is not applied yet, in order, each migration in a transaction of its "
	 "own. What "
	 "was applied stays when a later one fails, unless --on-fail=rollback or "
	 "--single-transaction is given. DIR "
	 "defaults "
	 "to UPG_DIR, else to \"migrations\", else to the current directory.",
	 for_up, 0, 1, true, cmd_up, NULL, true},
	{"down", "rollback", "[NAME]", "take migrations back",
	 "Takes back the latest migration, or NAME, or with --to everything applied after "
	 "that one, "
	 "or with --all everything; the latest first, each in a transaction of its own.",
	 for_down, 0, 1, true, cmd_down, NULL, true},
	{"status", NULL, "[DIR]", "what is applied and what is pending",
	 "Compares the directory, if there is one, with the ledger.", for_status, 0, 1, true,
	 cmd_status, NULL, false},
	{"plan", NULL, "[DIR]", "what \"upg up\" would do",
	 "Shows the pending migrations in order, with their statements and steps, and "
	 "whether each "
	 "runs in one transaction. Nothing is changed.",
	 for_plan, 0, 1, true, cmd_plan, NULL, false},
	{"verify", NULL, "[DIR]", "is everything as the books say?",
	 "Names every migration that is not in order: its file is gone, cannot be read or "
	 "was "
	 "changed, its record in the ledger is damaged or half done, or its verify script "
	 "(Sqitch) fails. Verify scripts run in transactions that are rolled back. Without a "
	 "directory only the records are looked at. With --schema what differs between the "
	 "schema and its record after the last migration is named, too (\"upg drift\"). Exit "
	 "code 8 if something is found.",
	 for_verify_books, 0, 1, true, cmd_verify, NULL, false},
	{"check", NULL, "DIR", "read all files of a directory and find faults",
	 "Reads every script, up and down, with the scanner and the server's parser, and "
	 "checks order, "
	 "names and dependencies. Nothing is changed.",
	 for_check, 1, 1, true, cmd_check, NULL, false},
	{"lint", NULL, "[DIR]", "what do the down scripts of a directory lose?",
	 "With --downs: makes a scratch database on the server, fills its tables with rows "
	 "made "
	 "from the types of their columns, and runs up and down of each migration from the "
	 "state "
	 "before it. Reports for each down whether it is exact, what differs in the schema, "
	 "which "
	 "rows and values are lost, or why it does not run. The database that you connect to "
	 "is "
	 "not touched, except to make and drop the scratch database beside it; that needs a "
	 "superuser, so use a server that is there for tests.",
	 for_lint, 0, 1, true, cmd_lint, NULL, false},
	{"history", NULL, "[NAME]", "all that ever ran, failures too",
	 "Lists attempts, newest first, with the statement and the error of those that "
	 "failed.",
	 for_history, 0, 1, true, cmd_history, NULL, false},
	{"apply", NULL, "FILE", "apply a single file",
	 "Applies one file. A file NAME.up.sql takes its way back from NAME.down.sql beside "
	 "it.",
	 for_apply, 1, 1, true, cmd_apply, NULL, true},
	{"register", NULL, "DIR",
	 "record the migrations of a directory without applying them",
	 "Stores the scripts in the ledger, so that they can be planned and applied by SQL "
	 "alone.",
	 for_register, 1, 1, true, cmd_register, NULL, true},
	{"adopt", "baseline", "DIR", "record migrations as applied without running them",
	 "For a database that already has them. If it holds the history of golang-migrate, "
	 "dbmate, Flyway, Sqitch, Prisma, diesel, Hasura, goose, sql-migrate, sqlx or "
	 "node-pg-migrate, what that calls applied is recorded, and the rest is left for "
	 "\"upg up\"; the history itself is not touched. Without one, or with --from=files "
	 "or "
	 "--to alone, every migration of the directory up to and with --to NAME is recorded.",
	 for_adopt, 1, 1, true, cmd_adopt, NULL, true},
	{"squash", NULL, "[DIR]", "make one migration of several that are applied",
	 "Replaces the migrations from --from (default: the first) to --to (default: the "
	 "last "
	 "one applied) by one of the same effect: what pg_dump shows of a scratch database "
	 "in "
	 "which they ran, or, if the range does not begin with the first, their scripts one "
	 "after the other. Before anything is changed, both ways are run in scratch "
	 "databases "
	 "and their dumps, rows included, must be equal. The old files go to .squashed/NAME "
	 "in "
	 "the directory. Databases that have applied all of the old ones count the new one "
	 "as "
	 "applied; others run it. The role must be allowed to create databases and the "
	 "extension.",
	 for_squash, 0, 1, true, cmd_squash, NULL, true},
	{"dump-schema", NULL, "[FILE]", "the schema as a file that can be compared",
	 "Prints what pg_dump shows of the schema, or writes it to FILE, without what "
	 "differs "
	 "between two dumps of the same schema: versions, keys, time limits, the extension "
	 "upg. With --check it compares with a file that was written so.",
	 for_dump, 0, 1, true, cmd_dump_schema, NULL, false},
	{"drift", NULL, "", "what others changed in the schema",
	 "Names what differs between the schema as it is and as the last migration left it. "
	 "What was left is recorded once the setting upg.drift asks for it, or by --record. "
	 "Exit code 8 if something differs.",
	 for_drift, 0, 0, true, cmd_drift, NULL, false},
	{"adopt-drift", NULL, "NAME [DIR]", "make a migration of what others changed",
	 "Writes the changes that \"upg drift\" names as a new migration, with the way back "
	 "where there is one, for you to read. With --book it is put into the books as "
	 "applied; without, it is for other databases, and would run here, too.",
	 for_adopt_drift, 1, 2, true, cmd_adopt_drift, NULL, true},
	{"new", NULL, "NAME [DIR]", "make the files of a new migration",
	 "Writes empty files in the layout of the directory, named by the time of day or the "
	 "next number. A way back is recorded while a migration runs and need not be "
	 "written: "
	 "a down script is made where the latest migration has one, or with --down.",
	 for_new, 1, 2, false, cmd_new, NULL, true},
	{"wait", NULL, "NAME", "wait until a migration is settled",
	 "Waits for a migration that a background worker runs. Exit code 0 if it is applied.",
	 for_timeout, 1, 1, true, cmd_wait, NULL, false},
	{"progress", NULL, "", "what is running now",
	 "Lists migrations that are being worked on, and checksums, comparisons and "
	 "verifications with the part that is done and about how long the rest takes.",
	 for_progress, 0, 0, true, cmd_progress, NULL, false},
	{"show", NULL, "NAME", "everything about one migration",
	 "Shows state, checksums and dependencies; with --down the SQL that would take it "
	 "back: the script that came with it, or one made of its undo log, for psql on this "
	 "server or, with --portable, on one without upg. Each statement says whether it "
	 "gives back exactly what was there, because it was tried and given up.",
	 for_show, 1, 1, true, cmd_show, NULL, false},
	{"doctor", NULL, "[DIR]", "find out what is wrong, and what to do",
	 "Looks at the server, versions, rights of the role, worker slots, migrations that "
	 "are "
	 "half done, invalid indexes, the audit trail and, if there is a directory, changed, "
	 "missing and late files. Changes nothing. Exit code 8 if something is broken.",
	 for_check, 0, 1, true, cmd_doctor, NULL, false},
	{"explain", NULL, "NAME|RUN", "the story of a migration or of a run",
	 "Tells state, every attempt with its error, place and waits for locks, and what to "
	 "do "
	 "next. A run is named by its number.",
	 for_timeout, 1, 1, true, cmd_explain, NULL, false},
	{"compare", NULL, "SOURCE TARGET", "compare a table in two databases, row by row",
	 "SOURCE and TARGET are databases, connection strings or URIs. Each side reads the "
	 "table once, at the same time; then the rows that differ are read again and shown. "
	 "Exit code 0 if equal, 8 if different, 2 if the tables cannot be compared, 5 if "
	 "what differs with --recheck is still being written.",
	 for_compare, 2, 2, false, cmd_compare, NULL, false},
	{"data", NULL, "COMMAND", "invariants, constraints, verification of data",
	 "What must hold in the data, whether it does, and the evidence.", none, 0, 0, false,
	 NULL, data_commands, false},
	{"repair", NULL, "NAME", "settle a migration whose outcome is unknown",
	 "Records what a person found out: --mark=applied or --mark=absent, with --reason.",
	 for_repair, 1, 1, true, cmd_repair, NULL, true},
	{"finalize", NULL, "NAME", "give up the way back that was recorded",
	 "Frees what is kept to take a migration back without a down script. From then on "
	 "going "
	 "back is a new upgrade.",
	 for_finalize, 1, 1, true, cmd_finalize, NULL, true},
	{"retention", NULL, "", "what is kept for rollbacks, and what keeps it",
	 "Lists bytes, age and age in transactions of everything that is kept to take "
	 "migrations back. Exit code 8 if something is over a limit that was given.",
	 for_retention, 0, 0, true, cmd_retention, NULL, false},
	{"expire", NULL, "AGE", "give up every way back older than AGE",
	 "Finalizes, one by one and audited, what has been kept for longer than AGE, such as "
	 "\"30 days\". Nothing expires by itself.",
	 for_finalize, 1, 1, true, cmd_expire, NULL, true},
	{"put-back", NULL, "NAME", "put back rows that a rollback set aside",
	 "When a migration has been taken back and applied again, puts the rows that the "
	 "application had written into its tables and columns back into them. A column that "
	 "must have a value, has no default and came later needs --fill.",
	 for_put_back, 1, 1, true, cmd_put_back, NULL, true},
	{"audit", NULL, "COMMAND", "the audit trail",
	 "The hash-chained record of every action.", none, 0, 0, false, NULL, audit_commands,
	 false},
	{"lock", NULL, "COMMAND", "locks between migrations",
	 "What runs keep each other from.", none, 0, 0, false, NULL, lock_commands, false},
	{"version", NULL, "", "versions of program, library and install script",
	 "Shows the program's version and, if the database can be reached, the server's.",
	 none, 0, 0, true, cmd_version, NULL, false},
	{"completion", NULL, "SHELL", "print a completion script for bash, zsh or fish",
	 "For bash: source <(upg completion bash).", none, 1, 1, false, cmd_completion, NULL,
	 false},
	{"help", NULL, "[TOPIC]", "help on a command or a topic",
	 "Topics: exit-status, layouts, environment, errors, json, or an error code such as "
	 "UPG-0004.",
	 for_help, 0, 2, false, cmd_help, NULL, false},
	END_OF_SET};

/*
 * option_by_id
 *		The entry of an option.
 */
const UpgOption *
option_by_id(int id)
{
	for (const UpgOption *option = upg_options; option->name != NULL; option++)
		if ((int) option->id == id)
			return option;
	return NULL;
}

/*
 * command_has_option
 *		May this option be given to this command?
 */
bool
command_has_option(const UpgCommand *command, int id)
{
	if (id == OPT_JSON || id == OPT_QUIET || id == OPT_VERBOSE || id == OPT_HELP)
		return true;
	if (id >= OPT_DBNAME && id <= OPT_PASSWORD)
		return command->connect;
	for (const unsigned char *p = command->options; *p != OPT_END; p++)
		if (*p == id)
			return true;
	return false;
}
