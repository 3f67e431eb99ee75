/*-------------------------------------------------------------------------
 *
 * undo.c
 *		Taking a captured step back.
 *
 * Catalog rows come back with their OIDs.  Three passes, with no command
 * counter increment between them, so that nobody sees (and caches) half of
 * it: rows that the migration made go, rows that it changed change back in
 * place, rows that it removed come back.
 *
 * The same code runs for the proof, inside the migration and to be thrown
 * away.  There it takes no lock and rebuilds no index.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_shdepend.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "errors.h"
#include "subxact.h"
#include "undo_internal.h"
#include "undo_merge.h"

/*
 * upg_class_change
 *		The change of a relation's pg_class row, or NULL.
 */
UpgChange *
upg_class_change(UpgUndoLog *log, Oid relation)
{
	ListCell *lc;

	foreach (lc, upg_change_list(log->catalogs, RelationRelationId))
	{
		UpgChange *change = lfirst(lc);
		HeapTuple row = change->after ? change->after : change->before;

		if (((Form_pg_class) GETSTRUCT(row))->oid == relation)
			return change;
	}
	return NULL;
}

/*
 * upg_class_switched
 *		Was there before and is there still, with another file?
 */
bool
upg_class_switched(UpgChange *change)
{
	return change && change->before && change->after &&
		   ((Form_pg_class) GETSTRUCT(change->before))->relfilenode !=
			   ((Form_pg_class) GETSTRUCT(change->after))->relfilenode;
}

/*
 * check_usable
 *		What this transaction has both made and dropped, the server takes for gone
 *		until it ends, whatever the catalogs say.
 */
static void
check_usable(UpgUndoLog *log)
{
	ListCell *lc;

	foreach (lc, upg_change_list(log->catalogs, RelationRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_class form;
		Relation rel;

		if (change->before == NULL || change->after != NULL)
			continue;
		form = (Form_pg_class) GETSTRUCT(change->before);
		rel = RelationIdGetRelation(form->oid);
		if (!RelationIsValid(rel))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("\"%s\" cannot come back in the transaction in which it was "
							"made and dropped",
							NameStr(form->relname)),
					 errhint("Commit before the rollback. Nothing was changed.")));
		RelationClose(rel);
	}
}

/*
 * upg_undo_perform
 *		Take the logged step back.
 *
 * Locks and checks are behind us; log->catalogs hold the current rows.
 */
void
upg_undo_perform(UpgUndoLog *log, UpgUndoOptions *options, UpgUndoResult *result)
{
	UpgUndoRun run = {0};
	ListCell *lc;

	run.log = log;
	run.options = options;
	run.result = result;

	upg_merge_before(log);

	/* rows that the migration wrote into files that stay */
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);

		if (!rows->switched && rows->inserted > 0)
			upg_data_remove(log, rows, options, result);
	}
	CommandCounterIncrement();

	upg_sequences_look(log);

	/* catalogs, in one go */
	foreach (lc, log->catalogs)
		upg_rows_take_back(&run, lfirst(lc));
	upg_rows_trim(&run);
	foreach (lc, log->catalogs)
		upg_rows_bring_back(&run, lfirst(lc));
	foreach (lc, log->files)
		upg_keep_release(lfirst(lc));
	CommandCounterIncrement();
	upg_after_invalidate(&run);
	CommandCounterIncrement();
	if (!options->proof && TransactionIdIsCurrentTransactionId(log->xids[0]))
		check_usable(log);
	upg_after_set_flags(&run);
	upg_after_sweep(&run);
	CommandCounterIncrement();
	if (!options->proof)
		upg_after_toast(&run);

	/* rows that the migration removed, in the files that they belong to */
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);

		if (rows->switched && rows->inserted > 0)
			upg_data_remove(log, rows, options, result);
	}
	CommandCounterIncrement();
	upg_after_enum_indexes(&run);
	if (!options->proof)
		upg_after_rebuild(&run);
	upg_merge_files(log);
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);

		if (rows->deleted > 0)
			upg_data_restore(log, rows, options, result);
	}
	CommandCounterIncrement();
	upg_merge_after(log);

	upg_undo_check_references(log);
	if (!options->proof)
	{
		upg_columns_restore(log, result);
		upg_columns_fill(log, options, result);
		upg_after_renew_versions(&run);
		upg_sequences_restore(log, result);
		upg_data_revalidate(log, result);
	}
}

