/*-------------------------------------------------------------------------
 *
 * capture_filter.c
 *		Leaving out catalog rows that are not the migration's to take back.
 *
 * Temporary objects belong to a session: another session that deleted their
 * rows would pull them from under it.  A TOAST table that a table got during
 * the migration stays with it: rows written since may point into it, also
 * from columns that the rollback takes away.
 *
 * Both are closures: from a relation to its columns, types, indexes and
 * dependencies, through the OIDs in the rows.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/capture_filter.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "capture_internal.h"

static HeapTuple
any_row(UpgChange *change)
{
	return change->after ? change->after : change->before;
}

/*
 * subject_class
 *		What a row of a catalog over objects of all kinds is about: a comment, a
 *		label, the first of two that depend on one another; else InvalidOid.
 */
static Oid
subject_class(HeapTuple row, TupleDesc desc)
{
	for (int i = 0; i < desc->natts && i < 3; i++)
	{
		const char *name = NameStr(TupleDescAttr(desc, i)->attname);
		bool isnull;

		if (strcmp(name, "classid") == 0 || strcmp(name, "classoid") == 0)
			return DatumGetObjectId(heap_getattr(row, i + 1, desc, &isnull));
	}
	return InvalidOid;
}

/*
 * is_relation_column
 *		Does this column say to which relation a row belongs?
 */
static bool
is_relation_column(Form_pg_attribute att, Oid subject)
{
	const char *name = NameStr(att->attname);
	size_t length = strlen(name);

	if (subject == RelationRelationId)
		return strcmp(name, "objid") == 0 || strcmp(name, "objoid") == 0;
	return (length > 5 && strcmp(name + length - 5, "relid") == 0) ||
		   strcmp(name, "ev_class") == 0;
}

/*
 * is_temporary
 *		Is there a relation of this OID, and is it temporary?
 */
static bool
is_temporary(Oid relation)
{
	HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	bool result;

	if (!HeapTupleIsValid(row))
		return false;
	result = ((Form_pg_class) GETSTRUCT(row))->relpersistence == RELPERSISTENCE_TEMP;
	ReleaseSysCache(row);
	return result;
}

/*
 * belongs
 *		Does a row belong to one of the objects in "oids"?  If so, *own is the
 *		OID that it defines itself, or InvalidOid.
 */
static bool
belongs(Oid catalog, HeapTuple row, TupleDesc desc, List *oids, bool temporary, Oid *own)
{
	bool result = false;
	Oid subject;

	*own = InvalidOid;
	if (catalog == RelationRelationId)
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(row);

		*own = form->oid;
		return list_member_oid(oids, form->oid) ||
			   (temporary && form->relpersistence == RELPERSISTENCE_TEMP);
	}
	if (catalog == NamespaceRelationId)
	{
		Form_pg_namespace form = (Form_pg_namespace) GETSTRUCT(row);

		*own = form->oid;
		return temporary && (strncmp(NameStr(form->nspname), "pg_temp_", 8) == 0 ||
							 strncmp(NameStr(form->nspname), "pg_toast_temp_", 14) == 0);
	}
	subject = temporary ? subject_class(row, desc) : InvalidOid;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		bool isnull;
		Oid value;

		if (att->atttypid != OIDOID && att->atttypid != REGPROCOID)
			continue;
		value = DatumGetObjectId(heap_getattr(row, i + 1, desc, &isnull));
		if (isnull || value < FirstNormalObjectId)
			continue;
		if (strcmp(NameStr(att->attname), "oid") == 0)
			*own = value;
		if (list_member_oid(oids, value))
			result = true;
		else if (temporary && strstr(NameStr(att->attname), "namespace") &&
				 isAnyTempNamespace(value))
			result = true;
		else if (temporary && !result && is_relation_column(att, subject) &&
				 is_temporary(value))
			result = true;
	}
	if (result && catalog == IndexRelationId)
		*own = ((Form_pg_index) GETSTRUCT(row))->indexrelid;
	return result;
}

/*
 * upg_filter_objects
 *		Remove the rows of the objects in "seeds" and of whatever belongs to
 *		them, and of temporary objects if asked.
 */
void
upg_filter_objects(List **catalogs, List *seeds, bool temporary)
{
	List *oids = list_copy(seeds);
	bool grew = true;

	while (grew)
	{
		List *remaining = NIL;
		ListCell *lc;

		grew = false;
		foreach (lc, *catalogs)
		{
			UpgCatalogChanges *changes = lfirst(lc);
			Relation rel = table_open(changes->catalog, AccessShareLock);
			List *kept = NIL;
			ListCell *lc2;

			foreach (lc2, changes->changes)
			{
				UpgChange *change = lfirst(lc2);
				Oid own;

				if (belongs(changes->catalog, any_row(change), RelationGetDescr(rel),
							oids, temporary, &own))
				{
					if (OidIsValid(own))
						oids = list_append_unique_oid(oids, own);
					grew = true;
				}
				else
					kept = lappend(kept, change);
			}
			table_close(rel, AccessShareLock);
			changes->changes = kept;
			if (kept)
				remaining = lappend(remaining, changes);
		}
		*catalogs = remaining;
	}
}

/*
 * upg_exempt_objects
 *		Take out the rows of temporary objects and of TOAST tables that stay,
 *		and return the OIDs of the latter.
 */
List *
upg_exempt_objects(List **catalogs)
{
	List *toasts = NIL;
	ListCell *lc;

	foreach (lc, upg_change_list(*catalogs, RelationRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_class before;
		Form_pg_class after;

		if (change->before == NULL || change->after == NULL)
			continue;
		before = (Form_pg_class) GETSTRUCT(change->before);
		after = (Form_pg_class) GETSTRUCT(change->after);
		if (before->relfilenode == after->relfilenode &&
			!OidIsValid(before->reltoastrelid) && OidIsValid(after->reltoastrelid))
			toasts = lappend_oid(toasts, after->reltoastrelid);
	}
	upg_filter_objects(catalogs, toasts, true);
	return toasts;
}
