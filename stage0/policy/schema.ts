import * as z from "zod/mini";
import { memberPath } from "../../appc/schema/read-schema.ts";
import { acIdentifier, filledText, list, once, text } from "../../appc/schema/schema-kit.ts";
import { quote } from "../../appc/types/quote.ts";
import { fail } from "../../lib/errors.ts";
import { parseJson } from "../../lib/json.ts";
import { limitsOf } from "./limits.ts";
import type { Rule } from "./policy.ts";

const filledList = <T extends z.ZodMiniType>(element: T) =>
	z.optional(
		z.array(element).check(z.refine((entries) => entries.length > 0, { error: "may not be empty" })),
	);

const signer = text(
	(value) => /^(unsigned|openpgp:[0-9a-f]{40}|cosign:[0-9a-f]{64})$/.test(value),
	'must be "unsigned", or "openpgp:" and 40, or "cosign:" and 64 lower-case hexadecimal digits',
);
const caller = text(
	(value) => /^(user|group):[^:\p{Cc}]+$/u.test(value),
	'must be "user:" or "group:" and a name or number',
);

const selector = once(() =>
	z.strictObject({
		images: filledList(acIdentifier()),
		signers: filledList(signer),
		callers: filledList(caller),
	}),
);

const stage1 = text(
	(value) => /^(sha512-[0-9a-f]{128}|[a-z0-9-]{1,40})$/.test(value),
	"must be the name of a bundled stage1 image such as kvm, or a whole image id",
);
const directory = text(
	(value) => value.startsWith("/") && !value.split("/").includes(".."),
	'must be an absolute path without ".."',
);
const capability = text(
	(value) => /^CAP_[A-Z0-9_]+$/.test(value),
	"must be the name of a capability such as CAP_NET_ADMIN",
);
const insecureWord = z.enum(["image", "tls", "http", "pubkey", "capabilities", "paths", "seccomp"]);

const rule = once(() =>
	z
		.strictObject({
			name: filledText(),
			match: z.optional(selector()),
			except: z.optional(selector()),
			message: z.optional(text((value) => /^[^\p{Cc}]{1,500}$/u.test(value), "must be one line of text")),
			deny: z.optional(z.literal(true)),
			stage1: z.optional(z.array(stage1)),
			hostNetwork: z.optional(z.literal(false)),
			hostIpc: z.optional(z.literal(false)),
			insecureOptions: z.optional(z.array(insecureWord)),
			hostVolumes: z.optional(z.array(directory)),
			capabilities: z.optional(z.array(capability)),
			seccomp: z.optional(z.literal("default")),
			privateUsers: z.optional(z.literal(true)),
		})
		.check(z.refine((value) => limitsOf(value as Rule).length > 0, { error: "limits nothing" })),
);

const policyFile = once(() =>
	z.strictObject({
		rktKind: z.literal("policy"),
		rktVersion: z.literal("v1"),
		rules: list(rule()),
	}),
);

/** The rules of a policy file. Unknown members are refused: a misspelt limit would allow what it was to forbid. Errors: `policy-invalid`. */
export function parsePolicy(content: string, file: string): Rule[] {
	const result = policyFile().safeParse(parseDocument(content, file), { reportInput: true });
	if (!result.success) return refuse(file, result.error.issues.map(describe).join("; "));
	const names = result.data.rules.map(({ name }) => name);
	const twice = names.find((name, index) => names.indexOf(name) !== index);
	if (twice !== undefined) refuse(file, `two rules have the name ${quote(twice)}`);
	return result.data.rules;
}

function parseDocument(content: string, file: string): unknown {
	try {
		return parseJson(content, file);
	} catch (error) {
		return fail("policy-invalid", (error as Error).message, { hint: HINT, cause: error });
	}
}

const HINT =
	"no pod is started with a policy that is not understood: correct the file, docs/security.md has the rules";

function refuse(file: string, problem: string): never {
	return fail("policy-invalid", `${file}: ${problem}`, { hint: HINT });
}

function describe(issue: z.core.$ZodIssue): string {
	const place = issue.path.reduce<string>(memberPath, "");
	if (issue.code === "unrecognized_keys") {
		return issue.keys.map((key) => `${memberPath(place, key)} is not known`).join("; ");
	}
	const where = place === "" ? "the document" : place;
	if (issue.input === undefined) return `${where} is missing`;
	if (issue.code === "invalid_value") return `${where} must be ${issue.values.map(quote).join(" or ")}`;
	if (issue.code === "invalid_type") return `${where} must be of type ${issue.expected}`;
	return `${where}${place.endsWith("]") ? ` ${quote(issue.input)}` : ""} ${issue.message}`;
}
