import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { runCommand } from "../../lib/process.ts";
import type { GuestKernel } from "../../stage1/guest-kernel.ts";
import type { BuildPlaces } from "../../stage1/image/build-image.ts";
import { copyModules } from "./kernel-modules.ts";

/** Which program of the guest's architecture a hypervisor boots. */
export type KernelKind = "vmlinux" | "linux" | "bzImage";

const DISTRIBUTION_UML = {
	file: "/usr/bin/linux.uml",
	package: "user-mode-linux",
	modules: "/usr/lib/uml/modules",
	/** What is not built in and a pod needs: servers listen on `::`. */
	needed: ["ipv6"],
};

/**
 * Puts the kernel of an image into its directory: what scripts/minimal-kernel.sh has built, else the distribution's with
 * its modules. User-Mode Linux is left out where it is not installed: the host's own is used then. lkvm has only the former,
 * because none of the distribution's has built in what it needs.
 */
export function addKernel(directory: string, kind: KernelKind, { outDir }: BuildPlaces): void {
	const target = path.join(directory, kind);
	const minimal = minimalKernel(outDir, kind);
	if (fs.existsSync(minimal)) fs.copyFileSync(minimal, target);
	else if (kind === "vmlinux") fs.cpSync(distributionKernel(outDir), directory, { recursive: true });
	else if (kind === "linux" && fs.existsSync(DISTRIBUTION_UML.file)) addDistributionUml(directory, target);
}

function addDistributionUml(directory: string, target: string): void {
	const { file, modules, needed } = DISTRIBUTION_UML;
	fs.copyFileSync(file, target);
	const release = kernelRelease(fs.readFileSync(file), file);
	copyModules(path.join(modules, release), needed, path.join(directory, "modules"));
}

/** What {@link addKernel} has put there. */
export function describeKernel(
	directory: string,
	kind: KernelKind,
	{ outDir }: BuildPlaces,
): GuestKernel | undefined {
	const file = path.join(directory, kind);
	if (!fs.existsSync(file)) return undefined;
	const content = fs.readFileSync(file);
	return {
		release: kind === "bzImage" ? setupRelease(content, file) : kernelRelease(content, file),
		source: kernelSource(outDir, kind),
		sha512: createHash("sha512").update(content).digest("hex"),
	};
}

/** Every Linux holds the text that it prints first, init/version.c of the kernel. */
function kernelRelease(content: Buffer, file: string): string {
	const banner = "Linux version ";
	for (let at = content.indexOf(banner); at >= 0; at = content.indexOf(banner, at + 1)) {
		const release = /^[0-9]+\.[0-9]+[!-~]*/.exec(
			content.toString("latin1", at + banner.length, at + 256),
		)?.[0];
		if (release !== undefined) return release;
	}
	return fail("build-failed", `${file} is no Linux kernel`);
}

/** `kernel_version` of the setup header, which is not compressed; boot.rst of the kernel's documentation. */
function setupRelease(content: Buffer, file: string): string {
	const at = content.readUInt16LE(0x20e) + 0x200;
	const release = /^[0-9]+\.[0-9]+[!-~]*/.exec(content.toString("latin1", at, at + 256))?.[0];
	return release ?? fail("build-failed", `${file} is no Linux kernel`);
}

function kernelSource(outDir: string, kind: KernelKind): string {
	if (fs.existsSync(minimalKernel(outDir, kind))) {
		return `stage1-kvm/kernel/minimal-${kind === "linux" ? "um" : "x86_64"}.config`;
	}
	if (kind === "linux") return installedPackage(DISTRIBUTION_UML.package);
	const record = fs.readFileSync(path.join(distributionKernel(outDir), "kernel.json"), "utf8");
	return (JSON.parse(record) as { package: string }).package;
}

function installedPackage(name: string): string {
	const query = runCommand("dpkg-query", ["-W", name]);
	return query.status === 0
		? query.stdout.trim().replace("\t", " ")
		: fail("build-failed", `dpkg does not know the package ${name}`);
}

const minimalKernel = (outDir: string, kind: KernelKind): string => path.join(outDir, "minimal-kernel", kind);
const distributionKernel = (outDir: string): string => path.join(outDir, "guest-kernel");
