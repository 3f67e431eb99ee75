/*-------------------------------------------------------------------------
 *
 * invariant.c
 *		Declared invariants: what must hold, or stay equal, through an upgrade.
 *
 * An invariant is a query and the way its result is judged.  For common cases
 * (row counts, sums, foreign keys, uniqueness, nulls, contents) the query is
 * made here from a relation and columns.  It runs with the rights of the role
 * that declared it, as a view's does, whoever applies the migration: otherwise
 * somebody who may declare could have a superuser run his functions.
 *
 * Names in a query must be qualified: it is parsed with pg_catalog alone in
 * search_path, when it is declared and whenever it is run.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/invariant.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "audit.h"
#include "compat.h"
#include "errors.h"
#include "ledger.h"
#include "source.h"
#include "spi.h"
#include "verify.h"

PG_FUNCTION_INFO_V1(upg_invariant_declare);
PG_FUNCTION_INFO_V1(upg_invariant_drop);

/* Arguments of upg_invariant_declare(). */
typedef struct Declaration
{
	char *name;
	char *kind;
	char *query;
	Oid rel;
	List *columns;
	Oid refs;
	List *ref_columns;
	List *key;
	List *scope;
	char *severity;
	char *description;
	const char *verdict;
} Declaration;

/* A kind of invariant, and what it needs. */
typedef struct Kind
{
	const char *name;
	const char *verdict;
	bool query; /* given by the caller, not made from a relation */
	bool columns;
	bool refs;
} Kind;

static const Kind kinds[] = {
	{"content", "checksum", false, false, false},
	{"empty", "empty", true, false, false},
	{"equal", "equal", true, false, false},
	{"foreign_key", "empty", false, true, true},
	{"not_null", "empty", false, true, false},
	{"row_count", "equal", false, false, false},
	{"sum", "equal", false, true, false},
	{"true", "true", true, false, false},
	{"unique", "empty", false, true, false},
};

static const Kind *find_kind(const char *name);
static void check_declaration(const Declaration *decl, const Kind *kind);
static void check_column_names(Oid rel, List *columns, const char *what);
static char *naming_columns(const Declaration *decl);
static bool rel_has_ctid(Oid relid);
static char *make_query(const Declaration *decl, const Kind *kind);
static void try_query(Declaration *decl);
static List *qualified_names(List *names);
static char *qualified_name(Oid relid);
static void check_owner(const char *name);
static void invalid(const char *message, const char *hint);

/* An argument that is text; NULL if it is null. */
static char *
text_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/*
 * upg_invariant_declare
 *		Declare an invariant, or declare it anew.
 */
