/*-------------------------------------------------------------------------
 *
 * undo_down_state.c
 *		The schema now and as it was, the statements in between, and the
 *		judgement on what they gave back.
 *
 * The rendering itself is SQL (sql/install/7x_down_*.sql), because it is
 * queries over catalogs.  All of it runs with the caller's rights.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_down_state.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_db_role_setting.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_largeobject.h"
#include "catalog/pg_largeobject_metadata.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_shdepend.h"
#include "catalog/pg_shdescription.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "spi.h"
#include "undo_down.h"

/* Columns that say to which object a row without an OID belongs. */
static const char *const owner_columns[] = {
	"enumtypid", "rngtypid", "aggfnoid", "mapcfg",     "seqrelid",
	"ftrelid",   "prpubid",  "pnpubid",  "amopfamily", "amprocfamily"};

/* The catalogs that the columns of the same place refer to. */
static const Oid owner_catalogs[] = {TypeRelationId,           TypeRelationId,
									 ProcedureRelationId,      TSConfigRelationId,
									 RelationRelationId,       RelationRelationId,
									 PublicationRelationId,    PublicationRelationId,
									 OperatorFamilyRelationId, OperatorFamilyRelationId};

static void
add_address(List **addresses, Oid class, Oid object)
{
	if (OidIsValid(class))
		*addresses = lappend(*addresses, psprintf("%u:%u", class, object));
}

/* What one row of a catalog says something about. */
static void
add_row(List **addresses, Oid catalog, HeapTuple row, TupleDesc desc)
{
	Oid second;
	Oid relation;
	bool isnull;

	relation = upg_row_relation(catalog, row, desc, &second);
	if (OidIsValid(relation))
		add_address(addresses, RelationRelationId, relation);
	if (OidIsValid(second))
		add_address(addresses, RelationRelationId, second);
	if (catalog == DbRoleSettingRelationId)
	{
		Form_pg_db_role_setting setting = (Form_pg_db_role_setting) GETSTRUCT(row);

		*addresses =
			lappend(*addresses,
					psprintf("%u:%u:%s", catalog, setting->setrole,
							 OidIsValid(setting->setdatabase) ? "here" : "everywhere"));
		return;
	}
	if (catalog == AuthMemRelationId)
	{
		Form_pg_auth_members member = (Form_pg_auth_members) GETSTRUCT(row);

		*addresses = lappend(
			*addresses, psprintf("%u:%u:%u", catalog, member->roleid, member->member));
		return;
	}
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		const char *name = NameStr(att->attname);
		Datum value;

		if (att->atttypid != OIDOID && att->atttypid != REGPROCOID)
			continue;
		value = heap_getattr(row, i + 1, desc, &isnull);
		if (strcmp(name, "oid") == 0)
			add_address(addresses, catalog, DatumGetObjectId(value));
		for (int j = 0; j < lengthof(owner_columns); j++)
			if (strcmp(name, owner_columns[j]) == 0)
				add_address(addresses, owner_catalogs[j], DatumGetObjectId(value));
	}
}

/* Rows of pg_description, pg_seclabel and pg_depend are about another object. */
static void
add_described(List **addresses, HeapTuple row, TupleDesc desc)
{
	Oid class = InvalidOid;

	for (int i = 0; i < desc->natts; i++)
	{
		const char *name = NameStr(TupleDescAttr(desc, i)->attname);
		bool isnull;

		if (strcmp(name, "classoid") == 0 || strcmp(name, "classid") == 0)
			class = DatumGetObjectId(heap_getattr(row, i + 1, desc, &isnull));
	}
	for (int i = 0; i < desc->natts; i++)
	{
		const char *name = NameStr(TupleDescAttr(desc, i)->attname);
		bool isnull;

		if (strcmp(name, "objoid") == 0 || strcmp(name, "objid") == 0)
			add_address(addresses, class,
						DatumGetObjectId(heap_getattr(row, i + 1, desc, &isnull)));
	}
}

