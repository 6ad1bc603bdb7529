import { type CommandSpec, defineCommand } from "../command.ts";
import { integer } from "../option.ts";
import { FORMAT, PRETTY_PRINT } from "./pod-options.ts";

const MANY = Number.MAX_SAFE_INTEGER;

export const OTHER_COMMANDS: readonly CommandSpec[] = [
	defineCommand({
		name: "config",
		summary: "Print configuration for each stage in JSON format",
		usage: "[flags]",
		description: "Prints what the configuration directories say together. It holds credentials in clear.",
		options: [PRETTY_PRINT],
		load: async () => (await import("../commands/config.ts")).printConfig,
	}),
	defineCommand({
		name: "metadata-service",
		summary: "Run the metadata service",
		usage: "[--listen-port=PORT]",
		description: `Answers the apps of pods that were started with --mds-register, at the address in their AC_METADATA_URL.
Pods are registered on /run/rkt/metadata-svc.sock, or on a socket that systemd passes (rkt-metadata.socket).
It ends with SIGINT or SIGTERM; the next one knows the same pods.`,
		options: [
			integer("listen-port", "port for pods; their AC_METADATA_URL always has 18112", { default: "18112" }),
		],
		needsRoot: true,
		load: async () => (await import("../commands/metadata-service.ts")).serveMetadata,
	}),
	defineCommand({
		name: "doctor",
		summary: "Examine what this machine can isolate",
		usage: "[flags]",
		description: `Looks at the kernel, file system, cgroups, systemd, networks, virtual machines, programs and directories, and
says what to do about each gap. It changes nothing. It ends with 0 when pods can run, and with 1 when something is
missing that they need.`,
		options: [FORMAT],
		needsRoot: true,
		load: async () => (await import("../commands/doctor.ts")).examineMachine,
	}),
	defineCommand({
		name: "kvm-probe",
		summary: "Run a guest of a few instructions",
		usage: "",
		description: "Started by rkt doctor.",
		hidden: true,
		load: async () => (await import("../commands/kvm-probe.ts")).probeKvm,
	}),
	defineCommand({
		name: "version",
		summary: "Print the version and exit",
		usage: "",
		description: "Prints the versions of rkt, of the App Container specification and of the runtime.",
		load: async () => (await import("../commands/version.ts")).printVersion,
	}),
	defineCommand({
		name: "completion",
		summary: "Output shell completion code for the specified shell",
		usage: "SHELL",
		description: `SHELL is bash, zsh or fish. To have it in this shell:

    source <(rkt completion bash)
    source <(rkt completion zsh)
    rkt completion fish | source`,
		arguments: [1, 1],
		completes: "shells",
		load: async () => (await import("../commands/completion.ts")).printCompletion,
	}),
	defineCommand({
		name: "help",
		summary: "Help about any command",
		usage: "[COMMAND]",
		description: "Prints how a command is used.",
		arguments: [0, MANY],
		completes: "commands",
		load: async () => (await import("../commands/help.ts")).printHelp,
	}),
];
