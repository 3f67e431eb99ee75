/*-------------------------------------------------------------------------
 *
 * options.c
 *		The jsonb argument "options" of upg's functions.
 *
 * An unrecognized key is an error: a misspelt option that is ignored is found
 * out on the night it was meant for.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/options.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "catalog/namespace.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/regproc.h"
#include "utils/varlena.h"

#include "compat.h"
#include "down_check.h"
#include "drift.h"
#include "errors.h"
#include "options.h"
#include "script.h"
#include "undo.h"
#include "upg.h"
#include "verify.h"

typedef struct OptionDef
{
	const char *name;
	int use; /* bits of UpgOptionUse */
} OptionDef;

#define APPLYING (UPG_OPTION_APPLY | UPG_OPTION_BEGIN)

static const OptionDef option_defs[] = {
	{"adopted_from", UPG_OPTION_APPLY},
	{"after", APPLYING},
	{"cascade", UPG_OPTION_ROLLBACK},
	{"down_check", APPLYING},
	{"drift", APPLYING},
	{"dry_run", UPG_OPTION_ROLLBACK},
	{"fill", UPG_OPTION_ROLLBACK | UPG_OPTION_PUT_BACK},
	{"footprint", APPLYING},
	{"lock_retries", APPLYING | UPG_OPTION_ROLLBACK},
	{"lock_timeout", APPLYING | UPG_OPTION_ROLLBACK},
	{"method", UPG_OPTION_ROLLBACK},
	{"no_transaction", UPG_OPTION_APPLY},
	{"on_conflict", UPG_OPTION_ROLLBACK},
	{"order_key", APPLYING},
	{"out_of_order", APPLYING},
	{"reason", UPG_OPTION_ROLLBACK},
	{"replaces", UPG_OPTION_APPLY},
	{"sha256", UPG_OPTION_BEGIN},
	{"size", UPG_OPTION_BEGIN},
	{"source", APPLYING},
	{"undo", APPLYING},
	{"undo_digest", UPG_OPTION_ROLLBACK},
	{"upgrade", APPLYING | UPG_OPTION_ROLLBACK},
	{"verify", APPLYING | UPG_OPTION_ROLLBACK},
	{"verify_budget", APPLYING | UPG_OPTION_ROLLBACK},
};

static const OptionDef *find_option(const char *name, UpgOptionUse use);
static char *option_text(const char *name, JsonbValue *value);
static int64 option_number(const char *name, JsonbValue *value);
static bool option_bool(const char *name, JsonbValue *value);
static List *option_texts(const char *name, JsonbValue *value);
static int option_time(const char *name, JsonbValue *value);
static UpgMethod parse_method(const char *value);
static int parse_down_check(const char *value);
static int parse_drift(const char *value);
static void parse_on_conflict(UpgOptions *options, JsonbValue *value);
static void parse_fill(UpgOptions *options, JsonbValue *value);
static int parse_out_of_order(const char *value);
static uint8 *parse_sha256(const char *value);
pg_noreturn static void invalid_option(const char *name, const char *expected);

/*
 * upg_options_parse
 *		Read the options of a call; raises ERRCODE_UPG_INVALID_OPTION.
 */