/* Catalogs of the cluster for which no statement is made. */
static bool
catalog_beyond(Oid catalog)
{
	Relation rel = table_open(catalog, AccessShareLock);
	bool shared = rel->rd_rel->relisshared;

	table_close(rel, AccessShareLock);
	return shared && catalog != AuthIdRelationId && catalog != AuthMemRelationId &&
		   catalog != DbRoleSettingRelationId && catalog != SharedDependRelationId &&
		   catalog != SharedDescriptionRelationId;
}

static void
read_log(UpgDownRun *run, UpgUndoLog *log, List **addresses, List **written,
		 List **switched)
{
	ListCell *lc;

	foreach (lc, log->catalogs)
	{
		UpgCatalogChanges *changes = lfirst(lc);
		Relation rel = table_open(changes->catalog, AccessShareLock);
		TupleDesc desc = RelationGetDescr(rel);
		ListCell *lc2;

		if (changes->catalog == LargeObjectRelationId ||
			changes->catalog == LargeObjectMetadataRelationId)
			run->large_objects = true;
		if (catalog_beyond(changes->catalog))
			run->shared = true;
		foreach (lc2, changes->changes)
		{
			UpgChange *change = lfirst(lc2);

			if (change->before)
			{
				add_row(addresses, changes->catalog, change->before, desc);
				add_described(addresses, change->before, desc);
			}
			if (change->after)
			{
				add_row(addresses, changes->catalog, change->after, desc);
				add_described(addresses, change->after, desc);
			}
		}
		table_close(rel, AccessShareLock);
	}
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);

		*written = list_append_unique_oid(*written, rows->relation);
		if (rows->switched)
			*switched = list_append_unique_oid(*switched, rows->relation);
	}
	foreach (lc, log->files)
		*switched =
			list_append_unique_oid(*switched, ((UpgKeptFile *) lfirst(lc))->relation);
	foreach (lc, log->columns)
		*switched =
			list_append_unique_oid(*switched, ((UpgKeptColumns *) lfirst(lc))->relation);
	foreach (lc, log->sequences)
		add_address(addresses, RelationRelationId,
					((UpgSequenceState *) lfirst(lc))->sequence);
}

