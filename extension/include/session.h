/*-------------------------------------------------------------------------
 *
 * session.h
 *		Migrations whose statements a client sends itself.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/session.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_SESSION_H
#define UPG_SESSION_H

extern void upg_session_init(void);

#endif /* UPG_SESSION_H */
