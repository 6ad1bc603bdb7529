import { freeUserRanges } from "../pod/allocate-user-range.ts";
import { type DoctorHost, type Finding, ok, warning } from "./finding.ts";

/** Of ranges: below this pods will soon get none. */
const FEW = 100;

export function probeUsers(host: DoctorHost): Finding[] {
	return [
		ranges(host),
		group(host, "rkt", "only root may fetch and look at images"),
		group(host, "rkt-admin", "only root may trust keys"),
	];
}

/** What /etc/subuid and /etc/subgid leave for pods, and lines in them that nobody can read. */
function ranges(host: DoctorHost): Finding {
	const text = ["/etc/subuid", "/etc/subgid"].map((file) => host.read(file) ?? "").join("\n");
	const free = freeUserRanges(text);
	const strange = text.split("\n").filter((line) => !/^\s*(#.*)?$|^[^:]+:\d+:\d+\s*$/.test(line));
	const name = "ranges of user ids";
	const detail = `${free} are not in /etc/subuid and /etc/subgid`;
	const remedy = "write lines as NAME:FIRST:COUNT, subuid(5)";
	if (strange.length > 0) return warning(name, `a line is no range: ${JSON.stringify(strange[0])}`, remedy);
	if (free < FEW) return warning(name, detail, "shorten /etc/subuid and /etc/subgid");
	return ok(name, detail);
}

function group(host: DoctorHost, name: string, effect: string): Finding {
	const exists = (host.read("/etc/group") ?? "").split("\n").some((line) => line.startsWith(`${name}:`));
	if (exists) return ok(`group ${name}`, "exists");
	return warning(`group ${name}`, `does not exist: ${effect}`, `groupadd --system ${name}`);
}
