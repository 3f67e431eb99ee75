/*-------------------------------------------------------------------------
 *
 * json.h
 *		JSON that is put together as text.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/json.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_JSON_H
#define UPG_JSON_H

#include "lib/stringinfo.h"

extern void upg_json_member(StringInfo buf, const char *name, const char *value);

#endif /* UPG_JSON_H */
