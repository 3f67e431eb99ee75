/*-------------------------------------------------------------------------
 *
 * script.c
 *		A migration's script: statements, steps, checksums.
 *
 * The server's own parser reads the whole script before anything runs, so a
 * syntax error in the last statement costs nothing.  What the script says of
 * transactions is turned into steps (docs/design.md, section 2.3); BEGIN and
 * COMMIT themselves are never executed.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/script.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/defrem.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "utils/builtins.h"

#include "compat.h"
#include "errors.h"
#include "script.h"

/* Longest part of a statement that is kept in the history. */
#define EXCERPT_LENGTH 1000

/* Marks by which other tools say that a file wants no transaction. */
static const char *const no_transaction_marks[] = {
	"+goose no transaction",    "transaction:false",
	"transaction: false",       "atlas:txmode none",
	"runintransaction:false",   "run_in_transaction = false",
	"run_in_transaction=false", "executeintransaction=false",
	"no-transaction",           "no_transaction",
	"disable_ddl_transaction",
};

typedef struct ScriptContext
{
	const char *text;
	int offset; /* where the statement in hand begins, or -1 */
} ScriptContext;

/* So many bytes of tokens are hashed at once. */
#define TOKENS_CHUNK 8192

static void add_token(StringInfo tokens, char kind, const char *value);
static int skip_blank(const char *text, int offset);
static bool has_no_transaction_mark(const char *text);
static void syntax_error_context(void *arg);
static void cut_into_steps(UpgScript *script, const UpgCut *cut);
static int isolation_of(List *options);
static bool only_settings_before(const UpgScript *script, const UpgStep *step, int no);
static bool reindex_is_concurrent(ReindexStmt *stmt);
static bool subscription_uses_slot(List *options);

/*
 * upg_script_parse
 *		Parse a script and cut it into steps.
 *
 * The result lives in the current memory context and points into "text".
 * Raises a syntax error with the line and column in the script, and
 * ERRCODE_UPG_INVALID_SCRIPT on transaction control that cannot be honoured.
 */
UpgScript *
upg_script_parse(const char *text, const UpgCut *cut)
{
	UpgScript *script = palloc0(sizeof(UpgScript));
	UpgCut effective = {0};
	ScriptContext state;
	ErrorContextCallback callback;
	List *raws;
	ListCell *lc;
	int line = 1, column = 1, seen = 0;

	if (cut != NULL)
		effective = *cut;

	state.text = text;
	state.offset = -1;
	callback.callback = syntax_error_context;
	callback.arg = &state;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	raws = raw_parser(text, RAW_PARSE_DEFAULT);
	error_context_stack = callback.previous;

	script->text = text;
	script->nstatements = list_length(raws);
	script->statements = palloc0(sizeof(UpgStatement) * Max(script->nstatements, 1));

	foreach (lc, raws)
	{
		RawStmt *raw = lfirst_node(RawStmt, lc);
		UpgStatement *stmt = &script->statements[foreach_current_index (lc)];
		int begin = Max(raw->stmt_location, 0);
		int end;

		stmt->no = foreach_current_index (lc) + 1;
		stmt->raw = raw;
		stmt->start = skip_blank(text, begin);
		end = raw->stmt_len > 0 ? begin + raw->stmt_len : (int) strlen(text);
		while (end > stmt->start && isspace((unsigned char) text[end - 1]))
			end--;
		stmt->length = end - stmt->start;
		stmt->own = upg_statement_own_transaction(raw->stmt);

		/* Count lines from the previous statement on, not from the start each time. */
		while (seen < stmt->start)
		{
			if (text[seen] == '\n')
			{
				line++;
				column = 1;
				seen++;
			}
			else
			{
				seen += pg_mblen(text + seen);
				column++;
			}
		}
		stmt->line = line;
		stmt->column = column;
	}

	if (!effective.each_alone && has_no_transaction_mark(text))
		effective.each_alone = true;
	foreach (lc, effective.own)
	{
		int no = lfirst_int(lc);

		if (no >= 1 && no <= script->nstatements &&
			script->statements[no - 1].own == NULL)
			script->statements[no - 1].own = "it controls transactions itself";
	}

	cut_into_steps(script, &effective);

	return script;
}

/* Remark on what a script says, for a warning. */
static void
note(UpgScript *script, char *text)
{
	script->notes = lappend(script->notes, text);
}

