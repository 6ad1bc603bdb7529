import { renderUnit, type UnitSections, type UnitSetting } from "./unit-text.ts";

/** Reached when the last app has ended; names with an underscore cannot be those of an app. */
export const POD_TARGET = "rkt_pod.target";
/** Says that every app was started. */
export const READY_SERVICE = "rkt_ready.service";
/** Gives the pod its exit status, and ends it. */
export const END_SERVICE = "rkt_end.service";
const JOURNALD = "systemd-journald.service";

const NO_DEFAULTS: UnitSetting = ["DefaultDependencies", "no"];

/**
 * The units that are the same in every pod, by file name: journald, the way down, and the targets that systemd
 * expects. 252 cannot halt by force in a container, so every way down ends in {@link END_SERVICE}, which gives the
 * pod its exit status.
 */
export function staticUnits(): Record<string, string> {
	const units: Record<string, UnitSections> = {
		"default.target": [["Unit", [NO_DEFAULTS, ["Wants", READY_SERVICE]]]],
		[POD_TARGET]: [
			[
				"Unit",
				[NO_DEFAULTS, ["StopWhenUnneeded", "yes"], ["SuccessAction", "exit"], ["FailureAction", "exit"]],
			],
		],
		[READY_SERVICE]: readyService(),
		[END_SERVICE]: endService(),
		...journalUnits(),
	};
	for (const name of ["shutdown", "umount", "final", "sysinit", "basic", "sockets"]) {
		units[`${name}.target`] = [["Unit", [NO_DEFAULTS]]];
	}
	// The last one is what SIGINT starts, which is how machinectl reboot asks.
	for (const name of ["exit", "halt", "poweroff", "reboot", "ctrl-alt-del"])
		units[`${name}.target`] = wayDown();
	return Object.fromEntries(Object.entries(units).map(([name, sections]) => [name, renderUnit(sections)]));
}

function readyService(): UnitSections {
	return [
		["Unit", [NO_DEFAULTS, ["Conflicts", "shutdown.target"], ["Before", "shutdown.target"]]],
		[
			"Service",
			[["Type", "oneshot"], ["RemainAfterExit", "yes"], ["ExecStart", "/rkt/app-status ready"], ...quiet()],
		],
	];
}

function endService(): UnitSections {
	const unit: UnitSetting[] = [
		NO_DEFAULTS,
		["Requires", "shutdown.target"],
		["After", "shutdown.target"],
		["SuccessAction", "exit-force"],
		["FailureAction", "exit-force"],
	];
	return [
		["Unit", unit],
		["Service", [["Type", "oneshot"], ["ExecStart", "/rkt/app-status pod"], ...quiet()]],
	];
}

function wayDown(): UnitSections {
	const settings: UnitSetting[] = [
		NO_DEFAULTS,
		// Wanted and not required: END_SERVICE fails when an app has. A target that fails with it would leave systemd
		// without anything to do, which it would report to the host as READY=1.
		["Wants", END_SERVICE],
		["After", END_SERVICE],
		["AllowIsolate", "yes"],
	];
	return [["Unit", settings]];
}

function journalUnits(): Record<string, UnitSections> {
	const socket = (settings: UnitSetting[]): UnitSections => [
		["Unit", [NO_DEFAULTS]],
		["Socket", [...settings, ["SocketMode", "0666"], ["PassCredentials", "yes"], ["Service", JOURNALD]]],
	];
	const sockets = "systemd-journald.socket systemd-journald-dev-log.socket";
	return {
		[JOURNALD]: [
			["Unit", [NO_DEFAULTS, ["Requires", "systemd-journald.socket"], ["After", sockets]]],
			[
				"Service",
				[
					["Type", "notify"],
					["ExecStart", "/usr/lib/systemd/systemd-journald"],
					["Sockets", sockets],
					["FileDescriptorStoreMax", "4224"],
					["StandardOutput", "null"],
				],
			],
		],
		"systemd-journald.socket": socket([
			["ListenStream", "/run/systemd/journal/stdout"],
			["ListenDatagram", "/run/systemd/journal/socket"],
			["PassSecurity", "yes"],
			["ReceiveBuffer", "8M"],
		]),
		// journald writes to the disk only once the file "flushed" exists; the link saves a run of journalctl.
		"systemd-journald-dev-log.socket": socket([
			["ListenDatagram", "/run/systemd/journal/dev-log"],
			["Symlinks", "/dev/log /run/systemd/journal/flushed"],
		]),
	};
}

function quiet(): UnitSetting[] {
	return [
		["StandardInput", "null"],
		["StandardOutput", "null"],
		["StandardError", "null"],
	];
}
