/*-------------------------------------------------------------------------
 *
 * upg.c
 *		Loading of the module.
 *
 * Nothing needs preloading: the first call of a function loads the module
 * into its backend, and background workers load it for themselves.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/upg.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"

#include "audit.h"
#include "capture.h"
#include "compat.h"
#include "errors.h"
#include "session.h"
#include "upg.h"
#include "worker.h"

UPG_MODULE_MAGIC("upg", UPG_VERSION);

PG_FUNCTION_INFO_V1(upg_library_version);
PG_FUNCTION_INFO_V1(upg_server_untested);

void _PG_init(void);

/*
 * _PG_init
 *		Define settings, then let each module install its hooks.
 */
void
_PG_init(void)
{
	upg_guc_init();
	/* first among the callbacks, hence last to be called at pre-commit */
	upg_audit_init();
	upg_worker_init();
	upg_session_init();
	upg_capture_init();
}

/*
 * upg_library_version
 *		The version that this library was built as, for the handshake between
 *		library, install script and command line.
 */
Datum
upg_library_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(UPG_VERSION));
}

/*
 * upg_untested_server
 *		Why a server of this version is one that upg was not tested with, or NULL.
 */
char *
upg_untested_server(int version)
{
	if (UPG_TESTED_SERVER == 0)
		return psprintf("upg was not tested with PostgreSQL %d", version / 10000);
	if (version > UPG_TESTED_SERVER)
		return psprintf("the server is PostgreSQL %d.%d, upg was tested up to %d.%d: a "
						"rollback writes to catalogs, whose rules a newer minor release "
						"may change",
						version / 10000, version % 10000, UPG_TESTED_SERVER / 10000,
						UPG_TESTED_SERVER % 10000);
	return NULL;
}

/*
 * upg_server_untested
 *		The same as text, of this server by default.
 */
Datum
upg_server_untested(PG_FUNCTION_ARGS)
{
	char *why =
		upg_untested_server(PG_ARGISNULL(0) ? upg_server_version() : PG_GETARG_INT32(0));

	if (why == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(why));
}

/*
 * upg_server_version
 *		The version of the running server, which may be newer than the one that
 *		this library was built for.
 */
int
upg_server_version(void)
{
	return pg_strtoint32(GetConfigOption("server_version_num", false, false));
}

/*
 * upg_require_same_version
 *		Refuse to write the books that another version's install script made.
 *
 * Looked up once per session: a library is loaded once, too.
 */
void
upg_require_same_version(void)
{
	static bool same = false;
	Relation rel;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;

	if (same)
		return;

	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("upg"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool isnull;
		char *version = TextDatumGetCString(heap_getattr(
			tuple, Anum_pg_extension_extversion, RelationGetDescr(rel), &isnull));

		if (strcmp(version, UPG_VERSION) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_UPG_VERSION_MISMATCH),
					 errmsg("library and install script of upg differ in version"),
					 errdetail("The library is %s, what is installed in database \"%s\" "
							   "is %s.",
							   UPG_VERSION, get_database_name(MyDatabaseId), version),
					 errhint("Run ALTER EXTENSION upg UPDATE TO '%s', or install the "
							 "library of version %s again.  A session that began before "
							 "the library was replaced must connect anew.",
							 UPG_VERSION, version)));
		same = true;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}