static Datum
oid_array(List *oids)
{
	Datum *values = palloc(sizeof(Datum) * Max(list_length(oids), 1));
	int n = 0;
	ListCell *lc;

	foreach (lc, oids)
		values[n++] = ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(
		construct_array(values, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

/*
 * upg_down_logs
 *		Read from the undo logs of the migration what it touched.
 */
void
upg_down_logs(UpgDownRun *run)
{
	List *addresses = NIL;
	List *written = NIL;
	List *switched = NIL;
	ListCell *lc;

	foreach (lc, upg_undo_units(run->migration))
		read_log(run, upg_undo_unit_read(lfirst(lc), false), &addresses, &written,
				 &switched);
	run->addresses = upg_text_array(addresses);
	run->written = oid_array(written);
	run->switched = oid_array(switched);
}

/* A datum of the current result, in the run's memory. */
static Datum
take(UpgDownRun *run, int column, int16 typlen, bool typbyval)
{
	bool isnull;
	Datum value =
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);
	MemoryContext oldcxt = MemoryContextSwitchTo(run->cxt);
	Datum result;

	if (isnull)
		result = (Datum) 0;
	else if (typlen == -1)
		result = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	else
		result = datumCopy(value, typbyval, typlen);
	MemoryContextSwitchTo(oldcxt);
	return result;
}

/* Values of all sequences. */
static void
read_positions(UpgDownRun *run, UpgDownState *state, Datum sequences)
{
	Jsonb *names = DatumGetJsonbP(sequences);
	JsonbIterator *it = JsonbIteratorInit(&names->root);
	JsonbValue key;
	JsonbValue value;
	MemoryContext oldcxt = MemoryContextSwitchTo(run->cxt);

	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		UpgDownPosition *position = palloc0(sizeof(UpgDownPosition));

		(void) JsonbIteratorNext(&it, &value, true);
		position->sequence =
			(Oid) strtoul(pnstrdup(key.val.string.val, key.val.string.len), NULL, 10);
		position->name = pnstrdup(value.val.string.val, value.val.string.len);
		if (upg_sequence_read(position->sequence, &position->value, &position->called))
			state->positions = lappend(state->positions, position);
	}
	MemoryContextSwitchTo(oldcxt);
}

/*
 * upg_down_read
 *		The schema at this moment, in the run's memory.
 */
void
upg_down_read(UpgDownRun *run, UpgDownState *state)
{
	Oid types[] = {TEXTARRAYOID};
	Datum sequences;

	SPI_connect();
	if (SPI_execute_with_args("SELECT objects, depends, image, keys, sequences"
							  " FROM upg.down_state($1)",
							  1, types, &run->addresses, NULL, false,
							  1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "the schema cannot be described");
	state->objects = take(run, 1, -1, false);
	state->depends = take(run, 2, -1, false);
	state->image = take(run, 3, -1, false);
	state->keys = take(run, 4, -1, false);
	sequences = take(run, 5, -1, false);
	SPI_finish();
	read_positions(run, state, sequences);
}

/* The ways to say a statement, from a text[]. */
static List *
ways_of(UpgDownRun *run, Datum array)
{
	Datum *elems;
	bool *nulls;
	int n;
	List *ways = NIL;
	MemoryContext oldcxt = MemoryContextSwitchTo(run->cxt);

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elems,
					  &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			ways = lappend(ways, TextDatumGetCString(elems[i]));
	MemoryContextSwitchTo(oldcxt);
	return ways;
}

static bool
same_position(List *positions, UpgDownPosition *position)
{
	ListCell *lc;

	foreach (lc, positions)
	{
		UpgDownPosition *other = lfirst(lc);

		if (strcmp(other->name, position->name) == 0)
			return other->value == position->value && other->called == position->called;
	}
	return false;
}

/* Is a sequence among what the migration touched? */
static bool
is_touched(UpgDownRun *run, Oid sequence)
{
	char *address = psprintf("%u:%u", RelationRelationId, sequence);
	bool found = false;
	Datum *elems;
	int n;

	deconstruct_array(DatumGetArrayTypeP(run->addresses), TEXTOID, -1, false,
					  TYPALIGN_INT, &elems, NULL, &n);
	for (int i = 0; i < n && !found; i++)
		found = strcmp(TextDatumGetCString(elems[i]), address) == 0;
	return found;
}

/* setval() of sequences that are not where they were, or that are made anew. */
static void
plan_positions(UpgDownRun *run, List *remade)
{
	ListCell *lc;

	foreach (lc, run->before.positions)
	{
		UpgDownPosition *position = lfirst(lc);
		bool anew = false;
		ListCell *lc2;

		foreach (lc2, remade)
			anew |= strcmp(lfirst(lc2), position->name) == 0;
		if (!anew && (same_position(run->now.positions, position) ||
					  !is_touched(run, position->sequence)))
			continue;
		upg_down_add(run, 80, psprintf("sequence %s", position->name),
					 psprintf("SELECT pg_catalog.setval(%s, " INT64_FORMAT ", %s)",
							  quote_literal_cstr(position->name), position->value,
							  position->called ? "true" : "false"));
	}
}

/* Names of identity sequences whose table is made anew, in the statements. */
static List *
remade_sequences(UpgDownRun *run)
{
	List *names = NIL;
	ListCell *lc;

	foreach (lc, run->before.positions)
	{
		UpgDownPosition *position = lfirst(lc);
		char *clause = psprintf("SEQUENCE NAME %s ", position->name);
		char *created = psprintf("SEQUENCE %s AS ", position->name);
		ListCell *lc2;

		foreach (lc2, run->statements)
		{
			UpgDownStatement *statement = lfirst(lc2);
			const char *text = linitial(statement->ways);

			if (strstr(text, clause) != NULL ||
				(strncmp(text, "CREATE ", 7) == 0 && strstr(text, created) != NULL))
			{
				names = lappend(names, position->name);
				break;
			}
		}
	}
	return names;
}

/*
 * upg_down_plan
 *		The statements about the schema, in their order.
 */
void
upg_down_plan(UpgDownRun *run)
{
	static const char sql[] =
		"SELECT phase, image, statements FROM upg.down_plan($1, $2, $3, $4,"
		" $5 || $6) ORDER BY phase, rank, COALESCE($2 -> key, $1 -> key) ->> 'image'"
		" COLLATE \"C\", seq";
	Oid types[] = {JSONBOID, JSONBOID, JSONBOID, JSONBOID, TEXTARRAYOID, TEXTARRAYOID};
	Datum values[] = {run->now.objects,    run->before.objects, run->now.depends,
					  run->before.depends, run->now.keys,       run->before.keys};
	char nulls[] = "      ";

	for (int i = 0; i < lengthof(values); i++)
		nulls[i] = values[i] == (Datum) 0 ? 'n' : ' ';
	SPI_connect();
	if (SPI_execute_with_args(sql, lengthof(values), types, values, nulls, false, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "a down cannot be planned");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool isnull;
		int phase = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
		char *image = SPI_getvalue(row, desc, 2);
		Datum ways = SPI_getbinval(row, desc, 3, &isnull);
		UpgDownStatement *statement;

		if (isnull)
			continue;
		statement = upg_down_add(run, phase, image ? image : "", NULL);
		statement->ways = ways_of(run, ways);
		if (statement->ways == NIL)
			run->statements = list_delete_last(run->statements);
	}
	SPI_finish();
	plan_positions(run, remade_sequences(run));
}

/*
 * blame
 *		Mark the statements about an object as inexact; false if there is none.
 */
static bool
blame(UpgDownRun *run, const char *image, const char *why)
{
	bool found = false;
	ListCell *lc;

	foreach (lc, run->statements)
	{
		UpgDownStatement *statement = lfirst(lc);

		if (strcmp(statement->image, image) != 0)
			continue;
		found = true;
		if (statement->text != NULL && strcmp(statement->tag, "exact") == 0)
		{
			statement->tag = "inexact";
			statement->reason = MemoryContextStrdup(run->cxt, why);
		}
	}
	return found;
}

/* Something is not as before, and no statement is about it. */
static void
nothing_for(UpgDownRun *run, const char *image, const char *why)
{
	UpgDownStatement *statement = upg_down_add(run, 99, image, NULL);

	statement->tag = "impossible";
	statement->reason = MemoryContextStrdup(run->cxt, why);
}

static void
judge_schema(UpgDownRun *run, UpgDownState *after)
{
	Oid types[] = {JSONBOID, JSONBOID, JSONBOID, JSONBOID};
	Datum values[] = {run->before.image, after->image, run->before.objects,
					  after->objects};

	SPI_connect();
	if (SPI_execute_with_args("SELECT object, parents, difference"
							  " FROM upg.down_differences($1, $2, $3, $4)",
							  4, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "the effect of a down cannot be judged");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		char *object = SPI_getvalue(row, desc, 1);
		char *why = SPI_getvalue(row, desc, 3);
		bool isnull;
		Datum parents = SPI_getbinval(row, desc, 2, &isnull);
		bool found;
		ListCell *lc;

		if (object == NULL || why == NULL)
			continue;
		found = blame(run, object, why);
		if (!found && !isnull)
			foreach (lc, ways_of(run, parents))
				if ((found = blame(run, lfirst(lc), why)))
					break;
		if (!found)
			nothing_for(run, object, why);
	}
	SPI_finish();
}

/*
 * upg_down_judge
 *		Take back the tag "exact" from whatever did not give back what was there.
 */
void
upg_down_judge(UpgDownRun *run, UpgDownState *after)
{
	ListCell *lc;

	judge_schema(run, after);
	upg_down_rows_check(run);
	foreach (lc, run->before.positions)
	{
		UpgDownPosition *position = lfirst(lc);
		char *image = psprintf("sequence %s", position->name);
		char *why = psprintf("%s does not stand where it stood", image);

		if (same_position(after->positions, position) ||
			same_position(run->now.positions, position))
			continue;
		if (!blame(run, image, why))
			nothing_for(run, image, why);
	}
	if (run->large_objects)
		nothing_for(run, "large objects",
					"large objects that the migration changed are not in this script");
	if (run->shared)
		nothing_for(run, "cluster",
					"what the migration changed in the cluster is not in this script");
}
