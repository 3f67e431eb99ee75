/*-------------------------------------------------------------------------
 *
 * script_sql.c
 *		SQL functions that look at a script without running it.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/script_sql.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "capture.h"
#include "compat.h"
#include "script.h"
#include "spi.h"

PG_FUNCTION_INFO_V1(upg_script_info);
PG_FUNCTION_INFO_V1(upg_script_statements);

static text *hex_text(const uint8 *sha256);

/*
 * upg_script_info
 *		How many statements and steps, whether one transaction holds them,
 *		checksums, notes, what cannot be taken back.
 */
Datum
upg_script_info(PG_FUNCTION_ARGS)
{
	char *source = text_to_cstring(PG_GETARG_TEXT_PP(0));
	UpgScript *script = upg_script_parse(source, NULL);
	UpgChecksums checksums;
	TupleDesc desc;
	Datum values[8];
	bool nulls[8] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);

	upg_script_checksums(source, strlen(source), &checksums);
	values[0] = Int32GetDatum(script->nstatements);
	values[1] = Int32GetDatum(script->nsteps);
	values[2] = BoolGetDatum(upg_script_transactional(script));
	values[3] = PointerGetDatum(hex_text(checksums.sha256));
	values[4] = PointerGetDatum(hex_text(checksums.meaning));
	nulls[4] = !checksums.has_meaning;
	values[5] = Int32GetDatum(UPG_MEANING_VERSION);
	values[6] = upg_text_array(script->notes);
	values[7] = upg_text_array(upg_capture_complaints(script));

	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

static text *
hex_text(const uint8 *sha256)
{
	char hex[2 * UPG_SHA256_LENGTH + 1];

	hex[hex_encode((const char *) sha256, UPG_SHA256_LENGTH, hex)] = '\0';
	return cstring_to_text(hex);
}

/*
 * upg_script_statements
 *		The statements of a script, with their places and steps.
 */
Datum
upg_script_statements(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char *source = text_to_cstring(PG_GETARG_TEXT_PP(0));
	UpgScript *script = upg_script_parse(source, NULL);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < script->nstatements; i++)
	{
		UpgStatement *stmt = &script->statements[i];
		Datum values[7];
		bool nulls[7] = {false};

		CHECK_FOR_INTERRUPTS();
		values[0] = Int32GetDatum(stmt->no);
		values[1] = Int32GetDatum(stmt->line);
		values[2] = Int32GetDatum(stmt->column);
		values[3] = Int32GetDatum(stmt->step);
		nulls[3] = stmt->step == 0;
		values[4] = CStringGetTextDatum(CreateCommandName(stmt->raw->stmt));
		values[5] = BoolGetDatum(stmt->own == NULL);
		values[6] =
			PointerGetDatum(cstring_to_text_with_len(source + stmt->start, stmt->length));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}

	return (Datum) 0;
}