/* Is the transaction that a statement begins committed by a later one? */
static bool
ends_later(UpgScript *script, int begin)
{
	for (int i = begin + 1; i < script->nstatements; i++)
	{
		Node *node = script->statements[i].raw->stmt;

		if (IsA(node, TransactionStmt) &&
			((TransactionStmt *) node)->kind == TRANS_STMT_COMMIT)
			return true;
	}
	return false;
}

/*
 * cut_into_steps
 *		Turn transaction control and statements that no transaction can hold
 *		into steps.
 *
 * Some tools run a file inside a transaction of theirs.  Files written for them
 * end it and begin it anew: COMMIT comes before BEGIN, and the last BEGIN has no
 * COMMIT.  Others say BEGIN and leave COMMIT to the tool.  They mean the same
 * here, since each step is committed.
 */
static void
cut_into_steps(UpgScript *script, const UpgCut *cut)
{
	UpgStep *step = NULL;       /* transaction step that takes further statements */
	UpgStatement *begun = NULL; /* the open BEGIN */
	int isolation = -1;         /* that it asks for */

	script->steps = palloc0(sizeof(UpgStep) * Max(script->nstatements, 1));

	for (int i = 0; i < script->nstatements; i++)
	{
		UpgStatement *stmt = &script->statements[i];
		Node *node = stmt->raw->stmt;

		if (IsA(node, TransactionStmt))
		{
			TransactionStmt *control = (TransactionStmt *) node;

			switch (control->kind)
			{
				case TRANS_STMT_BEGIN:
				case TRANS_STMT_START:
					if (begun != NULL && control->options != NIL)
						ereport(ERROR,
								(errcode(ERRCODE_UPG_INVALID_SCRIPT),
								 errmsg("BEGIN in line %d, which has options, is inside "
										"the transaction begun in line %d",
										stmt->line, begun->line),
								 errhint("Remove one of them, or write SAVEPOINT.")));
					if (begun != NULL)
					{
						note(script,
							 psprintf("line %d: BEGIN is inside the transaction begun in "
									  "line %d, and has no effect",
									  stmt->line, begun->line));
						continue;
					}
					isolation = isolation_of(control->options);
					if (list_length(control->options) > (isolation >= 0 ? 1 : 0))
						note(script,
							 psprintf(
								 "line %d: of the options of BEGIN only the isolation "
								 "level is honoured",
								 stmt->line));
					begun = stmt;
					if (ends_later(script, i))
						step = NULL;
					continue;
				case TRANS_STMT_COMMIT:
					if (begun == NULL)
						note(script,
							 psprintf("line %d: COMMIT ends no transaction that the "
									  "script begins; what precedes it is committed by "
									  "itself",
									  stmt->line));
					if (!control->chain)
						begun = NULL;
					step = NULL;
					continue;
				case TRANS_STMT_ROLLBACK:
					ereport(
						ERROR,
						(errcode(ERRCODE_UPG_INVALID_SCRIPT),
						 errmsg(
							 "ROLLBACK in line %d would take the migration back while it "
							 "runs",
							 stmt->line),
						 errhint(
							 "Remove it; to go back to a point inside the script, use "
							 "ROLLBACK TO SAVEPOINT.")));
					break;
				case TRANS_STMT_PREPARE:
				case TRANS_STMT_COMMIT_PREPARED:
				case TRANS_STMT_ROLLBACK_PREPARED:
					ereport(
						ERROR,
						(errcode(ERRCODE_UPG_INVALID_SCRIPT),
						 errmsg(
							 "two-phase commit in line %d cannot be part of a migration",
							 stmt->line),
						 errdetail("The migration and its row in the ledger must commit "
								   "together."),
						 errhint("Remove it; upg commits the migration.")));
					break;
				case TRANS_STMT_SAVEPOINT:
				case TRANS_STMT_RELEASE:
				case TRANS_STMT_ROLLBACK_TO:
					break; /* runs as a statement of its step */
			}
		}

		if (IsA(node, CopyStmt) && ((CopyStmt *) node)->filename == NULL)
			ereport(
				ERROR,
				(errcode(ERRCODE_UPG_INVALID_SCRIPT),
				 errmsg("COPY in line %d reads from or writes to the client", stmt->line),
				 errdetail("The statement's data are not part of the SQL text."),
				 errhint("Apply the file with \"upg up\" or \"upg apply\", or send it "
						 "between "
						 "upg_begin() and upg_finish().")));

		if (stmt->own != NULL && begun != NULL)
			ereport(
				ERROR,
				(errcode(ERRCODE_UPG_INVALID_SCRIPT),
				 errmsg(
					 "statement %d in line %d cannot run inside the transaction begun in "
					 "line %d",
					 stmt->no, stmt->line, begun->line),
				 errdetail("Reason: %s.", stmt->own),
				 errhint(
					 "End the transaction before it; upg makes it a step of its own.")));

		if (begun == NULL && (cut->each_alone || list_member_int(cut->before, stmt->no)))
			step = NULL;
		if (stmt->own != NULL || step == NULL)
		{
			step = &script->steps[script->nsteps++];
			step->no = script->nsteps;
			step->kind = stmt->own != NULL ? UPG_STEP_AUTOCOMMIT : UPG_STEP_TRANSACTION;
			step->first = stmt->no;
			step->isolation = begun != NULL ? isolation : -1;
		}
		if (upg_is_set_transaction(node) && only_settings_before(script, step, stmt->no))
		{
			int level = isolation_of(((VariableSetStmt *) node)->args);

			if (level >= 0)
				step->isolation = level;
		}
		step->last = stmt->no;
		stmt->step = step->no;

		if (step->kind == UPG_STEP_AUTOCOMMIT)
			step = NULL;
	}

	if (begun != NULL)
		note(script, psprintf("the transaction begun in line %d is never committed; it "
							  "ends with the script",
							  begun->line));
}