static void
append_list(StringInfo buf, List *list, int max)
{
	int n = 0;
	ListCell *lc;

	foreach (lc, list)
	{
		if (++n > max)
		{
			appendStringInfo(buf, "\nand %d more", list_length(list) - max);
			return;
		}
		appendStringInfo(buf, "%s%s", n > 1 ? "\n" : "", (char *) lfirst(lc));
	}
}

/* For a dry run: what the rollback would do. */
static void
describe_actions(UpgUndoLog *log, UpgUndoResult *result)
{
	ListCell *lc;

	foreach (lc, log->catalogs)
	{
		UpgCatalogChanges *changes = lfirst(lc);
		Relation rel;
		ListCell *lc2;

		if (changes->catalog == DependRelationId ||
			changes->catalog == SharedDependRelationId)
			continue;
		rel = table_open(changes->catalog, AccessShareLock);
		foreach (lc2, changes->changes)
		{
			UpgChange *change = lfirst(lc2);
			const char *what = change->before == NULL  ? "removed"
							   : change->after == NULL ? "restored"
													   : "changed back";

			result->actions =
				lappend(result->actions,
						psprintf("%s is %s",
								 upg_catalog_describe(changes->catalog,
													  change->before ? change->before
																	 : change->after,
													  RelationGetDescr(rel)),
								 what));
			result->catalog_rows++;
		}
		table_close(rel, AccessShareLock);
	}
	foreach (lc, log->columns)
	{
		UpgKeptColumns *kept = lfirst(lc);

		if (kept->patches != NIL)
			result->actions = lappend(
				result->actions,
				psprintf("%d rows of table \"%s\" get values back from a copy",
						 list_length(kept->patches), get_rel_name(kept->relation)));
	}
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);

		if (rows->switched)
			result->actions = lappend(
				result->actions, psprintf("table %s gets back its file", rows->name));
		if (rows->inserted > 0)
			result->actions = lappend(
				result->actions, psprintf(INT64_FORMAT " rows of table %s are taken out",
										  rows->inserted, rows->name));
		if (rows->deleted > 0)
			result->actions = lappend(
				result->actions, psprintf(INT64_FORMAT " rows of table %s are put back",
										  rows->deleted, rows->name));
		result->data_rows += rows->inserted + rows->deleted;
	}
}

/*
 * way_out
 *		What to do about what stands in the way.
 */
static const char *
way_out(UpgUndoLog *log, List *conflicts, const UpgUndoOptions *options)
{
	StringInfoData names;
	ListCell *lc;

	initStringInfo(&names);
	if (list_length(options->unfilled) == list_length(conflicts))
	{
		/* rows that need values, and nothing else */
		foreach (lc, options->unfilled)
		{
			appendStringInfoString(&names, names.len > 0 ? ", " : "");
			escape_json(&names, lfirst(lc));
			appendStringInfoString(&names, ": \"value\"");
		}
		return psprintf(
			"Say what these rows get: the option {\"fill\": {%s}}, or --fill. "
			"Nothing was changed.",
			names.data);
	}
	if (options->nstrict == list_length(conflicts))
		return "The policy \"strict\" refuses what was written since; the option "
			   "{\"on_conflict\": \"keep\"} (--on-conflict=keep) keeps it, \"discard\" "
			   "gives it up. Nothing was changed.";
	foreach (lc, upg_order_later(log))
		appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "",
						 (char *) lfirst(lc));
	if (names.len > 0)
		return psprintf("Roll back first, in this order: %s; the option "
						"{\"cascade\": true} does. Nothing was changed.",
						names.data);
	if (options->has_down)
		return "Nothing was changed. Take these back first, or run the down script with "
			   "the option {\"method\": \"given\"}.";
	return "Take these back first. Nothing was changed.";
}

/* Refuse, and name everything that stands in the way. */
static void
refuse(UpgUndoLog *log, List *conflicts, const UpgUndoOptions *options)
{
	const char *hint = way_out(log, conflicts, options);
	StringInfoData detail;

	initStringInfo(&detail);
	append_list(&detail, conflicts, 50);
	ereport(ERROR, (errcode(ERRCODE_UPG_LATER_CHANGES),
					errmsg("later changes stand in the way of the rollback"),
					errdetail("%s", detail.data), errhint("%s", hint)));
}

