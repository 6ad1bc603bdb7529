import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../lib/errors.ts";
import { parseEnterArguments } from "../stage1/arguments.ts";
import { findAppProcess } from "../stage1/cgroups/find-app-process.ts";
import { readHierarchies } from "../stage1/cgroups/hierarchies.ts";
import type { Stage1Context } from "../stage1/entrypoints.ts";
import { readContainerPid } from "../stage1/pod-record.ts";
import { ownDirectory } from "../stage1/run/own-files.ts";
import { requireSpec } from "../stage1/run/spec-path.ts";
import { syscallOf } from "../stage1/shared-state.ts";

/**
 * The entry point `enter`: becomes the helper that runs a command in an app. Everything that it uses comes from the
 * read-only stage1 image and from the pod directory, where no pod can write.
 */
export async function enter(argv: string[], context: Stage1Context): Promise<number> {
	const options = parseEnterArguments(argv);
	const { podDirectory, environment } = context;
	const spec = fs.openSync(requireSpec(podDirectory, options.app), fs.constants.O_RDONLY);
	if (readContainerPid(podDirectory) !== options.pid) {
		fail("pod-not-running", `process ${options.pid} is not the first process of the pod`);
	}
	const filters = fs.openSync(path.join(ownDirectory(), "seccomp"), fs.constants.O_RDONLY);
	const main = findAppProcess(options.pid, options.app);
	const target = main ?? options.pid;
	const helper = path.join(ownDirectory(), "enter-helper");
	const probe = options.probe ? openProbe() : [];
	const arguments_ = [
		"enter",
		`--target=${target}`,
		`--spec=${spec}`,
		`--filters=${filters}`,
		`--bounding=${boundingSet(options.pid)}`,
		`--build-root=${main === undefined ? 1 : 0}`,
		...probe.map((fd) => `--program=${fd}`),
		...readHierarchies(target).map(({ own }) => `--cgroup=${path.join(own, "cgroup.procs")}`),
		"--",
		...(options.probe ? [PROBE] : []),
		...options.command,
	];
	const syscall = await syscallOf(context);
	const terminal = { TERM: environment.TERM ?? "vt100" };
	return syscall.execve(helper, arguments_, terminal, [spec, filters, ...probe]);
}

/** Says what an app may do; stage1/guest/probe.h. */
const PROBE = "probe";

function openProbe(): number[] {
	return [fs.openSync(path.join(ownDirectory(), PROBE), fs.constants.O_RDONLY)];
}

/** In hexadecimal. */
function boundingSet(pid: number): string {
	const set = /^CapBnd:\s*([0-9a-f]+)$/m.exec(fs.readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
	return set ?? fail("pod-not-running", `process ${pid} has no capability sets`);
}
