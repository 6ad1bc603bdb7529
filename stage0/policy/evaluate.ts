import { exceededLimits } from "./limits.ts";
import type { LocatedRule, PodFacts, Rule, RuleVerdict } from "./policy.ts";
import { ruleApplies } from "./select.ts";

/** What each rule says about a pod. All rules that apply count, so the strictest wins whatever their order is. */
export function evaluateRules(rules: readonly LocatedRule[], facts: PodFacts): RuleVerdict[] {
	return rules.map(({ file, rule }) => {
		const applies = ruleApplies(rule, facts);
		const reasons = applies ? [...foreignStage1(rule, facts), ...exceededLimits(rule, facts)] : [];
		return { file, rule: rule.name, applies, reasons, message: rule.message };
	});
}

/** The code of a stage1 image is root on the host before there is a pod that a limit could hold for. */
function foreignStage1({ stage1 }: Rule, facts: PodFacts): string[] {
	if (stage1 !== undefined || facts.stage1.bundled !== undefined) return [];
	return [
		`the stage1 image ${facts.stage1.name} is not one of rkt's own, and "stage1" of the rule does not name it`,
	];
}
