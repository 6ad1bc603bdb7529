import { findInPath } from "./find-in-path.ts";
import { type Finding, missing, ok, warning } from "./finding.ts";

interface Program {
	readonly name: string;
	readonly debian: string;
	readonly effect: string;
	/** Nothing runs without it. */
	readonly needed?: true;
}

const PROGRAMS: readonly Program[] = [
	{ name: "gpgv", debian: "gpgv", effect: "no signature can be checked", needed: true },
	{ name: "tar", debian: "tar", effect: "no image can be unpacked", needed: true },
	{ name: "unshare", debian: "util-linux", effect: "--private-users does not work" },
	{ name: "xz", debian: "xz-utils", effect: "images compressed with xz cannot be read" },
	{ name: "bzip2", debian: "bzip2", effect: "images compressed with bzip2 cannot be read" },
	{ name: "zstd", debian: "zstd", effect: "layers compressed with zstd cannot be read" },
	{ name: "gpg", debian: "gpg", effect: "rkt trust does not show the names in keys" },
	{ name: "journalctl", debian: "systemd", effect: "rkt logs does not work" },
	{ name: "ip", debian: "iproute2", effect: "virtual machines have no network" },
	{ name: "tc", debian: "iproute2", effect: "virtual machines have no network" },
];

export function probePrograms(): Finding[] {
	return PROGRAMS.map(({ name, debian, effect, needed }) => {
		const found = findInPath(name);
		if (found !== undefined) return ok(name, found);
		const remedy = `on Debian: apt-get install ${debian}`;
		return needed
			? missing(name, `not found: ${effect}`, remedy)
			: warning(name, `not found: ${effect}`, remedy);
	});
}
