/*-------------------------------------------------------------------------
 *
 * undo_sequence.c
 *		Values of sequences before and after a migration.
 *
 * nextval() and setval() change a sequence in place, outside of MVCC, so their
 * pre-image has to be read before.  It is put back only if nobody has used
 * the sequence since: a value that was given out must not be given out again.
 * Putting back goes through a new file, so it is transactional.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_sequence.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "as_owner.h"
#include "undo.h"

/* Read the one row of a sequence's file; false if the file is not a sequence. */
static bool
read_page(UpgRelFileLocator locator, bool permanent, int64 *value, bool *called)
{
	Buffer buffer = upg_read_buffer(locator, permanent);
	Page page;
	ItemId item;
	bool result = false;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	if (!PageIsNew(page) && PageGetMaxOffsetNumber(page) >= FirstOffsetNumber)
	{
		item = PageGetItemId(page, FirstOffsetNumber);
		if (ItemIdIsNormal(item))
		{
			HeapTupleHeader header = (HeapTupleHeader) PageGetItem(page, item);
			FormData_pg_sequence_data data;

			memcpy(&data, (char *) header + header->t_hoff, sizeof(data));
			*value = data.last_value;
			*called = data.is_called;
			result = true;
		}
	}
	UnlockReleaseBuffer(buffer);
	return result;
}

static bool
read_by_class(Form_pg_class form, int64 *value, bool *called)
{
	UpgRelFileLocator locator;

	if (form->relkind != RELKIND_SEQUENCE || !OidIsValid(form->relfilenode) ||
		form->relpersistence == RELPERSISTENCE_TEMP)
		return false;
	UPG_LOCATOR_SPC(locator) =
		OidIsValid(form->reltablespace) ? form->reltablespace : MyDatabaseTableSpace;
	UPG_LOCATOR_DB(locator) = MyDatabaseId;
	UPG_LOCATOR_NUMBER(locator) = form->relfilenode;
	return read_page(locator, form->relpersistence == RELPERSISTENCE_PERMANENT, value,
					 called);
}

/*
 * upg_sequence_read
 *		The value of a sequence now.
 */
bool
upg_sequence_read(Oid sequence, int64 *value, bool *called)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(sequence));
	bool result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = read_by_class((Form_pg_class) GETSTRUCT(tuple), value, called);
	ReleaseSysCache(tuple);
	return result;
}

/*
 * upg_sequences_remember
 *		The values of all sequences of the database.
 */
