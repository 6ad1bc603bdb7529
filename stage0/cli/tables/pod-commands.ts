import { RESTART_POLICIES } from "../../unit/pod-unit.ts";
import { type CommandSpec, defineCommand } from "../command.ts";
import { duration, flag, integer, text } from "../option.ts";
import { APP_OPTIONS } from "./app-options.ts";
import {
	FORMAT,
	FULL,
	NO_LEGEND,
	PREPARE_OPTIONS,
	PRETTY_PRINT,
	RUN_OPTIONS,
	START_OPTIONS,
	UUID_FILE,
	UUID_FILE_SAVE,
	VERIFY,
} from "./pod-options.ts";

const JOURNAL_OUTPUTS = [
	...[
		"short",
		"short-full",
		"short-iso",
		"short-iso-precise",
		"short-precise",
		"short-monotonic",
		"short-unix",
	],
	...["with-unit", "verbose", "export", "json", "json-pretty", "json-sse", "json-seq", "cat"],
];
const MANY = Number.MAX_SAFE_INTEGER;
const IMAGES_USAGE = "[flags] IMAGE [IMAGE flags] [-- APP ARGUMENTS [---]] [IMAGE …]";

export const POD_COMMANDS: readonly CommandSpec[] = [
	defineCommand({
		name: "run",
		summary: "Run image(s) in a pod in rkt",
		usage: IMAGES_USAGE,
		description: `IMAGE is an image name, a hash, a URL or a file path.
Flags after an image belong to that image; what follows -- is given to its app, up to --- or the end.
Images with different flags in one pod:

    rkt run example.com/web --memory=128M -- --port=80 --- example.com/worker --user=nobody`,
		options: [...RUN_OPTIONS, UUID_FILE_SAVE],
		appOptions: APP_OPTIONS,
		grammar: "images",
		arguments: [0, MANY],
		needsRoot: true,
		completes: "images",
		load: async () => (await import("../commands/run.ts")).runImages,
	}),
	defineCommand({
		name: "prepare",
		summary: "Prepare to run image(s) in a pod in rkt",
		usage: IMAGES_USAGE,
		description: `Does everything that "rkt run" does up to the start, and prints the UUID of the pod.
Start it with "rkt run-prepared UUID".`,
		options: [...PREPARE_OPTIONS, VERIFY, flag("quiet", "print nothing but the UUID")],
		appOptions: APP_OPTIONS,
		grammar: "images",
		arguments: [0, MANY],
		needsRoot: true,
		completes: "images",
		load: async () => (await import("../commands/prepare.ts")).prepareImages,
	}),
	defineCommand({
		name: "run-prepared",
		summary: "Run a prepared application pod in rkt",
		usage: "[flags] UUID",
		description: 'UUID is what "rkt prepare" printed, or a unique beginning of it.',
		options: [...START_OPTIONS, VERIFY],
		arguments: [1, 1],
		needsRoot: true,
		completes: "pods",
		load: async () => (await import("../commands/run-prepared.ts")).runPrepared,
	}),
	defineCommand({
		name: "generate unit",
		summary: "Print a systemd unit that runs a pod",
		usage: "[flags] UUID | [flags] IMAGE [IMAGE flags] [-- APP ARGUMENTS [---]] [IMAGE …]",
		description: `For images it takes what "rkt run" takes: each start of the unit makes a pod, and removes it at its end.
For a prepared pod it takes what "rkt run-prepared" takes; such a pod runs once.

    rkt generate unit --port=http:80 example.com/web >/etc/systemd/system/web.service`,
		options: [
			...RUN_OPTIONS,
			text("description", "description of the unit"),
			text("restart", "when systemd starts the unit again", {
				default: "on-failure",
				choices: RESTART_POLICIES,
			}),
			duration("stop-timeout", "how long apps may take to end before they are killed", { default: "1m30s" }),
			flag("keep", "leave pods that have ended, with their logs, to rkt gc"),
		],
		appOptions: APP_OPTIONS,
		grammar: "images",
		arguments: [0, MANY],
		completes: "images",
		load: async () => (await import("../commands/generate-unit.ts")).generateUnit,
	}),
	defineCommand({
		name: "list",
		summary: "List pods",
		usage: "[flags]",
		description: "Lists all pods, also those that have ended and are not collected yet.",
		options: [FULL, NO_LEGEND, FORMAT],
		load: async () => (await import("../commands/list.ts")).listPods,
	}),
	defineCommand({
		name: "status",
		summary: "Check the status of a rkt pod",
		usage: "[flags] UUID",
		description: `Prints the state of a pod and the exit status of its apps; of a virtual machine also which kernel it boots.
A wait ends when the condition holds, or with an error when the given time is over.`,
		options: [
			text("wait", "wait for the pod to end; for at most this time when it is a duration", {
				default: "false",
				bare: "true",
			}),
			text("wait-ready", "wait until all apps are started; for at most this time when it is a duration", {
				default: "false",
				bare: "true",
			}),
			flag("trace", "also print how long each phase of the run took; only for pods started with --trace"),
			UUID_FILE,
			FORMAT,
		],
		arguments: [0, 1],
		completes: "pods",
		load: async () => (await import("../commands/status.ts")).showStatus,
	}),
	defineCommand({
		name: "cat-manifest",
		summary: "Inspect and print the pod manifest",
		usage: "[flags] UUID",
		description: "Prints the manifest of a pod.",
		options: [PRETTY_PRINT, UUID_FILE],
		arguments: [0, 1],
		completes: "pods",
		load: async () => (await import("../commands/cat-manifest.ts")).catManifest,
	}),
	defineCommand({
		name: "logs",
		summary: "Show what the apps of a pod have printed",
		usage: "[flags] UUID",
		description: `Reads the journal of the pod: while it runs, and after its end until it is collected.
TIME is a duration such as 10m, which is that long ago; a date, "2026-01-31 18:00", or RFC 3339.`,
		options: [
			text("app", "only what this app has printed"),
			flag("follow", "go on with what comes, until the pod has ended", { short: "f" }),
			text("since", "only what came at this TIME or later"),
			text("until", "only what came at this TIME or earlier"),
			integer("lines", "only so many of the latest lines", { short: "n" }),
			text("output", "form of the output, journalctl(1)", {
				short: "o",
				default: "short",
				choices: JOURNAL_OUTPUTS,
			}),
			UUID_FILE,
		],
		arguments: [0, 1],
		completes: "pods",
		load: async () => (await import("../commands/logs.ts")).showLogs,
	}),
	defineCommand({
		name: "enter",
		summary: "Enter the namespaces of an app within a rkt pod",
		usage: "[flags] UUID [COMMAND [ARGUMENTS …]]",
		description: "Runs a command beside an app of a running pod; /bin/bash when none is given.",
		options: [text("app", "name of the app; needed when the pod has several")],
		grammar: "stop",
		arguments: [1, MANY],
		needsRoot: true,
		completes: "pods",
		load: async () => (await import("../commands/enter.ts")).enterPod,
	}),
	defineCommand({
		name: "test-isolation",
		summary: "Show what an app of a running pod is kept from",
		usage: "[flags] UUID",
		description: `Runs a probe in the app that tries what it must not be able to do, with the app's own confinement.
The exit status is 1 when something is open. docs/security.md says what is to be expected.`,
		options: [text("app", "name of the app; needed when the pod has several"), FORMAT],
		arguments: [1, 1],
		needsRoot: true,
		completes: "pods",
		load: async () => (await import("../commands/test-isolation.ts")).testIsolation,
	}),
	defineCommand({
		name: "export",
		summary: "Export an app from an exited pod to an ACI file",
		usage: "[flags] UUID FILE.aci",
		description: `Writes the root file system of an app, with what the app has changed in it and without its volumes, as a compressed
image with the manifest of the app's image. The pod must have ended and must not be collected.`,
		options: [
			text("app", "name of the app; needed when the pod has several"),
			flag("overwrite", "replace an existing file"),
		],
		arguments: [2, 2],
		needsRoot: true,
		completes: "pods",
		load: async () => (await import("../commands/export.ts")).exportApp,
	}),
	defineCommand({
		name: "stop",
		summary: "Stop a pod",
		usage: "[flags] UUID …",
		description: "Asks the apps of running pods to end. It does not wait for that: see rkt status --wait.",
		options: [flag("force", "end the pod at once"), UUID_FILE],
		arguments: [0, MANY],
		completes: "pods",
		load: async () => (await import("../commands/stop.ts")).stopPods,
	}),
	defineCommand({
		name: "rm",
		summary: "Remove all files and resources associated with an exited pod",
		usage: "[flags] UUID …",
		description: "Removes pods that do not run, at once and without a grace period.",
		options: [UUID_FILE],
		arguments: [0, MANY],
		needsRoot: true,
		completes: "pods",
		load: async () => (await import("../commands/rm.ts")).removePods,
	}),
	defineCommand({
		name: "gc",
		summary: "Garbage collect rkt pods no longer in use",
		usage: "[flags]",
		description: `Marks pods that have ended, and removes those that were marked longer ago than the grace period.
Meant to be run regularly.`,
		options: [
			duration("grace-period", "how long a pod that has ended is kept", { default: "30m0s" }),
			duration("expire-prepared", "how long a prepared pod is kept that nobody runs", { default: "24h0m0s" }),
			flag("mark-only", "mark pods that have ended, and remove nothing"),
		],
		needsRoot: true,
		load: async () => (await import("../commands/gc.ts")).collectGarbage,
	}),
];
