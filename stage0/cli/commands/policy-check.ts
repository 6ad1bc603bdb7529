import * as path from "node:path";
import { fail, messageOf } from "../../../lib/errors.ts";
import { readTextUpTo } from "../../../lib/files.ts";
import { writeStdout } from "../../../lib/log.ts";
import { LONGEST_POLICY } from "../../policy/policy-files.ts";
import type { Handler } from "../command.ts";

/** `rkt policy check`: reads files as those of policy.d are read, before they are put there. Errors: `policy-invalid`, `policy-unreadable`. */
export const checkPolicyFiles: Handler = async (_, { args }) => {
	const { parsePolicy } = await import("../../policy/schema.ts");
	for (const file of args) {
		const rules = parsePolicy(readFile(path.resolve(file)), file);
		writeStdout(`${file}: ${rules.length === 1 ? "1 rule" : `${rules.length} rules`}\n`);
	}
	return 0;
};

function readFile(file: string): string {
	let text: string | undefined;
	try {
		text = readTextUpTo(file, LONGEST_POLICY);
	} catch (error) {
		return fail("policy-unreadable", `cannot read ${file}: ${messageOf(error)}`, { cause: error });
	}
	return text ?? fail("policy-unreadable", `${file} has more than ${LONGEST_POLICY} bytes`);
}
