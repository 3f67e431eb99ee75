/*-------------------------------------------------------------------------
 *
 * worker.h
 *		Background workers, started on demand.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/worker.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_WORKER_H
#define UPG_WORKER_H

#include "ledger.h"

extern void upg_worker_init(void);
extern void upg_worker_request(int64 migration_id, Oid user);
extern void upg_worker_record(const char *attempt_json, const char *migration);
extern void upg_worker_remember(const char *attempt_json, const char *migration);
extern void upg_worker_forget(const char *migration);
extern void upg_worker_flush(void);

#endif /* UPG_WORKER_H */
