/*
 * make-filter < RULES > FILTER
 * make-filter --names: build-time tool that prints the name of every system call that libseccomp knows, or that turns a list of rules into the instructions of a seccomp filter
 * for every system call table of this machine. Lines, made by stage1/security/filter-rules.ts:
 *   default ACTION            what happens to a call without a rule
 *   known ACTION              the same for every call that libseccomp has a name for
 *   ACTION NAME               a rule
 *   ACTION NAME ARG MASK VALUE  a rule that holds when (argument & MASK) == VALUE; hexadecimal
 * ACTION is "allow" or an errno as a number.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RULES 4096
#define HIGHEST_CALL 1024
#define X32_BIT 0x40000000
#define MIPS_BASE 4000
#define ARM_BASE 0x0f0000

struct rule { char action[16], name[64]; int fields; unsigned int arg; unsigned long mask, value; };

static struct rule rules[RULES];
static size_t rule_count;
static char default_action[16] = "allow", known_action[16];

static void fail(const char *what)
{
	fprintf(stderr, "make-filter: %s\n", what);
	exit(1);
}

static uint32_t action_of(const char *text)
{
	return strcmp(text, "allow") ? SCMP_ACT_ERRNO((uint32_t)atoi(text)) : SCMP_ACT_ALLOW;
}

static void read_rules(void)
{
	char line[256];

	while (fgets(line, sizeof line, stdin)) {
		struct rule *r = &rules[rule_count];
		r->fields = sscanf(line, "%15s %63s %u %lx %lx", r->action, r->name, &r->arg, &r->mask, &r->value);
		if (r->fields != 2 && r->fields != 5)
			fail(line);
		if (!strcmp(r->action, "default"))
			snprintf(default_action, sizeof default_action, "%.15s", r->name);
		else if (!strcmp(r->action, "known"))
			snprintf(known_action, sizeof known_action, "%.15s", r->name);
		else if (++rule_count == RULES)
			fail("too many rules");
	}
}

/* libseccomp takes the numbers of the native table and translates them; a call that a table lacks is no error. */
static void add(scmp_filter_ctx ctx, const char *name, uint32_t action, const struct rule *r)
{
	int number = seccomp_syscall_resolve_name(name), result;

	if (number == __NR_SCMP_ERROR || action == action_of(default_action))
		return;
	if (r && r->fields == 5) {
		struct scmp_arg_cmp compare = { r->arg, SCMP_CMP_MASKED_EQ, r->mask, r->value };
		result = seccomp_rule_add_exact_array(ctx, action, number, 1, &compare);
	} else {
		result = seccomp_rule_add_exact(ctx, action, number, 0);
	}
	if (result < 0 && result != -EDOM)
		fail(name);
}

static int has_rule(const char *name)
{
	for (size_t i = 0; i < rule_count; i++)
		if (!strcmp(rules[i].name, name))
			return 1;
	return 0;
}

static void add_known(scmp_filter_ctx ctx, uint32_t arch)
{
	int first = arch == SCMP_ARCH_X32 ? X32_BIT : 0;

	for (int number = first; number < first + HIGHEST_CALL; number++) {
		char *name = seccomp_syscall_resolve_num_arch(arch, number);
		if (name && !has_rule(name))
			add(ctx, name, action_of(known_action), NULL);
		free(name);
	}
}

static scmp_filter_ctx make_for(uint32_t arch)
{
	scmp_filter_ctx ctx = seccomp_init(action_of(default_action));

	if (!ctx || seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE) < 0 || seccomp_arch_add(ctx, arch) < 0)
		fail("cannot make a filter");
	for (size_t i = 0; i < rule_count; i++)
		add(ctx, rules[i].name, action_of(rules[i].action), &rules[i]);
	if (*known_action)
		add_known(ctx, arch);
	return ctx;
}

/* Those of all architectures: a set may name one that this machine lacks. */
static void print_names(void)
{
	static const uint32_t architectures[] = {
		SCMP_ARCH_X86, SCMP_ARCH_X86_64, SCMP_ARCH_X32, SCMP_ARCH_ARM, SCMP_ARCH_AARCH64, SCMP_ARCH_MIPS,
		SCMP_ARCH_PPC64LE, SCMP_ARCH_S390X, SCMP_ARCH_RISCV64,
	};

	for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++) {
		const int bases[] = { 0, architectures[i] == SCMP_ARCH_X32 ? X32_BIT : 0, MIPS_BASE };
		for (size_t b = 0; b < sizeof bases / sizeof *bases; b++) {
			for (int number = bases[b]; number < bases[b] + HIGHEST_CALL; number++) {
				char *name = seccomp_syscall_resolve_num_arch(architectures[i], number);
				if (name)
					puts(name);
				free(name);
			}
		}
	}
	/* Those of ARM alone have numbers of their own. */
	for (int number = ARM_BASE; number < ARM_BASE + HIGHEST_CALL; number++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_ARM, number);
		if (name)
			puts(name);
		free(name);
	}
}

int main(int argc, char **argv)
{
#if defined(__x86_64__)
	const uint32_t arches[] = { SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32 };
#elif defined(__aarch64__)
	const uint32_t arches[] = { SCMP_ARCH_AARCH64, SCMP_ARCH_ARM };
#else
	const uint32_t arches[] = { seccomp_arch_native() };
#endif
	if (argc > 1 && !strcmp(argv[1], "--names"))
		return print_names(), 0;
	read_rules();
	scmp_filter_ctx all = make_for(arches[0]);
	for (size_t i = 1; i < sizeof arches / sizeof *arches; i++)
		if (seccomp_merge(all, make_for(arches[i])) < 0)
			fail("cannot merge");
	seccomp_attr_set(all, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	return seccomp_export_bpf(all, STDOUT_FILENO) < 0;
}
