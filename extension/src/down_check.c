/*-------------------------------------------------------------------------
 *
 * down_check.c
 *		Does the down script that came with a migration give back what was there?
 *
 * When the migration is applied, the down is really run after the up, in a
 * subtransaction that is then given up.  Before the up and after the down the
 * schema is described object by object and the rows of the tables that the two
 * scripts can reach are summed up (sql/install/67_down_check.sql); what differs
 * is a warning or a refusal.  All of it happens with the caller's rights.
 *
 * What a script does outside of transactions cannot be given up.  Sequences are
 * the common case, so a down that calls setval() is not tried.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/down_check.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "compat.h"
#include "down_check.h"
#include "errors.h"
#include "subxact.h"

/* Tables with more rows are left out: they are read twice, all of them. */
#define ROW_LIMIT 200000

/* Differences beyond these are counted only. */
#define SHOWN 20

struct UpgDownCheck
{
	UpgDownCheckMode mode;
	const char *name;
	const char *down;
	char *scripts;  /* both texts, for the tables that they name */
	char *before;   /* state before the up, as jsonb text */
	int guc_level;  /* what the up sets ends before the down */
	UpgScript *run; /* the down, parsed; NULL: it cannot be tried */
};

/*
 * state_of
 *		The state as jsonb text, in the caller's memory; "before" as for the function.
 */
static char *
state_of(const UpgDownCheck *check, const char *before)
{
	static const char sql[] = "SELECT upg.down_check_state($1, $2::pg_catalog.jsonb, $3)"
							  "::pg_catalog.text";
	MemoryContext cxt = CurrentMemoryContext;
	Oid types[] = {TEXTOID, TEXTOID, INT8OID};
	Datum values[3];
	char nulls[] = "   ";
	char *state;

	values[0] = CStringGetTextDatum(check->scripts);
	values[1] = before ? CStringGetTextDatum(before) : (Datum) 0;
	nulls[1] = before ? ' ' : 'n';
	values[2] = Int64GetDatum(ROW_LIMIT);
	SPI_connect();
	if (SPI_execute_with_args(sql, 3, types, values, nulls, false, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "the state for a check of a down script cannot be read");
	state = MemoryContextStrdup(
		cxt, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	return state;
}

/*
 * ask
 *		Rows of one text column as a list, in memory of "cxt"; $2 may be NULL.
 */
static List *
ask(MemoryContext cxt, const char *sql, const char *first, const char *second)
{
	Oid types[] = {TEXTOID, TEXTOID};
	Datum values[2];
	List *texts = NIL;

	values[0] = CStringGetTextDatum(first);
	values[1] = second ? CStringGetTextDatum(second) : (Datum) 0;
	SPI_connect();
	if (SPI_execute_with_args(sql, second ? 2 : 1, types, values, NULL, false, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "states for a check of a down script cannot be compared");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char *text = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		MemoryContext old = MemoryContextSwitchTo(cxt);

		if (text != NULL)
			texts = lappend(texts, pstrdup(text));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return texts;
}

/*
 * upg_down_check_impossible
 *		A down that cannot be tried: say so, or refuse the migration.
 *
 * "why" is a sentence that begins with a small letter.
 */
void
upg_down_check_impossible(UpgDownCheckMode mode, const char *name, const char *why,
						  UpgResult *result)
{
	if (mode == UPG_DOWN_CHECK_REQUIRE)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_DOWN_NOT_EXACT),
				 errmsg("the down script of migration \"%s\" cannot be checked", name),
				 errdetail("%c%s", pg_toupper((unsigned char) why[0]), why + 1),
				 errhint("Set upg.down_check to \"warn\" for this migration, and try its "
						 "down with \"upg lint --downs\".")));
	if (mode == UPG_DOWN_CHECK_WARN)
		upg_result_warn(
			result, psprintf("the down script of migration \"%s\" was not checked: %s",
							 name, why));
}

/*
 * upg_down_check_begin
 *		Remember the state before the up; NULL if nothing is to be checked.
 *
 * The calls for before the up, after it and the end must follow.
 */
UpgDownCheck *
upg_down_check_begin(UpgDownCheckMode mode, const char *name, const char *up,
					 const char *down)
{
	UpgDownCheck *check;
	UpgCut cut = {0};

	if (mode == UPG_DOWN_CHECK_OFF)
		return NULL;
	check = palloc0(sizeof(UpgDownCheck));
	check->mode = mode;
	check->name = name;
	check->down = down;
	check->run = upg_script_parse(down, &cut);
	check->scripts = psprintf("%s\n%s", up, down);
	if (upg_script_transactional(check->run) && strstr(down, "setval") == NULL)
		check->before = state_of(check, NULL);
	return check;
}

/*
 * upg_down_check_before_up
 *		The up begins: what it sets is to end with it.
 */
