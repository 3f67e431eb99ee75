/*-------------------------------------------------------------------------
 *
 * capture_functions.c
 *		Functions whose effect no rollback can take back.
 *
 * Some functions of the server and of its usual extensions write files, speak
 * to other servers or to other sessions; and what a function in an untrusted
 * language does outside of the database is not seen.  A script that names one
 * is found before it runs; one that is called from elsewhere, by a function, a
 * default or a trigger, when it is looked up to be called.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/capture_functions.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "utils/catcache.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "capture_internal.h"

#define WRITES_FILE     "It writes a file on the server."
#define CHANGES_SLOT    "Replication slots are outside of transactions."
#define CHANGES_SERVERS "It runs a statement on another server."

/* A function that is known to reach outside. */
typedef struct OutsideFunction
{
	const char *name;
	bool extension; /* in C and of an extension; else of the server itself */
	const char *why;
} OutsideFunction;

static const OutsideFunction outside_functions[] = {
	{"lo_export", false, WRITES_FILE},
	{"pg_notify", false, "Who has heard it cannot forget it."},
	{"pg_logical_emit_message", false, "Who has read it cannot forget it."},
	{"pg_create_physical_replication_slot", false, CHANGES_SLOT},
	{"pg_create_logical_replication_slot", false, CHANGES_SLOT},
	{"pg_copy_physical_replication_slot", false, CHANGES_SLOT},
	{"pg_copy_logical_replication_slot", false, CHANGES_SLOT},
	{"pg_replication_slot_advance", false, CHANGES_SLOT},
	{"pg_drop_replication_slot", false, CHANGES_SLOT},
	{"pg_file_write", true, WRITES_FILE},
	{"pg_file_rename", true, WRITES_FILE},
	{"pg_file_unlink", true, "It removes a file of the server."},
	{"dblink", true, CHANGES_SERVERS},
	{"dblink_exec", true, CHANGES_SERVERS},
	{"dblink_open", true, CHANGES_SERVERS},
	{"dblink_send_query", true, CHANGES_SERVERS},
};

static const char elsewhere[] = "Call it outside of the migration.";

/* Those of the server, by OID; looked up once. */
#define MAX_OIDS 32
static Oid builtin_oids[MAX_OIDS];
static const OutsideFunction *builtin_of[MAX_OIDS];
static int nbuiltins = -1;

/* How many functions of event triggers run, one inside the other? */
static int event_trigger_depth = 0;

static object_access_hook_type prev_object_access = NULL;
static needs_fmgr_hook_type prev_needs_fmgr = NULL;
static fmgr_hook_type prev_fmgr = NULL;

/*
 * upg_capture_notified
 *		Note a notification that a trigger sends; false if none does.
 *
 * A trigger that tells the application of changed rows does so for every
 * statement that changes some, an event trigger for all DDL, and it is not the
 * migration's doing: schema and data can be taken back exactly, so that is only
 * noted.
 */
bool
upg_capture_notified(UpgCapture *capture)
{
	if (event_trigger_depth == 0 &&
		DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) == 0)
		return false;
	capture->notified = true;
	return true;
}

/*
 * flag_known
 *		Refuse one of those functions, or write it down.
 */
static void
flag_known(UpgCapture *capture, const OutsideFunction *function)
{
	if (strcmp(function->name, "pg_notify") == 0 && upg_capture_notified(capture))
		return;
	upg_capture_flag(capture, psprintf("calling function %s()", function->name),
					 function->why, elsewhere);
}

/* Find the OIDs of the server's own functions; their numbers never change. */
static void
find_builtins(void)
{
	int n = 0;

	for (int i = 0; i < lengthof(outside_functions); i++)
	{
		CatCList *list;

		if (outside_functions[i].extension)
			continue;
		list = SearchSysCacheList1(PROCNAMEARGSNSP,
								   CStringGetDatum(outside_functions[i].name));
		for (int k = 0; k < list->n_members && n < MAX_OIDS; k++)
		{
			Form_pg_proc form = (Form_pg_proc) GETSTRUCT(&list->members[k]->tuple);

			if (form->pronamespace != PG_CATALOG_NAMESPACE ||
				form->oid >= FirstNormalObjectId)
				continue;
			builtin_oids[n] = form->oid;
			builtin_of[n++] = &outside_functions[i];
		}
		ReleaseSysCacheList(list);
	}
	nbuiltins = n;
}

