/*-------------------------------------------------------------------------
 *
 * undo_members.c
 *		The parts of extensions that the caller owns.
 *
 * Whoever owns an extension may drop and update it, though its members belong to
 * the superuser who is said to have made a trusted one.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_members.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "undo_internal.h"

static bool
listed(List *objects, Oid class, Oid object)
{
	ListCell *lc;

	foreach (lc, objects)
	{
		ObjectAddress *known = lfirst(lc);

		if (known->classId == class && known->objectId == object)
			return true;
	}
	return false;
}

/* Note the object of a dependency on a part of an extension as a part, too. */
static void
add_part(UpgMembers *members, const ObjectAddress *on, Form_pg_depend dep)
{
	ObjectAddress *part;

	if (dep->refclassid != on->classId || dep->refobjid != on->objectId)
		return;
	if (on->classId == ExtensionRelationId
			? dep->deptype != DEPENDENCY_EXTENSION
			: dep->deptype != DEPENDENCY_INTERNAL && dep->deptype != DEPENDENCY_AUTO)
		return;
	if (listed(members->parts, dep->classid, dep->objid))
		return;
	part = palloc(sizeof(ObjectAddress));
	ObjectAddressSet(*part, dep->classid, dep->objid);
	members->parts = lappend(members->parts, part);
}

/* The parts of an object, as they are now and as the log knows them. */
static void
add_parts(UpgMembers *members, const ObjectAddress *on, Relation depends)
{
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple row;
	ListCell *lc;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(on->classId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(on->objectId));
	scan = systable_beginscan(depends, DependReferenceIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
		add_part(members, on, (Form_pg_depend) GETSTRUCT(row));
	systable_endscan(scan);
	foreach (lc, upg_change_list(members->log->catalogs, DependRelationId))
	{
		UpgChange *change = lfirst(lc);

		if (change->before)
			add_part(members, on, (Form_pg_depend) GETSTRUCT(change->before));
		if (change->after)
			add_part(members, on, (Form_pg_depend) GETSTRUCT(change->after));
	}
}

/* Look for the parts of all extensions that changed and that the caller owns. */
static void
find_parts(UpgMembers *members)
{
	Relation depends = table_open(DependRelationId, AccessShareLock);
	ListCell *lc;

	foreach (lc, upg_change_list(members->log->catalogs, ExtensionRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_extension ext = (Form_pg_extension) GETSTRUCT(
			change->before ? change->before : change->after);
		ObjectAddress *root = palloc(sizeof(ObjectAddress));

		if (!has_privs_of_role(GetUserId(), ext->extowner))
			continue;
		ObjectAddressSet(*root, ExtensionRelationId, ext->oid);
		members->parts = lappend(members->parts, root);
	}
	for (int i = 0; i < list_length(members->parts); i++)
		add_parts(members, list_nth(members->parts, i), depends);
	table_close(depends, AccessShareLock);
	members->searched = true;
}

/*
 * upg_member_of_own
 *		Is an object part of an extension that the migration made, updated or
 *		dropped, and that the caller owns?
 */
bool
upg_member_of_own(UpgMembers *members, Oid class, Oid object)
{
	if (!members->searched)
		find_parts(members);
	return listed(members->parts, class, object);
}
