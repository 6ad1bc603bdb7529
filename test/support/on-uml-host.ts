import type { Test } from "tap";

const MARK = "RKT_ON_UML_HOST";

/**
 * Runs this test program again on a host with the kernel of User-Mode Linux and gives false; there it gives true, and
 * everything that the program does is done on that host. `parameters` are for the kernel. See docs/development-uml-host.md.
 */
export function onUmlHost(t: Test, parameters: readonly string[], timeoutSeconds: number): boolean {
	if (process.env[MARK] !== undefined) return true;
	const timeout = (timeoutSeconds + 30) * 1000;
	t.setTimeout(timeout);
	const flags = [`--timeout=${timeoutSeconds}`, ...parameters.map((word) => `--parameter=${word}`)];
	const host = ["test/uml-host/uml-host.sh", ...flags, "--", process.execPath, __filename];
	// The host ends the program in time; tap must not do that earlier.
	const env = { ...process.env, [MARK]: "1", TAP_TIMEOUT: String(timeout / 1000) };
	t.spawn("bash", host, { name: `User-Mode Linux ${parameters.join(" ")}`, env, timeout });
	return false;
}