Datum
upg_invariant_declare(PG_FUNCTION_ARGS)
{
	static UpgQuery query = {
		"INSERT INTO upg.invariants (name, kind, verdict, query, relation, columns, key,"
		" scope, severity, description, owner, declared_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
		" ON CONFLICT (name) DO UPDATE SET kind = excluded.kind,"
		" verdict = excluded.verdict, query = excluded.query,"
		" relation = excluded.relation, columns = excluded.columns, key = excluded.key,"
		" scope = excluded.scope, severity = excluded.severity,"
		" description = excluded.description, owner = excluded.owner,"
		" declared_at = excluded.declared_at",
		SPI_OK_INSERT,
		12,
		{TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID,
		 TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}};
	Declaration decl;
	const Kind *kind;
	Datum values[12];
	char nulls[12];
	UpgBooks books;
	StringInfoData after;
	char *owner = GetUserNameFromId(GetUserId(), false);

	upg_require_writable("upg_invariant_declare()");
	memset(&decl, 0, sizeof(decl));
	decl.name = text_argument(fcinfo, 0);
	decl.kind = text_argument(fcinfo, 1);
	decl.query = text_argument(fcinfo, 2);
	decl.rel = PG_ARGISNULL(3) ? InvalidOid : PG_GETARG_OID(3);
	decl.columns = upg_names_argument(fcinfo, 4, "columns");
	decl.refs = PG_ARGISNULL(5) ? InvalidOid : PG_GETARG_OID(5);
	decl.ref_columns = upg_names_argument(fcinfo, 6, "ref_columns");
	decl.key = upg_names_argument(fcinfo, 7, "key");
	decl.scope = qualified_names(upg_names_argument(fcinfo, 8, "scope"));
	decl.severity = text_argument(fcinfo, 9);
	decl.description = text_argument(fcinfo, 10);

	if (decl.name == NULL || decl.name[0] == '\0')
		invalid("an invariant needs a name", "Give it one, at most 255 characters long.");
	upg_check_name(decl.name);
	if (decl.kind == NULL)
		invalid("an invariant needs a kind", "See docs/verification.md for the kinds.");
	kind = find_kind(decl.kind);
	decl.verdict = kind->verdict;
	check_declaration(&decl, kind);
	check_owner(decl.name);
	if (!kind->query)
	{
		decl.query = make_query(&decl, kind);
		if (decl.scope == NIL)
			decl.scope = list_make1(qualified_name(decl.rel));
		if (kind->refs)
			decl.scope = lappend(decl.scope, qualified_name(decl.refs));
	}
	if (strcmp(decl.verdict, "checksum") != 0)
		try_query(&decl);

	memset(nulls, ' ', sizeof(nulls));
	values[0] = CStringGetTextDatum(decl.name);
	values[1] = CStringGetTextDatum(decl.kind);
	values[2] = CStringGetTextDatum(decl.verdict);
	values[3] = CStringGetTextDatum(decl.query);
	if (OidIsValid(decl.rel))
		values[4] = CStringGetTextDatum(qualified_name(decl.rel));
	else
		nulls[4] = 'n';
	values[5] = upg_text_array(decl.columns);
	if (decl.columns == NIL)
		nulls[5] = 'n';
	values[6] = upg_text_array(decl.key);
	values[7] = upg_text_array(decl.scope);
	values[8] = CStringGetTextDatum(decl.severity);
	if (decl.description != NULL)
		values[9] = CStringGetTextDatum(decl.description);
	else
		nulls[9] = 'n';
	values[10] = CStringGetTextDatum(owner);
	values[11] = TimestampTzGetDatum(GetCurrentTimestamp());
	upg_books_open(&books);
	upg_query(&query, values, nulls);
	upg_books_close(&books);

	initStringInfo(&after);
	appendStringInfoString(&after, "{\"kind\":");
	escape_json(&after, decl.kind);
	appendStringInfoString(&after, ",\"query\":");
	escape_json(&after, decl.query);
	appendStringInfoString(&after, ",\"severity\":");
	escape_json(&after, decl.severity);
	appendStringInfoString(&after, ",\"owner\":");
	escape_json(&after, owner);
	appendStringInfoChar(&after, '}');
	upg_audit_add("invariant.declared", decl.name, NULL, after.data);

	PG_RETURN_VOID();
}

/*
 * upg_invariant_drop
 *		Take an invariant back; its past results stay.
 */
Datum
upg_invariant_drop(PG_FUNCTION_ARGS)
{
	static UpgQuery query = {
		"DELETE FROM upg.invariants WHERE name = $1", SPI_OK_DELETE, 1, {TEXTOID}};
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Datum value = CStringGetTextDatum(name);
	UpgBooks books;
	uint64 deleted;

	upg_require_writable("upg_invariant_drop()");
	check_owner(name);
	upg_books_open(&books);
	upg_query(&query, &value, NULL);
	deleted = SPI_processed;
	upg_books_close(&books);
	if (deleted == 0)
		ereport(ERROR, (errcode(ERRCODE_UPG_INVARIANT),
						errmsg("invariant \"%s\" is not declared", name),
						errhint("upg.invariants lists those that are.")));
	upg_audit_add("invariant.dropped", name, NULL, NULL);

	PG_RETURN_VOID();
}

/*
 * upg_invariants_load
 *		All invariants as checks, by name.
 */
