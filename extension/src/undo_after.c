/*-------------------------------------------------------------------------
 *
 * undo_after.c
 *		What has to follow when rows of catalogs were put back by hand.
 *
 * Hint flags, invalidations, comments and dependencies of what is gone,
 * attribute versions, indexes without content: all that DDL does besides
 * writing the rows.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_after.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_namespace.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/toasting.h"
#include "commands/comment.h"
#include "commands/seclabel.h"
#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "as_owner.h"
#include "undo_internal.h"

/*
 * upg_after_set_flags
 *		relhastriggers and its like are cleared by VACUUM when a table has none
 *		left.  A trigger that comes back to such a table would never fire.
 */
void
upg_after_set_flags(UpgUndoRun *run)
{
	static const Oid catalogs[] = {TriggerRelationId, RewriteRelationId, IndexRelationId,
								   InheritsRelationId};
	Relation pgclass = NULL;

	for (int i = 0; i < lengthof(catalogs); i++)
	{
		UpgCatalogChanges *changes = upg_changes_of(run->log->catalogs, catalogs[i]);
		Relation rel;
		ListCell *lc;

		if (changes == NULL)
			continue;
		rel = table_open(catalogs[i], AccessShareLock);
		foreach (lc, changes->changes)
		{
			UpgChange *change = lfirst(lc);
			Oid second;
			Oid relation;
			HeapTuple tuple;
			Form_pg_class form;
			bool *flag = NULL;

			if (change->before == NULL)
				continue;
			relation = upg_row_relation(catalogs[i], change->before,
										RelationGetDescr(rel), &second);
			tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relation));
			if (!HeapTupleIsValid(tuple))
				continue;
			form = (Form_pg_class) GETSTRUCT(tuple);
			switch (catalogs[i])
			{
				case TriggerRelationId:
					flag = &form->relhastriggers;
					break;
				case RewriteRelationId:
					flag = &form->relhasrules;
					break;
				case IndexRelationId:
					flag = &form->relhasindex;
					break;
				case InheritsRelationId:
					flag = &form->relhassubclass;
					break;
			}
			if (!*flag)
			{
				*flag = true;
				if (pgclass == NULL)
					pgclass = table_open(RelationRelationId, RowExclusiveLock);
				CatalogTupleUpdate(pgclass, &tuple->t_self, tuple);
				CommandCounterIncrement();
			}
		}
		table_close(rel, AccessShareLock);
	}
	if (pgclass)
		table_close(pgclass, NoLock);
}

/* Every relation that a changed row is part of forgets what it knew. */
void
upg_after_invalidate(UpgUndoRun *run)
{
	List *relations = NIL;
	ListCell *lc;

	foreach (lc, run->log->catalogs)
	{
		UpgCatalogChanges *changes = lfirst(lc);
		Relation rel;
		ListCell *lc2;

		if (changes->catalog == PublicationRelationId ||
			changes->catalog == PublicationNamespaceRelationId)
			CacheInvalidateRelcacheAll();
		rel = table_open(changes->catalog, AccessShareLock);
		foreach (lc2, changes->changes)
		{
			UpgChange *change = lfirst(lc2);
			HeapTuple rows[2] = {change->before, change->after};

			for (int i = 0; i < 2; i++)
			{
				Oid second;
				Oid first;

				if (rows[i] == NULL)
					continue;
				first = upg_row_relation(changes->catalog, rows[i], RelationGetDescr(rel),
										 &second);
				if (OidIsValid(first))
					relations = list_append_unique_oid(relations, first);
				if (OidIsValid(second))
					relations = list_append_unique_oid(relations, second);
			}
		}
		table_close(rel, AccessShareLock);
	}
	foreach (lc, relations)
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lfirst_oid(lc))))
			CacheInvalidateRelcacheByRelid(lfirst_oid(lc));
}