/*
 * upg_script_complaint
 *		Why a script cannot be read, in words; NULL if it can.
 *
 * For scripts that are not to run now.  The raw parser touches nothing but
 * memory, so its error can be caught without a subtransaction.
 */
char *
upg_script_complaint(const char *text)
{
	MemoryContext caller = CurrentMemoryContext;
	char *volatile complaint = NULL;

	PG_TRY();
	{
		(void) upg_script_parse(text, NULL);
	}
	PG_CATCH();
	{
		ErrorData *edata;

		MemoryContextSwitchTo(caller);
		edata = CopyErrorData();
		if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		FlushErrorState();
		complaint = edata->context != NULL
						? psprintf("%s (%s)", edata->message, edata->context)
						: pstrdup(edata->message);
		FreeErrorData(edata);
	}
	PG_END_TRY();

	return complaint;
}

/*
 * upg_script_transactional
 *		Does the whole script fit one transaction, such as the one that is open?
 *
 * A transaction that has taken a snapshot keeps its isolation level, so a script
 * that asks for another one needs a transaction of its own.
 */
bool
upg_script_transactional(const UpgScript *script)
{
	return script->nsteps == 0 ||
		   (script->nsteps == 1 && script->steps[0].kind == UPG_STEP_TRANSACTION &&
			(script->steps[0].isolation < 0 ||
			 script->steps[0].isolation == XactIsoLevel));
}

/*
 * isolation_of
 *		The isolation level among the options of BEGIN or SET TRANSACTION, or -1.
 */
static int
isolation_of(List *options)
{
	static const struct
	{
		const char *name;
		int level;
	} levels[] = {{"read uncommitted", XACT_READ_UNCOMMITTED},
				  {"read committed", XACT_READ_COMMITTED},
				  {"repeatable read", XACT_REPEATABLE_READ},
				  {"serializable", XACT_SERIALIZABLE}};
	int level = -1;
	ListCell *lc;

	foreach (lc, options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "transaction_isolation") != 0)
			continue;
		for (int i = 0; i < lengthof(levels); i++)
		{
			if (strcmp(strVal(&castNode(A_Const, option->arg)->val), levels[i].name) == 0)
				level = levels[i].level;
		}
	}
	return level;
}

/*
 * upg_is_set_transaction
 *		Is it SET TRANSACTION, which says something of one transaction only?
 */
bool
upg_is_set_transaction(Node *stmt)
{
	return IsA(stmt, VariableSetStmt) &&
		   ((VariableSetStmt *) stmt)->kind == VAR_SET_MULTI &&
		   strcmp(((VariableSetStmt *) stmt)->name, "TRANSACTION") == 0;
}