List *
upg_invariants_load(void)
{
	static UpgQuery query = {
		"SELECT i.name, i.kind, i.verdict, i.query, i.relation, i.columns, i.key,"
		" i.scope, i.severity, i.owner,"
		" (SELECT coalesce(sum(pg_catalog.pg_relation_size(c.oid)), 0)"
		" FROM pg_catalog.unnest(i.scope) s(rel)"
		" JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(s.rel)),"
		" pg_catalog.to_regclass(i.relation)::pg_catalog.oid"
		" FROM upg.invariants i ORDER BY i.name COLLATE \"C\"",
		SPI_OK_SELECT,
		0,
		{0}};
	MemoryContext caller = CurrentMemoryContext;
	List *checks = NIL;
	UpgBooks books;

	upg_books_open(&books);
	upg_query(&query, NULL, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);
		UpgInvariant *invariant = palloc0(sizeof(UpgInvariant));
		UpgCheck *check = &invariant->check;
		char *verdict = upg_result_text(i, 3);
		char *bytes = upg_result_text(i, 11);
		bool isnull;
		Datum value;

		check->name = upg_result_text(i, 1);
		check->kind = upg_result_text(i, 2);
		check->query = upg_result_text(i, 4);
		check->relation = upg_result_text(i, 5);
		value = upg_result_datum(i, 6, &isnull);
		if (!isnull)
			check->columns = upg_text_array_to_list(DatumGetArrayTypeP(value), "columns");
		value = upg_result_datum(i, 7, &isnull);
		if (!isnull)
			check->key = upg_text_array_to_list(DatumGetArrayTypeP(value), "key");
		value = upg_result_datum(i, 8, &isnull);
		if (!isnull)
			invariant->scope = upg_text_array_to_list(DatumGetArrayTypeP(value), "scope");
		check->warning = strcmp(upg_result_text(i, 9), "warning") == 0;
		check->owner = upg_result_text(i, 10);
		value = upg_result_datum(i, 12, &isnull);
		check->relid = isnull ? InvalidOid : DatumGetObjectId(value);
		check->bytes = bytes == NULL ? 0 : strtod(bytes, NULL);
		check->verdict = strcmp(verdict, "true") == 0    ? UPG_VERDICT_TRUE
						 : strcmp(verdict, "empty") == 0 ? UPG_VERDICT_EMPTY
						 : strcmp(verdict, "equal") == 0 ? UPG_VERDICT_EQUAL
														 : UPG_VERDICT_CHECKSUM;
		checks = lappend(checks, invariant);
		MemoryContextSwitchTo(old);
	}
	upg_books_close(&books);
	return checks;
}

static const Kind *
find_kind(const char *name)
{
	StringInfoData known;

	initStringInfo(&known);
	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
		appendStringInfo(&known, "%s%s", i > 0 ? ", " : "", kinds[i].name);
	}
	ereport(ERROR, (errcode(ERRCODE_UPG_INVARIANT),
					errmsg("unrecognized kind of invariant \"%s\"", name),
					errdetail("Kinds are %s.", known.data)));
}

pg_noreturn static void
invalid(const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_UPG_INVARIANT), errmsg("%s", message), errhint("%s", hint)));
}

/*
 * check_declaration
 *		Are the arguments those that the kind needs, and no others?
 */
static void
check_declaration(const Declaration *decl, const Kind *kind)
{
	if (decl->severity == NULL ||
		(strcmp(decl->severity, "error") != 0 && strcmp(decl->severity, "warning") != 0))
		invalid("invalid severity of an invariant", "It is \"error\" or \"warning\".");
	if (kind->query)
	{
		if (decl->query == NULL)
			invalid(psprintf("an invariant of kind \"%s\" needs a query", kind->name),
					"Give it with \"query\".");
		if (OidIsValid(decl->rel) || decl->columns != NIL || OidIsValid(decl->refs) ||
			decl->ref_columns != NIL)
			invalid(psprintf("an invariant of kind \"%s\" is made of its query alone",
							 kind->name),
					"Leave rel, columns, refs and ref_columns out; say with \"scope\" "
					"which relations it speaks of.");
	}
	else
	{
		if (decl->query != NULL)
			invalid(psprintf("the query of an invariant of kind \"%s\" is made from a "
							 "relation",
							 kind->name),
					"Use kind \"true\", \"empty\" or \"equal\" for a query of your own.");
		if (!OidIsValid(decl->rel))
			invalid(psprintf("an invariant of kind \"%s\" needs a relation", kind->name),
					"Give it with \"rel\".");
		if (kind->columns && decl->columns == NIL)
			invalid(psprintf("an invariant of kind \"%s\" needs columns", kind->name),
					"Give them with \"columns\".");
		if (kind->refs && !OidIsValid(decl->refs))
			invalid("an invariant of kind \"foreign_key\" needs a referenced relation",
					"Give it with \"refs\", its columns with \"ref_columns\".");
		if (!kind->refs && (OidIsValid(decl->refs) || decl->ref_columns != NIL))
			invalid(
				psprintf("an invariant of kind \"%s\" references nothing", kind->name),
				"Leave refs and ref_columns out.");
		if (kind->refs && decl->ref_columns != NIL &&
			list_length(decl->ref_columns) != list_length(decl->columns))
			invalid("columns and ref_columns are not of the same number",
					"Each column references one.");
		check_column_names(decl->rel, decl->columns, "columns");
		check_column_names(decl->refs, decl->ref_columns, "ref_columns");
	}
	if (decl->key != NIL && strcmp(kind->verdict, "equal") != 0)
		invalid(psprintf("an invariant of kind \"%s\" has no key", kind->name),
				"A key tells the rows of the results of kind \"equal\" apart.");
}

