import * as fs from "node:fs";
import * as path from "node:path";
import { findInPath } from "./find-in-path.ts";
import { type DoctorHost, type Finding, missing, ok, warning } from "./finding.ts";

/** What the built-in networks are made of. */
const NEEDED = ["ptp", "host-local", "portmap"];
const PACKAGE = "on Debian: apt-get install containernetworking-plugins";

export function probeNetwork(host: DoctorHost): Finding[] {
	return [plugins(host), iptables(host), forwarding(host)];
}

/** In the order in which stage1 searches, without what a stage1 image brings. */
function directories({ localConfig }: DoctorHost): string[] {
	return [path.join(localConfig, "net.d"), "/usr/lib/rkt/plugins/net", "/usr/lib/cni", "/opt/cni/bin"];
}

function plugins(host: DoctorHost): Finding {
	const found = directories(host).flatMap((directory) => executables(host.at(directory)));
	const absent = NEEDED.filter((name) => !found.includes(name));
	if (absent.length > 0)
		return missing("CNI plugins", `${absent.join(", ")} not found: --net=default does not work`, PACKAGE);
	return ok("CNI plugins", [...new Set(found)].sort().join(", "));
}

function executables(directory: string): string[] {
	try {
		return fs.readdirSync(directory).filter((name) => {
			const stat = fs.statSync(path.join(directory, name), { throwIfNoEntry: false });
			return stat?.isFile() && (stat.mode & 0o111) !== 0;
		});
	} catch {
		return [];
	}
}

function iptables(host: DoctorHost): Finding {
	const found = findInPath("iptables");
	const effect = "addresses of pods are not translated, so --net=default does not work";
	if (found === undefined)
		return missing("iptables", `not found: ${effect}`, "on Debian: apt-get install iptables");
	// In a network namespace of its own, where it finds nothing of the machine's.
	const listed = host.run("unshare", ["--net", found, "-t", "nat", "-S", "POSTROUTING"]);
	if (listed?.status === 0) return ok("iptables", host.run(found, ["--version"])?.stdout.trim() ?? found);
	return missing("iptables", `the kernel has no table nat: ${effect}`, "use a kernel with CONFIG_NF_NAT");
}

function forwarding(host: DoctorHost): Finding {
	if (host.read("/proc/sys/net/ipv4/ip_forward")?.trim() === "1") return ok("forwarding", "on");
	return warning(
		"forwarding",
		"off until the first pod has a network",
		"nothing has to be done: the plugins switch it on",
	);
}