void
upg_down_check_before_up(UpgDownCheck *check)
{
	if (check != NULL)
		check->guc_level = NewGUCNestLevel();
}

/*
 * upg_down_check_after_up
 *		What the up has set ends here: its down will run in another session.
 */
void
upg_down_check_after_up(UpgDownCheck *check)
{
	if (check != NULL)
		AtEOXact_GUC(false, check->guc_level);
}

/*
 * run_down
 *		Run the down and compare; the differences, in memory of "cxt".
 */
static List *
run_down(UpgDownCheck *check, const UpgOptions *options, UpgRun *run, MemoryContext cxt)
{
	char *after;

	if (options->lock_timeout >= 0)
		run->lock_timeout = options->lock_timeout;
	if (options->lock_retries >= 0)
		run->lock_retries = options->lock_retries;
	if (check->run->nsteps > 0)
		upg_run_step(run, &check->run->steps[0]);
	SPI_connect();
	SPI_execute("SET CONSTRAINTS ALL IMMEDIATE", false, 0);
	SPI_finish();
	CommandCounterIncrement();
	after = state_of(check, check->before);
	return ask(cxt,
			   "SELECT difference FROM upg.down_check_differences("
			   "$1::pg_catalog.jsonb, $2::pg_catalog.jsonb)",
			   check->before, after);
}

/*
 * try_down
 *		Run the down in a subtransaction and give it up; the differences.
 *
 * An error of the down is a difference, too.
 */
static List *
try_down(UpgDownCheck *check, const UpgOptions *options)
{
	MemoryContext cxt = CurrentMemoryContext;
	UpgSubxact sub;
	UpgRun *run = upg_run_create(check->name, "down", check->run);
	List *volatile differences = NIL;

	upg_subxact_begin(&sub, "upg_down_check");
	PG_TRY();
	{
		differences = run_down(check, options, run, cxt);
		upg_subxact_abandon(&sub);
	}
	PG_CATCH();
	{
		ErrorData *edata = upg_subxact_catch(&sub);

		if (upg_error_is_final(edata->sqlerrcode))
			ReThrowError(edata);
		differences = list_make1(psprintf(
			"it fails%s: %s (%s)",
			run->current
				? psprintf(" at line %d",
						   run->error_line > 0 ? run->error_line : run->current->line)
				: "",
			edata->message, unpack_sql_state(edata->sqlerrcode)));
		FreeErrorData(edata);
	}
	PG_END_TRY();
	return differences;
}

/*
 * refuse
 *		Raise ERRCODE_UPG_DOWN_NOT_EXACT with the differences.
 */
pg_noreturn static void
refuse(const UpgDownCheck *check, List *differences)
{
	StringInfoData detail;
	ListCell *lc;
	int n = 0;

	initStringInfo(&detail);
	foreach (lc, differences)
	{
		if (n++ == SHOWN)
			break;
		appendStringInfo(&detail, "%s%s", n > 1 ? "\n" : "", (char *) lfirst(lc));
	}
	if (list_length(differences) > SHOWN)
		appendStringInfo(&detail, "\n... and %d more", list_length(differences) - SHOWN);
	ereport(
		ERROR,
		(errcode(ERRCODE_UPG_DOWN_NOT_EXACT),
		 errmsg("the down script of migration \"%s\" does not give back what was there",
				check->name),
		 errdetail("%s", detail.data),
		 errhint("Mend the down script, or apply the migration with undo \"required\", "
				 "which needs none.")));
}

/*
 * upg_down_check_finish
 *		Try the down of a migration whose up has run; warn or refuse.
 */
void
upg_down_check_finish(UpgDownCheck *check, const UpgOptions *options, UpgResult *result)
{
	List *differences;
	List *unseen;
	ListCell *lc;
	int n = 0;

	if (check == NULL)
		return;
	if (check->before == NULL)
	{
		upg_down_check_impossible(
			check->mode, check->name,
			upg_script_transactional(check->run)
				? "it calls setval(), which no transaction takes back."
				: "it holds statements that no transaction can hold.",
			result);
		return;
	}
	differences = try_down(check, options);
	if (differences != NIL && check->mode == UPG_DOWN_CHECK_REQUIRE)
		refuse(check, differences);
	foreach (lc, differences)
	{
		if (n++ == SHOWN)
			break;
		upg_result_warn(result, psprintf("the down script does not give back what was "
										 "there: %s",
										 (char *) lfirst(lc)));
	}
	if (list_length(differences) > SHOWN)
		upg_result_warn(result, psprintf("the down script leaves %d more differences",
										 list_length(differences) - SHOWN));
	unseen =
		ask(CurrentMemoryContext, "SELECT upg.down_check_unseen($1::pg_catalog.jsonb)",
			check->before, NULL);
	if (unseen != NIL)
		upg_result_warn(
			result, psprintf("the check of the down script did not compare the rows of "
							 "%s",
							 (char *) linitial(unseen)));
}