/* Must rows be read to decide what becomes of them? */
static bool
reads_rows(UpgUndoLog *log)
{
	ListCell *lc;

	if (log->relations != NIL || log->columns != NIL)
		return true;
	foreach (lc, upg_change_list(log->catalogs, RelationRelationId))
		if (((UpgChange *) lfirst(lc))->before == NULL)
			return true;
	return false;
}

/*
 * decide
 *		Read the log of a unit, lock what it changes and decide about everything.
 *
 * Where rows have to be read, readers are kept out only when that is done.  If there
 * is no moment without them, writers are let in, and all is decided anew, without
 * readers.
 */
static UpgUndoLog *
decide(UpgUndoUnit *unit, UpgUndoOptions *options, UpgUndoResult *result)
{
	UpgUndoTries tries = {0};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt =
		AllocSetContextCreate(caller, "upg rollback", ALLOCSET_DEFAULT_SIZES);
	UpgUndoLocks locks;
	UpgUndoLog *log;

	MemoryContextSwitchTo(cxt);
	for (bool first = true;; first = false)
	{
		UpgUndoStage stage = options->dry_run ? UPG_UNDO_LOOK : UPG_UNDO_PERFORM;
		List *conflicts = NIL;

		log = upg_undo_unit_read(unit, false);
		upg_undo_locks(log, &locks);
		if (first && !options->dry_run && !options->locked && options->lock_timeout > 0 &&
			locks.alone != NIL && reads_rows(log))
			stage = UPG_UNDO_PLAN;
		upg_undo_lock(&locks, stage, options, &tries);
		if (stage == UPG_UNDO_PERFORM)
			upg_estimate_alone(result, &locks);
		upg_undo_locate(log, options, &conflicts);
		upg_undo_check_privileges(log);
		upg_undo_check_dependents(log, &conflicts);
		if (conflicts == NIL)
			upg_undo_check_rows(log, options, &conflicts);
		if (conflicts != NIL)
			refuse(log, conflicts, options);
		if (stage != UPG_UNDO_PLAN)
			break;
		if (upg_undo_lock_alone(&locks, options))
		{
			upg_estimate_alone(result, &locks);
			/* those who may read a table may put a view on it */
			upg_undo_locate(log, options, &conflicts);
			upg_undo_check_dependents(log, &conflicts);
			if (conflicts != NIL)
				refuse(log, conflicts, options);
			break;
		}
		upg_merge_forget(log->merge);
		MemoryContextReset(cxt);
	}
	MemoryContextSwitchTo(caller);
	upg_report_add_locks(&locks, result);
	return log;
}

/* What helps where a constraint refuses a row that is put back, or one that stays. */
static const char *
remedy(int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_FOREIGN_KEY_VIOLATION:
			return "Rows written since refer to what goes away, or rows that come "
				   "back to what is gone: change or remove those, then roll back "
				   "again.";
		case ERRCODE_NOT_NULL_VIOLATION:
		case ERRCODE_CHECK_VIOLATION:
			return "Rows written since are not what they had to be before: correct them, "
				   "then roll back again.";
		default:
			return "A name or key that comes back is taken by now.";
	}
}

/*
 * take_back
 *		Take back one unit; in a dry run, say what that would do.
 */
static void
take_back(UpgUndoUnit *unit, UpgUndoOptions *options, UpgUndoResult *result)
{
	UpgUndoLog *log;
	UpgSubxact sub;
	instr_time start;
	ListCell *lc;

	upg_alias_load();
	INSTR_TIME_SET_CURRENT(start);
	log = decide(unit, options, result);
	upg_fills_note(log, options->fills);
	result->plan_ms += upg_ms_since(start);
	result->work_ms += upg_estimate_work(log);
	if (options->dry_run)
	{
		describe_actions(log, result);
		upg_report_add(log->merge, result);
		return;
	}

	INSTR_TIME_SET_CURRENT(start);
	upg_subxact_mark(&sub);
	PG_TRY();
	{
		upg_undo_perform(log, options, result);
	}
	PG_CATCH();
	{
		/* rows may be put back in subtransactions, which must not stay open */
		ErrorData *edata = upg_subxact_catch(&sub);

		if (edata->sqlerrcode != ERRCODE_UNIQUE_VIOLATION &&
			edata->sqlerrcode != ERRCODE_FOREIGN_KEY_VIOLATION &&
			edata->sqlerrcode != ERRCODE_NOT_NULL_VIOLATION &&
			edata->sqlerrcode != ERRCODE_EXCLUSION_VIOLATION &&
			edata->sqlerrcode != ERRCODE_CHECK_VIOLATION)
			ReThrowError(edata);
		ereport(ERROR, (errcode(ERRCODE_UPG_LATER_CHANGES),
						errmsg("later changes stand in the way of the rollback"),
						errdetail("%s%s%s", edata->message, edata->detail ? "\n" : "",
								  edata->detail ? edata->detail : ""),
						errhint("%s Nothing was changed.", remedy(edata->sqlerrcode))));
	}
	PG_END_TRY();

	upg_conflicts_write(log->merge);
	upg_report_add(log->merge, result);
	foreach (lc, unit->logs)
	{
		upg_undo_log_erase(*(int64 *) lfirst(lc));
		upg_undo_log_state(*(int64 *) lfirst(lc), "rolled_back");
	}
	result->perform_ms += upg_ms_since(start);
}

