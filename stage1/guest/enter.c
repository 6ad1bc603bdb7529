/*
 * enter OPTIONS -- COMMAND...: runs a command in an app of a running pod, with the app's own confinement.
 *   --target=PID       process of the pod whose namespaces are joined, as the host sees it
 *   --spec=FD          the app's specification, from where no pod can write
 *   --filters=FD       directory of ready-made system call filters
 *   --cgroup=FILE      cgroup.procs of a cgroup to join; any number
 *   --bounding=HEX     capabilities that no process of the pod exceeds
 *   --build-root=0|1   the target is PID 1: make the app's view of the file system first
 *   --program=FD       a program of ours that is run as the command, of which the app has no file
 * Nothing of the pod is executed or trusted before the command is confined.
 */
#define _GNU_SOURCE
#include "spec.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define CGROUPS 64

struct options {
	pid_t target;
	int spec;
	int filters;
	int program;
	bool build_root;
	uint64_t bounding;
	int cgroups[CGROUPS];
	size_t cgroup_count;
};

/* A copy in memory that nobody can write. */
static int sealed_copy(int file)
{
	struct stat st;
	int copy = memfd_create("enter", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (copy < 0 || fstat(file, &st) < 0)
		die(1, "cannot make a copy in memory");
	for (off_t done = 0; done < st.st_size;)
		if (sendfile(copy, file, &done, (size_t)(st.st_size - done)) <= 0)
			die(1, "cannot copy to memory");
	if (fcntl(copy, F_ADD_SEALS, SEALS) < 0)
		die(1, "cannot seal the copy in memory");
	return copy;
}

/*
 * Runs on from a copy in memory: the pod sees this process for a moment, and a script with the interpreter
 * /proc/self/exe would start it again; neither reaches the file in the image store.
 */
static void become_sealed_copy(char **argv)
{
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (self < 0)
		die(1, "cannot open /proc/self/exe");
	if (fcntl(self, F_GET_SEALS) == SEALS) {
		close(self);
		return;
	}
	fexecve(sealed_copy(self), argv, environ);
	die(1, "cannot run the copy in memory");
}

static bool option_value(const char *argument, const char *name, const char **value)
{
	size_t length = strlen(name);

	if (strncmp(argument, name, length) || argument[length] != '=')
		return false;
	*value = argument + length + 1;
	return true;
}

static void read_option(struct options *options, const char *argument)
{
	const char *value;

	if (option_value(argument, "--target", &value))
		options->target = atoi(value);
	else if (option_value(argument, "--spec", &value))
		options->spec = atoi(value);
	else if (option_value(argument, "--filters", &value))
		options->filters = atoi(value);
	else if (option_value(argument, "--bounding", &value))
		options->bounding = strtoull(value, NULL, 16);
	else if (option_value(argument, "--program", &value))
		options->program = sealed_copy(atoi(value));
	else if (option_value(argument, "--build-root", &value))
		options->build_root = atoi(value) == 1;
	else if (option_value(argument, "--cgroup", &value) && options->cgroup_count < CGROUPS) {
		int fd = open(value, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			die(1, "cannot open %s", value);
		options->cgroups[options->cgroup_count++] = fd;
	} else {
		errno = 0;
		die(1, "enter: unknown option %s", argument);
	}
}

/* Files that a process may have open unless it asks for more, systemd-system.conf(5): many look at each of them. */
#define OPEN_FILES 1024

/* A number of proc_pid_limits(5), or `unlimited`. */
static rlim_t limit_value(const char *word)
{
	return strcmp(word, "unlimited") ? strtoull(word, NULL, 10) : RLIM_INFINITY;
}

/*
 * The kernel has a line for each resource, in their order, with the name in the first 26 columns. prlimit(2) would want
 * CAP_SYS_RESOURCE to look at a process of another user, which root does not have everywhere.
 */
static void read_limits(pid_t target, struct rlimit limits[RLIM_NLIMITS])
{
	char path[64], line[128], soft[32], hard[32];

	snprintf(path, sizeof path, "/proc/%d/limits", target);
	FILE *file = fopen(path, "re");
	int complete = file && fgets(line, sizeof line, file);
	for (int resource = 0; complete && resource < RLIM_NLIMITS; resource++) {
		complete = fgets(line, sizeof line, file) && strlen(line) > 26 && sscanf(line + 26, "%31s %31s", soft, hard) == 2;
		if (complete)
			limits[resource] = (struct rlimit){ limit_value(soft), limit_value(hard) };
	}
	if (!complete)
		die(1, "cannot read the limits of process %d", target);
	fclose(file);
}

/* A caller without CAP_SYS_RESOURCE that may use less than the app keeps that. */
static bool take_closest(int resource, struct rlimit limit)
{
	struct rlimit own;

	if (getrlimit(resource, &own) < 0)
		return false;
	if (limit.rlim_cur > own.rlim_max)
		limit.rlim_cur = own.rlim_max;
	limit.rlim_max = own.rlim_max;
	return setrlimit(resource, &limit) == 0;
}

/*
 * What the app may use of the machine, and how soon the kernel kills it, instead of what the caller may. PID 1 has the
 * same but for the files.
 */
static void take_limits(const struct options *options)
{
	char path[64], score[16] = "";
	struct rlimit limits[RLIM_NLIMITS];

	read_limits(options->target, limits);
	if (options->build_root && limits[RLIMIT_NOFILE].rlim_cur > OPEN_FILES)
		limits[RLIMIT_NOFILE].rlim_cur = OPEN_FILES;
	for (int resource = 0; resource < RLIM_NLIMITS; resource++)
		if (setrlimit(resource, &limits[resource]) < 0 && (errno != EPERM || !take_closest(resource, limits[resource])))
			die(1, "cannot take the limits of the app");
	snprintf(path, sizeof path, "/proc/%d/oom_score_adj", options->target);
	int from = open(path, O_RDONLY | O_CLOEXEC), to = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	ssize_t size = from < 0 ? -1 : read(from, score, sizeof score);
	/* A caller without the right to be spared stays what it is: more likely to be killed. */
	if (size <= 0 || (write(to, score, (size_t)size) != size && errno != EACCES))
		die(1, "cannot take the oom score of the app");
	close(from);
	close(to);
}

static bool same_user_namespace(pid_t target)
{
	struct stat own, other;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/ns/user", target);
	if (stat("/proc/self/ns/user", &own) < 0 || stat(path, &other) < 0)
		die(1, "cannot look at the namespaces of process %d", target);
	return own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

static void join_namespaces(pid_t target)
{
	int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	/* Held from before the comparison: the number cannot come to mean another process in between. */
	int pidfd = (int)syscall(SYS_pidfd_open, target, 0);

	if (pidfd < 0)
		die(1, "cannot find process %d", target);
	bool own_users = !same_user_namespace(target);
	if (own_users)
		flags |= CLONE_NEWUSER;
	if (setns(pidfd, flags) < 0)
		die(1, "cannot join the namespaces of process %d", target);
	/* A user of the host is nobody there until it becomes one of the namespace's. */
	if (own_users && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
		die(1, "cannot become root of the pod");
	close(pidfd);
}

/* A name without a slash is looked for in the app's own PATH. */
static char *find_command(const struct spec *spec, char *name)
{
	const char *path = NULL;
	char *candidate;

	if (strchr(name, '/'))
		return name;
	for (size_t i = 0; i < spec->environment.count; i++)
		if (!strncmp(spec->environment.items[i], "PATH=", 5))
			path = spec->environment.items[i] + 5;
	while (path && *path) {
		size_t length = strcspn(path, ":");
		if (asprintf(&candidate, "%.*s/%s", (int)length, path, name) > 0 && access(candidate, X_OK) == 0)
			return candidate;
		path += length + (path[length] == ':');
	}
	return name;
}

/*
 * The specification says what an app gives up; what its pod gave up before, PID 1 passed on to it, and has to be
 * given up here too.
 */
static void confine_like_pod(struct spec *spec, const struct options *options)
{
	struct list filters = { 0 };

	list_add(&filters, "baseline-arguments.bpf");
	list_add(&filters, "baseline.bpf");
	for (size_t i = 0; i < spec->filters.count; i++)
		list_add(&filters, spec->filters.items[i]);
	spec->filters = filters;
	spec->bounding &= options->bounding;
	spec->uid = 0;
	spec->gid = 0;
	spec->groups.count = 0;
	spec->cwd = "/";
	spec->sockets.count = 0;
	spec->pass_notify = false;
}

static void run_command(struct spec *spec, const struct options *options, char **command, int released)
{
	struct list argv = { 0 };
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* Only when it is in the app's cgroups may it do anything. */
	if (read(released, &byte, 1) != 1)
		_exit(1);
	close(released);
	if (options->build_root)
		enter_app_root(spec);
	else if (chdir("/") < 0)
		die(1, "cannot change to the root of the app");
	confine_like_pod(spec, options);
	for (char **word = command; *word; word++)
		list_add(&argv, *word);
	if (options->program == NO_PROGRAM)
		argv.items[0] = find_command(spec, command[0]);
	prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	confine_and_exec(spec, options->filters, &argv, options->program);
}

static void join_cgroups(const struct options *options, pid_t child)
{
	char text[16];
	int length = snprintf(text, sizeof text, "%d", child);

	for (size_t i = 0; i < options->cgroup_count; i++)
		if (write(options->cgroups[i], text, (size_t)length) != length) {
			int error = errno;
			kill(child, SIGKILL);
			errno = error;
			die(1, "cannot join a cgroup of the app");
		}
}

static int forwarded_to;

static void forward(int signal)
{
	kill(forwarded_to, signal);
}

/* Before the command runs: else it could have said that it is ready for a signal which would end this process. */
static void forward_signals(pid_t child)
{
	const int forwarded[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH };

	forwarded_to = child;
	for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
		sigaction(forwarded[i], &(struct sigaction){ .sa_handler = forward }, NULL);
}

static int wait_for(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			die(1, "cannot wait for the command");
	return status;
}

/* Ends as the command did: with its status, or by its signal without a second core dump. */
static int end_like(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	int signal = WTERMSIG(status);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(signal);
	return 128 + signal;
}

int main(int argc, char **argv)
{
	struct options options = { .spec = -1, .filters = -1, .program = NO_PROGRAM };
	struct terminal terminal;
	struct spec spec;
	int first = 1, release[2];

	become_sealed_copy(argv);
	/* Until the new program is there, nobody in the pod may look into this process or at its executable. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	for (; first < argc && strcmp(argv[first], "--"); first++)
		read_option(&options, argv[first]);
	if (first + 1 >= argc || options.target <= 0) {
		errno = 0;
		die(1, "enter: nothing to run");
	}
	spec_read(options.spec, &spec);
	take_limits(&options);
	join_namespaces(options.target);
	bool on_terminal = terminal_open(&terminal, "/dev/pts/ptmx");
	if (pipe2(release, O_CLOEXEC) < 0)
		die(1, "cannot make a pipe");
	pid_t child = fork();
	if (child < 0)
		die(1, "cannot start a process in the pod");
	if (child == 0) {
		close(release[1]);
		if (on_terminal)
			terminal_take(&terminal);
		run_command(&spec, &options, argv + first + 1, release[0]);
	}
	close(release[0]);
	join_cgroups(&options, child);
	forward_signals(child);
	if (write(release[1], "", 1) != 1)
		die(1, "cannot start the command");
	close(release[1]);
	return end_like(on_terminal ? terminal_relay(&terminal, child) : wait_for(child));
}
