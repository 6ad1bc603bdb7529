import { quoteUnitWord } from "./unit-word.ts";

export const RESTART_POLICIES = [
	...["no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"],
] as const;

/** A service that runs a pod. */
export interface PodUnit {
	readonly description: string;
	/** Name of the manual page about the command. */
	readonly manual: string;
	/** The supervisor of the pod tells when it is ready. */
	readonly notify: boolean;
	/** Absolute path of rkt. */
	readonly program: string;
	/** Flags of the program that every call needs. */
	readonly globals: readonly string[];
	/** The words after the name of the program and the flags; the pod's UUID is saved where the unit looks for it. */
	readonly command: readonly string[];
	/** Each start makes a pod that is removed when it has ended: the file with its UUID, of which systemd makes a path. */
	readonly uuidFile: string | undefined;
	readonly removesPod: boolean;
	/** Directories that must be mounted. */
	readonly needs: readonly string[];
	/** Directories to look for programs in; undefined for systemd's own list. */
	readonly searchPath: string | undefined;
	readonly restart: string;
	/** Seconds. */
	readonly stopTimeout: number;
}

/** The name of a UUID file that belongs to the unit alone: in /run, with the unit's name. */
export const UNIT_UUID_FILE = "%t/%N.uuid";

/** The text of the unit file, systemd.service(5). */
export function podUnitText(unit: PodUnit): string {
	const sections = [
		["Unit", about(unit)],
		["Service", service(unit)],
		["Install", [["WantedBy", "multi-user.target"]]],
	] as const;
	const text = sections.map(
		([name, settings]) => `[${name}]\n${settings.map(([key, value]) => `${key}=${value}\n`).join("")}`,
	);
	return text.join("\n");
}

/** What no pod needs, as in rkt@.service; docs/systemd.md has the reasons. None may imply a mount namespace. */
const SANDBOX: readonly Setting[] = [
	[
		"CapabilityBoundingSet",
		"~CAP_BLOCK_SUSPEND CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_SYSLOG CAP_SYS_PACCT CAP_SYS_RAWIO CAP_WAKE_ALARM",
	],
	["LockPersonality", "yes"],
	["RestrictAddressFamilies", "AF_ALG AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_UNIX AF_VSOCK"],
	["SystemCallFilter", "~@cpu-emulation @obsolete @raw-io @swap"],
	["SystemCallErrorNumber", "EPERM"],
];

type Setting = readonly [name: string, value: string];

function about(unit: PodUnit): Setting[] {
	// Only plain paths: the escapes of other settings do not count here.
	const paths = unit.needs.filter((path) => /^[\w/:.,@+-]+$/.test(path));
	return [
		["Description", unit.description.replaceAll("%", "%%")],
		["Documentation", `man:${unit.manual}(1)`],
		["Wants", "network-online.target"],
		["After", "network-online.target"],
		...paths.map((path): Setting => ["RequiresMountsFor", path]),
	];
}

function service(unit: PodUnit): Setting[] {
	const call = [unit.program, ...unit.globals].map(quoteUnitWord).join(" ");
	const words = unit.command.map(quoteUnitWord);
	const saving = unit.uuidFile === undefined ? [] : [`--uuid-file-save=${unit.uuidFile}`];
	const [name, ...rest] = words;
	return [
		["Type", unit.notify ? "notify" : "exec"],
		...(unit.searchPath === undefined ? [] : [["Environment", `PATH=${unit.searchPath}`] as const]),
		["ExecStart", [call, name, ...saving, ...rest].join(" ")],
		...(unit.removesPod ? [["ExecStopPost", `-${call} rm --uuid-file=${unit.uuidFile}`] as const] : []),
		// The signal goes to the supervisor alone: it ends the apps in order.
		["KillMode", "mixed"],
		["Slice", "machine.slice"],
		["Delegate", "yes"],
		["TasksMax", "16384"],
		["TimeoutStartSec", "15min"],
		["TimeoutStopSec", `${unit.stopTimeout}s`],
		["Restart", unit.restart],
		...(unit.restart === "no" ? [] : [["RestartSec", "1s"] as const]),
		// Failures of rkt itself do not go away by trying again.
		...(unit.restart === "no" ? [] : [["RestartPreventExitStatus", "254"] as const]),
		...SANDBOX,
	];
}