static void
check_column_names(Oid rel, List *columns, const char *what)
{
	ListCell *lc;

	foreach (lc, columns)
		if (get_attnum(rel, lfirst(lc)) == InvalidAttrNumber)
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
							errmsg("column \"%s\" in \"%s\" does not exist",
								   (char *) lfirst(lc), what),
							errdetail("The relation is %s.", qualified_name(rel))));
}

/* Names as a list of columns, each with a prefix. */
static char *
column_list(List *names, const char *prefix, const char *separator)
{
	StringInfoData list;
	ListCell *lc;

	initStringInfo(&list);
	foreach (lc, names)
		appendStringInfo(&list, "%s%s%s", list.len > 0 ? separator : "", prefix,
						 quote_identifier(lfirst(lc)));
	return list.data;
}

/*
 * naming_columns
 *		What names a row in violation: its primary key, or where it lies, and the
 *		columns of the invariant.
 */
static char *
naming_columns(const Declaration *decl)
{
	Relation rel = relation_open(decl->rel, AccessShareLock);
	List *names = NIL;
	List *key = NIL;
	ListCell *lc;

	if (rel->rd_rel->relkind == RELKIND_RELATION ||
		rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		Oid primary;

		(void) RelationGetIndexList(rel);
		primary = upg_primary_key_index(rel);
		if (OidIsValid(primary))
		{
			Relation index = index_open(primary, AccessShareLock);

			for (int i = 0; i < index->rd_index->indnkeyatts; i++)
				key = lappend(key, get_attname(decl->rel,
											   index->rd_index->indkey.values[i], false));
			index_close(index, AccessShareLock);
		}
	}
	relation_close(rel, NoLock);
	names = list_copy(key);
	foreach (lc, decl->columns)
		if (!upg_name_in(names, lfirst(lc)))
			names = lappend(names, lfirst(lc));
	return psprintf("%s%s", key == NIL && rel_has_ctid(decl->rel) ? "t.ctid, " : "",
					column_list(names, "t.", ", "));
}

/* Views have no rows of their own, so theirs have no place. */
static bool
rel_has_ctid(Oid relid)
{
	char kind = get_rel_relkind(relid);

	return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE ||
		   kind == RELKIND_MATVIEW;
}

/*
 * make_query
 *		The query of a kind that is made from a relation.
 */
static char *
make_query(const Declaration *decl, const Kind *kind)
{
	char *rel = qualified_name(decl->rel);
	StringInfoData sql;
	ListCell *lc, *lc2;

	initStringInfo(&sql);
	if (strcmp(kind->name, "content") == 0)
		appendStringInfo(&sql, "TABLE %s", rel);
	else if (strcmp(kind->name, "row_count") == 0)
		appendStringInfo(&sql, "SELECT count(*) AS rows FROM %s", rel);
	else if (strcmp(kind->name, "sum") == 0)
	{
		appendStringInfoString(&sql, "SELECT count(*) AS rows");
		foreach (lc, decl->columns)
			appendStringInfo(&sql, ", sum(%s) AS %s", quote_identifier(lfirst(lc)),
							 quote_identifier(lfirst(lc)));
		appendStringInfo(&sql, " FROM %s", rel);
	}
	else if (strcmp(kind->name, "not_null") == 0)
		/* a function, because the planner knows what IS NULL means for NOT NULL */
		appendStringInfo(&sql, "SELECT %s FROM %s AS t WHERE num_nulls(%s) > 0",
						 naming_columns(decl), rel,
						 column_list(decl->columns, "t.", ", "));
	else if (strcmp(kind->name, "unique") == 0)
		appendStringInfo(&sql,
						 "SELECT %s, count(*) AS copies FROM %s AS t"
						 " WHERE num_nulls(%s) = 0 GROUP BY %s HAVING count(*) > 1",
						 column_list(decl->columns, "t.", ", "), rel,
						 column_list(decl->columns, "t.", ", "),
						 column_list(decl->columns, "t.", ", "));
	else
	{
		List *refs = decl->ref_columns != NIL ? decl->ref_columns : decl->columns;

		check_column_names(decl->refs, refs, "ref_columns");
		appendStringInfo(&sql,
						 "SELECT %s FROM %s AS t WHERE num_nulls(%s) = 0"
						 " AND NOT EXISTS (SELECT FROM %s AS r WHERE ",
						 naming_columns(decl), rel,
						 column_list(decl->columns, "t.", ", "),
						 qualified_name(decl->refs));
		forboth (lc, decl->columns, lc2, refs)
			appendStringInfo(&sql, "%sr.%s = t.%s",
							 lc == list_head(decl->columns) ? "" : " AND ",
							 quote_identifier(lfirst(lc2)), quote_identifier(lfirst(lc)));
		appendStringInfoChar(&sql, ')');
	}
	return sql.data;
}

