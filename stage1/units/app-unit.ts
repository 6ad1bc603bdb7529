import type { AppLimits } from "../../appc/schema/app-isolators.ts";
import { listDisks } from "../volumes/disks.ts";
import { POD_TARGET, READY_SERVICE } from "./static-units.ts";
import { renderUnit, type UnitSetting } from "./unit-text.ts";

/** How the streams of an app are connected. */
export type AppStreams = "journal" | "terminal" | "keeper";

/** What the unit of an app depends on; everything else is in the app's specification (apps/app-spec.ts). */
export interface AppUnit {
	readonly app: string;
	readonly podUuid: string;
	readonly imageName: string;
	readonly imageId: string;
	readonly streams: AppStreams;
	/** The app says itself when it is ready. */
	readonly notify: boolean;
	readonly hasPreStart: boolean;
	readonly hasPostStop: boolean;
	/** What a docker image wants to be ended with; undefined: SIGTERM. */
	readonly stopSignal: number | undefined;
	readonly limits: Pick<
		AppLimits,
		"memoryLimit" | "cpuLimit" | "cpuShares" | "pidsLimit" | "oomScoreAdjust" | "blockBandwidth" | "blockIops"
	>;
	/** Device files of the host that the app has as volumes. */
	readonly devices: readonly AppDevice[];
	/** The pod's own kernel has other numbers for disks, and its console is a device that has to be allowed. */
	readonly ownKernel: boolean;
	/** Sockets that are passed on: units by name. */
	readonly sockets: readonly string[];
}

export interface AppDevice {
	readonly kind: "char" | "block";
	readonly major: number;
	readonly minor: number;
	readonly readOnly: boolean;
}

/** Name of a disk of a virtual machine: the numbers that the device has on the host. */
export const diskName = ({ major, minor }: Pick<AppDevice, "major" | "minor">): string => `${major}-${minor}`;

/** Link in the guest to its own device; stage1-kvm/guest/init.c makes it. */
const guestDiskPath = (device: AppDevice): string => `/dev/rkt/${diskName(device)}`;

export const appUnitName = (app: string): string => `${app}.service`;

/** The text of the service that runs an app in the pod. */
export function appUnitText(unit: AppUnit): string {
	return renderUnit([
		["Unit", unitSettings(unit)],
		[
			"Service",
			[...commands(unit), ...streamSettings(unit), ...limitSettings(unit), ...deviceSettings(unit)],
		],
	]);
}

function unitSettings(unit: AppUnit): UnitSetting[] {
	return [
		["Description", `Application=${unit.app} Image=${unit.imageName}`],
		["DefaultDependencies", "no"],
		["Requires", ["systemd-journald.service", ...unit.sockets].join(" ")],
		// With only journald's socket, an app that prints and ends at once can lose its last line.
		["After", ["systemd-journald.service", POD_TARGET, ...unit.sockets].join(" ")],
		["Wants", POD_TARGET],
		["Before", `shutdown.target ${READY_SERVICE}`],
		["Conflicts", "shutdown.target"],
		["OnFailure", "halt.target"],
		["OnFailureJobMode", "replace-irreversibly"],
	];
}

function commands(unit: AppUnit): UnitSetting[] {
	const hook = (name: string): string => `/rkt/launch ${unit.app} ${name}`;
	return [
		["Type", unit.notify ? "notify" : "simple"],
		...(unit.notify ? ([["NotifyAccess", "all"]] as UnitSetting[]) : []),
		...(unit.hasPreStart ? ([["ExecStartPre", hook("pre-start")]] as UnitSetting[]) : []),
		["ExecStart", `/rkt/launch ${unit.app}`],
		["ExecStopPost", `/rkt/app-status app ${unit.app}`],
		...(unit.hasPostStop ? ([["ExecStopPost", `-${hook("post-stop")}`]] as UnitSetting[]) : []),
		...stopSettings(unit),
		["TimeoutStartSec", "0"],
		// Only version 2 of cgroups tells systemd: the kernel has killed one process, and the app lives on or ends by that.
		["OOMPolicy", "continue"],
		["IgnoreSIGPIPE", "no"],
	];
}

/** As in docker, a signal that the image chose is for its first process, and what that leaves behind is killed. */
function stopSettings({ stopSignal }: AppUnit): UnitSetting[] {
	if (stopSignal === undefined) return [];
	return [
		["KillSignal", String(stopSignal)],
		["KillMode", "mixed"],
	];
}

/** Fields of every message that the app sends, systemd.journal-fields(7). */
function logFields({ podUuid, imageName, imageId }: AppUnit): UnitSetting[] {
	const fields = { RKT_POD_UUID: podUuid, RKT_IMAGE_NAME: imageName, RKT_IMAGE_ID: imageId };
	return Object.entries(fields).map(([name, value]) => ["LogExtraFields", `"${name}=${value}"`]);
}

function streamSettings(unit: AppUnit): UnitSetting[] {
	const { app, streams } = unit;
	if (streams === "terminal") {
		return [
			["StandardInput", "tty"],
			["StandardOutput", "tty"],
			["StandardError", "tty"],
			["TTYPath", "/dev/console"],
		];
	}
	return [
		["SyslogIdentifier", app],
		...logFields(unit),
		["StandardInput", "null"],
		["StandardOutput", "journal+console"],
		["StandardError", "journal+console"],
	];
}

/** Processes and threads of an app without an isolator: much more than programs need, and less than a host has. */
const DEFAULT_TASKS = 4096n;

const limitOf = (device: string, limit: bigint | undefined): string | undefined =>
	limit === undefined ? undefined : `${device} ${limit}`;

function limitSettings({ limits }: AppUnit): UnitSetting[] {
	const settings: UnitSetting[] = [];
	const add = (name: string, value: string | undefined): void => {
		if (value !== undefined) settings.push([name, value]);
	};
	add("MemoryMax", limits.memoryLimit?.toString());
	// Thousandths of a core; a percent sign would be taken for a specifier here and escaped.
	add("CPUQuota", limits.cpuLimit === undefined ? undefined : `${limits.cpuLimit || 1n}‰`);
	add("CPUShares", limits.cpuShares?.toString());
	add("TasksMax", (limits.pidsLimit ?? DEFAULT_TASKS).toString());
	add("OOMScoreAdjust", limits.oomScoreAdjust?.toString());
	const { blockBandwidth, blockIops } = limits;
	const devices = blockBandwidth === undefined && blockIops === undefined ? [] : listDisks();
	for (const device of devices) {
		for (const direction of ["Read", "Write"]) {
			add(`IO${direction}BandwidthMax`, limitOf(device, blockBandwidth));
			add(`IO${direction}IOPSMax`, limitOf(device, blockIops));
		}
	}
	return settings;
}

function deviceSettings({ devices, ownKernel }: AppUnit): UnitSetting[] {
	return [
		["DevicePolicy", "closed"],
		...(ownKernel ? ([["DeviceAllow", "/dev/console rw"]] as UnitSetting[]) : []),
		...devices.map((device): UnitSetting => {
			const node = ownKernel ? guestDiskPath(device) : `/dev/${device.kind}/${device.major}:${device.minor}`;
			return ["DeviceAllow", `${node} ${device.readOnly ? "r" : "rw"}`];
		}),
	];
}