/*
 * rehearse
 *		What a rollback of several units would do.
 *
 * Whether an earlier one can be taken back is known only when the later ones
 * are, so all of it is done, and abandoned.
 */
static void
rehearse(List *units, UpgUndoOptions *options, UpgUndoResult *result)
{
	UpgSubxact rehearsal;
	UpgUndoOptions real = *options;
	ListCell *lc;

	real.dry_run = false;
	upg_subxact_begin(&rehearsal, NULL);
	foreach (lc, units)
	{
		UpgUndoResult done = {0};

		take_back(lfirst(lc), options, result);
		take_back(lfirst(lc), &real, &done);
		result->notes = list_concat(result->notes, done.notes);
	}
	upg_subxact_abandon(&rehearsal);
}

/*
 * lock_all
 *		Lock what several units change, at once: later ones must not wait for
 *		somebody who waits for an earlier one.
 */
static void
lock_all(List *units, const UpgUndoOptions *options, UpgUndoResult *result)
{
	MemoryContext oldcxt = CurrentMemoryContext;
	MemoryContext cxt =
		AllocSetContextCreate(oldcxt, "upg locks of a rollback", ALLOCSET_DEFAULT_SIZES);
	UpgUndoLocks locks;
	UpgUndoTries tries = {0};

	MemoryContextSwitchTo(cxt);
	upg_undo_locks_of(units, &locks);
	upg_undo_lock(&locks, options->dry_run ? UPG_UNDO_LOOK : UPG_UNDO_PERFORM, options,
				  &tries);
	if (!options->dry_run)
		upg_estimate_alone(result, &locks);
	MemoryContextSwitchTo(oldcxt);
	MemoryContextDelete(cxt);
}

/*
 * upg_undo_rollback
 *		Take back everything that is kept of a migration, the latest step first,
 *		in the present transaction.
 *
 * All or nothing: any conflict is an error (UP022) that names what stands in
 * the way.  Afterwards the logs are erased but for their heads.
 */
void
upg_undo_rollback(int64 migration, UpgUndoOptions *options, UpgUndoResult *result)
{
	List *units;
	ListCell *lc;

	memset(result, 0, sizeof(*result));
	if (RecoveryInProgress())
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
						errmsg("cannot roll back on a standby")));
	units = upg_undo_units(migration);
	if (units == NIL)
		ereport(ERROR, (errcode(ERRCODE_UPG_NO_UNDO),
						errmsg("no undo is kept of migration " INT64_FORMAT, migration)));
	options->locked = list_length(units) > 1;
	if (options->locked)
		lock_all(units, options, result);
	if (options->dry_run && list_length(units) > 1)
	{
		rehearse(units, options, result);
		return;
	}
	foreach (lc, units)
		take_back(lfirst(lc), options, result);
	upg_estimate_done(result);
}

/*
 * upg_undo_finalize
 *		Give up the undo of a migration: kept files and row images go.
 */
void
upg_undo_finalize(int64 migration)
{
	List *logs = upg_undo_log_kept(migration);
	ListCell *lc;

	foreach (lc, logs)
	{
		UpgUndoLog *log = lfirst(lc);
		ListCell *lc2;

		foreach (lc2, log->files)
			upg_keep_destroy(lfirst(lc2));
		upg_undo_log_erase(log->id);
		upg_undo_log_state(log->id, "finalized");
	}
}
