/*-------------------------------------------------------------------------
 *
 * down_check.h
 *		Trying a given down script when its migration is applied.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/down_check.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_DOWN_CHECK_H
#define UPG_DOWN_CHECK_H

#include "apply.h"

/* What becomes of a down script that does not give back what was there. */
typedef enum UpgDownCheckMode
{
	UPG_DOWN_CHECK_OFF,    /* it is not tried */
	UPG_DOWN_CHECK_WARN,   /* a warning for each difference */
	UPG_DOWN_CHECK_REQUIRE /* the migration is refused */
} UpgDownCheckMode;

typedef struct UpgDownCheck UpgDownCheck;

extern UpgDownCheck *upg_down_check_begin(UpgDownCheckMode mode, const char *name,
										  const char *up, const char *down);
extern void upg_down_check_before_up(UpgDownCheck *check);
extern void upg_down_check_after_up(UpgDownCheck *check);
extern void upg_down_check_finish(UpgDownCheck *check, const UpgOptions *options,
								  UpgResult *result);
extern void upg_down_check_impossible(UpgDownCheckMode mode, const char *name,
									  const char *why, UpgResult *result);

#endif /* UPG_DOWN_CHECK_H */
