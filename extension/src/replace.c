/*-------------------------------------------------------------------------
 *
 * replace.c
 *		A migration that stands for several older ones (the option "replaces").
 *
 * Where all of the older ones are applied, the new one counts as applied
 * without being run, and they leave the state "applied"; where none is, it is
 * run.  Anything between the two is refused, for then neither is right.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/replace.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "storage/lock.h"

#include "compat.h"
#include "errors.h"
#include "footprint.h"
#include "replace.h"
#include "undo.h"

/* How many names an error lists. */
#define NAMES_SHOWN 10

static void add_name(StringInfo names, int number, const char *name);

/*
 * upg_replace_find
 *		The migrations that this one replaces, if all of them are applied; NIL if
 *		none is.
 *
 * Takes the locks of all their names, so that it stays so until the transaction
 * ends.  Raises ERRCODE_UPG_ILLEGAL_STATE if only some are applied, or if one of
 * them is half done.
 */
List *
upg_replace_find(const char *name, List *names)
{
	List *keys = NIL;
	List *found = NIL;
	StringInfoData applied;
	StringInfoData others;
	int begun = 0;
	int left = 0;
	ListCell *lc;

	foreach (lc, names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			ereport(ERROR, (errcode(ERRCODE_UPG_INVALID_OPTION),
							errmsg("migration \"%s\" cannot replace itself", name)));
		keys = upg_footprint_add(keys, psprintf("migration:%s", (char *) lfirst(lc)),
								 ExclusiveLock);
	}
	upg_footprint_acquire(keys, false, name);

	initStringInfo(&applied);
	initStringInfo(&others);
	foreach (lc, names)
	{
		UpgMigration *migration = upg_ledger_find(lfirst(lc));
		UpgState state = migration ? migration->state : UPG_STATE_NONE;

		if (state == UPG_STATE_APPLIED)
		{
			found = lappend(found, migration);
			add_name(&applied, list_length(found), lfirst(lc));
			continue;
		}
		add_name(&others, ++left, lfirst(lc));
		if (state != UPG_STATE_NONE && state != UPG_STATE_REGISTERED &&
			state != UPG_STATE_FAILED && state != UPG_STATE_ROLLED_BACK &&
			state != UPG_STATE_REPLACED)
			begun++;
	}
	if (left > 0 && (found != NIL || begun > 0))
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_ILLEGAL_STATE),
			 errmsg("migration \"%s\" replaces others that are neither all applied nor "
					"all absent",
					name),
			 errdetail("Applied: %s; not applied: %s.",
					   applied.len > 0 ? applied.data : "none", others.data),
			 errhint("Apply the others from their own files first, or take back those "
					 "that are applied.")));
	return found;
}

/*
 * upg_replace_move
 *		The new one counts as applied: what it replaces does no longer.
 *
 * It takes the place of the last of them in the order of application, so that it
 * is not taken back before what was applied after them.  What was kept to take
 * them back is given up.
 */
void
upg_replace_move(int64 id, List *replaced)
{
	static UpgQuery leave = {"UPDATE upg.migrations SET applied_order = NULL"
							 " WHERE migration_id = $1",
							 SPI_OK_UPDATE,
							 1,
							 {INT8OID}};
	static UpgQuery take = {"UPDATE upg.migrations SET applied_order = $2"
							" WHERE migration_id = $1",
							SPI_OK_UPDATE,
							2,
							{INT8OID, INT8OID}};
	int64 place = 0;
	Datum values[2];
	UpgBooks books;
	ListCell *lc;

	if (replaced == NIL)
		return;
	foreach (lc, replaced)
	{
		UpgMigration *migration = lfirst(lc);

		place = Max(place, migration->applied_order);

		if (upg_migration_has_undo(migration))
		{
			upg_undo_finalize(migration->id);
			upg_ledger_set_undo(migration->id,
								migration->has_down ? "given" : "finalized", 0);
		}
		upg_ledger_move(migration, UPG_STATE_REPLACED, NULL, NULL);
		values[0] = Int64GetDatum(migration->id);
		upg_books_open(&books);
		upg_query(&leave, values, NULL);
		upg_books_close(&books);
	}
	values[0] = Int64GetDatum(id);
	values[1] = Int64GetDatum(place);
	upg_books_open(&books);
	upg_query(&take, values, NULL);
	upg_books_close(&books);
}

static void
add_name(StringInfo names, int number, const char *name)
{
	if (number <= NAMES_SHOWN)
		appendStringInfo(names, "%s\"%s\"", number > 1 ? ", " : "", name);
	else if (number == NAMES_SHOWN + 1)
		appendStringInfoString(names, " and more");
}
