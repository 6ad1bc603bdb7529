import * as path from "node:path";
import { RktError } from "../../lib/errors.ts";
import { createLinuxSyscall } from "../../lib/syscall/linux.ts";
import { lkvm } from "../../stage1-kvm/hypervisors/lkvm.ts";
import { distDirectory } from "./dist-directory.ts";

/** Why no pod can be run with lkvm here, in one line; false when one can. */
export function lkvmObstacle(): string | false {
	try {
		lkvm.find({
			programs: path.join(distDirectory(), "minimal-kernel"),
			environment: { PATH: process.env.PATH ?? "" },
			syscall: createLinuxSyscall(),
		});
		return false;
	} catch (error) {
		if (error instanceof RktError) return error.message;
		throw error;
	}
}
