/*-------------------------------------------------------------------------
 *
 * undo_file.c
 *		Files of relations when a step is taken back: kept, new, or as they are.
 *
 * A file belongs to its number, not to an OID, so a file of now may be the one
 * of before under another relation.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_file.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "catalog/storage.h"
#include "miscadmin.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "undo_internal.h"

/* Drop the present file of a relation, at commit. */
void
upg_file_drop(Oid relation)
{
	Relation rel = relation_open(relation, AccessExclusiveLock);

	RelationDropStorage(rel);
	relation_close(rel, NoLock);
}

/* A new file number, with an empty file behind it. */
Oid
upg_file_fresh(Form_pg_class form)
{
	UpgRelFileLocator locator;

	UPG_LOCATOR_SPC(locator) =
		OidIsValid(form->reltablespace) ? form->reltablespace : MyDatabaseTableSpace;
	UPG_LOCATOR_DB(locator) = MyDatabaseId;
	UPG_LOCATOR_NUMBER(locator) =
		upg_new_filenumber(form->reltablespace, NULL, form->relpersistence);
	RelationCreateStorage(locator, form->relpersistence, true);
	return UPG_LOCATOR_NUMBER(locator);
}

/* The caretaker's freeze horizons belong to the rows of its file. */
static void
take_horizons(UpgKeptFile *file, Form_pg_class form)
{
	Form_pg_class keeper = (Form_pg_class) GETSTRUCT(upg_keep_caretaker(file));

	if (TransactionIdIsValid(keeper->relfrozenxid))
	{
		form->relfrozenxid = keeper->relfrozenxid;
		form->relminmxid = keeper->relminmxid;
	}
}

/* Was the file vacuumed while it was kept?  Then its indexes are stale. */
static bool
was_vacuumed(UpgUndoLog *log, Oid table)
{
	UpgKeptFile *file = upg_keep_find(log->files, table);

	if (file == NULL)
		return false;
	return ((Form_pg_class) GETSTRUCT(upg_keep_caretaker(file)))->reltuples >= 0;
}

/*
 * upg_file_restore
 *		Decide which file a relation from before gets; "form" is the row that
 *		will be written, "current" the row of now or NULL.
 */
void
upg_file_restore(UpgUndoRun *run, Form_pg_class form, Form_pg_class current)
{
	UpgKeptFile *file = upg_keep_find(run->log->files, form->oid);
	UpgChange *heir;

	if (!RELKIND_HAS_STORAGE(form->relkind) || form->oid < FirstNormalObjectId)
		return;
	if (file)
	{
		if (form->relkind == RELKIND_INDEX)
		{
			if (!run->options->proof &&
				was_vacuumed(run->log, upg_index_table(run->log->catalogs, form->oid)))
				run->reindex = lappend_oid(run->reindex, form->oid);
		}
		else
			take_horizons(file, form);
		return;
	}
	if (form->relkind != RELKIND_INDEX)
		return;
	heir = upg_file_owner(upg_changes_of(run->log->catalogs, RelationRelationId), form,
						  false, form->oid);
	if (heir && heir->before == NULL && heir->current)
	{
		form->relfilenode = ((Form_pg_class) GETSTRUCT(heir->current))->relfilenode;
		return;
	}
	if (current)
		return; /* the file of now is good: its table lives on */
	if (run->options->proof)
		return; /* the file of before is still there and good */
	form->relfilenode = upg_file_fresh(form);
	run->reindex = lappend_oid(run->reindex, form->oid);
}

/*
 * upg_file_leave_toast
 *		A table goes away, or gets back the TOAST table of before: the one of
 *		now goes with it, also if it was made after the migration.
 */
void
upg_file_leave_toast(UpgUndoRun *run, Oid toast)
{
	UpgChange *change;

	if (!OidIsValid(toast))
		return;
	change = upg_class_change(run->log, toast);
	if (change == NULL)
		run->toasts = list_append_unique_oid(run->toasts, toast);
}