UpgOptions *
upg_options_parse(Jsonb *given, UpgOptionUse use)
{
	UpgOptions *options = palloc0(sizeof(UpgOptions));
	JsonbIterator *it;
	JsonbValue key;
	JsonbIteratorToken token;

	options->out_of_order = upg_guc_out_of_order;
	options->undo = upg_guc_undo;
	options->verify = upg_guc_verify;
	options->verify_budget = upg_guc_verify_budget;
	options->down_check = upg_guc_down_check;
	options->drift = upg_guc_drift;
	options->lock_timeout = -1;
	options->lock_retries = -1;
	options->on_conflict = UPG_ON_CONFLICT_KEEP;
	options->given = given;

	if (!JB_ROOT_IS_OBJECT(given))
		ereport(ERROR, (errcode(ERRCODE_UPG_INVALID_OPTION),
						errmsg("options must be a JSON object")));

	it = JsonbIteratorInit(&given->root);
	(void) JsonbIteratorNext(&it, &key, true); /* WJB_BEGIN_OBJECT */
	while ((token = JsonbIteratorNext(&it, &key, true)) == WJB_KEY)
	{
		char *name = pnstrdup(key.val.string.val, key.val.string.len);
		const OptionDef *def = find_option(name, use);
		JsonbValue value;

		(void) JsonbIteratorNext(&it, &value, true);
		if (value.type == jbvNull)
			continue;

		if (strcmp(def->name, "cascade") == 0)
			options->cascade = option_bool(name, &value);
		else if (strcmp(def->name, "down_check") == 0)
			options->down_check = parse_down_check(option_text(name, &value));
		else if (strcmp(def->name, "drift") == 0)
			options->drift = parse_drift(option_text(name, &value));
		else if (strcmp(def->name, "dry_run") == 0)
			options->dry_run = option_bool(name, &value);
		else if (strcmp(def->name, "fill") == 0)
			parse_fill(options, &value);
		else if (strcmp(def->name, "on_conflict") == 0)
			parse_on_conflict(options, &value);
		else if (strcmp(def->name, "footprint") == 0)
			options->footprint = option_texts(name, &value);
		else if (strcmp(def->name, "replaces") == 0)
			options->replaces = option_texts(name, &value);
		else if (strcmp(def->name, "lock_retries") == 0)
			options->lock_retries = (int) Min(Max(option_number(name, &value), 0), 1000);
		else if (strcmp(def->name, "lock_timeout") == 0)
			options->lock_timeout = option_time(name, &value);
		else if (strcmp(def->name, "no_transaction") == 0)
			options->no_transaction = option_bool(name, &value);
		else if (strcmp(def->name, "order_key") == 0)
			options->order_key = option_text(name, &value);
		else if (strcmp(def->name, "out_of_order") == 0)
			options->out_of_order = parse_out_of_order(option_text(name, &value));
		else if (strcmp(def->name, "reason") == 0)
			options->reason = option_text(name, &value);
		else if (strcmp(def->name, "method") == 0)
			options->method = parse_method(option_text(name, &value));
		else if (strcmp(def->name, "undo") == 0)
			options->undo = upg_undo_mode_parse(option_text(name, &value));
		else if (strcmp(def->name, "undo_digest") == 0)
			options->undo_digest = option_text(name, &value);
		else if (strcmp(def->name, "sha256") == 0)
			options->sha256 = parse_sha256(option_text(name, &value));
		else if (strcmp(def->name, "size") == 0)
			options->size = option_number(name, &value);
		else if (strcmp(def->name, "upgrade") == 0)
			options->upgrade = option_number(name, &value);
		else if (strcmp(def->name, "verify") == 0)
			options->verify = upg_verify_level(option_text(name, &value));
		else if (strcmp(def->name, "verify_budget") == 0)
			options->verify_budget = option_time(name, &value) / 1000.0;
		else
			(void) option_text(name, &value); /* of others: kept as given */
	}

	return options;
}

/*
 * upg_options_merge
 *		Options that the books hold of a migration, under those given now.
 *
 * The run that it belonged to then is none of now.
 */
UpgOptions *
upg_options_merge(const char *stored, const UpgOptions *given)
{
	Datum merged = DirectFunctionCall1(jsonb_in, CStringGetDatum(stored));

	merged = DirectFunctionCall2(jsonb_delete, merged, CStringGetTextDatum("upgrade"));
	if (given->given != NULL)
		merged = DirectFunctionCall2(jsonb_concat, merged, JsonbPGetDatum(given->given));
	return upg_options_parse(DatumGetJsonbP(merged), UPG_OPTION_APPLY | UPG_OPTION_BEGIN);
}

/*
 * upg_options_of_undo
 *		What the options of a rollback mean to the undo.
 */
void
upg_options_of_undo(const UpgOptions *options, UpgUndoOptions *undo)
{
	undo->dry_run = options->dry_run;
	undo->lock_timeout =
		options->lock_timeout >= 0 ? options->lock_timeout : upg_guc_lock_timeout;
	undo->lock_retries =
		options->lock_retries >= 0 ? options->lock_retries : upg_guc_lock_retries;
	undo->on_conflict = options->on_conflict;
	undo->policies = options->policies;
	undo->fills = options->fills;
}

