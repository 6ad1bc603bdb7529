/* Programs on the host that the monitor starts for the guest. */
#ifndef RKT_PROGRAM_H
#define RKT_PROGRAM_H

#include "passed.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What a program may do, privileges.h and jail.h. */
struct rights {
	uid_t user;
	uint64_t capabilities;
	bool jail;
};

#define ALL_RIGHTS ((struct rights){ .user = 0, .capabilities = UINT64_MAX })

struct program {
	/* `count` words, of which the first is the file. */
	char **words;
	int count;
	/* What it prints goes there; with -1 to where we print. */
	int output;
	/* It is no first process of a namespace. */
	bool init;
	struct rights rights;
};

/*
 * The program, or with `init` its parent, is the first process of a process namespace: what it has started itself ends
 * with it, however it ends. It has a session of its own, because User-Mode Linux signals its whole group when it panics.
 */
pid_t start_program(const struct program *program, const struct passed *passed);

#endif