/* A function that is not the server's: does its language or its name tell? */
static void
check_other(UpgCapture *capture, Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	char *name;
	Oid language;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	language = form->prolang;
	name = pstrdup(NameStr(form->proname));
	ReleaseSysCache(tuple);

	if (language == ClanguageId)
	{
		for (int i = 0; i < lengthof(outside_functions); i++)
			if (outside_functions[i].extension &&
				strcmp(outside_functions[i].name, name) == 0)
				flag_known(capture, &outside_functions[i]);
	}
	else if (language != INTERNALlanguageId && language != SQLlanguageId)
	{
		tuple = SearchSysCache1(LANGOID, ObjectIdGetDatum(language));
		if (!HeapTupleIsValid(tuple))
			return;
		if (!((Form_pg_language) GETSTRUCT(tuple))->lanpltrusted)
		{
			char *what =
				psprintf("calling function %s() in the untrusted language %s", name,
						 NameStr(((Form_pg_language) GETSTRUCT(tuple))->lanname));

			ReleaseSysCache(tuple);
			upg_capture_flag(capture, what,
							 "What it does outside of the database is not seen.",
							 elsewhere);
		}
		else
			ReleaseSysCache(tuple);
	}
	pfree(name);
}

/* A function is about to be called. */
static void
check_function(Oid function)
{
	UpgCapture *capture = upg_capture_watching();

	if (capture == NULL)
		return;
	if (function >= FirstNormalObjectId)
	{
		check_other(capture, function);
		return;
	}
	if (nbuiltins < 0)
		find_builtins();
	for (int i = 0; i < nbuiltins; i++)
		if (builtin_oids[i] == function)
			flag_known(capture, builtin_of[i]);
}

/* Expressions are prepared to be run. */
static void
capture_object_access(ObjectAccessType access, Oid class, Oid object, int subid,
					  void *arg)
{
	if (prev_object_access)
		prev_object_access(access, class, object, subid, arg);
	if (access == OAT_FUNCTION_EXECUTE && class == ProcedureRelationId)
		check_function(object);
}

/* Is it the function of an event trigger? */
static bool
is_event_function(Oid function)
{
	return function >= FirstNormalObjectId &&
		   get_func_rettype(function) == EVENT_TRIGGEROID;
}

/*
 * Any function that is not the server's is looked up: triggers come here, too.
 * Of those of event triggers, begin and end are to be told.
 */
static bool
capture_needs_fmgr(Oid function)
{
	if (function >= FirstNormalObjectId)
		check_function(function);
	if (upg_capture_watching() != NULL && is_event_function(function))
		return true;
	return prev_needs_fmgr ? prev_needs_fmgr(function) : false;
}

/* One that runs with other rights or settings is called, or one of an event trigger. */
static void
capture_fmgr(FmgrHookEventType event, FmgrInfo *flinfo, Datum *arg)
{
	if (event == FHET_START && flinfo->fn_oid >= FirstNormalObjectId)
		check_function(flinfo->fn_oid);
	if (is_event_function(flinfo->fn_oid))
		event_trigger_depth =
			Max(event_trigger_depth + (event == FHET_START ? 1 : -1), 0);
	if (prev_fmgr)
		prev_fmgr(event, flinfo, arg);
}

/*
 * upg_capture_functions_init
 *		Install the hooks; they do nothing unless a capture is open.
 */
void
upg_capture_functions_init(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = capture_object_access;
	prev_needs_fmgr = needs_fmgr_hook;
	needs_fmgr_hook = capture_needs_fmgr;
	prev_fmgr = fmgr_hook;
	fmgr_hook = capture_fmgr;
}

/* The functions that a raw statement names. */
static bool
find_calls(Node *node, UpgCapture *capture)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall))
	{
		List *names = ((FuncCall *) node)->funcname;
		const char *name = strVal(llast(names));
		bool server =
			list_length(names) == 1 || strcmp(strVal(linitial(names)), "pg_catalog") == 0;

		for (int i = 0; i < lengthof(outside_functions); i++)
			if (strcmp(outside_functions[i].name, name) == 0 &&
				(server || outside_functions[i].extension))
				flag_known(capture, &outside_functions[i]);
	}
	return raw_expression_tree_walker(node, find_calls, (void *) capture);
}

/*
 * upg_capture_refuse_calls
 *		Refuse, or write down, a query that names such a function.
 *
 * For a script that has not run yet.  Statements that hold a query inside come
 * to the hooks when they run.
 */
void
upg_capture_refuse_calls(UpgCapture *capture, Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_SelectStmt:
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			(void) find_calls(statement, capture);
			break;
		default:
			break;
	}
}
