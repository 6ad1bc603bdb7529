import * as fs from "node:fs";
import { type DoctorHost, type Finding, missing, ok, warning } from "./finding.ts";

const NEEDED = ["mnt", "pid", "net", "ipc", "uts"];

export function probeNamespaces(host: DoctorHost): Finding[] {
	return [kinds(host), cgroupNamespace(host), userNamespaces(host)];
}

function kinds(host: DoctorHost): Finding {
	const absent = NEEDED.filter((kind) => !has(host, kind));
	if (absent.length === 0) return ok("namespaces", NEEDED.join(", "));
	return missing(
		"namespaces",
		`the kernel lacks ${absent.join(", ")}`,
		"use a kernel with CONFIG_NAMESPACES",
	);
}

function cgroupNamespace(host: DoctorHost): Finding {
	if (has(host, "cgroup")) return ok("cgroup namespaces", "pods see no cgroups of the host");
	return missing("cgroup namespaces", "the kernel lacks them", "use a kernel with CONFIG_CGROUPS");
}

function has(host: DoctorHost, kind: string): boolean {
	return fs.existsSync(host.at(`/proc/self/ns/${kind}`));
}

/** The limit, then a namespace that is really made, as other limits forbid them too. */
function userNamespaces(host: DoctorHost): Finding {
	const name = "user namespaces";
	const effect = "--private-users does not work";
	if (!has(host, "user"))
		return warning(name, `the kernel lacks them: ${effect}`, "use a kernel with CONFIG_USER_NS");
	const limit = Number(host.read("/proc/sys/user/max_user_namespaces"));
	if (!(limit > 0)) {
		return warning(name, `none are allowed: ${effect}`, "sysctl user.max_user_namespaces=15000");
	}
	const made = host.run("unshare", ["--user", "true"]);
	if (made?.status === 0) return ok(name, `at most ${limit}`);
	return warning(
		name,
		`one cannot be made: ${made?.stderr.trim() ?? "no unshare(1)"}: ${effect}`,
		"see dmesg, and sysctl -a | grep userns",
	);
}
