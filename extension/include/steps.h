/*-------------------------------------------------------------------------
 *
 * steps.h
 *		Migrations that do not fit one transaction.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/steps.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_STEPS_H
#define UPG_STEPS_H

#include "ledger.h"
#include "options.h"

extern void upg_steps_write(int64 migration_id, const char *direction,
							const UpgScript *script);
extern void upg_steps_forget(int64 migration_id, const char *direction);
extern bool upg_steps_captured(int64 migration_id);
extern int upg_steps_done(int64 migration_id, const char *direction);
extern char *upg_steps_order(const UpgCut *cut, const UpgOptions *options);
extern void upg_steps_run(int64 migration_id, TransactionId order);
extern void upg_steps_reorder(UpgMigration *migration);
extern void upg_steps_recall_cut(int64 migration_id, UpgCut *cut);

#endif /* UPG_STEPS_H */
