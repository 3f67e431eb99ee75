/*-------------------------------------------------------------------------
 *
 * keep.c
 *		Keeping the files of dropped, truncated and rewritten relations.
 *
 * The server has scheduled such a file for deletion at commit; taking it off
 * that list keeps it at no cost.  From then on it needs an owner in pg_class,
 * or nothing would freeze its rows, and DROP EXTENSION would leave it behind.
 * The owner ("caretaker") is a row of its own with relkind "t" and without
 * columns, in pg_toast, a member of the extension:
 *
 *	- VACUUM FULL and CLUSTER of a whole database pass toast tables over, so
 *	  nobody rewrites the file; ANALYZE does too;
 *	- a forced autovacuum freezes it, because its relfrozenxid counts;
 *	- pg_dump does not see it;
 *	- reading it by name gives rows without columns.
 *
 * A vacuum of a caretaker removes dead rows without cleaning the indexes that
 * will point to them again.  reltuples starts at -1 and any vacuum sets it, so
 * the rollback knows that it has to rebuild the indexes.
 *
 * Index files have a caretaker too, with an invalid relfrozenxid: no vacuum
 * has a reason to look at it.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/keep.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/indexing.h"
#include "catalog/pg_am.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/storage.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/smgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "errors.h"
#include "undo.h"

static UpgRelFileLocator
class_locator(Form_pg_class form)
{
	UpgRelFileLocator locator;

	UPG_LOCATOR_SPC(locator) =
		OidIsValid(form->reltablespace) ? form->reltablespace : MyDatabaseTableSpace;
	UPG_LOCATOR_DB(locator) = MyDatabaseId;
	UPG_LOCATOR_NUMBER(locator) = form->relfilenode;
	return locator;
}

/*
 * upg_file_owner
 *		The relation of now, or the one from before, that owns the file of a row of
 *		pg_class; NULL if no other than "except" does.  A file belongs to its number,
 *		not to an OID: a type change that rewrites nothing gives the index a new OID
 *		and the old file.
 */
UpgChange *
upg_file_owner(UpgCatalogChanges *classes, Form_pg_class file, bool before, Oid except)
{
	ListCell *lc;

	foreach (lc, classes->changes)
	{
		UpgChange *change = lfirst(lc);
		HeapTuple row = before ? change->before : change->after;
		Form_pg_class form;

		if (row == NULL)
			continue;
		form = (Form_pg_class) GETSTRUCT(row);
		if (form->oid != except && form->relfilenode == file->relfilenode &&
			form->reltablespace == file->reltablespace)
			return change;
	}
	return NULL;
}

/*
 * upg_index_table
 *		The table of an index as it was before the migration.
 */
Oid
upg_index_table(List *catalogs, Oid index)
{
	HeapTuple tuple;
	Oid result = InvalidOid;
	ListCell *lc;

	foreach (lc, upg_change_list(catalogs, IndexRelationId))
	{
		UpgChange *change = lfirst(lc);

		if (change->before &&
			((Form_pg_index) GETSTRUCT(change->before))->indexrelid == index)
			return ((Form_pg_index) GETSTRUCT(change->before))->indrelid;
	}
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_index) GETSTRUCT(tuple))->indrelid;
		ReleaseSysCache(tuple);
	}
	return result;
}

/*
 * upg_keep_find
 *		The kept file of a relation, or NULL.
 */
UpgKeptFile *
upg_keep_find(List *files, Oid relation)
{
	ListCell *lc;

	foreach (lc, files)
	{
		UpgKeptFile *file = lfirst(lc);

		if (file->relation == relation)
			return file;
	}
	return NULL;
}

/*
 * upg_keep_files
 *		Take the files that the migration let go of off the list of deletions.
 *
 * The files of an index are kept only with those of its table: beside a table
 * that lives on, an index file is stale the next moment.
 */
