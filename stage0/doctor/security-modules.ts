import { type DoctorHost, type Finding, ok, warning } from "./finding.ts";

export function probeSecurityModules(host: DoctorHost): Finding[] {
	return [active(host), seLinux(host), appArmor(host)];
}

function active(host: DoctorHost): Finding {
	return ok("active", host.read("/sys/kernel/security/lsm")?.trim() || "unknown: securityfs is not mounted");
}

function seLinux(host: DoctorHost): Finding {
	const enforcing = host.read("/sys/fs/selinux/enforce")?.trim();
	if (enforcing === undefined) return ok("SELinux", "not in use");
	// A context once there is a policy.
	const kernel = host.read("/sys/fs/selinux/initial_contexts/kernel");
	if (kernel?.includes(":") === false)
		return ok("SELinux", "on without a policy, so that no context means anything");
	if (enforcing === "0") return ok("SELinux", "permissive; pods get no context unless an isolator names one");
	return warning(
		"SELinux",
		"enforcing: pods keep the context of their caller unless an isolator names one",
		"see ausearch -m avc when a pod does not start",
	);
}

function appArmor(host: DoctorHost): Finding {
	const enabled = host.read("/sys/module/apparmor/parameters/enabled")?.trim() === "Y";
	return ok("AppArmor", enabled ? "on; pods get no profile unless an isolator names one" : "not in use");
}
