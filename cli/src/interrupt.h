/*-------------------------------------------------------------------------
 *
 * interrupt.h
 *		SIGINT and SIGTERM: noted once, and seen by whoever waits.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/interrupt.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_INTERRUPT_H
#define UPG_INTERRUPT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/* 0, or the number of the first signal that arrived. */
extern volatile int upg_interrupted;

extern void interrupts_install(void);
extern int interrupt_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
extern bool interrupt_read_line(int fd, char *line, size_t size);

#endif /* UPG_INTERRUPT_H */
