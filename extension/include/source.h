/*-------------------------------------------------------------------------
 *
 * source.h
 *		Relations to be verified, and the ways to read them.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/source.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_SOURCE_H
#define UPG_SOURCE_H

#include "access/tupdesc.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/jsonb.h"

#include "tablescan.h"

typedef struct UpgSource
{
	Oid relid;
	char relkind;
	bool only;          /* without children */
	const char *filter; /* SQL expression that has been parsed, or NULL */
	char *label;        /* qualified name, for messages and queries */
	TupleDesc desc;
	List *members; /* heap tables, if they can be scanned directly */
} UpgSource;

/* in source.c */
extern UpgSource *upg_source_open(Oid relid, bool only, const char *filter);
extern bool upg_source_is_direct(UpgSource *source, const UpgScanJob *job);
extern void upg_source_check_privileges(UpgSource *source, const UpgScanJob *job);
extern void upg_source_scan(UpgSource *source, const UpgScanJob *job, int workers,
							UpgChecksum *total, UpgSketch *sketch, UpgScanRowFunc func,
							void *arg);
extern void upg_source_query_scan(UpgSource *source, const UpgScanJob *job,
								  const char *where, int nargs, Oid *argtypes,
								  Datum *args, UpgChecksum *total, UpgSketch *sketch,
								  UpgScanRowFunc func, void *arg);
extern char *upg_source_from(UpgSource *source);
extern char *upg_source_column_sql(const UpgScanColumn *column);
extern void upg_check_expression(const char *text, const char *what);

/* in job.c */
extern List *upg_text_array_to_list(ArrayType *array, const char *what);
extern List *upg_names_argument(FunctionCallInfo fcinfo, int n, const char *what);
extern List *upg_job_names(UpgSource *source, List *columns, List *except,
						   Jsonb *mapping);
extern void upg_job_columns(UpgScanJob *job, UpgSource *source, List *names,
							Jsonb *mapping);
extern void upg_job_keys(UpgScanJob *job, List *key);
extern bool upg_job_key_nullable(UpgSource *source, const UpgScanJob *job);
extern Form_pg_attribute upg_source_attribute(UpgSource *source, const char *name);

#endif /* UPG_SOURCE_H */
