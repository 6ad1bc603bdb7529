import * as fs from "node:fs";
import { type DoctorHost, type Finding, ok, warning } from "./finding.ts";

interface Program {
	readonly name: string;
	readonly places: readonly string[];
	readonly for: string;
	readonly remedy: string;
}

/** What virtual machines are run with, where stage1 images look for it. */
const PROGRAMS: readonly Program[] = [
	{
		name: "QEMU",
		places: ["/usr/bin/qemu-system-x86_64"],
		for: "--stage1-image=kvm",
		remedy: "on Debian: apt-get install qemu-system-x86",
	},
	{
		name: "virtiofsd",
		places: ["/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd"],
		for: "--stage1-image=kvm",
		remedy: "on Debian: apt-get install qemu-system-common",
	},
	{
		name: "lkvm",
		places: ["/usr/bin/lkvm", "/usr/local/bin/lkvm"],
		for: "--stage1-image=kvm-lkvm",
		remedy: "build kvmtool; Debian 12 has no package of it",
	},
	{
		name: "User-Mode Linux",
		places: ["/usr/bin/linux.uml"],
		for: "--stage1-image=kvm-uml, unless the image brings its own",
		remedy: "on Debian: apt-get install user-mode-linux",
	},
];

/** Milliseconds for a guest of six instructions. */
const PROBE_TIME = 10_000;

/** Virtual machines are a choice: nothing here is missing, but what lacks is said. */
export function probeMachines(host: DoctorHost): Finding[] {
	return [processor(host), guest(host), ...PROGRAMS.map((program) => find(host, program))];
}

function processor(host: DoctorHost): Finding {
	const feature = /^flags\s*:.*\b(vmx|svm)\b/m.exec(host.read("/proc/cpuinfo") ?? "")?.[1];
	if (feature !== undefined) return ok("processor", `virtualizes (${feature})`);
	return warning(
		"processor",
		"has neither vmx nor svm",
		"switch virtualization on in the firmware, or nesting in the hypervisor that runs this machine",
	);
}

/**
 * A guest that really runs. A child of this program starts it, because a guest that does not end holds its thread for
 * ever.
 */
function guest({ run, ownCommand }: DoctorHost): Finding {
	const name = "KVM";
	const remedy = "load kvm_intel or kvm_amd; without, --stage1-image=kvm emulates and kvm-uml needs no KVM";
	const [program = "", ...words] = ownCommand;
	const result = run(program, [...words, "kvm-probe"], { timeoutMs: PROBE_TIME });
	if (result?.killed !== undefined) return warning(name, "a guest does not end", remedy);
	if (result?.status === 0) return ok(name, "a guest has run");
	return warning(name, result?.stdout.trim() || "the probe cannot be started", remedy);
}

function find(host: DoctorHost, { name, places, for: purpose, remedy }: Program): Finding {
	const found = places.find((file) => fs.existsSync(host.at(file)));
	if (found !== undefined) return ok(name, found);
	return warning(name, `not found, for ${purpose}`, remedy);
}
