import * as fs from "node:fs";
import { bundledStage1 } from "../fetch/stage1-bundle.ts";
import { type DoctorHost, type Finding, missing, ok, warning } from "./finding.ts";
import { holesOf, parseSystemdVersion } from "./systemd-holes.ts";

/** `--console`, systemd-nspawn(1). */
const OLDEST_NSPAWN = 242;
/** `--private-users-ownership`. */
const OLDEST_FOR_USERS = 249;

const PACKAGE = "on Debian: apt-get install systemd-container";
const BUS = "/run/dbus/system_bus_socket";
const JOURNAL_SOCKET = "/run/systemd/journal/socket";
const MACHINED_SERVICE = "/usr/share/dbus-1/system-services/org.freedesktop.machine1.service";

export function probeSystemd(host: DoctorHost): Finding[] {
	return [...nspawn(host), ...stage1(host), pid1(host), machined(host), journald(host)];
}

function nspawn(host: DoctorHost): Finding[] {
	const name = "systemd-nspawn";
	const line = host.run("systemd-nspawn", ["--version"])?.stdout.split("\n")[0] ?? "";
	const version = parseSystemdVersion(line);
	if (version === undefined) return [missing(name, "is not installed", PACKAGE)];
	const [major] = version;
	if (major < OLDEST_NSPAWN) return [missing(name, `${line} is too old`, `use ${OLDEST_NSPAWN} or newer`)];
	const found =
		major < OLDEST_FOR_USERS
			? warning(name, `${line}: --private-users does not work`, `use ${OLDEST_FOR_USERS} or newer`)
			: ok(name, line);
	return [found, ...holes("holes of systemd-nspawn", line)];
}

/** The images of a version share the root file system, so that the first of them speaks for all. */
function stage1({ programDirectory }: DoctorHost): Finding[] {
	const [image] = bundledStage1(programDirectory).values();
	if (image?.systemd === undefined) return [];
	return [ok("systemd in pods", image.systemd), ...holes("holes of systemd in pods", image.systemd)];
}

function holes(name: string, text: string): Finding[] {
	const version = parseSystemdVersion(text);
	const found = version === undefined ? [] : holesOf(version);
	const concerning = found.filter(({ harmless }) => harmless === undefined);
	const list = found
		.map(({ id, what, harmless }) => `${id}: ${what}${harmless ? ` (${harmless})` : ""}`)
		.join("; ");
	if (found.length === 0) return [ok(name, "none is known here")];
	if (concerning.length === 0) return [ok(name, list)];
	return [
		warning(name, list, "update systemd; distributions mend holes without a new number, so look at theirs"),
	];
}

function pid1(host: DoctorHost): Finding {
	const name = "systemd as PID 1";
	if (fs.existsSync(host.at("/run/systemd/system"))) return ok(name, "manages units and cgroups");
	const remedy = "nothing has to be done: rkt makes the cgroups of pods itself";
	return warning(name, `PID 1 is ${host.read("/proc/1/comm")?.trim() ?? "unknown"}`, remedy);
}

function machined(host: DoctorHost): Finding {
	const name = "machined";
	const remedy =
		"pods run without; to see them with machinectl install systemd-container and dbus on a systemd machine";
	if (!fs.existsSync(host.at(MACHINED_SERVICE))) return warning(name, "is not installed", remedy);
	if (!isListening(host, BUS)) return warning(name, "D-Bus is not running", remedy);
	return ok(name, "reached through D-Bus");
}

function journald(host: DoctorHost): Finding {
	if (isSocket(host, JOURNAL_SOCKET)) return ok("journald", "of the host runs; pods have their own");
	return warning(
		"journald",
		"of the host does not run",
		"nothing has to be done: pods have their own, see rkt logs",
	);
}

/** Flag 0x10000 in /proc/net/unix marks a socket that listens. */
function isListening(host: DoctorHost, socket: string): boolean {
	const lines = (host.read("/proc/net/unix") ?? "").split("\n");
	return lines.some((line) => line.endsWith(` ${socket}`) && line.includes(" 00010000 "));
}

function isSocket(host: DoctorHost, file: string): boolean {
	return fs.statSync(host.at(file), { throwIfNoEntry: false })?.isSocket() ?? false;
}