static const OptionDef *
find_option(const char *name, UpgOptionUse use)
{
	StringInfoData known;

	initStringInfo(&known);
	for (int i = 0; i < lengthof(option_defs); i++)
	{
		if ((option_defs[i].use & use) == 0)
			continue;
		if (strcmp(option_defs[i].name, name) == 0)
			return &option_defs[i];
		appendStringInfo(&known, "%s%s", known.len > 0 ? ", " : "", option_defs[i].name);
	}
	ereport(ERROR, (errcode(ERRCODE_UPG_INVALID_OPTION),
					errmsg("unrecognized option \"%s\"", name),
					errdetail("This function takes %s.", known.data)));
}

static void
invalid_option(const char *name, const char *expected)
{
	ereport(ERROR, (errcode(ERRCODE_UPG_INVALID_OPTION),
					errmsg("invalid value of option \"%s\"", name),
					errdetail("It must be %s.", expected)));
}

static char *
option_text(const char *name, JsonbValue *value)
{
	if (value->type != jbvString)
		invalid_option(name, "a string");
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static int64
option_number(const char *name, JsonbValue *value)
{
	if (value->type != jbvNumeric)
		invalid_option(name, "a number");
	return DatumGetInt64(
		DirectFunctionCall1(numeric_int8, NumericGetDatum(value->val.numeric)));
}

static bool
option_bool(const char *name, JsonbValue *value)
{
	if (value->type != jbvBool)
		invalid_option(name, "true or false");
	return value->val.boolean;
}

static List *
option_texts(const char *name, JsonbValue *value)
{
	List *texts = NIL;
	JsonbIterator *it;
	JsonbValue element;
	JsonbIteratorToken token;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		invalid_option(name, "an array of strings");
	it = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (element.type != jbvString)
			invalid_option(name, "an array of strings");
		texts = lappend(texts, pnstrdup(element.val.string.val, element.val.string.len));
	}
	return texts;
}

static int
option_time(const char *name, JsonbValue *value)
{
	int ms;

	if (value->type == jbvNumeric)
		ms = (int) Min(Max(option_number(name, value), -1), INT_MAX);
	else if (!parse_int(option_text(name, value), &ms, GUC_UNIT_MS, NULL))
		invalid_option(
			name, "a number of milliseconds, or a time with its unit such as \"2s\"");
	if (ms < 0)
		invalid_option(name, "zero or more");
	return ms;
}

static int
parse_out_of_order(const char *value)
{
	if (strcmp(value, "allow") == 0)
		return UPG_ORDER_ALLOW;
	if (strcmp(value, "warn") == 0)
		return UPG_ORDER_WARN;
	if (strcmp(value, "refuse") == 0)
		return UPG_ORDER_REFUSE;
	invalid_option("out_of_order", "\"allow\", \"warn\" or \"refuse\"");
}

static uint8 *
parse_sha256(const char *value)
{
	uint8 *sha256 = palloc(UPG_SHA256_LENGTH);

	if (strlen(value) != 2 * UPG_SHA256_LENGTH ||
		strspn(value, "0123456789abcdefABCDEF") != 2 * UPG_SHA256_LENGTH)
		invalid_option("sha256", "64 hexadecimal digits");
	(void) hex_decode(value, 2 * UPG_SHA256_LENGTH, (char *) sha256);
	return sha256;
}

/* By what to roll back. */
static UpgMethod
parse_method(const char *value)
{
	if (strcmp(value, "given") == 0)
		return UPG_METHOD_GIVEN;
	if (strcmp(value, "undo") == 0)
		return UPG_METHOD_UNDO;
	invalid_option("method", "\"given\" or \"undo\"");
}

