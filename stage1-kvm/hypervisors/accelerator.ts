import * as fs from "node:fs";
import { fail } from "../../lib/errors.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { ACCELERATOR_VARIABLE as VARIABLE } from "../../stage1/accelerator.ts";

export interface Accelerator {
	readonly name: "kvm" | "tcg";
	/** Why it is not kvm, when nobody has asked for tcg. */
	readonly reason?: string;
}

/** Where to look; tests give other files. */
export interface AcceleratorFiles {
	readonly cpuinfo: string;
	readonly device: string;
}

/** linux/kvm.h; it gives a descriptor. */
const KVM_CREATE_VM = 0xae01;

const FILES: AcceleratorFiles = { cpuinfo: "/proc/cpuinfo", device: "/dev/kvm" };

/**
 * Hardware virtualization where the processor has it and a machine can be made, else emulation. The device alone proves
 * nothing: kvm-pvm has one too, and no ordinary kernel starts with it. `RKT_KVM_ACCEL` is `auto`, `kvm` or `tcg`.
 * Errors: `hypervisor-unusable` when kvm is demanded and cannot be had, `environment-invalid`.
 */
export function chooseAccelerator(
	syscall: Syscall,
	environment: Readonly<Record<string, string>>,
	files: AcceleratorFiles = FILES,
): Accelerator {
	const wanted = environment[VARIABLE] || "auto";
	if (wanted === "tcg") return { name: "tcg" };
	if (wanted !== "auto" && wanted !== "kvm") {
		fail("environment-invalid", `${VARIABLE} is "${wanted}"`, { hint: "use auto, kvm or tcg" });
	}
	const reason = obstacle(syscall, files);
	if (reason === undefined) return { name: "kvm" };
	if (wanted === "auto") return { name: "tcg", reason };
	return fail("hypervisor-unusable", `KVM cannot be used: ${reason}`, {
		hint: `set ${VARIABLE}=auto to emulate, or use --stage1-image=kvm-uml`,
	});
}

/** For a hypervisor that can do nothing else. Errors: as {@link chooseAccelerator}. */
export function requireHardware(
	hypervisor: string,
	syscall: Syscall,
	environment: Readonly<Record<string, string>>,
	files: AcceleratorFiles = FILES,
): void {
	const { name, reason } = chooseAccelerator(syscall, environment, files);
	if (name === "kvm") return;
	fail("hypervisor-unusable", `${hypervisor} cannot emulate: ${reason ?? `${VARIABLE} is ${name}`}`, {
		hint: "use --stage1-image=kvm, which can, or --stage1-image=kvm-uml",
	});
}

function obstacle(syscall: Syscall, files: AcceleratorFiles): string | undefined {
	if (!/^flags\s*:.*\b(vmx|svm)\b/m.test(fs.readFileSync(files.cpuinfo, "utf8"))) {
		return "the processor has neither vmx nor svm";
	}
	let device: number | undefined;
	try {
		device = fs.openSync(files.device, "r+");
		fs.closeSync(syscall.ioctl(device, KVM_CREATE_VM, 0));
		return undefined;
	} catch (error) {
		return `${files.device}: ${(error as NodeJS.ErrnoException).code}`;
	} finally {
		if (device !== undefined) fs.closeSync(device);
	}
}
