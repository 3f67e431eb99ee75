/*-------------------------------------------------------------------------
 *
 * image.c
 *		Parts of the description of an object, for sql/install/66_schema_image.sql.
 *
 * As SQL functions they are planned anew for each statement that calls them,
 * which took most of the time to describe a few objects.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/image.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_description.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(upg_image_relation);
PG_FUNCTION_INFO_V1(upg_image_acl);
PG_FUNCTION_INFO_V1(upg_image_options);
PG_FUNCTION_INFO_V1(upg_image_comment);

static const char *
kind_of(char relkind)
{
	switch (relkind)
	{
		case RELKIND_VIEW:
			return "view";
		case RELKIND_MATVIEW:
			return "materialized view";
		case RELKIND_SEQUENCE:
			return "sequence";
		case RELKIND_FOREIGN_TABLE:
			return "foreign table";
		case RELKIND_COMPOSITE_TYPE:
			return "type";
		case RELKIND_INDEX:
		case RELKIND_PARTITIONED_INDEX:
			return "index";
		default:
			return "table";
	}
}

/*
 * upg_image_relation
 *		What an image calls a relation; null if there is none.
 */
Datum
upg_image_relation(PG_FUNCTION_ARGS)
{
	HeapTuple tuple = SearchSysCache1(RELOID, PG_GETARG_DATUM(0));
	Form_pg_class form;
	char *schema;
	char *name;

	if (!HeapTupleIsValid(tuple))
		PG_RETURN_NULL();
	form = (Form_pg_class) GETSTRUCT(tuple);
	schema = get_namespace_name(form->relnamespace);
	if (schema == NULL)
	{
		ReleaseSysCache(tuple);
		PG_RETURN_NULL();
	}
	name = psprintf("%s %s", kind_of(form->relkind),
					quote_qualified_identifier(schema, NameStr(form->relname)));
	ReleaseSysCache(tuple);
	PG_RETURN_TEXT_P(cstring_to_text(name));
}

static int
compare_words(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Words in the order of their bytes, with commas between; NULL if there are none. */
static char *
sorted_list(char **words, int n)
{
	StringInfoData list;

	if (n == 0)
		return NULL;
	qsort(words, n, sizeof(char *), compare_words);
	initStringInfo(&list);
	for (int i = 0; i < n; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", words[i]);
	return list.data;
}

static char *
acl_list(Acl *acl)
{
	int n = ACL_NUM(acl);
	AclItem *items = ACL_DAT(acl);
	char **words = palloc(sizeof(char *) * Max(n, 1));

	for (int i = 0; i < n; i++)
		words[i] =
			DatumGetCString(DirectFunctionCall1(aclitemout, PointerGetDatum(&items[i])));
	return sorted_list(words, n);
}

/*
 * upg_image_acl
 *		Privileges as sorted text, null if they are the default ones.
 */
Datum
upg_image_acl(PG_FUNCTION_ARGS)
{
	Acl *acl = PG_GETARG_ACL_P(0);
	Acl *usual = DatumGetAclP(
		DirectFunctionCall2(acldefault_sql, PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)));
	char *list = acl_list(acl);
	char *natural = acl_list(usual);

	if (list == NULL)
		list = "none";
	if (natural != NULL && strcmp(list, natural) == 0)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(list));
}

/*
 * upg_image_options
 *		Storage options as sorted text; the hidden version of a column is none.
 */
Datum
upg_image_options(PG_FUNCTION_ARGS)
{
	Datum *elems;
	bool *nulls;
	int n;
	int m = 0;
	char **words;
	char *list;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &elems,
					  &nulls, &n);
	words = palloc(sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		char *word = nulls[i] ? NULL : TextDatumGetCString(elems[i]);

		if (word != NULL && strncmp(word, "pg_attver=", strlen("pg_attver=")) != 0)
			words[m++] = word;
	}
	list = sorted_list(words, m);
	if (list == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(list));
}

/*
 * upg_image_comment
 *		The comment on an object, by catalog, OID and column.
 */
Datum
upg_image_comment(PG_FUNCTION_ARGS)
{
	Relation rel = table_open(DescriptionRelationId, AccessShareLock);
	ScanKeyData keys[3];
	SysScanDesc scan;
	HeapTuple tuple;
	Datum comment = (Datum) 0;
	bool isnull = true;

	ScanKeyInit(&keys[0], Anum_pg_description_objoid, BTEqualStrategyNumber, F_OIDEQ,
				PG_GETARG_DATUM(1));
	ScanKeyInit(&keys[1], Anum_pg_description_classoid, BTEqualStrategyNumber, F_OIDEQ,
				PG_GETARG_DATUM(0));
	ScanKeyInit(&keys[2], Anum_pg_description_objsubid, BTEqualStrategyNumber, F_INT4EQ,
				PG_GETARG_DATUM(2));
	scan = systable_beginscan(rel, DescriptionObjIndexId, true, NULL, 3, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		comment = heap_getattr(tuple, Anum_pg_description_description,
							   RelationGetDescr(rel), &isnull);
		if (!isnull)
			comment = PointerGetDatum(PG_DETOAST_DATUM_COPY(comment));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(comment);
}
