/* The command line of the monitor; monitor.c says what it means. */
#ifndef RKT_OPTIONS_H
#define RKT_OPTIONS_H

#include "machined.h"
#include "passed.h"
#include "program.h"

#include <stdbool.h>

struct options {
	const char *status;
	/* The program that joins our streams to the app's; NULL when they are not the app's. */
	const char *attach;
	/* Gets the time of the end; NULL when the pod is not traced. */
	const char *trace;
	int lock_fd;
	int helper_count;
	bool debug;
	bool qmp;
	bool init;
	/* NULL for a hypervisor that gives back what is free by itself, or cannot. */
	const char *mconsole;
	/* 0 when nobody minds how long the guest takes to start. */
	int boot_seconds;
	struct rights rights;
	const char *pass[MOST_PASSED];
	int pass_count;
	/* 0 when the channel is a descriptor. */
	unsigned int cid;
	const char *channel;
	struct registration registration;
	char **helper;
	char **hypervisor;
	int hypervisor_count;
};

/* Ends this program, with how it is called, when something is missing or unknown. */
struct options read_options(int argc, char **argv);

#endif
