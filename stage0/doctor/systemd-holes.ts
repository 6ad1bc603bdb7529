/** A release of systemd: `252.39` is [252, 39], `252` is [252, 0]. */
export type SystemdVersion = readonly [major: number, minor: number];

/** A published hole. Distributions mend them without changing the number: a hint to look there, not a verdict. */
export interface SystemdHole {
	readonly id: string;
	readonly what: string;
	/** Major versions from the first to the last that has it. */
	readonly from: number;
	readonly to: number;
	/** Stable releases that no longer have it, by major version. */
	readonly fixed: Readonly<Record<number, number>>;
	/** Why pods of rkt are not concerned; undefined when they are. */
	readonly harmless?: string;
}

export const SYSTEMD_HOLES: readonly SystemdHole[] = [
	{
		id: "CVE-2016-7795",
		what: "any user stops PID 1 with an empty message",
		...{ from: 209, to: 231, fixed: {} },
	},
	{
		id: "CVE-2018-15686",
		what: "a service takes over PID 1 when it is executed again",
		...{ from: 38, to: 239, fixed: {} },
	},
	{
		id: "CVE-2018-16864 and CVE-2018-16865",
		what: "whoever may write to the journal takes over journald",
		...{ from: 38, to: 240, fixed: {} },
	},
	{
		id: "CVE-2021-33910",
		what: "a mount point with a very long path ends PID 1",
		...{ from: 220, to: 249, fixed: { 246: 15, 247: 8, 248: 5, 249: 1 } },
	},
	{
		id: "CVE-2026-40226",
		what: "a .nspawn file leads out of a container of nspawn",
		...{ from: 233, to: 259, fixed: { 257: 12, 258: 6, 259: 4 } },
		harmless: "rkt has nspawn read no such files",
	},
	{
		id: "CVE-2026-40223",
		what: "any user stops PID 1 while a delegated unit runs",
		...{ from: 258, to: 259, fixed: { 258: 5, 259: 2 } },
	},
];

/** The first line of `systemd-nspawn --version`, or the version of a package, such as `252.39-1~deb12u2`. */
export function parseSystemdVersion(text: string): SystemdVersion | undefined {
	const [, major, minor] =
		/^systemd \d+ \((\d+)(?:\.(\d+))?/.exec(text) ?? /^(?:systemd )?(\d+)(?:\.(\d+))?/.exec(text) ?? [];
	return major === undefined ? undefined : [Number(major), Number(minor ?? 0)];
}

export function holesOf([major, minor]: SystemdVersion): SystemdHole[] {
	return SYSTEMD_HOLES.filter(({ from, to, fixed }) => {
		const mended = fixed[major];
		return major >= from && major <= to && (mended === undefined || minor < mended);
	});
}
