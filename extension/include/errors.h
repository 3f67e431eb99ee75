/*-------------------------------------------------------------------------
 *
 * errors.h
 *		SQLSTATEs of upg.  They are documented API (docs/errors.md): a code
 *		is never given another meaning.
 *
 * Class "UP" is upg's own; the SQL standard leaves classes that begin with
 * I to Z to implementations.  A condition that PostgreSQL already has a code
 * for uses that code instead.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/errors.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_ERRORS_H
#define UPG_ERRORS_H

/* Ledger */
#define ERRCODE_UPG_MIGRATION_NOT_FOUND MAKE_SQLSTATE('U', 'P', '0', '0', '1')
#define ERRCODE_UPG_CHECKSUM_MISMATCH   MAKE_SQLSTATE('U', 'P', '0', '0', '2')
#define ERRCODE_UPG_DEPENDENCY          MAKE_SQLSTATE('U', 'P', '0', '0', '3')
#define ERRCODE_UPG_CONFLICT            MAKE_SQLSTATE('U', 'P', '0', '0', '4')
#define ERRCODE_UPG_DEPENDENTS          MAKE_SQLSTATE('U', 'P', '0', '0', '5')
#define ERRCODE_UPG_NO_UNDO             MAKE_SQLSTATE('U', 'P', '0', '0', '6')
#define ERRCODE_UPG_INVALID_NAME        MAKE_SQLSTATE('U', 'P', '0', '0', '7')
#define ERRCODE_UPG_INVALID_SCRIPT      MAKE_SQLSTATE('U', 'P', '0', '0', '8')
#define ERRCODE_UPG_ILLEGAL_STATE       MAKE_SQLSTATE('U', 'P', '0', '0', '9')
#define ERRCODE_UPG_NO_WORKER           MAKE_SQLSTATE('U', 'P', '0', '1', '0')
#define ERRCODE_UPG_UNKNOWN_OUTCOME     MAKE_SQLSTATE('U', 'P', '0', '1', '1')
#define ERRCODE_UPG_AUDIT               MAKE_SQLSTATE('U', 'P', '0', '1', '2')
#define ERRCODE_UPG_VERSION_MISMATCH    MAKE_SQLSTATE('U', 'P', '0', '1', '3')
#define ERRCODE_UPG_INVALID_OPTION      MAKE_SQLSTATE('U', 'P', '0', '1', '4')
#define ERRCODE_UPG_LOCK_TIMEOUT        MAKE_SQLSTATE('U', 'P', '0', '1', '5')
#define ERRCODE_UPG_OUT_OF_ORDER        MAKE_SQLSTATE('U', 'P', '0', '1', '6')
#define ERRCODE_UPG_LEDGER_DAMAGED      MAKE_SQLSTATE('U', 'P', '0', '1', '7')
#define ERRCODE_UPG_DRIFT               MAKE_SQLSTATE('U', 'P', '0', '1', '8')
#define ERRCODE_UPG_NOT_RECORDED        MAKE_SQLSTATE('U', 'P', '0', '1', '9')

/* Capture and undo */
#define ERRCODE_UPG_NOT_EXACT     MAKE_SQLSTATE('U', 'P', '0', '2', '0')
#define ERRCODE_UPG_IRREVERSIBLE  MAKE_SQLSTATE('U', 'P', '0', '2', '1')
#define ERRCODE_UPG_LATER_CHANGES MAKE_SQLSTATE('U', 'P', '0', '2', '2')
#define ERRCODE_UPG_UNDO_UNUSABLE MAKE_SQLSTATE('U', 'P', '0', '2', '3')

/* Given down scripts */
#define ERRCODE_UPG_DOWN_NOT_EXACT MAKE_SQLSTATE('U', 'P', '0', '2', '8')

/* Checksums and compare */
#define ERRCODE_UPG_NO_CANONICAL_FORM MAKE_SQLSTATE('U', 'P', '0', '4', '0')
#define ERRCODE_UPG_NOT_COMPARABLE    MAKE_SQLSTATE('U', 'P', '0', '4', '1')
#define ERRCODE_UPG_RELATION_CHANGED  MAKE_SQLSTATE('U', 'P', '0', '4', '2')
#define ERRCODE_UPG_VERIFICATION      MAKE_SQLSTATE('U', 'P', '0', '4', '3')
#define ERRCODE_UPG_INVARIANT         MAKE_SQLSTATE('U', 'P', '0', '4', '4')

/*
 * upg_error_is_final
 *		Is this an error that no trial may take for its result: somebody wants
 *		us to stop, or we cannot go on?
 */
static inline bool
upg_error_is_final(int sqlerrcode)
{
	return sqlerrcode == ERRCODE_QUERY_CANCELED || sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
		   sqlerrcode == ERRCODE_OUT_OF_MEMORY;
}

#endif /* UPG_ERRORS_H */
