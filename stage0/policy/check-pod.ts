import { fail } from "../../lib/errors.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import type { VolumeBounds } from "../../stage1/volumes/volume-bounds.ts";
import { callerSources, callerUids, describeCaller } from "./caller.ts";
import { evaluateRules } from "./evaluate.ts";
import { resolvedDirectories } from "./limits.ts";
import { type PodSubject, podFacts } from "./pod-facts.ts";
import type { LocatedRule, PodFacts, RuleVerdict } from "./policy.ts";
import type { PolicyFile } from "./policy-files.ts";
import { exchangeablePart } from "./root-only-path.ts";
import { parsePolicy } from "./schema.ts";

/** The question that the policy answers. */
export interface PolicyRequest {
	readonly files: readonly PolicyFile[];
	readonly syscall: Syscall;
	/** Without the callers, which are found out here. */
	readonly subject: Omit<PodSubject, "callers">;
	/** The caller's variables. */
	readonly environment: Readonly<Record<string, string>>;
	/** Somebody else to ask for, as `user:NAME`; `policy explain` only. */
	readonly askedFor?: string | undefined;
	/** Directories that flags name and whose content is believed, by what names them. */
	readonly directories: Readonly<Record<string, string | undefined>>;
}

export interface PolicyAnswer {
	readonly callers: readonly string[];
	readonly rules: readonly RuleVerdict[];
	/** What else refuses the pod, as soon as one rule applies. */
	readonly general: readonly string[];
	/** For each rule about host volumes the directories that it allows, without links. */
	readonly volumeBounds: VolumeBounds;
}

/** Errors: `policy-invalid`, and those of the isolators of the apps. */
export function answerPolicy(request: PolicyRequest): PolicyAnswer {
	const rules = request.files.flatMap(({ file, text }) =>
		parsePolicy(text, file).map((rule): LocatedRule => ({ file, rule })),
	);
	const callers = findCallers(request, rules);
	const facts = podFacts(request.syscall, { ...request.subject, callers });
	const verdicts = evaluateRules(rules, facts);
	const applying = rules.filter((_, index) => verdicts[index]?.applies);
	return {
		callers: callers.flatMap(({ names }) => names),
		rules: verdicts,
		general: applying.length === 0 ? [] : generalReasons(request),
		volumeBounds: applying.flatMap(({ rule }) => boundsOf(rule.hostVolumes, facts)),
	};
}

/**
 * Refuses a pod that a rule forbids; gives the bounds of its volumes, for stage1 to keep.
 * Errors: `policy-denied`, and those of {@link answerPolicy}.
 */
export function checkPolicy(request: PolicyRequest): VolumeBounds {
	const { rules, general, volumeBounds } = answerPolicy(request);
	const [refusal] = rules.filter(({ reasons }) => reasons.length > 0);
	if (refusal !== undefined) {
		const { file, rule, reasons, message } = refusal;
		const own = message === undefined ? "" : `: ${message}`;
		deny(`policy ${file}, rule ${JSON.stringify(rule)}: ${reasons.join("; ")}${own}`);
	}
	if (general.length > 0) deny(`the policy of this machine: ${general.join("; ")}`);
	return volumeBounds;
}

function deny(message: string): never {
	return fail("policy-denied", message, {
		hint: "rkt policy explain with the same image and flags shows what every rule says",
	});
}

/** Asking for the names of a user starts a program, so only when a rule wants to know. */
function findCallers(
	{ environment, askedFor }: PolicyRequest,
	rules: readonly LocatedRule[],
): PodFacts["callers"] {
	if (askedFor !== undefined) return [describeCaller(askedFor)];
	const uids = callerUids(callerSources(environment));
	const wanted = rules.some(({ rule }) => rule.match?.callers ?? rule.except?.callers);
	return uids.map((uid) => (wanted ? describeCaller(String(uid)) : { names: [`user:${uid}`] }));
}

/** Whoever can exchange what is in these directories decides what their images, keys and networks are. */
function generalReasons({ directories }: PolicyRequest): string[] {
	return Object.entries(directories).flatMap(([flag, directory]) => {
		const part = directory === undefined ? undefined : exchangeablePart(directory);
		return part === undefined ? [] : [`${flag}=${directory}: others than root may change ${part}`];
	});
}

function boundsOf(allowed: readonly string[] | undefined, facts: PodFacts): string[][] {
	return allowed === undefined ? [] : [resolvedDirectories(allowed, facts)];
}