/*
 * try_query
 *		Is it one query that can be planned as it will be run?
 */
static void
try_query(Declaration *decl)
{
	List *parsed = raw_parser(decl->query, RAW_PARSE_DEFAULT);
	char *wrapped = psprintf("SELECT * FROM (%s\n) AS q", decl->query);
	int level;
	SPIPlanPtr plan;
	CachedPlanSource *source;
	TupleDesc desc;

	if (list_length(parsed) != 1 ||
		!IsA(linitial_node(RawStmt, parsed)->stmt, SelectStmt))
		invalid("the query of an invariant must be one SELECT",
				"Leave out semicolons and other statements.");

	level = NewGUCNestLevel();
	RestrictSearchPath();
	SPI_connect();
	plan = SPI_prepare(wrapped, 0, NULL);
	if (plan == NULL || list_length(SPI_plan_get_plan_sources(plan)) != 1)
		invalid("the query of an invariant must be one SELECT",
				"Leave out semicolons and other statements.");
	source = linitial(SPI_plan_get_plan_sources(plan));
	desc = source->resultDesc;
	if (strcmp(decl->verdict, "true") == 0 &&
		(desc == NULL || desc->natts != 1 || TupleDescAttr(desc, 0)->atttypid != BOOLOID))
		invalid(
			"the query of an invariant of kind \"true\" must return one boolean column",
			"Use kind \"empty\" for a query that returns rows in violation.");
	if (strcmp(decl->verdict, "equal") == 0)
	{
		ListCell *lc;

		foreach (lc, decl->key)
		{
			bool found = false;

			for (int i = 0; i < desc->natts; i++)
				found |=
					strcmp(NameStr(TupleDescAttr(desc, i)->attname), lfirst(lc)) == 0;
			if (!found)
				ereport(ERROR,
						(errcode(ERRCODE_UNDEFINED_COLUMN),
						 errmsg("key column \"%s\" is not in the result of the query",
								(char *) lfirst(lc))));
		}
	}
	SPI_finish();
	AtEOXact_GUC(false, level);
}

/* The names of relations, as they are compared: qualified and quoted. */
static List *
qualified_names(List *names)
{
	List *result = NIL;
	ListCell *lc;

	foreach (lc, names)
	{
		Oid relid = DatumGetObjectId(
			DirectFunctionCall1(regclassin, CStringGetDatum(lfirst(lc))));

		result = lappend(result, qualified_name(relid));
	}
	return result;
}

static char *
qualified_name(Oid relid)
{
	char *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name);
}

/*
 * check_owner
 *		Only who has the rights of its owner may change an invariant.
 */
static void
check_owner(const char *name)
{
	static UpgQuery query = {
		"SELECT owner FROM upg.invariants WHERE name = $1 FOR UPDATE",
		SPI_OK_SELECT,
		1,
		{TEXTOID}};
	Datum value = CStringGetTextDatum(name);
	MemoryContext caller = CurrentMemoryContext;
	char *owner = NULL;
	UpgBooks books;
	Oid role;

	upg_books_open(&books);
	upg_query(&query, &value, NULL);
	if (SPI_processed > 0)
		owner = MemoryContextStrdup(caller, upg_result_text(0, 1));
	upg_books_close(&books);
	if (owner == NULL || superuser())
		return;
	role = get_role_oid(owner, true);
	if (!OidIsValid(role) || !has_privs_of_role(GetUserId(), role))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied for invariant \"%s\"", name),
						errdetail("It was declared by role \"%s\".", owner)));
}
