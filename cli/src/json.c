/*-------------------------------------------------------------------------
 *
 * json.c
 *		JSON: a writer for output and a strict reader.
 * 
 *  The only file that knows cJSON.  The writer makes text directly, so that a long
 *  list never lives in memory as a tree and 64-bit integers stay exact.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/json.c
 *
 *-------------------------------------------------------------------------
 */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

struct UpgJsonDoc
{
	cJSON *root;
};

/*
 * json_start
 *		Begin a document in "out".
 */
void
json_start(UpgJson *json, UpgBuf *out)
{
	json->out = out;
	json->need_comma = false;
}

/*
 * json_quote
 *		Append a JSON string.  Bytes that are not UTF-8 become U+FFFD.
 */
void
json_quote(UpgBuf *out, const char *text)
{
	size_t len = strlen(text);
	size_t i = 0;

	buf_addc(out, '"');
	while (i < len)
	{
		size_t good = utf8_invalid_at(text + i, len - i);

		for (size_t k = 0; k < good; k++)
		{
			unsigned char c = (unsigned char) text[i + k];

			if (c == '"' || c == '\\')
			{
				buf_addc(out, '\\');
				buf_addc(out, (char) c);
			}
			else if (c == '\n')
				buf_add(out, "\\n");
			else if (c == '\t')
				buf_add(out, "\\t");
			else if (c == '\r')
				buf_add(out, "\\r");
			else if (c < 32 || c == 127)
				buf_printf(out, "\\u%04x", c);
			else
				buf_addc(out, (char) c);
		}
		i += good;
		if (i < len)
		{
			buf_add(out, "\xEF\xBF\xBD");
			i++;
		}
	}
	buf_addc(out, '"');
}

/*
 * put_key
 *		Comma if needed, and the key unless inside an array (NULL).
 */
static void
put_key(UpgJson *json, const char *key)
{
	if (json->need_comma)
		buf_addc(json->out, ',');
	if (key != NULL)
	{
		json_quote(json->out, key);
		buf_addc(json->out, ':');
	}
	json->need_comma = true;
}

/* json_object, json_array and their ends: nesting. */
void
json_object(UpgJson *json, const char *key)
{
	put_key(json, key);
	buf_addc(json->out, '{');
	json->need_comma = false;
}

void
json_object_end(UpgJson *json)
{
	buf_addc(json->out, '}');
	json->need_comma = true;
}

void
json_array(UpgJson *json, const char *key)
{
	put_key(json, key);
	buf_addc(json->out, '[');
	json->need_comma = false;
}

void
json_array_end(UpgJson *json)
{
	buf_addc(json->out, ']');
	json->need_comma = true;
}

/*
 * json_string
 *		A string member; NULL gives null.
 */
void
json_string(UpgJson *json, const char *key, const char *value)
{
	put_key(json, key);
	if (value == NULL)
		buf_add(json->out, "null");
	else
		json_quote(json->out, value);
}

/* json_int, json_double, json_bool, json_null: scalar members. */
void
json_int(UpgJson *json, const char *key, int64_t value)
{
	put_key(json, key);
	buf_printf(json->out, "%" PRId64, value);
}

void
json_double(UpgJson *json, const char *key, double value)
{
	put_key(json, key);
	buf_printf(json->out, "%.3f", value);
}

void
json_bool(UpgJson *json, const char *key, bool value)
{
	put_key(json, key);
	buf_add(json->out, value ? "true" : "false");
}

void
json_null(UpgJson *json, const char *key)
{
	put_key(json, key);
	buf_add(json->out, "null");
}

/*
 * json_raw
 *		A member that is JSON text already, as the server sends jsonb.
 */
void
json_raw(UpgJson *json, const char *key, const char *text)
{
	put_key(json, key);
	buf_add(json->out, text == NULL || text[0] == '\0' ? "null" : text);
}

/*
 * json_parse
 *		Parse one object; NULL if the text is not JSON or has something behind it.
 */
UpgJsonDoc *
json_parse(const char *text)
{
	UpgJsonDoc *doc;
	cJSON *root = cJSON_ParseWithOpts(text, NULL, true);

	if (root == NULL)
		return NULL;
	doc = xmalloc(sizeof(UpgJsonDoc));
	doc->root = root;
	return doc;
}

/*
 * json_free
 *		Give a document back.
 */
void
json_free(UpgJsonDoc *doc)
{
	if (doc == NULL)
		return;
	cJSON_Delete(doc->root);
	free(doc);
}

/*
 * json_get
 *		A scalar member as text, or NULL if absent or null.
 *
 * Numbers are written into the caller's buffer; strings live as long as the
 * document.
 */
const char *
json_get(const UpgJsonDoc *doc, const char *key, char *number, size_t size)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(doc->root, key);

	if (item == NULL || cJSON_IsNull(item))
		return NULL;
	if (cJSON_IsString(item))
		return item->valuestring;
	if (cJSON_IsBool(item))
		return cJSON_IsTrue(item) ? "true" : "false";
	if (cJSON_IsNumber(item))
	{
		snprintf(number, size, "%.0f", item->valuedouble);
		return number;
	}
	return NULL;
}

/*
 * json_member
 *		The member number "i" of the object; false behind the last one.
 *
 * The value is the text of a string, or NULL for anything else.
 */
bool
json_member(const UpgJsonDoc *doc, int i, const char **key, const char **value)
{
	const cJSON *item = cJSON_GetArrayItem(doc->root, i);

	if (item == NULL)
		return false;
	*key = item->string;
	*value = cJSON_IsString(item) ? item->valuestring : NULL;
	return true;
}
