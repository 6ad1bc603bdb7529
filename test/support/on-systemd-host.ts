import type { Test } from "tap";

const MARK = "RKT_ON_SYSTEMD_HOST";

export type CgroupLayout = "hybrid" | "unified";

/**
 * Runs this test program again on a systemd host of each layout, as one test each, and gives undefined; there it gives
 * the layout, and everything that the program does is done on that host.
 */
export function onSystemdHost(
	t: Test,
	layouts: readonly CgroupLayout[],
	timeoutSeconds: number,
): CgroupLayout | undefined {
	const layout = process.env[MARK];
	if (layout === "hybrid" || layout === "unified") return layout;
	const timeout = (timeoutSeconds + 30) * 1000;
	t.setTimeout(timeout * layouts.length);
	for (const cgroup of layouts) {
		const flags = [`--cgroup=${cgroup}`, `--timeout=${timeoutSeconds}`];
		const host = ["test/systemd-host/systemd-host.sh", ...flags, "--", process.execPath, __filename];
		// The host ends the program in time; tap must not do that earlier.
		const env = { ...process.env, [MARK]: cgroup, TAP_TIMEOUT: String(timeout / 1000) };
		t.spawn("bash", host, { name: `cgroups ${cgroup}`, env, timeout });
	}
	return undefined;
}
