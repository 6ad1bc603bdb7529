import { type CommandSpec, defineCommand } from "../command.ts";
import { text } from "../option.ts";
import { APP_OPTIONS } from "./app-options.ts";
import { FORMAT, RUN_OPTIONS } from "./pod-options.ts";

const MANY = Number.MAX_SAFE_INTEGER;

export const POLICY_COMMANDS: readonly CommandSpec[] = [
	defineCommand({
		name: "policy check",
		summary: "Check files before they become the policy",
		usage: "FILE …",
		description: `Reads files as those of policy.d are read. A file there that is not understood lets no pod start, so check it
before it is put there.`,
		arguments: [1, MANY],
		completes: "files",
		load: async () => (await import("../commands/policy-check.ts")).checkPolicyFiles,
	}),
	defineCommand({
		name: "policy explain",
		summary: "Say what the policy of this machine thinks of a pod",
		usage: "[flags] IMAGE [IMAGE flags] [-- APP ARGUMENTS [---]] [IMAGE …]",
		description: `Takes what "rkt run" takes, gets the images as it does, and says for each rule of policy.d whether it is
for this pod, and why it refuses it. Nothing is run. It ends with 0 when the pod may run, and with 1 when it may not.

    rkt policy explain --net=host --caller=alice example.com/web`,
		options: [
			...RUN_OPTIONS,
			text("caller", "ask for this user, by name or number, instead of the caller"),
			FORMAT,
		],
		appOptions: APP_OPTIONS,
		grammar: "images",
		arguments: [0, MANY],
		needsRoot: true,
		completes: "images",
		load: async () => (await import("../commands/policy-explain.ts")).explainPolicy,
	}),
];
