/*-------------------------------------------------------------------------
 *
 * exit_codes.h
 *		Exit codes of the command line.  They are documented and never renumbered.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/exit_codes.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_EXIT_CODES_H
#define UPG_EXIT_CODES_H

enum UpgExit
{
	UPG_EXIT_OK = 0,           /* requested state reached, or already there */
	UPG_EXIT_FAILED = 1,       /* failed; nothing of the failed migration is there */
	UPG_EXIT_USAGE = 2,        /* wrong usage or invalid input files */
	UPG_EXIT_ROLLED_BACK = 3,  /* failed, this run's migrations were taken back */
	UPG_EXIT_INCOMPLETE = 4,   /* rollback incomplete: act now */
	UPG_EXIT_WAITING = 5,      /* waiting: not settled yet */
	UPG_EXIT_CONFLICT = 6,     /* somebody else holds what this run needs */
	UPG_EXIT_UNKNOWN = 7,      /* state unknown: run "upg repair" */
	UPG_EXIT_VERIFICATION = 8, /* verification failed */
	UPG_EXIT_DENIED = 9,       /* not permitted */
	UPG_EXIT_CHANGES = 10,     /* plan --detailed-exitcode: there are changes */
	UPG_EXIT_NO_DATABASE = 11, /* the database cannot be reached */
	UPG_EXIT_BUG = 70,         /* internal error */
	UPG_EXIT_DEADLINE = 124,   /* --timeout is over */
	UPG_EXIT_SIGINT = 130,     /* interrupted, state saved */
	UPG_EXIT_SIGTERM = 143
};

#endif /* UPG_EXIT_CODES_H */