List *
upg_keep_files(List *catalogs)
{
	UpgCatalogChanges *classes = upg_changes_of(catalogs, RelationRelationId);
	List *files = NIL;

	if (classes == NULL)
		return NIL;
	for (int pass = 0; pass < 2; pass++)
	{
		ListCell *lc;

		foreach (lc, classes->changes)
		{
			UpgChange *change = lfirst(lc);
			Form_pg_class form;
			UpgKeptFile *file;

			if (change->before == NULL)
				continue;
			form = (Form_pg_class) GETSTRUCT(change->before);
			if (!OidIsValid(form->relfilenode) || form->oid < FirstNormalObjectId ||
				!RELKIND_HAS_STORAGE(form->relkind) ||
				(form->relkind == RELKIND_INDEX) != (pass == 1))
				continue;
			if (upg_file_owner(classes, form, false, InvalidOid))
				continue;
			if (form->relkind == RELKIND_INDEX &&
				upg_keep_find(files, upg_index_table(catalogs, form->oid)) == NULL)
				continue;
			file = palloc0(sizeof(UpgKeptFile));
			file->relation = form->oid;
			file->kind = form->relkind;
			file->persistence = form->relpersistence;
			file->locator = class_locator(form);
			file->frozenxid = form->relfrozenxid;
			file->minmxid = form->relminmxid;
			file->pages = smgrnblocks(upg_smgropen(file->locator, INVALID_PROC_NUMBER),
									  MAIN_FORKNUM);
			RelationPreserveStorage(file->locator, true);
			files = lappend(files, file);
		}
	}
	return files;
}

/*
 * upg_keep_adopt
 *		Give each kept file its caretaker.
 */
void
upg_keep_adopt(List *files)
{
	Relation pgclass;
	TupleDesc desc;
	CatalogIndexState indexes;
	ObjectAddress extension;
	ListCell *lc;

	if (files == NIL)
		return;
	pgclass = table_open(RelationRelationId, RowExclusiveLock);
	desc = RelationGetDescr(pgclass);
	indexes = CatalogOpenIndexes(pgclass);
	ObjectAddressSet(extension, ExtensionRelationId, get_extension_oid("upg", false));
	foreach (lc, files)
	{
		UpgKeptFile *file = lfirst(lc);
		Datum values[Natts_pg_class] = {0};
		bool nulls[Natts_pg_class] = {0};
		NameData name = {{0}}; /* padded, since all of it is stored */
		Datum option = CStringGetTextDatum("autovacuum_enabled=false");
		ObjectAddress myself;
		bool heap = file->kind != RELKIND_INDEX && file->kind != RELKIND_SEQUENCE;
		HeapTuple tuple;
		Oid tablespace = UPG_LOCATOR_SPC(file->locator);

		file->caretaker = GetNewOidWithIndex(pgclass, ClassOidIndexId, Anum_pg_class_oid);
		snprintf(NameStr(name), NAMEDATALEN, "upg_kept_%u", file->caretaker);

		for (int i = 0; i < desc->natts; i++)
			values[i] = (Datum) 0;
		values[Anum_pg_class_oid - 1] = ObjectIdGetDatum(file->caretaker);
		values[Anum_pg_class_relname - 1] = NameGetDatum(&name);
		values[Anum_pg_class_relnamespace - 1] = ObjectIdGetDatum(PG_TOAST_NAMESPACE);
		values[Anum_pg_class_relowner - 1] = ObjectIdGetDatum(BOOTSTRAP_SUPERUSERID);
		values[Anum_pg_class_relam - 1] = ObjectIdGetDatum(HEAP_TABLE_AM_OID);
		values[Anum_pg_class_relfilenode - 1] =
			ObjectIdGetDatum(UPG_LOCATOR_NUMBER(file->locator));
		values[Anum_pg_class_reltablespace - 1] = ObjectIdGetDatum(
			tablespace == MyDatabaseTableSpace ? InvalidOid : tablespace);
		values[Anum_pg_class_reltuples - 1] = Float4GetDatum(-1);
		values[Anum_pg_class_relpersistence - 1] = CharGetDatum(file->persistence);
		values[Anum_pg_class_relkind - 1] = CharGetDatum(RELKIND_TOASTVALUE);
		values[Anum_pg_class_relispopulated - 1] = BoolGetDatum(true);
		values[Anum_pg_class_relreplident - 1] = CharGetDatum(REPLICA_IDENTITY_NOTHING);
		values[Anum_pg_class_relfrozenxid - 1] =
			TransactionIdGetDatum(InvalidTransactionId);
		values[Anum_pg_class_relminmxid - 1] = MultiXactIdGetDatum(InvalidMultiXactId);
		if (heap)
		{
			values[Anum_pg_class_relfrozenxid - 1] =
				TransactionIdGetDatum(file->frozenxid);
			values[Anum_pg_class_relminmxid - 1] = MultiXactIdGetDatum(file->minmxid);
		}
		nulls[Anum_pg_class_relacl - 1] = true;
		nulls[Anum_pg_class_relpartbound - 1] = true;
		values[Anum_pg_class_reloptions - 1] = PointerGetDatum(
			construct_array(&option, 1, TEXTOID, -1, false, TYPALIGN_INT));

		tuple = heap_form_tuple(desc, values, nulls);
		CatalogTupleInsertWithInfo(pgclass, tuple, indexes);
		ObjectAddressSet(myself, RelationRelationId, file->caretaker);
		recordDependencyOn(&myself, &extension, DEPENDENCY_EXTENSION);
	}
	CatalogCloseIndexes(indexes);
	table_close(pgclass, RowExclusiveLock);
	CommandCounterIncrement();
}

