import * as z from "zod/mini";
import { formatQuantity, parseQuantity, QUANTITY_RULE, quantityBytes } from "../types/quantity.ts";
import { canonicalMembers, checkSchema, type Problem } from "./read-schema.ts";
import { customIssue, filledText, integer, once, text } from "./schema-kit.ts";

/** A limit as a manifest holds it; `value` has the form that its name asks for, read by {@link readIsolators}. */
export interface Isolator {
	name: string;
	value?: unknown;
}

/** What a process may use, getrlimit(2), without `RLIMIT_`. */
export const RESOURCES = [
	...(["AS", "CORE", "CPU", "DATA", "FSIZE", "LOCKS", "MEMLOCK", "MSGQUEUE"] as const),
	...(["NICE", "NOFILE", "NPROC", "RSS", "RTPRIO", "RTTIME", "SIGPENDING", "STACK"] as const),
] as const;

/** A quantity: text or number in JSON, canonical text when parsed. Limits are never negative. */
const quantity = once(() =>
	z.pipe(
		z.union([z.string(), z.number()]).check(
			z.check(({ value, issues }) => {
				try {
					if (parseQuantity(String(value)).nanos < 0n)
						issues.push(customIssue(value, [], "may not be negative"));
				} catch {
					issues.push(customIssue(value, [], `must be a quantity: ${QUANTITY_RULE}`));
				}
			}),
		),
		z.transform((value: string | number) => formatQuantity(parseQuantity(String(value)))),
	),
);

const requestAndLimit = once(() =>
	z.object({
		default: z.optional(z.literal(false)),
		request: z.optional(quantity()),
		limit: z.optional(quantity()),
	}),
);

const defaultLimit = once(() =>
	z.object({
		default: z.literal(true),
		request: z.optional(z.undefined()),
		limit: z.optional(quantity()),
	}),
);

const wordSet = (test: RegExp, rule: string) =>
	z
		.array(text((value) => test.test(value), rule))
		.check(z.refine((set) => set.length > 0, { error: "may not be empty" }));

const capabilitySet = once(() =>
	z.object({ set: wordSet(/^CAP_[A-Z0-9_]+$/, "must be the name of a capability such as CAP_NET_ADMIN") }),
);

const seccompSet = once(() =>
	z.object({
		set: wordSet(
			/^(?:@[a-z0-9.-]+\/[a-z0-9-]+|[a-z0-9_]+)$/,
			"must be the name of a system call, or of a set such as @docker/default-whitelist",
		),
		errno: z.optional(
			text((value) => /^E[A-Z0-9]+$/.test(value), "must be the name of an error such as EPERM"),
		),
	}),
);

const contextPart = once(() =>
	text((value) => value !== "" && !value.includes(":"), 'may not be empty or hold ":"'),
);

const selinuxContext = once(() =>
	z.object({ user: contextPart(), role: contextPart(), type: contextPart(), level: filledText() }),
);

const apparmorProfile = once(() =>
	z.object({
		profile: text((value) => /^[^\s\p{Cc}]+$/u.test(value), "must be the name of a profile"),
	}),
);

const sysctls = once(() =>
	z.record(
		z.string().check(z.regex(/^[A-Za-z0-9_./:-]+$/)),
		text((value) => !/\p{Cc}/u.test(value.replaceAll("\t", "")), "may not hold a control character"),
	),
);

/** A limit of setrlimit(2). */
const resourceLimit = once(() => z.union([integer(0, Number.MAX_SAFE_INTEGER), z.literal("unlimited")]));

const amount = (limit: number | "unlimited"): number =>
	limit === "unlimited" ? Number.POSITIVE_INFINITY : limit;

/** The names of getrlimit(2) with a soft limit, by default the hard one, and a hard one. */
const resourceLimits = once(() =>
	z.record(
		z.string().check(z.regex(new RegExp(`^RLIMIT_(?:${RESOURCES.join("|")})$`))),
		z.object({ soft: z.optional(resourceLimit()), hard: resourceLimit() }).check(
			z.refine(({ soft, hard }) => amount(soft ?? hard) <= amount(hard), {
				error: "soft may not be more than hard",
			}),
		),
	),
);

const pidsLimit = once(() =>
	z.object({
		limit: quantity().check(
			z.refine((value) => quantityBytes(parseQuantity(value)) > 0n, { error: "must be at least 1" }),
		),
	}),
);

