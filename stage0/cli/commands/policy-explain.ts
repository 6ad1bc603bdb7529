import { writeStdout } from "../../../lib/log.ts";
import type { PolicyAnswer } from "../../policy/check-pod.ts";
import type { RuleVerdict } from "../../policy/policy.ts";
import { readPolicyFiles } from "../../policy/policy-files.ts";
import type { Handler } from "../command.ts";
import { type OutputFormat, printJson } from "../output/print-json.ts";
import { planPod } from "../plan-pod.ts";
import { plannedPodRequest } from "../pod-policy.ts";
import { readPrepareFlags } from "../prepare-flags.ts";
import { readStartFlags } from "../start-flags.ts";
import { openWorkspace } from "../workspace.ts";

/** Status of `policy explain` for a pod that would be refused. */
const EXIT_REFUSED = 1;

/** `rkt policy explain`: what each rule says about the pod that `rkt run` would make. The images are fetched, as there. */
export const explainPolicy: Handler = async (context, invocation) => {
	const { options } = invocation;
	const flags = readPrepareFlags(context, invocation);
	const start = await readStartFlags(context, options);
	const workspace = await openWorkspace(context);
	const files = readPolicyFiles(context.globals.localConfig);
	const planned = await planPod(context, workspace, flags);
	const { answerPolicy } = await import("../../policy/check-pod.ts");
	const request = await plannedPodRequest(context, workspace, { files, planned, start });
	const askedFor = options.given("caller") ? options.text("caller") : undefined;
	const answer = answerPolicy({ ...request, askedFor });
	const format = options.text("format") as OutputFormat;
	if (format === "") writeStdout(explanation(answer, files.length));
	else printJson(toJson(answer), format);
	return isRefused(answer) ? EXIT_REFUSED : 0;
};

function isRefused({ rules, general }: PolicyAnswer): boolean {
	return general.length > 0 || rules.some(({ reasons }) => reasons.length > 0);
}

function toJson(answer: PolicyAnswer): Record<string, unknown> {
	return {
		verdict: isRefused(answer) ? "refused" : "allowed",
		callers: answer.callers,
		general: answer.general,
		rules: answer.rules.map(({ file, rule, applies, reasons, message }) => ({
			...{ file, rule, applies, reasons },
			...(message === undefined ? {} : { message }),
		})),
	};
}

function explanation(answer: PolicyAnswer, files: number): string {
	const { rules, general, callers } = answer;
	if (files === 0) return "allowed: there is no policy\n";
	const lines = [
		`${isRefused(answer) ? "refused" : "allowed"} for ${callers.join(", ")}`,
		...general.map((reason) => `refuses: ${reason}`),
		...rules.flatMap(ruleLines),
	];
	return `${lines.join("\n")}\n`;
}

function ruleLines({ file, rule, applies, reasons, message }: RuleVerdict): string[] {
	const name = `${file}: ${rule}`;
	if (!applies) return [`not for this pod: ${name}`];
	if (reasons.length === 0) return [`satisfied: ${name}`];
	return [
		...reasons.map((reason) => `refuses: ${name}: ${reason}`),
		...(message === undefined ? [] : [`  ${message}`]),
	];
}
