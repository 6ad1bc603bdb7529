import { writeStdout } from "../../../lib/log.ts";
import type { Handler } from "../command.ts";

/** `rkt kvm-probe`, which `rkt doctor` starts: status 0 when KVM runs a guest, else 1 and a line that says why not. */
export const probeKvm: Handler = async () => {
	const { runKvmGuest } = await import("../../doctor/kvm-guest.ts");
	const problem = runKvmGuest();
	if (problem !== undefined) writeStdout(`${problem}\n`);
	return problem === undefined ? 0 : 1;
};
