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

#include "fmgr.h"
#include "utils/builtins.h"

#include "audit.h"
#include "capture.h"
#include "compat.h"
#include "session.h"
#include "upg.h"
#include "worker.h"

UPG_MODULE_MAGIC("upg", UPG_VERSION);

PG_FUNCTION_INFO_V1(upg_library_version);

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
