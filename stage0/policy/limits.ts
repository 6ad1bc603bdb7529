import { isInside } from "../../stage1/volumes/volume-bounds.ts";
import type { Limits, PodFacts } from "./policy.ts";

type LimitName = keyof Limits;
type Check<N extends LimitName> = (limit: NonNullable<Limits[N]>, facts: PodFacts) => string[];

/** Why a pod does not keep to a limit; nothing when it does. */
const CHECKS: { readonly [N in LimitName]: Check<N> } = {
	deny: () => ["it allows no such pod"],
	stage1: (allowed, { stage1 }) => {
		const known = [stage1.bundled, stage1.id].some((name) => name !== undefined && allowed.includes(name));
		return known
			? []
			: [`the pod uses the stage1 image ${stage1.bundled ?? stage1.name}, allowed: ${list(allowed)}`];
	},
	hostNetwork: (_, { hostNetwork }) => (hostNetwork === true ? ["the pod uses the network of the host"] : []),
	hostIpc: (_, { hostIpc }) => (hostIpc === true ? ["the pod uses the IPC namespace of the host"] : []),
	insecureOptions: (allowed, { insecure }) => {
		const others = insecure.filter((word) => !allowed.includes(word));
		return others.length === 0
			? []
			: [`--insecure-options has ${others.join(", ")}, allowed: ${list(allowed)}`];
	},
	hostVolumes: (allowed, facts) => {
		const directories = resolvedDirectories(allowed, facts);
		return facts.volumes
			.map(({ name, source }) => ({ name, source, target: facts.resolve(source) }))
			.filter(({ target }) => target === undefined || !isInside(target, directories))
			.map(({ name, source, target }) => {
				const place = target === source ? source : `${source}, which leads to ${target ?? "nothing allowed"}`;
				return `the volume ${name} is ${place}, allowed: ${list(allowed)}`;
			});
	},
	capabilities: (allowed, { apps }) =>
		apps.flatMap(({ name, capabilities }) => {
			const others = capabilities.filter((capability) => !allowed.includes(capability));
			return others.length === 0
				? []
				: [`the app ${name} has ${others.join(", ")}, allowed: ${list(allowed)}`];
		}),
	seccomp: (_, { apps, insecure }) => {
		if (insecure.includes("seccomp")) return ["--insecure-options=seccomp lifts the filter of system calls"];
		return apps
			.filter(({ defaultSeccomp }) => !defaultSeccomp)
			.map(({ name }) => `the app ${name} may make system calls that are not allowed by default`);
	},
	privateUsers: (_, { privateUsers }) =>
		privateUsers ? [] : ["the pod has no users of its own (--private-users)"],
};

const NAMES = Object.keys(CHECKS) as LimitName[];

/** The members of a rule that ask something of a pod. */
export function limitsOf(rule: Limits): LimitName[] {
	return NAMES.filter((name) => rule[name] !== undefined);
}

/** Everything in which a pod exceeds the limits of a rule. */
export function exceededLimits(rule: Limits, facts: PodFacts): string[] {
	return limitsOf(rule).flatMap((name) => checkLimit(name, rule, facts));
}

function checkLimit<N extends LimitName>(name: N, rule: Limits, facts: PodFacts): string[] {
	const check: Check<N> = CHECKS[name];
	return check(rule[name] as NonNullable<Limits[N]>, facts);
}

/** Directories of the host without links; one that does not exist allows nothing. */
export function resolvedDirectories(
	allowed: readonly string[],
	{ resolve }: Pick<PodFacts, "resolve">,
): string[] {
	return allowed.flatMap((directory) => resolve(directory) ?? []);
}

function list(allowed: readonly string[]): string {
	return allowed.length === 0 ? "none" : allowed.join(", ");
}