/* Does nothing in the step before this statement take a snapshot? */
static bool
only_settings_before(const UpgScript *script, const UpgStep *step, int no)
{
	while (--no >= step->first)
	{
		Node *node = script->statements[no - 1].raw->stmt;

		if (!IsA(node, VariableSetStmt) && !IsA(node, VariableShowStmt))
			return false;
	}
	return true;
}

/*
 * upg_cut_extend
 *		Cut a script smaller after a statement failed in a way that a cut mends.
 *
 * A new enum value cannot be used in the transaction that added it, so a step
 * ends before the statement that wanted to.  A statement that commits by
 * itself, or refuses to run in a transaction, becomes a step of its own.
 * False if the error is of another kind, or the cut was made before.
 */
bool
upg_cut_extend(UpgCut *cut, const UpgStatement *stmt, int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_UNSAFE_NEW_ENUM_VALUE_USAGE:
			if (list_member_int(cut->before, stmt->no))
				return false;
			cut->before = lappend_int(list_copy(cut->before), stmt->no);
			return true;
		case ERRCODE_INVALID_TRANSACTION_TERMINATION:
		case ERRCODE_ACTIVE_SQL_TRANSACTION:
			if (list_member_int(cut->own, stmt->no) ||
				upg_is_set_transaction(stmt->raw->stmt))
				return false;
			cut->own = lappend_int(list_copy(cut->own), stmt->no);
			return true;
		default:
			return false;
	}
}

/*
 * upg_statement_own_transaction
 *		Why no transaction can hold this statement; NULL if one can.
 *
 * Mirrors the calls of PreventInTransactionBlock() that depend on the parse
 * tree alone.  The rest (REINDEX of a partitioned table, a DO block that
 * commits) is found when it fails, and split off then.
 */
const char *
upg_statement_own_transaction(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			return ((IndexStmt *) stmt)->concurrent ? "CREATE INDEX CONCURRENTLY" : NULL;
		case T_DropStmt:
			return ((DropStmt *) stmt)->concurrent ? "DROP INDEX CONCURRENTLY" : NULL;
		case T_ReindexStmt:
			if (reindex_is_concurrent((ReindexStmt *) stmt))
				return "REINDEX CONCURRENTLY";
			switch (((ReindexStmt *) stmt)->kind)
			{
				case REINDEX_OBJECT_SCHEMA:
				case REINDEX_OBJECT_SYSTEM:
				case REINDEX_OBJECT_DATABASE:
					return "REINDEX of many tables";
				default:
					return NULL;
			}
		case T_VacuumStmt:
			return ((VacuumStmt *) stmt)->is_vacuumcmd ? "VACUUM" : NULL;
		case T_ClusterStmt:
			return ((ClusterStmt *) stmt)->relation == NULL ? "CLUSTER of all tables"
															: NULL;
		case T_AlterSystemStmt:
			return "ALTER SYSTEM";
		case T_CreatedbStmt:
			return "CREATE DATABASE";
		case T_DropdbStmt:
			return "DROP DATABASE";
		case T_CreateTableSpaceStmt:
			return "CREATE TABLESPACE";
		case T_DropTableSpaceStmt:
			return "DROP TABLESPACE";
		case T_AlterDatabaseStmt:
		{
			ListCell *lc;

			foreach (lc, ((AlterDatabaseStmt *) stmt)->options)
			{
				if (strcmp(lfirst_node(DefElem, lc)->defname, "tablespace") == 0)
					return "ALTER DATABASE SET TABLESPACE";
			}
			return NULL;
		}
		case T_AlterTableStmt:
		{
			ListCell *lc;

			foreach (lc, ((AlterTableStmt *) stmt)->cmds)
			{
				AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

				if (cmd->subtype == AT_DetachPartition &&
					castNode(PartitionCmd, cmd->def)->concurrent)
					return "DETACH PARTITION CONCURRENTLY";
			}
			return NULL;
		}
		case T_CreateSubscriptionStmt:
			return subscription_uses_slot(((CreateSubscriptionStmt *) stmt)->options)
					   ? "CREATE SUBSCRIPTION with a replication slot"
					   : NULL;
		case T_DropSubscriptionStmt:
			return "DROP SUBSCRIPTION";
		case T_DiscardStmt:
			return ((DiscardStmt *) stmt)->target == DISCARD_ALL ? "DISCARD ALL" : NULL;
		default:
			return NULL;
	}
}

