/*-------------------------------------------------------------------------
 *
 * json.h
 *		JSON: a writer for output and a strict reader.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/json.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_JSON_H
#define UPG_JSON_H

#include "util.h"

/* A writer that appends to a buffer and puts the commas itself. */
typedef struct UpgJson
{
	UpgBuf *out;
	bool need_comma;
} UpgJson;

extern void json_start(UpgJson *json, UpgBuf *out);
extern void json_object(UpgJson *json, const char *key);
extern void json_object_end(UpgJson *json);
extern void json_array(UpgJson *json, const char *key);
extern void json_array_end(UpgJson *json);
extern void json_string(UpgJson *json, const char *key, const char *value);
extern void json_int(UpgJson *json, const char *key, int64_t value);
extern void json_double(UpgJson *json, const char *key, double value);
extern void json_bool(UpgJson *json, const char *key, bool value);
extern void json_null(UpgJson *json, const char *key);
extern void json_raw(UpgJson *json, const char *key, const char *text);
extern void json_quote(UpgBuf *out, const char *text);

/* A parsed document. */
typedef struct UpgJsonDoc UpgJsonDoc;

extern UpgJsonDoc *json_parse(const char *text);
extern void json_free(UpgJsonDoc *doc);
extern const char *json_get(const UpgJsonDoc *doc, const char *key, char *number,
							size_t size);
extern bool json_member(const UpgJsonDoc *doc, int i, const char **key,
						const char **value);

#endif /* UPG_JSON_H */
