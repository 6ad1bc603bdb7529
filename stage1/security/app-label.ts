import type { AppLimits } from "../../appc/schema/app-isolators.ts";
import { fail } from "../../lib/errors.ts";
import { readTextIfExists } from "../../lib/files.ts";

/** What a security module of the kernel takes for the program that an app becomes. */
export interface AppLabel {
	readonly module: "selinux" | "apparmor";
	readonly text: string;
}

/** Files that are there when the kernel works with the module; the second says so. */
const SIGNS = {
	selinux: { name: "SELinux", file: "/sys/fs/selinux/enforce", works: /^[01]/ },
	apparmor: { name: "AppArmor", file: "/sys/module/apparmor/parameters/enabled", works: /^Y/ },
} as const;

/**
 * The label of an app from its isolators. Errors: `security-module-missing` where the kernel has no such module, and always
 * with a kernel of the pod's own, which has none; `isolators-conflict` for both at once.
 */
export function appLabel(
	app: string,
	{ selinuxContext, apparmorProfile }: Pick<AppLimits, "selinuxContext" | "apparmorProfile">,
	ownKernel: boolean,
): AppLabel | undefined {
	if (selinuxContext !== undefined && apparmorProfile !== undefined) {
		fail("isolators-conflict", `app ${app} has both an SELinux context and an AppArmor profile`, {
			hint: "keep only the one that the kernel works with",
		});
	}
	if (selinuxContext !== undefined) {
		requireModule(app, "selinux", ownKernel);
		const { user, role, type, level } = selinuxContext;
		return { module: "selinux", text: `${user}:${role}:${type}:${level}` };
	}
	if (apparmorProfile === undefined) return undefined;
	requireModule(app, "apparmor", ownKernel);
	return { module: "apparmor", text: apparmorProfile };
}

function requireModule(app: string, module: AppLabel["module"], ownKernel: boolean): void {
	const { name, file, works } = SIGNS[module];
	if (!ownKernel && works.test(readTextIfExists(file) ?? "")) return;
	const kernel = ownKernel ? "the kernel of a virtual machine" : "this kernel";
	fail("security-module-missing", `app ${app} asks for ${name}, which ${kernel} does not have`, {
		hint: "remove the isolator from the image, or use a host with this security module",
	});
}
