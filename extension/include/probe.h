/*-------------------------------------------------------------------------
 *
 * probe.h
 *		What became of a statement that no transaction can hold.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/probe.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_PROBE_H
#define UPG_PROBE_H

#include "script.h"

typedef enum UpgOutcome
{
	UPG_OUTCOME_DONE,    /* its effect is there */
	UPG_OUTCOME_ABSENT,  /* nothing of it is there, or running it again is harmless */
	UPG_OUTCOME_CLEANED, /* something was half done and has been cleared away */
	UPG_OUTCOME_UNKNOWN  /* cannot be told */
} UpgOutcome;

extern char *upg_probe_intent(UpgStatement *stmt);
extern UpgOutcome upg_probe(UpgStatement *stmt, const char *intent, MemoryContext lasting,
							char **finding);

#endif /* UPG_PROBE_H */
