import * as z from "zod/mini";
import { checkSchema } from "../../appc/schema/read-schema.ts";
import { quote } from "../../appc/types/quote.ts";
import { fail, isErrno, messageOf } from "../../lib/errors.ts";
import { parseJson } from "../../lib/json.ts";
import { runCommand } from "../../lib/process.ts";
import type { RegistryCredentials } from "./auth-file.ts";

const TIMEOUT_MS = 30_000;
const MAX_OUTPUT = 64 * 1024;
/** What helpers say on their standard output when they know nothing of the server. */
const NOT_FOUND = /credentials not found/i;

/**
 * Asks `docker-credential-NAME get`, which a file of docker or podman names; undefined when it knows nothing.
 * Errors: `credential-helper-failed`.
 */
export function askCredentialHelper(name: string, server: string): RegistryCredentials | undefined {
	if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) failHelper(name, "this is not the name of one");
	const program = `docker-credential-${name}`;
	const { status, stdout, stderr, killed } = run(program, name, server);
	if (status !== 0 || killed !== undefined) {
		if (NOT_FOUND.test(stdout)) return undefined;
		failHelper(name, killed ?? `it ends with ${status}: ${quote((stderr || stdout).trim())}`);
	}
	const { Username, Secret } = readAnswer(stdout, program);
	return Username === "<token>"
		? { type: "identity-token", token: Secret }
		: { type: "password", user: Username, password: Secret };
}

function run(program: string, name: string, server: string): ReturnType<typeof runCommand> {
	try {
		return runCommand(program, ["get"], {
			input: `${server}\n`,
			timeoutMs: TIMEOUT_MS,
			maxOutputBytes: MAX_OUTPUT,
		});
	} catch (error) {
		if (!isErrno(error, "program-missing")) throw error;
		return failHelper(name, messageOf(error));
	}
}

function readAnswer(text: string, program: string): { Username: string; Secret: string } {
	const schema = z.object({ Username: z.string(), Secret: z.string() });
	try {
		return checkSchema(parseJson(text, program), program, schema);
	} catch {
		// What was read is secret and must not be quoted.
		return failHelper(program.replace("docker-credential-", ""), "its answer is not understood");
	}
}

function failHelper(name: string, problem: string): never {
	return fail(
		"credential-helper-failed",
		`the credential helper ${quote(name)} gives no credentials: ${problem}`,
		{
			hint: "mend the helper, or give the credentials in auth.d (docs/configuration.md)",
		},
	);
}
