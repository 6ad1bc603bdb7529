#define _GNU_SOURCE
#include "options.h"

#include "failure.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void usage(void)
{
	dprintf(2, "usage: monitor --status=FILE [--lock-fd=N] [--debug] [--trace=FILE] [--attach=CLIENT] [--helper=COUNT] [--qmp] [--init]\n"
		   "       [--boot=SECONDS] [--mconsole=SOCKET] [--jail] [--user=UID] [--capabilities=MASK] [--pass=WHAT...] [--vsock=CID --channel=FILE] [--machine=NAME --root=DIRECTORY --machine-root=DIRECTORY [--scope]] -- [HELPER...] HYPERVISOR...\n");
	exit(FAILED);
}

struct options read_options(int argc, char **argv)
{
	struct options options = { .lock_fd = -1, .rights = ALL_RIGHTS };
	int i = 1;

	for (; i < argc && strcmp(argv[i], "--"); i++) {
		if (!strncmp(argv[i], "--status=", 9))
			options.status = argv[i] + 9;
		else if (!strncmp(argv[i], "--attach=", 9))
			options.attach = argv[i] + 9;
		else if (!strncmp(argv[i], "--trace=", 8))
			options.trace = argv[i] + 8;
		else if (!strncmp(argv[i], "--lock-fd=", 10))
			options.lock_fd = atoi(argv[i] + 10);
		else if (!strncmp(argv[i], "--helper=", 9))
			options.helper_count = atoi(argv[i] + 9);
		else if (!strncmp(argv[i], "--boot=", 7))
			options.boot_seconds = atoi(argv[i] + 7);
		else if (!strcmp(argv[i], "--jail"))
			options.rights.jail = true;
		else if (!strncmp(argv[i], "--user=", 7))
			options.rights.user = (uid_t)strtoul(argv[i] + 7, NULL, 10);
		else if (!strncmp(argv[i], "--capabilities=", 15))
			options.rights.capabilities = strtoumax(argv[i] + 15, NULL, 16);
		else if (!strncmp(argv[i], "--pass=", 7) && options.pass_count < MOST_PASSED)
			options.pass[options.pass_count++] = argv[i] + 7;
		else if (!strncmp(argv[i], "--vsock=", 8))
			options.cid = (unsigned int)strtoul(argv[i] + 8, NULL, 10);
		else if (!strncmp(argv[i], "--channel=", 10))
			options.channel = argv[i] + 10;
		else if (!strcmp(argv[i], "--qmp"))
			options.qmp = true;
		else if (!strcmp(argv[i], "--init"))
			options.init = true;
		else if (!strncmp(argv[i], "--mconsole=", 11))
			options.mconsole = argv[i] + 11;
		else if (!strcmp(argv[i], "--debug"))
			options.debug = true;
		else if (!strncmp(argv[i], "--machine=", 10))
			options.registration.name = argv[i] + 10;
		else if (!strncmp(argv[i], "--root=", 7))
			options.registration.root = argv[i] + 7;
		else if (!strncmp(argv[i], "--machine-root=", 15))
			options.registration.leader_root = argv[i] + 15;
		else if (!strcmp(argv[i], "--scope"))
			options.registration.scope = true;
		else
			usage();
	}
	if (!options.status || options.helper_count < 0 || i + 1 + options.helper_count >= argc)
		usage();
	if ((options.cid != 0) != (options.channel != NULL))
		usage();
	if (options.registration.name && (!options.registration.root || !options.registration.leader_root))
		usage();
	options.helper = argv + i + 1;
	options.hypervisor = options.helper + options.helper_count;
	options.hypervisor_count = argc - (int)(options.hypervisor - argv);
	return options;
}
