import * as os from "node:os";
import { fail } from "../../lib/errors.ts";
import { quote } from "./quote.ts";

export interface Label {
	/** An AC identifier other than `name`. */
	readonly name: string;
	readonly value: string;
}

const LINUX_ARCHITECTURES = [
	"amd64",
	"i386",
	"aarch64",
	"aarch64_be",
	"armv6l",
	"armv7l",
	"armv7b",
	"ppc64",
	"ppc64le",
	"s390x",
] as const;

/** The architectures of each operating system (appc 0.8.11, Image Manifest Schema, labels). */
export const OS_ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
	linux: LINUX_ARCHITECTURES,
	freebsd: ["amd64", "i386", "arm"],
	darwin: ["x86_64", "i386"],
};

/** What an image may be made for to run as an app: rkt 1.30's list and the later ports of the specification. */
const RUNNABLE: Readonly<Record<string, readonly string[]>> = { linux: LINUX_ARCHITECTURES };

export function labelValue(labels: readonly Label[], name: string): string | undefined {
	return labels.find((label) => label.name === name)?.value;
}

/** What is wrong with the `os` and `arch` of a label list, or undefined. An `arch` without `os` is not looked at. */
export function osArchProblem(labels: readonly Label[]): string | undefined {
	return pairProblem(labels, OS_ARCHITECTURES);
}

/** Errors: `image-not-runnable` unless the image says for which `os` and `arch` it is made, and rkt runs these. */
export function checkRunnable(labels: readonly Label[], source: string): void {
	const missing = ["os", "arch"].filter((name) => labelValue(labels, name) === undefined);
	const problem =
		missing.length > 0
			? `the label ${missing.map(quote).join(" and ")} is missing`
			: pairProblem(labels, RUNNABLE);
	if (problem === undefined) return;
	fail("image-not-runnable", `${source} cannot be run: ${problem}`, {
		hint: 'the manifest of an app needs the labels "os" and "arch" of a Linux machine',
	});
}

function pairProblem(
	labels: readonly Label[],
	table: Readonly<Record<string, readonly string[]>>,
): string | undefined {
	const system = labelValue(labels, "os");
	const architecture = labelValue(labels, "arch");
	if (system === undefined) return undefined;
	const architectures = Object.hasOwn(table, system) ? table[system] : undefined;
	if (architectures === undefined) {
		return `the label "os" is ${quote(system)}, allowed are ${Object.keys(table).join(", ")}`;
	}
	if (architecture === undefined || architectures.includes(architecture)) return undefined;
	return `the label "arch" is ${quote(architecture)}, allowed with os ${system} are ${architectures.join(", ")}`;
}

/** The labels of this machine. An architecture that appc has no name for keeps Node's. */
export function hostLabels(): { readonly os: string; readonly arch: string } {
	return { os: process.platform, arch: hostArchitecture(process.arch, os.endianness()) };
}

/** Node's name of an architecture as appc's; `armVersion` is what Node was built for. */
export function hostArchitecture(
	arch: string,
	endianness: "LE" | "BE",
	armVersion = String((process.config.variables as { arm_version?: unknown }).arm_version ?? "6"),
): string {
	const big = endianness === "BE";
	switch (arch) {
		case "x64":
			return "amd64";
		case "ia32":
			return "i386";
		case "arm64":
			return big ? "aarch64_be" : "aarch64";
		case "arm":
			return big ? "armv7b" : armVersion === "7" ? "armv7l" : "armv6l";
		case "ppc64":
			return big ? "ppc64" : "ppc64le";
		default:
			return arch;
	}
}
