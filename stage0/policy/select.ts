import type { PodFacts, Rule, Selector } from "./policy.ts";

/** One combination of what a pod consists of: an app's image, somebody who signed a part of it, and a caller. */
interface Item {
	readonly image: string;
	readonly signer: string;
	readonly caller: readonly string[];
}

/**
 * A rule applies to the whole pod as soon as one app, one signer of it and one name of the caller fall under it and are
 * not excepted. So whoever puts a second image into a pod is not freed from the rules for the first.
 */
export function ruleApplies(rule: Rule, facts: PodFacts): boolean {
	return items(facts).some(
		(item) => selects(rule.match, item) && !(rule.except !== undefined && selects(rule.except, item)),
	);
}

function items({ apps, callers }: PodFacts): Item[] {
	return apps.flatMap(({ image }) =>
		image.signers.flatMap((signer) =>
			callers.map((caller) => ({ image: image.name, signer, caller: caller.names })),
		),
	);
}

function selects(selector: Selector | undefined, item: Item): boolean {
	const { images, signers, callers } = selector ?? {};
	return (
		(images === undefined || images.some((prefix) => isBelow(item.image, prefix))) &&
		(signers === undefined || signers.includes(item.signer)) &&
		(callers === undefined || callers.some((name) => item.caller.includes(name)))
	);
}

function isBelow(name: string, prefix: string): boolean {
	return name === prefix || name.startsWith(`${prefix}/`);
}