static bool
reindex_is_concurrent(ReindexStmt *stmt)
{
	ListCell *lc;

	foreach (lc, stmt->params)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "concurrently") == 0)
			return defGetBoolean(option);
	}
	return false;
}

static bool
subscription_uses_slot(List *options)
{
	ListCell *lc;

	foreach (lc, options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if ((strcmp(option->defname, "connect") == 0 ||
			 strcmp(option->defname, "create_slot") == 0) &&
			!defGetBoolean(option))
			return false;
	}
	return true;
}

/*
 * skip_blank
 *		Offset of the first token at or after "offset": past white space and
 *		comments, which nest.
 */
static int
skip_blank(const char *text, int offset)
{
	for (;;)
	{
		if (isspace((unsigned char) text[offset]))
			offset++;
		else if (text[offset] == '-' && text[offset + 1] == '-')
		{
			while (text[offset] != '\0' && text[offset] != '\n')
				offset++;
		}
		else if (text[offset] == '/' && text[offset + 1] == '*')
		{
			int depth = 0;

			do
			{
				if (text[offset] == '/' && text[offset + 1] == '*')
				{
					depth++;
					offset += 2;
				}
				else if (text[offset] == '*' && text[offset + 1] == '/')
				{
					depth--;
					offset += 2;
				}
				else
					offset++;
			} while (depth > 0 && text[offset] != '\0');
		}
		else
			return offset;
	}
}

/*
 * has_no_transaction_mark
 *		Do the comments before the first statement carry another tool's mark?
 */
static bool
has_no_transaction_mark(const char *text)
{
	int end = skip_blank(text, 0);
	char *head = pnstrdup(text, end);
	bool found = false;

	for (char *p = head; *p; p++)
		*p = pg_tolower((unsigned char) *p);
	for (int i = 0; i < lengthof(no_transaction_marks) && !found; i++)
		found = strstr(head, no_transaction_marks[i]) != NULL;
	pfree(head);

	return found;
}

/*
 * syntax_error_context
 *		Say where in the script a syntax error is.
 *
 * The parser's position counts from the start of the script, but the client
 * sent another text (a call of upg_apply), so the position is moved to the
 * internal query, of which only the lines around the error are sent.
 */
static void
syntax_error_context(void *arg)
{
	ScriptContext *state = arg;
	int cursor = geterrposition();
	int line, column, offset, begin, end;

	if (cursor <= 0)
		return;

	offset = pg_mbcharcliplen(state->text, strlen(state->text), cursor - 1);
	upg_script_position(state->text, offset, &line, &column);
	begin = offset;
	while (begin > 0 && state->text[begin - 1] != '\n')
		begin--;
	end = offset;
	while (state->text[end] != '\0' && state->text[end] != '\n')
		end++;
	if (end - begin <= EXCERPT_LENGTH)
	{
		errposition(0);
		internalerrposition(column);
		internalerrquery(pnstrdup(state->text + begin, end - begin));
	}
	else
		errposition(0);
	errcontext("script line %d, column %d", line, column);
}

/*
 * upg_script_position
 *		Line and column (in characters), both 1-based, of a byte offset.
 */
void
upg_script_position(const char *text, int offset, int *line, int *column)
{
	int seen = 0;

	*line = 1;
	*column = 1;
	while (seen < offset && text[seen] != '\0')
	{
		if (text[seen] == '\n')
		{
			(*line)++;
			*column = 1;
			seen++;
		}
		else
		{
			seen += pg_mblen(text + seen);
			(*column)++;
		}
	}
}

/*
 * upg_script_excerpt
 *		The text of a statement for the history, cut to a bearable length.
 */
char *
upg_script_excerpt(const UpgScript *script, const UpgStatement *stmt)
{
	const char *start = script->text + stmt->start;
	int length;

	if (stmt->length <= EXCERPT_LENGTH)
		return pnstrdup(start, stmt->length);

	length = pg_mbcliplen(start, stmt->length, EXCERPT_LENGTH);
	return psprintf("%.*s ...", length, start);
}

/*
 * upg_script_step_text
 *		The part of the script that a step runs.
 */
char *
upg_script_step_text(const UpgScript *script, const UpgStep *step)
{
	UpgStatement *first = &script->statements[step->first - 1];
	UpgStatement *last = &script->statements[step->last - 1];

	return pnstrdup(script->text + first->start,
					last->start + last->length - first->start);
}

