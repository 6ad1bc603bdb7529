import { isIP } from "node:net";
import * as z from "zod/mini";
import { isDate } from "../types/date.ts";
import { osArchProblem } from "../types/labels.ts";
import { acIdentifier, customIssue, once, plainText, text, uniqueList } from "./schema-kit.ts";

const label = once(() =>
	z.object({
		name: acIdentifier().check(z.refine((name) => name !== "name", { error: "is not allowed for a label" })),
		value: z._default(plainText(), ""),
	}),
);

/** Labels with names of their own; `os` and `arch` must fit together. */
export const labelList = once(() =>
	uniqueList(label(), "name", "labels").check(
		z.check(({ value, issues }) => {
			const problem = osArchProblem(value);
			if (problem !== undefined) issues.push(customIssue(value, [], `is not a platform: ${problem}`));
		}),
	),
);

const annotation = once(() =>
	z
		.object({
			name: acIdentifier(),
			value: z._default(z.string(), ""),
		})
		.check(
			z.check(({ value, issues }) => {
				const problem = annotationProblem(value.name, value.value);
				if (problem !== undefined) issues.push(customIssue(value.value, ["value"], problem));
			}),
		),
);

/** Annotations with names of their own; those that the specification defines have their own form. */
export const annotationList = once(() => uniqueList(annotation(), "name", "annotations"));

export type Annotation = z.infer<ReturnType<typeof annotation>>;

export const SUPPORTS_SYSTEMD_NOTIFY = "appc.io/executor/supports-systemd-notify";

function annotationProblem(name: string, value: string): string | undefined {
	switch (name) {
		case "created":
			return isDate(value) ? undefined : "must be a date of RFC 3339, such as 2015-07-01T12:00:00Z";
		case "homepage":
		case "documentation":
			return isWebURL(value) ? undefined : "must be an http or https URL";
		case SUPPORTS_SYSTEMD_NOTIFY:
			return value === "true" || value === "false" ? undefined : 'must be "true" or "false"';
		default:
			return undefined;
	}
}

function isWebURL(value: string): boolean {
	return /^https?:\/\//i.test(value) && URL.canParse(value);
}

export function annotationValue(annotations: readonly Annotation[], name: string): string | undefined {
	return annotations.find((entry) => entry.name === name)?.value;
}

export const ipAddress = once(() =>
	text((value) => isIP(value) !== 0 && !value.includes("%"), "must be an IP address"),
);
