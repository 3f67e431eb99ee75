/*-------------------------------------------------------------------------
 *
 * undo_internal.h
 *		What the files of a rollback share among themselves.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/undo_internal.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_UNDO_INTERNAL_H
#define UPG_UNDO_INTERNAL_H

#include "catalog/pg_class.h"

#include "undo.h"

/* State of one run. */
typedef struct UpgUndoRun
{
	UpgUndoLog *log;
	UpgUndoOptions *options;
	UpgUndoResult *result;
	List *removed;    /* of ObjectAddress */
	List *gone;       /* relations that go away */
	List *trimmed;    /* relations whose old file comes back */
	List *reindex;    /* indexes to build */
	List *versions;   /* of UpgAttributeAddress whose type changes back */
	List *statistics; /* of UpgAttributeAddress without statistics */
	List *columns;    /* of UpgAttributeAddress: columns that go away */
	List *toasts;     /* TOAST tables that lose their table */
} UpgUndoRun;

typedef struct UpgAttributeAddress
{
	Oid relation;
	AttrNumber attnum;
} UpgAttributeAddress;

/* in undo_file.c */
extern void upg_file_drop(Oid relation);
extern Oid upg_file_fresh(Form_pg_class form);
extern void upg_file_restore(UpgUndoRun *run, Form_pg_class form, Form_pg_class current);
extern void upg_file_leave_toast(UpgUndoRun *run, Oid toast);

/* in undo_rows.c */
extern bool upg_relkind_keeps_columns(char relkind);
extern void upg_rows_take_back(UpgUndoRun *run, UpgCatalogChanges *changes);
extern void upg_rows_trim(UpgUndoRun *run);
extern void upg_rows_bring_back(UpgUndoRun *run, UpgCatalogChanges *changes);

/* in undo_after.c */
extern void upg_after_set_flags(UpgUndoRun *run);
extern void upg_after_invalidate(UpgUndoRun *run);
extern void upg_after_sweep(UpgUndoRun *run);
extern void upg_after_toast(UpgUndoRun *run);
extern void upg_after_renew_versions(UpgUndoRun *run);
extern void upg_after_enum_indexes(UpgUndoRun *run);
extern void upg_after_rebuild(UpgUndoRun *run);

/* Parts of extensions that changed and that the caller owns. */
typedef struct UpgMembers
{
	UpgUndoLog *log;
	List *parts; /* of ObjectAddress */
	bool searched;
} UpgMembers;

/* in undo_members.c */
extern bool upg_member_of_own(UpgMembers *members, Oid class, Oid object);

#endif /* UPG_UNDO_INTERNAL_H */
