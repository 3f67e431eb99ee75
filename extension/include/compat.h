/*-------------------------------------------------------------------------
 *
 * compat.h
 *		The only file that looks at PG_VERSION_NUM.
 *
 * Supported are PostgreSQL 15 to 18.  Every shim carries the newest
 * signature; older servers adapt to it.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/compat.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_COMPAT_H
#define UPG_COMPAT_H

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "upg supports PostgreSQL 15, 16, 17 and 18"
#endif

/* PostgreSQL 16 moved the macros for varlena headers out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* PostgreSQL 17 dropped the feature "snapshot too old". */
#if PG_VERSION_NUM >= 170000
#define upg_test_for_old_snapshot(snapshot, rel, page) ((void) 0)
#else
#define upg_test_for_old_snapshot(snapshot, rel, page) \
	TestForOldSnapshot((snapshot), (rel), (page))
#endif

/* PostgreSQL 18 dropped PortalRun's run_once argument. */
#if PG_VERSION_NUM >= 180000
#define upg_portal_run(portal, count, top, dest, alt, qc) \
	PortalRun((portal), (count), (top), (dest), (alt), (qc))
#else
#define upg_portal_run(portal, count, top, dest, alt, qc) \
	PortalRun((portal), (count), (top), true, (dest), (alt), (qc))
#endif

/*
 * The latest minor release of this major version that upg was tested with; 0
 * for a major version that was not tested at all.  A newer one may bring rules
 * for catalogs that a rollback does not know.
 */
#if PG_VERSION_NUM >= 180000
#define UPG_TESTED_SERVER 180006
#elif PG_VERSION_NUM >= 170000
#define UPG_TESTED_SERVER 170012
#elif PG_VERSION_NUM >= 160000
#define UPG_TESTED_SERVER 0
#else
#define UPG_TESTED_SERVER 150020
#endif

/* What the server was at build time, for records of where something was made. */
#define UPG_SERVER_VERSION PG_VERSION_NUM

/* PostgreSQL 17 brought RestrictSearchPath(). */
#if PG_VERSION_NUM < 170000
#define RestrictSearchPath()                                                     \
	((void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, \
							  PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false))
#endif

/* PostgreSQL 17 renamed the backend identity to a process number and moved it into VXIDs. */
#if PG_VERSION_NUM >= 170000
#define UPG_VXID_PROCNO(vxid) ((vxid).procNumber)
#else
#define UPG_VXID_PROCNO(vxid) ((vxid).backendId)
#endif

#include "access/tupdesc.h"

/* PostgreSQL 16 renamed RelFileNode to RelFileLocator. */
#if PG_VERSION_NUM >= 160000
#include "storage/relfilelocator.h"
#define UPG_REL_LOCATOR(rel)  ((rel)->rd_locator)
#define UpgRelFileLocator     RelFileLocator
#define UPG_LOCATOR_SPC(l)    ((l).spcOid)
#define UPG_LOCATOR_DB(l)     ((l).dbOid)
#define UPG_LOCATOR_NUMBER(l) ((l).relNumber)
#else
#include "storage/relfilenode.h"
#define UPG_REL_LOCATOR(rel)  ((rel)->rd_node)
#define UpgRelFileLocator     RelFileNode
#define UPG_LOCATOR_SPC(l)    ((l).spcNode)
#define UPG_LOCATOR_DB(l)     ((l).dbNode)
#define UPG_LOCATOR_NUMBER(l) ((l).relNode)
#endif

/* PostgreSQL 18 has pg_noreturn, which stands before the declaration. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* PostgreSQL 17 counts processes from zero and names the invalid one. */
#if PG_VERSION_NUM < 170000
#define INVALID_PROC_NUMBER InvalidBackendId
#endif
#define upg_smgropen(locator, backend) smgropen((locator), (backend))

#if PG_VERSION_NUM >= 160000
#define upg_new_filenumber(spc, pgclass, persistence) \
	GetNewRelFileNumber((spc), (pgclass), (persistence))
#else
#define upg_new_filenumber(spc, pgclass, persistence) \
	GetNewRelFileNode((spc), (pgclass), (persistence))
#endif

/* PostgreSQL 17 passes the statement to reindexing, for event triggers. */
#if PG_VERSION_NUM >= 170000
#define upg_reindex_index(index, persistence, params) \
	reindex_index(NULL, (index), false, (persistence), (params))
#else
#define upg_reindex_index(index, persistence, params) \
	reindex_index((index), false, (persistence), (params))
#endif

/* PostgreSQL 18 keeps a compact form of each column beside the full one. */
#if PG_VERSION_NUM >= 180000
#define upg_populate_compact(desc, i) populate_compact_attribute((desc), (i))
#else
#define upg_populate_compact(desc, i) ((void) 0)
#endif

#define upg_read_buffer(locator, permanent) \
	ReadBufferWithoutRelcache((locator), MAIN_FORKNUM, 0, RBM_NORMAL, NULL, (permanent))

/* PostgreSQL 17 made the statistics target of a column nullable. */
#if PG_VERSION_NUM >= 170000
#define upg_set_no_stattarget(values, nulls)                    \
	((values)[Anum_pg_attribute_attstattarget - 1] = (Datum) 0, \
	 (nulls)[Anum_pg_attribute_attstattarget - 1] = true)
#else
#define upg_set_no_stattarget(values, nulls) \
	((values)[Anum_pg_attribute_attstattarget - 1] = Int32GetDatum(0))
#endif

