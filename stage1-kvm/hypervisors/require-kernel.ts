import * as fs from "node:fs";
import { fail } from "../../lib/errors.ts";

/** Errors: `hypervisor-missing` when the image came without the kernel that its hypervisor starts. */
export function requireKernel(file: string, hint = "build the stage1 image again with npm run build"): void {
	if (fs.existsSync(file)) return;
	fail("hypervisor-missing", `the guest's kernel ${file} does not exist`, { hint });
}
