/* System call filters: ready-made ones from the stage1 image, or one compiled from the names in the isolators. */
#define _GNU_SOURCE
#include "spec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void load(const char *name, struct sock_filter *code, size_t size)
{
	struct sock_fprog program = { .len = (unsigned short)(size / sizeof *code), .filter = code };

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		die(EXIT_SECCOMP, "cannot install the system call filter %s", name);
}

static void load_from(int fd, const char *name)
{
	static struct sock_filter code[BPF_MAXINSNS];
	ssize_t size = fd < 0 ? -1 : pread(fd, code, sizeof code, 0);

	if (size <= 0 || size % (ssize_t)sizeof *code)
		die(EXIT_SECCOMP, "cannot read the system call filter %s", name);
	load(name, code, (size_t)size);
}

/* What a process cannot live without, as systemd has it; and the other way to start a program, which `enter` has. */
static const char *const ALWAYS[] = {
	"execve", "execveat", "exit", "exit_group", "rt_sigreturn", "sigreturn", "restart_syscall",
};

/* libseccomp takes the numbers of the native table and translates them; a call that a table lacks is no error. */
static void add_rule(scmp_filter_ctx ctx, uint32_t action, const char *call)
{
	int number = seccomp_syscall_resolve_name(call);

	if (number == __NR_SCMP_ERROR) {
		errno = 0;
		die(EXIT_SECCOMP, "the seccomp isolator names an unknown system call %s", call);
	}
	int result = seccomp_rule_add_exact(ctx, action, number, 0);
	if (result < 0 && result != -EDOM) {
		errno = -result;
		die(EXIT_SECCOMP, "cannot filter the system call %s", call);
	}
}

static bool is_listed(const struct spec *spec, const char *call)
{
	for (size_t i = 0; i < spec->calls.count; i++)
		if (!strcmp(spec->calls.items[i], call))
			return true;
	return false;
}

/* Only after this answer does a library make its threads with clone(2). */
#define UNKNOWN_CALL SCMP_ACT_ERRNO(ENOSYS)

static scmp_filter_ctx compile_for(const struct spec *spec, uint32_t arch)
{
	bool allow = !strcmp(spec->filter_mode, "allow");
	uint32_t refuse = SCMP_ACT_ERRNO((uint32_t)spec->filter_errno);
	scmp_filter_ctx ctx = seccomp_init(allow ? refuse : SCMP_ACT_ALLOW);

	if (!ctx || seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE) < 0 || seccomp_arch_add(ctx, arch) < 0)
		die(EXIT_SECCOMP, "cannot make a system call filter");
	if (is_listed(spec, "clone3") != allow && refuse != UNKNOWN_CALL)
		add_rule(ctx, UNKNOWN_CALL, "clone3");
	for (size_t i = 0; i < spec->calls.count; i++)
		if (allow || strcmp(spec->calls.items[i], "clone3"))
			add_rule(ctx, allow ? SCMP_ACT_ALLOW : refuse, spec->calls.items[i]);
	for (size_t i = 0; allow && i < sizeof ALWAYS / sizeof *ALWAYS; i++)
		add_rule(ctx, SCMP_ACT_ALLOW, ALWAYS[i]);
	return ctx;
}

/* The filter as a descriptor that holds its instructions. Other architectures than these are killed. */
static int compile(const struct spec *spec)
{
#if defined(__x86_64__)
	const uint32_t arches[] = { SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32 };
#elif defined(__aarch64__)
	const uint32_t arches[] = { SCMP_ARCH_AARCH64, SCMP_ARCH_ARM };
#else
	const uint32_t arches[] = { seccomp_arch_native() };
#endif
	scmp_filter_ctx all = compile_for(spec, arches[0]);
	int fd = (int)syscall(SYS_memfd_create, "filter", 1u);

	for (size_t i = 1; i < sizeof arches / sizeof *arches; i++)
		if (seccomp_merge(all, compile_for(spec, arches[i])) < 0)
			die(EXIT_SECCOMP, "cannot merge system call filters");
	seccomp_attr_set(all, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (fd < 0 || seccomp_export_bpf(all, fd) < 0)
		die(EXIT_SECCOMP, "cannot write a system call filter");
	return fd;
}

void install_process_filter(int filter_dir)
{
	const char *name = "process.bpf";
	int fd = openat(filter_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	load_from(fd, name);
	close(fd);
}

/* All are opened before the first is active: it may forbid opening. */
void install_filters(const struct spec *spec, int filter_dir)
{
	int fds[8];
	size_t count = spec->filters.count;

	if (count > sizeof fds / sizeof *fds) {
		errno = 0;
		die(EXIT_SECCOMP, "too many system call filters");
	}
	for (size_t i = 0; i < count; i++) {
		fds[i] = openat(filter_dir, spec->filters.items[i], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fds[i] < 0)
			die(EXIT_SECCOMP, "cannot open the system call filter %s", spec->filters.items[i]);
	}
	int compiled = spec->filter_mode ? compile(spec) : -1;
	for (size_t i = 0; i < count; i++)
		load_from(fds[i], spec->filters.items[i]);
	if (compiled >= 0)
		load_from(compiled, spec->filter_mode);
}
