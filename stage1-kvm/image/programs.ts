import * as path from "node:path";
import { compileStatic } from "../../stage1/rootfs/root-file-system.ts";

/** The programs of the control channel and of the guest, by name: sources below stage1-kvm. */
const PROGRAMS = {
	monitor: [
		...[
			"monitor",
			"options",
			"program",
			"machine",
			"watch",
			"control-channel",
			"guest-status",
			"failure",
			"mconsole",
			"sessions",
			"messages",
			"qmp",
			"attach",
			"machined",
			"machine-root",
			"dbus",
			"vsock",
			"passed",
			"privileges",
			"jail",
		].map((name) => `host/${name}.c`),
		"protocol/notify.c",
		"protocol/frames.c",
	],
	client: ["host/client.c", "protocol/frames.c"],
	agent: [
		"guest/agent.c",
		"guest/commands.c",
		"guest/streams.c",
		"guest/channel.c",
		"guest/find-app.c",
		"protocol/notify.c",
		"protocol/frames.c",
	],
	"power-off": ["guest/power-off.c"],
	"memory-watch": ["guest/memory-watch.c", "guest/find-app.c"],
	init: ["guest/init.c", "guest/network.c", "../stage1/guest/baseline.c", "../stage1/guest/trace.c"],
} as const satisfies Record<string, readonly string[]>;

export type ProgramName = keyof typeof PROGRAMS;

/** Compiles one of them into a directory, by its name; `sources` is the project. Errors: `build-failed`. */
export function compileProgram(name: ProgramName, directory: string, sources: string): void {
	const headers = ["stage1-kvm/protocol", "stage1/guest"].map((folder) => `-I${path.join(sources, folder)}`);
	const files = PROGRAMS[name].map((file) => path.join(sources, "stage1-kvm", file));
	compileStatic(files, path.join(directory, name), headers);
}

/** Compiles all of them. */
export function compilePrograms(directory: string, sources: string): void {
	for (const name of Object.keys(PROGRAMS)) compileProgram(name as ProgramName, directory, sources);
}