/*
 * upg_keep_caretaker
 *		A copy of the pg_class row that owns a kept file.
 *
 * Raises an error if the row is gone or owns another file: then the file is
 * not ours to give back.
 */
HeapTuple
upg_keep_caretaker(UpgKeptFile *file)
{
	HeapTuple tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(file->caretaker));
	Form_pg_class form =
		HeapTupleIsValid(tuple) ? (Form_pg_class) GETSTRUCT(tuple) : NULL;

	if (form == NULL || form->relkind != RELKIND_TOASTVALUE ||
		form->relfilenode != UPG_LOCATOR_NUMBER(file->locator) ||
		strncmp(NameStr(form->relname), "upg_kept_", 9) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_UNDO_UNUSABLE),
				 errmsg("kept file %u of relation %u has lost its owner",
						(unsigned) UPG_LOCATOR_NUMBER(file->locator), file->relation),
				 errdetail("Its row in pg_class (OID %u) is missing or was changed.",
						   file->caretaker),
				 errhint("Give up the undo with upg_finalize().")));
	return tuple;
}

/*
 * upg_keep_release
 *		Take the caretaker away and leave the file to its next owner.
 *
 * No command counter is advanced here: the caller is in the middle of putting
 * catalog rows back.
 */
void
upg_keep_release(UpgKeptFile *file)
{
	HeapTuple tuple;
	Relation pgclass;

	LockRelationOid(file->caretaker, AccessExclusiveLock);
	tuple = upg_keep_caretaker(file);
	pgclass = table_open(RelationRelationId, RowExclusiveLock);
	CatalogTupleDelete(pgclass, &tuple->t_self);
	table_close(pgclass, RowExclusiveLock);
	deleteDependencyRecordsFor(RelationRelationId, file->caretaker, false);
	RelationForgetRelation(file->caretaker);
}

/*
 * upg_keep_destroy
 *		Take the caretaker away and its file with it, at commit.
 */
void
upg_keep_destroy(UpgKeptFile *file)
{
	HeapTuple tuple;

	LockRelationOid(file->caretaker, AccessExclusiveLock);
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(file->caretaker));
	if (!HeapTupleIsValid(tuple))
		return;
	ReleaseSysCache(tuple);
	heap_freetuple(upg_keep_caretaker(file));
	deleteDependencyRecordsFor(RelationRelationId, file->caretaker, false);
	heap_drop_with_catalog(file->caretaker);
}
