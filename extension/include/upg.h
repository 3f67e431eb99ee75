/*-------------------------------------------------------------------------
 *
 * upg.h
 *		Shared declarations: settings and the entry points of modules that
 *		need to hook into loading.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/upg.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_UPG_H
#define UPG_UPG_H

/* in guc.c, in the order of the settings' names */
extern int upg_guc_conflict_timeout;
extern int upg_guc_down_check;
extern int upg_guc_expire_after;
extern int upg_guc_lock_retries;
extern int upg_guc_lock_timeout;
extern int upg_guc_out_of_order;
extern int upg_guc_retention_age;
extern int upg_guc_retention_bytes;
extern int upg_guc_undo;
extern int upg_guc_undo_copy_limit;
extern int upg_guc_undo_proof_rows;
extern int upg_guc_verify;
extern int upg_guc_verify_budget;
extern bool upg_guc_verify_redact;

/* values of upg.out_of_order */
typedef enum UpgOutOfOrder
{
	UPG_ORDER_ALLOW,
	UPG_ORDER_WARN,
	UPG_ORDER_REFUSE
} UpgOutOfOrder;

/* values of upg.verify and of the option "verify" */
typedef enum UpgVerifyLevel
{
	UPG_VERIFY_NONE,
	UPG_VERIFY_TOUCHED, /* what the migration touches */
	UPG_VERIFY_ALL
} UpgVerifyLevel;

extern void upg_guc_init(void);
extern void upg_require_same_version(void);
extern int upg_server_version(void);
extern char *upg_untested_server(int version);

#endif /* UPG_UPG_H */
