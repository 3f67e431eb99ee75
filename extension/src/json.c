/*-------------------------------------------------------------------------
 *
 * json.c
 *		JSON that is put together as text.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/json.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/json.h"

#include "json.h"

/*
 * upg_json_member
 *		Append a member to an object that has one, unless there is nothing to say.
 */
void
upg_json_member(StringInfo buf, const char *name, const char *value)
{
	if (value == NULL)
		return;
	appendStringInfo(buf, ",\"%s\":", name);
	escape_json(buf, value);
}
