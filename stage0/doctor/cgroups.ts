import * as fs from "node:fs";
import { loadProgram } from "../../stage1/cgroups/restrict-devices.ts";
import { type DoctorHost, type Finding, missing, ok, warning } from "./finding.ts";

interface Mounts {
	/** Mount point of version 2; undefined without one. */
	readonly unified: string | undefined;
	/** Controllers of version 1, and `name=NAME`. */
	readonly legacy: readonly string[];
}

interface Controller {
	readonly effect: string;
	readonly remedy: string;
}

const OTHERWISE = "use a kernel with this controller, and if version 1 has it, mount it there, cgroups(7)";

/** What limits need. */
const CONTROLLERS: Readonly<Record<string, Controller>> = {
	memory: { effect: "--memory has no effect", remedy: `boot with cgroup_enable=memory; or ${OTHERWISE}` },
	cpu: { effect: "--cpu and --cpu-shares have no effect", remedy: OTHERWISE },
	pids: { effect: "limits of processes have no effect", remedy: OTHERWISE },
};

export function probeCgroups(host: DoctorHost): Finding[] {
	const mounts = readMounts(host.read("/proc/self/mountinfo") ?? "");
	const layout = layoutOf(mounts);
	if (layout === undefined) {
		const remedy = "mount them: mount -t cgroup2 cgroup2 /sys/fs/cgroup; on most machines systemd does";
		return [missing("layout", "no cgroups are mounted", remedy)];
	}
	const available = [...mounts.legacy, ...unifiedControllers(host, mounts)];
	const controllers = Object.entries(CONTROLLERS).map(([name, { effect, remedy }]) =>
		available.includes(name) ? ok(name, "can be limited") : warning(name, `no controller: ${effect}`, remedy),
	);
	return [ok("layout", layout), ...controllers, devices(host, mounts)];
}

/** mountinfo of proc(5): behind the dash are type, source and the options of the file system. */
function readMounts(mountinfo: string): Mounts {
	const mounts = mountinfo.split("\n").map((line) => {
		const [front = "", back = ""] = line.split(" - ");
		const [type = "", , options = ""] = back.split(" ");
		return { type, options: options.split(","), target: front.split(" ")[4] };
	});
	return {
		unified: mounts.find(({ type }) => type === "cgroup2")?.target,
		legacy: mounts.filter(({ type }) => type === "cgroup").flatMap(({ options }) => options),
	};
}

function layoutOf({ unified, legacy }: Mounts): string | undefined {
	if (unified !== undefined) return legacy.length > 0 ? "version 1, with version 2 beside it" : "version 2";
	return legacy.length > 0 ? "version 1" : undefined;
}

function unifiedControllers(host: DoctorHost, { unified }: Mounts): string[] {
	const text = unified === undefined ? undefined : host.read(`${unified}/cgroup.controllers`);
	return text?.trim().split(/\s+/) ?? [];
}

function devices({ syscall }: DoctorHost, { legacy, unified }: Mounts): Finding {
	if (legacy.includes("devices")) return ok("devices", "each app is restricted to its own");
	const program = unified === undefined ? undefined : loadProgram(syscall, []);
	if (program !== undefined) {
		fs.closeSync(program);
		return ok("devices", "each app is restricted to its own, by BPF");
	}
	return warning(
		"devices",
		"no controller and no programs: nothing restricts device files",
		"use a kernel with CONFIG_CGROUP_DEVICE or CONFIG_CGROUP_BPF",
	);
}