/*
 * upg_script_sha256
 *		SHA-256 of some bytes, into 32 bytes at "sha256".
 */
void
upg_script_sha256(const char *text, size_t length, uint8 *sha256)
{
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);

	if (ctx == NULL || pg_cryptohash_init(ctx) < 0 ||
		pg_cryptohash_update(ctx, (const uint8 *) text, length) < 0 ||
		pg_cryptohash_final(ctx, sha256, UPG_SHA256_LENGTH) < 0)
		elog(ERROR, "could not compute a SHA-256 checksum");
	pg_cryptohash_free(ctx);
}

/* A token with a value, for upg_script_checksums(): kind, length, colon, value. */
static void
add_token(StringInfo tokens, char kind, const char *value)
{
	char digits[MAXINT8LEN + 1];
	int length = strlen(value);

	appendStringInfoChar(tokens, kind);
	appendBinaryStringInfo(tokens, digits, pg_ultoa_n(length, digits));
	appendStringInfoChar(tokens, ':');
	appendBinaryStringInfo(tokens, value, length);
}

/*
 * upg_script_checksums
 *		Both checksums of a script.
 *
 * The meaning is hashed over the tokens of the server's scanner: for each its
 * number and, where it has one, its value, so comments, layout and the case of
 * unquoted names do not count.  A script that cannot be scanned (psql's COPY
 * data in it) has no meaning checksum; the error of the scanner is not ours to
 * report here, the parser will.
 */
void
upg_script_checksums(const char *text, int length, UpgChecksums *checksums)
{
	MemoryContext caller = CurrentMemoryContext;
	pg_cryptohash_ctx *volatile ctx = NULL;

	upg_script_sha256(text, length, checksums->sha256);
	checksums->has_meaning = false;

	PG_TRY();
	{
		core_yyscan_t scanner;
		core_yy_extra_type extra;
		core_YYSTYPE value;
		YYLTYPE location;
		StringInfoData tokens;
		int token;

		scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);
		ctx = pg_cryptohash_create(PG_SHA256);
		if (ctx == NULL || pg_cryptohash_init(ctx) < 0)
			elog(ERROR, "could not compute a SHA-256 checksum");

		initStringInfo(&tokens);
		while ((token = core_yylex(&value, &location, scanner)) != 0)
		{
			switch (token)
			{
				case UPG_TOKEN_IDENT:
				case UPG_TOKEN_UIDENT:
					add_token(&tokens, 'i', value.str);
					break;
				case UPG_TOKEN_SCONST:
				case UPG_TOKEN_USCONST:
					add_token(&tokens, 's', value.str);
					break;
				case UPG_TOKEN_FCONST:
				case UPG_TOKEN_BCONST:
				case UPG_TOKEN_XCONST:
				case UPG_TOKEN_OP:
					add_token(&tokens, 'c', value.str);
					break;
				case UPG_TOKEN_ICONST:
				case UPG_TOKEN_PARAM:
					appendStringInfo(&tokens, "n%d:%d;", token, value.ival);
					break;
				default:
					/* Numbers of keywords change from major to major, their names do not. */
					if (token > UPG_TOKEN_LAST_FIXED)
						add_token(&tokens, 'k', value.keyword);
					else
						appendStringInfo(&tokens, "t%d;", token);
					break;
			}
			if (tokens.len < TOKENS_CHUNK)
				continue;
			if (pg_cryptohash_update(ctx, (uint8 *) tokens.data, tokens.len) < 0)
				elog(ERROR, "could not compute a SHA-256 checksum");
			resetStringInfo(&tokens);
		}
		if (pg_cryptohash_update(ctx, (uint8 *) tokens.data, tokens.len) < 0 ||
			pg_cryptohash_final(ctx, checksums->meaning, UPG_SHA256_LENGTH) < 0)
			elog(ERROR, "could not compute a SHA-256 checksum");
		scanner_finish(scanner);
		pfree(tokens.data);
		checksums->has_meaning = true;
	}
	PG_CATCH();
	{
		MemoryContext errors = MemoryContextSwitchTo(caller);
		ErrorData *edata = CopyErrorData();

		(void) errors;
		if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		FlushErrorState();
		FreeErrorData(edata);
	}
	PG_END_TRY();

	if (ctx != NULL)
		pg_cryptohash_free(ctx);
}
