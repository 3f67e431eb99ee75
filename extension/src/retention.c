/*-------------------------------------------------------------------------
 *
 * retention.c
 *		What is kept to take migrations back: limits that warn, and expiry.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/retention.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "apply.h"
#include "spi.h"
#include "upg.h"

/*
 * upg_retention_after
 *		After a migration: expire what is older than the policy allows, warn of
 *		what is over a limit.
 *
 * What cannot be expired now (another upgrade is at it) is left for the next
 * migration, with a warning.
 */
void
upg_retention_after(UpgResult *result)
{
	static UpgQuery query = {"SELECT w FROM upg.retention_policy($1, $2, $3) w",
							 SPI_OK_SELECT,
							 3,
							 {INT8OID, INT8OID, INT8OID}};
	MemoryContext caller = CurrentMemoryContext;
	Datum values[3];
	UpgBooks books;
	List *warnings = NIL;
	ListCell *lc;

	if (upg_guc_expire_after < 0 && upg_guc_retention_age < 0 &&
		upg_guc_retention_bytes < 0)
		return;
	values[0] = Int64GetDatum(upg_guc_expire_after);
	values[1] = Int64GetDatum(upg_guc_retention_age);
	values[2] = Int64GetDatum(upg_guc_retention_bytes);
	upg_books_open(&books);
	upg_query(&query, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);

		warnings = lappend(warnings, upg_result_text(i, 1));
		MemoryContextSwitchTo(old);
	}
	upg_books_close(&books);
	foreach (lc, warnings)
		upg_result_warn(result, lfirst(lc));
}
