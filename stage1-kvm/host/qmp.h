#ifndef RKT_QMP_H
#define RKT_QMP_H

#include <stdbool.h>
#include <stddef.h>

/* QEMU's monitor, which is only listened to (interop/qmp-spec of QEMU's documentation). */
struct qmp {
	/* To be polled and read; -1 when there is none. */
	int fd;
	size_t size;
	char line[4096];
};

void qmp_init(struct qmp *qmp, int fd);

/*
 * Reads what QEMU says; true when it has stopped the guest. Nobody asks it to: KVM could not go on with an instruction,
 * or the disk of the host is full. QEMU itself would wait for ever for somebody who knows what to do.
 */
bool qmp_says_stopped(struct qmp *qmp);

#endif
