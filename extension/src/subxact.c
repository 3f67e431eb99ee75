/*-------------------------------------------------------------------------
 *
 * subxact.c
 *		Work in a subtransaction that is kept, abandoned, or left by an error.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/subxact.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"

#include "subxact.h"

static void restore(const UpgSubxact *sub);

/*
 * upg_subxact_mark
 *		Remember where we are, for work that may leave subtransactions open when
 *		it fails.
 */
void
upg_subxact_mark(UpgSubxact *sub)
{
	sub->context = CurrentMemoryContext;
	sub->owner = CurrentResourceOwner;
	sub->nesting = GetCurrentTransactionNestLevel();
}

/*
 * upg_subxact_begin
 *		Begin a subtransaction and stay in the caller's memory, which outlives it.
 *
 * The name (NULL: none) is what pg_stat_activity and savepoint errors show.
 */
void
upg_subxact_begin(UpgSubxact *sub, const char *name)
{
	upg_subxact_mark(sub);
	BeginInternalSubTransaction(name);
	MemoryContextSwitchTo(sub->context);
}

/*
 * upg_subxact_release
 *		Keep what was done; it becomes the caller's own.
 */
void
upg_subxact_release(const UpgSubxact *sub)
{
	ReleaseCurrentSubTransaction();
	restore(sub);
}

/*
 * upg_subxact_abandon
 *		Roll back what was done, in subtransactions left open inside, too.
 */
void
upg_subxact_abandon(const UpgSubxact *sub)
{
	while (GetCurrentTransactionNestLevel() > sub->nesting)
		RollbackAndReleaseCurrentSubTransaction();
	restore(sub);
}

/*
 * upg_subxact_catch
 *		For PG_CATCH: the error, in the caller's memory; what was done is rolled
 *		back.
 */
ErrorData *
upg_subxact_catch(const UpgSubxact *sub)
{
	ErrorData *edata;

	MemoryContextSwitchTo(sub->context);
	edata = CopyErrorData();
	FlushErrorState();
	upg_subxact_abandon(sub);
	return edata;
}

static void
restore(const UpgSubxact *sub)
{
	MemoryContextSwitchTo(sub->context);
	CurrentResourceOwner = sub->owner;
}