List *
upg_sequences_remember(void)
{
	Relation rel = table_open(SequenceRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;
	Oid own = get_namespace_oid("upg", true);
	List *result = NIL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		UpgSequenceState *state;

		if (get_rel_namespace(((Form_pg_sequence) GETSTRUCT(tuple))->seqrelid) == own)
			continue;
		state = palloc0(sizeof(UpgSequenceState));

		state->sequence = ((Form_pg_sequence) GETSTRUCT(tuple))->seqrelid;
		if (upg_sequence_read(state->sequence, &state->before_value,
							  &state->before_called))
			result = lappend(result, state);
		else
			pfree(state);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/* What was remembered of a sequence, or NULL. */
static UpgSequenceState *
remembered(List *before, Oid sequence)
{
	ListCell *lc;

	foreach (lc, before)
	{
		UpgSequenceState *state = lfirst(lc);

		if (state->sequence == sequence)
			return state;
	}
	return NULL;
}

/*
 * upg_sequences_changed
 *		Those that we moved.
 *
 * nextval() and setval() hold a lock on the sequence until the transaction
 * ends, so a sequence that has moved without our holding that lock was moved
 * by others.  A sequence with a new file is noted with the value of that one:
 * it tells later whether the new one was used.  The old file may have been moved
 * before it was exchanged or dropped, so what it was at first is noted, too.
 */
List *
upg_sequences_changed(List *before, List *catalogs)
{
	List *result = NIL;
	List *changed = NIL;
	ListCell *lc;

	foreach (lc, upg_change_list(catalogs, RelationRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_class form;
		UpgSequenceState *state;
		UpgSequenceState *old;

		if (change->before == NULL)
			continue;
		form = (Form_pg_class) GETSTRUCT(change->before);
		if (form->relkind != RELKIND_SEQUENCE)
			continue;
		if (change->after &&
			((Form_pg_class) GETSTRUCT(change->after))->relfilenode == form->relfilenode)
			continue;
		changed = lappend_oid(changed, form->oid);
		state = palloc0(sizeof(UpgSequenceState));
		state->sequence = form->oid;
		state->switched = true;
		if (!read_by_class(form, &state->before_value, &state->before_called))
			continue;
		state->after_value = state->before_value;
		state->after_called = state->before_called;
		old = remembered(before, form->oid);
		if (old)
		{
			state->before_value = old->before_value;
			state->before_called = old->before_called;
		}
		if (change->after)
			(void) upg_sequence_read(form->oid, &state->after_value,
									 &state->after_called);
		else if (state->before_value == state->after_value &&
				 state->before_called == state->after_called)
			continue; /* comes back with its file */
		result = lappend(result, state);
	}

	foreach (lc, before)
	{
		UpgSequenceState *old = lfirst(lc);
		UpgSequenceState *state;
		LOCKTAG tag;
		int64 value;
		bool called;

		if (!upg_sequence_read(old->sequence, &value, &called) ||
			(!list_member_oid(changed, old->sequence) && value == old->before_value &&
			 called == old->before_called))
			continue;
		if (list_member_oid(changed, old->sequence))
			continue;
		SET_LOCKTAG_RELATION(tag, MyDatabaseId, old->sequence);
		if (!upg_lock_held(&tag, RowExclusiveLock) &&
			!upg_lock_held(&tag, ShareRowExclusiveLock) &&
			!upg_lock_held(&tag, AccessExclusiveLock))
			continue;
		state = palloc(sizeof(UpgSequenceState));
		*state = *old;
		state->after_value = value;
		state->after_called = called;
		result = lappend(result, state);
	}
	return result;
}

/*
 * would_repeat
 *		Does a row hold a value that the sequence, set back, would give out again?
 *
 * Others may have used it while the migration ran: a sequence knows no
 * transactions.  Values beyond those that it gave out meanwhile are keys that
 * somebody chose; it would have met them anyway.  Known for sequences that belong
 * to a column only.
 */
static bool
would_repeat(UpgSequenceState *state)
{
	HeapTuple tuple;
	bool ascending;
	Oid table;
	int32 column;
	char *name;

	if (!sequenceIsOwned(state->sequence, DEPENDENCY_AUTO, &table, &column) &&
		!sequenceIsOwned(state->sequence, DEPENDENCY_INTERNAL, &table, &column))
		return false;
	tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(state->sequence));
	if (!HeapTupleIsValid(tuple))
		return false;
	ascending = ((Form_pg_sequence) GETSTRUCT(tuple))->seqincrement > 0;
	ReleaseSysCache(tuple);
	name = get_attname(table, column, true);
	switch (get_atttype(table, column))
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			break;
		default:
			return false; /* not comparable with a number, or gone */
	}
	if (name == NULL || get_rel_relkind(table) != RELKIND_RELATION)
		return false;
	return upg_data_finds_row(
		psprintf("SELECT 1 FROM ONLY %s WHERE %s %s%s " INT64_FORMAT
				 " AND %s %s " INT64_FORMAT " LIMIT 1",
				 quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)),
											get_rel_name(table)),
				 quote_identifier(name), ascending ? ">" : "<",
				 state->before_called ? "" : "=", state->before_value,
				 quote_identifier(name), ascending ? "<=" : ">=", state->after_value),
		table);
}

/* Would the sequence reach "a" later than "b"? */
static bool
is_beyond(Form_pg_sequence form, int64 a, bool acalled, int64 b, bool bcalled)
{
	if (a == b)
		return acalled && !bcalled;
	return form->seqincrement > 0 ? a > b : a < b;
}

