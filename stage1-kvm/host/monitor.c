/*
 * monitor --status=FILE [--lock-fd=N] [--debug] [--trace=FILE] [--attach=CLIENT] [--helper=COUNT] [--qmp] [--init] [--boot=SECONDS]
 *         [--mconsole=SOCKET] [--jail] [--user=UID] [--capabilities=MASK] [--pass=WHAT...] [--vsock=CID --channel=FILE] [--machine=NAME --root=DIRECTORY --machine-root=DIRECTORY [--scope]] -- [HELPER...] HYPERVISOR...
 *
 * The process of a pod in a virtual machine. It starts the hypervisor, and before it the helper that serves the files of
 * the guest, passes signals on as an orderly shut-down, and ends with the status that the guest has left in FILE. A guest
 * whose agent does not come within the SECONDS of --boot is ended; with --qmp one that QEMU says it has stopped is, too. With
 * --init the hypervisor is no first process: one that ends itself by a signal cannot do that as such. On SOCKET, relative to
 * its root, User-Mode Linux is told to give the host back what its guest does not need any more. The
 * working directory is the pod's. The hypervisor is of the user UID, or root with no capabilities but those of MASK, which is
 * hexadecimal; with --jail it has few of the host's files, and as root those of the pod; passed.h says WHAT it gets opened. With --vsock the agent comes by that way from the guest CID, which finds in FILE where to;
 * else the control channel is descriptor 3 of the hypervisor. It holds the lock of the pod; when it dies, the kernel kills both programs. With
 * --machine it is the leader of that machine of machined, and DIRECTORY of --machine-root what machined finds there.
 */
#define _GNU_SOURCE
#include "attach.h"
#include "clock.h"
#include "failure.h"
#include "guest-status.h"
#include "machine.h"
#include "machined.h"
#include "notify.h"
#include "options.h"
#include "passed.h"
#include "program.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Relative to the working directory; stage1-kvm/hypervisors/hypervisor.ts. */
#define SHARE_SOCKET "virtiofs.sock"

static int listen_for_helper(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SHARE_SOCKET };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(SHARE_SOCKET);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1) < 0)
		die(SHARE_SOCKET);
	return fd;
}

/* Our end of the two, which does not block; the hypervisor gets the other. */
static int pass_connection(struct passed *passed)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
		die("socketpair");
	passed_add(passed, ends[1]);
	return ends[0];
}

/* What the hypervisor finds as descriptors, and our ends of it. */
static void open_passed(struct machine *machine, struct passed *passed, const struct options *options)
{
	if (options->channel && !vsock_open(&machine->vsock, options->cid, options->channel))
		die("vsock");
	stream_init(&machine->channel, options->channel ? -1 : pass_connection(passed));
	qmp_init(&machine->qmp, options->qmp ? pass_connection(passed) : -1);
	for (int i = 0; i < options->pass_count; i++)
		if (!passed_open(passed, options->pass[i], SHARE_SOCKET))
			die(options->pass[i]);
}

/* In place of our own streams, which are the app's. */
static void attach_streams(struct machine *machine, const struct options *options)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC), connection;

	machine->attached = attach_start(options->attach, options->debug ? 2 : nothing, nothing, &connection);
	if (machine->attached < 0)
		die(options->attach);
	close(nothing);
	sessions_adopt(&machine->sessions, connection);
}

static void start_helper(struct machine *machine, const struct options *options, struct passed *passed)
{
	const struct program helper = {
		.words = options->helper,
		.count = options->helper_count,
		.output = options->debug ? -1 : messages_open(&machine->helper_messages),
		.rights = ALL_RIGHTS,
	};

	machine->helper = start_program(&helper, passed);
	passed_close(passed);
	if (helper.output >= 0)
		close(helper.output);
}

static void start_hypervisor(struct machine *machine, const struct options *options, struct passed *passed)
{
	const struct program hypervisor = {
		.words = options->hypervisor,
		.count = options->hypervisor_count,
		.output = -1,
		.init = options->init,
		.rights = options->rights,
	};

	machine->hypervisor = start_program(&hypervisor, passed);
	passed_close(passed);
	if (options->boot_seconds > 0)
		machine->boot_deadline = now() + (int64_t)options->boot_seconds * 1000;
}

static void end_programs(struct machine *machine)
{
	sessions_end(&machine->sessions);
	end_machine(machine);
	while (wait(NULL) > 0 || errno == EINTR)
		;
}

/* stage1/trace.ts reads it. */
static void trace_end(const char *file)
{
	int fd = open(file, O_WRONLY | O_APPEND | O_CLOEXEC);
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (fd >= 0)
		dprintf(fd, "machine off %lld\n", (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
}

static const char *why_ended(const struct machine *machine)
{
	if (machine->helper_ended)
		return ", because the program that serves its files has ended";
	if (machine->hypervisor_killed)
		return ", because its hypervisor was killed: by somebody, or by the host's kernel for want of memory, "
		       "which its log says";
	return "";
}

/* The status to end with. */
static int result(struct machine *machine, const char *file)
{
	int status = read_guest_status(file);

	if (status >= 0)
		return status;
	messages_read(&machine->helper_messages);
	const char *said = machine->helper_ended ? messages_last(&machine->helper_messages) : "";
	const char *why = why_ended(machine);
	dprintf(2, "monitor: the virtual machine ended before the pod had a status%s%s%s\n", why, *said ? ": " : "", said);
	return FAILED;
}

int main(int argc, char **argv)
{
	struct options options = read_options(argc, argv);
	static struct machine machine = {
		.channel_open = true,
		.helper_messages.fd = -1,
		.vsock = { .listener = -1, .caller = -1 },
	};
	struct passed served = { .count = 0 }, passed = { .count = 0 };

	if (options.lock_fd >= 0)
		fcntl(options.lock_fd, F_SETFD, FD_CLOEXEC);
	int signals = catch_signals();
	if (signals < 0)
		die("signalfd");
	machine.mconsole = options.mconsole;
	sessions_init(&machine.sessions);
	notify_open();
	if (options.helper_count > 0)
		passed_add(&served, listen_for_helper());
	/* While our root is still the host's. */
	open_passed(&machine, &passed, &options);
	/* Before the programs are started: machined takes only this process into the scope that it makes. */
	bool registered = options.registration.name && register_machine(&options.registration);
	if (options.attach)
		attach_streams(&machine, &options);
	if (options.helper_count > 0)
		start_helper(&machine, &options, &served);
	start_hypervisor(&machine, &options, &passed);
	watch(&machine, signals);
	end_programs(&machine);
	if (registered)
		unregister_machine(&options.registration);
	if (options.trace)
		trace_end(options.trace);
	return result(&machine, options.status);
}
