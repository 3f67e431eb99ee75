/*-------------------------------------------------------------------------
 *
 * job.c
 *		Which columns of a relation are compared, under which names, and which
 *		of them are the key.
 *
 * Names are those of the comparison.  A mapping gives, for some of them, what
 * stands for that name in this relation: another column, or an expression.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/job.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_largeobject_metadata.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "errors.h"
#include "ledger.h"
#include "source.h"

/*
 * upg_text_array_to_list
 *		The elements of an array as C strings; nulls are refused.
 */
List *
upg_text_array_to_list(ArrayType *array, const char *what)
{
	Datum *items;
	bool *nulls;
	int n;
	List *result = NIL;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("%s must be a one-dimensional array", what)));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &items, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("%s must not contain nulls", what)));
		result = lappend(result, TextDatumGetCString(items[i]));
	}
	return result;
}

/*
 * upg_names_argument
 *		Argument "n", an array of names, as such a list; NIL if it is null.
 */
List *
upg_names_argument(FunctionCallInfo fcinfo, int n, const char *what)
{
	return PG_ARGISNULL(n) ? NIL : upg_text_array_to_list(PG_GETARG_ARRAYTYPE_P(n), what);
}

/* Live attribute of a source by name, or NULL. */
static Form_pg_attribute
find_attribute(UpgSource *source, const char *name)
{
	for (int i = 0; i < source->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(source->desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return att;
	}
	return NULL;
}

/*
 * upg_source_attribute
 *		Attribute of a source by name, an error if there is none.
 */
Form_pg_attribute
upg_source_attribute(UpgSource *source, const char *name)
{
	Form_pg_attribute att = find_attribute(source, name);

	if (att == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("column \"%s\" of relation %s does not exist", name,
							   source->label)));
	return att;
}

/*
 * mapped
 *		What stands for a name in a mapping, or NULL.
 */
static char *
mapped(Jsonb *mapping, const char *name)
{
	JsonbValue key;
	JsonbValue *value;

	if (mapping == NULL)
		return NULL;
	key.type = jbvString;
	key.val.string.val = unconstify(char *, name);
	key.val.string.len = (int) strlen(name);
	value = findJsonbValueFromContainer(&mapping->root, JB_FOBJECT, &key);
	if (value == NULL)
		return NULL;
	if (value->type != jbvString)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("mapping of column \"%s\" must be a string", name),
						errhint("Give the name of a column or an SQL expression.")));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/*
 * mapping_names
 *		The names that a mapping maps.
 */
static List *
mapping_names(Jsonb *mapping)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue v;
	List *names = NIL;

	if (mapping == NULL)
		return NIL;
	if (!JB_ROOT_IS_OBJECT(mapping))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("mapping must be a JSON object"),
			 errhint("Write it as {\"name in the target\": \"column or expression\"}.")));
	it = JsonbIteratorInit(&mapping->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
		if (token == WJB_KEY)
			names = lappend(names, pnstrdup(v.val.string.val, v.val.string.len));
	return names;
}

/*
 * upg_job_names
 *		The names to be compared, as far as this relation can tell.
 *
 * Those in "columns"; or, if that is NIL, all that the mapping names and all
 * columns that it does not rename.  In both cases without those in "except".
 */
List *
upg_job_names(UpgSource *source, List *columns, List *except, Jsonb *mapping)
{
	List *maps = mapping_names(mapping);
	List *renamed = NIL;
	List *names = NIL;
	ListCell *lc;

	foreach (lc, columns)
	{
		if (upg_name_in(names, lfirst(lc)))
			ereport(ERROR, (errcode(ERRCODE_DUPLICATE_COLUMN),
							errmsg("column \"%s\" given twice", (char *) lfirst(lc))));
		if (!upg_name_in(except, lfirst(lc)))
			names = lappend(names, lfirst(lc));
	}
	if (columns != NIL)
		return names;

	foreach (lc, maps)
	{
		char *what = mapped(mapping, lfirst(lc));

		if (find_attribute(source, what) && strcmp(what, lfirst(lc)) != 0)
			renamed = lappend(renamed, what);
		if (!upg_name_in(except, lfirst(lc)))
			names = lappend(names, lfirst(lc));
	}
	for (int i = 0; i < source->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(source->desc, i);
		char *name = NameStr(att->attname);

		if (!att->attisdropped && !upg_name_in(except, name) &&
			!upg_name_in(maps, name) && !upg_name_in(renamed, name))
			names = lappend(names, pstrdup(name));
	}
	return names;
}

/*
 * warn_of_large_objects
 *		A number that may stand for a large object is hashed as a number.
 */
static void
warn_of_large_objects(UpgSource *source, Form_pg_attribute att)
{
	Relation objects;
	SysScanDesc scan;
	bool some;

	if (getBaseType(att->atttypid) != OIDOID)
		return;
	objects = table_open(LargeObjectMetadataRelationId, AccessShareLock);
	scan = systable_beginscan(objects, InvalidOid, false, NULL, 0, NULL);
	some = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(objects, AccessShareLock);
	if (some)
		ereport(WARNING,
				(errmsg("column \"%s\" of relation %s may refer to large objects, "
						"whose content is not covered",
						NameStr(att->attname), source->label),
				 errdetail("Its values are compared as numbers.")));
}

/*
 * upg_job_columns
 *		Set the columns of a job from the names to be compared.
 */
void
upg_job_columns(UpgScanJob *job, UpgSource *source, List *names, Jsonb *mapping)
{
	ListCell *lc;
	int n = 0;

	job->ncolumns = list_length(names);
	job->columns = palloc0(sizeof(UpgScanColumn) * Max(job->ncolumns, 1));
	foreach (lc, names)
	{
		UpgScanColumn *column = &job->columns[n++];
		char *what = mapped(mapping, lfirst(lc));

		column->name = lfirst(lc);
		column->attname = what ? what : lfirst(lc);
		if (what && find_attribute(source, what) == NULL)
		{
			upg_check_expression(what, "mapping");
			column->expr = what;
		}
		else
			warn_of_large_objects(source, upg_source_attribute(source, column->attname));
	}
}

/*
 * upg_job_keys
 *		Set the key of a job, whose columns are set already.
 */
void
upg_job_keys(UpgScanJob *job, List *key)
{
	ListCell *lc;

	job->nkeys = 0;
	job->keys = palloc0(sizeof(int) * Max(list_length(key), 1));
	foreach (lc, key)
	{
		int found = -1;

		for (int i = 0; i < job->ncolumns; i++)
			if (strcmp(job->columns[i].name, lfirst(lc)) == 0)
				found = i;
		if (found < 0)
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
							errmsg("key column \"%s\" is not among the columns compared",
								   (char *) lfirst(lc))));
		for (int i = 0; i < job->nkeys; i++)
			if (job->keys[i] == found)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("key column \"%s\" given twice", (char *) lfirst(lc))));
		job->keys[job->nkeys++] = found;
	}
}

/*
 * upg_job_key_nullable
 *		Whether a column of the key may be null, and the key a fingerprint then.
 */
bool
upg_job_key_nullable(UpgSource *source, const UpgScanJob *job)
{
	for (int i = 0; i < job->nkeys; i++)
	{
		UpgScanColumn *column = &job->columns[job->keys[i]];

		if (column->expr || !upg_source_attribute(source, column->attname)->attnotnull)
			return true;
	}
	return false;
}