/* PostgreSQL 18 keeps cached offsets elsewhere, and asks about deferrable keys. */
#if PG_VERSION_NUM >= 180000
#define upg_forget_offset(att)     ((void) (att))
#define upg_primary_key_index(rel) RelationGetPrimaryKeyIndex((rel), false)
#else
#define upg_forget_offset(att)     ((att)->attcacheoff = -1)
#define upg_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel)
#endif

/* PostgreSQL 17 asks whether a stronger lock will do. */
#if PG_VERSION_NUM >= 170000
#define upg_lock_held(tag, mode) LockHeldByMe((tag), (mode), false)
#else
#define upg_lock_held(tag, mode) LockHeldByMe((tag), (mode))
#endif

/* PostgreSQL 16 renamed the function that gives a backend's status. */
#if PG_VERSION_NUM >= 160000
#define upg_local_backend_status(i) pgstat_get_local_beentry_by_index(i)
#else
#define upg_local_backend_status(i) pgstat_fetch_stat_local_beentry(i)
#endif
#define upg_backend_status(i)                   \
	(upg_local_backend_status(i) == NULL ? NULL \
										 : &upg_local_backend_status(i)->backendStatus)

/* PostgreSQL 16 renamed the fields of counters. */
#if PG_VERSION_NUM >= 160000
#define UPG_TABSTAT_ID(status) ((status)->id)
#else
#define UPG_TABSTAT_ID(status) ((status)->t_id)
#endif

/* PostgreSQL 18 lays descriptions out by their number of columns. */
#if PG_VERSION_NUM >= 180000
#define upg_truncated_desc(desc, n) CreateTupleDescTruncatedCopy((desc), (n))
#else
static inline TupleDesc
upg_truncated_desc(TupleDesc desc, int n)
{
	TupleDesc copy = CreateTupleDescCopy(desc);

	copy->natts = n;
	return copy;
}
#endif

/* PostgreSQL 18 records name and version of a module in its magic block. */
#if PG_VERSION_NUM >= 180000
#define UPG_MODULE_MAGIC(module_name, module_version) \
	PG_MODULE_MAGIC_EXT(.name = module_name, .version = module_version)
#else
#define UPG_MODULE_MAGIC(module_name, module_version) PG_MODULE_MAGIC
#endif

/*
 * Tokens of the core scanner.  Servers from 16 on do not install gram.h, but
 * these numbers are hard-wired: gram.y declares them first, so that PL/pgSQL's
 * grammar can share the scanner.
 */
typedef enum UpgToken
{
	UPG_TOKEN_IDENT = 258,
	UPG_TOKEN_UIDENT,
	UPG_TOKEN_FCONST,
	UPG_TOKEN_SCONST,
	UPG_TOKEN_USCONST,
	UPG_TOKEN_BCONST,
	UPG_TOKEN_XCONST,
	UPG_TOKEN_OP,
	UPG_TOKEN_ICONST,
	UPG_TOKEN_PARAM,
	UPG_TOKEN_TYPECAST,
	UPG_TOKEN_DOT_DOT,
	UPG_TOKEN_COLON_EQUALS,
	UPG_TOKEN_EQUALS_GREATER,
	UPG_TOKEN_LESS_EQUALS,
	UPG_TOKEN_GREATER_EQUALS,
	UPG_TOKEN_NOT_EQUALS,
	UPG_TOKEN_LAST_FIXED = UPG_TOKEN_NOT_EQUALS
} UpgToken;

/* PostgreSQL 16 added the argument onlySummarizing. */
#if PG_VERSION_NUM >= 160000
#define upg_exec_insert_index_tuples(rri, slot, estate) \
	ExecInsertIndexTuples((rri), (slot), (estate), false, false, NULL, NIL, false)
#else
#define upg_exec_insert_index_tuples(rri, slot, estate) \
	ExecInsertIndexTuples((rri), (slot), (estate), false, false, NULL, NIL)
#endif

/* PostgreSQL 18 wants to know which row is being replaced. */
#if PG_VERSION_NUM >= 180000
#define upg_exec_check_indexes(rri, slot, estate, conflict, indexes) \
	ExecCheckIndexConstraints((rri), (slot), (estate), (conflict), NULL, (indexes))
#else
#define upg_exec_check_indexes(rri, slot, estate, conflict, indexes) \
	ExecCheckIndexConstraints((rri), (slot), (estate), (conflict), (indexes))
#endif

/* PostgreSQL 16 can report errors of names without raising them. */
#if PG_VERSION_NUM >= 160000
#define upg_name_list(name) stringToQualifiedNameList((name), NULL)
#else
#define upg_name_list(name) stringToQualifiedNameList(name)
#endif

/* PostgreSQL 16 asks for rights on an object by its class. */
#if PG_VERSION_NUM >= 160000
#define UPG_NAMESPACE_ACLCHECK(oid, role, mode) \
	object_aclcheck(NamespaceRelationId, (oid), (role), (mode))
#define UPG_TABLESPACE_ACLCHECK(oid, role, mode) \
	object_aclcheck(TableSpaceRelationId, (oid), (role), (mode))
#define UPG_SERVER_ACLCHECK(oid, role, mode) \
	object_aclcheck(ForeignServerRelationId, (oid), (role), (mode))
#else
#define UPG_NAMESPACE_ACLCHECK(oid, role, mode) \
	pg_namespace_aclcheck((oid), (role), (mode))
#define UPG_TABLESPACE_ACLCHECK(oid, role, mode) \
	pg_tablespace_aclcheck((oid), (role), (mode))
#define UPG_SERVER_ACLCHECK(oid, role, mode) \
	pg_foreign_server_aclcheck((oid), (role), (mode))
#endif

#endif /* UPG_COMPAT_H */