/** The value of each isolator that the specification knows, and `resource/pids` and `os/unix/rlimits`, which are our own. */
const VALUES = {
	"resource/memory": requestAndLimit,
	"resource/cpu": requestAndLimit,
	"resource/block-bandwidth": defaultLimit,
	"resource/block-iops": defaultLimit,
	"resource/network-bandwidth": defaultLimit,
	"resource/pids": pidsLimit,
	"os/linux/cpu-shares": once(() => integer(2, 262144)),
	"os/linux/oom-score-adj": once(() => integer(-1000, 1000)),
	"os/linux/capabilities-retain-set": capabilitySet,
	"os/linux/capabilities-remove-set": capabilitySet,
	"os/linux/seccomp-retain-set": seccompSet,
	"os/linux/seccomp-remove-set": seccompSet,
	"os/linux/no-new-privileges": once(() => z.boolean()),
	"os/linux/selinux-context": selinuxContext,
	"os/linux/apparmor-profile": apparmorProfile,
	"os/unix/sysctl": sysctls,
	"os/unix/rlimits": resourceLimits,
} as const;

/** Those of which a list may hold one. */
const SINGLE = [
	"os/linux/cpu-shares",
	"os/linux/oom-score-adj",
	"os/linux/seccomp-retain-set",
	"os/linux/seccomp-remove-set",
	"os/linux/selinux-context",
	"os/linux/apparmor-profile",
	"os/unix/sysctl",
	"os/unix/rlimits",
];

/**
 * The isolators of an app, where an unknown name makes the manifest invalid, or of a pod, where it stays as it is.
 */
export function isolatorList(scope: "app" | "pod") {
	return z._default(
		z.pipe(
			z.array(z.object({ name: z.string(), value: z.optional(z.unknown()) })),
			z.transform((isolators: Isolator[], { issues }: z.core.ParsePayload): Isolator[] => {
				issues.push(...listProblems(isolators));
				return isolators.map((isolator, index) => checkedIsolator(isolator, index, scope, issues));
			}),
		),
		[],
	);
}

function checkedIsolator(
	isolator: Isolator,
	index: number,
	scope: "app" | "pod",
	issues: z.core.$ZodRawIssue[],
): Isolator {
	const schema = isolatorSchema(isolator.name);
	if (schema === undefined) {
		if (scope === "app") issues.push(customIssue(isolator.name, [index, "name"], "is not a known isolator"));
		return isolator;
	}
	const problems: Problem[] = [];
	const value = canonicalMembers(schema, isolator.value ?? undefined, "", problems);
	for (const { message } of problems) issues.push(customIssue(isolator.value, [index, "value"], message));
	const result = schema.safeParse(value, { reportInput: true });
	if (result.success) return { name: isolator.name, value: result.data };
	issues.push(
		...result.error.issues.map(
			(issue) => ({ ...issue, path: [index, "value", ...issue.path] }) as z.core.$ZodRawIssue,
		),
	);
	return isolator;
}

function isolatorSchema(name: string): z.ZodMiniType | undefined {
	return Object.hasOwn(VALUES, name) ? VALUES[name as keyof typeof VALUES]() : undefined;
}

function listProblems(isolators: readonly Isolator[]): z.core.$ZodRawIssue[] {
	const names = isolators.map(({ name }) => name);
	const repeated = SINGLE.filter((name) => names.indexOf(name) !== names.lastIndexOf(name)).map((name) =>
		customIssue(name, [names.lastIndexOf(name), "name"], "may stand only once"),
	);
	const remove = names.indexOf("os/linux/seccomp-remove-set");
	if (remove === -1 || !names.includes("os/linux/seccomp-retain-set")) return repeated;
	return [...repeated, customIssue(names[remove], [remove, "name"], "excludes os/linux/seccomp-retain-set")];
}

type IsolatorValue<N extends keyof typeof VALUES> = z.infer<ReturnType<(typeof VALUES)[N]>>;

/** The values of all isolators of this name, in order, of a list that a schema has checked. */
export function isolatorValues<N extends keyof typeof VALUES>(
	isolators: readonly Isolator[],
	name: N,
): IsolatorValue<N>[] {
	return isolators.filter((isolator) => isolator.name === name).map(({ value }) => value as IsolatorValue<N>);
}

/** One isolator made by this program, checked like those of a manifest. Errors: `manifest-invalid`. */
export function checkIsolator(isolator: Isolator, source: string): Isolator {
	const [checked] = checkSchema([isolator], source, isolatorList("app"));
	return checked ?? isolator;
}
