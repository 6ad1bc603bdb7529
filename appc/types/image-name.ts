import { fail } from "../../lib/errors.ts";
import { AC_IDENTIFIER_RULE, isACIdentifier } from "./ac-identifier.ts";
import { hostLabels, type Label, labelValue } from "./labels.ts";
import { quote } from "./quote.ts";

/** An image as a user names it: an AC identifier and the labels it must have. */
export interface ImageName {
	readonly name: string;
	/** In the order given, names unique; the text behind `:` is the label `version`. */
	readonly labels: readonly Label[];
}

/**
 * Reads `NAME[:VERSION][,LABEL=VALUE]…`. Values are literal: `+` and `%` mean themselves.
 * Errors: `image-name-invalid`.
 */
export function parseImageName(text: string): ImageName {
	const [head = "", ...pairs] = text.split(",");
	const [name = "", version, ...more] = head.split(":");
	if (more.length > 0 || pairs.some((pair) => pair.includes(":"))) {
		refuse(text, 'one ":" is allowed, between name and version');
	}
	if (!isACIdentifier(name))
		refuse(text, `${quote(name)} is not an AC identifier: use ${AC_IDENTIFIER_RULE}`);
	const labels = pairs.map((pair) => parseLabel(text, pair));
	if (version !== undefined) labels.unshift(checkLabel(text, { name: "version", value: version }));
	const seen = new Set<string>();
	for (const label of labels) {
		if (seen.has(label.name)) refuse(text, `the label ${quote(label.name)} is given twice`);
		seen.add(label.name);
	}
	return { name, labels };
}

function parseLabel(text: string, pair: string): Label {
	const equals = pair.indexOf("=");
	if (equals === -1) refuse(text, `${quote(pair)} is not LABEL=VALUE`);
	return checkLabel(text, { name: pair.slice(0, equals), value: pair.slice(equals + 1) });
}

function checkLabel(text: string, label: Label): Label {
	if (label.name === "name") refuse(text, 'no label may be called "name"');
	if (!isACIdentifier(label.name))
		refuse(text, `the label name ${quote(label.name)} is not an AC identifier`);
	if (label.value === "") refuse(text, `the label ${quote(label.name)} is empty`);
	if (/[\p{Cc}\p{Surrogate}]/u.test(label.value)) {
		refuse(text, `the label ${quote(label.name)} holds a control character`);
	}
	return label;
}

/** The form that {@link parseImageName} reads: version behind `:`, then the other labels in order. */
export function formatImageName({ name, labels }: ImageName): string {
	const version = labelValue(labels, "version");
	const rest = labels.filter((label) => label.name !== "version");
	return [
		version === undefined ? name : `${name}:${version}`,
		...rest.map((label) => `${label.name}=${label.value}`),
	].join(",");
}

/** The name with this machine's `arch` and `os` added where the user said nothing (image.md §5, step 1). */
export function withHostLabels({ name, labels }: ImageName): ImageName {
	const host = hostLabels();
	const missing = (["arch", "os"] as const)
		.filter((label) => labelValue(labels, label) === undefined)
		.map((label) => ({ name: label, value: host[label] }));
	return { name, labels: [...labels, ...missing] };
}

function refuse(text: string, reason: string): never {
	return fail("image-name-invalid", `image name ${quote(text)}: ${reason}`, {
		hint: "write NAME[:VERSION][,LABEL=VALUE]…, for example example.com/app:1.0,os=linux",
	});
}