/*
 * set_value
 *		Give a sequence a value, as its owner.
 *
 * ALTER SEQUENCE ... RESTART gives the sequence a new file; setval() on that
 * file is undone with it if this transaction fails.
 */
static void
set_value(Oid sequence, int64 value, bool called)
{
	AlterSeqStmt *stmt = makeNode(AlterSeqStmt);
	ParseState *pstate;
	UpgAsOwner before;

	stmt->sequence = makeRangeVar(get_namespace_name(get_rel_namespace(sequence)),
								  get_rel_name(sequence), -1);
	stmt->options = list_make1(
		makeDefElem("restart", (Node *) makeFloat(psprintf(INT64_FORMAT, value)), -1));
	upg_as_owner_begin(&before, upg_relation_owner(sequence), 0);
	pstate = make_parsestate(NULL);
	(void) AlterSequence(pstate, stmt);
	free_parsestate(pstate);
	CommandCounterIncrement();
	(void) DirectFunctionCall3(setval3_oid, ObjectIdGetDatum(sequence),
							   Int64GetDatum(value), BoolGetDatum(called));
	upg_as_owner_end(&before);
}

/*
 * upg_sequences_look
 *		Note the values of sequences whose files are about to be exchanged.
 */
void
upg_sequences_look(UpgUndoLog *log)
{
	ListCell *lc;

	foreach (lc, log->sequences)
	{
		UpgSequenceState *state = lfirst(lc);

		if (state->switched)
			state->used = upg_sequence_read(state->sequence, &state->now_value,
											&state->now_called) &&
						  (state->now_value != state->after_value ||
						   state->now_called != state->after_called);
	}
}

/*
 * upg_sequences_restore
 *		Put values back where nobody has used the sequence since.
 *
 * A sequence that came back with its old file has the value of the moment in
 * which the migration exchanged or dropped it.  If the new one was used since,
 * the old one goes on after the values that were given out.
 */
void
upg_sequences_restore(UpgUndoLog *log, UpgUndoResult *result)
{
	ListCell *lc;

	foreach (lc, log->sequences)
	{
		UpgSequenceState *state = lfirst(lc);
		int64 value;
		bool called;
		char *name;
		HeapTuple tuple;
		FormData_pg_sequence form;

		LockRelationOid(state->sequence, ShareRowExclusiveLock);
		if (!upg_sequence_read(state->sequence, &value, &called))
			continue;
		name = get_rel_name(state->sequence);
		tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(state->sequence));
		if (!HeapTupleIsValid(tuple))
			continue;
		memcpy(&form, GETSTRUCT(tuple), sizeof(form));
		ReleaseSysCache(tuple);

		if (state->switched)
		{
			state->after_value = value;
			state->after_called = called;
			if (state->used && is_beyond(&form, state->now_value, state->now_called,
										 state->before_value, state->before_called))
			{
				state->before_value = state->now_value;
				state->before_called = state->now_called;
				result->notes =
					lappend(result->notes,
							psprintf("sequence \"%s\" was used since and keeps its "
									 "value " INT64_FORMAT,
									 name, state->now_value));
			}
			if ((value == state->before_value && called == state->before_called) ||
				state->before_value < form.seqmin || state->before_value > form.seqmax)
				continue;
		}
		if (value != state->after_value || called != state->after_called)
		{
			result->notes = lappend(
				result->notes,
				psprintf(
					"sequence \"%s\" was used since and keeps its value " INT64_FORMAT,
					name, value));
			continue;
		}
		if (!(state->switched && state->used) && would_repeat(state))
		{
			result->notes =
				lappend(result->notes,
						psprintf("sequence \"%s\" was used by others while the migration "
								 "ran and keeps its value " INT64_FORMAT,
								 name, value));
			continue;
		}
		set_value(state->sequence, state->before_value, state->before_called);
		if (!state->used)
			result->actions = lappend(
				result->actions, psprintf("sequence \"%s\" goes back to " INT64_FORMAT,
										  name, state->before_value));
	}
}
