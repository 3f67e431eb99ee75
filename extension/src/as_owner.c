/*-------------------------------------------------------------------------
 *
 * as_owner.c
 *		Evaluating what belongs to a table as the owner of the table.
 *
 * A rollback evaluates index expressions, defaults, checks and casts that others
 * wrote.  They run as the table's owner, in a security-restricted operation, as
 * under the server's own REINDEX.
 *
 * Functions in them may name others without a schema; the application's rows went
 * through them with its own search_path.  So the path is the caller's, and only
 * what a schema on it could put before pg_catalog is kept away.  To leave it out
 * altogether would be no gain, since whoever rolls back has the owner's rights
 * anyway (undo_rights.c), and a common form of index would have no way back.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/as_owner.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "as_owner.h"

/*
 * upg_catalog_first
 *		Until the end of the level of settings: look in pg_catalog, then in the
 *		search_path that there is, then in pg_temp.
 */
void
upg_catalog_first(void)
{
	const char *path = namespace_search_path;

	(void) set_config_option(
		"search_path",
		psprintf("pg_catalog%s%s, pg_temp", *path == '\0' ? "" : ", ", path), PGC_USERSET,
		PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * upg_as_owner_begin
 *		Become the owner, in a security-restricted operation with further flags.
 */
void
upg_as_owner_begin(UpgAsOwner *before, Oid owner, int context)
{
	GetUserIdAndSecContext(&before->user, &before->context);
	SetUserIdAndSecContext(owner,
						   before->context | SECURITY_RESTRICTED_OPERATION | context);
	before->nestlevel = NewGUCNestLevel();
	upg_catalog_first();
}

/*
 * upg_as_owner_end
 *		Be again who was there before, with the settings of then.
 */
void
upg_as_owner_end(const UpgAsOwner *before)
{
	AtEOXact_GUC(false, before->nestlevel);
	SetUserIdAndSecContext(before->user, before->context);
}