/* What hangs on a removed object without a row of ours: comments and the like. */
void
upg_after_sweep(UpgUndoRun *run)
{
	ListCell *lc;

	foreach (lc, run->toasts)
	{
		ObjectAddress toast;

		ObjectAddressSet(toast, RelationRelationId, lfirst_oid(lc));
		deleteDependencyRecordsFor(RelationRelationId, lfirst_oid(lc), false);
		CommandCounterIncrement();
		performDeletion(&toast, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	}
	foreach (lc, run->removed)
	{
		ObjectAddress *address = lfirst(lc);

		deleteDependencyRecordsFor(address->classId, address->objectId, false);
		deleteSharedDependencyRecordsFor(address->classId, address->objectId, 0);
		DeleteComments(address->objectId, address->classId, 0);
		DeleteSecurityLabel(address);
		if (address->classId == RelationRelationId)
			RemoveStatistics(address->objectId, 0);
	}
	foreach (lc, run->columns)
	{
		UpgAttributeAddress *address = lfirst(lc);

		/* a column of number 0 would stand for the whole relation */
		if (address->attnum > 0 && !list_member_oid(run->gone, address->relation))
			deleteSharedDependencyRecordsFor(RelationRelationId, address->relation,
											 address->attnum);
	}
	foreach (lc, run->statistics)
	{
		UpgAttributeAddress *address = lfirst(lc);

		if (!list_member_oid(run->gone, address->relation))
			RemoveStatistics(address->relation, address->attnum);
	}
}

/*
 * upg_after_renew_versions
 *		Columns whose type changed back get a new attribute version, on servers
 *		that have them: values built meanwhile must be refused, not misread.
 */
void
upg_after_renew_versions(UpgUndoRun *run)
{
	/* the name of the hidden option tells that this minor release has them */
#ifdef ATTRIBUTE_VERSION_ATTOPTION
	ListCell *lc;

	foreach (lc, run->versions)
	{
		UpgAttributeAddress *address = lfirst(lc);
		char relkind = get_rel_relkind(address->relation);
		Relation rel;

		if (relkind == '\0' ||
			(!upg_relkind_keeps_columns(relkind) && relkind != RELKIND_VIEW))
			continue;
		rel = relation_open(address->relation, AccessExclusiveLock);
		if (address->attnum <= RelationGetNumberOfAttributes(rel))
			SetAttributeVersions(rel, address->attnum, GetNextAttributeVersion());
		relation_close(rel, NoLock);
		CommandCounterIncrement();
	}
#endif
}

/*
 * upg_after_toast
 *		Tables that get back columns may need a TOAST table again: VACUUM FULL
 *		and CLUSTER drop one that is not needed.
 */
void
upg_after_toast(UpgUndoRun *run)
{
	List *done = NIL;
	ListCell *lc;

	foreach (lc, upg_change_list(run->log->catalogs, AttributeRelationId))
	{
		UpgChange *change = lfirst(lc);
		Oid relation;
		char relkind;

		if (change->before == NULL || change->current == NULL)
			continue;
		relation = ((Form_pg_attribute) GETSTRUCT(change->before))->attrelid;
		relkind = get_rel_relkind(relation);
		if ((relkind == RELKIND_RELATION || relkind == RELKIND_MATVIEW) &&
			get_rel_persistence(relation) != RELPERSISTENCE_TEMP &&
			relation >= FirstNormalObjectId && !list_member_oid(done, relation))
		{
			done = lappend_oid(done, relation);
			AlterTableCreateToastTable(relation, (Datum) 0, AccessExclusiveLock);
		}
	}
	CommandCounterIncrement();
}

/*
 * upg_after_enum_indexes
 *		Indexes over an enum type that loses a label: pages of theirs may still
 *		hold the label's OID, which could no longer be compared.
 */
void
upg_after_enum_indexes(UpgUndoRun *run)
{
	UpgCatalogChanges *changes = upg_changes_of(run->log->catalogs, EnumRelationId);
	List *types = NIL;
	Relation rel;
	SysScanDesc scan;
	HeapTuple tuple;
	ListCell *lc;

	if (changes == NULL || run->options->proof)
		return;
	foreach (lc, changes->changes)
	{
		UpgChange *change = lfirst(lc);

		if (change->before == NULL && change->after)
		{
			Oid type = ((Form_pg_enum) GETSTRUCT(change->after))->enumtypid;

			if (get_typtype(type) == TYPTYPE_ENUM)
				types = list_append_unique_oid(types, type);
		}
	}
	if (types == NIL)
		return;
	rel = table_open(AttributeRelationId, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT(tuple);
		Oid type = att->atttypid;

		if (!OidIsValid(type) || att->attnum <= 0)
			continue;
		if (OidIsValid(get_element_type(type)))
			type = get_element_type(type);
		type = getBaseType(type);
		if (list_member_oid(types, type) &&
			get_rel_relkind(att->attrelid) == RELKIND_INDEX)
			run->reindex = list_append_unique_oid(run->reindex, att->attrelid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * upg_index_rebuild
 *		Build an index anew.  The server evaluates its expressions as the table's
 *		owner; since 17 with nothing but pg_catalog in the search_path.
 */
void
upg_index_rebuild(Oid index)
{
	ReindexParams params = {0};
	int nestlevel = NewGUCNestLevel();

	upg_catalog_first();
	upg_reindex_index(index, get_rel_persistence(index), &params);
	AtEOXact_GUC(false, nestlevel);
	CommandCounterIncrement();
}

/* Build the indexes that came back without content. */
void
upg_after_rebuild(UpgUndoRun *run)
{
	ListCell *lc;

	foreach (lc, run->reindex)
	{
		Oid index = lfirst_oid(lc);
		HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
		bool valid;

		if (!HeapTupleIsValid(tuple))
			continue;
		valid = ((Form_pg_index) GETSTRUCT(tuple))->indisvalid;
		ReleaseSysCache(tuple);
		/* an invalid one was left by a failed build, which would fail again */
		if (!valid)
		{
			Relation rel = index_open(index, AccessExclusiveLock);

			index_close(rel, NoLock);
			continue;
		}
		upg_index_rebuild(index);
		run->result->indexes_rebuilt++;
		run->result->actions =
			lappend(run->result->actions,
					psprintf("index \"%s\" is rebuilt", get_rel_name(index)));
	}
}