static UpgOnConflict
parse_policy(const char *value)
{
	if (strcmp(value, "keep") == 0)
		return UPG_ON_CONFLICT_KEEP;
	if (strcmp(value, "strict") == 0)
		return UPG_ON_CONFLICT_STRICT;
	if (strcmp(value, "discard") == 0)
		return UPG_ON_CONFLICT_DISCARD;
	invalid_option("on_conflict", "\"keep\", \"strict\" or \"discard\", or an object "
								  "of such by table");
}

/* The table that a person means. */
static Oid
option_table(const char *option, const char *name)
{
	Oid relation =
		RangeVarGetRelid(makeRangeVarFromNameList(upg_name_list(name)), NoLock, true);

	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_UPG_INVALID_OPTION),
				 errmsg("table \"%s\" in option \"%s\" does not exist", name, option),
				 errhint("Name it as it is called now, with its schema. Nothing was "
						 "changed.")));
	return relation;
}

/* One policy for all tables, or one by table, where "" stands for the others. */
static void
parse_on_conflict(UpgOptions *options, JsonbValue *value)
{
	JsonbIterator *it;
	JsonbValue element;
	char *table = NULL;
	JsonbIteratorToken token;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
	{
		options->on_conflict = parse_policy(option_text("on_conflict", value));
		return;
	}
	it = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			table = pnstrdup(element.val.string.val, element.val.string.len);
		else if (token == WJB_VALUE && *table == '\0')
			options->on_conflict = parse_policy(option_text("on_conflict", &element));
		else if (token == WJB_VALUE)
		{
			UpgTablePolicy *policy = palloc(sizeof(UpgTablePolicy));

			policy->relation = option_table("on_conflict", table);
			policy->policy = parse_policy(option_text("on_conflict", &element));
			options->policies = lappend(options->policies, policy);
		}
	}
}

/* Values by table and column: {"public.t.c": "value"}. */
static void
parse_fill(UpgOptions *options, JsonbValue *value)
{
	JsonbIterator *it;
	JsonbValue element;
	char *name = NULL;
	JsonbIteratorToken token;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		invalid_option("fill", "an object of values by table and column");
	it = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(element.val.string.val, element.val.string.len);
		else if (token == WJB_VALUE)
		{
			UpgFill *fill = palloc0(sizeof(UpgFill));
			List *names = upg_name_list(name);

			if (list_length(names) < 2)
				invalid_option("fill", "an object of values by table and column, such as "
									   "{\"public.t.c\": \"value\"}");
			fill->column = pstrdup(strVal(llast(names)));
			fill->relation = option_table("fill", NameListToQuotedString(list_truncate(
													  names, list_length(names) - 1)));
			fill->table = upg_qualified_name(fill->relation);
			fill->value = option_text("fill", &element);
			options->fills = lappend(options->fills, fill);
		}
	}
}

/*
 * upg_undo_mode_parse
 *		How much a migration wants its undo, by name.
 */
int
upg_undo_mode_parse(const char *value)
{
	if (strcmp(value, "none") == 0)
		return UPG_UNDO_NONE;
	if (strcmp(value, "best_effort") == 0)
		return UPG_UNDO_BEST_EFFORT;
	if (strcmp(value, "required") == 0)
		return UPG_UNDO_REQUIRED;
	invalid_option("undo", "\"none\", \"best_effort\" or \"required\"");
}

/*
 * upg_undo_mode_name
 *		The name that upg_undo_mode_parse() reads.
 */
const char *
upg_undo_mode_name(int mode)
{
	return mode == UPG_UNDO_REQUIRED      ? "required"
		   : mode == UPG_UNDO_BEST_EFFORT ? "best_effort"
										  : "none";
}

static int
parse_down_check(const char *value)
{
	if (strcmp(value, "off") == 0)
		return UPG_DOWN_CHECK_OFF;
	if (strcmp(value, "warn") == 0)
		return UPG_DOWN_CHECK_WARN;
	if (strcmp(value, "require") == 0)
		return UPG_DOWN_CHECK_REQUIRE;
	invalid_option("down_check", "\"off\", \"warn\" or \"require\"");
}

static int
parse_drift(const char *value)
{
	int mode = upg_drift_mode_parse(value);

	if (mode < 0)
		invalid_option("drift", "\"off\", \"warn\" or \"refuse\"");
	return mode;
}
