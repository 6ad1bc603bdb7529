import { hostLabels, type Label, osArchProblem } from "../types/labels.ts";

/** Go's names of architectures as appc's; those that are missing have no name in appc. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
	amd64: "amd64",
	"386": "i386",
	arm64: "aarch64",
	arm64be: "aarch64_be",
	ppc64: "ppc64",
	ppc64le: "ppc64le",
	s390x: "s390x",
};

/** `v5` has no name of its own; its programs run wherever appc's `armv6l` may. */
const ARM_VARIANTS: Readonly<Record<string, string>> = {
	"": "armv6l",
	v5: "armv6l",
	v6: "armv6l",
	v7: "armv7l",
	v8: "armv7l",
};

export interface OciPlatformNames {
	readonly os: string;
	readonly architecture: string;
	readonly variant?: string | undefined;
}

/**
 * The labels `os`, `arch` and, where it says more than these, `variant` of a platform; a missing name is this machine's,
 * as in docker2aci. Undefined for a platform that appc has no name for.
 */
export function platformLabels({ os, architecture, variant = "" }: OciPlatformNames): Label[] | undefined {
	const host = hostLabels();
	const arch = architecture === "" ? host.arch : appcArchitecture(os, architecture, variant);
	if (arch === undefined || !/^[A-Za-z0-9._-]*$/.test(variant)) return undefined;
	const labels = [
		{ name: "os", value: os === "" ? host.os : os },
		{ name: "arch", value: arch },
	];
	if (osArchProblem(labels) !== undefined) return undefined;
	return variant === "" ? labels : [...labels, { name: "variant", value: variant }];
}

function appcArchitecture(os: string, architecture: string, variant: string): string | undefined {
	if (os === "darwin" && architecture === "amd64") return "x86_64";
	if (architecture === "arm") {
		if (os === "freebsd") return "arm";
		return Object.hasOwn(ARM_VARIANTS, variant) ? ARM_VARIANTS[variant] : undefined;
	}
	return Object.hasOwn(ARCHITECTURES, architecture) ? ARCHITECTURES[architecture] : undefined;
}
